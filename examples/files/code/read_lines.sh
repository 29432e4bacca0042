#!/bin/sh
set -eu
first=${INPUT_FIRST:-1}
last=$((first + ${INPUT_COUNT:-100} - 1))
[ -f "./$INPUT_PATH" ] || { echo "There is no file '$INPUT_PATH' in the workspace." >&2; exit 1; }
awk -v first="$first" -v last="$last" \
  'NR > last { exit } NR >= first { printf "%6d  %s\n", NR, $0 }' "./$INPUT_PATH"
