# SPDX-License-Identifier: MIT
"""Imports a package once, in a process of its own, and prints how long that took and of how many modules:
import_once.py WAY PATH STATEMENT MODULE ... ; run by imports.py. MODULEs of Python's own library are imported before."""

import gc
import importlib.machinery
import importlib.util
import sys
import time
import zipfile

ROOT = "/bench"


class Inflated:
    """Compile and exec alone: every source has been inflated before, and lies in a dict. What this finder itself takes is
    measured, and taken off."""

    def __init__(self, path):
        with zipfile.ZipFile(path) as archive:
            self.sources = {name: archive.read(name) for name in archive.namelist()}
        self.own = 0.0

    def find_spec(self, fullname, path=None, target=None):
        begin = time.perf_counter()
        try:
            base = fullname.replace(".", "/")
            for name, is_package in (f"{base}/__init__.py", True), (f"{base}.py", False):
                if name in self.sources:
                    spec = importlib.machinery.ModuleSpec(fullname, self, origin=f"{ROOT}/{name}", is_package=is_package)
                    spec.has_location = True
                    spec.loader_state = name
                    return spec
            return None
        finally:
            self.own += time.perf_counter() - begin

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        exec(compile(self.sources[spec.loader_state], spec.origin, "exec", dont_inherit=True), module.__dict__)


def prepare(way, path):
    """Makes the package importable, and returns what is to be taken off the time."""
    if way == "floor":
        finder = Inflated(path)
        sys.meta_path.insert(0, finder)
        return lambda: finder.own
    if way == "paddock":
        import paddock_importer
        with open(path, "rb") as file:
            data = file.read()
        begin = time.perf_counter()
        paddock_importer.mount(data, ROOT)
        took = time.perf_counter() - begin
        sys.path.insert(0, ROOT)
        return lambda: -took  # checking the archive's directory belongs to it
    sys.path.insert(0, path)
    return lambda: 0


def main():
    way, path, statement, *modules = sys.argv[1:]
    for name in modules:
        try:
            __import__(name)
        except ImportError:
            pass
    code = compile(statement, "<bench>", "exec")
    off = prepare(way, path)
    before = set(sys.modules)
    gc.collect()
    begin = time.perf_counter()
    exec(code, {})
    took = time.perf_counter() - begin - off()
    print(took * 1000, len(set(sys.modules) - before))


main()
