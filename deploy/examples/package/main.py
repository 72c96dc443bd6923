# SPDX-License-Identifier: MIT
"""A program of several packages: relative imports, a package without __init__.py, and a file of data."""

from arena import report
from arena.shapes.circle import Circle
from tools.units import metres

print(report.title())
print(f"A circle of {metres(1500)} has an area of {Circle(1.5).area():.2f} m2.")
for line in report.lines():
    print(line)
