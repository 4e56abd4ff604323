"""`promote demo`: a good promotion and one that heals itself, in an embedded world; or one named scenario."""

from __future__ import annotations

import argparse
import json
import sys
import time

from promote.commands.world import Place, run_inside, running_world
from promote.errors import UsageError
from promote.model import End

STORY = (("good", End.VERIFIED, "a good promotion"), ("smoke-fails", End.ROLLED_BACK, "one whose smoke suite fails in production"))


def main(args: argparse.Namespace) -> int:
    from promote.sandbox.scenarios import SCENARIOS

    if args.scenario and args.scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {args.scenario!r}", hint=f"choose one of: {', '.join(SCENARIOS)}")
    started = time.monotonic()
    _tell("starting a world: git over HTTP, GitHub, two clusters with Argo CD" + (" (kept)" if args.keep else ""))
    with running_world(apps=args.apps, via=args.via, keep=True) as place:
        _tell(f"ready after {time.monotonic() - started:.1f} s: {args.apps} applications in {place.clone}\n")
        if args.scenario:
            code, out = play(place, args.scenario, capture=args.json)
            if args.json:
                sys.stdout.write(out)
            return code
        return _story(place, args, started)


def play(place: Place, scenario: str, *, capture: bool) -> tuple[int, str]:
    """Prepare one scenario and promote in it, as a person would in the clone."""
    from promote.sandbox.scenarios import SCENARIOS

    version = SCENARIOS[scenario].prepare(place.sandbox)
    _tell(f"$ promote run {version}")
    return run_inside(place, [sys.executable, "-m", "promote", "run", version, *(["--json"] if capture else [])], capture=capture)


def _story(place: Place, args: argparse.Namespace, started: float) -> int:
    documents, right = [], True
    for scenario, expected, words in STORY:
        _tell(f"── {words} " + "─" * max(0, 70 - len(words)))
        code, out = play(place, scenario, capture=args.json)
        documents.append(json.loads(out) if out else {})
        right = right and code == expected.exit_code
        _tell(
            f"   exit {code}, " + ("as it should\n" if code == expected.exit_code else f"but {expected.exit_code} ({expected.value}) was expected\n")
        )
    if args.json:
        print(json.dumps({"outcome": "as expected" if right else "not as expected", "promotions": documents}, indent=2))
    _tell(f"both ended as they should in {time.monotonic() - started:.0f} s" if right else "the demo did not end as it should")
    _tell(f"records  git -C {place.sandbox.git.path} log --oneline main -- .promotions")
    _tell(f"junit    {place.clone}/reports/*/*/*.xml")
    _tell(f"all of it is in {place.clone.parent}; remove it when you have seen it")
    return 0 if right else 1


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
