#!/bin/sh
set -eu
cd -- "./${INPUT_FOLDER:-.}"
for entry in ./* ./.[!.]*; do
  [ -e "$entry" ] && [ "$entry" != ./.ploinky ] && du -sk -- "$entry"
done | sort -rn | sed 's|\./||'
