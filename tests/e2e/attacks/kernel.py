# SPDX-License-Identifier: MIT
"""B: the kernel's entry points, by raw calls."""

from attacks import RAW, Attack, Call

# Shares one user: what a call of nobody's is refused for, it is refused for without the filter, too.
POWER = "the kernel, too, refuses it to who has no power, before it looks at anything else"
NO_CONSOLE = "no console here, whose ioctl it is"

CALLS = [
    Call("B1", "ptrace", 101, "0, 0, 0, 0", "forbidden"),
    Call("B2", "process_vm_readv", 310, "PID, 0, 0, 0, 0, 0", "forbidden"),
    Call("B2", "process_vm_writev", 311, "PID, 0, 0, 0, 0, 0", "forbidden"),
    Call("B3", "io_uring_setup", 425, "1, at()", "forbidden"),
    Call("B3", "io_uring_enter", 426, "0, 0, 0, 0, 0, 0", "forbidden"),
    Call("B3", "io_uring_register", 427, "0, 0, 0, 0", "forbidden"),
    Call("B4", "userfaultfd", 323, "1", "forbidden"),
    Call("B5", "bpf", 321, "0, at(), 48", "forbidden"),
    Call("B6", "perf_event_open", 298, "at(), 0, -1, -1, 0", "forbidden"),
    Call("B7", "keyctl", 250, "999, 0, 0, 0, 0", "forbidden"),
    Call("B7", "add_key", 248, "0, 0, 0, 0, 0", "forbidden"),
    Call("B7", "request_key", 249, "0, 0, 0, 0", "forbidden"),
    Call("B8", "unshare", 272, "0x10000000", "forbidden"),
    Call("B8", "setns", 308, "0, 0", "forbidden"),
    Call("B9", "mount", 165, "0, 0, 0, 0, 0", "forbidden"),
    Call("B9", "umount2", 166, "0, 0", "forbidden"),
    Call("B9", "pivot_root", 155, "0, 0", "forbidden"),
    Call("B9", "chroot", 161, "0", "forbidden"),
    Call("B9", "fsopen", 430, "0, 0", "forbidden"),
    Call("B9", "fsconfig", 431, "0, 0, 0, 0, 0", "forbidden"),
    Call("B9", "fsmount", 432, "0, 0, 0", "forbidden"),
    Call("B9", "fspick", 433, "0, 0, 0", "forbidden"),
    Call("B9", "open_tree", 428, "0, 0, 0", "forbidden"),
    Call("B9", "move_mount", 429, "0, 0, 0, 0, 0", "forbidden"),
    Call("B9", "mount_setattr", 442, "0, 0, 0, 0, 0", "forbidden"),
    Call("B10", "personality", 135, "0x400000", "forbidden"),
    Call("B11", "mmap of code", 9, "0, 4096, 7, 0x22, -1, 0", "forbidden"),
    Call("B11", "mmap of shared code", 9, "0, 4096, 5, 0x21, -1, 0", "forbidden"),
    Call("B11", "mprotect to code", 10, "page(), 4096, 5", "forbidden"),
    Call("B11", "mprotect to code, bit 32 set", 10, "page(), 4096, 7 | HIGH", "forbidden"),
    Call("B12", "memfd_create", 319, "at(b'x'), 0", "forbidden"),
    Call("B12", "memfd_create by length", 319, "at(b'x' * 200), 1", "forbidden"),
    Call("B12", "memfd_secret", 447, "0", "forbidden"),
    Call("B12", "execveat", 322, "0, at(b''), 0, 0, 0x1000", "forbidden"),
    Call("B13", "execve", 59, "0, 0, 0", "forbidden"),
    Call("B16", "modify_ldt", 154, "0, at(), 16", "forbidden"),
    Call("B17", "seccomp", 317, "2, 0, at()", "forbidden"),
    Call("B17", "prctl(PR_SET_SECCOMP)", 157, "22, 2, 0, 0, 0", "EPERM"),
    Call("B18", "pidfd_getfd", 438, "0, 0, 0", "forbidden"),
    Call("B19", "process_madvise", 440, "0, 0, 0, 0, 0", "forbidden"),
    Call("B19", "process_mrelease", 448, "0, 0", "forbidden"),
    Call("B20", "reboot", 169, "0, 0, 0, 0", "forbidden"),
    Call("B20", "swapon", 167, "0, 0", "forbidden"),
    Call("B20", "swapoff", 168, "0", "forbidden"),
    Call("B20", "init_module", 175, "0, 0, 0", "forbidden"),
    Call("B20", "finit_module", 313, "-1, 0, 0", "forbidden"),
    Call("B20", "delete_module", 176, "0, 0", "forbidden"),
    Call("B20", "kexec_load", 246, "0, 0, 0, 0", "forbidden"),
    Call("B20", "kexec_file_load", 320, "-1, -1, 0, 0, 0", "forbidden"),
    Call("B20", "acct", 163, "0", "forbidden"),
    Call("B20", "quotactl", 179, "0, 0, 0, 0", "forbidden"),
    Call("B20", "iopl", 172, "0", "forbidden"),
    Call("B20", "ioperm", 173, "0, 1, 0", "forbidden"),
    Call("B20", "syslog", 103, "99, 0, 0", "EPERM", same="the kernel's log is for root alone (dmesg_restrict)"),
    Call("B21", "mmap of shared memory", 9, "0, 4096, 3, 0x21, -1, 0", "EPERM"),
    Call("B21", "mmap of huge pages", 9, "0, 1 << 21, 3, 0x40022, -1, 0", "EPERM"),
    Call("B21", "mmap of locked memory", 9, "0, 4096, 3, 0x2022, -1, 0", "EPERM"),
    Call("B21", "mmap of memory that grows", 9, "0, 4096, 3, 0x122, -1, 0", "EPERM"),
    Call("B21", "mmap of memory that is filled", 9, "0, 4096, 3, 0x8022, -1, 0", "EPERM"),
    Call("B21", "mmap of memory to read", 9, "0, 4096, 1, 0x22, -1, 0", "EPERM"),
    Call("B21", "mmap of a file", 9, "0, 4096, 1, 2, 0, 0", "EPERM"),
    Call("B21", "remap_file_pages", 216, "page(), 4096, 0, 0, 0", "EPERM"),
    Call("B21", "mlock", 149, "page(), 4096", "EPERM"),
    Call("B21", "mremap to a fixed place", 25, "page(), 4096, 4096, 3, 1 << 40", "EPERM"),
    Call("B22", "mprotect, bit 32 set", 10, "page(), 4096, 3 | HIGH", "EPERM"),
    Call("B22", "mprotect to memory to read", 10, "page(), 4096, 1", "EPERM"),
    Call("B23", "pkey_mprotect", 329, "page(), 4096, 3, -1", "EPERM"),
    Call("B23", "pkey_alloc", 330, "1, 0", "EPERM"),
    Call("B24", "FUTEX_LOCK_PI", 202, "at(), 6, 0, 0, 0, 0", "EPERM"),
    Call("B24", "FUTEX_TRYLOCK_PI", 202, "at(), 8, 0, 0, 0, 0", "EPERM"),
    Call("B24", "FUTEX_LOCK_PI2", 202, "at(), 13, 0, 0, 0, 0", "EPERM"),
    Call("B24", "FUTEX_WAIT_REQUEUE_PI", 202, "at(), 11, 0, 0, 0, 0", "EPERM"),
    Call("B24", "FUTEX_CMP_REQUEUE_PI", 202, "at(), 12, 0, 0, 0, 0", "EPERM"),
    Call("B24", "FUTEX_REQUEUE, shared", 202, "at(), 3, 1, 0, at(), 0", "EPERM"),
    Call("B24", "FUTEX_CMP_REQUEUE, shared", 202, "at(), 4, 1, 0, at(), 0", "EPERM"),
    Call("B24", "FUTEX_WAKE_OP, shared", 202, "at(), 5, 1, 0, at(), 0", "EPERM"),
    Call("B24", "a futex call of no number", 202, "at(), 0x200, 0, 0, 0, 0", "EPERM"),
    Call("B25", "F_SETOWN", 72, "0, 8, PID", "EPERM"),
    Call("B25", "F_SETSIG", 72, "0, 10, 0", "EPERM"),
    Call("B25", "F_SETLEASE", 72, "0, 1024, 0", "EPERM"),
    Call("B25", "F_SETLK", 72, "0, 6, at()", "EPERM"),
    Call("B25", "F_OFD_SETLK", 72, "0, 37, at()", "EPERM"),
    Call("B25", "F_NOTIFY", 72, "0, 1026, 0", "EPERM"),
    Call("B25", "F_SETPIPE_SZ", 72, "0, 1031, 4096", "EPERM"),
    Call("B25", "F_SETFL", 72, "0, 4, 0x800", "EPERM"),
    Call("B25", "F_DUPFD", 72, "0, 0, 10", "EPERM"),
    Call("B25", "flock", 73, "0, 8", "EPERM"),
    Call("B26", "TIOCSTI", 16, "TTY, 0x5412, at(b'x')", "ENOTTY"),
    Call("B26", "TIOCSTI, bit 32 set", 16, "TTY, 0x5412 | HIGH, at(b'x')", "ENOTTY"),
    Call("B26", "TIOCLINUX", 16, "TTY, 0x541c, at()", "ENOTTY", same=NO_CONSOLE),
    Call("B26", "FIOASYNC", 16, "0, 0x5452, at()", "ENOTTY", same="an eventfd has none"),
    Call("B26", "FIONBIO", 16, "0, 0x5421, at()", "ENOTTY"),
    Call("B27", "dup", 32, "0", "EPERM"),
    Call("B27", "dup2", 33, "1, 0", "EPERM"),
    Call("B27", "dup3", 292, "0, 9, 0", "EPERM"),
    Call("B27", "close of the doorbell, bit 32 set", 3, "HIGH", "EBADF"),
    Call("B27", "close_range", 436, "9, 9, 0", "EPERM"),
    Call("B28", "splice", 275, "0, 0, 1, 0, 8, 0", "EPERM"),
    Call("B28", "tee", 276, "0, 1, 8, 0", "EPERM"),
    Call("B28", "vmsplice", 278, "0, 0, 0, 0", "EPERM"),
    Call("B28", "sendfile", 40, "0, 0, 0, 8", "EPERM"),
    Call("B28", "copy_file_range", 326, "0, 0, 1, 0, 8, 0", "EPERM"),
    Call("B29", "eventfd", 284, "0", "EPERM"),
    Call("B29", "eventfd2", 290, "0, 0", "EPERM"),
    Call("B29", "timerfd_create", 283, "1, 0", "EPERM"),
    Call("B29", "signalfd4", 289, "-1, at(), 8, 0", "EPERM"),
    Call("B29", "inotify_init1", 294, "0", "EPERM"),
    Call("B29", "fanotify_init", 300, "0x200, 0", "EPERM"),
    Call("B29", "io_setup", 206, "1, at(bytes(8))", "EPERM"),
    Call("B29", "pipe", 22, "at()", "EPERM"),
    Call("B29", "epoll_create1", 291, "0", "EPERM"),
    Call("B30", "shmget", 29, "0x5a5a5a, 0, 0", "EPERM"),
    Call("B30", "shmat", 30, "-1, 0, 0", "EPERM"),
    Call("B30", "semget", 64, "0x5a5a5a, 0, 0", "EPERM"),
    Call("B30", "msgget", 68, "0x5a5a5a, 0", "EPERM"),
    Call("B30", "mq_open", 240, "at(b'none'), 0, 0, 0", "EPERM"),
    Call("B31", "openat", 257, "-100, at(b'/proc/self/mem'), 0, 0", "ENOENT"),
    Call("B31", "open", 2, "at(b'/proc/1/environ'), 0, 0", "ENOENT"),
    Call("B31", "openat2", 437, "-100, at(b'/proc/self/status'), at(), 24", "ENOENT"),
    Call("B31", "open to write", 2, "at(b'/dev/null'), 2, 0", "EROFS"),
    Call("B31", "open of a path", 2, "at(b'/'), 0x200000, 0", "ENOENT"),
    Call("B31", "newfstatat of a path, and of none", 262, "0, at(b'/'), at(), 0x1000", "ENOENT"),
    Call("B31", "stat", 4, "at(b'/'), at()", "ENOENT"),
    Call("B31", "chdir", 80, "at(b'/')", "ENOENT"),
    Call("B32", "name_to_handle_at", 303, "0, 0, 0, 0, 0", "forbidden"),
    Call("B32", "open_by_handle_at", 304, "0, 0, 0", "forbidden"),
    Call("B33", "prctl(PR_SET_DUMPABLE)", 157, "4, 1, 0, 0, 0", "EPERM"),
    Call("B33", "prctl(PR_SET_NAME)", 157, "15, at(b'paddock-zygote'), 0, 0, 0", "EPERM"),
    Call("B33", "prctl(PR_SET_PDEATHSIG)", 157, "1, 0, 0, 0, 0", "EPERM"),
    Call("B33", "arch_prctl", 158, "0x1003, at()", "EPERM"),
    Call("B34", "uname", 63, "at()", "EPERM"),
    Call("B34", "getdents64", 217, "0, at(), 4096", "EPERM"),
    Call("B35", "setuid", 105, "os.getuid()", "EPERM"),
    Call("B35", "setresuid", 117, "-1, -1, -1", "EPERM"),
    Call("B35", "setfsuid", 122, "-1", "EPERM"),
    Call("B35", "setgroups", 116, "0, 0", "EPERM", same=POWER),
    Call("B35", "capset", 126, "0, 0", "EPERM"),
    Call("B35", "setresuid to root", 117, "0, 0, 0", "EPERM", same=POWER),
    Call("B36", "clock_settime", 227, "0, 0", "EPERM"),
    Call("B36", "settimeofday", 164, "1, 0", "EPERM"),
    Call("B36", "adjtimex", 159, "at(size=512)", "EPERM"),
    Call("B36", "clock_gettime of another's", 228, "~PPID << 3 | 2, at()", "EPERM"),
    Call("B36", "clock_gettime of another's thread", 228, "~PPID << 3 | 6, at()", "EINVAL", same="threads of a process of its own alone"),
    Call("B36", "getrusage of children", 98, "-1, at()", "EPERM"),
    Call("B37", "999", 999, "", "EPERM"),
    Call("B37", "listmount", 458, "0, 0, 0, 0", "EPERM"),
    Call("B37", "cachestat", 451, "0, 0, 0, 0", "EPERM"),
    Call("B37", "futex_waitv", 449, "0, 0, 0, 0, 0", "EPERM"),
    Call("B37", "landlock_create_ruleset", 444, "0, 0, 1", "EPERM"),
    Call("B38", "getrandom", 318, "at(), 8, 0x100", "EPERM"),
    Call("B39", "kcmp", 312, "PID, PID, 2, 0, 0", "EPERM"),
]

# There is no way to bring code of one's own (B11), so it is called where two bytes of Python's code happen to be `int 0x80`.
INT_80 = RAW + """
def find(code, start, size):
    found = ctypes.string_at(start, size).find(code)
    return start + found if found >= 0 else None

near = ctypes.cast(ctypes.pythonapi.PyEval_EvalCode, ctypes.c_void_p).value & ~0xfff
place = find(b"\\xcd\\x80", near, 1 << 18) or find(b"\\xcd\\x80", near - (1 << 19), 1 << 19)
print("found" if place else "not found", flush=True)
ctypes.CFUNCTYPE(ctypes.c_long)(place)()
"""

# A signal ends the wait of a call that the zygote has not heard of yet.
FLOOD = """\
import os, signal, threading, time
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGABRT, lambda *_: None)
main, over = threading.get_ident(), False
def send():
    while not over:
        signal.pthread_kill(main, signal.SIGUSR1)
        signal.pthread_kill(main, signal.SIGABRT)
for _ in range(3):
    threading.Thread(target=send, daemon=True).start()
time.sleep(0.01)
try:
    print(os.memfd_create('a'))
except OSError as error:
    print(error)
over = True
"""

ATTACKS = [
    *(Attack("B12", f"memfd_create under a flood of signals, {n}", FLOOD, "forbidden", call="memfd_create", out="")
      for n in range(8)),
    Attack("B11", "a callback", "import ctypes\nkind = ctypes.CFUNCTYPE(ctypes.c_int)\n"
           "print([kind(lambda: 1)() for _ in range(1000)])\n", "forbidden", call="mmap"),
    Attack("B14", "a call of x32", RAW + "call(0x40000000 | 39)\n", "forbidden", call="unknown",
           why="killed by the filter itself, which names nothing; without it this kernel answers ENOSYS"),
    Attack("B14", "execve of x32", RAW + "call(0x40000000 | 520, 0, 0, 0)\n", "forbidden", call="unknown"),
    Attack("B15", "a call of i386", INT_80, "forbidden", call="unknown", out="found\n"),
    Attack("B40", "uprobe and uretprobe", RAW + "call(336)\ncall(335)\n", "crashed ok", asan=False,
           why="newer kernels pass it by every filter and answer with SIGILL, inside and outside; older ones do not know it"),
]
