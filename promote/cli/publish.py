"""`promote publish`: the tag transaction alone, forward or back. The workflow calls it; by hand it is the seed's manual method in one step."""

from __future__ import annotations

import argparse
import secrets as random
import sys

from promote.cli.bootstrap import open_repository, who
from promote.config.schema import Settings
from promote.connect import remote, secrets
from promote.core.deadline import Deadline
from promote.core.errors import PromoteError, Rejected, Superseded, UsageError
from promote.core.foreign import OID
from promote.core.model import End, short
from promote.core.redact import Redactor
from promote.core.version import Version, parse_version
from promote.git.remote import GitRemote
from promote.report.screen import answer
from promote.report.sink import Sink
from promote.tags.authority import trunk_settings
from promote.tags.move_back import BackRequest, publish_back
from promote.tags.publish import Request, publish
from promote.tags.records import record_path, write_record
from promote.tags.shapes import REQUEST_ID

PATIENCE_S = 60.0  # how long an unanswered push is looked up: seconds without a network must not hide that the tag moved
Told = tuple[dict[str, object], list[str]]  # the JSON document, the lines for people


def main(args: argparse.Namespace) -> int:
    here = open_repository(args.folder)
    _check(args)
    settings, git = _on_trunk(*here)
    version = parse_version(args.wanted, settings.version.scheme) if args.wanted else None
    move = _back if args.action == "rollback" else _forward
    try:
        document, lines = move(args, settings, git, version, args.request_id or f"by-hand-{random.token_hex(4)}")
    except Superseded as error:
        return _refuse(args, End.SUPERSEDED, error)
    except Rejected as error:
        return _refuse(args, End.REFUSED, error)
    answer(*lines, document=document if args.json else None, secrets=secrets())
    return 0


def _on_trunk(settings: Settings, git: GitRemote) -> tuple[Settings, GitRemote]:
    """What was merged decides, not the branch that happens to be checked out: with the workflow's right, any branch can be dispatched."""
    merged = trunk_settings(git, settings)
    return merged, git if merged == settings else remote(merged)


def _forward(args: argparse.Namespace, settings: Settings, git: GitRemote, version: Version | None, request_id: str) -> Told:
    assert version is not None
    request = Request(
        version=version,
        request_id=request_id,
        promoted_by=who(),
        expected_commit=args.expected_commit,
        lock_id=args.lock,
        recreate_prod=args.recreate_prod,
    )
    published = publish(git, settings, request, patience=Deadline(PATIENCE_S))
    unwritten = write_record(git, settings, request, published)
    prod = settings.tags.prod.format(version=version)
    document: dict[str, object] = {
        "outcome": "published",
        "version": version.text,
        "commit": published.stable.commit,
        "stable_object": published.stable.object,
        "previous_stable_object": published.previous,
        "record": "" if unwritten else record_path(settings, version.text),
        "warning": "; ".join(filter(None, (unwritten, published.left))),
    }
    lines = [
        f"{prod} and {settings.tags.stable} → {short(published.stable.commit)} in one push, object {published.stable.object}",
        f"warning: {unwritten}" if unwritten else f"record {record_path(settings, version.text)} committed to {settings.repository.branch}",
        *([f"warning: {published.left}"] if published.left else []),
    ]
    if not args.lock:
        lines.append("moved without a pre suite, and nothing is proven yet: look with `promote status`")
    return document, lines


def _back(args: argparse.Namespace, settings: Settings, git: GitRemote, version: Version | None, request_id: str) -> Told:
    request = BackRequest(request_id=request_id, to=version, expected_commit=args.expected_commit, lock_id=args.lock)
    done = publish_back(git, settings, request, patience=Deadline(PATIENCE_S))
    document: dict[str, object] = {
        "outcome": "moved_back",
        "commit": done.stable.commit,
        "stable_object": done.stable.object,
        "previous_stable_object": done.replaced,
        "warning": done.left,
    }
    lines = [f"{settings.tags.stable} → {git.describe(done.stable.commit)}, object {done.stable.object}, in place of {done.replaced}"]
    if done.left:
        lines.append(f"warning: {done.left}")
    if not args.lock:
        lines.append("nothing is proven yet: look with `promote status`")
    return document, lines


def _check(args: argparse.Namespace) -> None:
    """The workflow's inputs come from the user who filled in its form: they must not add trailers. Raises UsageError."""
    if args.action == "promote" and not args.wanted:
        raise UsageError("no version was given to publish", hint="promote publish VERSION (in the Actions page: the field `version`)")
    if args.action == "rollback" and args.wanted and args.lock:
        raise UsageError(
            f"both a version to go back to ({args.wanted}) and a lock are given, and the lock names where to go back to",
            hint="leave one of them out",
        )
    if args.request_id and not REQUEST_ID.fullmatch(args.request_id):
        raise UsageError(f"--request-id {args.request_id[:80]!r} is not an id", hint="letters, digits, dot, dash and underscore; or leave it out")
    for option, oid in (("--expected-commit", args.expected_commit), ("--lock", args.lock)):
        if oid and not OID.fullmatch(oid):
            raise UsageError(f"{option} {oid[:80]!r} is not a full object id", hint="40 (or 64) hexadecimal digits: git rev-parse NAME")


def _refuse(args: argparse.Namespace, end: End, error: PromoteError) -> int:
    Sink(sys.stderr, Redactor(secrets())).error(error)
    if args.json:
        answer(document={"outcome": end.value, "error": error.what, "hint": error.hint}, secrets=secrets())
    return end.exit_code
