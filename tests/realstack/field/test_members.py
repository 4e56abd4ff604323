"""Applications that belong to production although they are easily overlooked."""

from __future__ import annotations

import json

import pytest

from tests.contract.place import deployment, dump, refused_service
from tests.realstack.field.situation import Situation

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def test_a_child_in_another_namespace_is_named_before_the_move(situation: Situation, project: str) -> None:
    """The root lists a child in team-a, and prod.namespaces is the default. The version breaks that child."""
    child, front = situation.app("shop", home="team-a", project=project), situation.app("front")
    root = situation.app("root", "argocd/prod", destination={"server": "https://kubernetes.default.svc", "namespace": "argocd"})
    files = {"apps/shop/d.yaml": deployment("shop", image="shop:1"), "argocd/prod/shop.yaml": dump(child), "argocd/prod/front.yaml": dump(front)}
    situation.begin(files, root, root=situation.named("root"))
    situation.made += [("argocd", "applications", situation.front), ("team-a", "applications", situation.named("shop"))]
    situation.rest(situation.named("shop"), "team-a")
    before = situation.seen.refs()
    situation.commit({"apps/shop/d.yaml": refused_service()})
    ended = situation.promote("run", "v1.1.0")
    assert ended.code == 5, ended.text
    assert situation.seen.refs()["refs/tags/prod-stable"] == before["refs/tags/prod-stable"]
    assert "team-a" in ended.text and situation.named("shop") in ended.text


def test_another_spelling_of_the_repository_is_the_same(situation: Situation) -> None:
    """One application reads the repository under another name of its host. The version breaks it."""
    alias = situation.url.replace("127.0.0.1", "localhost")
    app = situation.app("shop", source={"repoURL": alias, "targetRevision": "prod-stable", "path": "apps/shop"})
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")}, app)
    situation.commit({"apps/shop/d.yaml": refused_service(), "apps/front/deployment.yaml": deployment(situation.front, image="front:2")})
    ended = situation.promote("run", "v1.1.0")
    assert ended.outcome != "verified", ended.text
    assert situation.named("shop") in ended.text


def test_a_hydration_that_fails_is_not_verified(situation: Situation) -> None:
    """Argo CD's source hydrator follows the tag; it cannot push what it renders, because no commit server runs here."""
    situation.begin({"apps/shop/d.yaml": deployment("shop", image="shop:1")})
    base = situation.writer.git("rev-parse", "main")
    situation.writer.git("update-ref", "refs/heads/env/prod", base)
    note = json.dumps({"drySha": base}).encode()
    hydrated = {"shop/manifest.yaml": deployment("shop", image="shop:1"), "hydrator.metadata": note, "shop/hydrator.metadata": note}
    situation.writer.commit(hydrated, "hydrated", branch="env/prod")
    hydrator = {"drySource": situation.source("apps/shop"), "syncSource": {"targetBranch": "env/prod", "path": "shop"}}
    situation.create(situation.app("shop", sourceHydrator=hydrator))
    situation.rest(situation.named("shop"))
    situation.commit({"apps/shop/d.yaml": deployment("shop", image="shop:2")})
    ended = situation.promote("run", "v1.1.0")
    assert ended.outcome != "verified", ended.text
    assert situation.named("shop") in ended.text
