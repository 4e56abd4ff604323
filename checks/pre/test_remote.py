"""The refs that a promotion moves."""

import pytest

from promote.checklist import candidate, workflow_file


@pytest.mark.check("stable-tag")
def test_stable_tag(promotion, remote, evidence):
    """Production's tag exists, and no branch has its name: Argo CD would follow the branch (seen), and the tag could be moved in vain."""
    refs = remote.refs(promotion.names.stable, promotion.names.shadow)
    name = promotion.settings.tags.stable
    if promotion.choices.first:
        evidence("first promotion", "there is no earlier tag")
        assert promotion.names.stable not in refs, f"{name} exists: this is not the first promotion\ndo   start again without --first"
    else:
        assert promotion.names.stable in refs, (
            f"{name} does not exist on the remote\n"
            f"do   create it at what production runs: git tag -a {name} COMMIT && git push {remote.remote} {name}\n"
            "     or, when production never ran anything: promote run VERSION --first"
        )
        evidence("stable", refs[promotion.names.stable].commit)
    assert promotion.names.shadow not in refs, f"a branch named {name} hides the tag\ndo   git push {remote.remote} :{promotion.names.shadow}"


@pytest.mark.check("no-other-promotion")
def test_no_other_promotion(promotion, evidence):
    """One promotion at a time: the lock on the remote is free, or it is ours."""
    other = promotion.other_lock()
    evidence("lock", other or "free or ours")
    assert not other, f"{other}\ndo   wait for it; if it is dead, see `promote status`"


@pytest.mark.check("workflow")
def test_workflow(promotion, evidence):
    """The workflow on the trunk takes what tells our run from another's and what fences a late one off."""
    wrong = workflow_file.what_is_wrong(promotion, evidence)
    assert not wrong, wrong


@pytest.mark.check("way-back")
def test_way_back(promotion, evidence):
    """The old tag can be put back: no rule forbids it to this account or, where only the workflow may move the tag, to the workflow; its object can
    be had, and what the way forward removes is named."""
    rules = promotion.tag_rules()
    name = promotion.settings.tags.stable
    workflow = workflow_file.rolls_back(promotion)
    evidence("rules", list(rules.denies) if rules.known else f"unknown: {rules.why}")
    evidence("not brought back as it was", candidate.lost_on_the_way(promotion))
    evidence("old object", promotion.stable.object if promotion.target.stable else "none: a first promotion")
    if rules.denies and workflow and not rules.back_only:
        evidence("second way", "the workflow, action: rollback: these rules forbid the way forward too, which is the workflow's")
        return
    assert not rules.denies, (
        f"rules on {name} would refuse the rollback: {', '.join(rules.denies)}\n"
        "do   let this account bypass them (Settings → Rules), or promote with one that may"
        + ("" if workflow else '\n     or let the workflow do it: promotion.via = "workflow", with the input `action` in its file')
    )
    if not rules.known:
        promotion.warn(f"whether a rule forbids to move {name} back is not known: {rules.why}")
