"""argv → one command → exit code. Parses, hands over, and turns what a command raises into a message and a documented exit code.

Each command is a module of `promote.cli`, imported only when it is asked for: `promote --help` loads no vendor library.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from promote import __version__
from promote.core.errors import Interrupted, PromoteError, Unconfirmed, UsageError
from promote.core.signals import as_interrupts

EPILOG = """exit codes: 0 verified or done · 1 refused, nothing moved · 2 usage · 3 rolled back and verified · 4 stuck, needs manual action
5 undetermined, nothing moved · 6 superseded by another user · 130 interrupted before the move"""


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are ours: one message with what to do, instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The whole command line; docs/commands.md is its reference."""
    what = "Ship a version to production by moving one git tag, verify it, and roll it back if it is wrong."
    top = _Parser(prog="promote", description=what, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"promote {__version__}")
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on stdout, progress on stderr")
    common.add_argument("-C", dest="folder", type=Path, default=Path(), metavar="DIR", help="work as if started in DIR")
    verbs = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(
            name, help=text, description=text, parents=[common], epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    run = verb("run", "check, tag, move, verify; roll back automatically on failure")
    run.add_argument("wanted", metavar="VERSION", help="the version to promote: v1.2.3")
    run.add_argument("--tagged", action="store_true", help="promote the commit that already carries the dev tag, not HEAD")
    run.add_argument("--recreate-dev", action="store_true", help="the dev tag exists elsewhere: move it to HEAD")
    run.add_argument("--recreate-prod", action="store_true", help="the prod tag of this version exists: replace it")
    run.add_argument("--again", action="store_true", help="ship a version again that was rolled back, at the same commit")
    run.add_argument("--downgrade", action="store_true", help="ship a commit that lacks some of what production runs, or a smaller version")
    run.add_argument("--first", action="store_true", help="the first promotion: there is no stable tag and no earlier version to roll back to")
    run.add_argument("--first-fallback", metavar="COMMIT", help="the first promotion; on failure roll back to COMMIT")
    run.add_argument(
        "--waive", action="append", default=[], metavar='CHECK="REASON"', help="let this check fail this time; the ledger stores it with your name"
    )

    back = verb("rollback", "roll production's tag back and verify that production followed")
    where = back.add_mutually_exclusive_group()
    where.add_argument("--to", metavar="VERSION", help="to this promoted version (default: the one that the last move replaced)")
    where.add_argument("--to-working", action="store_true", help="to prod-working, the last verified promotion")

    _recovery(verb)
    check = verb("check", "run one suite: pre (can this be shipped?), post, smoke")
    check.add_argument("suite", nargs="?", choices=("pre", "post", "smoke"), default="pre", metavar="SUITE", help="pre (default), post or smoke")
    check.add_argument("wanted", nargs="?", default="", metavar="VERSION", help="the version to check (default: that of HEAD's dev tag)")
    check.add_argument("--waive", action="append", default=[], metavar='CHECK="REASON"', help="as for `promote run`")
    check.add_argument("--first", action="store_true", help="as for the first promotion: there is no stable tag yet")

    mark = verb("mark-working", "move prod-working to production's tag, after verifying that production runs it")
    mark.add_argument("--force", action="store_true", help="also if prod-working would move back")

    verb("status", "show the tags, their distances, and whether production runs the stable tag")

    publish = verb("publish", "run only the tag transaction: prod tag and stable tag in one leased push (the workflow calls this)")
    publish.add_argument("wanted", nargs="?", default="", metavar="VERSION", help="the version whose dev tag is published")
    publish.add_argument(
        "--action",
        choices=("promote", "rollback"),
        default="promote",
        help="rollback: move only the stable tag, back to VERSION (default: the one that the last move replaced), without verification",
    )
    publish.add_argument("--request-id", default="", metavar="ID", help="id of the requesting promotion")
    publish.add_argument("--expected-commit", default="", metavar="SHA", help="refuse if the dev tag (or the rollback target) is at another commit")
    publish.add_argument(
        "--lock", default="", metavar="OID", help="the lock object that authorises this move; without it the move is marked unchecked"
    )
    publish.add_argument("--recreate-prod", action="store_true", help="replace an existing prod tag of this version")

    dev = verb("tag-dev", "create and push the dev tag at HEAD")
    dev.add_argument("wanted", metavar="VERSION", help="the version to tag: v1.2.3")

    init = verb("init", "set promote up in this repository: inferred settings, checks, workflow, just recipes; overwrites no file")
    init.add_argument("--print", action="store_true", help="only print the promotion.toml it would write")
    init.add_argument(
        "--upgrade",
        action="store_true",
        help="update unchanged check files, show a diff for the others; rename old keys in promotion.toml (without it, they are only named)",
    )
    init.add_argument("--orphans", action="store_true", help="also write a scheduled workflow and a CronJob that resume abandoned promotions")
    init.add_argument("--remote", default="", metavar="NAME", help="the git remote that Argo CD reads (default origin, or the only one)")

    _lookers(verb)
    _worlds(verb)
    return top


def _recovery(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """What is done about a promotion that was cut short."""
    resume = verb("resume", "finish, roll back or release an interrupted promotion, as the refs and the cluster require")
    resume.add_argument("--if-orphaned", metavar="AGE", help="only if its owner has sent no heartbeat for AGE (15m): for a scheduled job")
    abort = verb("abort", "cancel an interrupted promotion: move the tag back, verify production, release the lock")
    abort.add_argument("--keep", action="store_true", help="leave the tag where it is and only release the lock")
    abort.add_argument("--break-lock", action="store_true", help="delete the lock of any owner (asks for confirmation first)")
    abort.add_argument("--yes", action="store_true", help="with --break-lock: do not ask")


def _lookers(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """What only looks, before anything is decided."""
    verb("checklist", "list every check, the source of its evidence, and whether it counts here; runs none")
    after = verb("next", "print the smallest version that the commits allow")
    size = after.add_mutually_exclusive_group()
    for level in ("major", "minor", "patch"):
        size.add_argument(f"--{level}", action="store_true", help=f"the next {level} version, whatever the commits require")
    plan = verb("plan", "preview a promotion: commits, changes and steps; moves no tag")
    plan.add_argument("wanted", metavar="VERSION", help="the version to plan for: v1.2.3")
    plan.add_argument("--diff", action="store_true", help="the whole difference of the rendered manifests of production's applications")
    plan.add_argument("--write", action="store_true", help="write a migration plan to fill in")
    plan.add_argument("--first", action="store_true", help="as a first promotion: there is no stable tag")


def _worlds(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The embedded world's commands."""
    demo = verb("demo", "play a promotion and a rollback in an embedded world: needs only Python and git")
    demo.add_argument("--scenario", metavar="NAME", help="run only this one and exit with the promotion's code")
    demo.add_argument("--apps", type=int, default=12, metavar="N", help="number of applications in production (default 12)")
    demo.add_argument(
        "--via", choices=("workflow", "git"), default="workflow", help="the workflow or promote itself moves the tag (default workflow)"
    )
    demo.add_argument("--keep", action="store_true", help="keep the world's folder with its records and reports")

    sandbox = verb("sandbox", "start the demo's world and run COMMAND in a ready clone of it; without COMMAND it stays up")
    sandbox.add_argument("--apps", type=int, default=12, metavar="N", help="number of applications in production (default 12)")
    sandbox.add_argument("--scenario", metavar="NAME", help="prepare this scenario first")
    sandbox.add_argument(
        "--via", choices=("workflow", "git"), default="workflow", help="the workflow or promote itself moves the tag (default workflow)"
    )
    sandbox.add_argument("--real", action="store_true", help="use real API servers and real Argo CDs (build them first: just real-stack)")
    sandbox.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND…", help="the command to run in the clone")


def main(argv: Sequence[str] | None = None) -> int:
    """The console entry point. Returns the exit code."""
    args = argparse.Namespace(json="--json" in (sys.argv if argv is None else argv))
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        with as_interrupts():
            args = parser().parse_args(argv)
            return _dispatch(args)
    except SystemExit as done:  # --help and --version
        return _flushed_code(done)
    except UsageError as error:
        return _say(args, "USAGE", error)
    except Unconfirmed as error:
        return _say(args, "STUCK", error)
    except PromoteError as error:
        return _say(args, "UNCHECKED", error)
    except Interrupted as stop:
        return _say(args, "INTERRUPTED", PromoteError(f"stopped by {stop.signal_name}", hint="see what is true now: promote status"))
    except BrokenPipeError:
        return _reader_gone()
    except Exception:
        return _say(args, "UNCHECKED", _unexpected())


def _flushed_code(done: SystemExit) -> int:
    """argparse has printed what was asked for; whether it got out is known only after a flush."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        _reader_gone()
        return _say(argparse.Namespace(json=False), "UNCHECKED", PromoteError(f"stdout cannot be written: {error.strerror}", hint="free space"))
    return int(done.code or 0)


def _reader_gone() -> int:
    """What is still in the buffer of stdout must not fail once more at exit. Returns the code of a program that a closed pipe ended."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _dispatch(args: argparse.Namespace) -> int:
    module = importlib.import_module(f"promote.cli.{args.command.replace('-', '_')}")
    code: int = module.main(args)
    return code


def _say(args: argparse.Namespace, name: str, error: PromoteError) -> int:
    from promote.connect import secrets
    from promote.core.model import End
    from promote.core.redact import Redactor
    from promote.report.sink import Sink

    end = End[name]
    redact = Redactor(secrets())
    Sink(sys.stderr, redact).error(error)
    if args.json:
        Sink(sys.stdout, redact).document({"outcome": end.value, "error": error.what, "hint": error.hint})
    return end.exit_code


def _unexpected() -> PromoteError:
    """A bug: the traceback goes to a file only its owner can read, the screen gets one sentence, both without secrets."""
    import tempfile
    import traceback

    from promote.connect import unexpected_secrets
    from promote.core.redact import Redactor

    masked = Redactor(unexpected_secrets())
    with tempfile.NamedTemporaryFile("w", prefix="promote-", suffix=".log", delete=False) as log:
        log.write(masked.text(traceback.format_exc()))
    kind, value, _ = sys.exc_info()
    text = masked.text(str(value))[:200]  # in this order: half a secret would not be known
    return PromoteError(f"unexpected {kind.__name__ if kind else 'error'}: {text}", hint=f"this is a bug; the details are in {log.name}")


if __name__ == "__main__":
    sys.exit(main())
