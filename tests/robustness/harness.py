"""What the proofs share: a bare repository over real HTTP, clones of it, things done at once, and figures on one line."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promote.config.schema import Settings
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.sandbox.git.server import GitServer
from promote.sandbox.http_server import Fault, Response
from promote.sandbox.http_server import Request as HttpRequest
from promote.tags.lock import LOCK, Lock, new_lock
from promote.tags.publish import Request
from tests.support.repos import git

TOKEN = "proof-token"
STABLE = "refs/tags/prod-stable"


class Meddled(GitServer):
    """A git server at which another party acts: `meddle` is called once, at the first request that `moment` names.

    "git-upload-pack", "git-receive-pack": before the refs are listed for a reader or a push. "pushed": when the push itself has arrived, before it is
    applied. "looked": when the refs were read and the answer is complete, before it is sent.
    """

    moment, meddle = "", staticmethod(lambda: None)

    def handle(self, request: HttpRequest) -> Response:
        where = "pushed" if request.path.endswith("/git-receive-pack") else request.query.get("service", "")
        if self.moment and where == self.moment:
            self.moment = ""
            self.meddle()
        response = super().handle(request)
        if self.moment == "looked" and request.method == "POST" and request.path.endswith("/git-upload-pack"):
            self.moment = ""
            body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
            self.meddle()
            return Response(status=response.status, headers=response.headers, body=body)
        return response


def silence(over: Callable[[int], bool], *, push: int = 1) -> Callable[[HttpRequest], Fault | None]:
    """Weather for a git server: the next push (or that which is the `push`th from now) lands and its answer is lost; from then on the server is unreachable,
    until `over` (which gets the number of such requests) returns True."""

    def weather(request: HttpRequest) -> Fault | None:
        nonlocal pushes, met
        if pushes < push:
            pushes += request.method == "POST" and request.path.endswith("/git-receive-pack")
            return Fault(kind="drop_after") if pushes == push else None
        if over(met):
            return None
        met += 1
        return Fault(kind="drop_before")

    pushes, met = 0, 0
    return weather


@dataclass
class Remote:
    """A remote whose trunk has `versions` commits with dev tags v1.1.0, v1.2.0 …; production is at v1.0.0. `clones` are as many ends of it."""

    server: Any  # a Meddled, or a repository of a real forge
    clones: list[GitRemote]
    commits: dict[str, str]
    start: str

    def holds(self, ref: str) -> str:
        """What the bare repository's ref holds now, read from its files and not by a client; "" when absent."""
        return git(self.server.path, "rev-parse", "--verify", "--quiet", ref, ok=False)

    def put(self, ref: str, oid: str) -> None:
        """A user with all rights writes a ref without a lease."""
        git(self.server.path, "update-ref", *(["-d", ref] if not oid else [ref, oid]))

    def swap(self, ref: str, new: str, old: str) -> bool:
        """The same, but only over the value that was meant to be replaced; whether it was."""
        argv = ["git", "update-ref", *(["-d", ref, old] if not new else [ref, new, old])]
        return subprocess.run(argv, cwd=self.server.path, capture_output=True, check=False).returncode == 0

    def fresh(self) -> None:
        """Production at the start again, no lock, no prod tags but the first."""
        mine = ("refs/promote", "refs/tags/prod-v*", "refs/tags/prod-working")
        for ref in git(self.server.path, "for-each-ref", "--format=%(refname)", *mine).split():
            if ref != "refs/tags/prod-v1.0.0":
                self.put(ref, "")
        self.put(STABLE, self.start)


@contextmanager
def remote(folder: Path, *, clones: int, versions: int) -> Iterator[Remote]:
    server = Meddled(folder / "remote.git", "acme/gitops", tokens=(TOKEN,))
    server.create()
    server.start()
    try:
        yield populated(server, folder, [TOKEN] * clones, versions=versions)
    finally:
        server.stop()


def populated(server: Any, folder: Path, tokens: Sequence[str], *, versions: int) -> Remote:
    """Gives an empty remote its history, past everybody, and makes a clone of it for each token."""
    urls = [server.repository_url.replace("//", f"//x:{token}@", 1) for token in tokens]
    first = folder / "clone-0"
    git(folder, "init", "-q", "-b", "main", str(first))
    _identify(first)
    commits = {}
    for number in range(versions + 1):
        git(first, "commit", "-q", "--allow-empty", "-m", f"feat: {number}")
        git(first, "tag", "-am", "dev", f"dev-v1.{number}.0")
        commits[f"v1.{number}.0"] = git(first, "rev-parse", "HEAD")
    git(first, "tag", "-am", "prod", "prod-v1.0.0", commits["v1.0.0"])
    git(server.path, "fetch", "-q", str(first), "main:main", "refs/tags/*:refs/tags/*", f"refs/tags/prod-v1.0.0:{STABLE}")
    git(first, "remote", "add", "origin", urls[0])
    git(first, "fetch", "-q", "origin")
    for number, url in enumerate(urls[1:], 1):
        git(folder, "clone", "-q", url, str(folder / f"clone-{number}"))
        _identify(folder / f"clone-{number}")
    ends = [GitRemote(folder / f"clone-{number}", "origin") for number in range(len(urls))]
    return Remote(server, ends, commits, git(server.path, "rev-parse", STABLE))


def _identify(clone: Path) -> None:
    """git may not know the user who runs this: a new machine has no identity."""
    for name, value in (("user.name", "Ada Tester"), ("user.email", "ada@example.org")):
        git(clone, "config", name, value)


def settings(end: GitRemote) -> Settings:
    return Settings(root=end.root)


def lock_of(who: int, version: str, commit: str, stable: str) -> Lock:
    return new_lock(request_id=f"request-{who}", version=version, candidate=commit, stable_before=stable, state="prechecked")


def request_of(lock: Lock) -> Request:
    return Request(
        version=parse_version(lock.version), request_id=lock.request_id, promoted_by=lock.request_id, expected_commit=lock.candidate, lock_id=lock.oid
    )


def at_once(acts: Sequence[Callable[[], object]]) -> list[object]:
    """Everything in threads, started together. An exception is a thread's answer."""
    gate, answers = threading.Barrier(len(acts)), [None] * len(acts)

    def one(number: int) -> None:
        gate.wait()
        try:
            answers[number] = acts[number]()  # type: ignore[call-overload]
        except Exception as error:
            answers[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(answers)


@dataclass
class Figures:
    """Counts of what happened, and every breach with the seed that shows it again."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # worth reading, but no breach
    started: float = field(default_factory=time.monotonic)

    def breach(self, seed: int, what: str) -> None:
        self.breaches.append(f"seed {seed}: {what}")

    def add(self, other: Figures) -> None:
        """What a part of the same proof has found, in a process or thread of its own."""
        self.counts.update(other.counts)
        self.breaches += other.breaches
        self.notes += other.notes

    def line(self) -> str:
        counts = ", ".join(f"{n} {word}" for word, n in sorted(self.counts.items()))
        return f"{self.name}: {counts}; {len(self.breaches)} breaches; {time.monotonic() - self.started:.0f} s"


def main(doc: str | None, run: Callable[[int, int, Figures], None], *, name: str, count: int, full: int) -> int:
    """The command line of every proof: --seed N replays one, --count N or --full sets the number."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=count, help=f"how many seeds (default {count})")
    parser.add_argument("--full", action="store_true", help=f"{full} seeds")
    args = parser.parse_args()
    figures, stopped = Figures(name), False
    try:
        run(args.seed, full if args.full else args.count, figures)
    except KeyboardInterrupt:  # the findings until then are worth printing
        stopped = True
    print(figures.line() + ("; stopped before its end" if stopped else ""))
    for breach in figures.breaches[:20]:
        print(f"  {breach}")
    return 1 if figures.breaches else 130 if stopped else 0


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="promote-proof-") as folder:
        yield Path(folder)


def dice(seed: int) -> random.Random:
    return random.Random(seed)


__all__ = [
    "LOCK",
    "STABLE",
    "Figures",
    "Remote",
    "at_once",
    "dice",
    "lock_of",
    "main",
    "populated",
    "remote",
    "request_of",
    "scratch",
    "settings",
    "silence",
    "sys",
]
