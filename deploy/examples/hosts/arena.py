"""A small arena for Paddock: one robot with two wheels, and tokens to fetch. A host module, as docs/HOSTS.md has it.

A program says `from arena import Robot`. The match is as long as the job says, whatever time it takes: nobody waits for a
simulated second. What is recorded: the arena once, then the robot fifteen times a second where it moves, and all that there is
every five seconds, so that who looks at it can begin anywhere."""

import json
import math
import random

from paddock import host

TICK = 1 / 30  # of the simulation, in seconds
POSE_TICKS = 2  # between two poses
KEY_TICKS = 150  # between two that have all
SIZE = 8.0  # metres
AXLE = 0.45
SPEED = 1.2  # metres a second, of a wheel at full power
REACH = 0.4
VIEW = math.radians(30)  # to either side


class Token:
    """What the robot sees of one: its `code`, how many metres away it is, and at how many degrees, to the left above 0."""

    def __init__(self, code, distance, angle):
        self.code, self.distance, self.angle = code, distance, angle

    def __repr__(self):
        return f"Token({self.code}, {self.distance:.2f} m, {self.angle:.0f} degrees)"


class Motor:
    """A wheel's motor; its `power` is from -100 to 100."""

    def __init__(self):
        self._power = 0.0

    @property
    def power(self):
        return self._power

    @power.setter
    def power(self, power):
        power = float(power)
        if not -100 <= power <= 100:  # neither is what is no number
            raise ValueError(f"the power of a motor is a number from -100 to 100, not {power}")
        self._power = power


class World:
    def __init__(self, match_s=180, tokens=6, seed=0):
        numbers = random.Random(seed)
        self.match_s, self.ticks, self.rest = match_s, 0, 0.0
        self.x = self.y = self.heading = 0.0
        self.motors = [Motor(), Motor()]
        self.tokens = {code: (numbers.uniform(-SIZE, SIZE) / 2.2, numbers.uniform(-SIZE, SIZE) / 2.2) for code in range(tokens)}
        self.fetched = []
        host.emit({"k": "arena", "size": SIZE, "match_s": match_s, "axle": AXLE, "tokens": len(self.tokens)})
        self.tell(True)

    def now(self):
        return self.ticks * TICK + self.rest

    def sleep(self, seconds):
        """Goes on by so much; what is less than a tick is kept for the next time."""
        ticks, self.rest = divmod(self.rest + seconds, TICK)
        for _ in range(int(ticks)):
            self.tick()

    def tick(self):
        left, right = (motor.power / 100 * SPEED for motor in self.motors)
        self.heading = math.remainder(self.heading + (right - left) / AXLE * TICK, math.tau)
        step = (left + right) / 2 * TICK
        most = (SIZE - AXLE) / 2
        self.x = max(-most, min(most, self.x + step * math.cos(self.heading)))
        self.y = max(-most, min(most, self.y + step * math.sin(self.heading)))
        self.ticks += 1
        if self.ticks % KEY_TICKS == 0 or (self.ticks % POSE_TICKS == 0 and (left or right)):
            self.tell(self.ticks % KEY_TICKS == 0)
        if self.now() >= self.match_s:
            self.end()

    def tell(self, is_key):
        pose = {"k": "pose", "t": round(self.now() * 1000), "r": [round(self.x, 3), round(self.y, 3), round(self.heading, 3)]}
        if is_key:
            pose["o"] = [[code, round(x, 3), round(y, 3)] for code, (x, y) in self.tokens.items()]
        host.emit(pose)

    def see(self):
        found = []
        for code, (x, y) in self.tokens.items():
            angle = math.remainder(math.atan2(y - self.y, x - self.x) - self.heading, math.tau)
            if abs(angle) <= VIEW:
                found.append(Token(code, math.hypot(x - self.x, y - self.y), math.degrees(angle)))
        return sorted(found, key=lambda token: token.distance)

    def grab(self):
        near = next((token for token in self.see() if token.distance <= REACH), None)
        if near is not None:
            del self.tokens[near.code]
            self.fetched.append(near.code)
            host.emit({"k": "grab", "t": round(self.now() * 1000), "code": near.code})
        if not self.tokens:
            self.end()
        return near is not None

    def end(self):
        self.tell(True)
        host.end(f"{len(self.fetched)} of {len(self.fetched) + len(self.tokens)} tokens are fetched after {self.now():.0f} s")


class Robot:
    """What programs have: Robot().motors[0].power = 50, the left one."""

    def __init__(self):
        self.motors = world.motors
        self.zone = 0

    def see(self):
        """The tokens before the robot, the nearest first. A look takes its time, so that whoever only looks is ended, too."""
        world.sleep(0.005)
        return world.see()

    def grab(self):
        """Takes the nearest token that is within reach; False: there is none."""
        return world.grab()

    def sleep(self, seconds):
        if not 0 <= seconds < math.inf:
            raise ValueError(f"nobody sleeps for {seconds} seconds")
        world.sleep(seconds)

    def time(self):
        """Seconds since the match began."""
        return world.now()


world = None


@host.at_start
def begin():
    global world
    said = json.loads(host.job()["host"] or "{}")
    world = World(**{name: said[name] for name in ("match_s", "tokens", "seed") if name in said})
    host.clock(world.now, world.sleep)  # time.sleep() is R.sleep()
