"""The embedded world as the demo and the sandbox commands use it: what its repository carries of ours, and running a command inside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promote.core.errors import Interrupted, PromoteError, UsageError

if TYPE_CHECKING:
    from promote.sandbox.sandbox import Sandbox
    from promote.sandbox.scenarios import Scenario

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A running world and a ready clone of its repository."""

    sandbox: Sandbox
    clone: Path
    env: Mapping[str, str]


def checks_folder() -> Path:
    """The checklist this package carries: in a wheel under templates/, in a source tree beside the package."""
    packed = TEMPLATES / "checks"
    return packed if packed.is_dir() else TEMPLATES.parent.parent / "checks"


def repository_files(via: str, scenario: Scenario | None = None) -> dict[str, bytes]:
    """What a repository that uses promote carries, by path; with what a scenario changes in it."""
    checks = checks_folder()
    files = {f"checks/{p.relative_to(checks).as_posix()}": p.read_bytes() for p in sorted(checks.rglob("*.py"))}
    settings = (TEMPLATES / "promotion.sandbox.toml").read_text()
    for old, new in (scenario.settings if scenario else {}).items():
        assert old in settings, f"{old!r} is not in the sandbox's promotion.toml"
        settings = settings.replace(old, new)
    if scenario and scenario.via:
        via = scenario.via
    files |= {
        "promotion.toml": settings.replace("@VIA@", via).encode(),
        "justfile": (TEMPLATES / "justfile").read_bytes(),
        ".github/workflows/promote-prod.yaml": (TEMPLATES / "promote-prod.yaml").read_bytes(),
        ".github/workflows/promote-check.yaml": (TEMPLATES / "promote-check.yaml").read_bytes(),
        ".gitignore": b"reports/\n__pycache__/\n.pytest_cache/\n",
    }
    return files | dict(scenario.extra if scenario else {})


@contextmanager
def running_world(*, apps: int, via: str, keep: bool = False, scenario: Scenario | None = None, real: bool = False) -> Iterator[Place]:
    """Start the sandbox in a temporary folder and clone its repository; everything is gone afterwards (the folder stays with `keep`)."""
    from promote.sandbox.sandbox import Sandbox

    programs = real_programs() if real else None
    folder = Path(tempfile.mkdtemp(prefix="promote-world-"))
    bin_folder = Path(sys.executable).parent
    same, files = bool(scenario and scenario.same_cluster), repository_files(via, scenario)
    sandbox = Sandbox(folder / "world", files=files, apps=apps, commands=[bin_folder], same_cluster=same, real=programs)
    try:
        _start(sandbox)
        sandbox.wait_settled()
        clone = sandbox.clone(folder / "gitops")
        yield Place(sandbox=sandbox, clone=clone, env=_environment(sandbox))
    finally:
        sandbox.stop()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def real_programs() -> Path:
    """The folder of the real stack's programs, as last built. Raises UsageError when there is none."""
    from promote.connect import cache_folder

    folder = cache_folder() / "promote-realstack" / "current"
    if not folder.is_dir():
        raise UsageError(
            f"the real stack is not built: there is no {folder}", hint="build it in a checkout of promote: just real-stack (Go, ten minutes, once)"
        )
    return folder.resolve()


def _start(sandbox: Sandbox) -> None:
    from promote.sandbox.real.cluster import RealStackError

    try:
        sandbox.start()
    except RealStackError as error:
        raise PromoteError(str(error), hint="build it again: just real-stack; redis-server and openssl must be on PATH") from error


def _environment(sandbox: Sandbox) -> dict[str, str]:
    """The caller's environment without what would lead out of the world, plus the world's own."""
    foreign = ("GIT_", "GITHUB_", "GH_", "KUBE", "PYTEST_")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | dict(sandbox.env)


def run_inside(
    place: Place, argv: Sequence[str], *, capture: bool = False, ask: bool = True, stop_when: Callable[[Sandbox], bool] | None = None
) -> tuple[int, str]:
    """Run a command in the clone with our own terminal; (exit code, its stdout when captured). Without `ask` it has no standard input.

    A ^C reaches the child by itself (same foreground group), so we only wait for it; other stop signals are passed on.
    `stop_when`: the child gets a ^C of its own as soon as this holds.
    """
    pipe = subprocess.PIPE if capture else None
    try:
        child = subprocess.Popen(list(argv), cwd=place.clone, env=dict(place.env), stdout=pipe, stdin=None if ask else subprocess.DEVNULL, text=True)
    except OSError as error:
        raise UsageError(f"{argv[0]}: cannot be started: {error.strerror}", hint="is it installed and spelled right?") from error
    if stop_when:
        threading.Thread(target=_stop_child, args=(child, place.sandbox, stop_when), daemon=True).start()
    while True:
        try:
            out, _ = child.communicate()
            return (128 - child.returncode if child.returncode < 0 else child.returncode), out or ""
        except Interrupted as stop:
            if stop.signal_name != "SIGINT":
                child.send_signal(signal.Signals[stop.signal_name])


def _stop_child(child: subprocess.Popen[str], sandbox: Sandbox, stop_when: Callable[[Sandbox], bool]) -> None:
    while child.poll() is None:
        if stop_when(sandbox):
            child.send_signal(signal.SIGINT)
            return
        time.sleep(0.02)
