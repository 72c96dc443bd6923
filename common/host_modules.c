/* SPDX-License-Identifier: MIT */
/*
 * Names and folders of host modules. Runs in the supervisor, and in who checks a
 * configuration, on what the operator wrote: trusted to mean well, not to be right. Looks
 * at files, and opens none of them.
 */
#include "common/host_modules.h"

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/text.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(struct buffer *why, const char *format, ...) printf_like(2, 3);
static int refuse(struct buffer *why, const char *format, ...)
{
    va_list args;

    if (why != NULL) {
        va_start(args, format);
        buffer_vprintf(why, format, args);
        va_end(args);
    }
    return -EINVAL;
}

/* ---- names ---- */

/* sys.stdlib_module_names of Python 3.11, which the supervisor has no Python to ask for.
 */
static const char standard[] =
    " "
    "__future__ _abc _aix_support _ast _asyncio _bisect _blake2 "
    "_bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 "
    "_codecs_jp _codecs_kr _codecs_tw _collections _collections_abc "
    "_compat_pickle _compression _contextvars _crypt _csv _ctypes _curses "
    "_curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib "
    "_frozen_importlib_external _functools _gdbm _hashlib _heapq _imp _io "
    "_json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec "
    "_multiprocessing _opcode _operator _osx_support _overlapped _pickle "
    "_posixshmem _posixsubprocess _py_abc _pydecimal _pyio _queue _random "
    "_scproxy _sha1 _sha256 _sha3 _sha512 _signal _sitebuiltins _socket "
    "_sqlite3 _sre _ssl _stat _statistics _string _strptime _struct "
    "_symtable _thread _threading_local _tkinter _tokenize _tracemalloc "
    "_typing _uuid _warnings _weakref _weakrefset _winapi _zoneinfo abc aifc "
    "antigravity argparse array ast asynchat asyncio asyncore atexit audioop "
    "base64 bdb binascii bisect builtins bz2 cProfile calendar cgi cgitb "
    "chunk cmath cmd code codecs codeop collections colorsys compileall "
    "concurrent configparser contextlib contextvars copy copyreg crypt csv "
    "ctypes curses dataclasses datetime dbm decimal difflib dis distutils "
    "doctest email encodings ensurepip enum errno faulthandler fcntl filecmp "
    "fileinput fnmatch fractions ftplib functools gc genericpath getopt "
    "getpass gettext glob graphlib grp gzip hashlib heapq hmac html http "
    "idlelib imaplib imghdr imp importlib inspect io ipaddress itertools "
    "json keyword lib2to3 linecache locale logging lzma mailbox mailcap "
    "marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing "
    "netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse "
    "os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform "
    "plistlib poplib posix posixpath pprint profile pstats pty pwd "
    "py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re "
    "readline reprlib resource rlcompleter runpy sched secrets select "
    "selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket "
    "socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat "
    "statistics string stringprep struct subprocess sunau symtable sys "
    "sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap "
    "this threading time timeit tkinter token tokenize tomllib trace "
    "traceback tracemalloc tty turtle turtledemo types typing unicodedata "
    "unittest urllib uu uuid venv warnings wave weakref webbrowser winreg "
    "winsound wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib "
    "zoneinfo ";

/* A name of Python's, or several with a dot between each two. */
static bool is_module_name(const char *name, size_t size)
{
    const char *end = name + size;
    bool is = size > 0;

    while (is && name < end) {
        size_t length = text_name_length(name, "_");

        is = length > 0 && (*name < '0' || *name > '9') && name + length <= end &&
             (name + length == end || (name[length] == '.' && name + length + 1 < end));
        name += length + 1;
    }
    return is;
}

static int check_name(const char *names, const char *name, size_t size,
                      struct buffer *why)
{
    size_t top = strcspn(name, ". ");

    if (!is_module_name(name, size)) {
        return refuse(why, "'%.*s' is no name of a module", (int)size, name);
    }
    if (top == strlen("paddock") && memcmp(name, "paddock", top) == 0) {
        return refuse(why, "'%.*s' is Paddock's own name", (int)size, name);
    }
    if (text_has_word(standard, name, top)) {
        return refuse(why, "'%.*s' is a name of Python's own library", (int)size, name);
    }
    if (text_has_word(name + size, name, size)) {
        return refuse(why, "'%.*s' is there twice", (int)size, name);
    }
    return 0;
}

int host_modules_check(const char *names, struct buffer *why)
{
    int error = 0;

    for (const char *name = names + strspn(names, " "); *name != '\0' && error == 0;
         name += strspn(name, " ")) {
        size_t size = strcspn(name, " ");

        error = check_name(names, name, size, why);
        name += size;
    }
    return error;
}

/* ---- folders ---- */

/* `needed`: what others must be able to do where the zygote is one of them. */
static int check_status(const char *path, const struct stat *status, mode_t needed,
                        bool sticky, struct buffer *why)
{
    bool ours = status->st_uid == 0 || status->st_uid == geteuid();
    bool safe = (status->st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
                (sticky && (status->st_mode & S_ISVTX) != 0);

    if (!ours || !safe) {
        return refuse(why, "others can write to %s", path);
    }
    if (geteuid() == 0 && (status->st_mode & needed) != needed) {
        return refuse(why, "the zygote, which is nobody, cannot read %s", path);
    }
    return 0;
}

/* Who can write to one of these can put another folder in the place of the next. */
static int check_above(const char *folder, struct buffer *why)
{
    char path[LIMIT_PATH];
    struct stat status;
    int error = 0;

    for (const char *slash = folder; slash != NULL && error == 0;
         slash = strchr(slash + 1, '/')) {
        (void)snprintf(path, sizeof(path), "%.*s",
                       slash > folder ? (int)(slash - folder) : 1, folder);
        error = stat(path, &status) == 0 ? check_status(path, &status, S_IXOTH, true, why)
                                         : refuse(why, "%s: %s", path, strerror(errno));
    }
    return error;
}

static int check_entry(const FTSENT *entry, struct buffer *why)
{
    int kind = entry->fts_info;

    if (kind == FTS_SL || kind == FTS_SLNONE) {
        return refuse(why,
                      "%s is a symbolic link: who can write beside its target can "
                      "put another one there",
                      entry->fts_path);
    }
    if (kind == FTS_DNR || kind == FTS_NS || kind == FTS_ERR) {
        return refuse(why, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
    }
    return kind == FTS_D || kind == FTS_F
               ? check_status(entry->fts_path, entry->fts_statp,
                              kind == FTS_D ? S_IROTH | S_IXOTH : S_IROTH, false, why)
               : 0; /* seen before */
}

/* All that lies in it: any of it may be imported by what is named. */
static int check_below(char *folder, struct buffer *why)
{
    char *const roots[] = {folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int error = tree != NULL ? 0 : refuse(why, "%s: %s", folder, strerror(errno));
    FTSENT *entry;

    while (error == 0 && (entry = fts_read(tree)) != NULL) {
        error = check_entry(entry, why);
    }
    if (tree != NULL) {
        (void)fts_close(tree);
    }
    return error;
}

static int check_folder(const char *path, size_t size, struct buffer *why)
{
    char folder[LIMIT_PATH];
    autofree char *real = NULL;
    struct stat status;
    int error;

    (void)snprintf(folder, sizeof(folder), "%.*s", (int)size, path);
    if (*folder != '/' || size >= sizeof(folder)) {
        return refuse(why, "'%s' is no absolute path", folder);
    }
    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return refuse(why, "there is no folder %s", folder);
    }
    real = realpath(folder, NULL);
    if (real == NULL || strcmp(real, folder) != 0) {
        return refuse(why, "%s is a symbolic link, or lies below one: name %s", folder,
                      real != NULL ? real : "what it means");
    }
    error = check_above(folder, why);
    return error == 0 ? check_below(folder, why) : error;
}

int host_modules_check_path(const char *path, struct buffer *why)
{
    int error = 0;

    while (*path != '\0' && error == 0) {
        size_t size = strcspn(path, ":");

        error = check_folder(path, size, why);
        path += size;
        if (*path == ':' && error == 0) {
            path++;
            error = *path != '\0' ? 0 : refuse(why, "it ends with a colon");
        }
    }
    return error;
}
