# SPDX-License-Identifier: MIT
"""A: processes, signals, threads, and the ways to end."""

from attacks import RAW, Attack, Call

SPIN = "while True: pass\n"
NO_FORK = "a Python exception says what Paddock does not allow, before any call is made"

CALLS = [
    Call("A4", "setsid", 112, "", "EPERM"),
    Call("A5", "clone", 56, "17, 0, 0, 0, 0", "EPERM"),
    Call("A5", "fork", 57, "", "EPERM"),
    Call("A5", "vfork", 58, "", "EPERM", same="no control: its child would run on our stack"),
    Call("A5", "clone3", 435, "at(), 0", "ENOSYS"),
    Call("A6", "clone of a process, bit 32 set", 56, "17 | HIGH, 0, 0, 0, 0", "EPERM"),
    Call("A6", "clone of a thread, bit 32 set", 56, "0x3d0f00 | HIGH, 0, 0, 0, 0", "EPERM",
         same="no control: a thread without a stack"),
    Call("A6", "clone of a thread, CLONE_NEWUSER", 56, "0x3d0f00 | 0x10000000, 0, 0, 0, 0", "EPERM"),
    Call("A6", "clone, CLONE_NEWUSER", 56, "17 | 0x10000000, 0, 0, 0, 0", "EPERM"),
    Call("A7", "kill everybody", 62, "-1, 0", "EPERM"),
    Call("A7", "kill its group", 62, "0, 0", "EPERM"),
    Call("A8", "kill", 62, "PPID, 0", "EPERM"),
    Call("A8", "tgkill", 234, "PPID, PPID, 0", "EPERM"),
    Call("A8", "tkill", 200, "PID, 0", "EPERM"),
    Call("A8", "rt_sigqueueinfo", 129, "PID, 0, at(bytes(8) + b'\\xff' * 4)", "EPERM"),
    Call("A8", "rt_tgsigqueueinfo", 297, "PID, PID, 0, at(bytes(8) + b'\\xff' * 4)", "EPERM"),
    Call("A8", "SIGKILL to itself, bit 32 set", 62, "PID, 9 | HIGH", "EPERM", same="no control: it would die of it"),
    Call("A9", "pidfd_open", 434, "PID, 0", "EPERM"),
    Call("A9", "pidfd_send_signal", 424, "0, 0, 0, 0", "EPERM"),
    Call("A9", "pidfd_getfd", 438, "0, 0, 0", "forbidden"),
    Call("A13", "setitimer", 38, "0, at(), 0", "EPERM"),
    Call("A13", "timer_create", 222, "1, 0, at()", "EPERM"),
    Call("A16", "setpgid", 109, "0, 0", "EPERM"),
    Call("A17", "sched_setscheduler", 144, "0, 0, at()", "EPERM"),
    Call("A17", "sched_setparam", 142, "0, at()", "EPERM"),
    Call("A17", "sched_setattr", 314, "0, at(b'\\x30' + bytes(15) + b'\\x13'), 0", "EPERM"),
    Call("A17", "setpriority", 141, "0, 0, 0", "EPERM"),
    Call("A17", "sched_getaffinity of another", 204, "PPID, 128, at()", "ENOSYS"),
    Call("A17", "sched_setaffinity", 203, "0, 128, at(b'\\xff' * 128)", "EPERM"),
    Call("A17", "ioprio_set", 251, "1, 0, 0", "EPERM"),
    Call("A18", "prlimit64", 302, "PPID, 7, 0, at()", "EPERM"),
    Call("A18", "setrlimit", 160, "4, at()", "EPERM"),
]

ATTACKS = [
    Attack("A1", "a fork bomb", "import os\nwhile 1: os.fork()\n", "exception", claim="PermissionError"),
    Attack("A1", "a fork bomb that goes on", "import os\nfor _ in range(1000):\n    try: os.fork()\n"
           "    except OSError: pass\nprint('alone')\n", "ok", out="alone\n"),
    Attack("A1", "by a raw call", RAW + "print({call(57) for _ in range(1000)})\n", "ok", out="{'EPERM'}\n"),
    Attack("A2", "many programs", "import subprocess\nfor _ in range(100):\n    try: subprocess.Popen(['sleep', '9'])\n"
           "    except PermissionError: pass\nsubprocess.Popen(['id'])\n", "exception", claim="PermissionError"),
    Attack("A2", "posix_spawn", "import os\nos.posix_spawn('/bin/id', ['id'], {})\n", "exception",
           claim="PermissionError"),
    Attack("A3", "a shell", "import os\nos.system('id')\n", "exception", claim="PermissionError", why=NO_FORK),
    Attack("A3", "a shell, by libc", RAW + "print(libc.system(b'id') != 0)\n", "ok", out="True\n"),
    Attack("A4", "a daemon", "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
           "        os.closerange(0, 3)\n        while True: pass\n", "exception", claim="PermissionError"),
    Attack("A7", "kill everybody", "import os\nos.kill(-1, 9)\n", "exception", claim="PermissionError"),
    Attack("A8", "kill the parent", "import os\nos.kill(os.getppid(), 9)\n", "exception", claim="PermissionError"),
    Attack("A8", "kill all that may be there", "import os\nfound = 0\nfor pid in range(1, 3000):\n"
           "    if pid != os.getpid():\n        try: os.kill(pid, 9)\n        except PermissionError: found += 1\n"
           "print(found)\n", "ok", check=lambda job: job.text.strip() in ("2998", "2999")),
    Attack("A10", "SIGXCPU ignored", "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n" + SPIN, "cpu_limit",
           {"cpu_ms": 50}),
    Attack("A11", "signals that ask are ignored", "import signal, time\nfor s in (signal.SIGTERM, signal.SIGINT, "
           "signal.SIGALRM):\n    signal.signal(s, signal.SIG_IGN)\ntime.sleep(1000)\n", "wall_limit", {"wall_ms": 200}),
    Attack("A12", "all signals blocked", RAW + "print(call(14, 2, at(b'\\xff' * 8), 0, 8))\n" + SPIN,
           "cpu_limit", {"cpu_ms": 200}, out="done\n"),
    Attack("A12", "all signals blocked, by Python", "import signal\n"
           "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nprint('quiet')\n" + SPIN, "cpu_limit", {"cpu_ms": 200},
           out="quiet\n"),
    Attack("A12", "a handler's signal, sent by itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSYS)\nprint('on')\n",
           "ok", out="on\n"),
    Attack("A12", "the handler that serves, replaced", RAW + "print(call(13, 31 | HIGH, at(bytes(8)), 0, 8))\n",
           "forbidden crashed", why="the filter looks at 64 bits and the kernel at 32: it harms itself"),
    Attack("A13", "a timer", "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1)\n", "exception",
           claim="itimer_error"),
    Attack("A14", "stopped by itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n", "wall_limit",
           {"wall_ms": 200}),
    Attack("A13", "an alarm without a handler", "import signal, time\nsignal.alarm(1)\ntime.sleep(9)\n", "crashed",
           check=lambda job: "alarm" in job.result["sentence"]),
    Attack("A15", "abort", "import os\nos.abort()\n", "crashed", asan=False),
    Attack("A15", "a segmentation fault", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "crashed",
           asan=False),
    Attack("A15", "SIGKILL to itself", "import os\nos.kill(os.getpid(), 9)\n", "exception", claim="PermissionError"),
    Attack("A15", "a fatal signal that looks like a limit", "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)\n",
           "crashed"),
    Attack("A16", "a session", "import os\nos.setsid()\n", "exception", claim="PermissionError"),
    Attack("A17", "a higher priority", "import os\nos.nice(-20)\n", "exception", claim="PermissionError"),
    Attack("A18", "a limit raised", "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))\n",
           "exception", claim="ValueError"),
    Attack("A18", "a limit on CPU of its own, which kills", "import resource\n"
           "resource.setrlimit(resource.RLIMIT_CPU, (0, 0))\n" + SPIN, "exception", {"cpu_ms": 500}, claim="ValueError",
           why="its SIGKILL would be taken for a fault of ours, and the job be run again"),
    Attack("A18", "the same with bit 32 set", RAW + "print(call(302, 0, HIGH, at(bytes(16)), 0))\n" + SPIN, "cpu_limit",
           {"cpu_ms": 200}, out="EPERM\n"),
    Attack("A18", "limits read and lowered", "import resource\nprint(resource.getrlimit(resource.RLIMIT_CPU)[0] > 0)\n"
           "resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))\nprint(resource.getrlimit(resource.RLIMIT_NOFILE))\n",
           "ok", out="True\n(8, 8)\n"),
    Attack("A19", "1000 threads", "import threading, time\nfor _ in range(1000):\n"
           "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n", "exception",
           claim="can't start new thread", asan=False),
    Attack("A20", "a thread that never ends", "import threading, time\n"
           "threading.Thread(target=time.sleep, args=(1000,)).start()\n", "wall_limit", {"wall_ms": 200}),
    Attack("A21", "an exit handler that never ends", "import atexit, time\natexit.register(time.sleep, 1000)\n",
           "ok", {"wall_ms": 300}, why="it had ended, and what it left behind has no more than the grace and its limits"),
    Attack("A21", "an exit handler that crashes", "import atexit, os\natexit.register(os.abort)\n1 / 0\n", "exception",
           claim="ZeroDivisionError"),
    Attack("A21", "an exit handler that leaves", "import atexit, os\natexit.register(os._exit, 0)\nexit(3)\n", "exit"),
    Attack("A21", "an exit handler that raises", "import atexit\natexit.register(lambda: 1 // 0)\nprint('done')\n", "ok",
           check=lambda job: job.text == "done\n" and "ZeroDivisionError" in job.errors),
    Attack("A22", "leave at once", "import os\nos._exit(0)\n", "vanished"),
    Attack("A22", "leave at once with a status", "import os\nos._exit(7)\n", "vanished"),
    Attack("A22", "leave by a raw call", RAW + "call(231, 0)\n", "vanished"),
    Attack("A22", "only the main thread leaves", RAW + "call(60, 0)\n", "vanished"),
    Attack("A23", "exit with a text", "import sys\nsys.exit('bye')\n", "exit",
           check=lambda job: job.errors == "bye\n" and job.result["exit_code"] == 1),
    Attack("A23", "exit with 256", "import sys\nsys.exit(256)\n", "ok"),
    Attack("A23", "exit with 3", "import sys\nsys.exit(3)\n", "exit", check=lambda job: job.result["exit_code"] == 3),
    Attack("A23", "exit in a thread", "import sys, threading\nt = threading.Thread(target=sys.exit, args=(3,))\n"
           "t.start()\nt.join()\nprint('still here')\n", "ok", out="still here\n"),
]
