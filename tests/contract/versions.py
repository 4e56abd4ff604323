"""What differs between versions of Argo CD, as it was seen: the contract tests ask their world's version for these and are the same for all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ArgoCD:
    """`shown_on_error`: the revision that a ComparisonError leaves (the tag's own name, or none at all).

    `compared_on_error`: whether an application that was never compared has the sync status Unknown.
    `gives_up`: how the SyncError of the last retry begins.
    `keeps_late_requests`: a refresh asked for while a reconcile runs is answered by another one, and not taken away with the one before.
    """

    shown_on_error: str | None = "stable"
    compared_on_error: bool = True
    source_in_operation: bool = True
    keeps_late_requests: bool = False
    revision: str = "[{}]"  # how a SyncError writes one
    gives_up: str = "Failed last sync attempt to"


PINNED = ArgoCD()  # 3.2, which the embedded world is made after
VERSIONS = {
    "": PINNED,
    "3.1": ArgoCD(
        shown_on_error=None,
        compared_on_error=False,
        source_in_operation=False,
        keeps_late_requests=True,
        revision="{}",
        gives_up="Failed sync attempt to",
    ),
}
