"""A kubeconfig's exec plugin runs inside the kubernetes client, and so does what an auth provider asks its issuer; the client waits for both without
end. This gives them a deadline, and ends the processes that hang."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from promote.core.errors import Denied

T = TypeVar("T")
LOGIN_S = 20.0  # an exec plugin may ask a cloud, but nobody is there to answer a question of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """How a kubeconfig's user comes to credentials that are not in the file. `by_hand`: what a person can try. `provider`: no exec plugin, but one of
    the client's own auth providers."""

    words: str
    by_hand: str
    provider: bool = False


def first_line(error: BaseException) -> str:
    """Of what the client says, without the entry of the file that it may show, for that holds the user's secrets."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].partition("/{")[0][:160]


def login_of(user: Any) -> Login | None:
    """That of a user of a kubeconfig; None for one whose credentials are in the file."""
    if "exec" in user:
        command = str((user["exec"] or {}).get("command") or "(no command)")
        return Login(words=f"exec plugin {command}", by_hand=f"run {command} by hand: does it ask, is it logged in?")
    if "auth-provider" in user:
        name = str((user["auth-provider"] or {}).get("name") or "(no name)")
        by_hand = "log in again with kubectl; is its issuer reachable? (gcp and azure are exec plugins since kubectl 1.26)"
        return Login(words=f"auth provider {name}", by_hand=by_hand, provider=True)
    return None


def within(act: Callable[[], T], name: str, login: Login | None, *, known: tuple[type[Exception], ...] = ()) -> T:
    """`act`, given up after `LOGIN_S` with the processes it started. Without such a login nothing can hang, and it is done right here.

    Raises Denied when it did not end, or when an auth provider failed: that raises whatever its library does (OAuth's errors, urllib3's, that the
    library is not there). What is `known` passes through, and of an exec plugin all that `act` raises.
    """
    if not login:
        return act()
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            failed = Denied(f"cluster {name}", f"the {login.words} failed: {type(error).__name__}: {first_line(error)}", hint=login.by_hand)
            done.set_exception(failed if login.provider and not isinstance(error, known) else error)

    quiet, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(quiet)  # the client logs a plugin's failure, with what the plugin printed; without any handler that lands on stderr
    thread = Thread(target=run, daemon=True, name=login.words)
    thread.start()
    left = False
    try:
        return done.result(timeout=LOGIN_S)
    except TimeoutError as error:
        left = True  # and may log yet: the handler stays with it
        for pid in list(_started_by(f"/proc/self/task/{thread.native_id}/children")):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        raise Denied(f"cluster {name}", f"the {login.words} did not end within {LOGIN_S:.0f} s", hint=login.by_hand) from error
    finally:
        if not left:
            root.removeHandler(quiet)


def _started_by(children: str) -> Iterator[int]:
    """Process ids from the kernel's list of a thread's children, and theirs. Empty where there is no such list (not Linux): then they stay."""
    try:
        pids = [int(pid) for pid in Path(children).read_text().split()]
    except OSError:
        return
    for pid in pids:
        yield pid
        yield from _started_by(f"/proc/{pid}/task/{pid}/children")
