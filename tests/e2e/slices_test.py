# SPDX-License-Identifier: MIT
"""Slices of a recording on ways to Redis that are cut, slow or late, and that it refuses or forgets: each is there once and in its
place, or is counted as dropped."""

import contextlib
import os
import signal
import subprocess
import unittest

import redis

import pool
import proxy
import recording

LINES = "".join(f"line {i}\n" for i in range(200))
PROGRAM = "import time\nfor i in range(200):\n    print('line', i, flush=True)\n    time.sleep(0.005)\n"
# A slice of its own for each line, and time for what is to happen in between.
THREE = ("import time\nprint('begun', flush=True)\ntime.sleep(0.3)\nprint('two', flush=True)\ntime.sleep(0.3)\nprint('three', flush=True)\n"
         "time.sleep(1.5)\nprint('four', flush=True)\n")


class Slices(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(pool.RedisServer())
        self.proxied = self.enterContext(proxy.Proxy(self.server.socket))
        self.pool = self.enterContext(pool.Pool(workers=1, redis=self.proxied.address))
        self.client = pool.Client(self.server.connect(), "test")

    def hook(self, do):
        """`do(when, words)`, of what is published."""
        self.proxied.hook = lambda when, words: do(when, words) if words[0] == "XADD" else None

    def check(self, job, text, dropped=0, attempt=1):
        ended = self.client.wait(job)
        self.assertEqual((ended.verdict, ended.result["frames_dropped"], ended.result["attempt"]), ("ok", dropped, attempt))
        self.assertEqual(recording.text(recording.decode(ended.recording)), text)

    def bring_late(self, moment):
        """A slice stands on the way as its connection is given up, six times. It is brought before it is sent again, or behind that;
        or, None, all when the job is over."""
        late, seen = [], []

        def bring():
            with contextlib.suppress(redis.ResponseError):
                self.client.redis.execute_command(*[word.encode(errors="surrogateescape") for word in late.pop()])

        def hold(when, words):
            if when == "before" and words not in seen and len(seen) < 6 and (moment is None or not late):
                seen.append(words)
                late.append(words)
                raise proxy.Torn
            if when == moment and late:
                bring()

        self.hook(hold)
        job = self.client.enqueue(pool.make_zip(PROGRAM))
        self.client.wait(job)
        while late:
            bring()
        self.assertEqual(len(seen), 6)
        self.check(job, LINES)
        self.assertEqual(self.client.redis.xrange(self.client.key("frames:", job))[-1][1][b"k"], b"result")

    def test_brought_before_they_are_sent_again(self):
        self.bring_late("before")

    def test_brought_behind_that(self):
        self.bring_late("after")

    def test_brought_when_the_job_is_over(self):
        self.bring_late(None)

    def test_refused_and_not_answered(self):
        """What follows was taken, so that there is no place for it any more: it is counted, and not taken to be there."""
        answered = []

        def refuse(when, words):
            if "two" in words[-1] and not answered:
                if when == "before":
                    self.client.redis.config_set("maxmemory", 1)
                    return
                self.client.redis.config_set("maxmemory", 0)
                answered.append(words)
                pool.wait_until(lambda: any(b"three" in fields[b"d"] for _, fields in self.client.redis.xrange(key)), "the next is taken")
                raise proxy.Torn

        self.hook(refuse)
        job = self.client.enqueue(pool.make_zip(THREE))
        key = self.client.key("frames:", job)
        self.check(job, "begun\nthree\nfour\n", dropped=1)
        self.assertEqual(len(answered), 1)
        done = subprocess.run([pool.program("paddock"), "follow", job, "--redis", self.server.address, "--queue", "test"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "begun\nthree\nfour\n",
                          "paddock: 1 part of what the program did is missing here: Redis, full or away, did not take it\n"))

    def test_forgotten_when_it_was_not_answered(self):
        """Redis had it when it was asked, and comes back without it: the recording is not whole."""
        torn, asked = [], []

        def tear(when, words):
            if when == "after" and words[0] == "XADD" and "two" in words[-1] and not torn:
                torn.append(words)
                raise proxy.Torn
            if when == "after" and words[0] == "XRANGE":
                asked.append(words)

        self.proxied.hook = tear
        job = self.client.enqueue(pool.make_zip(THREE.replace("0.3", "3")))
        key = self.client.key("frames:", job)
        pool.wait_until(lambda: any(b"begun" in fields[b"d"] for _, fields in self.client.redis.xrange(key)), "it has begun")
        self.client.redis.save()
        pool.wait_until(lambda: asked, "it was asked")
        self.server.process.kill()
        self.server.process.wait()
        self.server.start()
        self.check(job, "begun\ntwo\nthree\nfour\n", attempt=2)

    def test_what_is_asked(self):
        """No more than what is in doubt, by parts: nothing of the attempt before, and no more at once than a slow way brings."""
        torn, asked = [], []

        def tear(when, words):
            if when == "after" and words[0] == "XADD" and words[7] == "2" and len(torn) < 3:
                torn.append(words)
                raise proxy.Torn
            if when == "before" and words[0] == "XRANGE":
                asked.append(words)

        def newest():
            return [fields[b"k"] for _, fields in self.client.redis.xrange(key)]

        job = self.client.enqueue(pool.make_zip("import time\nfor i in range(20):\n    print('x' * 40000)\n    time.sleep(0.02)\n"))
        key = self.client.key("frames:", job)
        pool.wait_until(lambda: len(newest()) > 5, "it prints")
        self.proxied.hook = tear
        os.kill(self.pool.relays()[0], signal.SIGKILL)
        self.check(job, ("x" * 40000 + "\n") * 20, attempt=2)
        begun = [at for at, fields in self.client.redis.xrange(key) if fields[b"k"] == b"state"][-1].decode()
        self.assertEqual((len(torn), asked[0][2]), (3, "(" + begun))
        self.assertEqual({words[4] for words in asked}, {"COUNT"})
        self.assertLess(max(int(words[5]) for words in asked), 20)

    def test_what_another_relay_has_sent(self):
        """One that has lost the job: what stands behind ours, or in its place, is passed by, and passed over by readers. Where it
        takes the place of one of two that are under way there is a gap, which is counted."""
        for place in "behind", "its own":
            with self.subTest(place):
                strays, sent = [], set()

                def get_before(when, words):
                    sent.add(words[-1].encode(errors="surrogateescape"))
                    if when == "before" and len(strays) < 5 and words[3] not in strays:
                        strays.append(words[3])
                        self.client.redis.xadd(words[1], {"k": "slice", "a": "9", "d": "stray"}, id="*" if place == "behind" else words[3])

                self.hook(get_before)
                job = self.client.enqueue(pool.make_zip(PROGRAM))
                ended = self.client.wait(job)
                taken = {fields[b"d"] for _, fields in self.client.redis.xrange(self.client.key("frames:", job))
                         if (fields[b"k"], fields[b"a"]) == (b"slice", b"1")}
                numbers = [int(line.split()[1]) for line in recording.text(recording.decode(ended.recording)).splitlines()]
                self.assertEqual((ended.verdict, len(strays), numbers), ("ok", 5, sorted(set(numbers))))
                self.assertEqual(len(sent - taken), ended.result["frames_dropped"], sent - taken)  # also of what prints nothing: the header
                if len(numbers) < 200:
                    self.assertGreater(ended.result["frames_dropped"], 0)
                if place == "behind":  # one of five may be a gap: where the next, with an id behind the stray's, was under way, too
                    self.assertLessEqual(ended.result["frames_dropped"], 1)

    def test_a_library_that_does_not_say_where_they_begin(self):
        """As that of the version before, which one of its relays has put back: what is in doubt is asked for."""
        about = self.client.redis.execute_command("FUNCTION", "LIST", "WITHCODE")[0]
        code = about[about.index(b"library_code") + 1].decode()
        older = code.replace(', "after", told', "")
        self.assertNotEqual(older, code)
        self.client.redis.function_load(older, replace=True)
        torn = []

        def tear(when, words):
            if when == "after" and words[3] not in torn and len(torn) < 6 and "line" in words[-1]:
                torn.append(words[3])
                raise proxy.Torn

        self.hook(tear)
        self.check(self.client.enqueue(pool.make_zip(PROGRAM)), LINES)
        self.assertEqual((torn[0], len(torn)), ("*", 6))


if __name__ == "__main__":
    unittest.main()
