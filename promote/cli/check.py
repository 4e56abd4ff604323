"""`promote check [SUITE] [VERSION]`: one suite by itself, shown as a promotion shows it. `pytest checks/SUITE` gives the same verdicts."""

from __future__ import annotations

import argparse

from promote.checklist.context import SuiteContext
from promote.checklist.policy import validate
from promote.checklist.protection import Proposal, differing, judge_candidate
from promote.checklist.runner import refuse_suite
from promote.checklist.trunk_suites import run_trunk_suite
from promote.checklist.waivers import Waiver, given
from promote.cli.bootstrap import open_repository, who
from promote.config.schema import Settings
from promote.connect import secrets
from promote.core.deadline import Deadline
from promote.core.errors import UsageError
from promote.core.model import Choices, End, Step, SuiteResult, Verdict
from promote.core.version import parse_version
from promote.git.remote import GitRemote
from promote.report.document import check_document
from promote.report.screen import reporter
from promote.tags.target import Target, resolve_target

ENDS = {Verdict.PASSED: End.VERIFIED, Verdict.FAILED: End.REFUSED, Verdict.ERRORED: End.UNCHECKED}
SHOWN = {"pre": "before", "post": "after", "smoke": "smoke"}
MEANT = {
    "pre": ("may be shipped", "may not be shipped", "could not be judged"),
    "post": ("production runs what its tag says, and is well", "production is not as it should be", "production could not be judged"),
    "smoke": ("production answers as declared", "production does not answer as declared", "production could not be judged"),
}


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme) if args.wanted else None
    waivers = given(args.waive, who())
    validate(settings, waivers)
    if args.first and args.suite != "pre":
        raise UsageError(f"--first says nothing about the {args.suite} suite", hint="it is for: promote check pre VERSION --first")
    with reporter(json=args.json, secrets=secrets()) as report:
        target = resolve_target(git, settings, version)
        what = _subject(args.suite, settings, git, target)
        report.headline(f"check {args.suite} · {what}")
        report.step_started(SHOWN[args.suite])
        choices, where = Choices(first=args.first), getattr(settings.suites, args.suite)
        context, reports = _context(target, waivers, choices), settings.root / settings.suites.reports / "check" / args.suite
        result = None
        if args.suite == "pre":
            judged = judge_candidate(Proposal(git=git, settings=settings, target=target, choices=choices))
            result = refuse_suite(args.suite, judged, context=context, settings=settings, reports=reports)
            for check in judged if result else ():
                report.check(check)
        elif here := differing(Proposal(git=git, settings=settings, target=target)):
            report.note(f"judged by the checks of {settings.repository.branch}; here differ: {here} (to try these: pytest {where})")
        result = result or run_trunk_suite(
            args.suite,
            settings.root / where,
            git=git,
            trunk=target.branch.commit,
            context=context,
            settings=settings,
            reports=reports,
            deadline=Deadline(settings.suites.timeout),
            on_check=report.check,
        )
        report.step_finished(Step(name=SHOWN[args.suite], verdict=result.verdict, seconds=round(result.seconds, 2), detail=result.reason))
        end = ENDS[result.verdict]
        report.end(end, _words(args.suite, what, result))
        if args.json:
            report.document(check_document(end, result, commit=target.commit, version=target.version.text if target.version else ""))
    return end.exit_code


def _subject(suite: str, settings: Settings, git: GitRemote, target: Target) -> str:
    """What is judged: the candidate before a move, what the stable tag holds after it."""
    if suite == "pre":
        return f"{target.version or 'untagged candidate'} at {git.describe(target.commit)}"
    stable = target.stable
    return f"production: {settings.tags.stable} at {git.describe(stable.commit)}" if stable else f"production: there is no {settings.tags.stable}"


def _context(target: Target, waivers: tuple[Waiver, ...], choices: Choices) -> SuiteContext:
    """As by hand: no lock, no baseline, nothing moved."""
    stable = {"object": target.stable.object, "commit": target.stable.commit} if target.stable else None
    return SuiteContext(
        version=target.version.text if target.version else None,
        commit=target.commit,
        from_tree=target.from_tree,
        dev_tag=target.dev_tag.object if target.dev_tag else None,
        previous=stable,
        stable=None,
        request_id="",
        lock="",
        state="alone",
        baseline_file=None,
        choices=choices,
        trunk=target.branch.commit,
        waivers=waivers,
    )


def _words(suite: str, what: str, result: SuiteResult) -> list[str]:
    passed, failed, errored = MEANT[suite]
    outcome = {Verdict.PASSED: passed, Verdict.FAILED: failed, Verdict.ERRORED: errored}[result.verdict]
    subject = f"{what} " if suite == "pre" else ""
    names = ", ".join(check.id for check in result.failed[:6]) if result.log else result.reason  # without a log nothing ran
    return [
        f"{subject}{outcome}" + (f": {names or result.reason}." if result.failed or result.verdict is not Verdict.PASSED else "."),
        *([f"log: {result.log}"] if result.log else []),
    ]
