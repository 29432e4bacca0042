#!/bin/sh
# Remake every requirements/*.txt with exact versions and hashes, for Python 3.11 and newer on Linux.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --no-annotate --no-emit-index-url --no-emit-find-links "$1" --output-file "requirements/$2.txt"
  echo "requirements/$2.txt: $(grep -c == "requirements/$2.txt") packages"
}
compile pyproject.toml runtime
for name in demo test bench zig node; do compile "requirements/$name.in" "$name"; done
