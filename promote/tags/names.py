"""The names of a version's refs in one repository, as the settings spell them."""

from __future__ import annotations

from dataclasses import dataclass

from promote.config.schema import Settings

LEDGER = "refs/promote/ledger"  # a chain of commits, one file a promotion


@dataclass(frozen=True, kw_only=True, slots=True)
class TagNames:
    """Full ref names. `shadow` is the branch that would hide the stable tag; `branch` is the trunk."""

    dev: str
    prod: str
    stable: str
    working: str
    shadow: str
    branch: str


def ref_names(settings: Settings, version: str) -> TagNames:
    """The refs of this version; those that belong to no version are the same for each (`""` where only they are needed)."""
    tags = settings.tags
    return TagNames(
        dev=f"refs/tags/{tags.dev.format(version=version)}",
        prod=f"refs/tags/{tags.prod.format(version=version)}",
        stable=f"refs/tags/{tags.stable}",
        working=f"refs/tags/{tags.working}",
        shadow=f"refs/heads/{tags.stable}",
        branch=f"refs/heads/{settings.repository.branch}",
    )
