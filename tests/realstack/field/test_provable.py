"""Productions in which a promotion could not be proven: refused before the move, with the reason."""

from __future__ import annotations

import pytest

from tests.contract.place import deployment
from tests.realstack.field.situation import PROJECTS, Ended, Situation
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


def test_a_window_of_a_project_in_argo_cds_own_namespace(situation: Situation, project: str) -> None:
    app = situation.app("shop", home="team-a", project=project)
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")}, app, namespaces='["argocd", "team-a"]')
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": ["*"]}
    situation.api.patch(f"{PROJECTS}/{project}", {"spec": {"syncWindows": [window]}})
    situation.commit({"apps/shop/d.yaml": deployment("shop", image="shop:2")})
    refused(situation, situation.named("shop"), "window")
