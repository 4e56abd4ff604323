"""The record on the branch is named as there only after it was read there, and nothing about it ever costs a promotion its end."""

from __future__ import annotations

import json
from dataclasses import replace

from promote.config.schema import Promotion
from promote.core.deadline import Deadline
from promote.promotion.context import PromotionContext, StepStatus
from promote.promotion.move import catch_up_record, confirm, expect_record
from promote.sandbox.http_server import Fault
from promote.tags.publish import Published
from promote.tags.records import write_record
from tests.support.prechecked import Make, Place
from tests.support.repos import git

PATH = ".promotions/prod-v1.1.0.json"


def directly(place: Place, published: Published) -> PromotionContext:
    """The promotion was cut short after its own push."""
    run = place.run
    run.deps = replace(run.deps, settings=replace(place.settings, promotion=Promotion(via="git")))
    run.update(stable=published.stable, lock=published.lock)
    return run


def whose(place: Place) -> str:
    return str(json.loads(git(place.remote.server.path, "show", f"main:{PATH}"))["request_id"])


def test_a_record_that_the_workflow_wrote_is_named(make: Make) -> None:
    place = make()
    assert write_record(place.remote.clones[1], place.settings, *place.publish()) == ""
    assert confirm(place.run, Deadline(10.0), "run 1").status is StepStatus.PASSED
    assert (place.run.record, place.run.warnings) == (PATH, [])


def test_a_record_that_the_workflow_was_not_let_write_is_missed(make: Make) -> None:
    place = make()
    place.publish()
    assert confirm(place.run, Deadline(10.0), "run 1").status is StepStatus.PASSED
    assert place.run.record == ""
    assert [w for w in place.run.warnings if f"{PATH} is not on main" in w] == place.run.warnings != []


def test_a_record_of_an_earlier_promotion_of_this_version_is_not_this_ones(make: Make) -> None:
    place = make()
    request, published = place.publish()
    assert write_record(place.remote.clones[1], place.settings, replace(request, request_id="r0"), published) == ""
    assert confirm(place.run, Deadline(10.0), "run 1").status is StepStatus.PASSED
    assert place.run.record == ""
    run = directly(place, published)
    catch_up_record(run)
    assert (run.record, whose(place)) == (PATH, "r1")


def test_an_unreadable_record_is_neither_named_nor_an_end(make: Make) -> None:
    place = make()
    request, published = place.publish()
    assert write_record(place.remote.clones[1], place.settings, request, published) == ""
    place.remote.server.weather = lambda _: Fault(kind="drop_before")
    expect_record(place.run)
    catch_up_record(directly(place, published))
    assert (place.run.record, len(place.run.warnings)) == ("", 2)
    assert all(w.startswith(f"whether {PATH} is on main is not known: ") for w in place.run.warnings)
