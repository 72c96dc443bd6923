# SPDX-License-Identifier: MIT
"""Reads a file of the package without knowing where it lies: pkgutil asks the importer."""

import pkgutil

from . import NAME
from .shapes.square import Square


def title():
    return f"{NAME}, {Square(8).area()} m2"


def lines():
    text = pkgutil.get_data("arena", "data/tokens.csv").decode("utf-8")
    for row in text.splitlines():
        colour, count = row.split(",")
        yield f"{count} tokens are {colour}"
