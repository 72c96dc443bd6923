# SPDX-License-Identifier: MIT
"""What the built programs may contain: programs.py links|globals FOLDER. Three trust domains are three link lists."""

import os
import re
import subprocess
import sys

LIBC = {"libc.so.6", "ld-linux-x86-64.so.2", "linux-vdso.so.1"}
# Named by the program itself.
NEEDS = {
    "paddock-supervisor": LIBC,
    "paddock-relay": LIBC | {"libhiredis.so.0.14", "libhiredis.so.1.1.0"},
    "paddock-zygote": LIBC | {"libpython3.11.so.1.0", "libzip.so.4", "libm.so.6"},
    "paddock-library": LIBC | {"libpython3.11.so.1.0"},
    "paddock": LIBC | {"libhiredis.so.0.14", "libhiredis.so.1.1.0"},
}
# What those bring along on Debian 12.
BRINGS = {
    "paddock-library": {"libz.so.1", "libexpat.so.1", "libm.so.6"},
    "paddock-zygote": {"libz.so.1", "libexpat.so.1", "libm.so.6", "libbz2.so.1.0", "liblzma.so.5", "libzstd.so.1",
                       "libgnutls.so.30", "libcrypto.so.3", "libp11-kit.so.0", "libidn2.so.0",
                       "libunistring.so.2", "libtasn1.so.6", "libnettle.so.8", "libhogweed.so.6", "libgmp.so.10",
                       "libffi.so.8"},
}
# Mutable variables with external linkage: one place for what must outlive a function, named here.
GLOBALS = {
    "paddock-supervisor": set(),
    "paddock-relay": set(),
    "paddock": set(),
    "paddock-library": set(),
    "paddock-zygote": {"importer", "mount_type", "finder_type", "loader_type", "mount_spec", "finder_spec",
                       "loader_spec", "view_open_hooks", "view_os_hooks",
                       "libdeflate_x86_cpu_features"},  # what the processor can do; linked into the program
}
LINKER = re.compile(r"^(_|__|data_start|completed|stdin|stdout|stderr|optarg|optind|environ|program_invocation)")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def links(folder):
    for program, allowed in NEEDS.items():
        path = os.path.join(folder, program)
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", path)))
        yield from (f"{program} links {name}" for name in sorted(needed - allowed))
        loaded = {os.path.basename(line.split()[0]) for line in run("ldd", path).splitlines() if line.split()}
        extra = loaded - allowed - BRINGS.get(program, set())
        yield from (f"{program} loads {name}" for name in sorted(extra))


def sections(path):
    """Numbers of the sections that stay writable; .data.rel.ro is constant once the program is loaded."""
    table = re.findall(r"\[ *(\d+)\] (\.\S+)", run("readelf", "-SW", path))
    return {number for number, name in table if name in (".data", ".bss")}


def globals_of(folder):
    for program, allowed in GLOBALS.items():
        path = os.path.join(folder, program)
        writable = sections(path)
        for line in run("readelf", "-sW", path).splitlines():
            parts = line.split()
            if len(parts) < 8 or parts[3] != "OBJECT" or parts[4] != "GLOBAL" or parts[6] not in writable:
                continue
            name = parts[7].split("@")[0]
            if name not in allowed and not LINKER.match(name) and not name.startswith("Py"):
                yield f"{program} has the mutable global {name}"


def main():
    check, folder = sys.argv[1:]
    breaches = list({"links": links, "globals": globals_of}[check](folder))
    for breach in breaches:
        print(breach)
    sys.exit(1 if breaches else 0)


main()
