# SPDX-License-Identifier: MIT
"""docs/PROTOCOL.md says what the programs do: protocol_test.py TABLES DECODER ROOT. Its tables are those that
paddock-tables prints, and its worked example is read alike by both decoders: the one of common/ and the tests' own."""

import json
import os
import re
import subprocess
import sys

TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.S)
EXAMPLE = re.compile(r"```recording\n(.*?)```", re.S)


def tables(document, program):
    """Tables that differ from the code's."""
    printed = subprocess.run([program, "protocol"], stdout=subprocess.PIPE, text=True, check=True).stdout
    ours, theirs = dict(TABLE.findall(document)), dict(TABLE.findall(printed))
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield f"the table '{name}' is unknown to {os.path.basename(program)}"
        elif ours.get(name) != theirs[name]:
            yield f"the table '{name}' should be:\n<!-- table: {name} -->\n{theirs[name]}<!-- end -->"


def read_example(document):
    """[(bytes, JSON text)]: lines of hex digits, and below them what they say."""
    records, hexadecimal = [], ""
    for line in EXAMPLE.search(document)[1].splitlines():
        if line.startswith("{"):
            records.append((bytes.fromhex(hexadecimal), line))
            hexadecimal = ""
        else:
            hexadecimal += line
    return records


def example(document, decoder, root):
    """Records of the example that a decoder reads in another way."""
    records = read_example(document)
    data = b"".join(piece for piece, _ in records)
    printed = subprocess.run([decoder], input=data, stdout=subprocess.PIPE, check=False).stdout.decode()
    expected = "".join(f"{len(piece)} {text}\n" for piece, text in records)
    if printed != expected or not records:
        yield f"the example is read by common/wire.c as:\n{printed}and not as:\n{expected}"
    sys.path.insert(0, os.path.join(root, "tests", "e2e"))
    import recording
    second = [{k: v.decode() if isinstance(v, bytes) else v for k, v in record.items()}
              for record in recording.decode(data)]
    if second != [json.loads(text) for _, text in records]:
        yield f"the example is read by tests/e2e/recording.py as: {second}"


def main():
    program, decoder, root = sys.argv[1:]
    with open(os.path.join(root, "docs", "PROTOCOL.md"), encoding="utf-8") as file:
        document = file.read()
    breaches = [*tables(document, program), *example(document, decoder, root)]
    for breach in breaches:
        print(breach)
    sys.exit(1 if breaches else 0)


main()
