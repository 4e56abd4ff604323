"""What may differ between the candidate and the commit dev shows."""

from __future__ import annotations

import pytest

from promote.checklist.dev import harmless


@pytest.mark.parametrize(
    ("path", "yes"),
    [
        (".promotions/prod-v1.json", True),
        ("docs/promotion.md", True),
        ("CHANGELOG.md", True),
        ("apps/grafana/base/deployment.yaml", False),
        ("apps/grafana/README.md", False),
        ("common/labels.yaml", False),
        ("values/prod.json", False),
    ],
)
def test_only_what_no_application_can_render_is_harmless(path: str, yes: bool) -> None:
    assert harmless(path, {"apps", "argocd"}, ".promotions") is yes


def test_nothing_is_harmless_when_an_application_renders_the_whole_repository() -> None:
    assert not harmless("docs/promotion.md", {"."}, ".promotions")
    assert harmless(".promotions/prod-v1.json", {"."}, ".promotions")
