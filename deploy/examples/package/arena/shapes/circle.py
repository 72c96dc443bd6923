# SPDX-License-Identifier: MIT
"""Imports from its own package, by a relative name."""

import math

from . import Shape


class Circle(Shape):
    def area(self):
        return math.pi * self.size**2
