/* SPDX-License-Identifier: MIT */
/*
 * The floor: what a fresh, filtered process per job costs when nothing else is done. A
 * program of the benchmark, run alone; trusts its arguments. The warm interpreter of the
 * pool (same libpython, same preloaded modules), stock fork() with all of Python's hooks,
 * a seccomp filter, four lines of Python compiled and run, the process reaped. No queue,
 * no ids, no limits, no recording: frozen, so that figures of different days compare.
 *
 *   floor JOBS MODULE...      prints jobs per second, and ms of computing time per job
 */
#include <Python.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char program[] =
    "def add(a, b):\n    return a + b\nx = add(1, 2)\nprint(x)\n";

/* Thirty rules that all say yes: the length of a real filter, without its effects. */
static int install_filter(void)
{
    struct sock_filter code[32];
    struct sock_fprog filter = {.len = 32, .filter = code};

    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                           offsetof(struct seccomp_data, nr));
    for (unsigned i = 1; i < 31; i++) {
        code[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1000 + i, 0, 0);
    }
    code[31] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0
               ? 0
               : -1;
}

static void run_job(void)
{
    PyObject *code, *globals, *result = NULL;

    PyOS_AfterFork_Child();
    if (install_filter() != 0) {
        _exit(1);
    }
    code = Py_CompileString(program, "job.py", Py_file_input);
    globals = PyDict_New();
    if (code != NULL && globals != NULL &&
        PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) == 0) {
        result = PyEval_EvalCode(code, globals, globals);
    }
    _exit(result != NULL ? 0 : 1);
}

static int one_job(void)
{
    pid_t pid;
    int status;

    PyOS_BeforeFork();
    pid = fork();
    if (pid == 0) {
        run_job();
    }
    PyOS_AfterFork_Parent();
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* Isolated and without `site`, as the pool's interpreter. A module that is not there is
 * not there for programs, either. */
static int start_python(char **modules)
{
    PyConfig config;
    PyStatus status;

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.install_signal_handlers = 0;
    status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        (void)fprintf(stderr, "unable to start Python: %s\n", status.err_msg);
        return -1;
    }
    for (; *modules != NULL; modules++) {
        PyObject *module = PyImport_ImportModule(*modules);

        Py_XDECREF(module);
        PyErr_Clear();
    }
    return 0;
}

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of this process and of its children that are gone, in ms. */
static double computing_ms(void)
{
    static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    double sum = 0;

    for (size_t i = 0; i < 2; i++) {
        struct rusage usage = {0};

        (void)getrusage(whose[i], &usage);
        sum += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
    }
    return sum;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long jobs = argc > 1 ? strtol(argv[1], &end, 10) : 0;
    double start, used;

    if (jobs < 1 || *end != '\0') {
        (void)fprintf(stderr, "usage: floor JOBS MODULE...\n");
        return 2;
    }
    if (start_python(argv + 2) != 0) {
        return 1;
    }
    start = seconds();
    used = computing_ms();
    for (long i = 0; i < jobs; i++) {
        if (one_job() != 0) {
            (void)fprintf(stderr, "a job failed\n");
            return 1;
        }
    }
    (void)printf("%.1f %.3f\n", (double)jobs / (seconds() - start),
                 (computing_ms() - used) / (double)jobs);
    return 0;
}
