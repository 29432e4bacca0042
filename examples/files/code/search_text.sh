#!/bin/sh
set -eu
case "${INPUT_REGEX:-false}" in true) kind=-E ;; *) kind=-F ;; esac
cd -- "./${INPUT_FOLDER:-.}"
find . -name .git -prune -o -name .ploinky -prune -o -name node_modules -prune -o -type f -print |
  sort | while IFS= read -r file; do
    grep "$kind" -n -H -e "$INPUT_PATTERN" -- "$file" 2>/dev/null || true
  done | sed 's|^\./||' | head -n "${INPUT_LIMIT:-100}"
