/* SPDX-License-Identifier: MIT */
/*
 * The birth and life of a sandbox. Runs in a child of the zygote. Until it is woken
 * everything in it is ours; from the first byte of the program on, nothing is. Must never
 * leave a layer out: every failure ends the process, and the relay hears of it from the
 * zygote.
 *
 * The order of birth matters: ids can only be changed while there is the power to,
 * setresuid(2) clears the parent-death signal, and the filter comes last because it
 * denies all that came before.
 */
#include "worker/sandbox/sandbox.h"

#include "common/fd.h"
#include "common/job.h"
#include "common/ring.h"
#include "worker/sandbox/guest.h"
#include "worker/sandbox/interpreter.h"
#include "worker/sandbox/memory.h"
#include "worker/sandbox/policy.h"
#include "worker/sandbox/recorder.h"
#include "worker/sandbox/rlimits.h"
#include "worker/sandbox/trap.h"
#include "worker/sandbox/where.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

struct birth {
    const struct sandbox_settings *settings;
    uint32_t place;
    const struct control_group *group; /* NULL: there are none */
    int doorbell;
    bool filtered;
};

/* What each does is as the zygote has it; it holds back some. */
static int open_signals(const struct birth *birth)
{
    sigset_t none;
    int error;

    (void)sigemptyset(&none);
    error = sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? trap_install() : -errno;
    return error == 0 ? where_prepare() : error;
}

static int join_group(const struct birth *birth)
{
    return birth->group != NULL ? groups_join(birth->group) : 0;
}

static int keep_three_fds(const struct birth *birth)
{
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(birth->doorbell, fd) < 0) {
            return -errno;
        }
    }
    return fd_close_from(3);
}

static int limit_resources(const struct birth *birth)
{
    return rlimits_set(birth->settings);
}

static int change_ids(const struct birth *birth)
{
    uid_t id = birth->settings->uid_first + birth->place;
    uid_t real, effective, saved;

    if (birth->settings->uid_first == 0) {
        return 0;
    }
    if (birth->place >= birth->settings->uid_count) {
        return -ERANGE;
    }
    if (setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0) {
        return -errno;
    }
    if (getresuid(&real, &effective, &saved) != 0 || real != id || effective != id ||
        saved != id) {
        return -EPERM;
    }
    return 0;
}

static int die_with_parent(const struct birth *birth)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? 0 : -errno;
}

static int take_name(const struct birth *birth)
{
    return prctl(PR_SET_NAME, "paddock-sandbox") == 0 ? 0 : -errno;
}

static int forbid_dumps(const struct birth *birth)
{
    return prctl(PR_SET_DUMPABLE, 0) == 0 ? 0 : -errno;
}

static int gain_nothing(const struct birth *birth)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

static int filter_calls(const struct birth *birth)
{
    return birth->filtered ? policy_install_sandbox(getpid()) : 0;
}

static const struct {
    const char *what;
    int (*step)(const struct birth *);
} steps[] = {
    {"open its signals", open_signals},
    {"join its control group", join_group},
    {"close its file descriptors", keep_three_fds},
    {"limit its resources", limit_resources},
    {"change its ids", change_ids},
    {"die with its zygote", die_with_parent},
    {"take its name", take_name},
    {"forbid dumps of it", forbid_dumps},
    {"set no_new_privs", gain_nothing},
    {"put on the filter of calls", filter_calls},
};

void sandbox_lock(const struct sandbox_settings *settings, uint32_t place,
                  const struct control_group *group, int doorbell, bool filtered,
                  struct sandbox_failure *failure)
{
    const struct birth birth = {.settings = settings,
                                .place = place,
                                .group = group,
                                .doorbell = doorbell,
                                .filtered = filtered};

    for (size_t i = 0; i < array_size(steps); i++) {
        int error = steps[i].step(&birth);

        if (error != 0 && failure != NULL) {
            *failure = (struct sandbox_failure){steps[i].what, error};
        }
        if (error != 0) {
            _exit(SANDBOX_EXIT_BIRTH);
        }
    }
}

_Noreturn void sandbox_main(const struct sandbox_settings *settings, uint32_t place,
                            const struct control_group *group, const int fds[SANDBOX_FDS],
                            bool rehearse)
{
    static struct ring_writer ring;
    const struct job_inbox *inbox;

    if (ring_writer_init(&ring, fds[SANDBOX_FD_RING], STDIN_FILENO) < 0 ||
        job_inbox_map(fds[SANDBOX_FD_INBOX], &inbox) < 0) {
        _exit(SANDBOX_EXIT_BIRTH);
    }
    interpreter_after_fork();
    recorder_attach(&ring);
    memory_attach(&ring);
    sandbox_lock(settings, place, group, fds[SANDBOX_FD_DOORBELL], true, NULL);
    if (rehearse) {
        guest_rehearse();
    }
    ring_writer_wait_start(&ring);
    guest_run(settings, inbox, &ring);
}
