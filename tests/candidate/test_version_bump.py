"""The step a version must be for what the commits change."""

from __future__ import annotations

from datetime import date

import pytest

from promote.candidate.commits import Change, change_of
from promote.candidate.version_bump import Level, effective_level, next_available, next_calendar_version, next_version, required_bump, step, too_early
from promote.core.version import parse_version
from promote.git.objects import LoggedCommit


def change(message: str, *, merge: bool = False) -> Change:
    return change_of(
        LoggedCommit(oid=f"{abs(hash(message)):040x}"[:40], parents=("a", "b") if merge else ("a",), author="Ada", when=0, message=message)
    )


@pytest.mark.parametrize(
    ("messages", "level"),
    [
        (["fix: a"], Level.PATCH),
        (["docs: a", "chore(deps): b"], Level.PATCH),
        (["fix: a", "feat(grafana): b"], Level.MINOR),
        (["feat!: a"], Level.MAJOR),
        (["fix(x)!: a", "feat: b"], Level.MAJOR),
        (["fix: a\n\nBREAKING CHANGE: the volume moves"], Level.MAJOR),
        (["fix: a\n\nBREAKING-CHANGE: the volume moves"], Level.MAJOR),
        (["fix: a\n\nThis is no BREAKING CHANGE: really"], Level.PATCH),
        (["fix: a", "what I did today"], Level.PATCH),
        ([], Level.PATCH),
    ],
)
def test_demand(messages: list[str], level: Level) -> None:
    wanted = required_bump([change(m) for m in messages])
    assert wanted is not None and wanted.level is level


def test_without_any_typed_commit_the_bump_is_unknown() -> None:
    changes = [change("raise the limit"), change("Merge branch feat", merge=True)]
    assert required_bump(changes) is None
    wanted = required_bump(changes, default_bump="minor")
    assert wanted is not None and wanted.level is Level.MINOR and len(wanted.untyped) == 1


def test_a_merge_asks_for_nothing_of_its_own() -> None:
    wanted = required_bump([change("fix: a"), change("feat!: merge of a", merge=True)])
    assert wanted is not None and wanted.level is Level.PATCH


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("v1.7.4", "v1.7.5", Level.PATCH),
        ("v1.7.4", "v1.8.0", Level.MINOR),
        ("v1.7.4", "v1.8.9", Level.MINOR),
        ("v1.7.4", "v2.0.0", Level.MAJOR),
        ("v1.7.4", "v1.7.4", Level.NONE),
        ("v1.7.4", "v1.6.9", Level.NONE),
        ("v2.0.0", "v1.9.0", Level.NONE),
        ("v2.0.0-rc.1", "v2.0.0", Level.MAJOR),
        ("v2.0.0-rc.1", "v2.0.0-rc.2", Level.MAJOR),
        ("v1.7.4", "v1.8.0-rc.1", Level.MINOR),
    ],
)
def test_step(old: str, new: str, level: Level) -> None:
    assert step(parse_version(old), parse_version(new)) is level


def test_before_one_what_breaks_asks_for_minor() -> None:
    assert effective_level(Level.MAJOR, parse_version("v0.4.1")) is Level.MINOR
    assert effective_level(Level.MAJOR, parse_version("v1.4.1")) is Level.MAJOR


@pytest.mark.parametrize(
    ("old", "level", "new"),
    [
        ("v1.7.4", Level.PATCH, "v1.7.5"),
        ("v1.7.4", Level.MINOR, "v1.8.0"),
        ("v1.7.4", Level.MAJOR, "v2.0.0"),
        ("v2.0.0-rc.1", Level.PATCH, "v2.0.0"),
    ],
)
def test_following(old: str, level: Level, new: str) -> None:
    assert next_version(parse_version(old), level) == new


@pytest.mark.parametrize(
    ("old", "level", "promoted", "new"),
    [
        ("v1.7.4", Level.MINOR, ["v1.7.4"], "v1.8.0"),
        ("v1.7.4", Level.MINOR, ["v1.7.4", "v1.8.0"], "v1.8.1"),
        ("v1.7.4", Level.PATCH, ["v1.7.4", "v1.9.0"], "v1.9.1"),
        ("v1.7.4", Level.MAJOR, ["v1.7.4", "v1.9.0"], "v2.0.0"),
        ("v1.7.4", Level.MINOR, ["v1.7.4", "v1.8.0-rc.1"], "v1.8.0"),
    ],
)
def test_a_version_that_was_rolled_back_is_skipped(old: str, level: Level, promoted: list[str], new: str) -> None:
    assert next_available(parse_version(old), level, [parse_version(v) for v in promoted]) == new


def test_calendar_versions_count_within_their_month_and_may_be_a_day_ahead() -> None:
    promoted = [parse_version(v, "calver") for v in ("v2026.10.9", "v2026.11.1", "v2026.11.3")]
    assert next_calendar_version(promoted, date(2026, 11, 23)) == "v2026.11.4"
    assert next_calendar_version(promoted, date(2026, 12, 1)) == "v2026.12.1"
    december = parse_version("v2026.12.1", "calver")
    assert too_early(december, date(2026, 11, 29))
    assert not too_early(december, date(2026, 11, 30)), "tomorrow is December"
    assert not too_early(parse_version("v2026.05.3196", "calver"), date(2026, 11, 23))
