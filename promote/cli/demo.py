"""`promote demo`: a good promotion and one that heals itself, in an embedded world; or one named scenario."""

from __future__ import annotations

import argparse
import json
import sys
import time

from promote.cli.sandbox_session import Place, run_inside, running_world
from promote.core.errors import UsageError
from promote.sandbox.scenarios import SCENARIOS, Play, Scenario

STORY = (("good", "a good promotion"), ("smoke-fails", "one whose smoke suite fails in production"))


def main(args: argparse.Namespace) -> int:
    scenario = None
    if args.scenario:
        if args.scenario not in SCENARIOS:
            raise UsageError(f"there is no scenario {args.scenario!r}", hint=f"choose one of: {', '.join(SCENARIOS)}")
        scenario = SCENARIOS[args.scenario]
    started = time.monotonic()
    _tell("starting a world: git over HTTP, GitHub, two clusters with Argo CD")
    with running_world(apps=args.apps, via=args.via, keep=args.keep, scenario=scenario) as place:
        _tell(f"ready after {time.monotonic() - started:.1f} s: {args.apps} applications in {place.clone}\n")
        if scenario:
            return _scenario(place, args, scenario)
        return _story(place, args, started)


def play(place: Place, one: Play, *, capture: bool) -> tuple[int, str]:
    """Let happen what comes before it, then run the command as a person would in the clone."""
    if one.words:
        _tell(f"# {one.words}")
    if one.happens:
        one.happens(place.sandbox)
    _tell(f"$ promote {' '.join(one.argv)}")
    argv = [sys.executable, "-m", "promote", *one.argv, *(["--json"] if capture else [])]
    code, out = run_inside(place, argv, capture=capture, ask=False, stop_when=one.stop_when)
    _tell(f"   exit {code}, " + ("as it should\n" if code == one.code else f"but {one.code} was expected\n"))
    return code, out


def _scenario(place: Place, args: argparse.Namespace, scenario: Scenario) -> int:
    """All its commands; the exit code is the last one's, or 1 when one did not end as it should."""
    _tell(f"── {args.scenario}: {scenario.what}")
    plays = scenario.plays()
    code, right = 0, True
    for one in plays:
        code, out = play(place, one, capture=args.json)
        right = right and code == one.code
        sys.stdout.write(out)
        sys.stdout.flush()
    if not right:
        _tell("the scenario did not end as it should")
        return 1
    return code


def _story(place: Place, args: argparse.Namespace, started: float) -> int:
    documents, right = [], True
    for name, words in STORY:
        _tell(f"── {words} " + "─" * max(0, 70 - len(words)))
        for one in SCENARIOS[name].plays():
            code, out = play(place, one, capture=args.json)
            documents.append(json.loads(out) if out else {})
            right = right and code == one.code
    if args.json:
        print(json.dumps({"outcome": "as expected" if right else "not as expected", "promotions": documents}, indent=2))
    _tell(f"both ended as they should in {time.monotonic() - started:.0f} s" if right else "the demo did not end as it should")
    if args.keep:
        _tell(f"records  git -C {place.sandbox.git.path} log --oneline main -- .promotions")
        _tell(f"junit    {place.clone}/reports/*/*/*.xml")
        _tell(f"all of it is in {place.clone.parent}; remove it when you have seen it")
    else:
        _tell("its folder is gone; to look at records and reports afterwards: promote demo --keep")
    return 0 if right else 1


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
