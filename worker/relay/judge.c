/* SPDX-License-Identifier: MIT */
/*
 * The verdict, by one table: the first rule that applies decides. Runs in the relay.
 * Evidence comes before the claim in the table, so a program can not talk its way out of
 * a limit: its word counts only where it ended by itself, or had said that it failed
 * before it was ended. Must never look into the report: that is text for people.
 */
#include "worker/relay/judge.h"

#include <signal.h>

struct rule {
    bool (*applies)(const struct judge_case *facts, int what);
    int what;
    enum verdict verdict; /* VERDICT_NONE: the one that is claimed */
    const char *detail;
};

static bool is_hostile(const struct judge_case *facts, int unused)
{
    return facts->hostile;
}

static bool killed_for(const struct judge_case *facts, int cause)
{
    return facts->exited->cause == (uint32_t)cause;
}

static bool died_of(const struct judge_case *facts, int signo)
{
    return !facts->exited->exited && facts->exited->status == signo;
}

/* RLIMIT_CPU sends XCPU, then KILL. A program can send itself the former: only the time
 * it used makes it a limit. */
static bool ran_out_of_cpu(const struct judge_case *facts, int signo)
{
    return died_of(facts, signo) && facts->exited->cpu_us >= facts->limits->cpu_ms * 1000;
}

/* By a signal that Python sends itself, or earns, when it has no memory for its own
 * needs: how much a process had at its peak says nothing of that, so it is its own word.
 * A program can claim this verdict as well. */
static bool died_full(const struct judge_case *facts, int signo)
{
    return died_of(facts, signo) && facts->starved;
}

/* Python waits for ever where it has no memory for the lock of a thread. */
static bool stood_full(const struct judge_case *facts, int cause)
{
    return killed_for(facts, cause) && facts->starved;
}

static bool died_of_any(const struct judge_case *facts, int unused)
{
    return !facts->exited->exited;
}

static bool claimed(const struct judge_case *facts, int unused)
{
    return facts->claim != NULL;
}

/* Whatever else befell it on its way out (a thread that used up the computing time, an
 * exit function that crashed), it had failed by then: also where it was on its way out as
 * a limit struck, and was faster. */
static bool had_failed(const struct judge_case *facts, int exited)
{
    return facts->claim != NULL && facts->claim->verdict != VERDICT_OK &&
           facts->exited->exited == exited;
}

static bool had_ended(const struct judge_case *facts, int cause)
{
    return facts->claim != NULL && killed_for(facts, cause);
}

/* The recording's head is written, and the bell rung for it, before a byte of the program
 * is looked at; and no program can take back what has rung. */
static bool never_began(const struct judge_case *facts, int unused)
{
    return !facts->begun;
}

/* It had its job, and did not move: what stopped it had nothing to do with the program.
 */
static bool never_moved(const struct judge_case *facts, int cause)
{
    return killed_for(facts, cause) && !facts->begun;
}

static bool always(const struct judge_case *facts, int unused)
{
    return true;
}

static const struct rule rules[] = {
    {is_hostile, 0, VERDICT_FORBIDDEN, "impossible indexes in the ring"},
    {killed_for, KILL_OUTPUT, VERDICT_OUTPUT_LIMIT, ""},
    {killed_for, KILL_FORBIDDEN, VERDICT_FORBIDDEN, ""},
    {killed_for, KILL_CANCEL, VERDICT_CANCELLED, ""},
    {never_moved, KILL_FAULT, VERDICT_FAULT, "the sandbox did not begin its job"},
    {never_moved, KILL_WALL, VERDICT_FAULT, "the sandbox did not begin its job"},
    {killed_for, KILL_FAULT, VERDICT_FAULT, "stopped for a fault of ours"},
    {died_of, SIGSYS, VERDICT_FORBIDDEN, "killed by the filter"},
    {had_ended, KILL_GRACE, VERDICT_NONE, "still there a grace after its own end"},
    {had_failed, false, VERDICT_NONE, "ended by a signal after its own end"},
    {had_failed, true, VERDICT_NONE, ""},
    {killed_for, KILL_GRACE, VERDICT_VANISHED, "took back its claim"},
    {killed_for, KILL_CPU, VERDICT_CPU_LIMIT, ""},
    {stood_full, KILL_WALL, VERDICT_MEMORY_LIMIT, "stood still with no memory left"},
    {killed_for, KILL_WALL, VERDICT_WALL_LIMIT, ""},
    {killed_for, KILL_MEMORY, VERDICT_MEMORY_LIMIT,
     "killed at the limit of its control group"},
    {ran_out_of_cpu, SIGXCPU, VERDICT_CPU_LIMIT, "by RLIMIT_CPU"},
    {ran_out_of_cpu, SIGKILL, VERDICT_CPU_LIMIT, "by RLIMIT_CPU"},
    {died_of, SIGKILL, VERDICT_FAULT, "the sandbox was killed from outside (SIGKILL)"},
    {died_full, SIGABRT, VERDICT_MEMORY_LIMIT, "Python ended itself with no memory left"},
    {died_full, SIGSEGV, VERDICT_MEMORY_LIMIT, "Python ended itself with no memory left"},
    {died_of_any, 0, VERDICT_CRASHED, ""},
    {claimed, 0, VERDICT_NONE, ""},
    {never_began, 0, VERDICT_FAULT, "the sandbox ended before the job began"},
    {always, 0, VERDICT_VANISHED, "ended without a claim"},
};

static const struct rule *first_rule(const struct judge_case *facts)
{
    const struct rule *rule = rules;

    while (!rule->applies(facts, rule->what)) { /* the last one always does */
        rule++;
    }
    return rule;
}

static const char *forbidden_call(const struct judge_case *facts)
{
    if (facts->hostile) {
        return "recording";
    }
    return facts->exited->call[0] != '\0' ? facts->exited->call : "unknown";
}

void judge(const struct judge_case *facts, struct judgement *ret)
{
    const struct rule *rule = first_rule(facts);
    enum verdict verdict = rule->verdict != VERDICT_NONE
                               ? rule->verdict
                               : (enum verdict)facts->claim->verdict;
    int exit_code = verdict_row(verdict)->exit_code;

    *ret = (struct judgement){
        .verdict = verdict,
        .exit_code = exit_code,
        .signal = facts->exited->exited ? 0 : facts->exited->status,
        .call = verdict == VERDICT_FORBIDDEN ? forbidden_call(facts) : "",
        .detail = rule->detail,
    };
    if (exit_code <
        0) { /* a verdict that only a claim can give: the code is the program's own */
        ret->exit_code = facts->claim != NULL ? facts->claim->exit_code : 1;
    }
}
