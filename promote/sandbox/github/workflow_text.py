"""The parts of a workflow file that this world acts on: inputs, run-name, concurrency, environment, time-out. Executes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Object = dict[Any, Any]  # YAML 1.1 reads the key `on` as true
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_LITERAL = re.compile(r"'(?:[^']|'')*'")


@dataclass(kw_only=True, slots=True)
class Step:
    """A step of a job; `conclusion` is "" while it runs."""

    name: str
    conclusion: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """One workflow file, read. `inputs` is None when it cannot be dispatched. Times in seconds."""

    file: str
    name: str
    run_name: str
    inputs: Mapping[str, Mapping[str, Any]] | None
    group: str = ""
    cancels: bool = False
    job: str = "promote"
    environment: str = ""
    timeout_s: float = 6 * 3600.0
    steps: tuple[str, ...] = field(default=())

    def refusal(self, given: Mapping[str, str]) -> str:
        """Why GitHub would not take a dispatch with these inputs, in its words; "" when it would."""
        if self.inputs is None:
            return "Workflow does not have 'workflow_dispatch' trigger"
        if unknown := sorted(set(given) - set(self.inputs)):
            return f"Unexpected inputs provided: {unknown}"
        for name, declared in self.inputs.items():
            if declared.get("required") and not given.get(name) and "default" not in declared:
                return f"Required input '{name}' not provided"
            options = declared.get("options") or []
            if declared.get("type") == "choice" and name in given and given[name] not in map(str, options):
                return f"Provided value '{given[name]}' for input '{name}' not in the list of allowed values"
        return ""

    def complete(self, given: Mapping[str, str]) -> dict[str, str]:
        """The inputs with their defaults."""
        return {k: str(v.get("default", "")) for k, v in (self.inputs or {}).items()} | dict(given)


def read_workflow(file: str, text: str) -> Workflow:
    """Raises yaml.YAMLError and what a file of another shape leads to."""
    data: Object = yaml.safe_load(text)
    on = data.get("on", data.get(True)) or {}
    on = dict.fromkeys(on) if isinstance(on, list) else {on: None} if isinstance(on, str) else on
    jobs: Object = data.get("jobs") or {}
    key = next(iter(jobs), "promote")
    job: Object = jobs.get(key) or {}
    environment, group = job.get("environment") or "", data.get("concurrency") or ""
    return Workflow(
        file=file,
        name=str(data.get("name") or file),
        run_name=str(data.get("run-name") or data.get("name") or file),
        inputs={k: v or {} for k, v in ((on["workflow_dispatch"] or {}).get("inputs") or {}).items()} if "workflow_dispatch" in on else None,
        group=str(group.get("group", "") if isinstance(group, dict) else group),
        cancels=isinstance(group, dict) and group.get("cancel-in-progress") is True,
        job=str(job.get("name") or key),
        environment=str(environment.get("name", "") if isinstance(environment, dict) else environment),
        timeout_s=60.0 * float(job.get("timeout-minutes") or 360),
        steps=tuple(str(s.get("name") or s.get("uses") or "run") for s in job.get("steps") or []),
    )


def fill(text: str, known: Mapping[str, str]) -> str:
    """Put values in place of `${{ a.b || 'c' }}`; anything else becomes empty, as an unset context value does."""

    def value(match: re.Match[str]) -> str:
        for part in match[1].split("||"):
            word = part.strip()
            found = word[1:-1].replace("''", "'") if _LITERAL.fullmatch(word) else known.get(word, "")
            if found:
                return found
        return ""

    return _EXPRESSION.sub(value, text)
