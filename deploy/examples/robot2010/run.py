# SPDX-License-Identifier: MIT
"""Starts the robot as a program of its own: what `entry` robot:main does, written out."""

import robot

f = robot.Face()
f.cheese()
f.bee()
