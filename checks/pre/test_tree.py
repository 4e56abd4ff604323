"""The clone that the dev tag is made from. These checks apply only while the version has no dev tag on the remote."""

import pytest

from promote.checks import counted


@pytest.mark.check("on-the-branch")
def test_on_the_branch(promotion, remote, evidence):
    """The dev tag is put on HEAD, so HEAD has to be the trunk: a feature branch would ship commits that were not reviewed."""
    branch = remote.branch()
    evidence("branch", branch or "detached")
    wanted = promotion.settings.repository.branch
    assert branch == wanted, f"the clone is on {branch or 'a detached HEAD'}, not on {wanted}\ndo   git switch {wanted}"


@pytest.mark.check("clean-tree")
def test_clean_tree(remote, evidence):
    """Uncommitted changes are not promoted, and a dirty tree usually means that its owner expects them to be."""
    dirty = remote.dirty()
    evidence("changed", dirty[:20])
    assert not dirty, (
        f"{counted(len(dirty), 'path')} changed or untracked: {', '.join(dirty[:5])}\ndo   git stash --include-untracked, or commit and push them"
    )


@pytest.mark.check("up-to-date")
def test_up_to_date(promotion, remote, evidence):
    """HEAD is the current head of the remote's trunk: not behind it, and not ahead with commits that exist only here."""
    head, trunk = remote.head(), promotion.target.branch.commit
    evidence("head", head)
    evidence("remote", trunk)
    if promotion.context and head == promotion.context.trunk and remote.is_ancestor(head, trunk):
        evidence("pushed by others since this promotion began", remote.count(f"{head}..{trunk}"))
        return
    ahead, behind = remote.count(f"{trunk}..{head}"), remote.count(f"{head}..{trunk}")
    name = promotion.settings.repository.branch
    pull = f"git pull{' --rebase' if ahead else ' --ff-only'} {remote.remote} {name}" if behind else ""
    push = f"git push {remote.remote} HEAD:{name}" if ahead else ""
    assert head == trunk, (
        f"HEAD is {counted(ahead, 'commit')} ahead of and {behind} behind {name} of the remote\ndo   {' && '.join(filter(None, (pull, push)))}"
    )
