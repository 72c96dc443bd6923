# SPDX-License-Identifier: MIT
"""The smallest program: it greets whom its arguments name."""

import sys

for name in sys.argv[1:] or ["world"]:
    print(f"Hello, {name}!")
