# SPDX-License-Identifier: MIT
"""Never ends: it looks for a wall that is not there. What it printed before it is stopped is kept."""


def look():
    return "nothing"


print("Looking for the wall ...")
print("Still looking ...")
while look() != "wall":
    pass
print("There it is.")
