class Missing(Exception):
    pass


def find(depth):
    if depth > 0:
        return find(depth - 1)
    raise Missing


missed = 0
for _ in range(60000):
    try:
        find(3)
    except Missing:
        missed += 1
print(missed)
