/* SPDX-License-Identifier: MIT */
/*
 * The handler that says where a program is. Runs in the sandbox, in a signal handler that
 * may have interrupted anything: reads the interpreter's frames as they are, and takes no
 * lock, no memory and no reference. A fault in it ends a process that is to be ended.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/where.h"

#include "common/utf8.h"
#include "worker/sandbox/bytecode_lines.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/texts.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static struct ring_writer *ring; /* NULL: there is nothing to say, or no more */
static const PyThreadState *main_thread;
static volatile sig_atomic_t asked; /* by another process */

#define FRAMES_MAX 2000

/* Copies the path below the program's root, or what a text is called, in UTF-8 and as
 * much as there is room for: nothing may be allocated here, and no Python be called.
 * Returns false for code that is not the program's. */
static bool copy_path(PyCodeObject *code, char *to, size_t room)
{
    PyObject *path = code->co_filename;
    Py_ssize_t first = texts_is_program_file(path) ? (Py_ssize_t)sizeof(PROGRAM_ROOT) : 0;
    size_t size = 0;

    if (!texts_is_of_program(code) || !PyUnicode_IS_READY(path)) {
        return false;
    }
    for (Py_ssize_t i = first; i < PyUnicode_GET_LENGTH(path); i++) {
        Py_UCS4 code_point = PyUnicode_READ_CHAR(path, i);
        bool is_half = Py_UNICODE_IS_SURROGATE(code_point);
        char bytes[4];
        size_t length = utf8_encode(is_half ? '?' : code_point, bytes);

        if (size + length >= room) {
            break;
        }
        memcpy(to + size, bytes, length);
        size += length;
    }
    to[size] = '\0';
    return true;
}

/* Returns false where the thread is nowhere in the program. */
static bool say_of(const PyThreadState *thread)
{
    const frame *at = frames_current(thread);
    char path[sizeof(((struct ring_where *)NULL)->file)];

    for (int i = 0; at != NULL && i < FRAMES_MAX; i++, at = frames_back(at)) {
        if (copy_path(frames_code(at), path, sizeof(path))) {
            ring_writer_where(ring, path, bytecode_line(frames_code(at), frames_at(at)));
            return true;
        }
    }
    return false;
}

/* ---- who computes ---- */

/* By its own clock, also without the interpreter's lock. (pthread_getcpuclockid(3) says
 * so of a clock's number, but asks for what only pthread_create(3) gives.) */
static int64_t used_ns(const PyThreadState *thread)
{
    clockid_t clock = (clockid_t)(~(unsigned)thread->native_thread_id << 3 | 6);
    struct timespec used = {0};

    return clock_gettime(clock, &used) == 0 ? used.tv_sec * 1000000000 + used.tv_nsec : 0;
}

#define CLOCKS_MAX 64 /* threads beyond these are known by the lock alone */

/* What each of the others has used, in the order in which Python has them. */
static int read_clocks(int64_t *used)
{
    int count = 0;

    for (const PyThreadState *one = PyInterpreterState_ThreadHead(main_thread->interp);
         one != NULL && count < CLOCKS_MAX; one = one->next) {
        used[count++] = one != main_thread ? used_ns(one) : 0;
    }
    return count;
}

/* The one that has used most since, if that is `least` or more. */
static const PyThreadState *busiest(const int64_t *before, int count, int64_t least)
{
    const PyThreadState *one = PyInterpreterState_ThreadHead(main_thread->interp);
    const PyThreadState *found = NULL;

    for (int i = 0; i < count && one != NULL; i++, one = one->next) {
        int64_t used = one != main_thread ? used_ns(one) - before[i] : 0;

        if (used >= least) {
            least = used;
            found = one;
        }
    }
    return found;
}

/* On a busy machine one that computes gets its turn only now and then; and one that gives
 * way to another lets go of the interpreter's lock, which the other takes only when its
 * own comes. */
#define LOOKS   10
#define LOOK_NS 1000000

static const PyThreadState *running_thread(void)
{
    bool alone = PyInterpreterState_ThreadHead(main_thread->interp)->next == NULL;
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    const PyThreadState *found = NULL, *holds = frames_running(main_thread);
    int64_t before[CLOCKS_MAX];
    int count = alone ? 0 : read_clocks(before);

    for (int i = 0; i < LOOKS && found == NULL && !alone; i++) {
        (void)nanosleep(&pause, NULL);
        found = busiest(before, count, LOOK_NS / 2);
        holds = holds != NULL ? holds : frames_running(main_thread);
    }
    return found != NULL ? found : holds;
}

/* A thread that runs can say it only by itself: its frames change. */
static bool ask(const PyThreadState *thread)
{
    return syscall(SYS_tgkill, getpid(), thread->native_thread_id, RING_WHERE_SIGNAL) ==
           0;
}

/* The main thread has come to its end, and waits for others, as it seems: of these the
 * one that began first. They wait as well, or one of them would run. */
static void say_of_others(void)
{
    const PyThreadState *oldest = NULL;

    for (const PyThreadState *one = PyInterpreterState_ThreadHead(main_thread->interp);
         one != NULL; one = one->next) {
        oldest = one != main_thread ? one : oldest;
    }
    if (oldest != NULL) {
        (void)say_of(oldest);
    }
}

static void say_of_all(const PyThreadState *first)
{
    if (ring != NULL && !say_of(first) &&
        (first == main_thread || !say_of(main_thread))) {
        say_of_others();
    }
}

/* What was asked for has been said: there is nothing left to do, and whoever asked need
 * not guess for how long to wait. */
static _Noreturn void end(void)
{
    for (;;) {
        (void)syscall(SYS_exit_group, SANDBOX_EXIT_ASKED);
    }
}

/* Was it a call of the kernel that the signal has come upon, as where somebody waits? It
 * stands behind that instruction, or before it where it will be begun again. */
static bool was_in_kernel(const ucontext_t *context)
{
    static const unsigned char call[] = {0x0f, 0x05}; /* syscall */
    const unsigned char *next = (void *)context->uc_mcontext.gregs[REG_RIP];

    return memcmp(next - sizeof(call), call, sizeof(call)) == 0 ||
           memcmp(next, call, sizeof(call)) == 0;
}

/* The thread that computes, if there is one, is what used up the time, with the lock or,
 * in C, without; or else the main thread is what the program waits in. Returns true where
 * the calling one is to say it. */
static bool is_its_own(const PyThreadState *own, const ucontext_t *context)
{
    const PyThreadState *running;

    if (own != main_thread || !was_in_kernel(context)) {
        return true; /* asked by the main thread; or that computes */
    }
    running = running_thread();
    return running == NULL || running == main_thread || !ask(running);
}

/* A signal of the program's own asks nothing. */
static void say_where(int signo, siginfo_t *info, void *context)
{
    const PyThreadState *own = PyGILState_GetThisThreadState();
    int saved = errno;

    asked = asked || info->si_pid != getpid();
    if (asked && own != NULL && is_its_own(own, context)) {
        say_of_all(own);
        end();
    }
    errno = saved;
}

void where_say(void)
{
    const PyThreadState *own = PyGILState_GetThisThreadState();

    if (ring != NULL && own != NULL) {
        (void)say_of(own);
    }
}

void where_was(const char *path, int line)
{
    ring_writer_where(ring, path, line);
    ring = NULL;
}

int where_prepare(void)
{
    struct sigaction action = {.sa_sigaction = say_where,
                               .sa_flags = SA_RESTART | SA_SIGINFO};

    (void)sigfillset(&action.sa_mask);
    (void)sigdelset(&action.sa_mask, SIGSYS);
    return sigaction(RING_WHERE_SIGNAL, &action, NULL) == 0 ? 0 : -errno;
}

void where_watch(struct ring_writer *where)
{
    ring = where;
    main_thread = frames_thread();
}
