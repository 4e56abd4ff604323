"""Every named scenario: `promote demo --scenario NAME`, and the same in the tests. docs/endings.md lists them."""

from __future__ import annotations

from collections.abc import Mapping

from promote.sandbox.scenarios import basics, cluster, history, workflow
from promote.sandbox.scenarios.scenario import Play, Scenario

SCENARIOS: Mapping[str, Scenario] = {**basics.SCENARIOS, **workflow.SCENARIOS, **history.SCENARIOS, **cluster.SCENARIOS}

__all__ = ["SCENARIOS", "Play", "Scenario"]
