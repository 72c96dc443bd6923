# SPDX-License-Identifier: MIT
"""Compares the compiled policy with policy.golden, so that no change of a filter goes unread.

usage: policy_golden.py POLICY_COMPILE GOLDEN
"""

import difflib
import pathlib
import subprocess
import sys


def main(program, golden):
    now = subprocess.run([program, "--pfc"], check=True, capture_output=True, text=True).stdout
    kept = pathlib.Path(golden).read_text(encoding="utf-8")
    if now == kept and now.count("# the ") == 2:
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(kept.splitlines(True), now.splitlines(True), "policy.golden", "the policy as built"))
    print("\nThe filters are not those of policy.golden. If the change is meant, read it once more and renew the file:")
    print(f"  {program} --pfc > {golden}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
