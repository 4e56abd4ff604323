"""`promote sandbox [-- COMMAND…]`: the same world as the demo, for trying any command in a ready clone."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading

from promote.commands.world import Place, run_inside, running_world
from promote.errors import Interrupted, UsageError


def main(args: argparse.Namespace) -> int:
    from promote.sandbox.scenarios import SCENARIOS

    if args.scenario and args.scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {args.scenario!r}", hint=f"choose one of: {', '.join(SCENARIOS)}")
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    with running_world(apps=args.apps, via=args.via, real=args.real) as place:
        version = SCENARIOS[args.scenario].prepare(place.sandbox) if args.scenario else ""
        if version:
            run_inside(place, ["git", "pull", "--quiet", "--ff-only"])
            print(f"scenario {args.scenario} is prepared: promote run {version}", file=sys.stderr)
        if argv:
            return run_inside(place, argv)[0]
        _explain(place, version or "v1.8.0")
        with contextlib.suppress(Interrupted):
            threading.Event().wait()
    return 0


def _explain(place: Place, version: str) -> None:
    names = ("KUBECONFIG", "GITHUB_TOKEN", "GIT_CONFIG_GLOBAL")
    exports = "\n".join(f"  export {name}={place.env[name]}" for name in names if name in place.env)
    print(
        f"""The world is up; ^C takes it down.

  git remote   {place.sandbox.git.url}
  GitHub API   {place.sandbox.github.url}
  clusters     contexts prod (current) and dev in $KUBECONFIG
  clone        {place.clone}

In another terminal:
  cd {place.clone}
{exports}
then, for example:
  just SendToProd {version}        git ls-remote origin        kubectl -n argocd get applications        pytest checks/pre
""",
        file=sys.stderr,
    )
