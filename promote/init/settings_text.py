"""The promotion.toml that `promote init` writes: the values found, each with its source; everything else stays at its default."""

from __future__ import annotations

import json

from promote.config.schema import ProdCluster, Tags, Workflow
from promote.init.discover import Finding

HEAD = """# How this repository is promoted: `promote` moves the tag that production's Argo CD follows, and moves it back when the new version fails.
# Only what differs from the defaults is here; every key is described in the settings page of promote's documentation.
"""


def settings_text(it: Finding) -> str:
    """The whole file. It reads back as valid settings."""
    parts = [HEAD, *_comments("guessed, please look", it.guessed)]
    parts += _table("repository", _changed({"remote": it.remote, "branch": it.branch}, {"remote": "origin", "branch": "main"}))
    parts += _table("tags", _changed(it.tags, {name: getattr(Tags(), name) for name in ("dev", "prod", "stable", "working")}))
    parts += _table("version", _changed({"scheme": it.scheme}, {"scheme": "semver"}) | it.tables.get("version", {}))
    parts += _table("promotion", {} if it.github else {"via": "git"})
    workflow: dict[str, object] = _changed({"file": it.workflow or Workflow().file}, {"file": Workflow().file})
    parts += _table("workflow", {**workflow, **({"legacy": True} if it.legacy and it.github else {})})
    parts += _table("prod", _cluster(it, "prod") | _changed({"root_app": it.root or ""}, {"root_app": ProdCluster().root_app}) | _namespaces(it))
    parts += _table("dev", _cluster(it, "dev") | _namespaces(it))
    for name in ("tasks", "tests"):
        parts += _table(name, it.tables.get(name, {}))
    for paths, document in it.rules:
        parts += _table("[documentation.rules]", {"paths": paths, "document": document})
    if it.disabled:
        parts += ["# Checks without evidence in this repository yet. Every run lists them as disabled; delete an entry as soon as there is evidence."]
    for check, why in it.disabled.items():
        parts += _table("[checklist.disabled]", {"id": check, "reason": why})
    parts += _smoke(it)
    return "\n".join(parts).rstrip() + "\n"


def _comments(title: str, lines: list[str]) -> list[str]:
    return [f"# {title}:", *(f"# - {line}" for line in lines), ""] if lines else []


def _changed(values: dict[str, str], defaults: dict[str, str]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value and value != defaults[key]}


def _namespaces(it: Finding) -> dict[str, object]:
    return {} if list(it.namespaces) == ["argocd"] else {"namespaces": list(it.namespaces)}


def _cluster(it: Finding, name: str) -> dict[str, object]:
    """An own kubeconfig in its usual place is the default and not written."""
    kubeconfig, context = it.clusters.get(name, ("-", ""))
    return {"kubeconfig": "", "context": context} if kubeconfig == "" else {}


def _table(name: str, values: dict[str, object]) -> list[str]:
    return [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items()), ""] if values else []


def _toml(value: object) -> str:
    """TOML's basic strings, booleans and arrays of strings are written like JSON's."""
    return json.dumps(value, ensure_ascii=False)


def _smoke(it: Finding) -> list[str]:
    """Addresses are only proposed, as comments: the team decides which must answer, and how."""
    lines = ["# The addresses that production must answer after a promotion. Without any, the smoke suite proves nothing."]
    for host in it.hosts[:8] or ("app.example.org",):
        lines += ["#", "# [[smoke.urls]]", f'# name = "{host.partition(".")[0]}"', f'# url = "https://{host}/"', "# status = 200"]
    return lines
