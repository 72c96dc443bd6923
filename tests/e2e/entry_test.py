# SPDX-License-Identifier: MIT
"""Where a program starts: the field `entry`, as `python -m` and `python FILE` would have it."""

import unittest

import pool
import recording

GUARDED = """\
import sys
def main():
    print("called as", __name__)
if __name__ == "__main__":
    print(__name__, repr(__package__), __spec__ and __spec__.name, __file__, sys.argv, sys.path[0])
    print(sys.modules["__main__"].main is main, __loader__.get_source(None).splitlines()[0])
"""
FILES = {
    "robot.py": GUARDED,
    "pkg/__init__.py": "print('the package', __name__)\n",
    "pkg/__main__.py": "from . import arm\n" + GUARDED,
    "pkg/arm.py": "print('the arm', __name__)\n" + GUARDED,
    "pkg/broken.py": "from .arm import nothing\n",
    "pkg/wrong.py": "x = (\n",
    "pkg/sub/__init__.py": "1 / 0\n",
    "pkg/sub/deep.py": "print('never')\n",
    "spaces/tool.py": GUARDED,
    "plain/__init__.py": "",
    "tasks.py": "import asyncio, sys\nasync def later(x):\n    await asyncio.sleep(0.01)\n    return x\n"
                "async def main():\n    print('begun')\n    return await asyncio.gather(later(1), later(2))\n"
                "async def wrong():\n    await later(0)\n    1 / 0\nasync def leave():\n    sys.exit(await later(3))\n"
                "async def many():\n    yield 1\n",
    "os.py": "print('mine', __spec__.origin)\n",
}


class Entry(pool.TestCase):
    OPTIONS = {"workers": 1}

    def run_entry(self, entry, verdict="ok", **fields):
        job = self.client.run(pool.make_zip(FILES), entry=entry, **fields)
        self.assertEqual(job.verdict, verdict, job.result["sentence"])
        records = recording.decode(job.recording)
        return job, recording.text(records), recording.text(records, "err")

    def test_a_module(self):
        _, out, _ = self.run_entry("robot", argv="red\n1")
        self.assertEqual(out, "__main__ '' robot /robot/robot.py ['/robot/robot.py', 'red', '1'] /robot\nTrue import sys\n")

    def test_a_package(self):
        _, out, _ = self.run_entry("pkg")
        self.assertEqual(out, "the package pkg\nthe arm pkg.arm\n__main__ 'pkg' pkg.__main__ /robot/pkg/__main__.py "
                              "['/robot/pkg/__main__.py'] /robot\nTrue from . import arm\n")

    def test_a_module_in_a_package(self):
        _, out, _ = self.run_entry("pkg.arm")
        self.assertEqual(out, "the package pkg\nthe arm __main__\n__main__ 'pkg' pkg.arm /robot/pkg/arm.py "
                              "['/robot/pkg/arm.py'] /robot\nTrue print('the arm', __name__)\n")

    def test_a_module_in_a_namespace_package(self):
        _, out, _ = self.run_entry("spaces.tool")
        self.assertTrue(out.startswith("__main__ 'spaces' spaces.tool /robot/spaces/tool.py "), out)

    def test_one_that_is_called_as_pythons(self):
        self.assertEqual(self.run_entry("os")[1], "mine /robot/os.py\n")

    def test_a_path(self):
        _, out, _ = self.run_entry("robot.py")
        self.assertTrue(out.startswith("__main__ None None /robot/robot.py ['/robot/robot.py'] /robot\n"), out)

    def test_a_function(self):
        """It is imported under its own name."""
        self.assertEqual(self.run_entry("robot:main")[1], "called as robot\n")
        self.assertEqual(self.run_entry("pkg.arm:main")[1], "the package pkg\nthe arm pkg.arm\ncalled as pkg.arm\n")

    def test_a_function_that_is_awaited(self):
        for trace in "off", "steps":
            job, out, err = self.run_entry("tasks:main", trace=trace)
            values = [r["part"] for r in recording.decode(job.recording) if r["kind"] == "value"]
            self.assertEqual((out, err, values), ("begun\n", "", [b"[1, 2]"]))
        job, _, err = self.run_entry("tasks:wrong", "exception")
        self.assertIn("ZeroDivisionError: division by zero (tasks.py, line 10)", job.result["sentence"])
        error = [r for r in recording.decode(job.recording) if r["kind"] == "error"][-1]
        self.assertEqual([frame["function"] for frame in error["frames"]], ["wrong"])
        self.assertEqual(self.run_entry("tasks:leave", "exit")[0].result["exit_code"], 3)
        self.assertIn("Object of type async_generator is not JSON", self.run_entry("tasks:many")[2])

    def test_tracebacks_hold_the_program_alone(self):
        """No frame of ours, of importlib's or of runpy's: all lines are the program's."""
        for entry, frames in (("pkg.sub.deep", ["pkg/sub/__init__.py"]), ("pkg.broken", ["pkg/broken.py"])):
            _, _, err = self.run_entry(entry, "exception")
            self.assertEqual([line.split('"')[1] for line in err.splitlines() if line.startswith("  File ")],
                             [f"/robot/{frame}" for frame in frames])
        job, _, err = self.run_entry("pkg.wrong", "compile_error")
        self.assertEqual(err, '  File "/robot/pkg/wrong.py", line 1\n    x = (\n        ^\n'
                              "SyntaxError: '(' was never closed\n")
        self.assertIn("(pkg/wrong.py, line 1)", job.result["sentence"])
        for entry in "pkg.wrong:f", "pkg.wrong:wrong":
            self.assertEqual(self.run_entry(entry, "compile_error")[2], err)

    def test_one_that_is_nested_too_deep(self):
        """It is named, and what to do about it is said."""
        for source, name in ("+".join("1" * 5000), "RecursionError"), ("not " * 7000 + "1", "MemoryError"):
            files = pool.make_zip({"deep.py": f"x = {source}\ndef f(): pass\n", "main.py": "import deep\n"})
            for entry, verdict, frames in ("deep", "compile_error", 0), ("deep:f", "compile_error", 0), ("main", "exception", 1), ("main:f", "exception", 1):
                with self.subTest(name, entry=entry):
                    job = self.client.run(files, entry=entry)
                    err = recording.text(recording.decode(job.recording), "err")
                    self.assertEqual((job.verdict, err.count("  File ")), (verdict, frames), err)
                    self.assertIn(name, job.result["sentence"])
                    if entry != "deep":
                        self.assertIn("/robot/deep.py cannot be compiled", err)
                    if verdict == "compile_error":
                        self.assertIn("write it in smaller steps", job.result["sentence"])

    def test_calls_are_traced(self):
        job, _, _ = self.run_entry("pkg", trace="calls")
        names = [record["name"] for record in recording.decode(job.recording) if record["kind"] == "function"]
        self.assertIn("<module>", names)

    def test_a_package_that_does_not_run(self):
        job, _, _ = self.run_entry("plain", "no_entry")
        self.assertEqual(job.result["sentence"], "plain is a package without a __main__.py, so it does not run by itself: "
                                                 "write the module in it, or plain:function.")


if __name__ == "__main__":
    unittest.main()
