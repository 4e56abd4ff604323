"""A suite that is undetermined after the move: asked again for `promotion.patience`, and observers alone never send a healthy production back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promote.checklist.policy import Policy
from promote.checklist.registry import on_undetermined
from promote.config.schema import Promotion, Settings
from promote.config.schema_checklist import Checklist, OnUndetermined
from promote.core.deadline import Clock
from promote.core.model import CheckResult, SuiteResult, Verdict
from promote.promotion.context import Dependencies, Moved, PromotionContext, StepStatus, Tracked
from promote.promotion.steps import failing, judged, until_determined
from tests.support.production import SETTINGS
from tests.support.silent_report import Silent


def said(**verdicts: Verdict) -> SuiteResult:
    """A post suite with these checks, six seconds long."""
    checks = tuple(CheckResult(id=name.replace("_", "-"), suite="post", verdict=verdict) for name, verdict in verdicts.items())
    return SuiteResult(suite="post", verdict=Verdict.worst(verdicts.values()), checks=checks, seconds=6.0)


UNDETERMINED, WELL = said(promql=Verdict.ERRORED, alerts=Verdict.PASSED), said(promql=Verdict.PASSED, alerts=Verdict.PASSED)


class Place:
    """A promotion whose suite answers what it is given, six simulated seconds each time."""

    def __init__(self, folder: Path, *answers: SuiteResult, patience: float = 60.0, moved: Moved = Moved.YES) -> None:
        self.seconds, self.answers, self.asked, self.report = 0.0, list(answers), 0, Silent()
        clock = Clock(monotonic=lambda: self.seconds, sleep=self._pass)
        settings = replace(SETTINGS, root=folder, promotion=Promotion(patience=patience))  # type: ignore[arg-type]
        deps = Dependencies(settings=settings, git=None, report=self.report, production=None, forge=None, who="test", clock=clock)  # type: ignore[arg-type]
        nothing: Any = None
        self.run = PromotionContext(deps=deps, target=nothing, version=nothing, request_id="r", journal=nothing, tracked=Tracked(moved=moved))

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds

    def _again(self) -> SuiteResult:
        self.asked += 1
        self._pass(6.0)
        return self.answers.pop(0) if self.answers else UNDETERMINED

    def settled(self, first: SuiteResult = UNDETERMINED) -> SuiteResult:
        return until_determined(self.run, first, self._again)


def test_a_suite_that_becomes_determined_is_judged_by_that(tmp_path: Path) -> None:
    place = Place(tmp_path, UNDETERMINED, WELL)
    assert place.settled().verdict is Verdict.PASSED
    assert place.asked == 2


def test_a_failure_that_shows_while_it_is_asked_again_counts_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path, said(promql=Verdict.ERRORED, pods_running=Verdict.FAILED))
    assert place.settled().verdict is Verdict.FAILED
    assert place.asked == 1


def test_it_is_asked_until_patience_is_over_and_the_time_is_named(tmp_path: Path) -> None:
    place = Place(tmp_path)
    result = place.settled()
    assert result.verdict is Verdict.ERRORED
    assert place.asked == 4 and 60.0 <= place.seconds < 80.0
    assert failing(result) == f"post suite: promql: could not be determined for {6 + place.seconds:.0f} s"


@pytest.mark.parametrize("first", [WELL, said(promql=Verdict.ERRORED, pods_running=Verdict.FAILED)], ids=["passed", "failed"])
def test_what_is_decided_is_not_asked_again(tmp_path: Path, first: SuiteResult) -> None:
    place = Place(tmp_path)
    assert place.settled(first) is first
    assert place.asked == 0


@pytest.mark.parametrize("how", [{"patience": 0.0}, {"moved": Moved.NO}], ids=["without patience", "nothing was moved"])
def test_where_nothing_is_to_be_decided_it_is_not_waited_for(tmp_path: Path, how: dict[str, Any]) -> None:
    place = Place(tmp_path, **how)
    assert place.settled() is UNDETERMINED
    assert place.asked == 0


def _settings(*given: tuple[str, str], on_unknown: str = "rollback") -> Settings:
    table = Checklist(on_undetermined=[OnUndetermined(id=check, action=action) for check, action in given])
    return replace(SETTINGS, promotion=Promotion(on_unknown=on_unknown), checklist=table)


@pytest.mark.parametrize("observer", ["promql[errors]", "alerts", "events"])
def test_an_undetermined_observer_leaves_the_tag_in_place(observer: str) -> None:
    result = SuiteResult(
        suite="post", verdict=Verdict.ERRORED, checks=(CheckResult(id=observer, suite="post", verdict=Verdict.ERRORED),), seconds=1.0
    )
    decided = judged(result, _settings())
    assert (decided.status, decided.hold) == (StepStatus.ERRORED, True)
    assert "promote resume" in decided.hint


@pytest.mark.parametrize(
    "own",
    ["applications-synced", "applications-healthy", "workloads-updated", "pods-running", "stable-still-ours", "smoke-url[shop]", "our-own-check"],
)
@pytest.mark.parametrize(("on_unknown", "hold"), [("rollback", False), ("hold", True)])
def test_productions_own_checks_follow_the_setting_also_beside_an_observer(own: str, on_unknown: str, hold: bool) -> None:
    checks = tuple(CheckResult(id=name, suite="post", verdict=Verdict.ERRORED) for name in ("promql[errors]", own))
    assert judged(SuiteResult(suite="post", verdict=Verdict.ERRORED, checks=checks, seconds=1.0), _settings(on_unknown=on_unknown)).hold is hold


def test_a_failed_check_is_decided_as_ever() -> None:
    decided = judged(said(promql=Verdict.ERRORED, pods_running=Verdict.FAILED), _settings())
    assert (decided.status, decided.hold) == (StepStatus.FAILED, None)


def test_the_settings_override_one_query_and_all_of_them() -> None:
    settings = _settings(("promql", "rollback"), ("promql[errors]", "warning"), ("pods-running", "hold"))
    asked = ("promql[latency]", "promql[errors]", "pods-running", "alerts", "grafana", "events")
    assert [on_undetermined(check, settings) for check in asked] == ["rollback", "warning", "hold", "hold", "warning", "hold"]


def test_grafana_is_advice_and_an_undetermined_observer_is_no_part_of_a_proven_rollback() -> None:
    after, back = Policy.of(_settings()), Policy.of(_settings(), back=True)
    both = (Verdict.FAILED, Verdict.ERRORED)
    assert [after.stands("grafana", verdict, "x")[0] for verdict in both] == [Verdict.WARNING, Verdict.WARNING]
    assert [after.stands("events", verdict, "x")[0] for verdict in both] == [Verdict.FAILED, Verdict.ERRORED]
    assert [back.stands("events", verdict, "x")[0] for verdict in both] == [Verdict.FAILED, Verdict.WARNING]
    assert [back.stands("pods-running", verdict, "x")[0] for verdict in both] == [Verdict.FAILED, Verdict.ERRORED]


def test_an_override_makes_grafana_count_and_another_check_advice_while_it_is_undetermined() -> None:
    policy = Policy.of(_settings(("grafana", "rollback"), ("promql[errors]", "warning")))
    both = (Verdict.FAILED, Verdict.ERRORED)
    assert [policy.stands("grafana", verdict, "x")[0] for verdict in both] == [Verdict.FAILED, Verdict.ERRORED]
    assert [policy.stands("promql[errors]", verdict, "x")[0] for verdict in both] == [Verdict.FAILED, Verdict.WARNING]
    assert policy.stands("promql[latency]", Verdict.ERRORED, "x")[0] is Verdict.ERRORED
