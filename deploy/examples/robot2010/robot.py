# SPDX-License-Identifier: MIT
"""A robot with a face, in the shape that programs for the simulator of 2010 had: this module, and one beside it."""

from bees import Bee


class Face:
    def __init__(self):
        self.visitor = Bee("Maja")

    def cheese(self):
        print("Cheese!")

    def bee(self):
        for flower in ("poppy", "daisy"):
            print(self.visitor.fly(flower))
        print(self.visitor.hum())


def main():
    face = Face()
    face.cheese()
    face.bee()


if __name__ == "__main__":
    main()
