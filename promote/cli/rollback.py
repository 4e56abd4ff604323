"""`promote rollback`: put production's tag back to a recorded object, and prove that production followed."""

from __future__ import annotations

import argparse

from promote.cli.bootstrap import open_repository, tools
from promote.cli.drive import drive
from promote.connect import secrets
from promote.core.version import parse_version
from promote.promotion.requested_rollback import Destination, prepare, take_lock
from promote.promotion.state_machine import State
from promote.report.screen import reporter


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    to = Destination(version=parse_version(args.to, settings.version.scheme) if args.to else None, working=args.to_working)
    with reporter(json=args.json, secrets=secrets()) as report:
        ctx = prepare(tools(settings, git, report), to)
        return drive(ctx, State.REQUESTED, json=args.json, begin=take_lock)
