# SPDX-License-Identifier: MIT
"""The Debian package, from `apt install` to `apt purge`, in a bare Debian 12 with systemd: as the README says."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import machine
import pool

NEW_VERSION = "0.1.0+next"
HELLO = "/usr/share/doc/paddock/examples/hello.py"
ARENA = "/usr/share/doc/paddock/examples/hosts/arena.py"
FILES = ["/etc/paddock/paddock.conf", "/etc/paddock/redis.conf", "/usr/bin/paddock", "/usr/sbin/paddock-supervisor",
         "/lib/systemd/system/paddock.service", "/usr/share/man/man1/paddock.1", "/usr/share/man/man5/paddock.conf.5",
         "/usr/libexec/paddock/python-library.zip"]
SLOW = "import time\nprint('begun', flush=True)\ntime.sleep({})\nprint('done')\n"


def build():
    """The package's path. The second time nothing is left to compile."""
    for words in ["--preset", "package"], ["--build", "--preset", "package", "--target", "package"]:
        subprocess.run(["cmake", *words], cwd=pool.ROOT, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(pool.ROOT, "build", "package", "paddock_0.1.0_amd64.deb")


def next_version(package, path):
    """The same, under another version."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
        control = os.path.join(folder, "DEBIAN", "control")
        with open(control) as file:
            text = file.read().replace("Version: 0.1.0", f"Version: {NEW_VERSION}")
        with open(control, "w") as file:
            file.write(text)
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder, path], check=True, stdout=subprocess.DEVNULL)


class Debian(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = cls.enterClassContext(machine.Machine())
        cls.machine.copy(build(), "/root/paddock.deb")
        cls.machine.run("apt-get", "-qq", "update")
        cls.apt("install", "/root/paddock.deb")

    @classmethod
    def apt(cls, *words):
        return cls.machine.run("apt-get", "-qq", "-y", "--no-install-recommends", *words)

    def setUp(self):
        self.assertEqual(self.state(), "active", self.machine.log("paddock"))

    def state(self, unit="paddock"):
        return self.machine.run("systemctl", "is-active", unit, check=False).stdout.strip()

    def process(self):
        return self.machine.run("systemctl", "show", "--property", "MainPID", "--value", "paddock").stdout.strip()

    def submit(self, source, *words):
        with open(self.machine.path("/root/robot.py"), "w") as file:
            file.write(source)
        return self.machine.run("paddock", "submit", "/root/robot.py", *words).stdout.strip()

    def follow(self, job):
        return self.machine.run("paddock", "follow", job).stdout

    def begin(self, seconds):
        job = self.submit(SLOW.format(seconds))
        pool.wait_until(lambda: json.loads(self.machine.run("paddock", "status", "--json", job).stdout)["state"] == "running", "it runs")
        return job

    def version(self):
        return self.machine.run("dpkg-query", "--show", "--showformat", "${Version}", "paddock").stdout

    def test_it_runs_programs(self):
        self.assertEqual(self.follow(self.machine.run("paddock", "submit", HELLO).stdout.strip()), "Hello, world!\n")
        self.assertEqual(self.machine.run("paddock", "run", HELLO).stdout, "Hello, world!\n")
        self.assertEqual([name for name in FILES if not self.machine.exists(name)], [])

    def test_a_units_take_nothing_away(self):
        """Every layer of the sandbox holds within them that holds without, and nothing is complained of."""
        self.assertIn("65536 ids", self.machine.log("paddock"))
        self.assertNotIn("warning", self.machine.log("paddock"))
        unit = "/lib/systemd/system/paddock.service"
        with open(self.machine.path(unit)) as file:
            text = re.sub(r"ExecStart=(\S+).*", r"ExecStart=\1 --check-sandbox --json", file.read())
        with open(self.machine.path(unit.replace("paddock.service", "check.service")), "w") as file:
            file.write(re.sub("Type=.*", "Type=oneshot", re.sub("(?m)^(RuntimeDirectory|Restart|Watchdog).*", "", text)))
        self.machine.run("systemctl", "start", "check")
        within = [line for line in self.machine.log("check").splitlines() if line.startswith("{")]
        self.assertEqual(within, self.machine.run("paddock-supervisor", "--check-sandbox", "--json", check=False).stdout.splitlines())
        os.remove(self.machine.path(unit.replace("paddock.service", "check.service")))
        for unit in "paddock.service", "paddock-redis.service":
            checked = self.machine.run("systemd-analyze", "verify", "--man=no", unit)
            self.assertEqual((checked.stdout, checked.stderr), ("", ""))

    def test_the_load_test(self):
        """As an operator would before a competition."""
        self.apt("install", "python3-redis")
        done = self.machine.run("paddock-loadtest", "smoke")
        self.assertRegex(done.stdout, "^smoke: 24 of 24 jobs of 4 tenants")
        self.assertIn("lost        0, double 0, wrong 0", done.stdout)

    def test_the_queue_is_for_the_group(self):
        """A backend is no root; whoever is not in the group reaches nothing, and nobody reads the configuration."""
        self.machine.run("useradd", "--groups", "paddock", "backend")
        self.machine.run("useradd", "stranger")
        redis = "redis-cli", "-s", "/run/paddock-redis/redis.sock", "FCALL_RO", "paddock_version", "1", "paddock:{default}:open"
        as_user = "setpriv", "--init-groups", "--reset-env"
        found = {user: self.machine.run(*as_user, f"--reuid={user}", f"--regid={user}", *redis, check=False).stdout.strip()
                 for user in ("backend", "stranger")}
        self.assertRegex(found["backend"], r"^\d+$")
        self.assertEqual(found["stranger"], "")
        for file in "/etc/paddock/paddock.conf", "/etc/paddock/redis.conf":
            self.assertEqual(self.machine.run(*as_user, "--reuid=stranger", "--regid=stranger", "cat", file, check=False).stdout, "")

    def test_reload_restart_and_a_bad_configuration(self):
        """A job runs through a reload; under a restart it ends first; and what is wrong with a configuration is told, once."""
        config = self.machine.path("/etc/paddock/paddock.conf")
        before, job = self.process(), self.begin(2)
        with open(config) as file:
            good = file.read()
        with open(config, "w") as file:
            file.write(good.replace("workers = 2", "workers = 3", 1))
        self.machine.run("systemctl", "reload", "paddock")
        self.machine.run("systemctl", "restart", "paddock")
        self.assertEqual(self.follow(job), "begun\ndone\n")
        self.assertNotEqual(self.process(), before)
        self.assertIn("workers=3", self.machine.log("paddock"))
        with open(config, "w") as file:
            file.write(good.replace("workers = 2", "workers = many", 1))
        self.assertNotEqual(self.machine.run("systemctl", "restart", "paddock", check=False).returncode, 0)
        self.assertEqual(self.state(), "failed")
        self.assertEqual(self.machine.log("paddock").count("workers = many"), 1)
        with open(config, "w") as file:
            file.write(good)
        self.machine.run("systemctl", "reset-failed", "paddock")
        self.machine.run("systemctl", "start", "paddock")

    def test_killed(self):
        """systemd starts it again, and what it ran runs again."""
        before, job = self.process(), self.begin(3)
        self.machine.run("systemctl", "kill", "--kill-whom", "main", "--signal", "KILL", "paddock")
        self.assertEqual(self.follow(job).count("done"), 1)
        self.assertNotEqual(self.process(), before)

    def test_what_takes_a_drop_in(self):
        """A data_dir of one's own, and host modules below /home: good to a check, and not to the unit alone."""
        config, drop_in = self.machine.path("/etc/paddock/paddock.conf"), "/etc/systemd/system/paddock.service.d/override.conf"
        self.machine.run("mkdir", "-p", "/srv/queue", "/home/hosts", os.path.dirname(drop_in))
        self.machine.run("cp", ARENA, "/home/hosts")
        with open(config) as file:
            good = file.read()
        for words, line in ((("data_dir", "/srv/queue"), "ReadWritePaths=/srv/queue"), (("host_path", "/home/hosts"), "ProtectHome=read-only")):
            with self.subTest(line):
                text = re.sub("(?m)^redis = .*", "redis =", good.replace(f"{words[0]} =", " = ".join(words), 1))
                with open(config, "w") as file:
                    file.write(text.replace("host_modules =", "host_modules = arena", 1) if words[0] == "host_path" else text)
                self.machine.run("paddock", "check", "--config", "/etc/paddock/paddock.conf")
                self.assertNotEqual(self.machine.run("systemctl", "restart", "paddock", check=False).returncode, 0)
                with open(self.machine.path(drop_in), "w") as file:
                    file.write(f"[Service]\n{line}\n")
                self.machine.run("systemctl", "daemon-reload")
                self.machine.run("systemctl", "reset-failed", "paddock")
                self.machine.run("systemctl", "start", "paddock")
                self.assertEqual(self.machine.run("paddock", "run", HELLO).stdout, "Hello, world!\n")
        with open(config, "w") as file:
            file.write(good)
        os.remove(self.machine.path(drop_in))
        self.machine.run("rm", "-r", "/srv/queue", "/home/hosts")
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", "paddock")

    def test_y_upgrades(self):
        """Of Paddock: jobs that run and jobs that wait are not lost, and the configuration stays. Of Python: the archive of its
        library is made anew, without what is gone of Debian's, and the pool goes over to it."""
        with open(self.machine.path("/etc/paddock/paddock.conf"), "a") as file:
            file.write("# mine\n")
        next_version(self.machine.path("/root/paddock.deb"), self.machine.path("/root/next.deb"))
        before, job = self.process(), self.begin(3)
        waiting = self.submit(SLOW.format(0), "--delay-ms", "6000")
        self.apt("-o", "Dpkg::Options::=--force-confold", "install", "/root/next.deb")
        self.assertEqual((self.version(), self.follow(job), self.follow(waiting)), (NEW_VERSION, "begun\ndone\n", "begun\ndone\n"))
        self.assertNotEqual(self.process(), before)
        with open(self.machine.path("/etc/paddock/paddock.conf")) as file:
            self.assertTrue(file.read().endswith("# mine\n"))

        self.apt("install", "python3-six")
        self.machine.run("sh", "-c", "echo '# older' >> /usr/lib/python3/dist-packages/six.py")
        self.machine.run("paddock-library", "--add", "six")
        older = self.machine.run("paddock-library", "--show").stdout
        self.apt("install", "--reinstall", "python3-six")
        newer = self.machine.run("paddock-library", "--show").stdout
        self.assertIn("add six\nstate ", newer)
        self.assertNotEqual(newer, older, "an update of what was added is noticed")
        done = self.apt("remove", "python3-six")
        self.assertIn("six is left out", done.stdout + done.stderr)
        self.machine.run("touch", "/usr/share/zoneinfo/Europe/Berlin")
        self.assertNotIn("fits", self.machine.run("paddock-library", "--update").stdout)
        older = self.machine.run("paddock-library", "--show").stdout
        self.apt("install", "--reinstall", "tzdata")
        self.assertNotEqual(self.machine.run("paddock-library", "--show").stdout, older, "an update of time zones is noticed")
        library, before = self.machine.path("/usr/libexec/paddock/python-library.zip"), self.process()
        made, told = os.stat(library).st_ino, self.machine.log("paddock").count("zygote ready")
        with open(self.machine.path("/etc/apt/sources.list.d/security.list"), "w") as file:
            file.write(f"deb {machine.SECURITY} bookworm-security main\n")
        self.machine.run("apt-get", "-qq", "update")
        done = self.apt("install", "--only-upgrade", "libpython3.11-stdlib")
        self.assertIn("six is left out", done.stdout + done.stderr)
        self.assertNotEqual(os.stat(library).st_ino, made)
        self.assertIn("fits", self.machine.run("paddock-library", "--update").stdout)
        pool.wait_until(lambda: self.machine.log("paddock").count("zygote ready") > told, "the pool has a new zygote")
        self.assertEqual(self.process(), before)
        self.test_it_runs_programs()

    def test_z_removal(self):
        """Leaves the configuration and the queue; purging leaves nothing but the user, also where the package was not configured."""
        self.machine.run("python3", "-c", "import sys; sys.path.append('/usr/share/paddock/clients'); import recording")
        self.assertTrue(self.machine.exists("/usr/share/paddock/clients/__pycache__"))
        self.machine.run("mkdir", "-p", "/usr/share/doc/paddock/examples/gateway/node_modules/redis")  # as npm would
        self.apt("remove", "paddock")
        left = [name for name in FILES if self.machine.exists(name)]
        self.assertEqual(left, ["/etc/paddock/paddock.conf", "/etc/paddock/redis.conf"])
        self.assertTrue(self.machine.exists("/var/lib/paddock/appendonlydir"))
        self.assertEqual(self.machine.run("pgrep", "-f", "paddock", check=False).stdout, "")
        self.apt("purge", "paddock")
        self.check_purged()
        self.apt("install", "/root/paddock.deb")
        self.machine.run("dpkg", "--unpack", "/root/paddock.deb")  # anew, and no further
        self.apt("purge", "paddock")
        self.check_purged()

    def check_purged(self):
        self.assertEqual([self.state(unit) for unit in ("paddock", "paddock-redis")], ["inactive", "inactive"])
        self.assertEqual(self.machine.run("find", "/run", "-maxdepth", "1", "-name", "paddock*").stdout, "")
        found = self.machine.run("find", "/", "-xdev", "-name", "*paddock*", "-not", "-path", "/proc/*", "-not", "-path", "/root/*").stdout
        self.assertEqual([line for line in found.splitlines() if not line.startswith(("/run/", "/sys/", "/var/lib/apt", "/var/cache"))], [])


if __name__ == "__main__":
    unittest.main()
