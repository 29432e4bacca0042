#!/bin/sh
# One script for four tools: the first argument says which.
set -eu
git rev-parse --git-dir >/dev/null 2>&1 || {
  echo "The workspace is not a git repository; run 'git init' in it first." >&2
  exit 1
}
case "$1" in
  status) git status --branch --short ;;
  log) git log -n "${INPUT_COUNT:-20}" --date=short --format='%h %ad %an: %s' -- "${INPUT_PATH:-.}" ;;
  diff) git --no-pager diff --stat --patch "${INPUT_AGAINST:-HEAD}" -- "${INPUT_PATH:-.}" ;;
  show) git --no-pager show --stat --patch "${INPUT_COMMIT:-HEAD}" -- ;;
esac
