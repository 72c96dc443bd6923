"""Large numbers and a sieve: loops of few lines, no calls."""


def digits(count):
    found = []
    q, r, t, k, n, x = 1, 0, 1, 1, 3, 3
    while len(found) < count:
        if 4 * q + r - t < n * t:
            found.append(n)
            nr = 10 * (r - n * t)
            n = 10 * (3 * q + r) // t - 10 * n
            q *= 10
            r = nr
        else:
            nr = (2 * q + r) * x
            nn = (q * (7 * k) + 2 + r * x) // (t * x)
            q *= k
            t *= x
            x += 2
            k += 1
            n = nn
            r = nr
    return found


def sieve(limit):
    flags = [True] * limit
    count = 0
    for i in range(2, limit):
        if flags[i]:
            count += 1
            j = i + i
            while j < limit:
                flags[j] = False
                j += i
    return count


print(sum(digits(700)), sieve(400000))
