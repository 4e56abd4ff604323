"""What may move production's tag: each answer is read from the remote, from what only a promotion or a merge can have written.

The refs under `refs/promote/` coordinate; an account that may push a branch may write them too. So neither the lock nor the undo ref authorises a
commit: a move forward needs a commit of the trunk, a move back an object that production's own tags name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from promote.config.reader import parse_file, settings_from
from promote.config.schema import FILE_NAME, Settings
from promote.core.errors import NotFound, Rejected, UsageError
from promote.core.model import Tag, short
from promote.core.version import SCHEMES, version_of_tag
from promote.git.remote import GitRemote
from promote.git.trunk import default_branch
from promote.tags.names import ref_names
from promote.tags.observation import trailers_of
from promote.tags.target import known_tags

PREVIOUS, FIRST = "Previous-Stable", "none"
UNSHALLOW = "git fetch --unshallow (in a workflow: fetch-depth: 0)"


def trunk_settings(git: GitRemote, settings: Settings) -> Settings:
    """The settings as the trunk's head on the remote has them; of this clone, only where it is and which remote it uses.

    The trunk is the branch that the default branch's settings name; a remote that shows no default branch is asked for the clone's. Raises UsageError
    when the trunk has no settings, or wrong ones.
    """
    default = f"refs/heads/{default_branch(git) or settings.repository.branch}"
    found = _settings_at(git, settings, default)
    trunk = ref_names(found, "").branch
    return found if trunk == default else _settings_at(git, found, trunk)


def _settings_at(git: GitRemote, settings: Settings, branch: str) -> Settings:
    head = git.ref(branch)
    if head is None:
        raise NotFound(f"git remote {git.remote}", f"there is no branch {branch.removeprefix('refs/heads/')}", hint="see `git ls-remote --heads`")
    git.fetch(branch)
    path = PurePosixPath(git.git("rev-parse", "--show-prefix").out.strip("\n")) / FILE_NAME
    text = git.file(head.commit, str(path))
    where = f"{path} of {branch.removeprefix('refs/heads/')} ({short(head.commit)}) on the remote"
    if text is None:
        raise UsageError(f"there is no {where}", hint="only settings that were merged count for a move: commit promotion.toml to the trunk")
    read = settings_from(parse_file(Path(where), read=lambda _: text.encode()), settings.root)
    return replace(read, repository=replace(read.repository, remote=git.remote))


def require_on_trunk(git: GitRemote, settings: Settings, commit: str, what: str) -> None:
    """Raises Rejected unless the trunk, as the remote has it now, contains this commit, which must be in this clone."""
    names = ref_names(settings, "")
    branch = git.ref(names.branch)
    if branch is None:
        raise NotFound(f"git remote {git.remote}", f"there is no branch {settings.repository.branch}", hint="see `git ls-remote --heads`")
    git.fetch(names.branch)
    if not git.is_ancestor(commit, branch.commit):
        if git.is_shallow():
            raise NotFound("git", f"whether {short(commit)} is on {settings.repository.branch} is not known: this clone is shallow", hint=UNSHALLOW)
        raise Rejected(
            "publish",
            f"{what} is at {short(commit)}, which is not on {settings.repository.branch}: only merged commits go to production",
            hint=f"merge it into {settings.repository.branch}, then tag the merged commit: promote tag-dev VERSION",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WayBack:
    """Where production's own tags allow to go back: `named` are the commits of all prod tags, `replaced` the object that the
    stable tag's own trailer names as replaced ("" when it names none, FIRST when there was no tag)."""

    stable: Tag
    named: frozenset[str]
    replaced: str

    @classmethod
    def read(cls, git: GitRemote, settings: Settings, stable: Tag) -> WayBack:
        """Of the remote as it is now. Brings the stable tag's object here."""
        listed = git.refs(f"refs/tags/{settings.tags.prod.format(version='*')}").values()
        # The pattern may match the stable tag itself, and others that belong to no version. The scheme may have been another one then.
        prods = [tag for tag in listed if any(version_of_tag(tag.name, settings.tags.prod, scheme) for scheme in SCHEMES)]
        ours = any(tag.object == stable.object != tag.commit for tag in prods)  # made by a promotion, whatever else may write the stable tag
        if ours and not git.has(stable.object):
            git.fetch(stable.ref)
        replaced = trailers_of(git.read_tag(stable.object).message).get(PREVIOUS, "") if ours else ""
        return cls(stable=stable, named=frozenset(tag.commit for tag in prods), replaced=replaced)

    def require(self, git: GitRemote, settings: Settings, to: Tag) -> None:
        """Raises Rejected unless `to`, whose object must be in this clone, is where production was before what it is now."""
        name, promoted = settings.tags.stable, settings.tags.prod
        if to.commit not in self.named and to.object != self.replaced and not self._first(git, settings, to):
            raise Rejected(
                "rollback",
                f"{name} would go to {short(to.object)} (commit {short(to.commit)}), which no promotion put there: no {promoted.format(version='*')}"
                f" tag is at it, and {name} does not name it as replaced",
                hint=f"name a version that was promoted: promote rollback --to VERSION; there are: {known_tags(git, settings, promoted)}",
            )
        if to.commit != self.stable.commit and git.is_ancestor(self.stable.commit, to.commit):
            raise Rejected(
                "rollback",
                f"{short(to.commit)} is after {short(self.stable.commit)}, which {name} holds: a rollback never goes forward",
                hint="to go forward: promote run VERSION (--again for a version that was promoted before)",
            )

    def _first(self, git: GitRemote, settings: Settings, to: Tag) -> bool:
        """Whether it is the way back of a first promotion: a commit of the trunk (`--first-fallback`), as there was no tag before."""
        if self.replaced != FIRST or to.object != to.commit:
            return False
        try:
            require_on_trunk(git, settings, to.commit, settings.tags.stable)
        except Rejected:
            return False
        return True
