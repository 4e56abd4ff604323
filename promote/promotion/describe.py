"""Production's tag in words: its version, age and distance to the candidate."""

from __future__ import annotations

from datetime import UTC, datetime

from promote.core.errors import PromoteError
from promote.core.model import Tag, short
from promote.core.version import version_of_tag
from promote.git.remote import GitRemote
from promote.promotion.context import Dependencies


def describe_stable(deps: Dependencies, stable: Tag | None, candidate: str) -> str:
    """`prod-stable is v1.7.4 (9c1d2e7, 3 days old, 27 commits behind)`."""
    name = deps.settings.tags.stable
    if stable is None:
        return f"{name} does not exist"
    behind = deps.git.count(f"{stable.commit}..{candidate}")
    old = age(deps.git, stable.commit, now=deps.clock.now())
    return f"{name} is {version_carried(deps, stable) or 'untagged'} ({short(stable.commit)}, {old}, {behind} commits behind)"


def age(git: GitRemote, commit: str, *, now: datetime | None = None) -> str:
    """`3 days old`, `5 h old`: of the commit, not of the tag."""
    found = git.commit(commit)
    past = (now or datetime.now(UTC)) - datetime.fromtimestamp(found.when, UTC)
    return f"{past.days} days old" if past.days else f"{past.seconds // 3600} h old"


def version_carried(deps: Dependencies, tag: Tag) -> str:
    """The newest version whose prod tag is at this tag's commit, or "" (also when the remote cannot be read: a name is no reason to fail)."""
    settings = deps.settings
    try:
        prod = deps.git.refs(f"refs/tags/{settings.tags.prod.format(version='*')}").values()
    except PromoteError:
        return ""
    found = [version_of_tag(t.name, settings.tags.prod, settings.version.scheme) for t in prod if t.commit == tag.commit]
    newest = max((v for v in found if v), default=None)
    return newest.text if newest else ""
