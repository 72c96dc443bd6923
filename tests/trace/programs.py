# SPDX-License-Identifier: MIT
"""Programs for the tracer's tests: each statement and expression of Python that makes, leaves or crosses a line, a frame or
an exception, in the forms that are easily got wrong."""

import random

PROGRAMS = {
    "finally that cannot fail": "def f(n):\n    try:\n        raise KeyError('other')\n    finally:\n        n = 5\n        n = 6\n"
                                "try: f(0)\nexcept KeyError: print('handled')\n",
    "finally after except": "def f(n):\n    try: 1 / n\n    except ZeroDivisionError:\n        raise KeyError('other')\n    finally:\n"
                            "        n = 5\ntry: f(0)\nexcept KeyError: print('handled')\n",
    "finally that branches": "def g(n): return n\ndef f(n):\n    try: raise KeyError\n    finally:\n        match g(n):\n"
                             "            case 1:\n                n = g(2)\n            case _:\n                pass\n"
                             "for n in 1, 2:\n    try: f(n)\n    except KeyError: print(n)\n",
    "finally: pass": "def f():\n    try: 1 / 0\n    except: raise\n    finally: pass\ntry: f()\nexcept ZeroDivisionError: print('handled')\n",
    "finally that raises": "def f():\n    try: raise KeyError(1)\n    finally: raise ValueError(2)\ntry: f()\nexcept ValueError: print('handled')\n",
    "finally, an attribute": "class A:\n    def f(self):\n        try:\n            raise KeyError\n        finally:\n            self.x = 1\n"
                             "try: A().f()\nexcept KeyError: print('handled')\n",
    "with, two on a line": "class H:\n    def __enter__(self): return self\n    def __exit__(self, *e): return False\ndef f():\n"
                                  "    with H(), H(): raise KeyError\ntry: f()\nexcept KeyError: print('handled')\n",
    "straight": "a = 1\nb = 2\nc = a + b\nprint(c)\n",
    "one line": "a = 1; b = 2; print(a, b)\n",
    "for": "for i in range(3):\n    print(i)\nprint('end')\n",
    "for on one line": "for i in range(3): print(i)\nprint('end')\n",
    "for, else": "for i in range(3):\n    if i == 1:\n        continue\n    print(i)\nelse:\n    print('else')\n",
    "for, break": "for i in range(3):\n    if i == 1:\n        break\nelse:\n    print('no')\nprint(i)\n",
    "for, nested": "for i in range(2):\n    for j in range(2):\n        for k in range(2): print(i, j, k)\n",
    "for, empty": "for i in ():\n    print(i)\nfor i in []: pass\nprint('end')\n",
    "for, pass": "for i in range(3):\n    pass\n",
    "for over lines": "for i in (\n    1,\n    2,\n):\n    print(\n        i,\n        i\n    )\n",
    "while": "n = 3\nwhile n:\n    n -= 1\nprint(n)\n",
    "while on one line": "n = 3\nwhile n: n -= 1\nprint(n)\n",
    "while, else": "n = 3\nwhile n > 0:\n    n -= 1\nelse:\n    print('else')\n",
    "while True": "n = 0\nwhile True:\n    n += 1\n    if n > 2: break\nprint(n)\n",
    "while True on one line": "n = iter(range(3))\ntry:\n    while True: next(n)\nexcept StopIteration: pass\n",
    "while, first in a function": "def f(n):\n    while n:\n        n -= 1\n    return n\nf(3)\n",
    "while, condition over lines": "n = 3\nwhile (n\n       and n > 1\n       or n == 1):\n    n -= 1\n",
    "while, continue": "n = 5\nwhile n:\n    n -= 1\n    if n % 2:\n        continue\n    print(n)\n",
    "function": "def f(x):\n    return x + 1\nprint(f(1))\nprint(f(f(2)))\n",
    "function on one line": "def f(x): return x\nf(1)\nf(2)\n",
    "function that ends": "def f(x):\n    if x:\n        y = 1\nf(0)\nf(1)\n",
    "lambda": "f = lambda x: x + 1\nprint(f(1))\ng = lambda: (\n    1,\n    f(2)\n)\nprint(g())\n",
    "default arguments": "def f(a=1,\n      b=[\n          1,\n      ]):\n    return a, b\nf()\n",
    "recursion": "def fact(n):\n    if n < 2:\n        return 1\n    return n * fact(n - 1)\nprint(fact(5))\n",
    "mutual recursion": "def even(n):\n    return True if n == 0 else odd(n - 1)\ndef odd(n):\n    return False if n == 0 else even(n - 1)\n"
                        "print(even(5))\n",
    "closure": "def outer():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n        return n\n    return inner\n"
               "f = outer()\nf()\nprint(f())\n",
    "class": "class A:\n    x = 1\n    def f(self):\n        return self.x\n    y = [x for _ in ()]\nprint(A().f())\n",
    "class, decorated": "def deco(c):\n    return c\n@deco\n@deco\nclass A:\n    @property\n    def p(self):\n        return 1\nprint(A().p)\n",
    "decorators": "def deco(n):\n    def wrap(f):\n        return f\n    return wrap\n@deco(\n    1\n)\n@deco(2)\ndef f():\n    return 1\nf()\n",
    "comprehensions": "a = [i for i in range(3)]\nb = {i: i for i in range(2)}\nc = {i\n     for i in range(3)\n     if i}\n"
                      "d = [i * j\n     for i in range(2)\n     for j in range(2)\n     if i\n     if j]\nprint(a, b, c, d)\n",
    "generator expression": "print(sum(i for i in range(3)))\nprint(list(i\n           for i in range(2)))\n",
    "generator": "def g(n):\n    for i in range(n):\n        yield i\n    return 'end'\nprint(list(g(3)))\n",
    "generator, sent": "def g():\n    x = yield 1\n    while x:\n        x = yield x\nit = g()\nnext(it)\nit.send(2)\ntry:\n    it.send(0)\n"
                       "except StopIteration:\n    print('stop')\n",
    "generator, closed": "def g():\n    try:\n        yield 1\n        yield 2\n    finally:\n        print('closed')\nit = g()\nnext(it)\nit.close()\n",
    "generator, thrown": "def g():\n    try:\n        yield 1\n    except ValueError:\n        yield 2\nit = g()\nnext(it)\n"
                         "print(it.throw(ValueError))\ntry:\n    it.throw(KeyError('k'))\nexcept KeyError as e:\n    print(e)\n",
    "generator, left": "def g():\n    yield 1\n    yield 2\nfor x in g():\n    break\nprint(x)\n",
    "generator, one line": "def g(): yield 1\nprint(list(g()))\n",
    "yield from": "def inner():\n    yield 1\n    yield 2\n    return 3\ndef outer():\n    x = yield from inner()\n    yield x\n"
                  "print(list(outer()))\n",
    "yield from, thrown": "def inner():\n    try:\n        yield 1\n    except ValueError:\n        print('in')\n        return 5\n"
                          "def outer():\n    x = yield from inner()\n    print(x)\n    yield x\nit = outer()\nnext(it)\n"
                          "print(it.throw(ValueError))\n",
    "yield from, one line": "def g(): yield from (1, 2)\nprint(list(g()))\n",
    "try": "try:\n    x = 1\nexcept ValueError:\n    print('no')\nelse:\n    print('else')\nfinally:\n    print('finally')\n",
    "try, raised": "try:\n    x = 1\n    raise ValueError('v')\n    x = 2\nexcept KeyError:\n    print('no')\nexcept ValueError as e:\n"
                   "    print(e)\nelse:\n    print('else')\nfinally:\n    print('finally')\nprint('end')\n",
    "try on one line": "try: raise ValueError\nexcept ValueError: print('caught')\n",
    "try, nested": "try:\n    try:\n        1 / 0\n    except KeyError:\n        pass\n    finally:\n        print('inner')\n"
                   "except ZeroDivisionError:\n    print('outer')\n",
    "try, raised again": "def f():\n    try:\n        1 / 0\n    except ZeroDivisionError:\n        print('again')\n        raise\ntry:\n    f()\n"
                         "except ZeroDivisionError:\n    print('caught')\n",
    "try, from": "def f():\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n        raise ValueError('v') from e\ntry:\n    f()\n"
                 "except ValueError as e:\n    print(repr(e.__cause__))\n",
    "try, returned": "def f():\n    try:\n        return 1\n    finally:\n        print('finally')\ndef g():\n    for i in range(3):\n        try:\n"
                     "            continue\n        finally:\n            print(i)\n    return i\nf()\ng()\n",
    "try, return overrides": "def f():\n    try:\n        1 / 0\n    finally:\n        return 2\nprint(f())\n",
    "try, in a loop": "for i in range(4):\n    try:\n        if i == 1: continue\n        if i == 2: raise KeyError(i)\n        if i == 3: break\n"
                      "    except KeyError:\n        print('k')\n    finally:\n        print('f')\n",
    "exception through frames": "def a():\n    b()\ndef b():\n    c()\ndef c():\n    raise ValueError\ntry:\n    a()\nexcept ValueError:\n"
                                "    print('caught')\n",
    "exception that ends it": "def a():\n    raise ValueError('end')\na()\n",
    "exception groups": "try:\n    raise ExceptionGroup('g', [ValueError(1), KeyError(2)])\nexcept* ValueError as e:\n    print('v')\n"
                        "except* KeyError:\n    print('k')\n",
    "exception deleted": "try:\n    1 / 0\nexcept Exception as e:\n    pass\ntry:\n    e\nexcept NameError:\n    print('gone')\n",
    "assert": "assert True\ntry:\n    assert (\n        1 ==\n        2\n    ), 'no'\nexcept AssertionError as e:\n    print(e)\n",
    "with": "class C:\n    def __enter__(self):\n        return 1\n    def __exit__(self, *a):\n        return True\nwith C() as c:\n    print(c)\n"
            "with C():\n    1 / 0\n    print('no')\nprint('end')\n",
    "with on one line": "class C:\n    def __enter__(self): return 1\n    def __exit__(self, *a): return True\nwith C() as c: print(c)\n"
                        "with C(): 1 / 0\nprint('end')\n",
    "with, several": "class C:\n    def __init__(self, swallow=False): self.swallow = swallow\n    def __enter__(self): return self\n"
                     "    def __exit__(self, *a): return self.swallow\nwith C() as a, C() as b:\n    print('in')\n"
                     "with (\n    C(True) as a,\n    C() as b,\n):\n    raise ValueError\nprint('end')\n",
    "with, returned": "class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): print('exit')\ndef f():\n    with C():\n"
                      "        return 1\ndef g():\n    for i in range(2):\n        with C():\n            if i: break\n            continue\nf()\ng()\n",
    "with, not swallowed": "class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return False\ntry:\n    with C():\n"
                           "        1 / 0\nexcept ZeroDivisionError:\n    print('out')\n",
    "match": "def f(x):\n    match x:\n        case 0:\n            return 'zero'\n        case [a, b]:\n            return a + b\n"
             "        case {'k': v}:\n            return v\n        case str() | bytes():\n            return 'text'\n"
             "        case int(n) if n > 5:\n            return 'big'\n        case _:\n            return 'other'\n"
             "for x in 0, [1, 2], {'k': 3}, 's', 7, 4: print(f(x))\n",
    "match, nothing": "match 3:\n    case 1:\n        print('no')\n    case 2: print('no')\nprint('end')\n",
    "if": "for x in range(3):\n    if x == 0:\n        print('a')\n    elif x == 1:\n        print('b')\n    else:\n        print('c')\n",
    "if on one line": "for x in range(3):\n    if x: print(x)\n    else: print('no')\n",
    "conditions over lines": "for x in range(4):\n    if (x > 0 and\n            x < 3 or\n            x == 9):\n        print(x)\n"
                             "    y = (1\n         if x\n         else 2)\n",
    "and, or": "a = None\nb = a or \\\n    5\nc = (b and\n     a)\nd = 1 < b < 9\nprint(b, c, d)\n",
    "call over lines": "def f(*a, **k):\n    return a\nx = f(\n    1,\n    f(2),\n    *[3,\n      4],\n    k=f(\n        5\n    ),\n    **{'z': 1}\n)\nprint(x)\n",
    "method chain": "s = ('a,b'\n     .upper()\n     .split(\n         ','\n     ))\nprint(s)\n",
    "literals over lines": "x = {\n    'a': 1,\n    'b': [\n        1,\n        2,\n    ],\n}\ny = (\n    'one '\n    'two'\n)\nz = f'''{\nx\n} and {y}\n'''\nprint(z)\n",
    "assignments": "a = b = 1\n(c,\n d) = (1,\n      2)\n*e, f = [1, 2, 3]\na += (\n    b\n)\nx: int = 5\ny: str\nif (n := 10) > 5:\n    print(n)\n",
    "subscripts": "x = [0] * 3\nx[\n    1\n] = 5\nx[0:\n  2] = [7,\n        8]\ndel x[\n    0\n]\nprint(x)\n",
    "global": "n = 0\ndef f():\n    global n\n    n += 1\nf()\nf()\nprint(n)\n",
    "import": "import math\nfrom os import (\n    path,\n    sep,\n)\nprint(math.pi, sep)\n",
    "docstrings": '"""A module."""\ndef f():\n    """A function."""\n    return 1\nclass A:\n    """A class."""\n    x = 1\nf()\n',
    "empty": "",
    "comments": "# nothing\n\n\nx = 1  # one\n\n# two\n",
    "blank body": "def f():\n    ...\ndef g():\n    pass\nf()\ng()\n",
    "coroutine": "async def a(n):\n    return n\nasync def b():\n    x = await a(1)\n    y = await a(\n        2\n    )\n    return x + y\n"
                 "c = b()\ntry:\n    c.send(None)\nexcept StopIteration as e:\n    print(e.value)\n",
    "coroutines in turn": "class Pause:\n    def __await__(self):\n        yield 'pause'\nasync def work(name, n):\n    for i in range(n):\n"
                          "        print(name, i)\n        await Pause()\n    return name\ntasks = [work('a', 2), work('b', 3)]\nwhile tasks:\n"
                          "    t = tasks.pop(0)\n    try:\n        t.send(None)\n    except StopIteration as e:\n        print(e.value)\n    else:\n"
                          "        tasks.append(t)\n",
    "coroutine, thrown": "class Pause:\n    def __await__(self):\n        yield 'pause'\nasync def inner():\n    try:\n        await Pause()\n"
                         "    except ValueError:\n        print('in')\n        await Pause()\n    return 3\nasync def outer():\n    x = await inner()\n"
                         "    print(x)\nc = outer()\nc.send(None)\nc.throw(ValueError)\ntry:\n    c.send(None)\nexcept StopIteration:\n    print('end')\n",
    "async generator": "async def g():\n    for i in range(3):\n        yield i\nasync def main():\n    async for x in g():\n        print(x)\n"
                       "    print([y async for y in g()])\n    async for x in g(): print(x)\n    else: print('else')\nc = main()\ntry:\n    c.send(None)\n"
                       "except StopIteration:\n    print('end')\n",
    "async with": "class C:\n    async def __aenter__(self):\n        return 1\n    async def __aexit__(self, *a):\n        return True\n"
                  "async def main():\n    async with C() as c:\n        print(c)\n    async with C():\n        1 / 0\n    print('end')\nc = main()\ntry:\n"
                  "    c.send(None)\nexcept StopIteration:\n    print('over')\n",
    "callbacks": "def key(x):\n    return -x\nprint(sorted([1, 3, 2], key=key))\nprint(list(map(lambda x: x * 2, [1, 2])))\n"
                 "import functools\nprint(functools.reduce(lambda a, b: a + b, [1, 2, 3]))\n",
    "special methods": "class V:\n    def __init__(self, n): self.n = n\n    def __add__(self, o):\n        return V(self.n + o.n)\n"
                       "    def __repr__(self):\n        return f'V({self.n})'\n    def __iter__(self):\n        yield self.n\n"
                       "    def __getattr__(self, name):\n        raise AttributeError(name)\nprint(V(1) + V(2), list(V(3)), hasattr(V(1), 'x'))\n",
    "super": "class A:\n    def f(self): return 'A'\nclass B(A):\n    def f(self):\n        return super().f() + 'B'\nprint(B().f())\n",
    "many constants": "x = [\n" + "".join(f"    {i} + {1000 + i},\n" for i in range(400)) + "]\nfor i in range(2):\n"
                      + "".join(f"    y{i} = {i}\n" for i in range(400)) + "print(sum(x))\n",
    "long jumps": "def f(n):\n    t = 0\n    while n:\n        n -= 1\n        if n % 2:\n" + "".join(f"            t += {i}\n" for i in range(300))
                  + "        else: continue\n        t += 1\n    return t\nprint(f(4))\n",
    "long jumps on one line": "def f(n):\n    t = 0\n    while n: n -= 1; t += (" + " + ".join(f"n * {i}" for i in range(200))
                              + ")\n    for i in range(3): t += (" + " + ".join(f"i ^ {i}" for i in range(200)) + ") if i else 1\n    return t\nprint(f(4))\n",
    "deep": "def f(n):\n    if n:\n        return f(n - 1)\n    raise ValueError('deep')\ntry:\n    f(20)\nexcept ValueError as e:\n    print(e)\n",
    "exec": "exec('x = 1\\nprint(x)')\nprint(eval('1 + 1'))\n",
    "del in a loop": "for i in range(2):\n    x = [i]\n    del x\n    try: del x\n    except NameError: print('gone')\n",
    "nested functions": "def a():\n    def b():\n        def c(): return 1\n        return c()\n    return [b() for _ in range(2)]\na()\n",
    "star expressions": "def f(a, *b, c=3, **d): return a, b, c, d\nargs = [1, 2]\nprint(f(*args, *args, c=4, **{'k': 1}))\nprint([*args, *args])\n",
    "try in a loop on one line": "for i in range(3):\n    try: int('x' if i else '1')\n    except ValueError: print(i)\n    else: print('ok')\n",
    "finally with a loop": "def f():\n    for i in range(3):\n        try:\n            if i == 1: return i\n        finally:\n            for j in range(2): print(j)\nf()\n",
    "ternary on lines": "x = [a if a else\n     b for a, b in [(1, 2), (0, 3)]]\nprint(x)\n",
    "not": "for x in (0, 1):\n    if not x: print('not')\n    while not x:\n        x = 1\n",
    "is None": "def f(x):\n    while x is not None: x = None\n    while x is None:\n        x = 1\n    if x is None: return 0\n    return x\nprint(f(1))\n",
}


# What goes on in them with exceptions that are the same, or are not but come at the same address.
EXCEPTIONS = {
    "one after the other": """\
for _ in range(3):
    try: raise KeyError
    except KeyError: pass
    try: raise ValueError
    except ValueError: pass
""",
    "one in the handler of another": """\
def f():
    try: raise KeyError
    except KeyError:
        try: raise ValueError
        except ValueError: pass
        raise
for _ in range(3):
    try: f()
    except KeyError: pass
""",
    "made before it is raised": """\
e = KeyError()
def f(e): raise e
for _ in range(3):
    try: f(e)
    except KeyError: pass
    try: raise ValueError
    except ValueError: pass
try: raise e
except KeyError as again: pass
try: raise again
except KeyError: pass
""",
    "nothing to raise again": """\
for _ in range(3):
    try: raise
    except RuntimeError: pass
""",
    "raised again elsewhere": """\
def again(): raise
def f():
    try: 1 / 0
    except ZeroDivisionError: again()
for _ in range(3):
    try: f()
    except ZeroDivisionError: pass
    try: raise ValueError
    except ValueError: pass
""",
    "with and finally": """\
class C:
    def __enter__(self): return self
    def __exit__(self, *a):
        try: raise ValueError
        except ValueError: pass
def f():
    try:
        with C(), C(): raise KeyError
    finally:
        try: raise IndexError
        except IndexError: pass
for _ in range(3):
    try: f()
    except KeyError: pass
""",
    "a generator that manages a with": """\
import contextlib
@contextlib.contextmanager
def c():
    try: yield
    finally: pass
def f():
    with c(): raise KeyError
for _ in range(3):
    try: f()
    except KeyError: pass
""",
    "the library between": """\
import functools
def key(n): return 1 // n
def f(n): return functools.reduce(lambda a, b: key(b), sorted([2, n], key=key), 0)
import heapq
for n in 1, 0, 0, 2, 0:
    try: f(n)
    except ZeroDivisionError: pass
    try: list(heapq.merge([1, n], [0], key=key))
    except ZeroDivisionError: pass
""",
    "generators": """\
def inner():
    try: yield 1
    except ValueError: raise
    yield 2
def g():
    try: yield from inner()
    except ValueError as e: yield e
    except GeneratorExit: raise
for _ in range(3):
    it = g()
    next(it)
    e = it.throw(ValueError())
    try: it.throw(e)
    except ValueError: pass
    it = g()
    next(it)
    it.close()
    try: next(it)
    except StopIteration: pass
""",
    "groups": """\
def f():
    try:
        try: raise ExceptionGroup('g', [ValueError(1), KeyError(2), TypeError(3)])
        except* ValueError as e: raise RuntimeError('x')
        except* KeyError: raise
    except* KeyError: pass
    except* RuntimeError as e:
        try: raise e.exceptions[0]
        except RuntimeError: pass
    except* Exception: pass
def g():
    try:
        try: raise ExceptionGroup('g', [ValueError(1), KeyError(2)])
        except* ValueError: pass
    except* TypeError: pass
for _ in range(3):
    f()
    try: g()
    except* KeyError: pass
""",
    "tasks": """\
import asyncio
async def fail(n):
    await asyncio.sleep(0)
    if n == 2:
        try: raise ValueError
        except ValueError: pass
    raise KeyError(n)
async def main():
    task = asyncio.create_task(fail(1))
    await asyncio.gather(task, fail(2), return_exceptions=True)
    try: await task
    except KeyError: pass
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(3))
    except* KeyError as e: pass
    try: await asyncio.wait_for(asyncio.sleep(1), 0.001)
    except TimeoutError: pass
for _ in range(3): asyncio.run(main())
""",
    "another thread's": """\
from concurrent.futures import ThreadPoolExecutor
def fail(n):
    if n == 1:
        try: raise ValueError
        except ValueError: pass
    raise KeyError
with ThreadPoolExecutor(1) as pool:
    for n in range(3):
        future = pool.submit(fail, n)
        for _ in 1, 2:
            try: future.result()
            except KeyError: pass
""",
    "two threads by turns": """\
import threading
one, other = threading.Event(), threading.Event()
def f(mine, its):
    try: raise KeyError
    except KeyError:
        its.set()
        mine.wait()
        raise
def run(*a):
    try: f(*a)
    except KeyError: pass
thread = threading.Thread(target=run, args=(one, other))
thread.start()
other.wait()
run(other, one)
thread.join()
""",
    "many at once": """\
def f(n):
    try: raise KeyError(n)
    except KeyError:
        if n > 0: f(n - 1)
        raise
try: f(0)
except KeyError: pass
def g(n):
    try: raise KeyError(n)
    except KeyError:
        if n > 0:
            try: g(n - 1)
            except KeyError: pass
        raise
try: g(40)
except KeyError: pass
""",
    "through many calls": """\
def f(n):
    if n == 0: raise KeyError
    f(n - 1)
for _ in range(3):
    try: f(50)
    except KeyError: pass
""",
}


class Chance:
    """The body of a function, of try statements within each other."""

    SIMPLE = {
        "raise": ("raise KeyError", "raise ValueError(1)"), "pass": ("pass",), "bare": ("raise",), "from": ("raise KeyError from None",),
        "break": ("break",), "continue": ("continue",), "return": ("return 1", "return act()"), "act": ("act()", "act()", "act(\n)"),
    }

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.lines = []
        self.left = 30  # statements

    def add(self, depth, text):
        self.lines.append("    " * depth + text)

    def choose(self, depth, handles, loops):
        kinds = ["act", "act", "act", "raise", "try", "try", "if", "with", "for", "pass"]
        kinds += ["bare", "bare", "from"] if handles else []
        kinds += ["break", "continue"] if loops else []
        kinds += ["return"] if self.chance.random() < 0.3 else []
        self.left -= 1
        return self.chance.choice(kinds) if self.left >= 0 and depth < 8 else "act"

    def block(self, depth, handles=False, loops=False):
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            kind = self.choose(depth, handles, loops)
            if kind in self.SIMPLE:
                self.add(depth, self.chance.choice(self.SIMPLE[kind]))
            else:
                getattr(self, "put_" + kind)(depth, handles, loops)

    def put_if(self, depth, handles, loops):
        self.add(depth, "if act():")
        self.block(depth + 1, handles, loops)
        if self.chance.random() < 0.4:
            self.add(depth, "else:")
            self.block(depth + 1, handles, loops)

    def put_for(self, depth, handles, _):
        self.add(depth, "for i in (1, 2):")
        self.block(depth + 1, handles, True)

    def put_with(self, depth, handles, loops):
        self.add(depth, self.chance.choice(("with Quiet():", "with Loud():")))
        self.block(depth + 1, handles, loops)

    def put_try(self, depth, handles, loops):
        self.add(depth, "try:")
        self.block(depth + 1, handles, loops)
        handlers = self.chance.choice((0, 0, 1, 1, 2))
        for _ in range(handlers):
            self.add(depth, self.chance.choice(("except KeyError:", "except ValueError as e:", "except (KeyError, ValueError) as e:")))
            self.block(depth + 1, True, loops)
        if handlers > 0 and self.chance.random() < 0.3:
            self.add(depth, "else:")
            self.block(depth + 1, handles, loops)
        if handlers == 0 or self.chance.random() < 0.4:
            self.add(depth, "finally:")
            self.block(depth + 1, handles)


AROUND = """\
import random
chance = random.Random({seed})
def act():
    if chance.random() < 0.25: raise chance.choice((KeyError, ValueError))
    return chance.random() < 0.5
class Quiet:
    def __enter__(self): return self
    def __exit__(self, *a): return chance.random() < 0.5
class Loud(Quiet):
    def __exit__(self, *a): act()
def f():
{body}
for _ in range(12):
    try: f()
    except Exception as e: print(type(e))
"""


def random_program(seed):
    made = Chance(seed)
    made.block(1)
    return AROUND.format(seed=seed, body="\n".join(made.lines))


class Suspending(Chance):
    """The body of a function that waits in the middle of lines; `marks` says where it is."""

    def __init__(self, seed, kind):
        super().__init__(seed)
        self.kind = kind
        self.left = 16
        self.SIMPLE = {**Chance.SIMPLE, **self.WAITS[kind], "return": ("return",), "act": ("act()", "mark()", "mark(\n)")}

    WAITS = {
        "generator": {"wait": ("yield 1", "mark((yield))", "n = [mark(), (yield 2), mark()]", "mark(\n    (yield),\n    mark())"),
                      "from": ("mark((yield from low()))", "n = [\n(yield from low()), mark()]", "yield from (1, 2)")},
        "low": {"wait": ("yield 1", "n = (yield) or mark()", "mark([mark(i) for i in (yield) or (1, 2)])"), "from": ("yield from (1, 2)",)},
        "coroutine": {"wait": ("await Pause()", "mark(await Pause())", "n = [\nmark(), await Pause(),\nmark()]"),
                      "from": ("mark(await nap())", "n = [mark(i) async for i in ticks()]", "mark(\n    await nap())")},
        "nap": {"wait": ("await Pause()", "n = (await Pause()) or mark()"), "from": ("await Pause()",)},
        "ticks": {"wait": ("yield 1", "mark((yield 1))", "mark(await Pause())"), "from": ("mark(await nap())",)},
    }

    def choose(self, depth, handles, loops):
        if self.left > 0 and self.chance.random() < 0.4:
            self.left -= 1
            return self.chance.choice(("wait", "wait", "from"))
        return super().choose(depth, handles, loops)

    def put_for(self, depth, handles, loops):
        if self.kind == "coroutine" and self.chance.random() < 0.4:
            self.add(depth, "async for i in ticks():")
            self.block(depth + 1, handles, True)
        else:
            super().put_for(depth, handles, loops)


SUSPENDED = """\
import random
chance = random.Random({seed})
def mark(*_): return chance.random() < 0.5
def act():
    if chance.random() < 0.2: raise chance.choice((KeyError, ValueError))
    return mark()
class Quiet:
    def __enter__(self): return self
    def __exit__(self, *a): return chance.random() < 0.5
class Loud(Quiet):
    def __exit__(self, *a): act()
class Pause:
    def __await__(self):
        mark((yield))
def low():
{low}
    mark((yield))
def generator():
{generator}
    mark((yield))
async def nap():
{nap}
    mark(await Pause())
async def ticks():
{ticks}
    mark((yield))
async def coroutine():
{coroutine}
    mark(await Pause())
def drive(waits):
    waits.send(None)
    for _ in range(9):
        if chance.random() < 0.4: waits.throw(chance.choice((KeyError, ValueError))())
        else: waits.send(None)
    waits.close()
for _ in range(6):
    for kind in generator, coroutine:
        try: drive(kind())
        except (Exception, GeneratorExit) as e: print(type(e))
"""


def random_suspended(seed):
    bodies = {}
    for number, kind in enumerate(Suspending.WAITS):
        made = Suspending(5 * seed + number, kind)
        made.block(1)
        bodies[kind] = "\n".join(made.lines)
    return SUSPENDED.format(seed=seed, **bodies)
