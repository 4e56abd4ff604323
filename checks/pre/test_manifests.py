"""What the candidate would deploy, and what is written about it."""

import pytest

from promote.checklist import candidate


@pytest.mark.check("manifests")
def test_manifests(promotion, comparison, evidence):
    """Every application renders, and each follows what its environment follows: production's the stable tag, dev's the trunk."""
    problems = candidate.manifest_problems(promotion, comparison, evidence)
    assert not problems, (
        "not everything of the candidate can be deployed as it is meant to be\n"
        + "\n".join(problems)
        + "\nwhy  Argo CD would show it as an error, or deploy what nobody promoted\ndo   mend these files and promote the mended commit"
    )


@pytest.mark.check("breaking-changes")
def test_breaking_changes(promotion, changes, comparison, evidence):
    """What breaks others has a plan: what breaks, the steps, and the way back."""
    wrong = candidate.breaking_problems(promotion, changes, comparison, evidence)
    assert not wrong, wrong


@pytest.mark.check("documentation")
def test_documentation(promotion, evidence):
    """Whoever reads the documents tomorrow reads about what runs then."""
    problems = candidate.documentation_problems(promotion, evidence)
    assert not problems, (
        "the documentation does not follow the changes\n" + "\n".join(problems) + "\ndo   write it, and promote the commit that has it"
    )
