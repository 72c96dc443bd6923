# SPDX-License-Identifier: MIT
"""Nothing of one job is seen by another: each row says how a program changes the state that it finds, and how the next
one would see it. The first program's own eyes are the control: it sees the change."""

import os
import unittest

import pool
import recording

# name, how a program spoils it, and the expression by which it is seen
STATE = [
    ("an attribute of a module", "json.left = 1", "hasattr(json, 'left')"),
    ("a function of a module", "json.dumps = None", "callable(json.dumps)"),
    ("a module that C code keeps", "math.pi = 3", "math.pi"),
    ("a builtin", "builtins.left = 1", "hasattr(builtins, 'left')"),
    ("a builtin's value", "builtins.len = lambda x: 7", "len('')"),
    ("a new module", "sys.modules['left'] = sys", "'left' in sys.modules"),
    ("a module taken away", "del sys.modules['fractions']", "'fractions' in sys.modules"),
    ("a class", "collections.UserDict.left = 1", "hasattr(collections.UserDict, 'left')"),
    ("a registered class", "numbers.Number.register(str)", "isinstance('', numbers.Number)"),
    ("what pickle was told", "copyreg.pickle(slice, str)", "slice in copyreg.dispatch_table"),
    ("a codec", "codecs.register(lambda name: codecs.lookup('utf-8') if name == 'left' else None)", "knows_codec('left')"),
    ("the cache of re", "re.compile('left')", "any('left' in key for key in re._cache)"),
    ("the cache of linecache", "linecache.cache['left'] = (1, None, ['left'], 'left')", "'left' in linecache.cache"),
    ("an attribute of a function", "string.capwords.left = 1", "hasattr(string.capwords, 'left')"),
    ("the environment", "os.environ['LEFT'] = '1'; del os.environ['HOME']", "sorted(os.environ)"),
    ("the working directory", "os.chdir('folder')", "os.getcwd()"),
    ("sys.path", "sys.path.insert(0, '/left')", "sys.path"),
    ("sys.meta_path", "sys.meta_path.clear()", "len(sys.meta_path)"),
    ("sys.path_hooks", "sys.path_hooks.clear()", "len(sys.path_hooks)"),
    ("sys.argv", "sys.argv.append('left')", "sys.argv"),
    ("sys.excepthook", "sys.excepthook = None", "sys.excepthook is sys.__excepthook__"),
    ("sys.stdout", "sys.stdout.reconfigure(errors='replace', newline='\\r\\n')", "(sys.stdout.errors, sys.stdout.newlines)"),
    ("the recursion limit", "sys.setrecursionlimit(77777)", "sys.getrecursionlimit()"),
    ("the switch interval", "sys.setswitchinterval(1)", "sys.getswitchinterval()"),
    ("digits of a number", "sys.set_int_max_str_digits(0)", "sys.get_int_max_str_digits()"),
    ("a trace function", "sys.setprofile(lambda *_: None)", "sys.getprofile() is None"),
    ("a signal's handler", "signal.signal(signal.SIGUSR1, lambda *_: None)", "signal.getsignal(signal.SIGUSR1)"),
    ("an ignored signal", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.getsignal(signal.SIGTERM)"),
    ("the signal mask", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])",
     "signal.pthread_sigmask(signal.SIG_BLOCK, [])"),
    ("the file mode mask", "os.umask(0o17)", "[old := os.umask(0), os.umask(old)][0]"),
    ("the time zone", "os.environ['TZ'] = 'XYZ-7'; time.tzset()", "(time.tzname, time.localtime(0).tm_hour)"),
    ("the decimal context", "decimal.getcontext().prec = 3", "str(decimal.Decimal(1) / 3)"),
    ("the default decimal context", "decimal.DefaultContext.prec = 3", "decimal.DefaultContext.prec"),
    ("logging's level", "logging.basicConfig(level='DEBUG')", "(logging.root.level, logging.root.handlers)"),
    ("a logger", "logging.getLogger('left').disabled = True", "'left' in logging.root.manager.loggerDict"),
    ("logging switched off", "logging.disable()", "logging.root.manager.disable"),
    ("filters of warnings", "warnings.simplefilter('error')", "len(warnings.filters)"),
    ("the collector's state", "gc.disable()", "gc.isenabled()"),
    ("the collector's thresholds", "gc.set_threshold(7, 7, 7)", "gc.get_threshold()"),
    ("a context variable", "variable.set(1)", "variable.get(0)"),
    ("threads", "threading.Thread(target=time.sleep, args=(0.3,)).start()", "threading.active_count()"),
    ("the threads' stacks", "threading.stack_size(1 << 21)", "threading.stack_size()"),
    ("a limit", "resource.setrlimit(resource.RLIMIT_NOFILE, (7, 7))", "resource.getrlimit(resource.RLIMIT_NOFILE)"),
    ("a file", "shutil.left = open('secret.txt')", "hasattr(shutil, 'left')"),
    ("csv's dialects", "csv.register_dialect('left', delimiter='x')", "csv.list_dialects()"),
    ("the locale", "locale.setlocale(locale.LC_ALL, 'C.UTF-8')", "locale.setlocale(locale.LC_NUMERIC)"),
    ("random's state", "random.seed(0)", "random.getstate() == random.Random(0).getstate()"),
]

HEAD = ("import builtins, codecs, collections, contextvars, copyreg, csv, decimal, fractions, gc, json, linecache, locale\n"
        "import logging, math, numbers, os, random, re, resource, shutil, signal, string, sys, threading, time\n"
        "import warnings\nvariable = contextvars.ContextVar('left')\n"
        "def knows_codec(name):\n    try:\n        return bool(codecs.lookup(name))\n    except LookupError:\n"
        "        return False\n")

# Draws that no two programs may have in common.
DRAWS = ["random.random()", "random.getrandbits(64)", "random.Random().random()", "random.SystemRandom().random()",
         "random.sample(range(10**9), 3)", "secrets.token_hex()", "uuid.uuid4()", "os.urandom(16)",
         "next(tempfile._get_candidate_names())"]


class Isolation(pool.TestCase):
    def lines(self, source, **files):
        job = self.client.run({"robot.py": source, "folder/x.txt": "", **files})
        self.assertEqual(job.verdict, "ok", job.result)
        return recording.text(recording.decode(job.recording)).splitlines()

    def test_every_state(self):
        look = HEAD + "".join(f"print(repr({seen}))\n" for _, _, seen in STATE)
        fresh = self.lines(look)
        self.assertEqual(len(fresh), len(STATE))
        for (name, spoil, seen), before in zip(STATE, fresh):
            with self.subTest(name):
                control = self.lines(f"{HEAD}print(repr({seen}))\n{spoil}\nprint(repr({seen}))\n", **{"secret.txt": "x"})
                self.assertEqual(control[0], before, "it was not fresh")
                self.assertNotEqual(control[1].replace("\r", ""), before, "the control: it was not spoilt")
        for _ in range(4):
            self.assertEqual(self.lines(look), fresh)

    def test_files_and_modules(self):
        """Names and contents of what another program brought: files, modules, what is cached of them."""
        seen = ("import importlib, linecache, os, sys\nprint(os.listdir('.'), os.path.exists('secret.txt'), 'secret' in sys.modules,\n"
                "      [k for k in sys.path_importer_cache if 'secret' in k], [k for k in linecache.cache if 'secret' in k])\n"
                "try:\n    import secret\nexcept ImportError as error:\n    print(error)\n")
        first = "import secret, linecache, secrets_folder.inner\nprint(open('secret.txt').read())\nlinecache.getline(secret.__file__, 1)\n"
        secret = {"secret.txt": "s3cret", "secret.py": "word = 's3cret'\n", "secrets_folder/inner.py": ""}
        fresh = self.lines(seen)
        self.assertTrue(fresh[0].startswith("['"), fresh)
        self.assertNotIn("secret", fresh[0].replace("secrets", ""))
        self.assertEqual(self.lines(first, **secret), ["s3cret"])
        self.assertNotEqual(self.lines(seen, **secret), fresh)
        for _ in range(4):
            self.assertEqual(self.lines(seen), fresh)

    def test_nobody_else_is_seen(self):
        """Numbers of processes and threads, by a call that has no file."""
        seen = ("import os\ndef is_there(pid):\n    try:\n        os.sched_getaffinity(pid)\n        return True\n"
                "    except OSError:\n        return False\nprint([pid for pid in range(1, os.getpid() + 200) if is_there(pid)])\n"
                "print(os.cpu_count() > 0, len(os.sched_getaffinity(0)) > 0)\n")
        self.assertEqual(self.lines(seen), ["[]", "True True"])

    def test_draws_differ(self):
        source = "import os, random, secrets, tempfile, uuid\n" + "".join(f"print({draw})\n" for draw in DRAWS)
        jobs = [self.lines(source) for _ in range(8)]
        for name, drawn in zip(DRAWS, zip(*jobs)):
            with self.subTest(name):
                self.assertEqual(len(set(drawn)), len(jobs))

    def test_same_seed_same_draws(self):
        """What a program asks for, it gets."""
        source = "import random\nrandom.seed(7)\nprint(random.random())\n"
        self.assertEqual(len({tuple(self.lines(source)) for _ in range(4)}), 1)

    @unittest.skipUnless(os.geteuid() == 0, "takes root")
    def test_ids_differ(self):
        pids = pool.wait_until(lambda: len(self.pool.sandboxes()) == 2 and self.pool.sandboxes(), "two sandboxes wait")
        ids = []
        for pid in pids:
            with open(f"/proc/{pid}/status") as file:
                ids += [line.split()[1:] for line in file if line.startswith("Uid:")]
        self.assertNotEqual(ids[0], ids[1])
        for four in ids:
            self.assertEqual(len(set(four)), 1, "real, effective, saved and of files")
            self.assertGreater(int(four[0]), 65535)


if __name__ == "__main__":
    unittest.main()
