"""R6: Argo CD applications that look well and are not, shown for ever: none is accepted as proof of a move or of a rollback.

Each state is played through `converge()` with its real client, on a clock that jumps: as a child beside a well root, and as the root itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from promote.argocd.application import parse_application
from promote.convergence.fleet import select
from promote.convergence.wait import converge
from promote.core.deadline import Deadline
from promote.core.model import Verdict
from tests.robustness.cluster import ROOT, Frozen, Time
from tests.robustness.harness import Figures, main
from tests.support.manifests import NEW, OLD, OTHER, SETTINGS, T0, at, child, goal, made_by, manifest, operation

PATIENCE_S = 90.0  # longer than any grace
WITH_ROOT = replace(SETTINGS, prod=replace(SETTINGS.prod, root_app=ROOT, namespaces=("argocd",)))
Manifest = dict[str, Any]
CHART = {"source": {"repoURL": "https://charts.example.org", "chart": "redis", "targetRevision": "1.2.3"}}
OUT = {"kind": "Deployment", "namespace": "web", "name": "web", "status": "OutOfSync"}
TWO = [{"repoURL": "https://git.example.org/acme/gitops", "targetRevision": r} for r in ("prod-stable", "refs/tags/prod-stable")]
ASKED: dict[str, Any] = {"operation": {"sync": {}}}


def _part(**failed: str) -> Manifest:
    return operation(resources=[{"kind": "Job", "namespace": "web", "name": "migrate", **failed}])


# What one application shows from the second look on. At the first it was well at the old commit.
STATES: dict[str, dict[str, Any]] = {
    "the old commit": {"revision": OLD},
    "another commit": {"revision": OTHER},
    "the tag's name": {"revision": "prod-stable"},
    "the tag's whole name": {"revision": "refs/tags/prod-stable"},
    "no commit": {"revision": ""},
    "the beginning of the commit": {"revision": NEW[:7]},
    "OutOfSync": {"sync": "OutOfSync"},
    "OutOfSync with its resources": {"sync": "OutOfSync", "resources": [OUT]},
    "OutOfSync and no auto-sync": {"sync": "OutOfSync", "spec": {"syncPolicy": {}}},
    "OutOfSync after a failed sync of this commit": {"sync": "OutOfSync", "state": operation("Failed")},
    "sync Unknown": {"sync": "Unknown"},
    "no sync status": {"sync": ""},
    "Synced with a resource that is not": {"resources": [OUT]},
    "the comparison fails": {"conditions": [("ComparisonError", "x")]},
    "the comparison fails and it shows nothing": {"conditions": [("ComparisonError", "x")], "revision": "", "sync": "Unknown"},
    "its spec is invalid": {"conditions": [("InvalidSpecError", "x")]},
    "its sync was skipped": {"conditions": [("SyncError", "Skipping sync attempt")]},
    "it cannot be deleted": {"conditions": [("DeletionError", "x")]},
    "an unknown error": {"conditions": [("SomethingNewError", "x")]},
    "a sync of this commit runs": {**ASKED, "state": operation("Running", finished=None)},
    "a sync of the old commit runs": {**ASKED, "state": operation("Running", OLD, finished=None)},
    "a sync of another commit is retried": {**ASKED, "state": operation("Running", OTHER)},
    "a sync was asked for": {**ASKED, "state": operation()},
    "an empty operation was asked for": {"operation": {}, "state": operation()},
    "a sync is being ended": {**ASKED, "state": operation("Terminating", finished=None)},
    "the last sync failed": {"state": operation("Failed")},
    "the last sync broke": {"state": operation("Error")},
    "the last sync was ended and nothing cleared it": {"state": operation("Terminating")},
    "the last sync failed without a revision": {"state": operation("Failed", "")},
    "a sync of another commit failed after the move": {"state": operation("Failed", OTHER)},
    "the last sync is nothing anybody has heard of": {"state": operation("Finished")},
    "a resource failed in a sync that succeeded": {"state": _part(status="SyncFailed")},
    "a hook failed in a sync that succeeded": {"state": _part(status="Synced", hookPhase="Failed")},
    "a hook broke in a sync that succeeded": {"state": _part(status="Synced", hookPhase="Error")},
    "last looked at before the move": {"reconciled": -100},
    "last looked at before the move, by another second": {"reconciled": -101},
    "never looked at": {"reconciled": None},
    "its health is older than its sync": {"state": operation(finished=6)},
    "being deleted": {"meta": {"deletionTimestamp": "2026-03-01T12:00:01Z"}},
    "being deleted while it syncs": {"meta": {"deletionTimestamp": "2026-03-01T12:00:01Z"}, **ASKED},
    "Progressing": {"health": "Progressing"},
    "Degraded": {"health": "Degraded"},
    "Missing": {"health": "Missing"},
    "health Unknown": {"health": "Unknown"},
    "no health": {"health": ""},
    "Suspended": {"health": "Suspended"},
    "an unknown health": {"health": "Fine"},
    "two sources, one at the old commit": {"spec": {"sources": TWO}, "sync": "Synced", "revisions": [NEW, OLD]},
    "two sources, one without a commit": {"spec": {"sources": TWO}, "revisions": [NEW]},
    "two sources without any": {"spec": {"sources": TWO}, "revisions": []},
}  # fmt: skip
# These only make sense for a child: the root of a fleet follows git.
CHILD_STATES: dict[str, dict[str, Any]] = {
    "a chart, last looked at before the move": {"spec": CHART, "revision": "1.2.3", "reconciled": -100},
    "a chart, OutOfSync": {"spec": CHART, "revision": "1.2.3", "sync": "OutOfSync"},
    "given another spec and not looked at since": {"spec": {"project": "other"}, "changed": True},
}


def _app(name: str, how: dict[str, Any]) -> Manifest:
    how = {k: v for k, v in how.items() if k != "changed"}
    revisions = how.pop("revisions", None)
    made = manifest(name, **how, **({} if name == ROOT else {"annotations": made_by(ROOT)}))
    if "sources" in made["spec"]:
        del made["spec"]["source"]
        made["status"]["sync"] = {"status": "Synced", "revisions": revisions if revisions is not None else [OLD, OLD]}
    return made


def _was(name: str, how: dict[str, Any], **more: Any) -> Manifest:
    spec = {} if how.get("changed") else {"spec": how.get("spec", {})}
    return _app(name, {"revision": OLD, "reconciled": -100, "state": operation(revision=OLD, finished=-500), **spec, **more})


def _root(*names: str, **how: Any) -> Manifest:
    return _app(ROOT, {"resources": [*how.pop("resources", []), *(child(name) for name in names)], **how})


def _before(*names: str) -> list[Manifest]:
    return [_was(ROOT, {}, resources=[child(name) for name in names]), *(_was(name, {}) for name in names)]


def _as_child(how: dict[str, Any]) -> tuple[list[Manifest], list[Manifest]]:
    before = [*_before("db")[:1], _was("web", how), _was("db", {})]
    return before, [_root("web", "db"), _app("web", how), _app("db", {})]


def _as_root(how: dict[str, Any]) -> tuple[list[Manifest], list[Manifest]]:
    listed = how.get("resources", [])
    return [_was(ROOT, how), _was("web", {})], [_app(ROOT, {**how, "resources": [*listed, child("web")]}), _app("web", {})]


OTHER_TAG = {"spec": {"source": {"repoURL": "https://git.example.org/acme/gitops.git", "targetRevision": "main"}}}
BLIND = {"revision": "", "sync": "Unknown", "conditions": [("ComparisonError", "connection refused")]}
# Of the whole fleet: (the state at first, the state from the second look on).
FLEETS: dict[str, tuple[list[Manifest], list[Manifest]]] = {
    "no application at all": ([], []),
    "no application follows the tag": ([_app("web", OTHER_TAG)], [_app("web", OTHER_TAG)]),
    "there is no root": (_before("web"), [_app("web", {})]),
    "the root follows something else": (_before("web"), [_root("web", **OTHER_TAG), _app("web", {})]),
    "what the root lists is not there": (_before("web"), [_root("web", "new"), _app("web", {})]),
    "what the root adds is at the old commit": (_before("web"), [_root("web", "new"), _app("web", {}), _app("new", {"revision": OLD})]),
    "what the root dropped is still there": (_before("web", "db"), [_root("db"), _app("db", {}), _app("web", {})]),
    "an application to prune is still there": (_before("web"), [_root(resources=[child("web", pruned=True)]), _app("web", {})]),
    "one is gone without a change in git": ([*_before("web"), _was("lone", {})], [_root("web"), _app("web", {})]),
    "all are blind at once": (_before("a", "b", "c"), [_root("a", "b", "c"), *(_app(n, BLIND) for n in "abc")]),
    "one is worse than it was": ([*_before("db"), _was("web", {}, health="Progressing")], [_root("web", "db"), _app("db", {}), _app("web", {"health": "Degraded"})]),
    "one is degraded as before, at the old commit": (
        [*_before("db"), _was("web", {}, health="Degraded")], [_root("web", "db"), _app("db", {}), _app("web", {"health": "Degraded", "revision": OLD})],
    ),
    "one is OutOfSync as before": ([*_before("db"), _was("web", {}, sync="OutOfSync")], [_root("web", "db"), _app("db", {}), _app("web", {"sync": "OutOfSync"})]),
    "all are as degraded as before": (
        [_was(ROOT, {}, health="Degraded"), _was("web", {}, health="Degraded")], [_root("web", health="Degraded"), _app("web", {"health": "Degraded"})],
    ),
}  # fmt: skip
BACK: dict[str, Any] = {"revision": OLD, "state": operation(revision=OLD)}
# On the way back to the old commit; the first is production before the promotion.
ROLLBACKS: dict[str, tuple[list[Manifest], list[Manifest]]] = {
    "the new commit's sync is retried": (_before("web"), [_root("web", **BACK), _app("web", {"revision": OLD, **ASKED, "state": operation("Running", NEW)})]),
    "an added one is still there": (_before("web"), [_root("web", **BACK), _app("web", BACK), _app("new", BACK)]),
    "a removed one is not back": (_before("web", "db"), [_root("web", "db", **BACK), _app("web", BACK)]),
    "it shows the new commit": (_before("web"), [_root("web", **BACK), _app("web", {})]),
    "one is degraded that was healthy": (_before("web"), [_root("web", **BACK), _app("web", {**BACK, "health": "Degraded"})]),
    "the old commit's sync failed": (_before("web"), [_root("web", **BACK), _app("web", {"revision": OLD, "state": operation("Failed", OLD)})]),
    "as degraded as before, but not refreshed": (
        [_was(ROOT, {}, resources=[child("web")]), _was("web", {}, **{**ASKED, "state": operation("Running", OLD)})],
        [_root("web", **BACK), _app("web", {"revision": OLD, "reconciled": -100, **ASKED, "state": operation("Running", OLD)})],
    ),
}  # fmt: skip


def _plays() -> dict[str, Callable[[], Verdict]]:
    plays: dict[str, Callable[[], Verdict]] = {}
    for name, how in {**STATES, **CHILD_STATES}.items():
        plays[f"child: {name}"] = lambda how=how: _judge(*_as_child(how))  # type: ignore[misc]
    for name, how in STATES.items():
        plays[f"root: {name}"] = lambda how=how: _judge(*_as_root(how))  # type: ignore[misc]
    for name, fleet in FLEETS.items():
        plays[f"fleet: {name}"] = lambda fleet=fleet: _judge(*fleet)  # type: ignore[misc]
    for name, fleet in ROLLBACKS.items():
        plays[f"rollback: {name}"] = lambda fleet=fleet: _judge(*fleet, rollback=True)  # type: ignore[misc]
    return plays


def _judge(before: list[Manifest], after: list[Manifest], *, rollback: bool = False) -> Verdict:
    target = goal(OLD if rollback else NEW, root=ROOT)
    time = Time(T0)
    known = select(map(parse_application, before), target)
    first = [*before, *(m for m in after if m["metadata"]["name"] not in {b["metadata"]["name"] for b in before})] if rollback else before
    return converge(
        Frozen(first, after).argocd(), target, baseline=known, t_before=at(-1), settings=WITH_ROOT,
        deadline=Deadline(PATIENCE_S, time.clock()), rollback=rollback,
    ).verdict  # fmt: skip


PLAYS = _plays()
CRAFTED = len(STATES) + len(CHILD_STATES) + len(FLEETS) + len(ROLLBACKS)
# With nothing wrong all of these are accepted; else accepting none would be easy.
WELL = {
    "a child": lambda: _judge(*_as_child({})),
    "the root": lambda: _judge(*_as_root({})),
    "two sources": lambda: _judge(*_as_child({"spec": {"sources": TWO}, "revisions": [NEW, NEW]})),
    "a chart": lambda: _judge(*_as_child({"spec": CHART, "revision": "1.2.3"})),
    "as degraded as before": lambda: _judge(
        [*_before("db"), _was("web", {}, health="Degraded")], [_root("web", "db"), _app("db", {}), _app("web", {"health": "Degraded"})]
    ),
    "back": lambda: _judge(_before("web"), [_root("web", **BACK), _app("web", BACK)], rollback=True),
}


def run(seed: int, count: int, figures: Figures) -> None:
    """Play number `seed` and the next ones; the numbers begin at 1."""
    for number in range(seed, seed + count):
        name = list(PLAYS)[(number - 1) % len(PLAYS)]
        figures.counts["plays"] += 1
        if PLAYS[name]() is Verdict.PASSED:
            figures.breach(number, f"accepted: {name}")
    for name, play in WELL.items():
        if play() is not Verdict.PASSED:
            figures.breach(0, f"not accepted though well: {name}")
    figures.name = f"R6 stale cluster ({CRAFTED} crafted states)"
    figures.counts["accepted"] = sum("accepted: " in b for b in figures.breaches)


if __name__ == "__main__":
    sys.exit(main(__doc__, run, name="R6 stale cluster", count=len(PLAYS), full=len(PLAYS)))
