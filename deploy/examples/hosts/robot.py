"""A program for the arena: turns until it sees a token, drives to it, takes it, and looks for the next."""

from arena import Robot

R = Robot()


def drive(left, right, seconds):
    R.motors[0].power, R.motors[1].power = left, right
    R.sleep(seconds)


while True:
    tokens = R.see()
    if not tokens:
        drive(-10, 10, 0.1)
    elif R.grab():
        print(f"token {tokens[0].code} after {R.time():.0f} s")
    elif abs(tokens[0].angle) > 5:
        turn = 10 if tokens[0].angle > 0 else -10
        drive(-turn, turn, 0.05)
    else:
        drive(60, 60, 0.1)
