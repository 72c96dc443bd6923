/* SPDX-License-Identifier: MIT */
/*
 * The importer in a Python of its own, isolated: a tree of sources is mounted at /robot,
 * and each row is a snippet that runs in a module of its own and asserts what Python does
 * with files on disk. Run by ctest; trusts nothing. What must fail is asserted by its
 * exception and sentence.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "importer/importer.h"

#include <string.h>

/* ---- the tree ---- */

/* clang-format off */
static const struct {
    const char *name;
    const char *text;
} tree[] = {
    {"robot.py", "import helper\nx = helper.x\n"},
    {"helper.py", "x = 42\ndef fail():\n    one = 1\n    return one / 0  # here\n"},
    {"pkg/__init__.py", "from . import inner\nname = __name__\n"},
    {"pkg/inner.py", "import pkg\nfrom . import sub\nfrom .sub.deep import y\nparent = __package__\n"},
    {"pkg/sub/__init__.py", "'Its doc.'\n"},
    {"pkg/sub/deep.py", "from ..sibling import z\ny = z + 1\n"},
    {"pkg/sibling.py", "z = 1\n"},
    {"pkg/data.txt", "some data\n"},
    {"pkg/__main__.py", "print('main of', __package__)\nvalue = __name__\n"},
    {"pkg/beyond.py", "from ... import nothing\n"},
    {"circle_a.py", "import circle_b\na = 1\nfrom circle_b import b\n"},
    {"circle_b.py", "import circle_a\nb = 2\nhas_a = hasattr(circle_a, 'a')\n"},
    {"circle_c.py", "from circle_d import d\nc = 1\n"},
    {"circle_d.py", "from circle_c import c\nd = 1\n"},
    {"space/one.py", "n = 1\n"},
    {"space/nested/two.py", "n = 2\nfrom ..one import n as one\n"},
    {"broken.py", "x = 1\ndef f(:\n    pass\n"},
    {"raises.py", "import helper\nbefore = 1\nhelper.fail()\n"},
    {"half/__init__.py", "from . import good\nfrom . import bad\n"},
    {"half/good.py", "ok = 1\n"},
    {"half/bad.py", "raise ValueError('bad half')\n"},
    {"latin.py", "# -*- coding: latin-1 -*-\nname = '\xe4\xf6'\ndef f():\n    raise KeyError('\xfc')\n"},
    {"bom.py", "\xef\xbb\xbfname = '\xc3\xa4'\n"},
    {"bom_and_latin.py", "\xef\xbb\xbf# coding: latin-1\n"},
    {"crlf.py", "a = 1\r\nif a:\r\n    b = '''x\r\ny'''\r\ndef f():\r\n    return a\r\n"},
    {"formfeed.py", "\fa = 1\n\f\ndef f():\n    return 2\n"},
    {"utf7.py", "# coding: utf-7\nname = '+AOQ-'\n"},
    {"unknown_cookie.py", "# coding: klingon\n"},
    {"not_utf8.py", "name = '\xe4'\n"},
    {"empty.py", ""},
    {"no_newline.py", "n = 1"},
    {"only_bytecode.pyc", "\x6f\r\r\n"},
    {"only_native.so", "\x7f""ELF"},
    {"only_windows.pyd", "MZ"},
    {"both.pyc", "\x6f\r\r\n"},
    {"both.py", "source = True\n"},
    {"counted.py", "import sys\nsys.runs = getattr(sys, 'runs', 0) + 1\nn = sys.runs\n"},
    {"slow.py", "import time, sys\nsys.slow = getattr(sys, 'slow', 0) + 1\ntime.sleep(0.05)\ndone = True\n"},
    {"twin.py", "which = 'module'\n"},
    {"twin/__init__.py", "which = 'package'\n"},
    {"more/shared/one.py", "n = 1\n"},
    {"json.py", "mine = True\n"},
    {"thing.py", "class Thing:\n    '''A thing.'''\n    def method(self):\n        return 'thing'\n"},
    {"\xc3\xbcml\xc3\xa4ut.py", "n = 'umlaut'\n"},
    {"lambdas.py", "f = lambda: 1 / 0\n"},
    {"deep/a/b/c/__init__.py", "where = __name__\n"},
    {"script.py", "import sys\nvalue = (__name__, sys.argv[0], __file__)\nif __name__ == '__main__':\n    ran = True\n"},
};

/* ---- what must hold of it ---- */

static const struct {
    const char *name;
    const char *code;
} snippets[] = {
    {"modules",
     "import robot, helper\n"
     "assert robot.x == 42\n"
     "assert helper.__file__ == '/robot/helper.py'\n"
     "assert helper.__spec__.origin == '/robot/helper.py'\n"
     "assert helper.__spec__.has_location is True\n"
     "assert helper.__package__ == ''\n"
     "assert helper.__loader__ is helper.__spec__.loader\n"
     "assert helper.fail.__code__.co_filename == '/robot/helper.py'\n"
     "assert not hasattr(helper, '__path__')\n"
     "assert 'helper' in repr(helper) and '/robot/helper.py' in repr(helper)\n"},
    {"packages and relative imports",
     "import pkg, pkg.sub\n"
     "assert pkg.__path__ == ['/robot/pkg'] and pkg.__file__ == '/robot/pkg/__init__.py'\n"
     "assert pkg.__package__ == 'pkg' and pkg.name == 'pkg'\n"
     "assert pkg.__spec__.submodule_search_locations == ['/robot/pkg']\n"
     "assert pkg.inner.pkg is pkg and pkg.inner.y == 2 and pkg.inner.parent == 'pkg'\n"
     "assert pkg.sub.__doc__ == 'Its doc.' and pkg.sub.deep.__package__ == 'pkg.sub'\n"
     "assert pkg.sub.deep.__spec__.parent == 'pkg.sub'\n"},
    {"relative import beyond the top",
     "try:\n"
     "    import pkg.beyond\n"
     "except ImportError as e:\n"
     "    assert 'beyond top-level package' in str(e), e\n"
     "else:\n"
     "    assert False\n"},
    {"circular imports",
     "import circle_a\n"
     "assert circle_a.b == 2 and circle_a.circle_b.has_a is False\n"},
    {"circular from-imports say so",
     "import sys\n"
     "try:\n"
     "    import circle_c\n"
     "except ImportError as e:\n"
     "    assert 'most likely due to a circular import' in str(e), e\n"
     "    assert '/robot/circle_c.py' in str(e), e\n"
     "else:\n"
     "    assert False\n"
     "assert 'circle_c' not in sys.modules and 'circle_d' not in sys.modules\n"},
    {"namespace packages without directory entries",
     "import space.nested.two, space.one, space\n"
     "assert space.nested.two.n == 2 and space.nested.two.one == 1\n"
     "assert getattr(space, '__file__', None) is None\n"
     "assert list(space.__path__) == ['/robot/space'], space.__path__\n"
     "assert 'NamespaceLoader' in repr(space)\n"
     "import deep.a.b.c\n"
     "assert deep.a.b.c.where == 'deep.a.b.c'\n"},
    {"a namespace over two folders of the path",
     "import sys\n"
     "sys.path += ['/robot/more', '/other']\n"
     "import shared.one, shared.two, shared\n"
     "assert list(shared.__path__) == ['/robot/more/shared', '/other/shared'], shared.__path__\n"},
    {"a package goes before a module",
     "import twin\nassert twin.which == 'package'\n"},
    {"source goes before bytecode",
     "import both\nassert both.source\n"},
    {"mine before the library's",
     "import sys\n"
     "known = sys.modules.pop('json', None)\n"
     "import json\n"
     "assert json.mine\n"
     "sys.modules['json'] = known\n"},
    {"not found",
     "import importlib.util\n"
     "try:\n"
     "    import nowhere\n"
     "except ModuleNotFoundError as e:\n"
     "    assert e.name == 'nowhere' and str(e) == \"No module named 'nowhere'\"\n"
     "try:\n"
     "    import pkg.nowhere\n"
     "except ModuleNotFoundError as e:\n"
     "    assert str(e) == \"No module named 'pkg.nowhere'\"\n"
     "try:\n"
     "    import helper.x\n"
     "except ModuleNotFoundError as e:\n"
     "    assert 'is not a package' in str(e)\n"
     "for name in ('pkg/sibling', 'x' * 1000, '\\ud800', 'robot.py', 'nul\\0'):\n"
     "    try:\n"
     "        __import__(name)\n"
     "    except ImportError:\n"
     "        pass\n"
     "    else:\n"
     "        assert False, name\n"},
    {"bytecode and libraries are refused in words",
     "for name, kind in (('only_bytecode', '.pyc'), ('only_native', '.so'), ('only_windows', '.pyd')):\n"
     "    try:\n"
     "        __import__(name)\n"
     "    except ImportError as e:\n"
     "        assert name + ' is only there as' in str(e) and kind + ', which is not loaded' in str(e), e\n"
     "    else:\n"
     "        assert False\n"},
    {"tracebacks show the lines",
     "import traceback\n"
     "try:\n"
     "    import raises\n"
     "except ZeroDivisionError:\n"
     "    text = traceback.format_exc()\n"
     "assert 'File \"/robot/raises.py\", line 3, in <module>\\n    helper.fail()' in text, text\n"
     "assert 'File \"/robot/helper.py\", line 4, in fail\\n    return one / 0  # here\\n           ~~~~^~~' in text, text\n"
     "assert 'importlib' not in text, text\n"
     "assert 'lambda: 1 / 0' in trace_of('lambdas')\n"},
    {"a failed import leaves nothing",
     "import sys\n"
     "for name in ('raises', 'broken'):\n"
     "    try:\n"
     "        __import__(name)\n"
     "    except (ZeroDivisionError, SyntaxError):\n"
     "        pass\n"
     "    else:\n"
     "        assert False\n"
     "    assert name not in sys.modules\n"
     "try:\n"
     "    import half\n"
     "except ValueError:\n"
     "    pass\n"
     "assert 'half' not in sys.modules and 'half.bad' not in sys.modules\n"
     "assert 'half.good' in sys.modules\n"},
    {"syntax errors",
     "import traceback\n"
     "try:\n"
     "    import broken\n"
     "except SyntaxError as e:\n"
     "    assert e.filename == '/robot/broken.py' and e.lineno == 2 and e.text.rstrip() == 'def f(:', e.text\n"
     "    text = traceback.format_exc()\n"
     "assert 'importlib' not in text and 'frozen' not in text, text\n"
     "assert 'File \"/robot/broken.py\", line 2\\n    def f(:\\n          ^' in text, text\n"},
    {"null bytes are a syntax error with its place",
     "try:\n"
     "    import nul\n"
     "except SyntaxError as e:\n"
     "    import traceback\n"
     "    assert 'importlib' not in traceback.format_exc(), traceback.format_exc()\n"
     "    assert 'null bytes' in str(e) and e.filename == '/nul/nul.py' and e.lineno == 2, (e, e.filename, e.lineno)\n"
     "else:\n"
     "    assert False\n"},
    {"coding cookies",
     "import latin, traceback, inspect, utf7\n"
     "assert latin.name == '\\xe4\\xf6' and utf7.name == '\\xe4'\n"
     "assert \"'\\xfc'\" in inspect.getsource(latin.f)\n"
     "try:\n"
     "    latin.f()\n"
     "except KeyError:\n"
     "    assert \"raise KeyError('\\xfc')\" in traceback.format_exc()\n"
     "for name in ('unknown_cookie', 'not_utf8', 'bom_and_latin'):\n"
     "    try:\n"
     "        __import__(name)\n"
     "    except SyntaxError as e:\n"
     "        assert '/robot/' + name in str(e.filename) or name in str(e), (name, e.filename, e)\n"
     "    else:\n"
     "        assert False, name\n"},
    {"byte order mark, line ends, form feeds",
     "import bom, crlf, formfeed, inspect, empty, no_newline\n"
     "assert bom.name == '\\xe4' and crlf.b == 'x\\ny' and crlf.f() == 1 and no_newline.n == 1\n"
     "assert inspect.getsource(crlf.f) == 'def f():\\n    return a\\n'\n"
     "assert bom.__loader__.get_source('bom') == \"name = '\\xe4'\\n\"\n"
     "assert formfeed.f() == 2\n"},
    {"reload",
     "import importlib, counted\n"
     "first, spec = counted.n, counted.__spec__\n"
     "counted.mine = 'kept'\n"
     "again = importlib.reload(counted)\n"
     "assert again is counted and counted.n == first + 1 and counted.mine == 'kept'\n"
     "import pkg, pkg.inner\n"
     "assert importlib.reload(pkg) is pkg and importlib.reload(pkg.inner) is pkg.inner\n"},
    {"pkgutil",
     "import pkgutil, pkg\n"
     "assert pkgutil.get_data('pkg', 'data.txt') == b'some data\\n'\n"
     "names = {m.name: m.ispkg for m in pkgutil.iter_modules(pkg.__path__)}\n"
     "assert names == {'inner': False, 'sub': True, 'sibling': False, '__main__': False, 'beyond': False}, names\n"
     "names = [m.name for m in pkgutil.iter_modules(['/robot/pkg'], 'p.')]\n"
     "assert 'p.inner' in names and 'p.data' not in names\n"
     "top = [m.name for m in pkgutil.iter_modules(['/robot'])]\n"
     "assert 'robot' in top and 'pkg' in top and top.count('twin') == 1 and 'only_bytecode' not in top\n"
     "import sys\n"
     "found = list(sys.path_importer_cache['/robot'].iter_modules())\n"
     "assert [pair for pair in found if pair[0] == 'twin'] == [('twin', True)], found\n"
     "walked = [m.name for m in pkgutil.walk_packages(pkg.__path__, 'pkg.')]\n"
     "assert 'pkg.sub.deep' in walked\n"
     "assert pkgutil.resolve_name('pkg.sub.deep:y') == 2\n"
     "assert pkgutil.get_data('pkg', '../helper.py').startswith(b'x = ')\n"
     "for path in ('nothing.txt', '../../robot', '../../etc/passwd', '/etc/passwd'):\n"
     "    try:\n"
     "        data = pkgutil.get_data('pkg', path)\n"
     "    except (OSError, ValueError):\n"
     "        pass\n"
     "    else:\n"
     "        assert False, path\n"},
    {"get_data keeps to its archive",
     "import pkg, errno\n"
     "for path in ('/robot', '/robot/helper.py\\0.txt', '/robot/', '/robot/../etc/passwd', '/etc/passwd', 'robot/helper.py', '/robotx/a', '/robotxhelper.py', '', '\\0', '\\ud800'):\n"
     "    try:\n"
     "        pkg.__loader__.get_data(path)\n"
     "    except OSError as e:\n"
     "        assert e.errno == (errno.EISDIR if path in ('/robot', '/robot/') else errno.ENOENT)\n"
     "        assert e.filename == path\n"
     "    else:\n"
     "        assert False, path\n"
     "assert pkg.__loader__.get_data(b'/robot/helper.py')[:1] == b'x'\n"
     "for wrong in (None, 5, ['x']):\n"
     "    try:\n"
     "        pkg.__loader__.get_data(wrong)\n"
     "    except (OSError, TypeError):\n"
     "        pass\n"
     "    else:\n"
     "        assert False, wrong\n"},
    {"runpy",
     "import runpy, io, contextlib\n"
     "out = io.StringIO()\n"
     "with contextlib.redirect_stdout(out):\n"
     "    found = runpy.run_module('pkg', run_name='__main__')\n"
     "assert out.getvalue() == 'main of pkg\\n' and found['value'] == '__main__', (out.getvalue(), found)\n"
     "found = runpy.run_module('script', run_name='__main__', alter_sys=True)\n"
     "assert found['value'] == ('__main__', '/robot/script.py', '/robot/script.py') and found['ran'], found['value']\n"
     "found = runpy.run_module('script')\n"
     "assert found['value'][0] == 'script' and 'ran' not in found\n"},
    {"inspect",
     "import inspect, thing, pkg\n"
     "assert inspect.getsource(thing.Thing).startswith('class Thing:')\n"
     "assert inspect.getsource(thing.Thing.method) == \"    def method(self):\\n        return 'thing'\\n\"\n"
     "assert inspect.getsourcefile(thing.Thing) == '/robot/thing.py'\n"
     "assert inspect.getmodule(thing.Thing.method) is thing\n"
     "assert inspect.getsource(pkg).startswith('from . import inner')\n"},
    {"pickle",
     "import pickle, thing\n"
     "assert type(pickle.loads(pickle.dumps(thing.Thing()))) is thing.Thing\n"},
    {"the loader's protocol",
     "import helper, pkg, importlib.util, importlib.machinery\n"
     "loader = helper.__loader__\n"
     "assert loader.get_source('helper').startswith('x = 42') and loader.get_filename() == '/robot/helper.py'\n"
     "assert loader.is_package('helper') is False and pkg.__loader__.is_package('pkg') is True\n"
     "assert loader.get_code('helper').co_filename == '/robot/helper.py'\n"
     "assert loader.get_source('__main__') and '/robot/helper.py' in repr(loader)\n"
     "for call in (loader.get_source, loader.get_code, loader.get_filename, loader.is_package):\n"
     "    try:\n"
     "        call('other')\n"
     "    except ImportError as e:\n"
     "        assert 'loader for helper cannot handle other' in str(e)\n"
     "    else:\n"
     "        assert False\n"
     "    for wrong in ((1,), ('helper', 'helper'), (b'helper',)):\n"
     "        try:\n"
     "            call(*wrong)\n"
     "        except TypeError:\n"
     "            pass\n"
     "        else:\n"
     "            assert False, wrong\n"
     "spec = importlib.util.find_spec('pkg.sub')\n"
     "assert spec.name == 'pkg.sub' and spec.origin == '/robot/pkg/sub/__init__.py'\n"
     "module = importlib.util.module_from_spec(spec)\n"
     "spec.loader.exec_module(module)\n"
     "assert module.__doc__ == 'Its doc.'\n"
     "for wrong in (None, 5, 'x'):\n"
     "    try:\n"
     "        loader.exec_module(wrong)\n"
     "    except (AttributeError, TypeError):\n"
     "        pass\n"
     "    else:\n"
     "        assert False, wrong\n"},
    {"the finder's protocol",
     "import sys\n"
     "finder = sys.path_importer_cache['/robot']\n"
     "assert finder.find_spec('helper', None).origin == '/robot/helper.py'\n"
     "assert finder.find_spec('whatever.helper').origin == '/robot/helper.py'\n"
     "for nothing in ('nowhere', '', '.', 'pkg/sibling', '..', '../helper', 'x' * 700, '\\ud800'):\n"
     "    assert finder.find_spec(nothing) is None, nothing\n"
     "for wrong in ((), (1,), ('a', None, 2), (None,)):\n"
     "    try:\n"
     "        finder.find_spec(*wrong)\n"
     "    except TypeError:\n"
     "        pass\n"
     "    else:\n"
     "        assert False, wrong\n"
     "assert finder.invalidate_caches() is None and '/robot' in repr(finder)\n"
     "for kind in (type(finder), type(finder.find_spec('helper').loader)):\n"
     "    try:\n"
     "        kind()\n"
     "    except TypeError:\n"
     "        pass\n"
     "    else:\n"
     "        assert False\n"},
    {"eight threads, one slow module",
     "import threading, sys\n"
     "found, gate = [], threading.Barrier(8)\n"
     "def work():\n"
     "    gate.wait()\n"
     "    import slow\n"
     "    found.append(getattr(slow, 'done', False))\n"
     "threads = [threading.Thread(target=work) for _ in range(8)]\n"
     "[t.start() for t in threads]\n"
     "[t.join() for t in threads]\n"
     "assert found == [True] * 8 and sys.slow == 1, (found, sys.slow)\n"},
    {"names beyond ASCII", "mod = __import__('\\xfcml\\xe4ut')\nassert mod.n == 'umlaut' and mod.__file__ == '/robot/\\xfcml\\xe4ut.py'\n"},
    {"imports from a folder on the path",
     "import sys\n"
     "sys.path.insert(0, '/robot/pkg/sub')\n"
     "assert __import__('importlib.util').util.find_spec('deep').origin in ('/robot/pkg/sub/deep.py', None)\n"
     "sys.path.remove('/robot/pkg/sub')\n"},
    {"paths that are no folder have no finder",
     "import sys\n"
     "hook = sys.path_hooks[0]\n"
     "for path in ('/robotx', '/robot/pkg\\0', '/robot/helper.py', '/robot/nothing', '/rob', '', '/robot//pkgs', '/robot/helper.py/', '/robot/../robotx', 5, None, b'/robot', '\\ud800'):\n"
     "    try:\n"
     "        hook(path)\n"
     "    except ImportError:\n"
     "        pass\n"
     "    else:\n"
     "        assert False, path\n"
     "for path in ('/robot//pkg', '/robot/pkg/', '/robot/./pkg', '/robot/pkg/../pkg'):\n"
     "    assert hook(path).find_spec('sibling').origin == '/robot/pkg/sibling.py'\n"},
    {"no file is touched",
     "import sys\n"
     "seen = []\n"
     "sys.addaudithook(lambda event, args: seen.append((event, args)) if event == 'open' else None)\n"
     "sys.modules.pop('helper')\n"
     "import helper\n"
     "assert seen == [], seen\n"},
};
/* clang-format on */

/* ---- making ZIPs, with Python's own zipfile ---- */

static PyObject *maker; /* make({name: bytes}) -> bytes */
static PyObject *kept;  /* list of what is mounted */

static const char maker_code[] =
    "import zipfile, io\n"
    "def make(files):\n"
    "    out = io.BytesIO()\n"
    "    with zipfile.ZipFile(out, 'w') as archive:\n"
    "        for name, data in files.items():\n"
    "            info = zipfile.ZipInfo(name)\n"
    "            info.compress_type = 8 if len(data) > 20 else 0\n"
    "            archive.writestr(info, data)\n"
    "    return out.getvalue()\n"
    "def trace_of(name):\n"
    "    import traceback\n"
    "    try:\n"
    "        __import__(name).f()\n"
    "    except Exception:\n"
    "        return traceback.format_exc()\n";

static PyObject *main_globals(void)
{
    return PyModule_GetDict(PyImport_AddModule("__main__"));
}

/* Fails the test with what Python has to say. */
static void fail_by_python(const char *what)
{
    PyErr_Print();
    fail_msg("%s", what);
}

/* Runs code in a namespace of its own that also holds what `given` holds. */
static void run_in(PyObject *given, const char *what, const char *code)
{
    PyObject *globals = PyDict_Copy(given);
    PyObject *result;

    (void)PyDict_SetItemString(globals, "__name__", Py_None);
    result = PyRun_String(code, Py_file_input, globals, globals);
    if (result == NULL) {
        fail_by_python(what);
    }
    Py_XDECREF(result);
    Py_DECREF(globals);
}

static void run(const char *what, const char *code)
{
    run_in(main_globals(), what, code);
}

/* Mounts {name: bytes}; the ZIP's bytes stay for as long as the test runs. */
static void mount_files(const char *root, PyObject *files, unsigned flags)
{
    PyObject *bytes = PyObject_CallOneArg(maker, files);
    struct archive *archive = NULL;
    autobuffer struct buffer why = BUFFER_INIT(1024);

    if (bytes == NULL) {
        fail_by_python("making a ZIP");
    }
    if (archive_open(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes),
                     &archive_limits_default, &archive, &why) < 0) {
        fail_msg("%s", why.data);
    }
    assert_int_equal(PyList_Append(kept, bytes), 0);
    Py_DECREF(bytes);
    if (importer_mount(archive, root, NULL, flags) != 0) {
        fail_by_python("mounting");
    }
}

static void mount_one(const char *root, const char *name, const char *text, size_t size)
{
    PyObject *files = PyDict_New();
    PyObject *bytes = PyBytes_FromStringAndSize(text, (Py_ssize_t)size);

    assert_int_equal(PyDict_SetItemString(files, name, bytes), 0);
    /* Beside it, so that its folder is not the top folder that is stripped. */
    assert_int_equal(PyDict_SetItemString(files, "notes.txt", bytes), 0);
    mount_files(root, files, 0);
    Py_DECREF(bytes);
    Py_DECREF(files);
}

static PyObject *tree_files(void)
{
    PyObject *files = PyDict_New();

    for (size_t i = 0; i < array_size(tree); i++) {
        PyObject *bytes = PyBytes_FromString(tree[i].text);

        assert_int_equal(PyDict_SetItemString(files, tree[i].name, bytes), 0);
        Py_DECREF(bytes);
    }
    return files;
}

/* ---- the tests ---- */

/* With malloc under every object, so that a sanitizer sees each of them. */
static PyStatus preinitialize(void)
{
    PyPreConfig config;

    PyPreConfig_InitIsolatedConfig(&config);
    config.allocator = PYMEM_ALLOCATOR_MALLOC;
    config.utf8_mode = 1;
    return Py_PreInitialize(&config);
}

static int start(void **state)
{
    PyConfig config;
    PyStatus status;
    PyObject *files;

    if (PyStatus_Exception(preinitialize())) {
        return -1;
    }
    PyConfig_InitIsolatedConfig(&config);
    config.write_bytecode = 0;
    status = PyConfig_SetString(&config, &config.program_name, L"/usr/bin/python3");
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        return -1;
    }
    run_in(main_globals(), "preload",
           "import json, inspect, pkgutil, runpy, threading, traceback, pickle, "
           "importlib.util, zipfile, encodings.latin_1, encodings.utf_7, "
           "encodings.utf_8_sig\n");
    if (PyRun_SimpleString(maker_code) != 0 || importer_init() != 0) {
        PyErr_Print();
        return -1;
    }
    maker = PyDict_GetItemString(main_globals(), "make");
    kept = PyList_New(0);
    files = tree_files();
    mount_files("/robot", files, 0);
    Py_DECREF(files);
    mount_one("/nul", "nul.py", "x = 1\ny = '\0'\n", 14);
    mount_one("/other", "shared/two.py", "n = 2\n", 6);
    run("the path", "import sys\nsys.path[:0] = ['/robot', '/nul']\n");
    return 0;
}

static int stop(void **state)
{
    return Py_FinalizeEx();
}

static void every_snippet(void **state)
{
    for (size_t i = 0; i < array_size(snippets); i++) {
        run(snippets[i].name, snippets[i].code);
    }
}

static void directory_entries(void **state)
{
    PyObject *files = PyDict_New();
    PyObject *empty = PyBytes_FromString("");

    assert_int_equal(PyDict_SetItemString(files, "alone/", empty), 0);
    assert_int_equal(PyDict_SetItemString(files, "ns/", empty), 0);
    assert_int_equal(PyDict_SetItemString(files, "ns/mod.py", empty), 0);
    mount_files("/folders", files, 0);
    Py_DECREF(files);
    Py_DECREF(empty);
    run("directory entries", "import sys\n"
                             "sys.path.insert(0, '/folders')\n"
                             "import alone, ns.mod\n"
                             "assert list(alone.__path__) == ['/folders/alone']\n"
                             "assert ns.mod.__file__ == '/folders/ns/mod.py'\n"
                             "sys.path.remove('/folders')\n");
}

static void mounted_anew(void **state)
{
    mount_one("/again", "version.py", "n = 1\ndef f():\n    return 'one'\n", 32);
    run("the first", "import sys\n"
                     "sys.path.insert(0, '/again')\n"
                     "import version, inspect\n"
                     "assert version.n == 1 and 'one' in inspect.getsource(version.f)\n");
    mount_one("/again", "version.py", "n = 2\ndef f():\n    return 'two'\n", 32);
    run("the second",
        "import sys, inspect\n"
        "old = sys.modules.pop('version')\n"
        "assert old.f() == 'one'\n"
        "import version\n"
        "assert version.n == 2 and 'two' in inspect.getsource(version.f)\n");
    /* One root is the beginning of another's name; they have nothing to do with each
     * other. */
    mount_one("/againandagain", "elsewhere.py", "n = 3\n", 6);
    run("a longer name", "import sys\n"
                         "sys.path.insert(0, '/againandagain')\n"
                         "import elsewhere\n"
                         "assert elsewhere.n == 3\n");
    assert_int_equal(importer_unmount("/again"), 0);
    run("gone",
        "import sys, inspect\n"
        "kept = sys.modules.pop('version')\n"
        "assert kept.f() == 'two'\n"
        "try:\n"
        "    import version\n"
        "except ModuleNotFoundError:\n"
        "    pass\n"
        "else:\n"
        "    assert False\n"
        "import linecache\n"
        "assert linecache.getline('/againandagain/elsewhere.py', 1) == 'n = 3\\n'\n"
        "assert linecache.getline('/again/version.py', 1) == ''\n"
        "del sys.modules['elsewhere']\n"
        "import elsewhere\n"
        "sys.path.remove('/again')\n"
        "sys.path.remove('/againandagain')\n");
    assert_int_equal(importer_unmount("/again"), -1);
    assert_true(PyErr_ExceptionMatches(PyExc_ValueError));
    PyErr_Clear();
    assert_int_equal(importer_unmount("/againandagain"), 0);
}

/* A loader outlives its mount: what it has is kept until it goes. */
static void loaders_outlive_their_mount(void **state)
{
    mount_one("/short", "lived.py", "n = 1\ndef f():\n    1 / 0\n", 25);
    run("import", "import sys\n"
                  "sys.path.insert(0, '/short')\n"
                  "import lived\n"
                  "sys.path.remove('/short')\n");
    assert_int_equal(importer_unmount("/short"), 0);
    run("use", "import lived, importlib\n"
               "assert lived.__loader__.get_source('lived').startswith('n = 1')\n"
               "assert lived.__loader__.get_data('/short/lived.py')[:1] == b'n'\n");
}

static void main_modules(void **state)
{
    PyObject *before = PyImport_AddModule("__main__");
    PyObject *given = PyDict_New(), *module, *code;

    Py_INCREF(before);
    module = importer_main_module("/robot", "script.py");
    code = importer_compile("/robot", "script.py");
    assert_non_null(module);
    assert_non_null(code);
    assert_int_equal(PyDict_SetItemString(given, "module", module), 0);
    assert_int_equal(PyDict_SetItemString(given, "code", code), 0);
    run_in(given, "main",
           "import sys, inspect\n"
           "assert sys.modules['__main__'] is module\n"
           "assert module.__name__ == '__main__' and module.__file__ == "
           "'/robot/script.py'\n"
           "assert module.__spec__ is None and module.__loader__.is_package() is False\n"
           "assert module.__package__ is None and module.__cached__ is None\n"
           "assert module.__annotations__ == {}\n"
           "assert module.__builtins__ is sys.modules['builtins']\n"
           "assert code.co_filename == '/robot/script.py'\n"
           "exec(code, module.__dict__)\n"
           "assert module.ran and module.value[0] == '__main__'\n"
           "assert inspect.getsource(module).startswith('import sys')\n");
    Py_DECREF(code);
    Py_DECREF(module);
    Py_DECREF(given);
    assert_int_equal(PyDict_SetItemString(PyImport_GetModuleDict(), "__main__", before),
                     0);
    Py_DECREF(before);
}

/* As `python -m` has it. */
static void main_as_a_module(void **state)
{
    PyObject *before = Py_NewRef(PyImport_AddModule("__main__"));
    PyObject *module = importer_main_module("/robot", "pkg/sub/deep.py");
    PyObject *given = PyDict_New();

    assert_non_null(module);
    assert_int_equal(
        importer_main_as(module, "/robot", "pkg/sub/deep.py", "pkg.sub.deep"), 0);
    assert_int_equal(PyDict_SetItemString(given, "module", module), 0);
    run_in(
        given, "main as a module",
        "import sys\n"
        "assert module.__name__ == '__main__' and module.__package__ == 'pkg.sub'\n"
        "assert module.__spec__.name == 'pkg.sub.deep'\n"
        "assert module.__spec__.origin == module.__file__ == '/robot/pkg/sub/deep.py'\n"
        "assert module.__loader__ is module.__spec__.loader\n"
        "assert 'pkg.sub' in sys.modules\n"
        "exec(module.__loader__.get_code('pkg.sub.deep'), module.__dict__)\n"
        "assert module.y == 2\n");
    assert_int_equal(importer_main_as(module, "/robot", "pkg/nothing.py", "pkg.nothing"),
                     -1);
    assert_true(PyErr_ExceptionMatches(PyExc_ImportError));
    PyErr_Clear();
    assert_int_equal(importer_main_as(module, "/robot", "pkg/data.txt", "nothing.data"),
                     -1);
    assert_true(PyErr_ExceptionMatches(PyExc_ModuleNotFoundError));
    PyErr_Clear();
    Py_DECREF(given);
    Py_DECREF(module);
    assert_int_equal(PyDict_SetItemString(PyImport_GetModuleDict(), "__main__", before),
                     0);
    Py_DECREF(before);
}

static void main_that_is_not_there(void **state)
{
    static const struct {
        const char *root, *member;
    } nowhere[] = {{"/nowhere", "robot.py"}, {"/robot", "nothing.py"}, {"/robot", "pkg"}};

    for (size_t i = 0; i < array_size(nowhere); i++) {
        assert_null(importer_main_module(nowhere[i].root, nowhere[i].member));
        assert_true(PyErr_ExceptionMatches(PyExc_ImportError));
        PyErr_Clear();
        assert_null(importer_compile(nowhere[i].root, nowhere[i].member));
        assert_true(PyErr_ExceptionMatches(PyExc_ImportError));
        PyErr_Clear();
    }
    assert_null(importer_compile("/robot", "broken.py"));
    assert_true(PyErr_ExceptionMatches(PyExc_SyntaxError));
    PyErr_Clear();
}

/* A member that turns out damaged when it is read is an ImportError with the sentence. */
static void damaged_members(void **state)
{
    static char zip[4096];
    PyObject *files = PyDict_New(), *text = PyBytes_FromString("n = 1\n"), *bytes;
    struct archive *archive = NULL;
    autobuffer struct buffer why = BUFFER_INIT(1024);
    size_t size;

    assert_int_equal(PyDict_SetItemString(files, "bad_member.py", text), 0);
    bytes = PyObject_CallOneArg(maker, files);
    size = (size_t)PyBytes_GET_SIZE(bytes);
    assert_true(size < sizeof(zip));
    memcpy(zip, PyBytes_AS_STRING(bytes), size);
    for (size_t i = 0; i + 6 < size; i++) { /* the text is stored as it is */
        if (memcmp(zip + i, "n = 1\n", 6) == 0) {
            zip[i] = 'm';
        }
    }
    assert_int_equal(archive_open(zip, size, &archive_limits_default, &archive, &why), 0);
    assert_int_equal(importer_mount(archive, "/bad", NULL, 0), 0);
    run("damaged", "import sys\n"
                   "sys.path.insert(0, '/bad')\n"
                   "try:\n"
                   "    import bad_member\n"
                   "except ImportError as e:\n"
                   "    assert 'its checksum is wrong' in str(e), e\n"
                   "else:\n"
                   "    assert False\n"
                   "assert 'bad_member' not in sys.modules\n"
                   "sys.path.remove('/bad')\n");
    Py_DECREF(bytes);
    Py_DECREF(text);
    Py_DECREF(files);
}

/* clang-format off */
/* Beside the machine's own. */
static const char null_code[] =
    "import errno, io, os, pathlib, stat, sys\n"
    "def told(function, *args):\n"
    "    try:\n"
    "        return function(*args)\n"
    "    except (OSError, ValueError) as e:\n"
    "        return type(e).__name__, str(e)\n"
    "def use(file):\n"
    "    text = isinstance(file, io.TextIOBase)\n"
    "    some = 'abc\\n' if text else b'abc\\n'\n"
    "    yield type(file).__name__.replace('NullFile', 'FileIO'), isinstance(file, io.RawIOBase), isinstance(file, io.IOBase)\n"
    "    yield file.name, file.mode, file.closed, file.readable(), file.writable(), file.seekable(), file.isatty()\n"
    "    yield told(file.write, some), told(file.flush), told(file.tell), told(file.writelines, [some])\n"
    "    yield told(file.read), told(file.read, 5), told(file.readline), told(file.readlines), told(list, file)\n"
    "    yield told(file.seek, 0), told(file.tell), told(file.truncate), told(file.truncate, 5)\n"
    "    if not text:\n"
    "        yield told(file.readinto, bytearray(3)), told(file.seek, 7), told(file.seek, 0, 2), told(file.tell)\n"
    "    file.close()\n"
    "    yield file.closed, told(file.write, some), told(file.read), told(file.seek, 0), told(file.readable)\n"
    "real_open, real_stat, real_access = sys.real\n"
    "assert open is not real_open\n"
    "for mode in 'r w a r+ w+ a+ rb wb ab rb+ wb+ ab+'.split():\n"
    "    for buffering in (-1, 0, 512):\n"
    "        if buffering or 'b' in mode:\n"
    "            wanted, got = (list(use(o(os.devnull, mode, buffering))) for o in (real_open, open))\n"
    "            assert wanted == got, (mode, buffering, wanted, got)\n"
    "for mode in ('x', 'xb'):\n"
    "    assert told(open, os.devnull, mode) == told(real_open, os.devnull, mode)\n"
    "print('gone', file=open(os.devnull, 'w'))\n"
    "pathlib.Path(os.devnull).write_text('gone')\n"
    "os.chdir('/robot')\n"
    "assert open(b'../dev/./null').read() == ''\n"
    "for path in (os.devnull, b'/dev/null'):\n"
    "    for ask in ('S_ISCHR', 'S_IMODE', 'S_IFMT'):\n"
    "        assert getattr(stat, ask)(os.stat(path).st_mode) == getattr(stat, ask)(real_stat(path).st_mode)\n"
    "    assert os.stat(path).st_rdev == real_stat(path).st_rdev\n"
    "assert os.path.exists(os.devnull) and not os.path.isfile(os.devnull) and not os.path.isdir(os.devnull)\n"
    "assert os.access(os.devnull, os.R_OK | os.W_OK) and not os.access(os.devnull, os.X_OK)\n"
    "for function, args, error in ((os.open, (os.O_WRONLY,), errno.EOPNOTSUPP), (os.listdir, (), errno.ENOTDIR),\n"
    "                              (os.chdir, (), errno.ENOTDIR), (os.remove, (), errno.EROFS), (os.mkdir, (), errno.EEXIST)):\n"
    "    try:\n"
    "        function(os.devnull, *args)\n"
    "    except OSError as e:\n"
    "        assert e.errno == error, (function, e)\n"
    "    else:\n"
    "        assert False, function\n"
    "for path in ('/dev/null/', '/dev/null/x', '/dev/null/../null'):\n"
    "    try:\n"
    "        open(path)\n"
    "    except NotADirectoryError:\n"
    "        pass\n"
    "    else:\n"
    "        assert False, path\n";
/* clang-format on */

/* Last: the view is there for good. */
static void null_device(void **state)
{
    PyObject *files = tree_files();

    run("the machine's", "import io, os, sys\nsys.real = io.open, os.stat, os.access\n");
    assert_int_equal(importer_install_files(), 0);
    assert_int_equal(importer_unmount("/robot"), 0);
    mount_files("/robot", files, IMPORTER_FILES);
    importer_offer_null();
    run("os.devnull", null_code);
    Py_DECREF(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_snippet),
        cmocka_unit_test(directory_entries),
        cmocka_unit_test(mounted_anew),
        cmocka_unit_test(loaders_outlive_their_mount),
        cmocka_unit_test(main_modules),
        cmocka_unit_test(main_as_a_module),
        cmocka_unit_test(main_that_is_not_there),
        cmocka_unit_test(damaged_members),
        cmocka_unit_test(null_device),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
