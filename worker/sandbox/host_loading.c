/* SPDX-License-Identifier: MIT */
/*
 * Which host module is loaded, for the supervisor. Runs in the zygote, before its lock,
 * on the operator's own modules; does nothing any more when they are loaded, whoever
 * calls it.
 */
#include "worker/sandbox/host_loading.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "common/role.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    int words;
    int kept[2]; /* stdout and stderr, while a module has others */
} loading = {-1, {-1, -1}};

void host_loading_open(int words)
{
    loading.words = words;
}

void host_loading_close(void)
{
    close_fd(&loading.words);
}

/* ---- the streams ---- */

static int give_streams(void)
{
    for (int i = 0; i < 2; i++) {
        if (loading.kept[i] < 0) {
            loading.kept[i] = fcntl(STDOUT_FILENO + i, F_DUPFD_CLOEXEC, 10);
        }
        if (loading.kept[i] < 0 || dup2(loading.words, STDOUT_FILENO + i) < 0) {
            return -errno;
        }
    }
    return 0;
}

static int take_streams(void)
{
    int error = 0;

    (void)fflush(NULL); /* of a module in C */
    for (int i = 0; i < 2; i++) {
        if (loading.kept[i] >= 0 && dup2(loading.kept[i], STDOUT_FILENO + i) < 0) {
            error = -errno;
        }
        close_fd(&loading.kept[i]);
    }
    return error;
}

/* ---- the word ---- */

static int tell(const char *what)
{
    struct message_loading message = {.said =
                                          (uint64_t)lseek(loading.words, 0, SEEK_END)};
    struct pollfd peer = {.fd = ROLE_PEER, .events = POLLOUT};
    int error;

    (void)snprintf(message.what, sizeof(message.what), "%s", what);
    while ((error = message_send(ROLE_PEER, MESSAGE_LOADING, &message, NULL)) ==
           -EAGAIN) {
        (void)poll(&peer, 1, -1);
    }
    return error;
}

static PyObject *note(PyObject *self, PyObject *name)
{
    const char *what = PyUnicode_AsUTF8(name);
    int error = 0;

    if (what == NULL) {
        return NULL;
    }
    if (loading.words >= 0) {
        error = *what != '\0' ? give_streams() : take_streams();
        error = error == 0 ? tell(what) : error;
    }
    if (error < 0) {
        errno = -error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_NewRef(Py_None);
}

static PyMethodDef method = {"loading", note, METH_O, NULL};

PyObject *host_loading_function(void)
{
    return PyCFunction_New(&method, NULL);
}
