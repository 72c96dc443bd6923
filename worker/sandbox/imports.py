# SPDX-License-Identifier: MIT
"""Notes who imports what, while modules are loaded ahead.

Run in the zygote, before anything is imported. A program's own module may hide one that was loaded ahead; who had imported
that one is then found to have done so too early (importer/hide.c)."""

import builtins
import sys

_import = builtins.__import__
_noted = {}  # name -> {name that it imports: None}


def _import_and_note(name, globals=None, locals=None, fromlist=(), level=0):
    module = _import(name, globals, locals, fromlist, level)
    importer = globals.get("__name__") if globals else None
    # What C code imports as its module is made is said to be of who makes modules, and is left out.
    if importer is not None and not importer.startswith("importlib._bootstrap"):
        imported = _noted.setdefault(importer, {})
        base = module.__name__ if level else name
        imported[base] = None
        for part in fromlist or ():
            if f"{base}.{part}" in sys.modules:
                imported[f"{base}.{part}"] = None
    return module


builtins.__import__ = _import_and_note


def stop():
    """{name: (what it imports, who imports it)}, in the order in which that happened."""
    builtins.__import__ = _import
    importers = {}
    for name, imported in _noted.items():
        for other in imported:
            importers.setdefault(other, []).append(name)
    return {name: (tuple(_noted.get(name, ())), tuple(importers.get(name, ()))) for name in {*_noted, *importers}}
