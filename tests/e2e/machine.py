# SPDX-License-Identifier: MIT
"""A Debian 12 of its own, bare and with systemd running as on a machine, for tests of what is installed: a root filesystem made from
Debian's packages, which is kept for the next run, and started in namespaces. It takes root, mmdebstrap and systemd-container."""

import os
import shutil
import subprocess
import tempfile
import unittest

import pool

MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "paddock-tests")
NEEDED = "mmdebstrap", "systemd-nspawn", "nsenter"


def bare_debian():
    """A tar of it, without the updates for its security: they are for tests to install."""
    path = os.path.join(CACHE, "bookworm.tar")
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        new = path.replace(".tar", f".{os.getpid()}.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,ca-certificates", "bookworm",
                        new, f"deb {MIRROR} bookworm main"], check=True)
        os.rename(new, path)
    return path


class Machine:
    """with Machine() as machine: machine.run("systemctl", "status")"""

    def __enter__(self):
        for program in NEEDED:
            if shutil.which(program) is None:
                raise unittest.SkipTest(f"{program} is not installed")
        if os.geteuid() != 0:
            raise unittest.SkipTest("a machine of its own takes root")
        tar = bare_debian()
        self.folder = tempfile.mkdtemp(prefix="paddock-machine-", dir="/var/tmp")
        subprocess.run(["tar", "-xf", tar, "-C", self.folder], check=True)
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.folder)

    def start(self):
        # Calls are refused there by units and by Paddock, as on a machine, and not by a container's filter.
        self.container = subprocess.Popen(
            ["systemd-nspawn", "--boot", "--quiet", "--directory", self.folder, "--register=no", "--keep-unit", "--console=pipe"],
            env={**os.environ, "SYSTEMD_SECCOMP": "0"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        pool.wait_until(self.has_started, "systemd has started")

    def has_started(self):
        try:
            with open(f"/proc/{self.container.pid}/task/{self.container.pid}/children") as file:
                self.pid = file.read().split()[0]
            return self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip() in ("running", "degraded")
        except (OSError, IndexError):
            if self.container.poll() is not None:
                raise AssertionError(f"it ended with {self.container.returncode}")
            return False

    def stop(self):
        """As pulling the plug would: its first process takes all others along."""
        subprocess.run(["kill", "-KILL", self.pid], check=False)
        self.container.wait()

    def run(self, *words, check=True, **options):
        """Text of both outputs; as root unless `user` is given."""
        options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
        done = subprocess.run(["nsenter", "--all", "--target", self.pid, "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                               "LANG=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive", *words],
                              capture_output=True, text=True, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{words} ended with {done.returncode}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def path(self, name):
        """Seen from outside."""
        return os.path.join(self.folder, name.lstrip("/"))

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def copy(self, file, name):
        shutil.copy(file, self.path(name))

    def log(self, unit):
        return self.run("journalctl", "--no-pager", "--output", "cat", "--unit", unit).stdout
