# SPDX-License-Identifier: MIT
"""The robot's second module: what it knows of bees."""


class Bee:
    def __init__(self, name):
        self.name = name
        self.trips = 0

    def fly(self, flower):
        """One trip to a flower and back."""
        self.trips += 1
        return f"{self.name} flies to the {flower}"

    def hum(self):
        return "b" + "z" * (self.trips + 1)
