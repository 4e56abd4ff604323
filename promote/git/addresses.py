"""Whose repository an address leads to: by the settings, by git's configuration, and by the refs that are read there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from promote.config.schema import Repository
from promote.core.foreign import split_lines
from promote.git.process import run_git_with_retries
from promote.git.remote import GitRemote
from promote.git.url import Addresses

LONGEST_READ_S = 5.0
MOST = 6  # addresses that are read: each may take the whole time
_OWN = "refs/promote/"
_MOVING = frozenset({"refs/promote/heartbeat"})  # renewed all the time: two reads in a row may differ
_COPIED = ("refs/heads/", "refs/tags/")  # the refs that a fork copies


def our_addresses(git: GitRemote, repository: Repository) -> Addresses:
    """The remote's address with `insteadOf` applied and as it is written, and the addresses of the settings. Raises git's errors."""
    written = git.git("config", "--get-all", f"remote.{git.remote}.url").out.split("\n")
    return Addresses.of(git.url, *filter(None, written), *repository.addresses, foreign=repository.foreign)


def identify(git: GitRemote, addresses: Addresses, unclear: Iterable[str], stable: str) -> Addresses:
    """Read the refs at each unclear address, without our token, and add those that turn out to be ours or another repository.

    `stable`: the full name of the stable tag. An address that cannot be read, and one whose refs prove nothing, stay unclear. Raises git's errors for
    our own remote.
    """
    ours: Mapping[str, str] | None = None
    for url in sorted(set(unclear))[:MOST]:
        theirs = _refs(git, url)
        if not theirs:
            continue
        ours = _refs(git, git.remote, own=True) if ours is None else ours
        if is_same(ours, theirs, stable):
            addresses = addresses.known(ours=[url])
        elif not set(ours.values()) & set(theirs.values()):
            addresses = addresses.known(foreign=[url])
    return addresses


def is_same(ours: Mapping[str, str], theirs: Mapping[str, str], stable: str) -> bool:
    """Whether two listings of refs show one repository (or a mirror that is up to date).

    A fork has our tags as they were, and none of our own refs: the lock of a running promotion exists once. Where we keep none on the remote, all
    branches and tags have to be equal.
    """
    if ours.get(stable) is None or ours.get(stable) != theirs.get(stable):
        return False
    own, shown = ({n: o for n, o in refs.items() if n.startswith(_OWN) and n not in _MOVING} for refs in (ours, theirs))
    if own:
        return own == shown
    return all({n: o for n, o in ours.items() if n.startswith(p)} == {n: o for n, o in theirs.items() if n.startswith(p)} for p in _COPIED)


def _refs(git: GitRemote, where: str, *, own: bool = False) -> dict[str, str]:
    """Every ref at an address; {} when it cannot be read."""
    if own:
        return {name: tag.object for name, tag in git.refs("refs/*").items()}
    # An Application's author wrote the address: it gets no token of ours, starts no helper program and cannot be an option.
    env = {"GIT_ALLOW_PROTOCOL": "http:https:ssh:git"}
    done = run_git_with_retries(git.root, "ls-remote", "--quiet", "--", where, timeout_s=LONGEST_READ_S, env=env)
    listed = [line.partition("\t") for line in split_lines(done.out)] if done.code == 0 else []
    return {name: oid for oid, _, name in listed if not name.endswith("^{}")}
