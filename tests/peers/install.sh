#!/bin/sh
# Install the npm packages that tests start (real servers and clients made by others) into node_modules here.
# package-lock.json leaves out what Qwen Code can do without: a native terminal and clipboard.
# Does nothing when nothing changed. NPM_SCRIPT is the file of npm that node runs; without it: npm itself.
set -eu
cd "$(dirname "$0")"
if [ -n "${NPM_SCRIPT:-}" ]; then
  npm() { node "$NPM_SCRIPT" "$@"; }
fi
command -v npm >/dev/null || { echo "[peers] npm is missing: tests that need these packages cannot run" >&2; exit 1; }
wanted=$(cksum <package-lock.json)
if [ "$(cat node_modules/.installed 2>/dev/null)" != "$wanted" ]; then
  echo "[peers] installing $(grep -c '"integrity"' package-lock.json) npm packages for tests"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  printf '%s\n' "$wanted" >node_modules/.installed
fi
