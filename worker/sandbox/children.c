/* SPDX-License-Identifier: MIT */
/*
 * Forking, timing, killing and reaping sandboxes. Runs in the zygote, after its lock.
 * Trusts the relays for which sandbox they mean (each speaks for its own slot only) and
 * nothing that a sandbox says: all that is read of one is what the kernel knows. Must
 * never block on a child.
 */
#include "worker/sandbox/children.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/ring.h"
#include "worker/sandbox/policy.h"
#include "worker/sandbox/rlimits.h"

#include <Python.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where there are control groups, as many sandboxes can live as there are of these. */
static int free_place(const struct children *children)
{
    int count = children->groups.count > 0 ? (int)children->groups.count : CHILDREN_MAX;

    for (int i = 0; i < count; i++) {
        if (children->places[i].pid == 0) {
            return i;
        }
    }
    return -EAGAIN;
}

/* clock_getcpuclockid(3) of another process, which for one that is alive cannot fail. */
static clockid_t cpu_clock(const struct child *child)
{
    clockid_t id = CLOCK_PROCESS_CPUTIME_ID;

    (void)clock_getcpuclockid(child->pid, &id);
    return id;
}

/* What a job must have is had before there is a job: one that fails here has cost nobody
 * an attempt. */
static int make_timer(const struct children *children, struct child *child)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = children->timer_signal,
                             .sigev_value.sival_int = (int)child->serial};

    if (timer_create(cpu_clock(child), &event, &child->timer) != 0) {
        return -errno;
    }
    child->timed = true;
    return 0;
}

/* Returns its place; where it can get no timer it is killed, and the place is free when
 * that is reaped. */
static int settle(struct children *children, int place)
{
    int error = make_timer(children, &children->places[place]);

    if (error < 0) {
        children_kill(children, place, KILL_FAULT);
    }
    return error < 0 ? error : place;
}

int children_fork(struct children *children, uint32_t slot,
                  const struct message_request *request, const int fds[SANDBOX_FDS])
{
    int place = free_place(children);
    struct control_group *group = place >= 0 ? groups_at(&children->groups, place) : NULL;
    int error = place;
    pid_t pid;

    if (group != NULL) {
        error = groups_begin(group, rlimits_group_bytes(&children->settings,
                                                        children->settings.memory_mb));
    }
    if (error < 0) {
        return error;
    }
    PyOS_BeforeFork();
    pid = fork();
    if (pid == 0) {
        sandbox_main(&children->settings, (uint32_t)place, group, fds,
                     request->rehearse != 0); /* does not return */
    }
    PyOS_AfterFork_Parent();
    if (pid < 0) {
        return -errno;
    }
    children->forks++;
    children->places[place] = (struct child){
        .pid = pid, .slot = slot, .serial = children->forks, .sandbox = request->sandbox};
    return settle(children, place);
}

int children_adopt(struct children *children, pid_t pid)
{
    int place = free_place(children);

    if (place < 0) {
        return place;
    }
    children->places[place] = (struct child){.pid = pid, .forsaken = true};
    return settle(children, place);
}

int children_find(const struct children *children, uint32_t slot, uint64_t sandbox)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &children->places[i];

        if (child->pid != 0 && !child->forsaken && child->slot == slot &&
            child->sandbox == sandbox) {
            return i;
        }
    }
    return -ENOENT;
}

static int lower_group(struct children *children, int place, int64_t memory_mb)
{
    struct control_group *group = groups_at(&children->groups, place);

    return group != NULL ? groups_set_limit(
                               group, rlimits_group_bytes(&children->settings, memory_mb))
                         : 0;
}

/* A sandbox that waits uses none, so that what it said before it waited is what it has
 * when it wakes: by now it may run, and have used more. Of one that is not born to the
 * end yet, its birth is what it has used so far. */
static int64_t before_job(int64_t born_ns, int64_t now_ns)
{
    return born_ns > 0 && born_ns < now_ns ? born_ns : now_ns;
}

static int arm_timer(struct children *children, int place,
                     const struct message_start *start)
{
    struct child *child = &children->places[place];
    struct itimerspec when;
    int64_t end_ns;

    if (child->started) {
        return -EALREADY;
    }
    child->cpu_base_ns = before_job(start->born_ns, clock_ns(cpu_clock(child)));
    child->started = true;
    memset(&when, 0, sizeof(when));
    end_ns = child->cpu_base_ns + start->cpu_ms * 1000000;
    when.it_value.tv_sec = end_ns / 1000000000;
    when.it_value.tv_nsec = end_ns % 1000000000;
    return timer_settime(child->timer, TIMER_ABSTIME, &when, NULL) == 0 ? 0 : -errno;
}

/* Children of one zygote begin with the same pages: of one that is not born to the end
 * yet, it is what the last one had. */
static void note_memory(struct children *children, int place, int64_t born_kb)
{
    if (born_kb > 0) {
        children->born_kb = born_kb;
    }
    children->places[place].base_kb = children->born_kb;
}

int children_start(struct children *children, int place,
                   const struct message_start *start)
{
    int error = arm_timer(children, place, start);

    note_memory(children, place, start->born_kb);

    return error == 0 ? lower_group(children, place, start->memory_mb) : error;
}

/* To say where it is, and to end, a program has this time at least, and then so much
 * computing time, or waiting time: on a busy machine its turn may come late, and its
 * threads' time counts for all. One that does as it is asked takes less than a
 * millisecond, or as long as each of many threads that compute waits for its turn. */
#define ASK_MS      20
#define ASK_CPU_MS  150
#define ASK_MOST_MS 200

static bool is_asked(const struct child *child, enum kill_cause cause)
{
    return child->started && child->kill_ms == 0 &&
           (cause == KILL_CPU || cause == KILL_WALL);
}

static bool had_its_turn(const struct child *child, int64_t now_ms)
{
    return now_ms >= child->asked_ms + ASK_MOST_MS ||
           clock_ns(cpu_clock(child)) >= child->asked_cpu_ns + ASK_CPU_MS * 1000000;
}

int64_t children_tend(struct children *children, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;

    for (int i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &children->places[i];

        if (child->pid == 0 || child->kill_ms == 0) {
            continue;
        }
        if (now_ms >= child->kill_ms && had_its_turn(child, now_ms)) {
            (void)kill(child->pid, SIGKILL);
            continue;
        }
        if (now_ms >= child->kill_ms) {
            child->kill_ms = now_ms + 1;
        }
        if (child->kill_ms < next_ms) {
            next_ms = child->kill_ms;
        }
    }
    return next_ms;
}

static void ask(struct child *child, enum kill_cause cause)
{
    siginfo_t info = {.si_signo = RING_WHERE_SIGNAL, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_value.sival_int = cause == KILL_CPU ? RING_WHERE_CPU : 0;
    child->asked_ms = clock_now_ms();
    child->asked_cpu_ns = clock_ns(cpu_clock(child));
    child->kill_ms = child->asked_ms + ASK_MS;
    (void)syscall(SYS_rt_tgsigqueueinfo, child->pid, child->pid, RING_WHERE_SIGNAL,
                  &info);
}

void children_kill(struct children *children, int place, enum kill_cause cause)
{
    struct child *child = &children->places[place];

    if (child->pid == 0) {
        return;
    }
    if (child->cause == KILL_NONE) {
        child->cause = cause;
    }
    if (is_asked(child, cause)) {
        ask(child, cause);
        return;
    }
    /* Not yet reaped, so the number is still its own; ESRCH would mean a bug, not a race.
     */
    (void)kill(child->pid, SIGKILL);
}

/* It may have outlived its child. */
static void time_out(struct children *children, uint32_t serial)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (children->places[i].started && children->places[i].serial == serial) {
            children_kill(children, i, KILL_CPU);
        }
    }
}

void children_hear(struct children *children, int signals)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if ((int)info.ssi_signo == children->timer_signal) {
            time_out(children, (uint32_t)info.ssi_int);
        }
    }
}

void children_forsake(struct children *children, uint32_t slot)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (children->places[i].pid != 0 && children->places[i].slot == slot) {
            children->places[i].forsaken = true;
            children_kill(children, i, KILL_FAULT);
        }
    }
}

bool children_any(const struct children *children, uint32_t slot)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (children->places[i].pid != 0 && children->places[i].slot == slot) {
            return true;
        }
    }
    return false;
}

static int place_of(const struct children *children, pid_t pid)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (children->places[i].pid == pid) {
            return i;
        }
    }
    return -ENOENT;
}

static int64_t timeval_us(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

/* One that was asked where it is, and has ended with the status of those who said it, is
 * as good as killed. */
static void take_evidence(const struct child *child, int status,
                          const struct rusage *usage, struct message_exited *ret)
{
    bool asked = child->kill_ms != 0 && WIFEXITED(status) &&
                 WEXITSTATUS(status) == SANDBOX_EXIT_ASKED;
    bool exited = WIFEXITED(status) && !asked;

    *ret = (struct message_exited){
        .sandbox = child->sandbox,
        .cause = child->cause,
        .exited = exited,
        .status = exited  ? WEXITSTATUS(status)
                  : asked ? SIGKILL
                          : WTERMSIG(status),
        .max_rss_kb = usage->ru_maxrss,
        .shared_kb = child->base_kb,
    };
    if (child->started) {
        ret->cpu_us = timeval_us(&usage->ru_utime) + timeval_us(&usage->ru_stime) -
                      child->cpu_base_ns / 1000;
        ret->cpu_us = ret->cpu_us > 0 ? ret->cpu_us : 0;
    }
    (void)snprintf(ret->call, sizeof(ret->call), "%s", child->call);
}

/* What nobody counted is what it grew by: less exact, since pages that it first shared
 * and then wrote to are not in it, and pages of libraries that it was the first to use
 * are. */
static int64_t growth_kb(const struct message_exited *evidence)
{
    int64_t growth = evidence->max_rss_kb - evidence->shared_kb;

    return evidence->shared_kb > 0 && growth > 0 ? growth : 0;
}

/* Every death by SIGKILL is looked at, so that one that had another cause as well leaves
 * no count behind for the next. */
static void ask_group(struct control_group *group, struct message_exited *evidence)
{
    bool killed = !evidence->exited && evidence->status == SIGKILL;

    if (killed && groups_was_full(group) && evidence->cause == KILL_NONE) {
        evidence->cause = KILL_MEMORY;
    }
    evidence->memory_kb = groups_peak_kb(group);
}

int children_dead(const struct children *children)
{
    siginfo_t info = {0};
    int place;

    for (;;) {
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid == 0) {
            return -EAGAIN;
        }
        place = place_of(children, info.si_pid);
        if (place >= 0) {
            return place;
        }
        /* As init of its namespace the zygote also reaps strangers. */
        (void)waitpid(info.si_pid, NULL, WNOHANG);
    }
}

void children_reap(struct children *children, int place, struct message_exited *ret,
                   struct child *ret_child)
{
    struct rusage usage = {0};
    int status = 0;

    *ret_child = children->places[place];
    (void)wait4(ret_child->pid, &status, WNOHANG, &usage);
    take_evidence(ret_child, status, &usage, ret);
    if (groups_at(&children->groups, place) != NULL) {
        ask_group(groups_at(&children->groups, place), ret);
    }
    if (ret->memory_kb == 0) {
        ret->memory_kb = growth_kb(ret);
    }
    if (ret_child->timed) {
        (void)timer_delete(ret_child->timer);
    }
    children->places[place] = (struct child){0};
}

void children_end(struct children *children)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        children_kill(children, i, KILL_FAULT);
    }
    while (waitpid(-1, NULL, 0) > 0) {
    }
}

/* Whose thread is this? A notification names the thread, and /proc is out of reach. */
static int place_of_thread(const struct children *children, pid_t thread)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        pid_t pid = children->places[i].pid;

        if (pid != 0 && (pid == thread || syscall(SYS_tgkill, pid, thread, 0) == 0)) {
            return i;
        }
    }
    return -ENOENT;
}

void children_forbid(struct children *children, int listener)
{
    struct seccomp_notif notification = {0};
    const char *name;
    int place;

    /* It may be gone already: killed for another reason between poll() and here. */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) {
        return;
    }
    place = place_of_thread(children, (pid_t)notification.pid);
    if (place < 0) {
        return;
    }
    name = policy_call_name(notification.data.nr);
    if (children->places[place].cause == KILL_NONE) {
        (void)snprintf(children->places[place].call, sizeof(children->places[place].call),
                       "%s", name != NULL ? name : "unknown");
    }
    children_kill(children, place, KILL_FORBIDDEN);
}
