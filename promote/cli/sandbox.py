"""`promote sandbox [-- COMMAND…]`: the same world as the demo, for trying any command in a ready clone."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from typing import TYPE_CHECKING

from promote.cli.sandbox_session import Place, run_inside, running_world
from promote.core.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from promote.sandbox.scenarios import Scenario


def main(args: argparse.Namespace) -> int:
    from promote.sandbox.scenarios import SCENARIOS

    if args.scenario and args.scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {args.scenario!r}", hint=f"choose one of: {', '.join(SCENARIOS)}")
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    scenario = SCENARIOS[args.scenario] if args.scenario else None
    with running_world(apps=args.apps, via=args.via, scenario=scenario, real=args.real) as place:
        version = _prepare(place, scenario) if scenario else ""
        if argv:
            return run_inside(place, argv)[0]
        _explain(place, version or "v1.8.0")
        with contextlib.suppress(Interrupted):
            threading.Event().wait()
    return 0


def _prepare(place: Place, scenario: Scenario) -> str:
    """Everything that happens before a command of the scenario; the commands are the person's."""
    for one in scenario.plays()[: len(scenario.before) + 1]:
        if one.happens:
            one.happens(place.sandbox)
    run_inside(place, ["git", "pull", "--quiet", "--ff-only"])
    print("the scenario is prepared: promote run " + " ".join((scenario.version, *scenario.flags)), file=sys.stderr)
    return scenario.version


def _explain(place: Place, version: str) -> None:
    names = ("KUBECONFIG", "GITHUB_TOKEN", "GRAFANA_TOKEN", "GIT_CONFIG_GLOBAL")
    exports = "\n".join(f"  export {name}={place.env[name]}" for name in names if name in place.env)
    print(
        f"""The world is up; ^C takes it down.

  git remote   {place.sandbox.git.url}
  GitHub API   {place.sandbox.github.url}
  monitoring   Prometheus {place.sandbox.prometheus.url} · Alertmanager {place.sandbox.alertmanager.url} · Grafana {place.sandbox.grafana.url}
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
