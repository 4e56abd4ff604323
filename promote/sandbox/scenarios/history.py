"""Promotions with a past: the first one ever, a fix over a broken production, an older commit, the same version again, one that is there already."""

from __future__ import annotations

from collections.abc import Mapping

from promote.sandbox import seed
from promote.sandbox.http_server import Fault
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios.basics import GITEA_DOWN, GRAFANA, STABLE, in_production_only
from promote.sandbox.scenarios.scenario import Play, Scenario, both

MESSAGE = "feat(grafana): raise the memory limit"
VELERO_WELL = {"apps/velero/overlays/prod/deployment.yaml": seed.deployment("velero")}
ONE_WAY = b"""# v2.0.0

rollback: unsafe the schema migration has no way back

## What breaks
The old version cannot read the new schema.

## Steps
1. Stop the writers.

## Rollback
There is none: fix forward.
"""


def _never_promoted(sandbox: Sandbox) -> None:
    """As on the first day: no production tag, and a cluster that has nothing but the root application."""
    for ref in sandbox.writer.git("for-each-ref", "--format=%(refname)", "refs/tags/prod-*").splitlines():
        sandbox.writer.git("update-ref", "-d", ref)
    prod = sandbox.prod
    prod.freeze()
    for app in prod.list("Application"):
        prod.controller.sync.remove(app)
    prod.thaw()
    prod.apply(seed.root_application("prod", sandbox.git.repository_url))
    sandbox.commit(VELERO_WELL, "fix(velero): new bucket")


def _broken_by_hand(sandbox: Sandbox) -> None:
    """Last night another user moved the tag by hand to a commit whose homepage crashes."""
    bad = sandbox.commit(in_production_only("homepage", "crash-loop"), "feat(homepage): a start page that does not start")
    sandbox.writer.tag("prod-v1.7.5", bad)
    sandbox.writer.tag("prod-stable", bad, "by hand")
    sandbox.refresh()
    sandbox.wait_settled()


def _hotfix(sandbox: Sandbox) -> None:
    """Last night another user put a hotfix into production that never reached the trunk."""
    stable = sandbox.writer.holds(f"{STABLE}^{{commit}}")
    sandbox.writer.git("update-ref", "refs/heads/hotfix", stable)
    fix = {"apps/vault/base/deployment.yaml": seed.deployment("vault", image="1.17.9")}
    sandbox.writer.tag("prod-stable", sandbox.writer.commit(fix, "fix(vault): by night", "hotfix"), "hotfix")
    sandbox.refresh()
    sandbox.wait_settled()


def _outage_while_promoted(sandbox: Sandbox) -> None:
    """gitea's database is away exactly while the new version is in production."""
    before = sandbox.writer.holds(STABLE)

    def look() -> None:
        sandbox.services.clear_faults()
        if sandbox.writer.holds(STABLE) != before:
            sandbox.services.fault(Fault(kind="status", path="/gitea", status=503))

    sandbox.git.after_push.append(look)


def _mended(sandbox: Sandbox) -> None:
    sandbox.git.after_push.clear()
    sandbox.services.clear_faults()


def _down(sandbox: Sandbox) -> None:
    sandbox.services.fault(Fault(kind="status", path="/gitea", status=503))


def _forward(sandbox: Sandbox) -> None:
    sandbox.commit({"apps/gitea/overlays/prod/service.yaml": seed.service_config("gitea")}, "fix(gitea): finish the migration")


MANY_UNWELL = {"[workflow]": "[baseline]\nmax_unhealthy = 0.3\n\n[workflow]"}

SCENARIOS: Mapping[str, Scenario] = {
    "first-promotion": Scenario(
        "the first promotion: there is no tag and no earlier version to go back to",
        "v1.0.0",
        "verified",
        MESSAGE,
        GRAFANA,
        flags=("--first",),
        before=(
            Play(argv=("run", "v1.0.0"), code=1, happens=_never_promoted, words="production was never promoted to; without --first it is refused"),
            Play(argv=("check", "pre", "v1.0.0", "--first"), code=0, words="could it be shipped as the first one?"),
        ),
    ),
    "first-promotion-fails": Scenario(
        "the first promotion fails, and there is no earlier version: it needs manual action",
        "v1.0.0",
        "stuck",
        "feat(gitea): new database schema",
        GITEA_DOWN,
        flags=("--first",),
        before=(Play(argv=("status",), code=5, happens=_never_promoted, words="production was never promoted to"),),
        after=(Play(argv=("abort",), code=4, words="the tag stays where it is; the lock is released"),),
    ),
    "first-promotion-fallback": Scenario(
        "the first promotion fails and goes back to the commit of --first-fallback",
        "v1.0.0",
        "rolled_back",
        "feat(gitea): new database schema",
        GITEA_DOWN,
        flags=("--first-fallback", "HEAD~1"),
        before=(Play(argv=("status",), code=5, happens=_never_promoted, words="production was never promoted to"),),
    ),
    "fix-forward": Scenario(
        "production is already broken, and the fix is promoted",
        "v1.8.0",
        "verified",
        "fix(homepage): it starts",
        {"apps/homepage/overlays/prod/deployment.yaml": seed.deployment("homepage", image="2.0.1")},
        before=(Play(argv=("status",), code=1, happens=_broken_by_hand, words="last night another user moved the tag by hand"),),
        settings=MANY_UNWELL,
    ),
    "downgrade": Scenario(
        "production runs a hotfix that is not on the trunk, and --downgrade removes it on purpose",
        "v1.8.0",
        "verified",
        "",
        {},
        flags=("--downgrade",),
        before=(
            Play(
                argv=("run", "v1.8.0"),
                code=1,
                happens=both(_hotfix, lambda s: s.commit(GRAFANA, MESSAGE)),
                words="last night a hotfix went into production past the trunk",
            ),
        ),
    ),
    "again": Scenario(
        "a version that was rolled back because of an external outage is promoted again",
        "v1.8.0",
        "verified",
        "",
        {},
        flags=("--again",),
        before=(
            Play(
                argv=("run", "v1.8.0"),
                code=3,
                happens=both(_outage_while_promoted, lambda s: s.commit(GRAFANA, MESSAGE)),
                words="gitea's database is away for as long as v1.8.0 is in production",
            ),
            Play(argv=("run", "v1.8.0"), code=1, happens=_mended, words="the database is back; without --again the version is refused"),
        ),
    ),
    "already-there": Scenario(
        "the version is already in production: nothing to do if that is verified, otherwise reported",
        "v1.8.0",
        "verified",
        MESSAGE,
        GRAFANA,
        after=(
            Play(argv=("run", "v1.8.0"), code=0, words="once more"),
            Play(argv=("run", "v1.8.0"), code=1, happens=_down, words="once more, while gitea does not answer"),
        ),
    ),
    "unsafe-rollback": Scenario(
        "the migration plan forbids a rollback: after a failure the tag stays",
        "v2.0.0",
        "stuck",
        "feat(gitea)!: new database schema",
        {**GITEA_DOWN, "migrations/v2.0.0.md": ONE_WAY},
        after=(
            Play(argv=("abort",), code=4, words="giving up would go back, so it is not done"),
            Play(argv=("abort", "--keep"), code=4, words="the tag stays, the lock is released, and production is fixed forward"),
            Play(argv=("run", "v2.0.1"), code=0, happens=_forward, words="a colleague finishes the migration"),
        ),
    ),
}
