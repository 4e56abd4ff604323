"""The basic scenarios: a good promotion, failures that heal themselves, refusals, and other users who move the tag."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from promote.sandbox import seed
from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios.scenario import Play, Scenario, both, once_moved, once_there

STABLE = "refs/tags/prod-stable"


def _somebody_moves_the_tag(sandbox: Sandbox) -> None:
    """A second after the stable tag was pushed, another user moves it elsewhere."""

    def move() -> None:
        if not sandbox.git.stopping.wait(1.0):
            sandbox.writer.tag("prod-stable", sandbox.writer.holds("refs/tags/prod-v1.7.3^{commit}"), "hotfix by hand")

    once_moved(sandbox, lambda: sandbox.meanwhile(move))


def _soon_after(act: Callable[[Sandbox], object]) -> Callable[[Sandbox], None]:
    def prepare(sandbox: Sandbox) -> None:
        def later() -> None:
            if not sandbox.git.stopping.wait(0.5):
                act(sandbox)

        once_moved(sandbox, lambda: sandbox.meanwhile(later))

    return prepare


def _before(act: Callable[[Sandbox], object]) -> Callable[[Sandbox], None]:
    """While the checks still run: in the moment that the lock is taken."""
    return lambda sandbox: once_there(sandbox, "refs/promote/lock", lambda: act(sandbox))


def _elsewhere(sandbox: Sandbox) -> None:
    sandbox.writer.tag("prod-stable", sandbox.writer.holds("refs/tags/prod-v1.7.3^{commit}"), "hotfix by hand")


def _deleted(sandbox: Sandbox) -> None:
    sandbox.writer.git("update-ref", "-d", STABLE)


def _shadowed(sandbox: Sandbox) -> None:
    sandbox.writer.git("update-ref", "refs/heads/prod-stable", sandbox.writer.holds("refs/heads/main"))


def _dev_tag_elsewhere(sandbox: Sandbox) -> None:
    """In the moment that the dev tag is pushed, a colleague puts it on an older commit."""

    def move() -> None:
        sandbox.writer.tag("dev-v1.8.3", sandbox.writer.holds("refs/heads/main~1"), "that is what I meant")

    once_there(sandbox, "refs/tags/dev-v1.8.3", move)


def _busy_trunk(sandbox: Sandbox) -> None:
    """Colleagues push documents to the trunk all the time."""

    def push() -> None:
        count = threading.local()
        count.n = 0
        while not sandbox.git.stopping.wait(0.7):
            count.n += 1
            sandbox.commit({"docs/diary.md": b"entry %d\n" % count.n}, f"docs: diary, entry {count.n}")

    sandbox.meanwhile(push)


def _moved(sandbox: Sandbox) -> bool:
    return bool(sandbox.writer.holds("refs/tags/prod-v1.8.4"))


def _tagged_before(sandbox: Sandbox) -> None:
    """A colleague tagged the version yesterday; the trunk has one more commit since."""
    sandbox.commit(GRAFANA, "feat(grafana): raise the memory limit")
    sandbox.writer.tag("dev-v1.8.0", sandbox.writer.holds("refs/heads/main"), "Dev release v1.8.0")


def _numbered_twice(sandbox: Sandbox) -> None:
    sandbox.writer.tag("prod-v1.8.0", sandbox.writer.holds("refs/tags/prod-v1.7.2^{commit}"), "another v1.8.0")
    sandbox.commit(GRAFANA, "feat(grafana): raise the memory limit")


GITEA_DOWN = {"apps/gitea/overlays/prod/service.yaml": seed.service_config("gitea", status=503, body="db migration pending")}
GRAFANA = {"apps/grafana/base/deployment.yaml": seed.deployment("grafana", memory="512Mi")}
IMMICH = {"apps/immich/base/deployment.yaml": seed.deployment("immich", image="1.113.0")}
PROD_ONLY = b"resources:\n- deployment.yaml\n- service.yaml\n"


def plan(version: str, breaks: str) -> dict[str, bytes]:
    """The migration plan that a version needs which takes something away."""
    text = f"# {version}\n\n## What breaks\n\n{breaks}\n\n## Steps\n\n1. Inform its users.\n\n## Rollback\n\nThe tag goes back.\n"
    return {f"migrations/{version}.md": text.encode()}


def in_production_only(name: str, behaviour: str) -> dict[str, bytes]:
    """A Deployment that is healthy on dev and shows `behaviour` in production."""
    folder = f"apps/{name}/overlays/prod"
    return {f"{folder}/deployment.yaml": seed.deployment(name, image="2.0.0", behaviour=behaviour), f"{folder}/kustomization.yaml": PROD_ONLY}


SCENARIOS: Mapping[str, Scenario] = {
    "good": Scenario(
        "a good promotion",
        "v1.8.0",
        "verified",
        "feat(grafana): raise the memory limit",
        {
            "apps/grafana/base/deployment.yaml": seed.deployment("grafana", memory="512Mi"),
            "apps/vault/base/deployment.yaml": seed.deployment("vault", image="1.18.0"),
        },
    ),
    "smoke-fails": Scenario(
        "gitea starts, but answers 503 in production",
        "v1.9.0",
        "rolled_back",
        "feat(gitea): new database schema",
        {
            "apps/gitea/base/deployment.yaml": seed.deployment("gitea", image="1.23.0"),
            "apps/gitea/overlays/prod/service.yaml": seed.service_config("gitea", status=503, body="db migration pending"),
        },
    ),
    "precheck-fails": Scenario(
        "an application in dev is unhealthy with the candidate",
        "v1.8.1",
        "refused",
        "feat(homepage): a start page that does not start",
        {"apps/homepage/base/deployment.yaml": seed.deployment("homepage", image="1.0.0", behaviour="crash-loop")},
    ),
    "superseded": Scenario(
        "another user moves the tag by hand right after our move",
        "v1.8.2",
        "superseded",
        "fix(immich): thumbnails",
        {"apps/immich/base/deployment.yaml": seed.deployment("immich", image="1.113.0")},
        _somebody_moves_the_tag,
    ),
    "superseded-before": Scenario(
        "another user moves the tag while the checks still run",
        "v1.8.2",
        "superseded",
        "fix(immich): thumbnails",
        IMMICH,
        _before(_elsewhere),
    ),
    "superseded-deleted": Scenario(
        "another user deletes production's tag during verification", "v1.8.2", "superseded", "fix(immich): thumbnails", IMMICH, _soon_after(_deleted)
    ),
    "superseded-shadowed": Scenario(
        "another user pushes a branch named like production's tag: Argo CD follows either",
        "v1.8.2",
        "superseded",
        "fix(immich): thumbnails",
        IMMICH,
        _soon_after(_shadowed),
    ),
    "dev-tag-recreated": Scenario(
        "another user re-creates the dev tag between the checks and the move",
        "v1.8.3",
        "superseded",
        "fix(immich): thumbnails",
        IMMICH,
        _dev_tag_elsewhere,
    ),
    "app-degrades": Scenario(
        "immich crashes in production only",
        "v2.0.0",
        "rolled_back",
        "feat(immich): 2.0",
        in_production_only("immich", "crash-loop"),
    ),
    "main-moves": Scenario(
        "other users push documents to the trunk all the time", "v1.8.0", "verified", "feat(grafana): raise the memory limit", GRAFANA, _busy_trunk
    ),
    "tag-exists": Scenario(
        "the dev tag exists at another commit: the tagged one is promoted",
        "v1.8.0",
        "verified",
        "",
        {},
        flags=("--tagged",),
        before=(
            Play(
                argv=("run", "v1.8.0"),
                code=2,
                happens=both(_tagged_before, lambda s: s.commit({"docs/velero.md": b"# velero\n"}, "docs: shorter")),
                words="yesterday a colleague tagged dev-v1.8.0; the trunk has one more commit since",
            ),
        ),
    ),
    "tag-recreated": Scenario(
        "the dev tag exists at another commit: it is moved to HEAD",
        "v1.8.0",
        "verified",
        "fix(immich): thumbnails",
        IMMICH,
        flags=("--recreate-dev",),
        before=(Play(argv=("status",), code=1, happens=_tagged_before, words="yesterday a colleague tagged dev-v1.8.0"),),
    ),
    "prod-tag-exists": Scenario(
        "the prod tag of the version exists at another commit: replaced only with --recreate-prod",
        "v1.8.0",
        "verified",
        "",
        {},
        flags=("--recreate-prod",),
        before=(Play(argv=("run", "v1.8.0"), code=1, happens=_numbered_twice, words="last year another user created prod-v1.8.0 at another commit"),),
    ),
    "rules-forbid": Scenario(
        "a ruleset forbids moving production's tag, and so also the rollback: detected before the move",
        "v1.8.0",
        "refused",
        "feat(grafana): raise the memory limit",
        GRAFANA,
        lambda s: s.protect(STABLE),
    ),
    "rollback-refused": Scenario(
        "a ruleset that is added after the move refuses the rollback: an administrator must lift it",
        "v1.9.0",
        "stuck",
        "feat(gitea): new database schema",
        GITEA_DOWN,
        lambda s: once_moved(s, lambda: s.protect(STABLE)),
        after=(Play(argv=("resume",), code=3, happens=lambda s: s.protect(), words="an administrator lifts the rule"),),
    ),
    "interrupt": Scenario(
        "the user presses Ctrl-C right after the tag has moved", "v1.8.4", "rolled_back", "fix(immich): thumbnails", IMMICH, stop_when=_moved
    ),
}
