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


def _top(name):
    return name.partition(".")[0]


def _all_imported(names):
    """With what these have imported, directly or not, by their top names."""
    found, following = set(), {_top(name) for name in names}
    while following:
        found |= following
        following = {_top(other) for name, imported in _noted.items() if name is not None and _top(name) in following
                     for other in imported} - found
    return found


def stop(startup, changed, added):
    """({name: module}, {name: (what it imports, who imports it)}): what cannot be made anew, and the links, in the order of the
    imports. `startup`: names that no program can hide; `changed`: names of modules that the sandbox has changed; `added`: names
    of the operator's packages, whose state is not all Python's: what they use stays with them.

    Of the first kind are extension modules, too, and what these imported as they were made: they may hold on to it, as
    _decimal does to numbers, and a second one would be another."""
    builtins.__import__ = _import
    _External.create_module, _External.exec_module = _making
    specs = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items() if name not in startup}
    made = {name for name, spec in specs.items() if isinstance(getattr(spec, "loader", None), _External)}
    lasting = {_top(name) for name in [*changed, *(other for name in made for other in _noted.get(name, ()))]}
    lasting |= _all_imported(added)
    kept = {name: sys.modules[name] for name, spec in specs.items()
            if spec is not None and (name in made or _top(name) in lasting)}
    importers = {}
    for name, imported in _noted.items():
        if name is not None and _top(name) not in lasting:
            for other in imported:
                importers.setdefault(other, []).append(name)
    links = {name: (tuple(other for other in _noted.get(name, ()) if other in sys.modules), tuple(importers.get(name, ())))
             for name in {*_noted, *importers}}
    return kept, links
