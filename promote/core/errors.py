"""Every error a user can see: what happened, with which values, and what to do next.

One class tree. Each client converts its vendor's exceptions into these classes and chains the original as the cause, so no caller depends on a
vendor. The class shows the caller how to react: retry (`Unreachable`), stop (`Denied`, `Rejected`), or look elsewhere (`NotFound`).
"""

from __future__ import annotations


class PromoteError(Exception):
    """An error to show to the user. `what` states the fault with its values, `hint` how to fix it; both are sentences or commands."""

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  do: {self.hint}"


class UsageError(PromoteError):
    """The command line, the settings or the working directory is wrong: promote did nothing."""


class ServiceError(PromoteError):
    """A remote service (git remote, GitHub, a cluster, a URL) did not carry out a request. `service` is its name for the message."""

    def __init__(self, service: str, what: str, *, hint: str) -> None:
        super().__init__(f"{service}: {what}", hint=hint)
        self.service = service


class Unreachable(ServiceError):
    """No usable answer in time (network, 5xx, a proxy's page). Whether the request took effect is unknown; a retry may help."""


class Denied(ServiceError):
    """The credentials are missing, wrong or lack the permission: a retry with the same credentials will not help."""


class NotFound(ServiceError):
    """The service answered that the requested object does not exist."""


class Rejected(ServiceError):
    """The service understood the request and refuses it for good: a rule, a lease that no longer holds, an invalid value."""


class Forbidden(Rejected):
    """A rule of the forge forbids this to these credentials; other credentials may be exempt."""


def os_error_message(error: OSError) -> str:
    """The operating system's message and the file it is about: `No space left on device: /tmp/x`."""
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


class Superseded(PromoteError):
    """Another process or user moved, deleted or shadowed a ref of this promotion: this process must not write any more."""


class Unconfirmed(PromoteError):
    """A ref that anyone may write asks for a move, and nothing that only a promotion can have written confirms it: nothing is done, and a person must
    look."""


class Interrupted(BaseException):
    """The user or the system requested a stop (^C, SIGTERM, SIGHUP). Not an `Exception`, so that no handler swallows it by accident."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
