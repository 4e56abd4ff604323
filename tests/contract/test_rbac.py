"""The role of docs/rbac.md, held against an API server: it is enough for everything the driver does, and every right in it is needed and named.

The driver's own clients speak here, on purpose: what they ask for is what the role must allow.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.argocd.application_sets import synced_in_steps
from promote.argocd.client import ArgoCD
from promote.core.errors import Denied
from promote.kube import workloads
from promote.kube.client import Kube, connect
from promote.kube.live import LISTS, read_live
from tests.contract.api import ARGO, Api, synced, until
from tests.contract.place import Place, config_map, deployment, refused_service
from tests.contract.test_syncs import waits_for_retry
from tests.contract.worlds import World

Rule = dict[str, Any]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "rbac.md"


def documented(name: str) -> list[Rule]:
    """The rules of a ClusterRole in the documentation: its indented YAML blocks."""
    text = "\n".join(line[4:] if line.startswith("    ") else "" for line in PAGE.read_text().splitlines())
    (role,) = [d for d in yaml.safe_load_all(text.replace("\napiVersion", "\n---\napiVersion")) if d and d["metadata"]["name"] == name]
    return list(role["rules"])


RIGHTS = [(verb, resource) for rule in documented("promote") for resource in rule["resources"] for verb in rule["verbs"]]


def without(rules: list[Rule], verb: str, resource: str) -> list[Rule]:
    """The same rules but for one right."""
    left = []
    for rule in rules:
        for one in rule["resources"]:
            verbs = [v for v in rule["verbs"] if (v, one) != (verb, resource)]
            left += [{**rule, "resources": [one], "verbs": verbs}] if verbs else []
    return left


@dataclass
class Driver:
    """What the driver does in production's cluster, with one user's rights."""

    kube: Kube
    argocd: ArgoCD
    name: str

    def look(self) -> None:
        assert self.name in [a.name for a in self.argocd.applications()]

    def refresh(self) -> None:
        self.argocd.refresh([self._app()])

    def terminate(self) -> None:
        self.argocd.terminate(self._app())

    def sync(self) -> None:
        self.argocd.request_sync(self._app(), who="promote")

    def windows(self) -> None:
        (project,) = self.argocd.projects([self._app()]).values()
        assert (project.name, project.namespace, project.windows) == ("default", "argocd", ())

    def sets(self) -> None:
        """An application whose ApplicationSet is gone is not synced in steps."""
        assert synced_in_steps(self.argocd.kube, [replace(self._app(), owner="absent", auto_sync=False)]) == {}

    def pods(self) -> None:
        assert workloads.pods(self.kube)

    def live(self) -> None:
        """Every kind whose health is computed from live objects. Rollouts are refused or unknown to the cluster, where none are installed."""
        seen = read_live(self.kube.items, LISTS)
        for why in seen.unread.values():
            raise Denied("cluster contract", why, hint="see docs/rbac.md")

    def events(self) -> None:
        workloads.warnings(self.kube, since=datetime.now(UTC) - timedelta(minutes=5))

    def log(self) -> None:
        """A missing log is reported in one sentence, with the reason."""
        pod = next(p for p in workloads.pods(self.kube) if p.name.startswith("web-") and p.phase == "Running")
        said = " ".join(workloads.log_tail(self.kube, pod))
        if "forbidden" in said:
            raise Denied("cluster contract", said, hint="see docs/rbac.md")
        assert "no log" not in said, said

    def _app(self) -> Any:
        return next(a for a in self.argocd.applications() if a.name == self.name)

    def everything(self) -> None:
        steps = (self.look, self.refresh, self.terminate, self.sync, self.windows, self.sets, self.pods, self.live, self.events, self.log)
        for step in steps:
            step()


@pytest.fixture
def user(world: World, worker_id: str) -> str:
    """One of the users without rights, this worker's own; the roles bound to it are gone after each test."""
    return f"user-{3 + int(worker_id.removeprefix('gw') if worker_id != 'master' else 0) % 20}"


@pytest.fixture
def driver(world: World, place: Place, user: str, tmp_path: Path) -> Driver:
    name, _ = place.deployed({"web.yaml": deployment(), "map.yaml": config_map()})
    kube = connect("contract", kubeconfig(tmp_path, world.user(user)), "")
    return Driver(kube, ArgoCD(kube, ["argocd"]), name)


def kubeconfig(folder: Path, api: Api) -> Path:
    cluster = {"server": api.url} | ({"certificate-authority": api.authority} if api.authority else {})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": api.token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path = folder / "least"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def grant(world: World, user: str) -> Iterator[Callable[[list[Rule]], None]]:
    """Binds rules to the user; nothing is left of them afterwards."""
    base, names = "/apis/rbac.authorization.k8s.io/v1", []

    def bind(rules: list[Rule]) -> None:
        name = f"least-{uuid.uuid4().hex[:8]}"
        names.append(name)
        world.api.create(f"{base}/clusterroles", {"metadata": {"name": name}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
        world.api.create(f"{base}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": subjects})
        until(lambda: world.user(user).call("GET", f"{ARGO}/applications/absent")[0] or True, "an answer")

    yield bind
    for name in names:
        world.api.delete(f"{base}/clusterrolebindings/{name}")
        world.api.delete(f"{base}/clusterroles/{name}")
    until(lambda: world.user(user).call("GET", "/api/v1/pods")[0] == 403, "the rights to be gone")
    until(lambda: world.user(user).call("GET", f"{ARGO}/applications")[0] == 403, "the rights to be gone")


def settled(attempt: Callable[[], None]) -> Denied | None:
    """What an attempt ends with once the API server knows the new role (its own watch takes a moment)."""
    try:
        attempt()
    except Denied as error:
        return error
    return None


def test_the_documented_role_is_enough_for_everything(world: World, driver: Driver, grant: Callable[[list[Rule]], None]) -> None:
    assert settled(driver.look) is not None, "without it nothing works"
    grant(documented("promote"))
    until(lambda: settled(driver.look) is None and settled(driver.pods) is None, "the role to be known")
    driver.everything()


@pytest.mark.parametrize(("verb", "resource"), RIGHTS, ids=[f"{v}-{r.replace('/', '-')}" for v, r in RIGHTS])
def test_each_right_is_needed_and_its_absence_is_named(
    world: World, driver: Driver, grant: Callable[[list[Rule]], None], verb: str, resource: str
) -> None:
    rules = without(documented("promote"), verb, resource)
    grant(rules)
    known = [driver.look] if resource != "applications" else [driver.pods]
    until(lambda: all(settled(step) is None for step in known), "the role to be known")
    missing = settled(driver.everything)
    assert missing is not None, "the driver does not need it"
    assert f'cannot {verb} resource "{resource}"' in missing.what
    assert "docs/rbac.md" in (missing.hint or "")


def test_the_role_for_dev_is_enough_to_look_and_refresh(world: World, driver: Driver, grant: Callable[[list[Rule]], None]) -> None:
    grant(documented("promote-dev"))
    until(lambda: settled(driver.look) is None, "the role to be known")
    driver.refresh()
    missing = settled(driver.pods)
    assert missing and 'cannot list resource "pods" in API group "" at the cluster scope' in missing.what


def test_a_stuck_operation_is_ended_with_the_documented_role(world: World, place: Place, driver: Driver, grant: Callable[[list[Rule]], None]) -> None:
    grant(documented("promote"))
    until(lambda: settled(driver.look) is None, "the role to be known")
    place.repo.tag("stable", place.repo.commit({"app/bad.yaml": refused_service()}))
    world.api.refresh(driver.name)
    world.api.wait(driver.name, waits_for_retry)
    until(lambda: not driver._app().in_progress or driver.argocd.terminate(driver._app()), "it to be ended")
    world.api.wait(driver.name, lambda a: a.get("operation") is None)
    mended = place.repo.commit({"app/bad.yaml": None})
    place.repo.tag("stable", mended)
    world.api.wait(driver.name, synced(mended), refresh=True)
