# SPDX-License-Identifier: MIT
"""The no-op that Celery runs: the same four lines. Broker and results are in the Redis at the socket PADDOCK_BENCH_REDIS."""

import os

import celery


def connect():
    address = f"redis+socket://{os.environ['PADDOCK_BENCH_REDIS']}"
    app = celery.Celery("celery_job", broker=address, backend=address)
    app.conf.broker_connection_retry_on_startup = True

    @app.task(name="celery_job.job")
    def job():
        def add(a, b):
            return a + b
        x = add(1, 2)
        return x

    app.finalize()
    return app


app = connect()
