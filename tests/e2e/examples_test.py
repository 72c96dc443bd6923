# SPDX-License-Identifier: MIT
"""The programs of deploy/examples through the queue, as a backend would run them: output, verdict, exit code, calls."""

import os
import unittest

import pool
import recording

EXAMPLES = os.path.join(pool.ROOT, "deploy", "examples")
ROBOT = "Cheese!\nMaja flies to the poppy\nMaja flies to the daisy\nbzzz\n"
PACKAGE = ("practice arena, 64 m2\nA circle of 1.5 m has an area of 7.07 m2.\n"
           "6 tokens are gold\n4 tokens are silver\n")
LOOKING = "Looking for the wall ...\nStill looking ...\n"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def example(name):
    """A ZIP of an example's folder, as a student's editor would make it."""
    top = os.path.join(EXAMPLES, name)
    files = {}
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        for file in sorted(names):
            path = os.path.join(folder, file)
            files[os.path.relpath(path, top)] = read(path)
    return pool.make_zip(files)


class Examples(pool.TestCase):
    def check(self, job, verdict, exit_code, out):
        """The records of a job that ended so."""
        self.assertEqual((job.verdict, job.result["exit_code"]), (verdict, exit_code), job.result)
        records = recording.decode(job.recording, partial=verdict == "cpu_limit")
        self.assertEqual(recording.text(records), out)
        return records

    def test_hello_is_one_file(self):
        job = self.client.run(read(os.path.join(EXAMPLES, "hello.py")), source="py", entry="hello.py")
        self.check(job, "ok", 0, "Hello, world!\n")
        job = self.client.run(read(os.path.join(EXAMPLES, "hello.py")), source="py", entry="hello.py",
                              argv="Ada\nGrace")
        self.check(job, "ok", 0, "Hello, Ada!\nHello, Grace!\n")

    def test_robot2010_starts_in_three_ways(self):
        for fields in ({}, {"entry": "run.py"}, {"entry": "robot:main"}):
            with self.subTest(**fields):
                records = self.check(self.client.run(example("robot2010"), **fields), "ok", 0, ROBOT)
                self.assertEqual(recording.calls(records), [])

    def test_robot2010_lists_its_calls_with_their_files(self):
        job = self.client.run(example("robot2010"), entry="robot:main", trace="calls")
        calls = recording.calls(self.check(job, "ok", 0, ROBOT))
        self.assertEqual([(file, name) for file, _, name in calls],
                         [("/robot/robot.py", "<module>"), ("/robot/bees.py", "<module>"),
                          ("/robot/bees.py", "Bee"), ("/robot/robot.py", "Face"), ("/robot/robot.py", "main"),
                          ("/robot/robot.py", "Face.__init__"), ("/robot/bees.py", "Bee.__init__"),
                          ("/robot/robot.py", "Face.cheese"), ("/robot/robot.py", "Face.bee"),
                          ("/robot/bees.py", "Bee.fly"), ("/robot/bees.py", "Bee.fly"),
                          ("/robot/bees.py", "Bee.hum")])

    def test_robot2010_lists_the_calls_of_the_program_that_starts_it(self):
        job = self.client.run(example("robot2010"), entry="run.py", trace="calls")
        calls = recording.calls(self.check(job, "ok", 0, ROBOT))
        self.assertEqual(calls[0], ("/robot/run.py", 1, "<module>"))
        names = [name for _, _, name in calls]
        self.assertIn("Face.cheese", names)
        self.assertNotIn("main", names)

    def test_package_finds_its_packages_and_its_data(self):
        self.check(self.client.run(example("package")), "ok", 0, PACKAGE)

    def test_endless_has_shown_its_output_before_it_is_stopped(self):
        job = self.client.wait(self.client.enqueue(example("endless"), cpu_ms=1000, trace="calls"))
        slices = [entry[b"d"] for entry in job.entries if entry[b"k"] == b"slice"]
        shown = next(count for count in range(1, len(slices) + 1)
                     if LOOKING == recording.text(recording.decode(b"".join(slices[:count]), partial=True)))
        self.assertLess(shown, len(slices), "all of its output came at its end")
        records = self.check(job, "cpu_limit", 83, LOOKING)
        self.assertGreater(recording.produced(records), 100_000)
        self.assertEqual(recording.calls(records)[-1][::2], ("/robot/robot.py", "look"))

    def test_deep_error_names_every_module_on_its_way(self):
        job = self.client.run(example("deep_error"))
        records = self.check(job, "exception", 1, "Starting.\nDriving.\nPlanning.\n")
        error = [r for r in records if r["kind"] == "error"][-1]
        self.assertEqual(error["type"], "ZeroDivisionError")
        self.assertEqual([frame["file"] for frame in error["frames"]],
                         ["/robot/robot.py", "/robot/driver.py", "/robot/planner.py", "/robot/speed.py"])
        self.assertEqual(error["frames"][-1]["source"].strip(), "return distance / seconds")
        self.assertIn("speed.py, line 6", job.result["sentence"])


if __name__ == "__main__":
    unittest.main()
