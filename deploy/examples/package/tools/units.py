# SPDX-License-Identifier: MIT
"""The folder has no __init__.py: an implicit namespace package."""


def metres(millimetres):
    return f"{millimetres / 1000:.1f} m"
