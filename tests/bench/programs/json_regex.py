"""What the library does in C, called from a few lines."""

import json
import re

words = re.compile(r"(\w+)@(\w+)\.com")
total = 0
for i in range(4000):
    data = {"id": i, "names": [f"user{j}@host{j}.com" for j in range(30)], "nested": {"a": [1, 2, {"b": None}]}}
    text = json.dumps(data)
    back = json.loads(text)
    total += len(words.findall(text)) + len(back["names"])
print(total)
