# SPDX-License-Identifier: MIT
"""A pool that serves several queues: each by its weight, none forgotten, and whatever a job needs goes to its own queue."""

import json
import os
import signal
import time
import unittest
import urllib.request

import pool
import recording
from command import Command



def text(job):
    return recording.text(recording.decode(job.recording))


class Queues(Command):
    def serve(self, queues, **options):
        """A pool, and a client of each of its queues."""
        p = self.enterContext(pool.Pool(queue=queues, **options))
        return p, [pool.Client(p.redis, share.partition(":")[0]) for share in queues.split()]

    def test_jobs_of_one_name_in_each(self):
        _, clients = self.serve("a b:100 c.d_e-f", workers=2)
        for turn in range(10):
            jobs = [client.enqueue(pool.make_zip(f"print({i})"), job=f"same-{turn}") for i, client in enumerate(clients)]
            for i, (client, job) in enumerate(zip(clients, jobs)):
                job = client.wait(job)
                self.assertEqual((job.verdict, text(job)), ("ok", f"{i}\n"), job.result)
        for client in clients:
            self.assertEqual(client.redis.zcard(client.key("open")), 0)

    def test_shares(self):
        """While jobs wait in all of them."""
        p, clients = self.serve("a:3 b c:2", workers=1)
        for client in clients:
            client.redis.execute_command("FCALL", "paddock_pause", 1, client.key("open"))
        jobs = [(client, client.enqueue(pool.make_zip("1"))) for client in clients for _ in range(30)]
        for client in clients:
            client.redis.execute_command("FCALL", "paddock_resume", 1, client.key("open"))
        for client, job in jobs:
            client.wait(job)
        order = sorted((int(client.job(job)["started_ms"]), clients.index(client)) for client, job in jobs)
        first = [queue for _, queue in order[:48]]
        for queue, share in (0, 24), (1, 8), (2, 16):
            self.assertTrue(abs(first.count(queue) - share) <= 2, first)

    def test_who_came_alone_owes_nothing(self):
        """One by one, each by its own wake-up; then many of both."""
        p, clients = self.serve("a b", workers=1)
        for _ in range(30):
            clients[0].run("1")
            time.sleep(0.02)  # so that its worker waits for a wake-up again
        held = clients[0].begin()
        jobs = [(client, client.enqueue(pool.make_zip("1"))) for client in clients for _ in range(20)]
        clients[0].cancel(held)
        for client, job in jobs:
            client.wait(job)
        order = [queue for _, queue in sorted((int(client.job(job)["started_ms"]), clients.index(client)) for client, job in jobs)]
        self.assertTrue(abs(order[:20].count(0) - 10) <= 2, order)

    def test_a_list_of_wake_ups_that_is_none(self):
        """Of a queue where nobody enqueues: the others go on."""
        _, (a, b) = self.serve("a b", workers=1)
        a.redis.delete(a.key("wake"))
        a.redis.set(a.key("wake"), "x")
        self.assertEqual(b.run("print(1)").verdict, "ok")
        pool.wait_until(lambda: not a.redis.exists(a.key("wake")), "it is removed")
        self.assertEqual(b.run("print(1)").verdict, "ok")

    def test_all_workers_are_for_whoever_waits(self):
        p, (a, b) = self.serve("a:100 b", workers=3)
        jobs = [b.begin() for _ in range(3)]
        self.assertEqual({b.job(job)["state"] for job in jobs}, {b"running"})
        for job in jobs:
            b.cancel(job)
            self.assertEqual(b.wait(job).verdict, "cancelled")

    def test_word_of_a_running_job(self):
        """Its cancel and its input come from its own queue, whatever another of its name is told."""
        p, (a, b) = self.serve("a b", workers=2)
        jobs = {client: client.begin("print('begun', flush=True)\nprint(input(), input())\n", job="same", live_input="1")
                for client in (b, a)}
        b.redis.execute_command("FCALL", "paddock_input", 1, b.key("open"), "same", "of b\nand b\n")
        self.assertEqual(text(b.wait(jobs[b])), "begun\nof b and b\n")
        self.assertEqual(a.job("same")["state"], b"running")
        a.cancel("same")
        self.assertEqual(a.wait(jobs[a]).verdict, "cancelled")

    def test_a_worker_that_dies(self):
        """What it ran, of whichever queue, is given back by its successor."""
        p, (a, b) = self.serve("a b", workers=1, lease_ms=60000)
        for client in a, b:
            job = client.begin("import os, time\nprint('begun', flush=True)\nif not os.path.exists('x'): time.sleep(3)\n")
            os.kill(p.relays()[0], signal.SIGKILL)
            ended = client.wait(job)
            self.assertEqual((ended.verdict, ended.attempt), ("ok", b"2"), ended.result)

    def test_what_waits_too_long_beside_a_long_job(self):
        """The one worker has a job of another queue."""
        p, (a, b) = self.serve("a b", workers=1, lease_ms=1000)
        job = a.begin()
        late = b.enqueue(pool.make_zip("1"), max_wait_s=1)
        self.assertEqual(b.wait(late).verdict, "expired")
        a.cancel(job)
        a.wait(job)

    def test_many_that_wait_too_long(self):
        """However many they are, whether the queue is paused or its one worker has a job."""
        _, (a,) = self.serve("a", workers=1)
        for paused in True, False:
            if paused:
                a.redis.execute_command("FCALL", "paddock_pause", 1, a.key("open"))
            else:
                job = a.begin()
            late = [a.enqueue(pool.make_zip("1"), max_wait_s=1) for _ in range(1000)]
            pool.wait_until(lambda: a.redis.zcard(a.key("open")) == (0 if paused else 1), "they expire")
            self.assertEqual({a.wait(one).verdict for one in late[::100]}, {"expired"})
            a.redis.execute_command("FCALL", "paddock_resume", 1, a.key("open"))
        a.cancel(job)
        a.wait(job)

    def test_one_that_is_paused_holds_up_no_other(self):
        p, (a, b) = self.serve("a:100 b", workers=1)
        a.redis.execute_command("FCALL", "paddock_pause", 1, a.key("open"))
        held = a.enqueue(pool.make_zip("print(1)"))
        for _ in range(5):
            self.assertEqual(b.run("print(2)").verdict, "ok")
        self.assertEqual(a.job(held)["state"], b"queued")
        a.redis.execute_command("FCALL", "paddock_resume", 1, a.key("open"))
        self.assertEqual(a.wait(held).verdict, "ok")

    def test_more_workers_for_any_of_them(self):
        p, (a, b) = self.serve("a b", workers=1, max_workers=3, scale_up_ms=50)
        jobs = [b.enqueue(pool.make_zip(pool.LONG), wall_ms=600000) for _ in range(3)]
        pool.wait_until(lambda: {b.job(job)["state"] for job in jobs} == {b"running"}, "all run")
        for job in jobs:
            b.cancel(job)
            b.wait(job)

    def test_what_is_shown(self):
        port = pool.free_port()
        p, (a, b) = self.serve("a:3 b", workers=2, metrics=f"127.0.0.1:{port}")
        job = b.begin(tenant="team")
        b.redis.execute_command("FCALL", "paddock_pause", 1, b.key("open"), "lunch")

        def page(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                    return answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.read().decode()

        pool.wait_until(lambda: 'paddock_queue_running{queue="b"} 1\n' in page("metrics"), "it is told")
        figures = page("metrics")
        for line in 'queue_running{queue="a"} 0', 'queue_weight{queue="a"} 3', 'queue_weight{queue="b"} 1', 'queue_paused{queue="b"} 1':
            self.assertIn(f"\npaddock_{line}\n", figures)
        self.assertEqual(page("health"), "the queue b is paused\n")
        seen = json.loads(self.paddock("top", "--once", "--json", "--runtime-dir", p.runtime).stdout)
        self.assertEqual([(q["queue"], q["running"], q.get("paused")) for q in seen["queues"]], [("a", 0, None), ("b", 1, "lunch")])
        self.assertEqual([(s["queue"], s["job"]) for s in seen["slots"] if "job" in s], [("b", job)])
        shown = self.paddock("top", "--once", "--runtime-dir", p.runtime).stdout
        for words in "queues a, b, up ", "a: waiting 0, running 0", "b: waiting 0, running 1", f"  b/{job}  team", "TENANT OF b\n":
            self.assertIn(words, shown)
        seen = json.loads(self.paddock("top", "--once", "--json", "--runtime-dir", p.runtime, "--queue", "b").stdout)
        self.assertEqual([q["queue"] for q in seen["queues"]], ["b"])
        self.assertIn(f"queue=b job={job}", p.read_log() + "".join(self.after(b, job, p)))

    def after(self, client, job, p):
        client.cancel(job)
        client.wait(job)
        pool.wait_until(lambda: f"job={job} attempt=1 verdict=cancelled" in p.read_log(), "it is logged")
        return p.read_log()

    def test_the_command_uses_the_first_where_none_is_named(self):
        p, (a, b) = self.serve("a b:2", workers=1)
        path = self.path("robot.py", "print('here')\n")
        for words, client in ((), a), (("--queue", "b"), b):
            done = self.paddock("submit", "--follow", *words, "--runtime-dir", p.runtime, path)
            self.check(done, 0, out="here\n")
            self.assertEqual(client.redis.keys(client.key("job:*")) != [], True)

    def test_queues_of_several_slots_of_a_cluster(self):
        port, bus = pool.free_port(), pool.free_port()
        with pool.RedisServer("--cluster-enabled", "yes", "--cluster-port", str(bus), "--bind", "127.0.0.1", port=port) as server:
            pool.connect(server.address).execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            p, _ = self.serve("a b", workers=1, redis=server.address)
            pool.wait_until(lambda: "in a Cluster a pool serves one queue" in p.read_log(), "it is said")


if __name__ == "__main__":
    unittest.main()
