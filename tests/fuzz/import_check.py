# SPDX-License-Identifier: MIT
"""What import_fuzz.c asks of every archive that can be mounted at /fuzz: the program embeds this file and calls
check(names, hint) for each input, then forget().

Modules are executed only as far as they import and assign constants: a program that a fuzzer makes up must not loop, and
must not find a function to call."""

import collections
import dis
import glob
import importlib
import importlib.util
import linecache
import os
import pathlib
import pkgutil
import sys
import tokenize
import zipimport

ROOT = "/fuzz"
HARMLESS = {dis.opmap[name] for name in (
    "CACHE", "NOP", "POP_TOP", "RESUME", "LOAD_CONST", "LOAD_NAME", "STORE_NAME", "DELETE_NAME", "STORE_GLOBAL",
    "IMPORT_NAME", "IMPORT_FROM", "IMPORT_STAR", "RETURN_VALUE", "EXTENDED_ARG", "RAISE_VARARGS", "BUILD_LIST",
    "BUILD_TUPLE", "LIST_EXTEND", "PUSH_EXC_INFO", "POP_EXCEPT", "RERAISE", "COPY", "CHECK_EXC_MATCH",
    "SETUP_ANNOTATIONS", "LOAD_ASSERTION_ERROR")}


class NotRun(Exception):
    pass


def audit(event, args):
    if event == "exec" and args[0].co_filename.startswith(ROOT) and not HARMLESS.issuperset(args[0].co_code[::2]):
        raise NotRun


def check_import(name, hint):
    module = name[:-3].replace("/", ".").removesuffix(".__init__")
    try:
        importlib.import_module(module)
    except Exception as error:
        # Unless it was there before, or came in by another name.
        assert "." in module or module not in sys.modules or module in sys.builtin_module_names, module
        hint(error)
    try:
        loader = sys.path_hooks[0](ROOT).find_spec(name[:-3].rpartition("/")[2]).loader
        loader.get_source()
        loader.get_code()
    except (SyntaxError, ValueError, LookupError, MemoryError, RecursionError, ImportError, AttributeError):
        pass  # no source, one in an encoding that is none of text, or there is no such module at the top


def check_file(name):
    path = os.path.join(ROOT, name)
    size = os.stat(path).st_size
    try:
        with open(path, "rb") as file:
            data = file.read()
    except zipimport.ZipImportError:
        return  # damaged
    assert len(data) == size, name
    assert pathlib.Path(path).read_bytes() == data
    try:
        with tokenize.open(path) as file:
            file.read()
        linecache.getlines(path)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        pass


def check_folders(names):
    walked = [os.path.relpath(os.path.join(folder, file), ROOT)
              for folder, _, files in os.walk(ROOT) for file in files]
    assert collections.Counter(walked) == collections.Counter(names), (walked, names)
    for found in glob.glob(ROOT + "/**", recursive=True):
        assert os.path.exists(found), found
    for info in pkgutil.iter_modules([ROOT]):
        assert info.module_finder.find_spec(info.name) is not None, info.name


def check(names, hint):
    for name in names:
        if name.endswith(".py"):
            check_import(name, hint)
        check_file(name)
    check_folders(names)


def forget():
    for name in sys.modules.keys() - KNOWN:
        del sys.modules[name]
    sys.modules.update(MODULES)
    linecache.clearcache()


sys.path[:] = [ROOT]
sys.dont_write_bytecode = True
MODULES = dict(sys.modules)
KNOWN = set(MODULES)
sys.addaudithook(audit)
