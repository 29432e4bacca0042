"""Make the images that example agents name: ``python -m tests.images ENGINE NAME...``."""

from __future__ import annotations

import sys

from tests.images import RECIPES, UnmadeImageError, make, present

USAGE = f"python -m tests.images podman|docker NAME...\nnames: {', '.join(RECIPES)}"


def main(words: list[str]) -> int:
    if len(words) < 2 or words[0] not in {"podman", "docker"} or not set(words[1:]) <= set(RECIPES):
        print(USAGE, file=sys.stderr)
        return 2
    engine, *names = words
    for name in names:
        if present(engine, name):
            print(f"{name} is there")
            continue
        try:
            make(engine, name, RECIPES[name])
        except UnmadeImageError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"{name} made")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
