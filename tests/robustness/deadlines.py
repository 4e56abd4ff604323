"""R8: every endpoint refuses, is a black hole, is silent or drips: the command ends within its deadline, leaves no child, names the endpoint.

The seed decides the form (troubles.py): successive seeds of a case take its forms in turn.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random

from promote.cli.sandbox_session import repository_files
from promote.sandbox.sandbox import Sandbox
from tests.robustness.harness import STABLE, Figures, scratch
from tests.robustness.troubles import FORMS, KINDS, PLUGINS, Trouble
from tests.support.connections import BIN, Bench, executable
from tests.support.processes import left, mark
from tests.support.production import oidc_user

NAME = "R8 deadlines"
DEADLINE_S, GRACE_S = 110.0, 5.0
SOONER = {  # a setting as the sandbox has it → one that fits in the deadline
    '[dev]\n': '[dev]\nconverge_timeout = "6s"\n', 'sample_timeout = "10s"': 'sample_timeout = "4s"', 'timeout = "20s"': 'timeout = "8s"', "attempts = 2\n": 'attempts = 2\ntimeout = "3s"\n',
}  # fmt: skip


def _hasten(path: Path) -> None:
    text = path.read_text()
    for old, new in SOONER.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(
        f'{text}\n[repository]\ntimeout = "4s"\n[suites]\ncheck_timeout = "55s"\ntimeout = "{DEADLINE_S:.0f}s"\n[running]\ntimeout = "4s"\n'
    )


def _set(key: str) -> Callable[[Bench, Trouble], None]:
    """Point a URL of the settings there: `[section] url` or the first smoke URL."""

    def put(bench: Bench, trouble: Trouble) -> None:
        path = bench.clone / "promotion.toml"
        text = path.read_text()
        section, _, name = key.rpartition(".")
        changed = re.sub(rf'(\[{re.escape(section)}\]+\n(?:[^\[\n].*\n)*?{name} = ")https?://[^/"]+', rf"\g<1>{trouble.url}", text, count=1)
        assert changed != text, key
        path.write_text(changed)

    return put


def _git(bench: Bench, trouble: Trouble) -> None:
    bench.git("remote", "set-url", "origin", f"{trouble.url}/acme/gitops.git")


def _cluster(name: str) -> Callable[[Bench, Trouble], None]:
    def put(bench: Bench, trouble: Trouble) -> None:
        places = {"prod": bench.sandbox.prod.url, "dev": bench.sandbox.dev.url, name: trouble.url}
        bench.kubeconfig(prod=places["prod"], token="t")
        path = Path(bench.env["KUBECONFIG"])
        path.write_text(path.read_text().replace(bench.sandbox.dev.url, places["dev"]))

    return put


def _plugin(does: str) -> Callable[[Bench, Trouble], None]:
    def put(bench: Bench, trouble: Trouble) -> None:
        text = f"#!/bin/bash\nPORT={trouble.port} PAUSE={trouble.pause_s:.2f}\n{does}\n"
        program = executable(bench.clone.parent / f"{bench.clone.name}-plugin", text)
        bench.kubeconfig(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"})

    return put


@dataclass(frozen=True)
class Endpoint:
    """The command line, and the word that names it."""

    argv: tuple[str, ...]
    word: str
    point: Callable[[Bench, Trouble], None] | None = None  # None: the exec plugin, where the trouble is a program


ENDPOINTS = {
    "git remote": Endpoint(("status",), "git remote origin", _git),
    "git remote, in a suite": Endpoint(("check", "pre"), "git remote origin", _git),
    "GitHub": Endpoint(("check", "pre"), "GitHub", _set("github.api_url")),
    "prod cluster": Endpoint(("check", "post"), "cluster prod", _cluster("prod")),
    "prod cluster, asked for status": Endpoint(("status",), "cluster prod", _cluster("prod")),
    "dev cluster": Endpoint(("check", "pre"), "cluster dev", _cluster("dev")),
    "exec plugin": Endpoint(("check", "post"), "plugin"),
    "OIDC issuer": Endpoint(("check", "post"), "auth provider oidc", lambda bench, trouble: bench.kubeconfig(**oidc_user(trouble.url))),
    "smoke URL": Endpoint(("check", "smoke"), "smoke-url[grafana]", _set("[smoke.urls].url")),
    "Prometheus": Endpoint(("check", "post"), "Prometheus", _set("prometheus.url")),
    "Alertmanager": Endpoint(("check", "post"), "Alertmanager", _set("alertmanager.url")),
    "Grafana": Endpoint(("check", "post"), "Grafana", _set("grafana.url")),
}
CASES = tuple(product(ENDPOINTS, KINDS))


def _typed(argv: tuple[str, ...], clone: Path, env: dict[str, str]) -> tuple[int, str]:
    """Exit code and output; a command that does not end is ended, and reported."""
    with tempfile.TemporaryFile() as said:  # a file: a pipe would wait for children that were left behind
        child = subprocess.Popen(
            [str(BIN / "promote"), *argv], cwd=clone, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            child.wait(DEADLINE_S * 2)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said.seek(0)
        return child.returncode, " ".join(said.read().decode(errors="replace").split())


def _trouble(endpoint: Endpoint, kind: str, turn: int, chance: Random) -> tuple[str, Trouble, Callable[[Bench, Trouble], None]]:
    """A form of that kind, its address, and what points the endpoint there."""
    forms = FORMS[kind] if endpoint.point else tuple(PLUGINS[kind])
    form = forms[turn % len(forms)]
    address = form if endpoint.point else "packets vanish" if kind == "black hole" else "closed port"
    return form, Trouble(address, chance), endpoint.point or _plugin(PLUGINS[kind][form])


def one(sandbox: Sandbox, folder: Path, case: int, seed: int) -> Figures:
    """One endpoint in one kind of trouble."""
    name, kind = CASES[case]
    figures, endpoint = Figures(NAME), ENDPOINTS[name]
    bench, marked = Bench(sandbox, sandbox.clone(folder / f"clone-{case}-{seed}")), mark()
    _hasten(bench.clone / "promotion.toml")
    form, trouble, point = _trouble(endpoint, kind, case + seed, Random(f"{seed}: {name}: {kind}"))
    try:
        point(bench, trouble)
        started = time.monotonic()
        code, said = _typed(endpoint.argv, bench.clone, {**sandbox.env, **bench.env, **marked})
        took = time.monotonic() - started
        behind = left(marked)
    finally:
        trouble.stop()
    figures.counts["cases"] += 1
    figures.notes.append(f"{took:5.1f} s  {name}: {kind} ({form})")
    wrong = []
    if took > DEADLINE_S + GRACE_S:
        wrong.append(f"took {took:.1f} s")
    if behind:
        wrong.append(f"left {behind}")
    if endpoint.word.lower() not in said.lower():
        wrong.append(f"does not name {endpoint.word!r}: {said}")
    if code not in (1, 2, 5):
        wrong.append(f"exit {code}")
    if "Traceback" in said:
        wrong.append("shows a traceback")
    if wrong:
        figures.breach(seed, f"{name}: {kind} ({form}): {'; '.join(wrong)}")
    return figures


@contextmanager
def world() -> Iterator[tuple[Sandbox, Path]]:
    with scratch() as folder, Sandbox(folder / "world", files=repository_files("git"), act=False, commands=[BIN]) as sandbox:
        yield sandbox, folder


def run(seed: int, seeds: int, figures: Figures, *, workers: int = 12, only: str = "") -> None:
    """`seeds` seeds for each case."""
    cases = [case for case, (name, kind) in enumerate(CASES) if only in f"{name}: {kind}"]
    with world() as (sandbox, folder), ThreadPoolExecutor(workers) as pool:
        before = sandbox.writer.holds(STABLE)
        for got in pool.map(lambda case: one(sandbox, folder, *case), product(cases, range(seed, seed + seeds))):
            figures.add(got)
        if sandbox.writer.holds(STABLE) != before:
            figures.breaches.append("the stable tag was moved")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=3, help="seeds a case (default 3)")
    parser.add_argument("--full", action="store_true", help="25 seeds a case")
    parser.add_argument("--workers", type=int, default=12, help="cases at once (default 12: they wait)")
    parser.add_argument("--only", default="", help="cases whose words hold this; with --seed N --count 1 and the words of a breach: that one again")
    args = parser.parse_args()
    figures = Figures(NAME)
    run(args.seed, 25 if args.full else args.count, figures, workers=args.workers, only=args.only)
    if not figures.notes:
        parser.error(f"nothing was tried: no words hold {args.only!r}")
    print(figures.line())
    for line in (*figures.breaches[:30], f"the longest: {max(figures.notes)}"):
        print(f"  {line}")
    return 1 if figures.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
