# SPDX-License-Identifier: MIT
"""The no-op that rq runs: the same four lines."""


def job():
    def add(a, b):
        return a + b
    x = add(1, 2)
    return x
