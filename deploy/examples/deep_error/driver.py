# SPDX-License-Identifier: MIT
"""Called by robot.py, calls planner.py."""

import planner


def drive(distance, seconds):
    print("Driving.")
    planner.plan(distance, seconds)
