#!/bin/sh
# Arguments arrive as JSON on stdin and, one by one, as INPUT_<NAME>.
set -eu
cd -- "./${INPUT_FOLDER:-.}"
find . -name .git -prune -o -name .ploinky -prune -o -name node_modules -prune -o \
  -type f -name "$INPUT_PATTERN" -print | sort | sed 's|^\./||' | head -n "${INPUT_LIMIT:-200}"
