"""Named situations: what a colleague pushed, and what goes wrong on the way. `prepare` makes it so and answers the version to promote."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from promote.sandbox import seed
from promote.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Scenario:
    """`outcome` is how the promotion should end; `files` is the commit; `meanwhile` acts while it runs."""

    what: str
    version: str
    outcome: str
    message: str
    files: Mapping[str, bytes]
    meanwhile: Callable[[Sandbox], None] | None = None

    def prepare(self, sandbox: Sandbox) -> str:
        """Push the commit and let whatever happens meanwhile begin."""
        sandbox.commit(self.files, self.message)
        if self.meanwhile:
            self.meanwhile(sandbox)
        return self.version


def _somebody_moves_the_tag(sandbox: Sandbox) -> None:
    """A second after the stable tag was pushed, somebody else puts it somewhere else."""
    before, once = sandbox.writer.holds("refs/tags/prod-stable"), threading.Lock()

    def look() -> None:
        if sandbox.writer.holds("refs/tags/prod-stable") not in (before, "") and once.acquire(blocking=False):
            sandbox.meanwhile(move)

    def move() -> None:
        if not sandbox.git.stopping.wait(1.0):
            sandbox.writer.tag("prod-stable", sandbox.writer.holds("refs/tags/prod-v1.7.3^{commit}"), "hotfix by hand")

    sandbox.git.after_push.append(look)


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
        "dev is not well with the candidate",
        "v1.8.1",
        "refused",
        "feat(homepage): a start page that does not start",
        {"apps/homepage/base/deployment.yaml": seed.deployment("homepage", image="1.0.0", behaviour="crash-loop")},
    ),
    "superseded": Scenario(
        "somebody else moves the tag by hand right after us",
        "v1.8.2",
        "superseded",
        "fix(immich): thumbnails",
        {"apps/immich/base/deployment.yaml": seed.deployment("immich", image="1.113.0")},
        _somebody_moves_the_tag,
    ),
}
