#!/usr/bin/env python3
"""A tool reads one line of JSON, {"tool": ..., "input": {...}, ...}, and prints its answer."""

import json
import os
import sys


def greet(name: str, greeting: str = "Hello") -> str:
    return f"{greeting}, {name}!"


def main() -> int:
    call = json.loads(sys.stdin.readline())
    name = call["input"].get("name")
    if not name:
        print("name is missing", file=sys.stderr)
        return 1
    print(greet(name, os.environ.get("GREETING", "Hello")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
