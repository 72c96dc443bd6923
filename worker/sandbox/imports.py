# SPDX-License-Identifier: MIT
"""Notes who imports what, while modules are loaded ahead.

Run in the zygote, before anything is imported. A program's own module may hide one that was loaded ahead; who had imported
that one then has to be imported anew, too (importer/hide.c)."""

import builtins
import sys

_import = builtins.__import__
_External = sys.modules["_frozen_importlib_external"].ExtensionFileLoader
_making = _External.create_module, _External.exec_module
_noted = {}  # name -> {name that it imports: None}


def _noting(method):
    def make(self, argument):
        name = self.name  # _importer() looks for it
        return method(self, argument)
    return make


def _importer():
    """The module whose code runs, or the extension module that is being made; also where it is by way of a function."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != "<module>":
        if frame.f_code is _External.create_module.__code__:
            return frame.f_locals["name"]
        frame = frame.f_back
    return frame and frame.f_globals.get("__name__")


def _import_and_note(name, globals=None, locals=None, fromlist=(), level=0):
    module = _import(name, globals, locals, fromlist, level)
    imported = _noted.setdefault(_importer(), {})
    base = module.__name__ if level else name
    imported[base] = None
    for part in fromlist or ():
        if f"{base}.{part}" in sys.modules:
            imported[f"{base}.{part}"] = None
    return module


builtins.__import__ = _import_and_note
_External.create_module, _External.exec_module = map(_noting, _making)


def stop(lasting):
    """{name: (what it imports, who imports it)}, in the order in which that happened. `lasting`: names of modules that are
    never imported anew, whatever hides what they have imported."""
    builtins.__import__ = _import
    _External.create_module, _External.exec_module = _making
    importers = {}
    for name, imported in _noted.items():
        for other in imported if name not in lasting else ():
            importers.setdefault(other, []).append(name)
    return {name: (tuple(_noted.get(name, ())), tuple(importers.get(name, ()))) for name in {*_noted, *importers}}
