"""Keys of promotion.toml that have a new name. The strict reader names it in its error; `promote init --upgrade` writes it into the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_URL_KEYS = {"within": "timeout", "slow": "warn_after", "tries": "attempts", "every": "interval", "tls_days": "min_tls_days"}
# The old key's path, without positions in lists, and its new name in the same table.
RENAMED: Mapping[str, str] = {
    "functional": "tests",
    "version.unclassified": "default_bump",
    "lock.keep": "store",
    "prod.root": "root_app",
    "argocd.looks": "successes",
    "argocd.look_every": "poll_interval",
    "argocd.refresh_every": "refresh_interval",
    "argocd.suspended_ok": "allow_suspended",
    "post.event_watch": "event_window",
    "prometheus.rules": "queries",
    "prometheus.wait": "sample_timeout",
    "alertmanager.filters": "matchers",
    "alertmanager.volatile": "ignore_labels",
    "suites.row_timeout": "check_timeout",
    "tasks.closed": "closed_statuses",
    "manifests.unrendered": "on_unrendered",
    "checklist.off": "disabled",
    **{f"{table}.urls.{old}": new for table in ("smoke", "dev") for old, new in _URL_KEYS.items()},
}
_POSITION = re.compile(r"\[[0-9]+\]")


@dataclass(frozen=True, slots=True)
class OldKey:
    """One renamed key in a file. `where` is its table (`smoke.urls[0]`, "" for the top), `clash` says that the new key stands there too."""

    where: str
    old: str
    new: str
    clash: bool

    @property
    def path(self) -> str:
        return f"{self.where}.{self.old}" if self.where else self.old


def new_name(path: str) -> str:
    """The new name of the key at a path (`smoke.urls[0].tries`); "" for a key that was never renamed."""
    return RENAMED.get(_POSITION.sub("", path), "")


def old_keys(data: Mapping[str, object], where: str = "") -> Iterator[OldKey]:
    """The renamed keys of a parsed promotion.toml, in the order of the file."""
    for key, value in data.items():
        path = f"{where}.{key}" if where else key
        if new := new_name(path):
            yield OldKey(where, key, new, clash=new in data)
        if isinstance(value, Mapping):
            yield from old_keys(value, path)
        for position, entry in enumerate(value if isinstance(value, list) else []):
            if isinstance(entry, Mapping):
                yield from old_keys(entry, f"{path}[{position}]")
