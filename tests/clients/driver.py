# SPDX-License-Identifier: MIT
"""Does with deploy/clients/paddock.py what clients_test.py asks for, a line of JSON each: {"call": a method, ...} on stdin, and on
stdout {"value": ...} or {"error": its name, ...}; of `follow` {"entry": ...} before. Bytes are Base64. The connection is
in the environment."""

import base64
import json
import os
import sys

import redis

sys.path.insert(0, os.environ["CLIENTS"])
import paddock

TELLS = "reason", "retry_ms", "state", "field", "sentence", "limit"


def bytes_of(text):
    return base64.b64decode(text)


def follow(queue, id, position, timeout):
    for entry in queue.follow(id, position, timeout):
        data = base64.b64encode(entry.data).decode() if isinstance(entry.data, bytes) else entry.data
        say({"entry": {**entry._asdict(), "data": data}})


CALLS = {
    "enqueue": lambda queue, program, fields, id=None: queue.enqueue(bytes_of(program), id, **fields)._asdict(),
    "follow": lambda queue, id, position=paddock.START, timeout=None: follow(queue, id, position, timeout),
    "result": lambda queue, id, timeout=None: queue.result(id, timeout),
    "cancel": lambda queue, id: queue.cancel(id),
    "input": lambda queue, id, data="", eof=False: queue.input(id, bytes_of(data), eof),
    "exists": lambda queue, id: queue.exists(id),
    "status": lambda queue, id: queue.status(id),
    "position": lambda queue, id: (found := queue.position(id)) and found._asdict(),
}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    connection = redis.Redis(unix_socket_path=os.environ["SOCKET"], username=os.environ["USERNAME"],
                             password=os.environ["PASSWORD"], decode_responses=bool(os.environ.get("DECODE")))
    queue = paddock.Queue(connection, os.environ["QUEUE"], float(os.environ["PATIENCE"]))
    for line in sys.stdin:
        words = json.loads(line)
        try:
            say({"value": CALLS[words.pop("call")](queue, **words)})
        except Exception as error:
            say({"error": type(error).__name__, "message": str(error),
                 **{name: getattr(error, name) for name in TELLS if hasattr(error, name)}})


main()
