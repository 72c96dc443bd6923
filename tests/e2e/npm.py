# SPDX-License-Identifier: MIT
"""npm's packages for a test, as a package-lock.json beside it pins them: installed into a folder of the build, nowhere else. Where
there is no npm, or no registry that has them, the test is skipped: it ends with exit code 77."""

import json
import os
import shutil
import subprocess
import sys

SKIPPED = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def npm(folder, *words):
    """Its exit code, and all that it says."""
    options = ["--cache", os.path.join(folder, "cache"), "--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000",
               "--update-notifier=false"]
    done = subprocess.run(["npm", *words, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout.strip()


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def install(packages, folder):
    """What `packages` pins, into node_modules of the other folder. What is there of an earlier run needs no registry."""
    installed = os.path.join(folder, "installed")  # the pins that it was installed by
    pins = read(packages, "package-lock.json")
    if os.path.exists(installed) and read(installed) == pins:
        return
    if shutil.which("npm") is None:
        skip(f"there is no npm to install {', '.join(json.loads(read(packages, 'package.json'))['dependencies'])} with")
    os.makedirs(folder, exist_ok=True)
    for name in "package.json", "package-lock.json":
        shutil.copyfile(os.path.join(packages, name), os.path.join(folder, name))
    code, said = npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if code != 0:
        print(said)
        for name, version in json.loads(read(packages, "package.json"))["dependencies"].items():
            wanted = version.removeprefix("npm:") if version.startswith("npm:") else f"{name}@{version}"
            if npm(folder, "view", wanted, "version", "--prefer-online")[0] != 0:
                skip(f"no registry that can be reached has {wanted}")
        sys.exit("npm cannot install what the registry has")
    with open(installed, "w", encoding="utf-8") as file:
        file.write(pins)


def check_types(folder, *files, words=()):
    """What is wrong with the JSDoc of these, by TypeScript's own compiler of that folder; "": nothing."""
    options = ["--allowJs", "--checkJs", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", *words]
    done = subprocess.run(["node", os.path.join(folder, "node_modules", "typescript", "bin", "tsc"), *options, *files],
                          stdout=subprocess.PIPE, text=True)
    return done.stdout if done.returncode else ""
