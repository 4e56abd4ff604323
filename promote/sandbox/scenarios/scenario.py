"""The model of a scenario: a prepared world, and the commands that a user types in it, each with its expected exit code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from promote.sandbox.sandbox import Sandbox

Act = Callable[[Sandbox], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Play:
    """One command. `happens` runs before it, described by `words`; `stop_when`: ^C is sent as soon as this holds."""

    argv: tuple[str, ...]
    code: int
    happens: Act | None = None
    words: str = ""
    stop_when: Callable[[Sandbox], bool] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`outcome` is how the promotion of `version` should end; `files` is the commit of it; `meanwhile` is made ready for while it runs.

    `flags` belong to that `promote run`; `before` and `after` are the commands around it. `settings` replaces text of promotion.toml,
    `via` is who moves the tag where it matters, `same_cluster` puts dev and production into one Argo CD.
    """

    what: str
    version: str
    outcome: str
    message: str
    files: Mapping[str, bytes | None]
    meanwhile: Act | None = None
    flags: tuple[str, ...] = ()
    before: tuple[Play, ...] = ()
    after: tuple[Play, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, bytes] = field(default_factory=dict)
    via: str | None = None
    same_cluster: bool = False
    stop_when: Callable[[Sandbox], bool] | None = None

    def prepare(self, sandbox: Sandbox) -> str:
        """Push the commit and let whatever happens meanwhile begin."""
        if self.files:
            sandbox.commit(self.files, self.message)
        if self.meanwhile:
            self.meanwhile(sandbox)
        return self.version

    def plays(self) -> tuple[Play, ...]:
        """Everything that is typed, in order."""
        code = CODES[self.outcome]
        main = Play(argv=("run", self.version, *self.flags), code=code, happens=self.prepare, stop_when=self.stop_when)
        return (*self.before, main, *self.after)


CODES = {"verified": 0, "refused": 1, "usage": 2, "rolled_back": 3, "stuck": 4, "unchecked": 5, "superseded": 6, "interrupted": 130}


def both(*acts: Act) -> Act:
    """One after the other."""

    def happens(sandbox: Sandbox) -> None:
        for act in acts:
            act(sandbox)

    return happens


def once_moved(sandbox: Sandbox, act: Callable[[], object]) -> None:
    """Do something in the very moment that the stable tag has moved, before the one who moved it hears of it."""
    before, once = sandbox.writer.holds("refs/tags/prod-stable"), threading.Lock()

    def look() -> None:
        if sandbox.writer.holds("refs/tags/prod-stable") not in (before, "") and once.acquire(blocking=False):
            act()

    sandbox.git.after_push.append(look)


def once_there(sandbox: Sandbox, ref: str, act: Callable[[], object]) -> None:
    """Do something in the very moment that a ref has appeared."""
    once = threading.Lock()

    def look() -> None:
        if sandbox.writer.holds(ref) and once.acquire(blocking=False):
            act()

    sandbox.git.after_push.append(look)
