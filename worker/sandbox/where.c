/* SPDX-License-Identifier: MIT */
/*
 * The handler that says where a program is. Runs in the sandbox, in a signal handler that
 * may have interrupted anything: reads the interpreter's frames as they are, and takes no
 * lock, no memory and no reference. A fault in it ends a process that is to be ended.
 */
#include "worker/sandbox/frames.h" /* first: what it defines decides what Python.h has */

#include "worker/sandbox/where.h"

#include "common/clock.h"
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
static volatile sig_atomic_t asked;   /* by another process */
static volatile sig_atomic_t cpu_out; /* as the computing time is used up */
static PyObject *threads;             /* threading's own dict of them, by their numbers */

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
    struct timespec used = {0}; /* of one that is about to end there may be none */

    return clock_gettime(clock, &used) == 0 ? used.tv_sec * 1000000000 + used.tv_nsec : 0;
}

#define CLOCKS_MAX 256 /* threads beyond these are known by the lock alone */

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
static const PyThreadState *busiest(const int64_t *before, const int64_t *now, int count,
                                    int64_t least)
{
    const PyThreadState *one = PyInterpreterState_ThreadHead(main_thread->interp);
    const PyThreadState *found = NULL;

    for (int i = 0; i < count && one != NULL; i++, one = one->next) {
        if (now[i] - before[i] >= least) {
            least = now[i] - before[i];
            found = one;
        }
    }
    return found;
}

/* One that computes uses up a good part of some look, or of all together: on a busy
 * machine it gets its turn only now and then, as long as the others of that machine take
 * theirs. One that only wakes up now and then does not, though it may be met with the
 * interpreter's lock, and without a turn, for some looks. */
#define LOOKS_NS  70000000
#define LOOK_NS   1000000
#define LEAST_NS  (LOOK_NS / 2)
#define PART      8  /* of a look that took longer, and of all */
#define HELD_MOST 20 /* looks in a row */

static int64_t part_of(int64_t ns)
{
    return ns / PART > LEAST_NS ? ns / PART : LEAST_NS;
}

static const PyThreadState *computing_thread(void)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    const PyThreadState *found = NULL, *holds = NULL;
    int64_t begin = clock_ns(CLOCK_MONOTONIC), last = begin;
    int64_t used[3][CLOCKS_MAX]; /* at first, and at the last two looks in turn */
    int count = read_clocks(used[0]), held = 0;

    memcpy(used[1], used[0], sizeof(used[0]));
    for (int turn = 0; found == NULL && last - begin < LOOKS_NS; turn = 1 - turn) {
        const PyThreadState *holder = frames_running(main_thread);
        int64_t now;

        held = holder != NULL && holder == holds ? held + 1 : 0;
        holds = holder;
        (void)nanosleep(&pause, NULL);
        now = clock_ns(CLOCK_MONOTONIC);
        count = read_clocks(used[2 - turn]);
        found = busiest(used[1 + turn], used[2 - turn], count, part_of(now - last));
        if (found == NULL && now - begin >= LOOKS_NS) {
            found = busiest(used[0], used[2 - turn], count, part_of(now - begin));
        }
        last = now;
    }
    return found != NULL ? found : held >= HELD_MOST ? holds : NULL;
}

/* The one that has used most of all. */
static const PyThreadState *greediest_thread(void)
{
    static const int64_t none[CLOCKS_MAX];
    int64_t used[CLOCKS_MAX];

    return busiest(none, used, read_clocks(used), 1);
}

/* A thread that runs can say it only by itself: its frames change. */
static bool ask(const PyThreadState *thread)
{
    return syscall(SYS_tgkill, getpid(), thread->native_thread_id, RING_WHERE_SIGNAL) ==
           0;
}

/* Of a Thread of Python's library. */
static bool has_true(PyObject *object, const char *attribute)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;

    while (frames_attribute(object, &at, &name, &value)) {
        if (PyUnicode_Check(name) &&
            PyUnicode_CompareWithASCIIString(name, attribute) == 0) {
            return value == Py_True;
        }
    }
    return false;
}

/* Nobody waits for it at the program's end: for daemons, and what is no Thread. */
static bool is_left_behind(const PyThreadState *thread)
{
    PyObject *number, *object;
    Py_ssize_t at = 0;

    while (threads != NULL && PyDict_Next(threads, &at, &number, &object)) {
        if (PyLong_CheckExact(number) &&
            PyLong_AsUnsignedLongMask(number) == thread->thread_id) {
            return has_true(object, "_daemonic");
        }
    }
    return true;
}

/* Python has the youngest first. */
static const PyThreadState *thread_before(const PyThreadState *one)
{
    const PyThreadState *older = PyInterpreterState_ThreadHead(main_thread->interp);

    while (older != NULL && older->next != one) {
        older = older->next;
    }
    return older;
}

static bool say_of_any(bool left_behind)
{
    for (const PyThreadState *one = thread_before(NULL); one != NULL;
         one = thread_before(one)) {
        if (one != main_thread && is_left_behind(one) == left_behind && say_of(one)) {
            return true;
        }
    }
    return false;
}

/* The main thread has come to its end, and waits for others, as it seems: of these the
 * one that began first. They wait as well, or one of them would run. */
static void say_of_others(void)
{
    if (!say_of_any(false)) {
        (void)say_of_any(true);
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

/* Has it come upon one that waits for a lock, for however long that takes? Of all that is
 * begun again only such a wait without an end has its number where the call was. */
static bool was_at_a_lock(const ucontext_t *context)
{
    return was_in_kernel(context) && context->uc_mcontext.gregs[REG_RAX] == SYS_futex;
}

/* The thread that computes, if there is one, is what used up the time, with the lock or,
 * in C, without; or else the main thread is what the program waits in. Where both do, it
 * is who has used more: one that only wakes up now and then may be met awake. Where the
 * computing time is used up and the main thread only waits, somebody else did so, also if
 * none of them gets a turn on a busy machine. Returns true where the calling one is to
 * say it. */
static bool is_its_own(const PyThreadState *own, const ucontext_t *context)
{
    bool alone = PyInterpreterState_ThreadHead(main_thread->interp)->next == NULL;
    const PyThreadState *running;

    if (own != main_thread || alone) {
        return true; /* asked by the main thread */
    }
    running = computing_thread();
    if (running == NULL && cpu_out && was_at_a_lock(context)) {
        running = greediest_thread();
    }
    return running == NULL || running == main_thread ||
           (!was_in_kernel(context) && used_ns(running) < used_ns(own)) || !ask(running);
}

/* ---- where nothing can be said yet ---- */

/* Where C calls Python, 3.11 makes the place of the innermost frame known first, and puts
 * the frame there some instructions later (Python/ceval.c): what is there meanwhile is
 * whatever that stack had before. They are at the beginning of this function, and none of
 * them calls another. */
#define BEGINNING 128
#define TRAP_FLAG 0x100 /* of EFLAGS: a SIGTRAP behind the next instruction */

static bool is_at_beginning(const ucontext_t *context)
{
    uintptr_t at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];

    return at - (uintptr_t)_PyEval_EvalFrameDefault < BEGINNING;
}

static void say_where(ucontext_t *context);

static void on_step(int signo, siginfo_t *info, void *context)
{
    ucontext_t *at = context;

    (void)signo;
    (void)info;
    if (!is_at_beginning(at)) {
        at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        say_where(at);
    }
}

/* Whatever the program has made of that signal: it is at its end. */
static void go_on_by_steps(ucontext_t *context)
{
    struct sigaction action = {.sa_sigaction = on_step,
                               .sa_flags = SA_RESTART | SA_SIGINFO};

    (void)sigfillset(&action.sa_mask);
    (void)sigdelset(&action.sa_mask, SIGSYS);
    (void)sigaction(SIGTRAP, &action, NULL);
    (void)sigdelset(&context->uc_sigmask, SIGTRAP);
    context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* ---- the handler ---- */

static void say_where(ucontext_t *context)
{
    const PyThreadState *own = PyGILState_GetThisThreadState();

    if (own != NULL && is_at_beginning(context)) {
        go_on_by_steps(context);
    } else if (own != NULL && is_its_own(own, context)) {
        say_of_all(own);
        end();
    }
}

/* A signal of the program's own asks nothing. */
static void on_question(int signo, siginfo_t *info, void *context)
{
    int saved = errno;

    (void)signo;
    if (info->si_pid != getpid()) {
        asked = 1;
        cpu_out = info->si_code == SI_QUEUE && info->si_value.sival_int == RING_WHERE_CPU;
    }
    if (asked) {
        say_where(context);
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

int where_find_threads(void)
{
    PyObject *module = PyImport_ImportModule("threading");

    threads = module != NULL ? PyObject_GetAttrString(module, "_active") : NULL;
    Py_XDECREF(module);
    return threads != NULL && PyDict_CheckExact(threads) ? 0 : -1;
}

int where_prepare(void)
{
    struct sigaction action = {.sa_sigaction = on_question,
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
