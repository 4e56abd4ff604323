"""The candidate: which commit it is, and whether it may be promoted."""

import pytest

from promote.checks import Undetermined, counted


@pytest.mark.check("candidate")
def test_candidate(promotion, remote, evidence):
    """The commit under check is the one that its dev tag names: the tag may have been re-created in the meantime."""
    evidence("commit", promotion.commit)
    tag = remote.ref(promotion.names.dev) if promotion.version else None
    evidence("dev tag", tag.name if tag else "none yet")
    assert remote.has(promotion.commit), f"commit {promotion.commit} is not in this clone\ndo   git fetch {remote.remote}"
    if tag and promotion.choices.recreate_dev:
        evidence("re-created, was at", tag.commit)
        assert tag.object == promotion.context.dev_tag, (
            f"{tag.name} changed again since this promotion began\ndo   start again: promote run {promotion.version} --recreate-dev"
        )
    elif tag:
        assert tag.commit == promotion.commit, (
            f"{tag.name} is at {tag.commit[:7]} now, expected {promotion.commit[:7]}: the dev tag was re-created\n"
            f"do   start again: promote run {promotion.version}"
        )


@pytest.mark.check("trunk")
def test_trunk(promotion, remote, evidence):
    """The candidate is on the remote's trunk and contains every commit that production runs; otherwise promoting it would remove commits."""
    trunk, branch = promotion.target.branch.commit, promotion.settings.repository.branch
    if remote.is_shallow():
        raise Undetermined("this clone is shallow, so history cannot be judged", hint="git fetch --unshallow")
    evidence("trunk", trunk)
    assert remote.is_ancestor(promotion.commit, trunk), (
        f"{remote.describe(promotion.commit)} is not on {branch} of the remote ({trunk[:7]})\ndo   git push {remote.remote} HEAD:{branch}"
    )
    stable = promotion.target.stable
    if stable:
        lost = remote.count(f"{promotion.commit}..{stable.commit}")
        evidence("new commits", remote.count(f"{stable.commit}..{promotion.commit}"))
        evidence("commits production would lose", lost)
        assert lost == 0 or promotion.choices.downgrade, (
            f"production runs {stable.commit[:7]}, which has {counted(lost, 'commit')} that {promotion.commit[:7]} lacks: this would be a downgrade\n"
            "do   promote a newer commit; to go back: promote rollback; to leave these commits behind on purpose: --downgrade"
        )


@pytest.mark.check("policy-unchanged")
def test_policy_unchanged(promotion, remote, evidence):
    """The rules that judge a promotion are those of the trunk: checks that were weakened only in one clone do not count."""
    paths = promotion.policy_paths()
    trunk = promotion.target.branch.commit
    evidence("trees", {path: tree for path in paths if (tree := remote.tree_id(trunk, path))})
    changed = remote.changed_in_tree(trunk, *paths)
    shown = " ".join(changed[:6])
    assert not changed, (
        f"differ from {promotion.settings.repository.branch} of the remote: {', '.join(changed[:6])}\n"
        f"do   git diff {trunk[:7]} -- {shown}; undo it (git restore --source {trunk[:7]} -- {shown}; git clean -i -- {shown}),"
        " or have it reviewed and merged first"
    )


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
