/* SPDX-License-Identifier: MIT */
/*
 * What is not offered, and why: two tables, of modules and of what they offer. Read in
 * the zygote; the sentences are for students. It is no boundary: what a module could do
 * is stopped by the filter. Modules that many packages import without using them (socket,
 * subprocess, multiprocessing) can be imported: using them raises an OSError, as a
 * machine without network or disk would, that says why.
 */
#include "worker/sandbox/refusals.h"

#include "common/cleanup.h"
#include "importer/hint.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define NO_SCREEN   "There is no screen here: a program can print, and no window opens"
#define NO_TERMINAL "There is no terminal here: a program can print and read lines"
#define NO_MEMORY   "Programs cannot reach into memory here, so there is no ctypes"
#define NO_NETWORK  "There is no network here: a program cannot open a connection"
#define NO_CRYPTO   "There is no network here, so there is nothing to encrypt"
#define NO_INSTALL  "Nothing can be installed here: upload the package with your program"
#define NO_CODEC    "This encoding is not offered here: UTF-8 can write all languages"
#define NO_TESTS    "Python's own tests are not offered here"
#define NO_SOUND    "There is no sound here"
#define NO_DISK     "Programs cannot write files here, so there is no database in a file"
#define NO_FILES                                                                         \
    "Programs cannot write files here; io.StringIO and io.BytesIO are files in memory"
#define NO_PROGRAMS "Programs cannot start other programs here"
#define NO_PROCESSES                                                                     \
    "Programs cannot start processes here; threads work: threading and "                 \
    "concurrent.futures.ThreadPoolExecutor"
#define NO_PASSWORDS                                                                     \
    "The module crypt is not offered here: hashlib.scrypt hashes passwords"
#define NO_PIPES                                                                         \
    "Programs have their input and output here, and cannot open a pipe or wait for "     \
    "files"
#define WINDOWS "This module is a part of Windows, and programs run on Linux here"
#define APPLE   "This module is a part of macOS, and programs run on Linux here"

static const struct importer_refusal modules[] = {
    {"ctypes", NO_MEMORY},
    {"_ctypes", NO_MEMORY},
    {"tkinter", NO_SCREEN},
    {"_tkinter", NO_SCREEN},
    {"turtle", NO_SCREEN},
    {"turtledemo", NO_SCREEN},
    {"idlelib", NO_SCREEN},
    {"curses", NO_TERMINAL},
    {"_curses", NO_TERMINAL},
    {"_curses_panel", NO_TERMINAL},
    {"readline", NO_TERMINAL},
    {"ssl", NO_CRYPTO},
    {"_ssl", NO_CRYPTO},
    {"nis", NO_NETWORK},
    {"ensurepip", NO_INSTALL},
    {"venv", NO_INSTALL},
    {"pip", NO_INSTALL},
    {"distutils", NO_INSTALL},
    {"setuptools", NO_INSTALL},
    {"test", NO_TESTS},
    {"lib2to3", "Python's converter from Python 2 is not offered here"},
    {"_codecs_cn", NO_CODEC},
    {"_codecs_hk", NO_CODEC},
    {"_codecs_iso2022", NO_CODEC},
    {"_codecs_jp", NO_CODEC},
    {"_codecs_kr", NO_CODEC},
    {"_codecs_tw", NO_CODEC},
    {"_multibytecodec", NO_CODEC},
    {"ossaudiodev", NO_SOUND},
    {"dbm.gnu", NO_DISK},
    {"dbm.ndbm", NO_DISK},
    {"_dbm", NO_DISK},
    {"_gdbm", NO_DISK},
    {"crypt", NO_PASSWORDS},
    {"_crypt", NO_PASSWORDS},
    {"_posixshmem", NO_PROCESSES},
    {"_asyncio", "asyncio works here without its part in C"},
    {"msvcrt", WINDOWS},
    {"winreg", WINDOWS},
    {"winsound", WINDOWS},
    {"_winapi", WINDOWS},
    {"_overlapped", WINDOWS},
    {"_msi", WINDOWS},
    {"msilib", WINDOWS},
    {"nt", WINDOWS},
    {"_scproxy", APPLE},
};

/* Functions, and methods as Class.method, that are replaced by ones that refuse, in
 * modules that are loaded before the lock. `type` is the OSError's, of the same module;
 * NULL for the one of Python's that the errno has. */
static const struct use {
    const char *module, *names, *type;
    int error;
    const char *sentence;
} uses[] = {
    {"posix", "system fork forkpty posix_spawn posix_spawnp execv execve", NULL, EPERM,
     NO_PROGRAMS},
    {"os", "system fork forkpty posix_spawn posix_spawnp execv execve", NULL, EPERM,
     NO_PROGRAMS},
    {"posix", "pipe pipe2 openpty", NULL, EPERM, NO_PIPES},
    {"os", "pipe pipe2 openpty", NULL, EPERM, NO_PIPES},
    {"select", "epoll", NULL, EPERM, NO_PIPES},
    {"selectors", "EpollSelector.__init__", NULL, EPERM, NO_PIPES},
    {"_posixsubprocess", "fork_exec", NULL, EPERM, NO_PROGRAMS},
    {"subprocess", "Popen.__init__ _fork_exec", NULL, EPERM, NO_PROGRAMS},
    {"multiprocessing.process", "BaseProcess.start", NULL, EPERM, NO_PROCESSES},
    {"multiprocessing.context",
     "BaseContext.Lock BaseContext.RLock BaseContext.Condition BaseContext.Semaphore "
     "BaseContext.BoundedSemaphore BaseContext.Event BaseContext.Barrier "
     "BaseContext.Queue BaseContext.JoinableQueue BaseContext.Pool BaseContext.Manager "
     "BaseContext.Pipe BaseContext.Value BaseContext.Array BaseContext.RawValue "
     "BaseContext.RawArray",
     NULL, EPERM, NO_PROCESSES},
    /* The same, which the package has bound already. */
    {"multiprocessing",
     "Lock RLock Condition Semaphore BoundedSemaphore Event Barrier Queue JoinableQueue "
     "Pool Manager Pipe Value Array RawValue RawArray",
     NULL, EPERM, NO_PROCESSES},
    {"socket", "socket.__init__ socketpair gethostname", NULL, EACCES, NO_NETWORK},
    {"_socket", "socketpair gethostname", NULL, EACCES, NO_NETWORK},
    {"socket", "getaddrinfo gethostbyname gethostbyname_ex getnameinfo", "gaierror",
     EAI_AGAIN, NO_NETWORK},
    {"_socket", "getaddrinfo gethostbyname gethostbyname_ex getnameinfo", "gaierror",
     EAI_AGAIN, NO_NETWORK},
    {"socket", "gethostbyaddr", "herror", TRY_AGAIN, NO_NETWORK},
    {"_socket", "gethostbyaddr", "herror", TRY_AGAIN, NO_NETWORK},
    {"tempfile", "_get_default_tempdir", NULL, EROFS, NO_FILES},
};

void refusals_install(void)
{
    importer_refuse_modules(modules, array_size(modules));
}

/* ---- what is refused when it is used ---- */

/* `self` is the exception's type and its arguments. */
static PyObject *refuse(PyObject *self, PyObject *const *args, Py_ssize_t count,
                        PyObject *names)
{
    PyErr_SetObject(PyTuple_GET_ITEM(self, 0), PyTuple_GET_ITEM(self, 1));
    return NULL;
}

static PyMethodDef refuse_method = {"refused", (PyCFunction)(void (*)(void))refuse,
                                    METH_FASTCALL | METH_KEYWORDS, NULL};

/* New reference. */
static PyObject *make_refuser(PyObject *module, const struct use *use)
{
    PyObject *type = use->type != NULL ? PyObject_GetAttrString(module, use->type)
                                       : Py_NewRef(PyExc_OSError);
    PyObject *self =
        type != NULL ? Py_BuildValue("(O(is))", type, use->error, use->sentence) : NULL;
    PyObject *refuser = self != NULL ? PyCFunction_New(&refuse_method, self) : NULL;

    Py_XDECREF(self);
    Py_XDECREF(type);
    return refuser;
}

/* NAME or CLASS.NAME of a module. */
static int replace(PyObject *module, const char *name, PyObject *refuser)
{
    const char *dot = strchr(name, '.');
    char class[64];
    PyObject *owner;
    int error;

    (void)snprintf(class, sizeof(class), "%.*s", dot != NULL ? (int)(dot - name) : 0,
                   name);
    owner = dot != NULL ? PyObject_GetAttrString(module, class) : Py_NewRef(module);
    name = dot != NULL ? dot + 1 : name;
    error = owner != NULL && PyObject_HasAttrString(owner, name)
                ? PyObject_SetAttrString(owner, name, refuser)
                : -1;
    Py_XDECREF(owner);
    return error;
}

static int replace_all(PyObject *module, const struct use *use)
{
    PyObject *refuser = make_refuser(module, use);
    char names[512], *rest = names, *name;
    int error = refuser != NULL ? 0 : -1;

    (void)snprintf(names, sizeof(names), "%s", use->names);
    while (error == 0 && (name = strtok_r(rest, " ", &rest)) != NULL) {
        error = replace(module, name, refuser);
    }
    if (error != 0 && !PyErr_Occurred()) {
        PyErr_Format(PyExc_AttributeError, "%s has nothing to refuse among %s",
                     use->module, use->names);
    }
    Py_XDECREF(refuser);
    return error;
}

void refusals_used(struct buffer *to)
{
    for (size_t i = 0; i < array_size(uses); i++) {
        buffer_printf(to, " %s", uses[i].module);
    }
}

int refusals_install_uses(void)
{
    PyObject *loaded = PyImport_GetModuleDict();
    int error = 0;

    for (size_t i = 0; error == 0 && i < array_size(uses); i++) {
        PyObject *module = PyDict_GetItemString(loaded, uses[i].module);

        error = module != NULL ? replace_all(module, &uses[i]) : 0;
    }
    return error;
}
