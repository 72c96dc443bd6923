# SPDX-License-Identifier: MIT
"""Makes the archive that programs import Python's library from, or shows what is in one.

Run by paddock-library in the very interpreter that will read the archive. Trusts the machine's Python and Debian's
packages; writes one file, beside its final name first, so that who has the old one mapped keeps it."""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import marshal
import os
import re
import sys
import tempfile
import time
import zipfile

FORMAT = "2"
STAMP = "paddock-library"
ROOT = "/usr"
STANDARD = os.path.dirname(os.__file__)
ZONES = "/usr/share/zoneinfo"

# What makes no sense without a disk, a screen or a compiler, and Python's own tests.
LEFT_OUT = {"test", "idlelib", "lib2to3", "turtledemo", "ensurepip", "venv", "distutils", "tkinter", "ctypes", "curses",
            "turtle.py", "ssl.py", "crypt.py", "dbm/gnu.py", "dbm/ndbm.py", "lib-dynload",
            "site-packages", "dist-packages", "sitecustomize.py"}
LEFT_OUT_ENDS = (".so", ".pyc", ".pyi", ".pxd", ".h", ".c", ".a", ".exe")
LEFT_OUT_FOLDERS = {"__pycache__", "tests", "test"}

# Modules of which the archive has another version than the disk (event_loop.py says why).
REPLACED = {"lib/python3.11/asyncio/unix_events.py": EVENT_LOOP}

# Data that packages of Debian keep outside of their own folder.
DATA = {"matplotlib": ["/usr/share/matplotlib", "/usr/share/fonts/truetype/dejavu"]}


# Modules that a package's users want loaded, too.
WITH = {"matplotlib": ["matplotlib.pyplot", "matplotlib.backends.backend_agg"], "PIL": ["PIL.Image", "PIL.ImageDraw"]}

# Packages that another one imports only when a function of it is called.
LATER = {"matplotlib": ["contourpy", "fontTools"]}


class Failure(Exception):
    """Said as one sentence; exit code 1."""


def visible(text):
    """What would do something to a terminal is seen as what it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        super().error(visible(message))


class Builder:
    def __init__(self, archive, shows_progress):
        self.archive = archive
        self.names = set()
        self.modules = 0
        self.shows_progress = shows_progress

    def note(self, text):
        if self.shows_progress:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def add_bytes(self, name, data, when, method):
        info = zipfile.ZipInfo(name, max(time.localtime(when)[:6], (1980, 1, 1, 0, 0, 0)))
        info.compress_type = method
        info.external_attr = 0o100644 << 16
        self.archive.writestr(info, data)

    def add_code(self, path, name, source):
        try:
            code = compile(source, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return  # templates and the like: importing them fails as it would on disk
        self.add_bytes(f"code/{name}", marshal.dumps(code), 0, zipfile.ZIP_STORED)
        self.modules += 1

    def add_file(self, path):
        name = os.path.relpath(path, ROOT)
        if name in self.names or name.startswith(".."):
            return
        self.names.add(name)
        self.note(f"{len(self.names)} files: {name[:60]}")
        data = REPLACED.get(name)
        if data is None:
            with open(path, "rb") as file:
                data = file.read()
        self.add_bytes(name, data, os.stat(path).st_mtime, zipfile.ZIP_DEFLATED)
        if name.endswith(".py"):
            self.add_code(path, name, data)

    def add_folder(self, top, skipped=frozenset()):
        for folder, folders, files in os.walk(top):
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT_FOLDERS
                                and not (folder == top and (name in skipped or name.startswith("config-"))))
            for name in sorted(files):
                path = os.path.join(folder, name)
                if (not name.endswith(LEFT_OUT_ENDS) and os.path.relpath(path, top) not in skipped
                        and os.path.isfile(path)):
                    self.add_file(path)


def required_by(name):
    """Top-level modules from outside of the standard library that come with a package when it is imported. What its
    metadata says is not asked: Debian's packages leave that to their own dependencies."""
    before = set(sys.modules)
    for module in (name, *WITH.get(name, ())):
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever the package raises
            raise Failure(f"{module} cannot be imported: {error}") from None
    return sorted({module.partition(".")[0] for module in set(sys.modules) - before} - {name})


def find(name):
    """The specification of what can be imported from files; None for all else."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return spec if spec is not None and (spec.origin or spec.submodule_search_locations) else None


def refuse_name(name):
    """Says what is wrong with the name of a package that cannot be imported."""
    for module, distributions in importlib.metadata.packages_distributions().items():
        if name.lower() in (other.lower() for other in distributions):
            raise Failure(f"there is no package {name}, but one of that name is imported as {module}: --add {module}")
    raise Failure(f"there is no package {name}: install it from Debian first (python3-{name.lower()}?)")


def resolve(name, found):
    """Adds to `found` what there is to import by this name, and all that comes along with it."""
    if name in found or name in sys.stdlib_module_names:
        return
    if not name.isidentifier():
        raise Failure(f"\"{name}\" is no package: --add takes one name that can be imported, without dots, such as numpy")
    if find(name) is None:
        refuse_name(name)
    found.extend((name, *WITH.get(name, ())))
    for other in [*required_by(name), *LATER.get(name, ())]:
        if find(other) is not None:
            resolve(other, found)


def complaint(name):
    """Why a package cannot be had; "" if it can. Asked in a child: what an import has loaded, and done, is not undone."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        why = ""
        try:
            resolve(name, [])
        except Failure as error:
            why = str(error)
        os.write(writing, why.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        why = pipe.read()
    _, status = os.waitpid(child, 0)
    return why if status == 0 else f"{name} cannot be imported: Python ends of it"


def parts(name):
    """Folders, and files, of a package."""
    spec = find(name)
    yield from spec.submodule_search_locations or ()
    if not spec.submodule_search_locations and spec.origin.endswith(".py"):
        yield spec.origin
    for distribution in importlib.metadata.packages_distributions().get(name, []):
        path = getattr(importlib.metadata.distribution(distribution), "_path", None)
        if path is not None and os.path.isdir(path):
            yield str(path)
    yield from DATA.get(name, ())


def add_package(builder, name):
    for part in parts(name):
        (builder.add_folder if os.path.isdir(part) else builder.add_file)(part)


def parts_of(names):
    return [part for name in names if find(name) is not None for part in parts(name)]


def state(tops):
    """A sum of what is there now, that is another one when Debian has updated any: names, sizes and times of all files, also
    of those that an archive does not have, as they fit the others."""
    files = []
    for top in tops:
        if not os.path.isdir(top):
            files.append(top)
        for folder, _, inside in os.walk(top):
            files += (os.path.join(folder, file) for file in inside if not file.endswith(".pyc"))
    about = [(path, os.lstat(path).st_size, os.lstat(path).st_mtime_ns) for path in sorted(files)]
    return hashlib.sha256(repr(about).encode()).hexdigest()


def top_level(names):
    return [name for name in names if "." not in name]


def stamp(asked, added):
    """What says for which interpreter an archive was made, what was asked for, and with what it was made, therefore."""
    magic = int.from_bytes(importlib.util.MAGIC_NUMBER, "little")
    lines = [f"format {FORMAT}", f"python {sys.version}", f"magic {magic:x}", f"zones {state([ZONES])}",
             *(f"asked {name}" for name in asked), *(f"add {name}" for name in added)]
    if added:
        lines.append(f"state {state(parts_of(top_level(added)))}")
    return "".join(line + "\n" for line in lines)


def read_stamp(path):
    """That of an archive, and what was asked for and added; nothing, where there is none, or it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(STAMP).decode()
    except (FileNotFoundError, IsADirectoryError, zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        text = ""
    added = re.findall(r"^add (.*)$", text, re.M)
    return text, re.findall(r"^asked (.*)$", text, re.M) or top_level(added), added


def build(path, asked, kept):
    """`asked`: packages; of those that are `kept` from before one that is gone is left out, and asked for the next time."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise Failure(f"unable to write {path}: it is a folder")
    gone = {name: why for name in asked if name in kept and (why := complaint(name))}
    try:
        handle, temporary = tempfile.mkstemp(prefix=".python-library-", dir=folder)
    except OSError as error:
        raise Failure(f"unable to write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", compresslevel=6) as archive:
                builder = Builder(archive, sys.stderr.isatty())
                builder.add_folder(STANDARD, LEFT_OUT)
                builder.add_folder(ZONES, {"posix", "right"})
                added = []
                for name in asked:
                    if name not in gone:
                        resolve(name, added)
                for name in top_level(added):
                    add_package(builder, name)
                builder.add_bytes(STAMP, stamp(asked, added), 0, zipfile.ZIP_STORED)
                builder.note("")
            size = file.tell()
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    for name, why in gone.items():
        print(f"paddock-library: warning: {name} is left out: {why}", file=sys.stderr)
    more = f", with {' '.join(top_level(added))}" if added else ""
    print(f"{path}: Python {sys.version.split()[0]}, {builder.modules} modules, {size >> 20} MB{more}")


def change(path, more, less, only_if_needed):
    """Makes the archive anew: with the packages that were asked for before, and `more`, without `less`."""
    text, kept, added = read_stamp(path)
    for name in less:
        if name not in kept:
            raise Failure(f"{name} was not added: {', '.join(kept) or 'nothing'} was")
    asked = [name for name in kept if name not in less]
    asked += [name for name in dict.fromkeys(more) if name not in asked]
    if only_if_needed and text == stamp(asked, added) and all((find(name) is not None) == (name in added) for name in asked):
        print(f"{path}: fits Python {sys.version.split()[0]}")
    else:
        build(path, asked, kept)


def show(path):
    try:
        with zipfile.ZipFile(path) as archive:
            print("\n".join(map(visible, archive.read(STAMP).decode().splitlines())))
            print(f"files {sum(not name.startswith('code/') for name in archive.namelist())}")
    except (zipfile.BadZipFile, KeyError):
        raise Failure(f"{path} is no library of Python") from None


def main():
    parser = Parser(
        prog="paddock-library", description="Makes the archive that programs in Paddock's sandboxes import Python's "
        "library from. Run it again when Debian has updated Python, or to offer further packages: those that were added before stay.")
    parser.add_argument("--output", metavar="FILE", default=DEFAULT, help="the archive (default: %(default)s)")
    parser.add_argument("--add", metavar="PACKAGE", action="append", default=[],
                        help="offer this package, too, with what it needs; from Debian's packages, e.g. numpy, PIL")
    parser.add_argument("--drop", metavar="PACKAGE", action="append", default=[], help="do not offer this one any more, nor what "
                        "only it needs")
    parser.add_argument("--update", action="store_true", help="do nothing where the archive fits this Python, and has what was "
                        "added as it is now")
    parser.add_argument("--show", action="store_true", help="print what the archive was made for and of; change nothing")
    options = parser.parse_args()
    for name in set(options.add) & set(options.drop):
        parser.error(f"--add {name} beside --drop {name}")
    try:
        if options.show:
            show(options.output)
            return
        with tempfile.TemporaryDirectory() as folder:
            os.environ.update(MPLBACKEND="agg", MPLCONFIGDIR=folder)  # no screen, and nothing left in the user's home
            change(options.output, options.add, options.drop, options.update)
    except (Failure, OSError, zipfile.BadZipFile, KeyError) as error:
        print(f"paddock-library: {visible(str(error))}", file=sys.stderr)
        sys.exit(1)


main()
