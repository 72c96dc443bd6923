# SPDX-License-Identifier: MIT
"""What is known to bring CPython down (the files of its Lib/test/crashers, old and new), in words of our own: contained,
whatever comes of it. G23."""

CRASHERS = {
    "code that pops what was never pushed": """\
def f(): pass
exec(f.__code__.replace(co_code=bytes([1, 0] * 8)))
""",
    "code that loads what is not there": """\
def f(a): return a
exec(f.__code__.replace(co_argcount=0, co_code=bytes([151, 0, 124, 200, 83, 0])))
""",
    "code with a stack that is too small": """\
def f(): return [1, [2, [3, [4, [5, [6]]]]]]
for n in range(50):
    exec(f.__code__.replace(co_stacksize=0))
""",
    "the dictionary behind a proxy": """\
import gc
d = [x for x in gc.get_referents(type.__dict__.get('mro'), str.__dict__) if isinstance(x, dict)]
for x in d: x.clear()
'x'.upper()
""",
    "methods that call each other": """\
class A: pass
A.__call__ = A()
A()()
""",
    "a tuple that is seen while it is made": """\
import gc
def f():
    t = [x for x in gc.get_objects() if type(x) is tuple]
    return t[-1]
tuple(f() for _ in range(10))
""",
    "a circle that changes while it is collected": """\
import gc, weakref
class A: pass
def back(r): keep.append(gc.get_objects())
keep = []
for _ in range(50):
    a = A()
    a.a = a
    r = weakref.ref(a, back)
    del a
    gc.collect()
    keep.clear()
""",
    "a compiler that recurses": """\
import ast
x = ast.Constant(1)
for _ in range(200_000):
    x = ast.UnaryOp(ast.USub(), x)
compile(ast.fix_missing_locations(ast.Expression(x)), 'x', 'eval')
""",
    "a pattern of nonsense": """\
import _sre
_sre.compile('a', 0, [2 ** 31] * 100, 0, {}, ()).match('aaa')
""",
    "an iterator that eats itself": """\
import itertools
x = iter([])
for _ in range(1_000_000): x = itertools.chain(x)
list(x)
""",
    "a deep chain, deleted": """\
x = None
for _ in range(1_000_000): x = [x]
del x
""",
    "a list sorted while it changes": """\
class K:
    def __lt__(self, other):
        x.clear()
        return True
x = [K() for _ in range(100)]
x.sort()
""",
    "a set that changes while it is compared": """\
class K:
    def __hash__(self): return 1
    def __eq__(self, other):
        s.clear()
        return False
s = {K()}
s.add(K())
s.add(K())
""",
    "memory that is freed while it is viewed": """\
import io
b = io.BytesIO(b'x' * 1000)
v = b.getbuffer()
b.__init__(b'y')
print(len(bytes(v)))
""",
    "a trace at the limit of recursion": """\
import sys
def trace(*a): return trace
def f(): f()
sys.settrace(trace)
try: f()
except RecursionError: pass
f()
""",
    "a base that changes while a name is looked for": """\
class M(type):
    def mro(self): return [self, *bases, object]
bases = []
class A: pass
class K(str):
    def __hash__(self): return hash(str(self))
    def __eq__(self, other):
        bases.append(A)
        B.__bases__ = (A,)
        return False
class B(object, metaclass=M): pass
type.__setattr__(B, 'x', 1)
for _ in range(100): getattr(B(), K('y'), 0)
""",
    "an attribute that goes while its descriptor runs": """\
class D:
    def __get__(self, a, b):
        del type(a).d
        return [0] * 100
    def __del__(self): print('gone')
class A: d = D()
print(len(A().d))
""",
    "a class that its metaclass's order leaves": """\
class M(type):
    def mro(self):
        self.__bases__ = (A,) if self.__bases__ == (B,) else (B,)
        return type.mro(self)
class A: pass
class B: pass
class C(A, metaclass=M): pass
for _ in range(100): C.__bases__ = (B,)
""",
    "an order of classes that is let go while it is used": """\
class M(type):
    def mro(self):
        return [self, object]
class K:
    def __eq__(self, other):
        X.__bases__ = (object,)
        return NotImplemented
    def __hash__(self): return hash('z')
class B: pass
class X(B, metaclass=M): z = 1
vars_ = {K(): 1}
Y = M('Y', (B,), vars_)
for _ in range(100):
    try: Y.z
    except AttributeError: pass
""",
    "a dict that grows while a key is compared": """\
class K:
    def __hash__(self): return 5
    def __eq__(self, other):
        d.update({i: i for i in range(1000)})
        d.clear()
        return False
d = {K(): 1}
for _ in range(100): d[K()] = 2
""",
    "a dict that is cleared while it is compared": """\
class V:
    def __eq__(self, other):
        a.clear()
        b.clear()
        return True
a = {i: V() for i in range(100)}
b = {i: V() for i in range(100)}
print(a == b)
""",
    "a list that shrinks while it is searched": """\
class V:
    def __eq__(self, other):
        del x[:]
        return False
x = [V() for _ in range(100)]
for f in x.index, x.count, x.remove:
    x[:] = [V() for _ in range(100)]
    try: f(5)
    except ValueError: pass
""",
    "an instance's dictionary, exchanged by who dies in it": """\
class D:
    def __del__(self): a.__dict__ = {}
class A: pass
a = A()
for _ in range(1000):
    a.d = D()
    a.d = 1
""",
    "a slot that is set while it is cleared": """\
class D:
    def __del__(self):
        try: a.x = D() if deep[0] < 1000 else 1
        except RecursionError: pass
        deep[0] += 1
deep = [0]
class A: __slots__ = ('x',)
a = A()
a.x = D()
del a.x
""",
    "a module that is let go while its names are": """\
import types
m = types.ModuleType('m')
class D:
    def __del__(self): m.__dict__.update({str(i): D for i in range(100)})
m.d = D()
m.__dict__.clear()
del m
""",
    "a weak reference to who is dying": """\
import weakref
class A:
    def __del__(self): keep.append(weakref.ref(self, keep.append)); keep.append(self)
keep = []
for _ in range(1000): A()
for x in keep: str(x)
keep.clear()
""",
    "a generator that is run by its own end": """\
def g():
    try: yield 1
    finally:
        try: next(x)
        except ValueError: pass
        yield 2
x = g()
next(x)
del x
""",
    "a generator that throws itself": """\
def g():
    while True:
        try: yield
        except Exception as e: x.throw(e)
x = g()
next(x)
x.throw(ValueError())
""",
    "a bytearray that is resized while it is joined": """\
class B:
    def __buffer__(self, flags): b.clear()
b = bytearray(1000)
class I:
    def __index__(self):
        b.clear()
        return 5
for f in (lambda: b.__setitem__(I(), 1), lambda: b.insert(I(), 1), lambda: b.pop(I())):
    b.extend(bytes(1000))
    try: f()
    except (IndexError, ValueError): pass
""",
    "an array that is resized while it is viewed": """\
import array
a = array.array('B', bytes(1000))
v = memoryview(a)
for f in a.pop, a.reverse, lambda: a.extend(a):
    try: f()
    except BufferError: pass
v.release()
a.extend(a)
""",
    "a recursion by each of Python's ways": """\
import sys
class A:
    def __getattr__(self, n): return getattr(self, n + 'x')
    def __repr__(self): return repr(self)
    def __eq__(self, o): return o == self
    def __hash__(self): return hash(self)
    def __len__(self): return len(self)
    def __iter__(self): return iter(self)
    def __int__(self): return int(self)
    def __add__(self, o): return o + self
    __radd__ = __add__
a = A()
for f in (lambda: a.x, lambda: repr(a), lambda: a == A(), lambda: hash(a), lambda: len(a),
          lambda: iter(a), lambda: int(a), lambda: a + A()):
    try: f()
    except RecursionError: print('deep')
""",
    "a class that is an instance of itself": """\
class M(type): pass
class A(metaclass=M): pass
M.__call__ = lambda self: self()
try: A()
except RecursionError: pass
M.__getattribute__ = lambda self, n: getattr(self, n)
A.x
""",
    "a limit of recursion that is none": """\
import sys
sys.setrecursionlimit(2 ** 31 - 1)
class A:
    def __repr__(self): return f'{self}'
repr(A())
""",
    "a comparison as deep as memory": """\
a, b = [], []
for _ in range(1_000_000): a, b = [a], [b]
print(a == b)
""",
    "a file that is closed while others read it": """\
import io, threading
f = io.BufferedReader(io.BytesIO(bytes(1 << 20)))
def read():
    while True:
        try: f.read(1); f.seek(0)
        except ValueError: return
for _ in range(4): threading.Thread(target=read).start()
import time
time.sleep(0.02)
f.close()
""",
    "a buffer that its own raw file detaches": """\
import io
class R(io.RawIOBase):
    def readable(self): return True
    def readinto(self, b):
        try: f.detach()
        except Exception: pass
        f.__init__(R())
        return 1
f = io.BufferedReader(R())
f.read(100)
""",
    "a warning whose registry dies": """\
import warnings, sys
class D(dict):
    def __del__(self): warnings.warn('late')
    def __getitem__(self, k):
        globals().pop('__warningregistry__', None)
        return 1
__warningregistry__ = D(version=1)
warnings.warn('x')
del __warningregistry__
""",
    "a parser that parses in its own handler": """\
import xml.parsers.expat as e
p = e.ParserCreate()
def start(*a):
    p.StartElementHandler = None
    q = p.ExternalEntityParserCreate('')
    try: p.Parse('<b/>', True)
    except Exception: pass
    del q
p.StartElementHandler = start
p.Parse('<a>' * 10_000)
""",
    "a code object without anything": """\
import types
try: types.CodeType(0, 0, 0, 0, 0, 0, b'', (), (), (), '', '', '', 0, b'', b'')
except Exception as e: print(e)
exec(types.CodeType(0, 0, 0, 0, 0, 0, bytes([83, 0]), (), (), (), '', '', '', 0, b'', b''))
""",
    "an address that is none": """\
import ctypes
ctypes.cast(12345, ctypes.py_object).value
""",
    "a reference too few": """\
import ctypes
for _ in range(10_000): ctypes.pythonapi.Py_DecRef(ctypes.py_object(None))
x = [None] * 100
del x
""",
}
