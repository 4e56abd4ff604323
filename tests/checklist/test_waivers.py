"""Waivers and the policy: who may let which check fail, for how long, and what never."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from promote.checklist.policy import Policy, known_checks, validate
from promote.checklist.registry import CHECKS, limit_of, protected_checks
from promote.checklist.waivers import Waiver, given
from promote.config.reader import settings_from
from promote.config.schema import Settings
from promote.core.errors import UsageError
from promote.core.model import Verdict

DAY = date(2026, 12, 1)
ENTRY = {"id": "dev-converged", "reason": "dev is being moved", "author": "Ada", "until": DAY}
TYPED = Waiver(id="version-new", reason="retagged", author="Grace")


def settings(**more: object) -> Settings:
    return settings_from(more, Path("/nowhere"))


def test_a_typed_waiver_needs_a_reason_and_stands_once() -> None:
    assert given(["a=b = c"], "Ada") == (Waiver(id="a", reason="b = c", author="Ada"),)
    for bad in (["a"], ["a="], ["=b"], ["a= "], ["a=1", "a=2"]):
        with pytest.raises(UsageError):
            given(bad, "Ada")


@pytest.mark.parametrize(("today", "verdict"), [(date(2026, 11, 30), "waived"), (DAY, "waived"), (date(2026, 12, 2), "failed")])
def test_a_declared_waiver_counts_through_its_last_day(today: date, verdict: str) -> None:
    stands, detail = Policy.of(settings(waivers=[ENTRY]), today=today).stands("dev-converged", Verdict.FAILED, "homepage: Degraded")
    assert stands.value == verdict
    assert "Ada" in detail and "dev is being moved" in detail and "homepage: Degraded" in detail


def test_what_could_not_be_judged_can_be_waived_and_a_pass_stays_a_pass() -> None:
    policy = Policy.of(settings(), (TYPED,))
    assert policy.stands("version-new", Verdict.ERRORED, "x")[0] is Verdict.WAIVED
    assert policy.stands("version-new", Verdict.PASSED, "") == (Verdict.PASSED, "")
    assert policy.stands("version-new[a]", Verdict.FAILED, "x")[0] is Verdict.FAILED, "one check of many is waived by its own name"


def test_a_warning_does_not_block() -> None:
    policy = Policy.of(settings(checklist={"advisory": ["smoke-url"]}))
    assert policy.stands("smoke-url[a]", Verdict.FAILED, "503") == (Verdict.WARNING, "503")


@pytest.mark.parametrize("check", sorted(protected_checks()))
def test_what_protects_the_tag_counts_whatever_was_decided(check: str) -> None:
    entry = {**ENTRY, "id": check}
    decided = settings(waivers=[entry], checklist={"advisory": [check], "disabled": [{"id": check, "reason": "x"}]})
    policy = Policy.of(decided, (Waiver(id=check, reason="x", author="Ada"),), today=DAY)
    assert policy.stands(check, Verdict.FAILED, "no") == (Verdict.FAILED, "no")
    for wrong in (
        settings(waivers=[entry]),
        settings(checklist={"advisory": [check]}),
        settings(checklist={"disabled": [{"id": check, "reason": "x"}]}),
        settings(checklist={"on_undetermined": [{"id": check, "action": "warning"}]}),
    ):
        with pytest.raises(UsageError, match="protects the tag"):
            validate(wrong)
    with pytest.raises(UsageError, match="protects the tag"):
        validate(settings(), (Waiver(id=check, reason="x", author="Ada"),))


def test_a_check_that_waits_for_programs_has_their_time_besides_its_own() -> None:
    limits = {check: limit_of(check, settings(manifests={"timeout": "40s"})) for check in ("candidate", "tests-passed", "manifests", "way-back")}
    assert limits == {"candidate": 60, "tests-passed": 660, "manifests": 140, "way-back": 140}


def test_protocols_checks_are_the_protected_ones() -> None:
    wanted = {"candidate", "trunk", "policy-unchanged", "stable-tag", "no-other-promotion", "stable-still-ours"}
    drivers = {spec.id for spec in CHECKS if spec.suite in ("during", "after")}
    assert protected_checks() == wanted | drivers


def test_a_misspelt_check_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        validate(settings(waivers=[{**ENTRY, "id": "dev-convergd"}]))
    assert "dev-converged" in error.value.hint
    (tmp_path / "checks" / "pre").mkdir(parents=True)
    (tmp_path / "checks" / "pre" / "test_own.py").write_text('@pytest.mark.check("licence-paid")\ndef test_x(): ...\n')
    own = settings_from({"checklist": {"advisory": ["licence-paid"]}}, tmp_path)
    assert "licence-paid" in known_checks(own)
    validate(own)


RULES = {"prometheus": {"url": "http://p", "queries": [{"name": "errors", "query": "up", "expect": "== 1"}]}}
URLS = {"smoke": {"urls": [{"name": "vault", "url": "http://v/"}]}}


@pytest.mark.parametrize(
    ("check", "there"),
    [
        ("promql[errors]", True),
        ("promql[errosr]", False),
        ("promql", False),
        ("smoke-url[vault]", True),
        ("smoke-url[vaul]", False),
        ("smoke-url", False),
        ("tests-passed[x]", False),
        ("checks/pre/test_own.py::test_y", True),
        ("checks/pre/test_gone.py::test_y", False),
        ("licence-paid[eu]", True),
    ],
)
def test_a_check_that_stands_several_times_is_waived_by_its_own_name(tmp_path: Path, check: str, there: bool) -> None:
    (tmp_path / "checks" / "pre").mkdir(parents=True)
    (tmp_path / "checks" / "pre" / "test_own.py").write_text('@pytest.mark.check("licence-paid")\ndef test_x(): ...\n')
    here = settings_from({**RULES, **URLS}, tmp_path)
    waiver = (Waiver(id=check, reason="x", author="Ada"),)
    if there:
        validate(here, waiver)
    else:
        with pytest.raises(UsageError, match="there is no check"):
            validate(here, waiver)


@pytest.mark.parametrize("check", ["promql[errors]", "smoke-url[vault]", "licence-paid"])
def test_what_the_repository_declares_itself_is_not_put_off_but_taken_away(tmp_path: Path, check: str) -> None:
    """It would run all the same: the entry would look like a decision and be none."""
    (tmp_path / "checks" / "pre").mkdir(parents=True)
    (tmp_path / "checks" / "pre" / "test_own.py").write_text('@pytest.mark.check("licence-paid")\ndef test_x(): ...\n')
    with pytest.raises(UsageError, match="is this repository's own"):
        validate(settings_from({**RULES, **URLS, "checklist": {"disabled": [{"id": check, "reason": "x"}]}}, tmp_path))
    validate(settings_from(RULES, tmp_path), (Waiver(id="smoke-url[not configured]", reason="no service yet", author="Ada"),))
    validate(settings_from({**RULES, **URLS, "checklist": {"advisory": ["promql", "smoke-url", "licence-paid"]}}, tmp_path))
    after = [{"id": name, "action": "hold"} for name in ("promql", "promql[errors]", "smoke-url", "pods-running")]
    validate(settings_from({**RULES, **URLS, "checklist": {"on_undetermined": after}}, tmp_path))


@pytest.mark.parametrize(
    ("check", "why"), [("manifests", "not asked after the move"), ("licence-paid", "not asked after the move"), ("promqll", "promqll")]
)
def test_a_rule_for_an_undetermined_check_names_one_that_is_asked_after_the_move(tmp_path: Path, check: str, why: str) -> None:
    (tmp_path / "checks" / "pre").mkdir(parents=True)
    (tmp_path / "checks" / "pre" / "test_own.py").write_text('@pytest.mark.check("licence-paid")\ndef test_x(): ...\n')
    with pytest.raises(UsageError, match=why):
        validate(settings_from({"checklist": {"on_undetermined": [{"id": check, "action": "warning"}]}}, tmp_path))


@pytest.mark.parametrize(
    "entry", [{**ENTRY, "reason": " "}, {**ENTRY, "author": ""}, {k: v for k, v in ENTRY.items() if k != "until"}, {**ENTRY, "until": "soon"}]
)
def test_a_declared_waiver_names_reason_author_and_last_day(entry: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        settings(waivers=[entry])
    assert settings(waivers=[{**ENTRY, "until": "2026-12-01"}]).waivers[0].until == DAY


def test_a_waiver_that_has_ended_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError) as error:
        validate(settings(waivers=[{**ENTRY, "until": date(2020, 1, 31)}]))
    assert "ended on 2020-01-31" in error.value.what and ENTRY["author"] in error.value.what
