"""Production's own services, requested from outside as declared in promotion.toml ([[smoke.urls]])."""

import pytest

from promote.checks import Undetermined, smoke_url_problem


@pytest.mark.check("smoke-url")
def test_smoke_url(smoke_url, promotion, http, evidence):
    """The service answers as declared: status, body and time."""
    if smoke_url is None:
        raise Undetermined(
            "no smoke URL is configured, so it is unknown whether production serves requests", hint="add [[smoke.urls]] entries to promotion.toml"
        )
    wrong = smoke_url_problem(http, smoke_url, evidence)
    assert not wrong, wrong
