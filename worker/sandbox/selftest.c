/* SPDX-License-Identifier: MIT */
/*
 * Attacking our own sandbox: the children. Runs in the zygote, which reads nothing of
 * them but one word of shared memory, the notification of a forbidden call and how they
 * ended. Must never report a layer that was not attacked, nor wait for a child without
 * end.
 */
#include "worker/sandbox/selftest.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "worker/sandbox/rlimits.h"
#include "worker/sandbox/selftest_parts.h"

#include <Python.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What takes a moment has so long, also on a busy machine. */
#define PATIENCE_MS 5000

/* ---- children ---- */

static _Noreturn void attack(const struct target *target, bool filtered)
{
    int doorbell = eventfd(0, EFD_NONBLOCK);

    PyOS_AfterFork_Child();
    if (doorbell < 0) {
        _exit(SANDBOX_EXIT_BIRTH);
    }
    sandbox_lock(target->settings, filtered ? 0 : UNFILTERED_PLACE, target->group,
                 doorbell, filtered, &target->findings->failure);
    selftest_attack(target, filtered);
    if (filtered) {
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL); /* to be killed for, by name */
    }
    _exit(0);
}

#define FULL_BYTES MIB(8)  /* of the group that is to be filled */
#define FILL_BYTES MIB(14) /* within what RLIMIT_DATA grants the smallest of jobs */

/* Memory beyond what the group may hold: to be killed for. */
static _Noreturn void fill_group(const struct target *target, bool unused)
{
    int doorbell = eventfd(0, EFD_NONBLOCK);
    char *bytes;

    PyOS_AfterFork_Child();
    sandbox_lock(target->settings, 0, target->group, doorbell, false, NULL);
    bytes = mmap(NULL, FILL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    for (size_t i = 0; bytes != MAP_FAILED && i < FILL_BYTES; i += 4096) {
        *(volatile char *)(bytes + i) = 1;
    }
    _exit(0);
}

/* Returns its place among the children, or a negative errno. */
static int fork_attacker(const struct target *target, bool filtered,
                         void (*run)(const struct target *, bool))
{
    pid_t pid;
    int error;

    PyOS_BeforeFork();
    pid = fork();
    error = -errno;
    if (pid == 0) {
        run(target, filtered);
    }
    PyOS_AfterFork_Parent();
    return pid < 0 ? error : children_adopt(target->children, pid);
}

/* What the zygote does while there are children, until this one has ended. */
static int watch(const struct target *target, int place, struct message_exited *ret)
{
    struct pollfd ready = {.fd = target->signals, .events = POLLIN};
    int64_t now_ms = clock_now_ms(), end_ms = now_ms + PATIENCE_MS;
    struct child child;

    for (; now_ms < end_ms; now_ms = clock_now_ms()) {
        int64_t next_ms = children_tend(target->children, now_ms);

        (void)poll(&ready, 1, clock_poll_ms(next_ms < end_ms ? next_ms : end_ms, now_ms));
        children_hear(target->children, target->signals);
        if (children_dead(target->children) == place) {
            children_reap(target->children, place, ret, &child);
            return 0;
        }
    }
    return -ETIMEDOUT;
}

/* Its end, by itself or, at last, by force. Returns 0, or -ETIMEDOUT after saying so of
 * one that nothing ends: it dies with us. */
static int await_end(const struct target *target, int place, struct message_exited *ret)
{
    int error = watch(target, place, ret);

    if (error < 0) {
        children_kill(target->children, place, KILL_FAULT);
        error = watch(target, place, ret);
    }
    return error == 0 ? 0
                      : log_failure(error, "a sandbox cannot be ended here: it "
                                           "outlives a SIGKILL");
}

/* ---- whole sandboxes, with the filter and without ---- */

/* Waits for the forbidden call, or for the child's end. Returns whether it was reported;
 * then it is answered, too, and the child goes on to its end. */
static bool call_was_reported(int listener, pid_t pid)
{
    autoclose int child = -1;
    int error = fd_pidfd_open(pid, &child);
    struct pollfd ready[] = {{.fd = listener, .events = POLLIN},
                             {.fd = child, .events = POLLIN}};
    struct seccomp_notif notification = {0};
    struct seccomp_notif_resp answer = {.error = -EPERM};

    if (error < 0 || listener < 0 || poll(ready, array_size(ready), PATIENCE_MS) <= 0 ||
        (ready[0].revents & POLLIN) == 0 ||
        ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) {
        return false;
    }
    answer.id = notification.id;
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0 &&
           notification.data.nr == SYS_ptrace;
}

static int say_why_unborn(const struct sandbox_failure *failure)
{
    return failure->what != NULL
               ? log_failure(failure->error, "a sandbox cannot be locked: unable to %s",
                             failure->what)
               : -ECHILD;
}

static int run_attacker(const struct target *target, bool filtered)
{
    int place = fork_attacker(target, filtered, attack);
    struct message_exited end;
    int error;

    if (place < 0) {
        return place;
    }
    if (filtered && call_was_reported(target->lockdown->listener,
                                      target->children->places[place].pid)) {
        atomic_fetch_or(&target->findings->held, (uint32_t)LAYER_NOTIFY);
    } else if (filtered) { /* it may stand in its call for ever */
        children_kill(target->children, place, KILL_FAULT);
    }
    error = await_end(target, place, &end);
    if (error == 0 && end.exited && end.status == SANDBOX_EXIT_BIRTH) {
        error = say_why_unborn(&target->findings->failure);
    }
    return error;
}

/* ---- limits that are kept from outside ---- */

#define CPU_MS   20      /* what the one that computes may have, */
#define SPIN_MS  1000    /* and takes where nobody stops it; */
#define LOOKS    1000000 /* a machine that stands still takes time, but no looks at it */
#define SLEEP_MS 3000    /* likewise the one that sleeps */

/* Locked, and deaf: not even asked where it is it would end. Whoever waits hears that it
 * is so far. */
static void become_deaf(const struct target *target)
{
    const uint64_t ring = 1;
    sigset_t all;

    PyOS_AfterFork_Child();
    sandbox_lock(target->settings, 0, target->group, target->doorbell, false, NULL);
    (void)sigfillset(&all);
    if (sigprocmask(SIG_BLOCK, &all, NULL) != 0 ||
        write(STDOUT_FILENO, &ring, sizeof(ring)) != (ssize_t)sizeof(ring)) {
        _exit(SANDBOX_EXIT_BIRTH);
    }
}

static _Noreturn void compute(const struct target *target, bool unused)
{
    int64_t end_ns;

    become_deaf(target);
    end_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + SPIN_MS * 1000000ll;
    for (long looks = 0; clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns || looks < LOOKS;
         looks++) {
    }
    _exit(0);
}

static _Noreturn void sleep_on(const struct target *target, bool unused)
{
    become_deaf(target);
    (void)poll(NULL, 0, SLEEP_MS);
    _exit(0);
}

/* In this order: all have the same serial, and a timer that runs out may be heard of
 * late. */
static const struct ending {
    uint32_t layer;
    enum kill_cause cause;
    int64_t cpu_ms;
    void (*run)(const struct target *target, bool unused);
} endings[] = {
    {LAYER_WALL_LIMIT, KILL_WALL, 1000 * SLEEP_MS, sleep_on},
    {LAYER_CPU_LIMIT, KILL_CPU, CPU_MS, compute},
};

static bool is_deaf(const struct target *target, pid_t pid)
{
    autoclose int child = -1;
    int error = fd_pidfd_open(pid, &child);
    struct pollfd ready[] = {{.fd = target->doorbell, .events = POLLIN},
                             {.fd = child, .events = POLLIN}};

    return error == 0 && poll(ready, array_size(ready), PATIENCE_MS) > 0 &&
           (ready[0].revents & POLLIN) != 0;
}

/* All that ends it is what ends a job, from START on. */
static int break_limit(struct target *target, const struct ending *ending)
{
    const struct message_start start = {.cpu_ms = ending->cpu_ms,
                                        .memory_mb = target->settings->memory_mb};
    autoclose int doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct message_exited end;
    int place, error;

    target->doorbell = doorbell;
    place = doorbell >= 0 ? fork_attacker(target, false, ending->run) : -errno;
    if (place < 0) {
        return place;
    }
    if (!is_deaf(target, target->children->places[place].pid) ||
        children_start(target->children, place, &start) < 0) {
        children_kill(target->children, place, KILL_FAULT);
    } else if (ending->cause == KILL_WALL) { /* as its relay would say */
        children_kill(target->children, place, KILL_WALL);
    }
    error = await_end(target, place, &end);
    if (error == 0 && end.cause == ending->cause && !end.exited &&
        end.status == SIGKILL) {
        atomic_fetch_or(&target->findings->held, ending->layer);
    }
    return error;
}

static int break_limits(struct target *target)
{
    int error = 0;

    for (size_t i = 0; i < array_size(endings) && error == 0; i++) {
        error = break_limit(target, &endings[i]);
    }
    return error;
}

/* ---- control groups ---- */

/* Fills the group, and puts its limit back for the attackers that follow. Returns 1 if it
 * held, 0 or a negative errno. */
static int group_holds(const struct target *target, struct control_group *group)
{
    int place = groups_begin(group, FULL_BYTES) == 0
                    ? fork_attacker(target, false, fill_group)
                    : -1;
    struct message_exited end;
    int error;

    if (place < 0) {
        return 0;
    }
    error = await_end(target, place, &end);
    if (error < 0) {
        return error;
    }
    return !end.exited && end.status == SIGKILL && groups_was_full(group) &&
           groups_set_limit(group, rlimits_group_bytes(target->settings,
                                                       target->settings->memory_mb)) == 0;
}

static int attack_group(struct target *target)
{
    struct groups *groups = &target->children->groups;
    int held;

    if (groups->count == 0) {
        return 0;
    }
    target->group = &groups->tested;
    held = group_holds(target, &groups->tested);
    if (held == 1) {
        atomic_fetch_or(&target->findings->held, (uint32_t)LAYER_MEMORY_GROUP);
    } else {
        log_warning("control groups do not hold here: memory is limited by RLIMIT_DATA "
                    "alone");
        groups_forget(groups);
        target->group = NULL;
    }
    return held < 0 ? held : 0;
}

/* ---- all of it ---- */

uint32_t selftest_granted(const struct children *children,
                          const struct lockdown *lockdown)
{
    return LAYERS_MANDATORY | LAYER_NOT_DUMPABLE | LAYER_PARENT_DEATH | lockdown->layers |
           children->groups.layers |
           (children->settings.uid_first != 0 ? LAYER_OWN_UID : 0);
}

static int attack_all(struct target *target)
{
    int error = attack_group(target);

    if (error == 0) {
        error = run_attacker(target, true);
    }
    if (error == 0) {
        error = run_attacker(target, false);
    }
    return error == 0 ? break_limits(target) : error;
}

int selftest_run(struct children *children, const struct lockdown *lockdown, int signals,
                 uint32_t *ret_layers)
{
    struct findings *findings = mmap(NULL, sizeof(*findings), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint32_t granted = selftest_granted(children, lockdown);
    struct target target = {.settings = &children->settings,
                            .lockdown = lockdown,
                            .children = children,
                            .signals = signals,
                            .findings = findings};
    int error;

    if (findings == MAP_FAILED) {
        return log_failure(-errno, "unable to share memory");
    }
    error = attack_all(&target);
    if (error == 0) {
        *ret_layers = (findings->held | lockdown->held) & granted;
    }
    (void)munmap(findings, sizeof(*findings));
    return error;
}
