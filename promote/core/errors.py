"""Every error a person can meet: what happened, with which values, and what to do next.

One tree. Clients turn their vendor's exceptions into these at the door and chain the original as the cause, so nothing above knows a vendor.
The class says what the caller may do about it: ask again (`Unreachable`), stop (`Denied`, `Rejected`), or look elsewhere (`NotFound`).
"""

from __future__ import annotations


class PromoteError(Exception):
    """Something a person has to know about. `what` names the values, `hint` says what to do; both are complete sentences or commands."""

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  do: {self.hint}"


class UsageError(PromoteError):
    """The command line, the settings or the place it was started in is wrong: nothing was tried."""


class ServiceError(PromoteError):
    """A remote party (git remote, GitHub, a cluster, a URL) did not do what was asked. `service` names it as a person would."""

    def __init__(self, service: str, what: str, *, hint: str) -> None:
        super().__init__(f"{service}: {what}", hint=hint)
        self.service = service


class Unreachable(ServiceError):
    """No usable answer in time (network, 5xx, a proxy's page): whether an effect happened is unknown, asking again may help."""


class Denied(ServiceError):
    """The credentials are missing, wrong or not allowed to do this: asking again with the same ones will not help."""


class NotFound(ServiceError):
    """The service answered, and the thing asked for is not there."""


class Rejected(ServiceError):
    """The service understood and said no for good: a rule, a lease that no longer holds, an invalid value."""


class Forbidden(Rejected):
    """A rule of the forge forbids this to these credentials: others may be free of it."""


def os_error_message(error: OSError) -> str:
    """What this machine says was the matter, and with which file."""
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


class Superseded(PromoteError):
    """Somebody else moved, deleted or shadowed a ref of this promotion: nothing of ours may be written any more."""


class Interrupted(BaseException):
    """A person or the system asked to stop (^C, SIGTERM, SIGHUP). Not an `Exception`: no handler may swallow it by accident."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
