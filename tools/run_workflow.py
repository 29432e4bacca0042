"""Run the steps of a GitHub Actions workflow here, in the environment that GitHub would make.

    python tools/run_workflow.py PROJECT --ref refs/heads/develop [--secrets FILE] [--workflow deploy.yml]

FILE holds NAME=value lines; a secret that is not there is an empty text, as on GitHub. What is understood:
one job, ``env`` of workflow, job and step, ``if`` with ``==``, ``!=``, ``startsWith``, ``&&`` and ``||`` over
``github.ref`` and texts, ``${{ secrets.X }}``, ``${{ env.X }}`` and ``${{ github.X }}``, ``run``, and the
files GITHUB_ENV and GITHUB_PATH. ``uses`` is told and left out. It ends with the first step that fails.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

INSERT = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")
STARTS = re.compile(r"startsWith\(\s*([\w.]+)\s*,\s*'([^']*)'\s*\)\Z")
COMPARES = re.compile(r"([\w.]+)\s*(==|!=)\s*'([^']*)'\Z")
Values = dict[str, str]


@dataclass
class Run:
    """One run: what expressions may name, and the variables that steps hand to the next ones."""

    project: Path
    github: Values
    secrets: Values
    environ: Values = field(default_factory=dict)

    def value(self, name: str) -> str:
        where, _, key = name.partition(".")
        tables = {"github": self.github, "secrets": self.secrets, "env": self.environ}
        if where not in tables:
            sys.exit(f"{name}: only github, secrets and env are known here")
        return tables[where].get(key, "")

    def filled(self, text: object) -> str:
        return INSERT.sub(lambda found: self.value(found[1]), str(text))

    def variables(self, part: Mapping[str, object]) -> Values:
        env = part.get("env")
        return {name: self.filled(text) for name, text in env.items()} if isinstance(env, dict) else {}

    def wanted(self, condition: str) -> bool:
        """Whether a step's ``if`` holds."""
        text = condition.strip().removeprefix("${{").removesuffix("}}").strip()
        for word, join in (("||", any), ("&&", all)):
            if word in text:
                return join([self.wanted(part) for part in text.split(word)])
        if starts := STARTS.match(text):
            return self.value(starts[1]).lower().startswith(starts[2].lower())
        if compares := COMPARES.match(text):
            equal = self.value(compares[1]).lower() == compares[3].lower()
            return equal if compares[2] == "==" else not equal
        sys.exit(f"this condition is not understood here: {condition}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a GitHub Actions workflow here.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--ref", default="refs/heads/main")
    parser.add_argument("--workflow", default="deploy.yml")
    parser.add_argument("--secrets", type=Path)
    options = parser.parse_args()
    project = options.project.resolve()
    file = project / ".github" / "workflows" / options.workflow
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    github = {"ref": options.ref, "ref_name": options.ref.split("/", 2)[-1], "workspace": str(project)}
    run = Run(project, github, read_secrets(options.secrets))
    run.environ = {**run.variables(workflow), **run.variables(job)}
    with tempfile.TemporaryDirectory(prefix="workflow-") as folder:
        for number, step in enumerate(job["steps"], start=1):
            name = str(step.get("name") or step.get("uses") or f"step {number}")
            code = run_step(run, step, name, Path(folder))
            if code:
                print(f"[workflow] {name}: failed ({code})", flush=True)
                return code
    return 0


def run_step(run: Run, step: Mapping[str, object], name: str, folder: Path) -> int:
    """Run one step, if it is to run here; its exit code."""
    if "run" not in step or ("if" in step and not run.wanted(str(step["if"]))):
        print(f"[workflow] {name}: left out", flush=True)
        return 0
    print(f"[workflow] {name}", flush=True)
    files = {"GITHUB_ENV": folder / "env", "GITHUB_PATH": folder / "path", "GITHUB_OUTPUT": folder / "output"}
    for path in files.values():
        path.write_text("", encoding="utf-8")
    environ = {
        **os.environ,
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_REF": run.github["ref"],
        "GITHUB_REF_NAME": run.github["ref_name"],
        "GITHUB_WORKSPACE": str(run.project),
        **{key: str(path) for key, path in files.items()},
        **run.environ,
        **run.variables(step),
    }
    script = folder / "step.sh"
    script.write_text(run.filled(step["run"]), encoding="utf-8")
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    done = subprocess.run(words, cwd=run.project, env=environ, stdin=subprocess.DEVNULL, check=False)
    hand_on(run, files)
    return done.returncode


def hand_on(run: Run, files: Mapping[str, Path]) -> None:
    """What a step wrote for those after it."""
    for line in files["GITHUB_ENV"].read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        run.environ[name] = value
    added = [line for line in files["GITHUB_PATH"].read_text(encoding="utf-8").splitlines() if line]
    if added:
        path = run.environ.get("PATH", os.environ.get("PATH", ""))
        run.environ["PATH"] = os.pathsep.join([*reversed(added), path])


def read_secrets(path: Path | None) -> Values:
    lines = path.read_text(encoding="utf-8").splitlines() if path else []
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines if "=" in line}


if __name__ == "__main__":
    sys.exit(main())
