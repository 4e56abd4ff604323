"""Productions in which a promotion could not be proven: refused before the move, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.place import deployment
from tests.realstack.field.situation import Ended, Situation
from tests.realstack.field.test_members import ANYTHING, PROJECTS
from tests.realstack.seen import STABLE

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def refused(situation: Situation, *names: str) -> Ended:
    """Promote v1.1.0; it must end before the move and name these."""
    before = situation.seen.refs()
    ended = situation.promote("run", "v1.1.0")
    assert ended.code in (1, 5), ended.text
    assert situation.seen.refs()[STABLE] == before[STABLE], "nothing was moved"
    missing = [name for name in names if name not in ended.text]
    assert not missing, (missing, ended.text)
    return ended


@pytest.fixture
def windowed(situation: Situation) -> Iterator[str]:
    """A project in Argo CD's namespace, for applications in team-a."""
    name = f"team-{situation.name}"
    situation.api.create(PROJECTS, {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": name}, "spec": ANYTHING})
    yield name
    situation.clear()
    situation.api.delete(f"{PROJECTS}/{name}")


def test_a_window_of_a_project_in_argo_cds_own_namespace(situation: Situation, windowed: str) -> None:
    app = situation.app("shop", home="team-a", project=windowed)
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")}, app, namespaces='["argocd", "team-a"]')
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": ["*"]}
    situation.api.patch(f"{PROJECTS}/{windowed}", {"spec": {"syncWindows": [window]}})
    situation.commit({"apps/shop/d.yaml": deployment("shop", image="shop:2")})
    refused(situation, situation.named("shop"), "window")
