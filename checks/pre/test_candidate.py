"""The candidate: which commit it is, and whether it may be promoted."""

import pytest

from promote.checks import candidate_problem, policy_problem, trunk_problem


@pytest.mark.check("candidate")
def test_candidate(promotion, remote, evidence):
    """The commit under check is the one that its dev tag names: the tag may have been re-created in the meantime."""
    tag = remote.ref(promotion.names.dev) if promotion.version else None
    wrong = candidate_problem(promotion.proposal, tag, promotion.context and promotion.context.dev_tag, evidence)
    assert not wrong, wrong


@pytest.mark.check("trunk")
def test_trunk(promotion, evidence):
    """The candidate is on the remote's trunk and contains every commit that production runs; otherwise promoting it would remove commits."""
    wrong = trunk_problem(promotion.proposal, evidence)
    assert not wrong, wrong


@pytest.mark.check("policy-unchanged")
def test_policy_unchanged(promotion, evidence):
    """The rules that judge a promotion are those of the trunk: checks that were weakened only in one clone do not count."""
    wrong = policy_problem(promotion.proposal, evidence)
    assert not wrong, wrong


@pytest.mark.check("version-new")
def test_version_new(promotion, remote, evidence):
    """A version names one commit for ever, and versions only grow: users and rollbacks rely on both."""
    version = promotion.version
    promoted, choices = promotion.promoted_versions(), promotion.choices
    newest = max(promoted, default=None)
    evidence("newest", str(newest or "none"))
    was = promoted.get(version)
    if was:
        evidence("promoted before, at", was.commit)
    same = was is not None and was.commit == promotion.commit
    assert was is None or choices.recreate_prod or (choices.again and same), f"{version} was promoted already ({was.name} at {was.commit[:7]})\n" + (
        f"do   to ship the same commit once more: promote run {version} --again; otherwise choose a new version (promote next)"
        if same
        else "why  a version names one commit for ever\n"
        f"do   choose a new version (promote next); to replace it on purpose: promote run {version} --recreate-prod"
    )
    assert newest is None or version >= newest or choices.downgrade, (
        f"{version} is not greater than {newest}, the newest promoted one\n"
        f"do   choose a greater version (promote next); to go below it on purpose: promote run {version} --downgrade"
    )
