# SPDX-License-Identifier: MIT
"""Types every command of deploy/examples/README.md and compares what comes out: examples_test.py BIN ROOT."""

import os
import sys

import console


def main():
    binaries, root = sys.argv[1:]
    folder = os.path.join(root, "deploy", "examples")
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
        found, differing = console.differences(file.read(), binaries, folder)
    print("".join(differing) + f"{found} blocks, {len(differing)} differ")
    sys.exit(1 if differing or not found else 0)


main()
