"""What is to be promoted: a version and the commit that carries it, settled once and from the remote."""

from __future__ import annotations

from dataclasses import dataclass

from promote.config.schema import Settings
from promote.core.errors import NotFound
from promote.core.model import Tag
from promote.core.version import Version, version_of_tag
from promote.git.remote import GitRemote
from promote.tags.names import ref_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """`from_tree`: the candidate is HEAD of this clone (its dev tag is not on the remote yet). `branch` is the trunk as the remote has it."""

    version: Version | None
    commit: str
    from_tree: bool
    dev_tag: Tag | None
    stable: Tag | None
    branch: Tag
    prod_tag: Tag | None = None  # this version was promoted before
    fallback: Tag | None = None  # a first promotion's way back: the stable tag's ref, at a commit that was named

    @property
    def in_production(self) -> bool:
        """Whether the stable tag is this version's own object: then there is nothing to move."""
        return bool(self.stable and self.prod_tag and self.stable.object == self.prod_tag.object)

    @property
    def back(self) -> Tag | None:
        """What a rollback goes to."""
        return self.stable or self.fallback


def resolve_target(git: GitRemote, settings: Settings, version: Version | None = None) -> Target:
    """Without a version: the newest version whose dev tag is at HEAD, else HEAD as an untagged candidate.

    Brings the objects of every ref involved here. Raises NotFound when the remote has no such branch.
    """
    version = version or version_at(git, settings, git.head())
    names = ref_names(settings, version.text if version else "")
    wanted = [names.stable, names.branch, *([names.dev, names.prod] if version else [])]
    refs = git.refs(*wanted)
    branch = refs.get(names.branch)
    if branch is None:
        raise NotFound(
            f"git remote {git.remote}",
            f"there is no branch {settings.repository.branch}",
            hint="the trunk is repository.branch in promotion.toml; see `git ls-remote --heads`",
        )
    git.fetch(*refs)
    dev = refs.get(names.dev)
    return Target(
        version=version,
        commit=dev.commit if dev else git.head(),
        from_tree=dev is None,
        dev_tag=dev,
        stable=refs.get(names.stable),
        branch=branch,
        prod_tag=refs.get(names.prod),
    )


def version_at(git: GitRemote, settings: Settings, commit: str) -> Version | None:
    """The newest version whose dev tag on the remote is at this commit."""
    tags = git.refs(f"refs/tags/{settings.tags.dev.format(version='*')}").values()
    found = [version_of_tag(t.name, settings.tags.dev, settings.version.scheme) for t in tags if t.commit == commit]
    return max((v for v in found if v), default=None)


def known_tags(git: GitRemote, settings: Settings, template: str) -> str:
    """The greatest versions that have such a tag on the remote, as a list for a message."""
    there = git.refs(f"refs/tags/{template.format(version='*')}").values()
    versions = {t.name: v for t in there if (v := version_of_tag(t.name, template, settings.version.scheme))}
    return ", ".join(sorted(versions, key=lambda name: versions[name])[-10:]) or "none"
