# SPDX-License-Identifier: MIT
"""importlib.resources and importlib.metadata for archives that are mounted without the file view; resource.c runs this,
with read(), kind() and names() in its namespace, when such an archive is asked for either. Runs in whatever program
embeds the importer, on paths that it made; must never touch the disk."""

import contextlib
import importlib.metadata
import importlib.resources
import importlib.resources._common
import io
import pathlib
import re
from importlib.resources.abc import TraversableResources


class ResourcePath(pathlib.PurePosixPath):
    """The half of pathlib.Path that reads (importlib.resources.abc.Traversable), over a mounted archive."""

    __slots__ = ()

    def is_dir(self):
        return kind(str(self)) == "folder"

    def is_file(self):
        return kind(str(self)) == "file"

    def exists(self):
        return kind(str(self)) is not None

    def iterdir(self):
        return (self / name for name in names(str(self)))

    def read_bytes(self):
        return read(str(self))

    def open(self, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
        if mode not in ("r", "rt", "rb"):
            raise ValueError(f"a resource is opened with 'r' or 'rb', not {mode!r}")
        stream = io.BytesIO(self.read_bytes())
        return stream if mode == "rb" else io.TextIOWrapper(stream, io.text_encoding(encoding), errors, newline)

    def read_text(self, encoding=None, errors=None):
        with self.open("r", -1, encoding, errors) as file:
            return file.read()


@importlib.resources._common.as_file.register(ResourcePath)
@contextlib.contextmanager
def as_file(path):
    yield path


class ResourceReader(TraversableResources):
    def __init__(self, path):
        self.path = ResourcePath(path).parent

    def files(self):
        return self.path


def normalise(name):
    """PEP 503, as importlib.metadata compares names."""
    return re.sub(r"[-_.]+", "_", name).lower()


def find_distributions(context):
    for folder in (ResourcePath(path) for path in context.path if isinstance(path, str)):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            name = path.stem.partition("-")[0]
            if path.suffix in (".dist-info", ".egg-info") and (
                    context.name is None or normalise(context.name) == normalise(name)):
                yield importlib.metadata.PathDistribution(path)
