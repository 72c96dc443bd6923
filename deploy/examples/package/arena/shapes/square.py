# SPDX-License-Identifier: MIT
"""The other shape."""

from . import Shape


class Square(Shape):
    def area(self):
        return self.size**2
