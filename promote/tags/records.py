"""The two lasting records of a promotion: `.promotions/prod-vX.json` on the branch and the ledger `refs/promote/ledger`.

Neither is ever a reason to roll back: what fails here is a warning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from promote.config.schema import Settings
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError, ServiceError
from promote.core.foreign import one_line
from promote.core.model import Tag, short
from promote.git.push import Pushed, RefUpdate
from promote.git.remote import GitRemote
from promote.tags.names import LEDGER, ref_names
from promote.tags.publish import Published, Request
from promote.tags.shapes import ENTRY_NAME, LONGEST_ENTRY, LONGEST_LOCK, entry_fields, record_request

TRIES = 6
PATIENCE_S = 20.0  # after that, an unreachable remote is not retried: a person waits for the end


def record_path(settings: Settings, version: str) -> str:
    return f"{settings.promotion.records}/{settings.tags.prod.format(version=version)}.json"


def write_record(git: GitRemote, settings: Settings, request: Request, published: Published) -> str:
    """Commit the seed's record of a move to the branch. Returns a warning, or "" when it is there."""
    version = request.version.text
    content = {
        "version": version,
        "commit": published.stable.commit,
        "prod_tag": settings.tags.prod.format(version=version),
        "stable_object": published.stable.object,
        "previous_stable_object": published.previous or None,
        "request_id": request.request_id,
        "promoted_by": request.promoted_by,
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = record_path(settings, version)
    return _append(git, ref_names(settings, version).branch, path, content, f"chore(promotion): record {version} in production")


def has_record(git: GitRemote, settings: Settings, request_id: str, version: str) -> bool:
    """Whether the branch, as the remote has it now, holds the record of this very promotion. Raises PromoteError when that cannot be read."""
    branch = git.ref(ref_names(settings, version).branch)
    if branch is None:
        return False
    git.fetch(branch.ref)
    try:
        return record_request(git.file(branch.commit, record_path(settings, version), most=LONGEST_LOCK) or "{}") == request_id
    except ValueError:
        return False


def write_ledger(git: GitRemote, request_id: str, entry: Mapping[str, object]) -> str:
    """Append one promotion to the ledger. Returns a warning, or ""."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return _append(git, LEDGER, f"{at}-{request_id}.json", entry, f"{entry.get('outcome')}: {entry.get('version')} ({request_id})")


def last_entry(git: GitRemote) -> dict[str, object]:
    """The newest promotion in the ledger; empty when there is none or it cannot be read."""
    return read_ledger(git)[0]


def read_ledger(git: GitRemote, *, named: str = "") -> tuple[dict[str, object], str]:
    """(the newest promotion in the ledger, "" or why it cannot be believed: then it is empty). Raises PromoteError when the remote is silent.

    `named`: the ledger's head as production's tag names it ("" when it names none): what was in it then must still be.
    """
    head = git.ref(LEDGER)
    if head is None:
        return {}, f"damaged: {LEDGER} was deleted, and production's tag names {short(named)} in it" if named else ""
    git.fetch(LEDGER)
    if named and not (git.has(named) and git.kind(head.object) == "commit" and git.is_ancestor(named, head.commit)):
        return {}, f"damaged: {LEDGER} was rewritten: {short(named)}, which production's tag names, is not in it any more"
    try:
        newest = max(git.names(head.commit), default="")  # names begin with the time
        text = git.file(head.commit, newest, most=LONGEST_ENTRY) if ENTRY_NAME.fullmatch(newest) else None
        return (entry_fields(text or "", newest), "") if newest else ({}, "")
    except (ValueError, ServiceError) as error:  # ServiceError: not even a commit
        return {}, f"damaged: {LEDGER} is not as promote writes it ({one_line(str(error), 160)})"


def _append(git: GitRemote, ref: str, path: str, content: Mapping[str, object], message: str) -> str:
    text = json.dumps(content, indent=2, sort_keys=True, default=str) + "\n"
    last, patience = "", Deadline(PATIENCE_S)
    for _ in range(TRIES):  # the branch moves under us: read again and put our commit on top
        try:
            base: Tag | None = git.ref(ref)
            if base is not None:
                git.fetch(ref)
            commit = git.commit_file(base.commit if base else None, path, text, message)
            done, result, _seen = git.push_and_look(RefUpdate(ref=ref, new=commit, expected=base.object if base else ""))
        except PromoteError as error:
            last = error.what
        else:
            if done:
                return ""
            last = result.text
            if result.outcome in (Pushed.RULE, Pushed.DENIED):
                break
        if patience.expired:
            break
    return f"{path} was not written to {ref} ({last or 'no answer'}); the promotion itself is not affected"
