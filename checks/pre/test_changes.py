"""What the commits between production and the candidate say."""

import pytest

from promote.checklist import history


@pytest.mark.row("tasks-closed")
def test_tasks_closed(promotion, changes, evidence):
    """Every task that these commits name is closed: an open one says that somebody is not done, or has not validated it."""
    problems = history.task_problems(promotion, changes, evidence)
    assert not problems, (
        f"of {len(changes)} commits to be shipped, these have tasks that are not done\n"
        + "\n".join(problems)
        + "\nwhy  a task is closed when its change was validated; an open one says that it was not\n"
        "do   finish and close them, or promote an older commit"
    )
