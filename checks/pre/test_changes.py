"""What the commits between production and the candidate say, and what was found out about them."""

import pytest

from promote.checklist import functional, history


@pytest.mark.check("tasks-closed")
def test_tasks_closed(promotion, changes, evidence):
    """Every task that these commits name is closed: an open one says that somebody is not done, or has not validated it."""
    problems = history.task_problems(promotion, changes, evidence)
    assert not problems, (
        f"of {len(changes)} commits to be shipped, these have tasks that are not done\n"
        + "\n".join(problems)
        + "\nwhy  a task is closed when its change was validated; an open one says that it was not\n"
        "do   finish and close them, or promote an older commit"
    )


@pytest.mark.check("version-bump")
def test_version_bump(promotion, changes, evidence):
    """The version tells people what to expect: major breaks, minor adds, patch mends."""
    wrong = history.bump_problem(promotion, changes, evidence)
    assert not wrong, wrong


@pytest.mark.check("tests-passed")
def test_tests_passed(promotion, evidence):
    """Somebody tested this very commit: its checks on the forge, the team's own command, or a JUnit file made for it."""
    failed = functional.what_failed(promotion, evidence)
    assert not failed, (
        f"the tests of {promotion.commit[:7]} did not pass\n" + "\n".join(failed) + "\ndo   mend it and promote the mended commit, or run them again"
    )
