/* SPDX-License-Identifier: MIT */
/*
 * Hints. Runs in the sandbox after a program has failed, on its exception and its
 * archive, both of which may be hostile; every length is capped. What is appended is read
 * by students.
 */
#include "importer/hint_parts.h"
#include "importer/source.h"

#include <stdio.h>
#include <string.h>

PyObject *hint_member(PyObject *exception, const char *name)
{
    PyTypeObject *built_in = Py_TYPE(exception);
    PyObject *key = PyUnicode_FromString(name), *member, *value = NULL;

    while ((built_in->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) {
        built_in = built_in->tp_base;
    }
    member = key != NULL ? _PyType_Lookup(built_in, key) : NULL;
    if (member != NULL && Py_TYPE(member) == &PyMemberDescr_Type) {
        value = PyMemberDescr_Type.tp_descr_get(member, exception, (PyObject *)built_in);
    }
    PyErr_Clear();
    Py_XDECREF(key);
    return value;
}

/* Takes the value. */
static bool copy_text(PyObject *value, char to[HINT_NAME_MAX])
{
    const char *text = value != NULL ? importer_text(value) : NULL;
    bool fits = text != NULL && strlen(text) < HINT_NAME_MAX;

    (void)snprintf(to, HINT_NAME_MAX, "%s", fits ? text : "");
    PyErr_Clear();
    Py_XDECREF(value);
    return fits && *to != '\0';
}

bool hint_text_of(PyObject *object, const char *name, char to[HINT_NAME_MAX])
{
    return copy_text(object != NULL ? PyObject_GetAttrString(object, name) : NULL, to);
}

bool hint_member_text(PyObject *exception, const char *name, char to[HINT_NAME_MAX])
{
    return copy_text(hint_member(exception, name), to);
}

/* ---- tabs and spaces ---- */

/* The two lines that an error of indentation is about. */
typedef bool find_lines(const char *source, size_t size, int number,
                        struct source_line *ret_earlier, struct source_line *ret_line);

/* Says so if they are indented in two ways. */
static bool hint_lines(const struct failure *failure, find_lines *find)
{
    char path[HINT_NAME_MAX];
    const char *member;
    autobuffer struct buffer why = BUFFER_INIT(256);
    autofree char *source = NULL;
    struct mount *mount = hint_member_text(failure->exception, "filename", path)
                              ? mount_of(path, &member)
                              : NULL;
    PyObject *number = hint_member(failure->exception, "lineno");
    long line = number != NULL && PyLong_CheckExact(number) ? PyLong_AsLong(number) : 0;
    ssize_t index = mount != NULL ? archive_find(mount->archive, member) : -1;
    struct source_line earlier, later;
    size_t size;

    PyErr_Clear();
    Py_XDECREF(number);
    if (index < 0 ||
        archive_read(mount->archive, (size_t)index, &source, &size, &why) != 0 ||
        !find(source, size, (int)line, &earlier, &later)) {
        return false;
    }
    buffer_printf(failure->to,
                  "Line %d is indented with %s, and line %d with %s: use only one of "
                  "them in a file",
                  later.number, source_indentation(&later), earlier.number,
                  source_indentation(&earlier));
    return true;
}

static void hint_tabs(const struct failure *failure)
{
    (void)hint_lines(failure, source_find_tabs);
}

/* ---- what Python says ---- */

struct saying {
    const char *part; /* of it */
    const char *hint;
};

/* Returns whether it has said something. */
static bool hint_saying(const struct failure *failure, const char *said,
                        const struct saying *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(said, rows[i].part) != NULL) {
            buffer_add_text(failure->to, rows[i].hint);
            return true;
        }
    }
    return false;
}

/* ---- when it compiles: Python 2, and encodings ---- */

#define PYTHON2(instead) "This is Python 2; in Python 3 it is " instead

#define NO_ENCODING "This encoding is not offered here: UTF-8 can write all languages"

#define NOT_READ                                                                         \
    "This encoding is not offered here: save the file as UTF-8, which can write all "    \
    "languages, and remove that line."

/* One that ends with a full stop says all that there is to try (common/verdict.h). */
static const struct saying syntax[] = {
    {"Missing parentheses in call to 'print'", PYTHON2("print(...), with brackets")},
    {"Missing parentheses in call to 'exec'", PYTHON2("exec(...), with brackets")},
    {"multiple exception types must be parenthesized", PYTHON2("\"except Error as e:\"")},
    {"leading zeros in decimal integer literals",
     "A number does not begin with 0; an octal one begins with 0o"},
    {"unknown encoding: ", NOT_READ},
    {"is not a text encoding", NOT_READ},
    {"encoding problem: ", "The file begins as UTF-8 does: remove that line."},
    {"the file is saved in UTF-16", "Save it as UTF-8."},
    {"a byte that is not UTF-8", "Save the file as UTF-8."},
    {"a byte that is not ", "Save the file in the encoding that it names at its top, or "
                            "in UTF-8 and without that "
                            "name."},
};

static void hint_syntax(const struct failure *failure)
{
    PyObject *message = hint_member(failure->exception, "msg");
    const char *text = message != NULL ? importer_text(message) : NULL;

    (void)hint_saying(failure, text != NULL ? text : "", syntax, array_size(syntax));
    PyErr_Clear();
    Py_XDECREF(message);
}

/* Tabs and spaces in one block are the commonest reason. */
static void hint_indentation(const struct failure *failure)
{
    if (!hint_lines(failure, source_find_unlike)) {
        hint_syntax(failure);
    }
}

/* ---- when it runs: "Type: the exception's text" ---- */

static const struct saying python2[] = {
    {"name 'raw_input' is not defined", PYTHON2("input()")},
    {"name 'xrange' is not defined", PYTHON2("range()")},
    {"name 'unicode' is not defined", PYTHON2("str()")},
    {"name 'basestring' is not defined", PYTHON2("str")},
    {"name 'unichr' is not defined", PYTHON2("chr()")},
    {"name 'reduce' is not defined", PYTHON2("functools.reduce()")},
    {"name 'reload' is not defined", PYTHON2("importlib.reload()")},
    {"name 'execfile' is not defined", PYTHON2("exec(open(...).read())")},
    {"name 'cmp' is not defined", PYTHON2("(a > b) - (a < b)")},
    {"'dict' object has no attribute 'has_key'", PYTHON2("key in dict")},
    {"'dict' object has no attribute 'iteritems'", PYTHON2("items()")},
    {"'dict' object has no attribute 'itervalues'", PYTHON2("values()")},
    {"'dict' object has no attribute 'iterkeys'", PYTHON2("keys()")},
    {"'dict_keys' object is not subscriptable", PYTHON2("list(d.keys())[0]")},
    {"'dict_values' object is not subscriptable", PYTHON2("list(d.values())[0]")},
    {"'dict_items' object is not subscriptable", PYTHON2("list(d.items())[0]")},
};

#define NO_NETWORK "There is no network here: a program cannot open a connection"
#define NO_USERS                                                                         \
    "There are no users here, and no home folders: getpass.getuser() gives a name"
#define NO_DESCRIPTORS                                                                   \
    "Files have no numbers (descriptors) here: open() opens them, not os.open()"

static const struct saying machine[] = {
    {"unknown encoding: ", NO_ENCODING},
    {"unknown url type: https", NO_NETWORK},
    {"has no attribute 'SMTP_SSL'", NO_NETWORK},
    {"has no attribute 'HTTPSConnection'", NO_NETWORK},
    {"has no attribute 'HTTPSHandler'", NO_NETWORK},
    {"has no attribute 'IMAP4_SSL'", NO_NETWORK},
    {"has no attribute 'POP3_SSL'", NO_NETWORK},
    {"has no attribute 'FTP_TLS'", NO_NETWORK},
    {"cannot import name 'SMTP_SSL'", NO_NETWORK},
    {"cannot import name 'HTTPSConnection'", NO_NETWORK},
    {"cannot import name 'HTTPSHandler'", NO_NETWORK},
    {"cannot import name 'IMAP4_SSL'", NO_NETWORK},
    {"cannot import name 'POP3_SSL'", NO_NETWORK},
    {"cannot import name 'FTP_TLS'", NO_NETWORK},
    {"KeyError: 'getpwuid(): ", NO_USERS},
    {"KeyError: \"getpwnam(): ", NO_USERS},
    {"KeyError: 'getgrgid(): ", NO_USERS},
    {"KeyError: \"getgrnam(): ", NO_USERS},
    {"Could not determine home directory", NO_USERS},
    {"Inappropriate ioctl for device",
     "There is no terminal here: a program can print and read lines"},
    {"can't start new thread",
     "A program can have about a hundred threads at once, and each takes its stack from "
     "the program's memory"},
    {": '/dev/stdin'", "A program's input is sys.stdin, and input() reads a line of it"},
    {": '/dev/stdout'", "A program's output is sys.stdout, and print() writes to it"},
    {": '/dev/stderr'",
     "What a program has to say beside its output goes to sys.stderr: print(..., "
     "file=sys.stderr)"},
    {"[Errno 12] Cannot allocate memory", "The program's memory is full"},
    {"Read-only file system",
     "Programs cannot write files here; what they print is kept"},
    {"[Errno 95] Operation not supported: ", NO_DESCRIPTORS},
    {"UnsupportedOperation: fileno", NO_DESCRIPTORS},
    {"[Errno 1] Operation not permitted",
     "What that line asks of the machine is not allowed here: a program has its own "
     "files, "
     "its input and its output, and no other processes"},
    {"disk I/O error", "SQLite cannot write to a disk here; "
                       "sqlite3.connect(\":memory:\") works"},
    {"unable to open database",
     "A database in a file cannot be opened here, because SQLite "
     "reads and writes the disk itself; "
     "sqlite3.connect(\":memory:\") works"},
};

/* Where none can come while the program runs. */
static const struct saying input[] = {
    {"EOF when reading a line",
     "It asked for a line of input when there was none left: a program gets its input "
     "when it is started"},
    {"BdbQuit: ",
     "breakpoint() and pdb wait for somebody who types, and nobody can type here: print "
     "what you want to see"},
};

static void hint_said(const struct failure *failure)
{
    char said[2200];
    PyObject *string = failure->text_of(failure->exception);
    const char *text = string != NULL ? importer_text(string) : NULL;

    (void)snprintf(said, sizeof(said), "%.80s: %.2000s",
                   Py_TYPE(failure->exception)->tp_name, text != NULL ? text : "");
    if (!hint_saying(failure, said, python2, array_size(python2)) &&
        !hint_saying(failure, said, machine, array_size(machine)) && !failure->is_live) {
        (void)hint_saying(failure, said, input, array_size(input));
    }
    PyErr_Clear();
    Py_XDECREF(string);
}

/* ---- names ---- */

static void hint_meant(const struct failure *failure)
{
    PyObject *meant = importer_suggestion(failure->exception);
    const char *text = meant != NULL ? importer_text(meant) : NULL;

    buffer_add_text(failure->to, text != NULL ? text : "");
    PyErr_Clear();
    Py_XDECREF(meant);
}

/* ---- all of them ---- */

static void hint_one(const struct failure *failure)
{
    const struct {
        PyObject *type;
        void (*hint)(const struct failure *);
    } rows[] = {
        {PyExc_TabError, hint_tabs},      {PyExc_IndentationError, hint_indentation},
        {PyExc_SyntaxError, hint_syntax}, {PyExc_ModuleNotFoundError, hint_missing},
        {PyExc_ImportError, hint_hidden}, {PyExc_AttributeError, hint_hidden},
        {PyExc_Exception, hint_said},     {PyExc_Exception, hint_meant},
    };

    for (size_t i = 0; i < array_size(rows) && failure->to->size == 0; i++) {
        if (PyErr_GivenExceptionMatches(failure->exception, rows[i].type)) {
            rows[i].hint(failure);
        }
    }
}

#define CAUSES_MAX 4

/* Of an exception that says nothing, what it was made of may: logging.config has caught
 * an OSError, and raises ValueError from it. */
void importer_hint(PyObject *exception, const char *folder, bool is_live,
                   importer_text_of *text_of, struct buffer *to)
{
    struct failure failure = {.is_live = is_live, .text_of = text_of, .to = to};
    PyObject *one = Py_NewRef(exception);

    failure.mount = mount_of(folder, &failure.folder);
    for (int i = 0; i < CAUSES_MAX && one != NULL && failure.mount != NULL; i++) {
        PyObject *cause = PyException_GetCause(one);

        failure.exception = one;
        hint_one(&failure);
        Py_SETREF(one, to->size == 0 ? Py_XNewRef(cause) : NULL);
        Py_XDECREF(cause);
    }
    Py_XDECREF(one);
}
