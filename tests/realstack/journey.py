"""One promotion in a world of real clusters: a driver with the documented rights and nothing else types commands in a fresh clone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from promote.sandbox.real.cluster import RealCluster
from promote.sandbox.sandbox import Sandbox
from tests.contract.api import Api
from tests.contract.test_rbac import documented
from tests.realstack.seen import Refs, Seen

BIN = Path(sys.executable).parent
USER = "user-0"
Measured = Callable[[str, object], None]


def api_of(cluster: RealCluster) -> Api:
    return Api(cluster.url, cluster.token, str(cluster.access["certificate-authority"]))


def grant(cluster: RealCluster, role: str) -> None:
    """USER has the rights of this role of docs/rbac.md."""
    group = "rbac.authorization.k8s.io"
    cluster.apply({"kind": "ClusterRole", "metadata": {"name": role}, "rules": documented(role)})
    reference, subject = {"apiGroup": group, "kind": "ClusterRole", "name": role}, {"apiGroup": group, "kind": "User", "name": USER}
    cluster.apply({"kind": "ClusterRoleBinding", "metadata": {"name": role}, "roleRef": reference, "subjects": [subject]})


def least_rights(world: Sandbox, folder: Path) -> dict[str, str]:
    """The world's environment with a kubeconfig of USER."""
    grant(world.prod, "promote")
    grant(world.dev, "promote-dev")
    document = yaml.safe_load(Path(world.env["KUBECONFIG"]).read_text())
    document["users"] = [{"name": c.name, "user": {"token": c.tokens[USER]}} for c in (world.prod, world.dev)]
    file = folder / "kubeconfig"
    file.write_text(json.dumps(document))
    return {**world.env, "KUBECONFIG": str(file)}


@dataclass
class Journey:
    """One promotion: the world, the environment of a driver with the documented rights, and a fresh clone."""

    world: Sandbox
    env: dict[str, str]
    clone: Path
    version: str
    seen: Seen
    before: Refs
    degraded: dict[str, str]
    measured: Measured
    broken: dict[str, bytes | None] = field(default_factory=dict)

    def ships(self, files: Mapping[str, bytes | None], message: str = "feat: something new") -> str:
        """A colleague pushes this to the trunk, and the clone has it; what it replaced is put back when the journey is over. The commit."""
        self.broken |= {path: self._now(path) for path in files if path not in self.broken}
        commit = self.world.commit(files, message)
        subprocess.run(["git", "pull", "--quiet"], cwd=self.clone, env=self.env, check=True)
        return commit

    def _now(self, path: str) -> bytes | None:
        done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=self.clone, env=self.env, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def settings(self, *changes: tuple[str, str]) -> None:
        text = self._now("promotion.toml")
        assert text
        for old, new in changes:
            assert old.encode() in text, old
            text = text.replace(old.encode(), new.encode())
        self.ships({"promotion.toml": text}, "chore: other settings")

    def type(self, *argv: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) of a command typed in the clone."""
        started = time.monotonic()
        done = subprocess.run(argv, cwd=self.clone, env=self.env, capture_output=True, text=True, check=False, timeout=250, stdin=subprocess.DEVNULL)
        self.measured("measured", f"{' '.join(argv[:3])}: exit {done.returncode} after {time.monotonic() - started:.1f} s")
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def promote(self, *args: str, outcome: str) -> dict[str, Any]:
        """A command whose JSON document has this outcome."""
        _, out, err = self.type("promote", *args, "--json")
        said: dict[str, Any] = json.loads(out)
        assert said["outcome"] == outcome, (said["reason"], err[-3000:])
        self.measured("measured", ", ".join(f"{s['name']} {s['seconds']}" for s in said.get("steps", ())))
        return said

    def back(self) -> None:
        self.seen.back(self.before, self.degraded)


@contextmanager
def begun(world: Sandbox, env: dict[str, str], version: str, folder: Path, measured: Measured) -> Iterator[Journey]:
    """In a world at rest; afterwards the trunk is as it was."""
    world.refresh()
    world.wait_settled()
    seen = Seen(url=world.git.repository_url, env=world.env, api=api_of(world.prod))
    made = Journey(world, env, world.clone(folder / "clone"), version, seen, seen.refs(), seen.degraded(), measured)
    yield made
    world.git.after_push.clear()
    if made.broken:
        world.commit(made.broken, "fix: as it was")
