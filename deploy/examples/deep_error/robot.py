# SPDX-License-Identifier: MIT
"""Fails three modules deep: the traceback shows every line on the way."""

import driver

print("Starting.")
driver.drive(distance=3, seconds=0)
