# SPDX-License-Identifier: MIT
"""A package inside a package."""


class Shape:
    """What all shapes have: a size, in metres."""

    def __init__(self, size):
        self.size = size
