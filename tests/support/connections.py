"""Faults of connections, as data: how each comes about, the command, and its expected end. docs/bad-connections.md is made from it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promote.sandbox.sandbox import Sandbox
from tests.support.processes import left, mark

BIN = Path(sys.executable).parent
SECRET = "s3cr3t-t0ken-in-a-test"


@dataclass
class Bench:
    """One fresh clone in a shared world; `env` may be changed by what goes wrong."""

    sandbox: Sandbox
    clone: Path
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    trunk: str = ""  # where main was before `merged`
    untrusted: str = ""  # the address of a server with an untrusted certificate

    def git(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(["git", *args], cwd=cwd or self.clone, env=self.sandbox.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def settings(self, old: str, new: str) -> None:
        """Change promotion.toml here."""
        path = self.clone / "promotion.toml"
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new))

    def merged(self, old: str, new: str) -> None:
        """Change promotion.toml here and on the trunk: the policy check compares them. `play` takes it back."""
        self.trunk = self.sandbox.writer.holds("refs/heads/main")
        self.settings(old, new)
        self.git("-c", "user.name=ada", "-c", "user.email=ada@acme.example", "commit", "-qam", "chore: settings")
        self.sandbox.writer.git("fetch", "-q", "--force", "--update-head-ok", str(self.clone), "+HEAD:refs/heads/main")

    def kubeconfig(self, prod: str = "", **user: Any) -> None:
        """Another kubeconfig whose prod cluster is the world's own (or at another address), with this user."""
        places = {"prod": prod or self.sandbox.prod.url, "dev": self.sandbox.dev.url}
        path = self.clone.parent / f"{self.clone.name}-kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": "prod", "users": [{"name": "u", "user": user}],
                    "clusters": [{"name": n, "cluster": {"server": u}} for n, u in places.items()],
                    "contexts": [{"name": n, "context": {"cluster": n, "user": "u"}} for n in places],
                }
            )
        )  # fmt: skip
        self.env["KUBECONFIG"] = str(path)


@dataclass(frozen=True, kw_only=True)
class Case:
    """`situation` for the docs; `words` must all be printed; `code` is the exit code; `works`: nothing is wrong, the command must succeed."""

    id: str
    situation: str
    argv: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    begin: Callable[[Bench], object] = lambda _: None
    lift: Callable[[Bench], object] = lambda _: None
    remedy: str = ""


def play(case: Case, bench: Bench) -> None:
    """Bring it about, type the command, and hold the result against the case. Judged from outside."""
    sandbox = bench.sandbox
    stable = sandbox.writer.holds("refs/tags/prod-stable")
    marked = mark()
    env = {**sandbox.env, **marked}
    try:
        case.begin(bench)
        env = {k: v for k, v in {**env, **bench.env}.items() if v != "-"}
        child = subprocess.Popen(
            [str(BIN / "promote"), *case.argv], cwd=bench.cwd or bench.clone, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        out, err = (part.decode("utf-8", "replace") for part in child.communicate(timeout=150))
    finally:
        case.lift(bench)
        if bench.trunk:
            sandbox.writer.git("update-ref", "refs/heads/main", bench.trunk)
    said = out + err
    assert child.returncode == case.code, f"exit {child.returncode}\n{said}"
    flat = " ".join(said.split())
    assert [w for w in case.words if w not in flat] == [], said
    assert "Traceback" not in said
    assert SECRET not in said
    assert left(marked) == [], "children are left"
    assert sandbox.writer.holds("refs/promote/lock") == "", "no lock is left behind"
    assert sandbox.writer.holds("refs/tags/prod-stable") == stable, "nothing was moved"


def table(cases: Mapping[str, tuple[Case, ...]]) -> str:
    """The documentation's tables, one section a group."""
    lines: list[str] = []
    for title, group in cases.items():
        lines += [f"## {title}", "", "| situation | command | output contains | exit |", "|---|---|---|---|"]
        for c in group:
            words = " … ".join(f"“{w}”" for w in c.words).replace("|", "\\|")
            lines.append(f"| {c.situation} | `{' '.join(('promote', *c.argv))}` | {words} | {c.code} |")
        lines.append("")
    return "\n".join(lines)


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
