"""A deadline for logins: the kubernetes library runs a kubeconfig's exec plugin, or the requests of an auth provider, and waits for them without
limit.

After the deadline, the processes that hang are killed.
"""

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
from promote.core.foreign import split_lines

T = TypeVar("T")
LOGIN_S = 20.0  # enough for an exec plugin to call a cloud; a prompt of its own gets no answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """How a kubeconfig's user gets credentials that are not in the file. `title` names it in messages; `by_hand` is a hint for the user to try.

    `provider`: one of the library's own auth providers instead of an exec plugin.
    """

    title: str
    by_hand: str
    provider: bool = False


def first_line(error: BaseException) -> str:
    """The first line of the library's message."""
    # Without the kubeconfig entry that the message may show: it contains the user's secrets.
    return split_lines(str(error).strip() or type(error).__name__)[0].partition("/{")[0][:160]


def login_of(user: Any) -> Login | None:
    """The login of a kubeconfig's user; None when the credentials are in the file."""
    if "exec" in user:
        command = str((user["exec"] or {}).get("command") or "(no command)")
        return Login(title=f"exec plugin {command}", by_hand=f"run {command} by hand: does it prompt, is it logged in?")
    if "auth-provider" in user:
        name = str((user["auth-provider"] or {}).get("name") or "(no name)")
        by_hand = "log in again with kubectl; is its issuer reachable? (gcp and azure are exec plugins since kubectl 1.26)"
        return Login(title=f"auth provider {name}", by_hand=by_hand, provider=True)
    return None


def within(act: Callable[[], T], name: str, login: Login | None, *, known: tuple[type[Exception], ...] = ()) -> T:
    """Run `act` with a limit of LOGIN_S; after it, kill the processes that `act` started.

    Raises Denied when `act` did not end, or when an auth provider failed; its library may raise anything (OAuth errors, urllib3 errors, a missing
    module). Exceptions of the classes `known` pass through, and with an exec plugin every exception.
    """
    if not login:  # without a login nothing can hang
        return act()
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            failed = Denied(f"cluster {name}", f"the {login.title} failed: {type(error).__name__}: {first_line(error)}", hint=login.by_hand)
            done.set_exception(failed if login.provider and not isinstance(error, known) else error)

    quiet, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(quiet)  # the library logs a plugin's failure with its output; without a handler that would go to stderr
    thread = Thread(target=run, daemon=True, name=login.title)
    thread.start()
    abandoned = False
    try:
        return done.result(timeout=LOGIN_S)
    except TimeoutError as error:
        abandoned = True  # the thread may still log, so the handler stays
        for pid in list(_started_by(f"/proc/self/task/{thread.native_id}/children")):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        raise Denied(f"cluster {name}", f"the {login.title} did not end within {LOGIN_S:.0f} s", hint=login.by_hand) from error
    finally:
        if not abandoned:
            root.removeHandler(quiet)


def _started_by(children: str) -> Iterator[int]:
    """The ids of a thread's descendant processes, from the kernel's list of children. Empty where there is no such list (not Linux): they survive."""
    try:
        pids = [int(pid) for pid in Path(children).read_text().split()]
    except OSError:
        return
    for pid in pids:
        yield pid
        yield from _started_by(f"/proc/{pid}/task/{pid}/children")
