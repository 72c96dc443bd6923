# SPDX-License-Identifier: MIT
"""What a program can ask of the files that it was started from: a tree, and questions about it. parity_test.py asks them
twice, of a folder on a read-only disk and of the same tree in memory, each in a process of its own, and compares all that
is printed, tracebacks included. ROOT stands on sys.path and is the working directory; OTHER stands behind it."""

import os
import sys

ROOT = os.environ.get("PROBE_ROOT", "/robot")
OTHER = ROOT + "2"

TREE = {
    "robot.py": "import helper\nx = helper.x\n",
    "helper.py": "import sys\nx = 42\n\n\ndef fail(n):\n    return n / 0  # here\n\n\nclass Thing:\n    '''A thing.'''\n\n"
                 "    def method(self):\n        return self.y\n\n    def __eq__(self, other):\n"
                 "        return self.__dict__ == other.__dict__\n",
    "pkg/__init__.py": "'The package.'\nfrom . import inner\nfrom .inner import y\n__version__ = '1.0'\n",
    "pkg/inner.py": "from . import sub\nfrom .sub.deep import y\nparent = __package__\n",
    "pkg/sub/__init__.py": "'Its doc.'\n",
    "pkg/sub/deep.py": "from ..sibling import z\ny = z + 1\n\n\ndef dig(n):\n    if n == 0:\n        raise ValueError('bottom')\n"
                       "    dig(n - 1)\n",
    "pkg/sibling.py": "z = 1\n",
    "pkg/__main__.py": "import sys\nprint('main of', __package__, __name__, __spec__.name, sys.argv[0])\nvalue = 5\n",
    "pkg/beyond.py": "from ... import nothing\n",
    "pkg/data/level.txt": "#..#\n",
    "pkg/data/deep/er.bin": b"\0\1\2\xff",
    "stars/__init__.py": "__all__ = ['one', 'two']\ntwo = 2\nthree = 3\n",
    "stars/one.py": "n = 1\n",
    "lazy_attribute.py": "def __getattr__(name):\n    if name == 'magic':\n        return 7\n    raise AttributeError(name)\n",
    "circle_a.py": "import circle_b\na = 1\nfrom circle_b import b\n",
    "circle_b.py": "import circle_a\nb = 2\nhas_a = hasattr(circle_a, 'a')\n",
    "circle_c.py": "from circle_d import d\nc = 1\n",
    "circle_d.py": "from circle_c import c\nd = 1\n",
    "selfish.py": "import selfish\nfrom selfish import nothing\n",
    "space/one.py": "n = 1\n",
    "space/nested/two.py": "n = 2\nfrom ..one import n as one\n",
    "twin.py": "which = 'module'\n",
    "twin/__init__.py": "which = 'package'\n",
    "syntax.py": "x = 1\ndef f(:\n    pass\n",
    "syntax_user.py": "import helper\nimport syntax\n",
    "indent.py": "def f():\nreturn 1\n",
    "unclosed.py": "x = (1,\n     2\n",
    "tabs.py": "if 1:\n\tx = 1\n        y = 2\n",
    "half/__init__.py": "from . import good\nfrom . import bad\n",
    "half/good.py": "ok = 1\n",
    "half/bad.py": "raise ValueError('bad half')\n",
    "raises.py": "import helper\nhelper.fail(3)\n",
    "chains.py": "try:\n    import raises\nexcept ZeroDivisionError as error:\n    raise RuntimeError('no') from error\n",
    "needs.py": "import does_not_exist_at_all\n",
    "needs_name.py": "from helper import nothing_of_it\n",
    "needs_sub.py": "import pkg.nothing_of_it\n",
    "latin.py": b"# -*- coding: latin-1 -*-\nname = '\xe4\xf6'\ndef f():\n    raise KeyError('\xfc')\n",
    "bom.py": b"\xef\xbb\xbfname = '\xc3\xa4'\n",
    "bom_and_latin.py": b"\xef\xbb\xbf# coding: latin-1\n",
    "crlf.py": b"a = 1\r\nif a:\r\n    b = '''x\r\ny'''\r\ndef f():\r\n    return a / 0\r\n",
    "cr.py": b"a = 1\rb = 2\rdef f():\r    return a / 0\r",
    "utf7.py": b"# coding: utf-7\nname = '+AOQ-'\n",
    "klingon.py": b"# coding: klingon\n",
    "not_utf8.py": b"x = 1\nname = '\xe4'\n",
    "formfeed.py": b"\fa = 1\n\f\ndef f():\n    return 2\n",
    "empty.py": "",
    "no_newline.py": "n = 1",
    "\u00fcml\u00e4ut.py": "n = 'umlaut'\n",
    "json.py": "mine = True\n",
    "counted.py": "import sys\nsys.runs = getattr(sys, 'runs', 0) + 1\nn = sys.runs\n",
    "slow.py": "import time, sys\nsys.slow = getattr(sys, 'slow', 0) + 1\ntime.sleep(0.05)\ndone = True\n",
    "warns.py": "import warnings\n\n\ndef f():\n    warnings.warn('careful', stacklevel=2)\n\n\nf()  # the line that is shown\n",
    "documented.py": "def double(n):\n    '''\n    >>> double(2)\n    4\n    >>> double(3)\n    7\n    '''\n    return 2 * n\n",
    "test_things.py": "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        import helper\n"
                      "        self.assertEqual(helper.x, 42)\n",
    "extended/__init__.py": "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n",
    "extended/mine.py": "n = 1\n",
    "data.dist-info/METADATA": "Metadata-Version: 2.1\nName: data\nVersion: 3.5\nRequires-Dist: nothing\n",
    "data.dist-info/RECORD": "helper.py,,\npkg/__init__.py,,\n",
    "data.dist-info/entry_points.txt": "[group]\nname = helper:fail\n",
    "levels/1.txt": "#..#\r\n#  #\r\n\u00e4\n",
    "levels/2.txt": "",
    "levels/.hidden": "h\n",
    "levels/more/3.txt": "three\n",
    "settings.ini": "[a]\nb = c\n",
    "table.csv": "a,b\r\n1,\"2,\n3\"\r\n",
    "numbers.json": "{\"a\": [1, 2.5, null]}\n",
}
TREE2 = {
    "space/other.py": "n = 3\n",
    "extended/theirs.py": "n = 2\n",
    "helper.py": "x = 'the other one'\n",
    "only_there.py": "n = 4\n",
}
PROBES = []


def probe(function):
    PROBES.append(function)
    return function


def show(function, *args, **keywords):
    """Prints what the call returns, or raises."""
    try:
        print(repr(function(*args, **keywords)))
    except Exception as error:
        print(type(error).__name__, error, getattr(error, "errno", ""), getattr(error, "filename", ""))


def traced(statement):
    """Runs a statement as a program's line, and prints the traceback from there on."""
    import traceback
    try:
        exec(compile(statement, "<program>", "exec"), {"__name__": "program"})
    except BaseException as error:
        traceback.print_exception(type(error), error, error.__traceback__.tb_next)


def describe(module):
    spec = module.__spec__
    print(module.__name__, module.__package__, getattr(module, "__file__", None), getattr(module, "__path__", None),
          module.__doc__, spec.name, spec.origin, spec.has_location, spec.parent, spec.submodule_search_locations,
          module.__loader__ is spec.loader)


# ---- packages ----


@probe
def packages_and_relative_imports():
    import pkg, pkg.sub.deep
    for module in pkg, pkg.inner, pkg.sub, pkg.sub.deep, pkg.sibling:
        describe(module)
    print(pkg.y, pkg.inner.parent, pkg.sub.deep.dig.__code__.co_filename, repr(pkg), repr(pkg.sub))


@probe
def relative_import_beyond_the_top():
    traced("import pkg.beyond")


@probe
def circular_imports():
    import circle_a
    print(circle_a.b, circle_a.circle_b.has_a)
    traced("import circle_c")
    traced("import selfish")
    print("circle_c" in sys.modules, "circle_d" in sys.modules)


@probe
def namespace_packages():
    import space.one, space.nested.two, space.other
    print(space.one.n, space.nested.two.one, space.other.n, list(space.__path__), space.__spec__.origin,
          getattr(space, "__file__", None), type(space.__path__).__name__, repr(space))
    print(list(space.nested.__path__), type(space.__loader__).__name__)


@probe
def portions_appear_with_the_path():
    sys.path.remove(OTHER)
    import importlib
    import space.one
    show(importlib.import_module, "space.other")
    sys.path.append(OTHER)
    import space.other
    print(list(space.__path__))


@probe
def portions_by_pkgutil():
    import extended, extended.mine, extended.theirs
    print(extended.__path__, extended.mine.n, extended.theirs.n)


@probe
def a_package_beats_a_module_of_its_name():
    import twin
    print(twin.which, twin.__file__)


@probe
def stars():
    exec("from stars import *; print(sorted(n for n in dir() if n[0] != '_'), two, one.n)", {})


@probe
def module_getattr():
    from lazy_attribute import magic
    print(magic)
    traced("from lazy_attribute import nothing")


@probe
def several_roots():
    import helper, only_there
    print(helper.x, only_there.n, only_there.__file__)
    sys.path.remove(ROOT)
    del sys.modules["helper"]
    import helper
    print(helper.x, helper.__file__)


@probe
def a_folder_of_it_on_the_path():
    sys.path.insert(0, ROOT + "/pkg")
    import sibling
    describe(sibling)


@probe
def a_folder_on_the_path_in_other_words():
    for entry in ("pkg", "./pkg", "levels/../pkg", ROOT + "//pkg", ROOT + "/pkg/", ROOT + "/levels/../pkg", ROOT + "/./pkg/."):
        sys.path.insert(0, entry)
        import sibling
        print(entry, sibling.z, os.path.samefile(sibling.__file__, "pkg/sibling.py"), type(sibling.__loader__).__name__ != "x")
        del sys.modules["sibling"]
        del sys.path[0]


@probe
def the_old_protocol():
    import pkgutil, warnings
    warnings.simplefilter("ignore")
    for finder, name, _ in pkgutil.iter_modules([ROOT + "/stars"]):
        print(name, finder.find_module(name).load_module(name).n, finder.path == ROOT + "/stars", finder.find_module("nothing"))


@probe
def a_missing_folder_on_the_path():
    sys.path.insert(0, ROOT + "/not there")
    sys.path.insert(0, ROOT + "/helper.py")
    sys.path.insert(0, ROOT + "3")
    import helper
    print(helper.__file__)


@probe
def missing_things():
    for statement in ("import needs", "import needs_name", "import needs_sub", "import helper.sub", "from pkg import nothing",
                      "import Helper", "import ROBOT", "import space.nothing", "import levels.more.nothing"):
        traced(statement)


@probe
def own_module_of_a_standard_name():
    import json
    print(json.mine, json.__file__)


@probe
def unicode_names():
    import ümläut
    describe(ümläut)


@probe
def odd_modules():
    import empty, no_newline, formfeed
    describe(empty)
    print(no_newline.n, formfeed.f.__code__.co_firstlineno)


# ---- tracebacks ----


@probe
def traceback_shows_the_line():
    traced("import raises")
    traced("import pkg.sub.deep; pkg.sub.deep.dig(2)")
    traced("import chains")


@probe
def traceback_of_syntax_errors():
    for name in "syntax", "syntax_user", "indent", "unclosed", "tabs":
        traced(f"import {name}")
        print(name in sys.modules)


@probe
def sources_encoded_wrongly():
    """Which of them are refused, and as what: where, Python on a disk does not say, or not rightly."""
    for name in "klingon", "bom_and_latin", "not_utf8":
        try:
            __import__(name)
        except SyntaxError as error:
            print(type(error).__name__, os.path.basename(error.filename), name in sys.modules)


@probe
def attributes_of_a_syntax_error():
    try:
        import syntax
    except SyntaxError as error:
        print(error.filename, error.lineno, error.offset, error.text, error.end_lineno, error.end_offset, error.msg)


@probe
def traceback_after_the_program_is_gone():
    import helper, traceback
    try:
        helper.fail(1)
    except ZeroDivisionError as error:
        kept = error
    sys.modules.clear()
    traceback.print_exception(kept)


@probe
def failed_import_leaves_nothing():
    traced("import half")
    print(sorted(name for name in sys.modules if name.startswith("half")))
    traced("import half")
    traced("import raises")
    print("raises" in sys.modules, "helper" in sys.modules)


@probe
def warnings_show_the_line():
    import warns


@probe
def lines_by_file_name():
    import linecache
    import helper, latin, bom, crlf, cr
    for module in helper, latin, bom, crlf, cr:
        print(linecache.getlines(module.__file__))
    linecache.clearcache()
    print(linecache.getline(helper.__file__, 6, helper.__dict__))
    linecache.checkcache()
    print(linecache.getline(helper.__file__, 2, helper.__dict__))


@probe
def stack_summaries():
    import inspect, traceback, pkg.sub.deep
    try:
        pkg.sub.deep.dig(1)
    except ValueError as error:
        for frame in traceback.extract_tb(error.__traceback__)[1:]:
            print(frame.filename, frame.lineno, frame.name, frame.line)
        print(inspect.getinnerframes(error.__traceback__)[1:])


# ---- sources ----


@probe
def encodings():
    import latin, bom, utf7, crlf, cr
    print(latin.name, bom.name, utf7.name, repr(crlf.b), cr.b)
    for module in latin, bom, utf7, crlf, cr:
        show(module.__loader__.get_source, module.__name__)
    traced("import latin; latin.f()")
    traced("import crlf; crlf.f()")
    traced("import cr; cr.f()")


@probe
def inspecting():
    import inspect, helper, pkg.sub.deep
    print(inspect.getsource(helper.fail), inspect.getsource(helper.Thing), inspect.getsourcefile(helper.Thing.method),
          inspect.getsourcelines(pkg.sub.deep.dig), inspect.getmodule(helper.fail) is helper, inspect.getfile(pkg),
          inspect.getdoc(helper.Thing), inspect.getmodulename(helper.__file__), inspect.getsource(pkg.sub))
    del sys.modules["helper"]
    print(inspect.getsource(helper.fail))


@probe
def loader_methods():
    import helper, pkg
    loader = pkg.__loader__
    print(loader.is_package("pkg"), helper.__loader__.is_package("helper"), loader.get_filename("pkg"), loader.name,
          loader.path, helper.__loader__.get_filename(), loader.get_code("pkg").co_names)
    show(loader.get_source, "other")
    show(loader.get_code, "other")
    print(loader.get_data(ROOT + "/pkg/data/level.txt"))
    show(loader.get_data, ROOT + "/pkg/nothing")
    show(loader.get_data, ROOT + "/pkg")


@probe
def documentation():
    import pydoc, helper, pkg
    print(pydoc.plain(pydoc.render_doc(helper)), pydoc.locate("helper.Thing.method"))


@probe
def doctests():
    import doctest, documented
    print(doctest.testmod(documented))


@probe
def unit_tests():
    import io, unittest
    suite = unittest.defaultTestLoader.discover(ROOT)
    print(suite.countTestCases(), unittest.TextTestRunner(stream=io.StringIO()).run(suite).wasSuccessful())


@probe
def debugger_lists_the_source():
    import io, pdb, helper
    out = io.StringIO()
    try:
        helper.fail(1)
    except ZeroDivisionError as error:
        debugger = pdb.Pdb(stdin=io.StringIO("longlist\nwhere\nquit\n"), stdout=out, nosigint=True, readrc=False)
        debugger.reset()
        debugger.interaction(None, error.__traceback__.tb_next)
    print(out.getvalue())


@probe
def logging_finds_its_caller():
    import logging
    logging.basicConfig(format="%(pathname)s %(lineno)d %(module)s %(funcName)s %(message)s", stream=sys.stdout)
    exec(compile("import logging\ndef f():\n    logging.warning('x')\nf()\n", ROOT + "/robot.py", "exec"), {})


# ---- running ----


@probe
def modules_by_runpy():
    import runpy
    result = runpy.run_module("helper")
    print(sorted(result), result["__name__"], result["__file__"], result["__package__"], result["x"])
    print(runpy.run_module("pkg", alter_sys=True)["value"])
    print(runpy.run_module("helper", run_name="__main__", alter_sys=True)["__spec__"].name)
    show(runpy.run_module, "space")
    show(runpy.run_module, "not_there")


@probe
def paths_by_runpy():
    import runpy
    print(runpy.run_path(ROOT + "/pkg")["value"])
    result = runpy.run_path(ROOT + "/robot.py", run_name="__main__")
    print(result["__name__"], result["__file__"], result["x"])
    show(runpy.run_path, ROOT)
    show(runpy.run_path, ROOT + "/not_there.py")


@probe
def executing_a_file():
    exec(compile(open("robot.py").read(), "robot.py", "exec"), globals := {})
    print(globals["x"])


@probe
def reloading():
    import importlib, counted
    before = counted
    counted.extra = 1
    again = importlib.reload(counted)
    print(again is before, counted.n, counted.extra)
    import pkg
    importlib.reload(pkg.sub)
    sys.modules.pop("counted")
    import counted
    print(counted.n, counted is before)


@probe
def threads_import_one_module():
    import threading
    seen = []

    def work():
        import slow
        seen.append(slow.done)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sys.slow, seen)


@probe
def lazy_modules():
    import importlib.util
    spec = importlib.util.find_spec("counted")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["counted"] = module
    spec.loader.exec_module(module)
    print(getattr(sys, "runs", "not yet"))
    print(module.n, sys.runs)


@probe
def pickles():
    import copy, pickle, helper
    thing = helper.Thing()
    thing.y = [thing.__class__, helper.fail, 5]
    data = pickle.dumps(thing)
    del sys.modules["helper"]
    again = pickle.loads(data)
    print(again.y, type(again).__module__, type(again) is not helper.Thing, copy.deepcopy(thing) == thing)


@probe
def other_processes_by_fork():
    import multiprocessing, helper
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.apply(helper.Thing().__class__.__eq__, (helper.Thing(), helper.Thing())))
        show(pool.apply, helper.fail, (1,))


@probe
def specs():
    import importlib.machinery, importlib.util
    for name in "helper", "pkg", "pkg.sub", "space", "twin", "not_there":
        spec = importlib.util.find_spec(name)
        print(spec and (spec.name, spec.origin, spec.has_location, spec.submodule_search_locations and
                        list(spec.submodule_search_locations)))
    print("pkg.sub" in sys.modules, "helper" in sys.modules)
    print(importlib.machinery.PathFinder.find_spec("helper", [ROOT]).origin,
          importlib.machinery.PathFinder.find_spec("helper", [OTHER]).origin,
          importlib.machinery.PathFinder.find_spec("helper", [ROOT + "/pkg"]))
    show(importlib.util.find_spec, "helper.sub")
    print(importlib.util.resolve_name(".sub", "pkg"))


@probe
def caches():
    import importlib, helper
    print(sorted(p for p in sys.path_importer_cache if p.startswith(ROOT)))
    importlib.invalidate_caches()
    import pkg
    print(sorted(p for p in sys.path_importer_cache if p.startswith(ROOT)))
    sys.path_importer_cache.clear()
    import robot


@probe
def each_module_is_compiled_once():
    seen = []
    sys.addaudithook(lambda event, args: seen.append(args[1]) if event == "compile" and str(args[1]).startswith(ROOT) else None)
    import robot, pkg, space.one, latin
    print(len(seen), len(set(seen)))


# ---- what else lies beside modules ----


@probe
def data_of_packages():
    import pkgutil
    print(pkgutil.get_data("pkg", "data/level.txt"), pkgutil.get_data("pkg.sub", "../data/deep/er.bin"))
    show(pkgutil.get_data, "pkg", "nothing")
    import pkg
    print(open(os.path.join(os.path.dirname(pkg.__file__), "data", "level.txt")).read())


@probe
def lists_of_modules():
    import pkgutil, pkg
    print([(m.name, m.ispkg) for m in pkgutil.iter_modules([ROOT, OTHER])])
    print([(m.name, m.ispkg) for m in pkgutil.iter_modules(pkg.__path__, "pkg.")])
    print([m.name for m in pkgutil.walk_packages([ROOT], onerror=lambda name: print("no", name))])
    print(pkgutil.resolve_name("pkg.sub.deep:dig"))


@probe
def resources():
    import importlib.resources as resources
    folder = resources.files("pkg")
    print(repr(folder), sorted(x.name for x in folder.iterdir()), folder.joinpath("data/level.txt").read_text(),
          (folder / "data" / "deep" / "er.bin").read_bytes(), (folder / "data").is_dir(), (folder / "data").is_file(),
          sorted(x.name for x in folder.joinpath("data").iterdir()))
    with resources.as_file(folder / "data" / "level.txt") as path:
        print(path, path.exists())
    with (folder / "data" / "level.txt").open("rb") as file:
        print(file.read())
    show((folder / "nothing").read_text)
    show((folder / "data").read_text)
    show(resources.files, "helper")
    spaced = resources.files("space")
    print(sorted(x.name for x in spaced.iterdir()), (spaced / "one.py").read_text(), spaced.joinpath("nested", "two.py").is_file())
    show(resources.files, "not_there")


@probe
def resources_of_old():
    import importlib.resources as resources, warnings
    warnings.simplefilter("ignore")
    print(sorted(resources.contents("pkg")), resources.is_resource("pkg", "data"), resources.is_resource("pkg", "inner.py"),
          resources.read_text("pkg", "sibling.py"), resources.read_binary("pkg.data", "level.txt"))
    with resources.path("pkg", "sibling.py") as path:
        print(path)
    show(resources.read_text, "pkg", "nothing")


@probe
def metadata():
    import importlib.metadata as metadata
    print(metadata.version("data"), metadata.requires("data"), metadata.metadata("DATA")["Name"], metadata.files("data"),
          metadata.entry_points(group="group"), metadata.files("data")[0].locate(), metadata.files("data")[0].read_text()[:10])
    print([d.metadata["Name"] for d in metadata.distributions(path=[ROOT])])
    print(metadata.entry_points(group="group")["name"].load())
    show(metadata.version, "nothing_of_that")


# ---- files ----


@probe
def reading_text():
    print(repr(open("levels/1.txt", encoding="utf-8").read()), repr(open(ROOT + "/levels/1.txt", newline="", encoding="utf-8").read()),
          open("levels/1.txt", encoding="utf-8").readlines(), repr(open("levels/1.txt", newline="\r\n", encoding="latin-1").readline()))
    with open("levels/1.txt", encoding="utf-8") as file:
        print(file.name, file.mode, file.encoding, file.closed, file.readable(), file.writable(), file.seekable(), file.isatty(),
              file.readline(), file.tell(), list(file), file.seek(0), file.read(2), next(file), file.newlines)
    print(file.closed)
    show(file.read)
    show(open("levels/1.txt", encoding="ascii").read)
    print(open("levels/1.txt", encoding="ascii", errors="replace").read(), open("levels/2.txt").read() == "")
    show(open, "levels/1.txt", encoding="klingon")
    show(open, "levels/1.txt", newline="x")
    show(open, "levels/1.txt", "rb", encoding="utf-8")
    show(open, "levels/1.txt", "q")
    show(open, "levels/1.txt", "rt+b")
    show(open, "levels/1.txt", buffering=0)


@probe
def reading_bytes():
    with open("pkg/data/deep/er.bin", "rb") as file:
        print(file.read(1), file.read(), file.read(), file.seek(-1, 2), file.read(), file.seek(1), file.peek(1)[:1], file.tell(),
              file.mode, file.name, file.raw.mode, file.readinto(bytearray(9)))
        show(file.seek, -1)
        show(file.write, b"x")
        show(file.truncate)
        show(file.readline)
    with open("pkg/data/deep/er.bin", "rb", buffering=0) as file:
        print(file.readall(), file.read(), file.seekable(), file.writable(), file.mode, file.name, file.closefd)
    with open("levels/1.txt", "rb") as file:
        print(list(file), file.readlines())
    print(file.closed)


@probe
def opening_what_is_not_there():
    for path in ("nothing", "nothing/more", "levels", "levels/", ROOT, "helper.py/x", "levels/1.txt/", "", "levels/../helper.py",
                 "levels/../nothing", "./levels//1.txt", "levels/1.txt\0", "x" * 300, b"levels/1.txt", b"nothing",
                 "../" + os.path.basename(ROOT) + "/robot.py"):
        try:
            with open(path, "rb") as file:
                print(repr(path), len(file.read()), file.name)
        except Exception as error:
            print(repr(path), type(error).__name__, error)


@probe
def writing_is_refused():
    import pathlib, shutil, tempfile
    for mode in "w", "a", "x", "r+", "w+", "wb", "ab", "r+b", "xb":
        show(open, "levels/1.txt", mode)
        show(open, "levels/new.txt", mode)
        show(open, "levels", mode)
        show(open, "nothing/new.txt", mode)
    for call in (os.remove, os.unlink, os.rmdir, os.mkdir, os.makedirs):
        show(call, "levels/1.txt")
        show(call, "levels/new")
        show(call, "levels")
    show(os.rename, "levels/1.txt", "levels/9.txt")
    show(os.replace, "levels/1.txt", "levels/9.txt")
    show(os.rename, "nothing", "levels/9.txt")
    show(os.link, "levels/1.txt", "levels/9.txt")
    show(os.symlink, "1.txt", "levels/9.txt")
    show(os.chmod, "levels/1.txt", 0o600)
    show(os.chown, "levels/1.txt", 0, 0)
    show(os.utime, "levels/1.txt")
    show(os.truncate, "levels/1.txt", 0)
    show(pathlib.Path("levels/1.txt").write_text, "x")
    show(pathlib.Path("levels/new").touch)
    show(pathlib.Path("levels/new").mkdir)
    show(pathlib.Path("levels/1.txt").unlink)
    show(shutil.copy, "levels/1.txt", "levels/9.txt")
    show(shutil.rmtree, "levels")
    show(tempfile.TemporaryFile, dir=ROOT)


@probe
def listing():
    print(sorted(os.listdir()), sorted(os.listdir("levels")), sorted(os.listdir(b"levels")), sorted(os.listdir(ROOT + "/pkg/data/")))
    for path in "nothing", "helper.py", "nothing/x", "":
        show(os.listdir, path)
        show(os.scandir, path)
    with os.scandir("levels") as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            print(entry.name, entry.path, entry.is_dir(), entry.is_file(), entry.is_symlink(), repr(entry), os.fspath(entry),
                  entry.stat().st_size if entry.is_file() else "-")
    print(sorted(entry.name for entry in os.scandir(b"levels")))
    for folder, folders, files in sorted(os.walk("pkg")):
        print(folder, sorted(folders), sorted(files))
    print(sorted(folder for folder, _, _ in os.walk(ROOT, topdown=False)), list(os.walk("nothing")))


@probe
def statuses():
    import stat
    for path in "levels/1.txt", "levels", ROOT, "levels/..", b"helper.py", "pkg/data/deep/er.bin":
        status = os.stat(path)
        print(path, stat.filemode(status.st_mode)[0], status.st_size if stat.S_ISREG(status.st_mode) else "-",
              int(status.st_mtime) if stat.S_ISREG(status.st_mode) else "-", stat.S_ISDIR(os.lstat(path).st_mode),
              len(status), os.access(path, os.R_OK), os.access(path, os.F_OK), os.access(path, os.W_OK))
    for path in "nothing", "helper.py/x", "nothing/x", "", "levels/1.txt/":
        show(os.stat, path)
        show(os.lstat, path)
        show(os.access, path, os.R_OK)
    show(os.readlink, "levels/1.txt")
    show(os.readlink, "nothing")
    print(os.path.samefile("levels/1.txt", "levels/../levels/1.txt"), os.path.samefile("levels/1.txt", "levels/2.txt"))


@probe
def paths():
    from os import path
    for name in "levels/1.txt", "levels", "nothing", "", ROOT, ROOT + "/", "helper.py/", "helper.py/x", "levels/./more/../1.txt":
        print(name, path.exists(name), path.isfile(name), path.isdir(name), path.islink(name), path.lexists(name), path.ismount(name),
              path.abspath(name), path.realpath(name))
    print(path.getsize("levels/1.txt"), path.getmtime("levels/1.txt"), os.getcwd(), os.getcwdb())
    show(path.getsize, "nothing")
    show(path.realpath, "nothing", strict=True)


@probe
def working_directory():
    os.chdir("levels")
    print(os.getcwd(), open("1.txt", encoding="utf-8").readline(), sorted(os.listdir()), os.path.abspath("x"))
    os.chdir("..")
    print(os.getcwd(), os.path.exists("helper.py"))
    show(os.chdir, "nothing")
    show(os.chdir, "helper.py")
    os.chdir("/")
    print(os.getcwd(), os.path.exists("helper.py"), os.path.exists(ROOT[1:] + "/helper.py"))


@probe
def pathlib_paths():
    from pathlib import Path
    folder = Path("levels")
    print(folder.exists(), folder.is_dir(), sorted(p.name for p in folder.iterdir()), sorted(map(str, folder.glob("*.txt"))),
          sorted(map(str, Path().rglob("*.txt"))), (folder / "1.txt").read_text(encoding="utf-8"), (folder / "1.txt").read_bytes(),
          folder.resolve(), Path("levels/../helper.py").resolve(), Path.cwd(), folder.stat().st_mode & 0o170000,
          folder.is_symlink(), folder.is_mount(), Path(ROOT, "levels").samefile("levels"), (folder / "1.txt").stat().st_size)
    show((folder / "nothing").read_text)
    show((folder / "nothing").resolve, strict=True)
    show(folder.read_text)
    with (folder / "more" / "3.txt").open() as file:
        print(file.read(), Path(file.name))
    print([p.exists() for p in (folder / "nothing", folder / "1.txt" / "x", Path("x" * 300))])


@probe
def globs():
    import fnmatch, glob
    for pattern in "*.py", "levels/*", "levels/.*", "**/*.txt", ROOT + "/levels/[12].txt", "nothing/*", "levels/**", "l?vels/1.*":
        print(pattern, sorted(glob.glob(pattern, recursive=True)))
    print(sorted(glob.glob("*.txt", root_dir="levels")), sorted(glob.iglob("levels/*", include_hidden=True)))


@probe
def formats():
    import configparser, csv, fileinput, io, json as mine, tokenize
    sys.modules.pop("json")
    sys.path.remove(ROOT)
    import json
    print(json.load(open("numbers.json")), json.loads(open(b"numbers.json", "rb").read()))
    print(list(csv.reader(open("table.csv", newline=""))), list(csv.DictReader(open("table.csv", newline=""))))
    parser = configparser.ConfigParser()
    print(parser.read(["settings.ini", "nothing.ini"]), parser["a"]["b"])
    print(list(fileinput.input(["levels/more/3.txt", "settings.ini"])))
    with tokenize.open("latin.py") as file:
        print(file.encoding, file.read())
    print(io.open("levels/more/3.txt").read(), io.open_code(ROOT + "/settings.ini").read(), io.FileIO)
    print(len(list(tokenize.tokenize(open("helper.py", "rb").readline))))


@probe
def more_formats():
    import ast, codecs, filecmp, hashlib, mimetypes, shelve, sqlite3, tomllib, zipfile
    print(codecs.open("latin.py", encoding="latin-1").readline(), filecmp.cmp("levels/1.txt", "levels/1.txt", shallow=False),
          hashlib.file_digest(open("levels/1.txt", "rb"), "sha256").hexdigest(), tomllib.load(open("settings.ini", "rb"))
          if False else "", zipfile.is_zipfile("levels/1.txt"), len(ast.parse(open("helper.py").read()).body))
    show(shelve.open, "levels/shelf")


@probe
def copying_into_memory():
    import io, shutil
    out = io.BytesIO()
    with open("levels/1.txt", "rb") as file:
        shutil.copyfileobj(file, out)
    print(out.getvalue())
    show(shutil.copyfile, "nothing", "levels/9.txt")
    print(shutil.which("helper.py", path=ROOT), shutil.disk_usage.__name__)


@probe
def seeking():
    for buffering in -1, 0:
        with open("levels/more/3.txt", "rb", buffering) as file:
            for offset, whence in (-1024, 2), (-100, 1), (-1, 0), (2, 0), (-1, 1), (-2, 2), (9, 1), (-13, 1), (1 << 62, 0), (1 << 62, 1):
                show(file.seek, offset, whence)
                print(file.tell(), file.read(1))
    with open("levels/more/3.txt") as file:
        show(file.seek, -1, 2)
        show(file.seek, 1, 1)
        print(file.seek(0, 2), file.read())


@probe
def odd_paths():
    import pathlib
    for path in ("\udcffx", b"\xffx", "x" * 300, "x/" * 2100, "x\0", b"x\0", "\ud800", 1.5, None, ["x"], bytearray(b"levels"),
                 memoryview(b"levels/1.txt"), -5, "", b"", pathlib.Path("levels"), object):
        for call in (os.mkdir, os.stat, os.listdir, os.remove, os.rmdir, open, lambda path: open(path, "w"), os.readlink,
                     lambda path: os.access(path, os.R_OK), lambda path: os.rename(path, "q"), lambda path: os.rename("q", path),
                     os.chdir):
            try:
                seen = call(path)
                print(sorted(seen) if isinstance(seen, list) else type(seen).__name__)
                if call is os.chdir and type(path) is not int:
                    os.chdir(ROOT)
            except Exception as error:
                print(repr(path)[:20], type(error).__name__, str(error)[:90], getattr(error, "errno", ""))


@probe
def odd_arguments():
    for call, args in ((os.stat, ("levels", 1)), (os.stat, ()), (os.listdir, ("levels", 1)), (os.remove, ("levels/1.txt", 1, 2)),
                       (os.rename, ("levels",)), (os.rename, ("a", "b", "c")), (os.access, ("levels",)), (os.access, ("levels", "r")),
                       (os.chmod, ("levels",)), (os.mkdir, ("a", 1, 2)), (os.getcwd, (1,)), (os.chdir, ()), (os.scandir, (".", ".")),
                       (open, ()), (open, ("levels/1.txt", 5)), (open, ("levels/1.txt", None)), (open, ("levels/1.txt", "r", "x")),
                       (open, ("levels/1.txt", "r", 1.5)), (open, ("levels/1.txt", "r", -1, b"utf-8")), (open, ("x", "r\0")),
                       (open, ("levels/1.txt", "r", -1, None, None, None, False)), (open, ("x",) * 9), (os.readlink, (".", "."))):
        show(call, *args)
    for call in os.stat, os.listdir, os.remove, open, os.getcwd, os.symlink:
        show(call, nothing="levels")
        show(call, "levels", path="levels")
    show(os.stat, "levels", dir_fd="x")
    print(sorted(os.listdir(path="levels")), open(mode="r", file="settings.ini").read(), os.stat(path="levels/2.txt").st_size,
          sorted(os.listdir(None)) == sorted(os.listdir()), len(open("settings.ini", "r", True).read()))


@probe
def names_in_errors():
    import pathlib
    levels = pathlib.Path("levels")
    for call, paths in ((os.rename, ("1.txt", "9.txt")), (os.replace, ("x", "9.txt")), (os.rename, ("x/y", "9.txt")),
                        (os.rename, ("1.txt", "x/y")), (os.link, ("1.txt", "9.txt")), (os.symlink, ("1.txt", "9.txt")),
                        (os.symlink, ("1.txt", "2.txt")), (os.remove, ("1.txt",)), (os.listdir, ("1.txt",)), (os.mkdir, ("x",)),
                        (os.listdir, ("1.txt",)), (os.listxattr, ("x",)), (os.chdir, ("1.txt",)), (open, ("x",))):
        try:
            call(*(levels / path for path in paths))
        except OSError as error:
            print(call.__name__, error, repr(error.filename), repr(error.filename2))


@probe
def touching():
    import pathlib
    for path in "levels/1.txt", "levels/new", "levels", "nothing/new":
        for exist_ok in False, True:
            try:
                pathlib.Path(path).touch(exist_ok=exist_ok)
            except OSError as error:
                print(path, exist_ok, type(error).__name__, error.errno)
    for flags in os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_EXCL | os.O_WRONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT:
        for path in "levels/1.txt", "levels/new", "nothing/new":
            show(os.open, path, flags)


@probe
def extended_attributes():
    for path in "levels/1.txt", "levels", None, ".":
        print(os.listxattr(path))
    for path in "levels/1.txt", "levels", "nothing", "nothing/x":
        show(os.listxattr, path)
        show(os.getxattr, path, "user.name")
        show(os.getxattr, path, "user.name", follow_symlinks=False)


@probe
def copying_to_a_disk():
    import shutil, tempfile
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        shutil.copytree("levels", folder + "/levels", copy_function=shutil.copyfile)
        print(shutil.copy2("levels/1.txt", folder) == folder + "/1.txt", shutil.copy("levels/2.txt", folder + "/2") == folder + "/2")
        shutil.copytree("pkg", folder + "/pkg")
        print(sorted(os.listdir(folder)), int(os.stat(folder + "/1.txt").st_mtime), int(os.stat(folder + "/pkg/inner.py").st_mtime),
              open(folder + "/levels/more/3.txt").read())
        try:
            shutil.move("levels/1.txt", folder + "/moved")
        except OSError as error:
            print(error)
        shutil.make_archive(folder + "/packed", "zip", ROOT, "levels")
        os.chdir(folder)
        shutil.unpack_archive("packed.zip", "unpacked")
        print(sorted(os.listdir("unpacked/levels")))
        os.chdir("/")
        os.system(f"chmod -R u+w {folder}")


@probe
def functions_by_name():
    import copy, io, pickle
    for function in open, io.open, io.open_code, os.stat, os.listdir, os.scandir, os.getcwd, os.rename:
        print(pickle.loads(pickle.dumps(function)) is function, copy.deepcopy(function) is function, repr(function),
              function.__self__, function.__module__, function.__qualname__, function.__text_signature__, type(function))
