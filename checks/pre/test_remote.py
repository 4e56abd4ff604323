"""The refs that a promotion moves."""

import pytest

from promote.checks import not_restored_by_rollback, workflow_can_roll_back, workflow_problem


@pytest.mark.check("stable-tag")
def test_stable_tag(promotion, remote, evidence):
    """Production's tag exists, and no branch has its name: Argo CD would follow the branch (observed), and moving the tag would have no effect."""
    refs = remote.refs(promotion.names.stable, promotion.names.shadow)
    name = promotion.settings.tags.stable
    if promotion.choices.first:
        evidence("first promotion", "there is no earlier tag")
        assert promotion.names.stable not in refs, f"{name} exists: this is not the first promotion\ndo   start again without --first"
    else:
        assert promotion.names.stable in refs, (
            f"{name} does not exist on the remote\n"
            f"do   create it at the commit that production runs: git tag -a {name} COMMIT && git push {remote.remote} {name}\n"
            f"     or, when nothing was ever deployed: promote run {promotion.version or 'VERSION'} --first"
        )
        evidence("stable", refs[promotion.names.stable].commit)
    assert promotion.names.shadow not in refs, f"a branch named {name} hides the tag\ndo   git push {remote.remote} :{promotion.names.shadow}"


@pytest.mark.check("no-other-promotion")
def test_no_other_promotion(promotion, evidence):
    """One promotion at a time: the lock on the remote is free, or this promotion holds it."""
    other = promotion.other_lock()
    evidence("lock", other or "free or ours")
    assert not other, f"{other}\ndo   wait until it has ended; to see whether its process is still alive: promote status"


@pytest.mark.check("workflow")
def test_workflow(promotion, evidence):
    """The workflow on the trunk takes the inputs that distinguish this promotion's run from others and stop a late one."""
    wrong = workflow_problem(promotion, evidence)
    assert not wrong, wrong


@pytest.mark.check("way-back")
def test_way_back(promotion, evidence):
    """A rollback is possible: no rule forbids it to this account or, where only the workflow may move the tag, to the workflow; the old tag's
    object is available, and resources that a rollback does not restore are listed."""
    rules = promotion.tag_rules()
    name = promotion.settings.tags.stable
    workflow = workflow_can_roll_back(promotion)
    evidence("rules", list(rules.denies) if rules.known else f"unknown: {rules.why}")
    evidence("not restored by a rollback", not_restored_by_rollback(promotion))
    evidence("old object", promotion.stable.object if promotion.target.stable else "none: a first promotion")
    if rules.denies and workflow and not rules.back_only:
        evidence("second way", "the workflow, action: rollback: these rules also forbid this account to move the tag forward; the workflow does both")
        return
    assert not rules.denies, (
        f"rules on {name} would refuse the rollback: {', '.join(rules.denies)}\n"
        "do   let this account bypass them (Settings → Rules), or promote with an account that may"
        + ("" if workflow else '\n     or let the workflow do it: promotion.via = "workflow", with the input `action` in its file')
    )
    if not rules.known:
        promotion.warn(f"unknown whether a rule forbids moving {name} back: {rules.why}")
