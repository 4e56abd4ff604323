"""`promote publish VERSION`: the tag transaction alone. The workflow calls it; by hand it is the seed's manual method in one step."""

from __future__ import annotations

import argparse
import json
import secrets
import sys

from promote.commands.wiring import open_repository, who
from promote.errors import PromoteError, Rejected, Superseded
from promote.model import End, short
from promote.publish import Request, publish
from promote.record import record_path, write_record
from promote.versions import parse_version


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme)
    request = Request(
        version=version,
        request_id=args.request_id or f"by-hand-{secrets.token_hex(4)}",
        promoted_by=who(),
        expected_commit=args.expected_commit,
        lock_id=args.lock,
        recreate_prod=args.recreate_prod,
    )
    try:
        published = publish(git, settings, request)
    except Superseded as error:
        return _refuse(args, End.SUPERSEDED, error)
    except Rejected as error:
        return _refuse(args, End.REFUSED, error)
    warning = write_record(git, settings, request, published)
    prod = settings.tags.prod.format(version=version)
    if args.json:
        document = {
            "outcome": "published",
            "version": version.text,
            "commit": published.stable.commit,
            "stable_object": published.stable.object,
            "previous_stable_object": published.previous,
            "record": record_path(settings, version.text),
            "warning": warning,
        }
        print(json.dumps(document, indent=2))
    else:
        print(f"{prod} and {settings.tags.stable} → {short(published.stable.commit)} in one push, object {published.stable.object}")
        print(f"warning: {warning}" if warning else f"record {record_path(settings, version.text)} committed to {settings.repository.branch}")
        if not args.lock:
            print("moved without a pre suite, and nothing is proven yet: look with `promote status`")
    return 0


def _refuse(args: argparse.Namespace, end: End, error: PromoteError) -> int:
    print(f"promote: {error.what}\n  do: {error.hint}", file=sys.stderr)
    if args.json:
        print(json.dumps({"outcome": end.value, "error": error.what, "hint": error.hint}, indent=2))
    return end.exit_code
