"""The package managers: a row each, with the verbs that install, look, run what is there, or configure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Manager:
    """A package manager: verbs that install, verbs that only look, verbs that run what is there."""

    installs: frozenset[str]
    looks: frozenset[str]
    runs: frozenset[str] = frozenset()
    configures: frozenset[str] = frozenset()
    system: bool = False
    fetches_itself: bool = False  # npx, uvx: the verb is the package


def _row(
    installs: str,
    looks: str = "",
    runs: str = "",
    configures: str = "config",
    *,
    system: bool = False,
    fetches_itself: bool = False,
) -> Manager:
    return Manager(
        frozenset(installs.split()),
        frozenset(looks.split()),
        frozenset(runs.split()),
        frozenset(configures.split()),
        system=system,
        fetches_itself=fetches_itself,
    )


_LOOKS = (
    "list ls show info search view outdated why help version freeze check --version -v -V --help -h doctor "
    "root prefix audit"
)
MANAGERS: dict[str, Manager] = {
    "npm": _row("install i add ci update up upgrade link install-test it clean-install exec x create init",
                _LOOKS, "run run-script start test t build restart stop prune rebuild dedupe",
                "config set publish login adduser token"),
    "pnpm": _row("install i add update up dlx exec create import fetch", _LOOKS,
                 "run start test build rebuild", "config set publish"),
    "yarn": _row("install add upgrade up dlx global create", _LOOKS, "run start test build workspaces",
                 "config set publish"),
    "bun": _row("install i add update x create pm upgrade", _LOOKS, "run start test build", "config publish"),
    "pip": _row("install download wheel", _LOOKS + " hash inspect debug cache", "", "config"),
    "pipx": _row("install run upgrade inject upgrade-all reinstall ensurepath", _LOOKS, ""),
    "uv": _row("add sync lock pip tool venv python run init export remove build self publish",
               _LOOKS + " tree", ""),
    "poetry": _row("install add update self init", _LOOKS, "run build shell", "config source publish"),
    "pdm": _row("install add update sync", _LOOKS, "run build", "config"),
    "pipenv": _row("install sync update", _LOOKS + " graph", "run shell"),
    "conda": _row("install create update env", _LOOKS, "run activate deactivate", "config"),
    "mamba": _row("install create update env", _LOOKS, "run activate"),
    "cargo": _row("install add fetch update binstall", _LOOKS + " tree metadata",
                  "build run test check clippy fmt bench", "config publish login owner"),
    "go": _row("install get mod work", "version env list help doc vet fmt", "build run test generate tool",
               "-"),
    "gem": _row("install update fetch", _LOOKS + " environment", "", "sources push signin cert"),
    "bundle": _row("install update add", _LOOKS, "exec", "config"),
    "brew": _row("install upgrade tap reinstall cask bundle update link", _LOOKS + " deps leaves --prefix",
                 "", "services untap"),
    "apt": _row("install update upgrade remove purge autoremove", _LOOKS + " policy", system=True),
    "apt-get": _row("install update upgrade remove purge autoremove dist-upgrade", _LOOKS, system=True),
    "aptitude": _row("install update", _LOOKS, system=True),
    "dpkg": _row("-i --install --configure", "-l -L -s -S --list --print-architecture", system=True),
    "dnf": _row("install update upgrade remove group groupinstall", _LOOKS, "", "config-manager copr",
                system=True),
    "yum": _row("install update upgrade remove groupinstall localinstall", _LOOKS, "", "config-manager",
                system=True),
    "apk": _row("add update upgrade del", _LOOKS, system=True),
    "pacman": _row("-S -Sy -Syu -Syy -U -R -Rs", "-Q -Qi -Ss -Si", system=True),
    "zypper": _row("install in update addrepo ar", _LOOKS, system=True),
    "nix": _row("profile develop shell run build flake-update", "flake search --version show-config", ""),
    "nix-env": _row("-i -iA -f --install", "-q --query", ""),
    "nix-shell": _row("-p --packages", "--version", ""),
    "snap": _row("install refresh", _LOOKS, "", "connect set", system=True),
    "flatpak": _row("install update", _LOOKS, "run", "remote-add", system=True),
    "port": _row("install", _LOOKS, system=True),
    "choco": _row("install upgrade", _LOOKS, "", "source config", system=True),
    "winget": _row("install upgrade", _LOOKS, "", "source settings", system=True),
    "scoop": _row("install update bucket", _LOOKS, "", "config", system=True),
    "composer": _row("install require update create-project global", _LOOKS, "run-script exec dump-autoload",
                     "config"),
    "dotnet": _row("add restore tool new workload", _LOOKS + " --info --list-sdks --list-runtimes",
                   "build run test publish", "nuget"),
    "mix": _row("deps.get deps.update archive.install escript.install", "help", "compile test run"),
    "cpan": _row("-i install", "-l", ""),
    "cpanm": _row("install", "--version", "", fetches_itself=True),
    "luarocks": _row("install", _LOOKS, "", "config"),
    "cabal": _row("install update", _LOOKS, "build run test"),
    "stack": _row("install upgrade setup", _LOOKS, "build run test exec"),
    "opam": _row("install update upgrade pin", _LOOKS, "exec"),
    "asdf": _row("install plugin", _LOOKS + " current which", "", "global local"),
    "mise": _row("install use", _LOOKS + " current which", "run exec", "settings trust"),
    "nvm": _row("install use alias", _LOOKS + " current ls-remote", "exec"),
    "fnm": _row("install use", _LOOKS + " current env", "exec"),
    "pyenv": _row("install global local", _LOOKS + " versions", "exec"),
    "rustup": _row("install update toolchain component target default self", _LOOKS, "run"),
    "rbenv": _row("install global local", _LOOKS + " versions", "exec"),
    "volta": _row("install pin", _LOOKS, "run"),
    "corepack": _row("enable prepare install", _LOOKS, ""),
    "mas": _row("install", _LOOKS, system=True),
    "playwright": _row("install install-deps", _LOOKS, "test codegen"),
    "npx": _row("", "--version -v --help", "", fetches_itself=True),
    "bunx": _row("", "--version --help", "", fetches_itself=True),
    "pnpx": _row("", "--version --help", "", fetches_itself=True),
    "uvx": _row("", "--version --help", "", fetches_itself=True),
}  # fmt: skip
_ALIASES = {
    "pip3": "pip",
    "pip2": "pip",
    "micromamba": "mamba",
    "cargo-binstall": "cargo",
    "bundler": "bundle",
    "nala": "apt",
}


def name_of(program: str) -> str:
    """The manager's own name for a program that is one: ``pip`` for ``pip3.12``."""
    return "pip" if re.fullmatch(r"pip\d[\d.]*", program) else _ALIASES.get(program, program)


def manager_of(program: str) -> Manager | None:
    """The manager that a program of that name is, or None."""
    return MANAGERS.get(name_of(program))
