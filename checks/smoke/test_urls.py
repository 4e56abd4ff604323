"""Production's own services, asked from the outside as declared in promotion.toml ([[smoke.urls]])."""

import pytest

from promote.checklist import smoke


@pytest.mark.check("smoke-url")
def test_smoke_url(smoke_url, promotion, http, evidence):
    """The service answers as declared: status, body and time."""
    if smoke_url is None:
        raise RuntimeError("no smoke URL is configured, so nobody knows whether production serves; do: add [[smoke.urls]] entries to promotion.toml")
    said = smoke.ask(http, smoke_url, evidence)
    assert not said, said
