"""The shapes of what our own refs hold. Anyone who may push may write them, so each is read here, field by field: a value of another shape is a
ValueError, and a text that is one line stays one line wherever it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from promote.core.foreign import Fields, read_json, time_of

LONGEST_LOCK = 256_000  # characters: a plan with its waivers has a few thousand
LONGEST_ENTRY = 8_000_000  # bytes: a ledger entry holds every check and application of its promotion
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,80}")  # it names files in a clone
ENTRY_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-([A-Za-z0-9._-]{1,80})\.json")
_REF = re.compile(r"refs/[^\s\x00-\x1f\x7f~^:?*\\]{1,250}")
_STATE = re.compile(r"[a-z_]{1,40}")
_VERSION = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.+-]{0,99})?")
_OUTCOME = re.compile(r"[a-z_]{1,40}")


def lock_fields(message: str) -> dict[str, object]:
    """The fields of a lock, without its nonce. Raises ValueError, also for one that has no request id."""
    found = read_json(message, most=LONGEST_LOCK)
    fields = Fields(found, "the lock")
    read: dict[str, object] = {name: fields.line(name) for name in found if name not in ("nonce", "plan")}
    read |= {"request_id": fields.line("request_id", form=REQUEST_ID), "state": fields.line("state", form=_STATE)}
    read |= {"version": fields.line("version", form=_VERSION), "candidate": fields.oid("candidate"), "plan": fields.inner("plan")}
    for name in ("stable_before", "replaces"):
        read[name] = fields.oid(name, optional=True)
    for name in ("since", "at"):
        if read.get(name):
            time_of(read[name])
    time_of(read.get("at") or read.get("since"))
    return read


def check_plan(plan: Mapping[str, object]) -> None:
    """Raises ValueError when a plan, of a lock or a journal, has another shape than `PromotionContext.plan` writes."""
    fields = Fields(dict(plan), "the plan")
    fields.line("version", form=_VERSION)
    fields.oid("commit")
    for name in ("from_tree", "undo_moves", "asked_rollback"):
        fields.flag(name)
    for name in ("dev_tag", "stable", "fallback", "prod_tag", "branch"):
        if fields.inner(name) or name == "branch":
            tag = Fields(fields.inner(name), name)
            tag.line("ref", form=_REF)
            tag.oid("object")
            tag.oid("commit")
    fields.inner("choices")
    for waiver in fields.objects("waivers"):
        for part in waiver:
            Fields(waiver, "a waiver").line(part)


def beat_fields(message: str) -> tuple[str, str]:
    """(request id, time) of a heartbeat. Raises ValueError."""
    fields = Fields(read_json(message, most=LONGEST_LOCK), "the heartbeat")
    at = fields.line("at")
    time_of(at)
    return fields.line("request_id", form=REQUEST_ID), at


def entry_fields(text: str, name: str) -> dict[str, object]:
    """A ledger entry in the file `name`, with its own values. Raises ValueError: also when it is not about the promotion in its name."""
    entry = read_json(text, most=LONGEST_ENTRY)
    fields, named = Fields(entry, "the entry"), ENTRY_NAME.fullmatch(name)
    if named is None or fields.line("request_id", form=REQUEST_ID) != named[1]:
        raise ValueError(f"the entry {name} is not about the promotion in its name")
    fields.line("outcome", form=_OUTCOME)
    fields.line("version", form=_VERSION)
    for which in ("stable_before", "stable_after"):
        if tag := fields.inner(which):
            for part in ("object", "commit"):
                Fields(tag, which).oid(part)
    for app in fields.objects("applications"):
        for part in ("name", "verdict", "reason"):
            Fields(app, "an application").line(part)
    return dict(entry)


def record_request(text: str) -> str:
    """The request id in a record of the branch. Raises ValueError."""
    return Fields(read_json(text, most=LONGEST_LOCK), "the record").line("request_id", default="")
