"""The candidate's manifests and documents."""

import pytest

from promote.checks import breaking_change_problem, documentation_problems, manifest_problems


@pytest.mark.check("manifests")
def test_manifests(promotion, comparison, evidence):
    """Every application renders, and follows the ref of its environment: production the stable tag, dev the trunk."""
    problems = manifest_problems(promotion, comparison, evidence)
    assert not problems, (
        "some manifests of the candidate do not render or follow the wrong ref\n"
        + "\n".join(problems)
        + "\nwhy  Argo CD would report an error, or deploy a commit that was not promoted\ndo   fix these files and promote the commit with the fix"
    )


@pytest.mark.check("breaking-changes")
def test_breaking_changes(promotion, changes, comparison, evidence):
    """A breaking change has a migration plan: what breaks, the steps, and how to roll back."""
    wrong = breaking_change_problem(promotion, changes, comparison, evidence)
    assert not wrong, wrong


@pytest.mark.check("documentation")
def test_documentation(promotion, evidence):
    """The documents describe what runs after the promotion."""
    problems = documentation_problems(promotion, evidence)
    assert not problems, (
        "the documentation does not follow the changes\n" + "\n".join(problems) + "\ndo   write it, and promote the commit that contains it"
    )
