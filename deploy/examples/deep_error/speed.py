# SPDX-License-Identifier: MIT
"""Where it goes wrong."""


def average(distance, seconds):
    return distance / seconds
