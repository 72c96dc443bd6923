# SPDX-License-Identifier: MIT
"""The importer in any Python 3.11: a package that never touches the disk.

PYTHONPATH=build/release/python /usr/bin/python3 use_importer.py"""

import io
import os
import sys
import zipfile

import paddock_importer

stream = io.BytesIO()
with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("arena/__init__.py", "from .walls import count\n")
    archive.writestr("arena/walls.py", "count = 4\n")
    archive.writestr("arena/map.txt", "#..#\n")

# With files=True, open(), os.listdir(), pathlib and the like see the archive below its root, too.
paddock_importer.mount(stream.getvalue(), "/game", files=True)
sys.path.insert(0, "/game")

import arena

print(arena.__file__, "has", arena.count, "walls:", open("/game/arena/map.txt").read().strip(),
      os.listdir("/game/arena"))

try:
    paddock_importer.mount(b"PK\3\4 and no more", "/broken")
except paddock_importer.ZipImportError as error:
    print(error)
