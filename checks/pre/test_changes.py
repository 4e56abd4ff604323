"""The commits between production and the candidate: their tasks, the version they ask for, and their tests."""

import pytest

from promote.checks import failed_tests, task_problems, version_bump_problem


@pytest.mark.check("tasks-closed")
def test_tasks_closed(promotion, changes, evidence):
    """Every task that these commits name is closed: an open task is unfinished or not validated."""
    problems = task_problems(promotion, changes, evidence)
    assert not problems, (
        f"of {len(changes)} commits to be shipped, these have tasks that are not done\n"
        + "\n".join(problems)
        + "\nwhy  a task is closed when its change was validated; an open task was not validated\n"
        "do   finish and close these tasks, or promote an older commit"
    )


@pytest.mark.check("version-bump")
def test_version_bump(promotion, changes, evidence):
    """The version announces what changed: major breaks, minor adds, patch fixes."""
    wrong = version_bump_problem(promotion, changes, evidence)
    assert not wrong, wrong


@pytest.mark.check("tests-passed")
def test_tests_passed(promotion, evidence):
    """This very commit was tested: by its checks on the forge, the team's own command, or a JUnit file made for it."""
    failed = failed_tests(promotion, evidence)
    assert not failed, (
        f"the tests of {promotion.commit[:7]} did not pass\n" + "\n".join(failed) + "\ndo   promote the commit with the fix, or run the tests again"
    )
