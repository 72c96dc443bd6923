"""Planets: float arithmetic in one function, many lines, few calls."""


def step(bodies, dt):
    for i in range(len(bodies)):
        a = bodies[i]
        for j in range(i + 1, len(bodies)):
            b = bodies[j]
            dx = a[0] - b[0]
            dy = a[1] - b[1]
            dz = a[2] - b[2]
            square = dx * dx + dy * dy + dz * dz
            force = dt / (square * square ** 0.5)
            a[3] -= dx * b[6] * force
            a[4] -= dy * b[6] * force
            a[5] -= dz * b[6] * force
            b[3] += dx * a[6] * force
            b[4] += dy * a[6] * force
            b[5] += dz * a[6] * force
    for a in bodies:
        a[0] += dt * a[3]
        a[1] += dt * a[4]
        a[2] += dt * a[5]


bodies = [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47], [4.84, -1.16, -0.10, 0.60, 2.81, -0.02, 0.037],
          [8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.011], [12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017],
          [15.37, -25.9, 0.17, 0.97, 0.59, -0.03, 0.002]]
for _ in range(15000):
    step(bodies, 0.01)
print(f"{bodies[0][0]:.6f}")
