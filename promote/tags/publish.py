"""The tag transaction: the one place that moves the stable tag, called by the workflow, by direct mode and by every rollback. A tag that an older
workflow left deleted is put back by `legacy`.

One atomic push leased on everything it replaces: stable (on the object the lock recorded when the move was authorised, never on one read
again here, which would overwrite a foreign move), the prod tag, the lock and the undo ref. The stable tag is never absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from promote.config.schema import Settings
from promote.core.deadline import Deadline
from promote.core.errors import NotFound, Rejected, Superseded, Unreachable
from promote.core.model import Tag, short
from promote.core.retry import retry_until
from promote.core.version import Version
from promote.git.push import RefUpdate
from promote.git.remote import GitRemote
from promote.tags.authority import FIRST, PREVIOUS, require_on_trunk
from promote.tags.lock import UNDO, Lock, acquire, advance, move_once, new_lock
from promote.tags.names import LEDGER, TagNames, ref_names
from promote.tags.observation import Kept, Observation, classify, observe, require, watched, with_lock
from promote.tags.target import known_tags


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a publish is asked to do. `lock_id` is the lock object that coordinates it; "" means by hand.

    `evidence` names the source that shows a passed pre suite at this commit, and that an account which may push refs cannot write; "" means none:
    the lock alone is no evidence.
    """

    version: Version
    request_id: str
    promoted_by: str
    expected_commit: str = ""
    lock_id: str = ""
    recreate_prod: bool = False
    evidence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The tags as they are on the remote after the move, and the lock that goes on from here (None: it was our own and is released, but for what
    `left` says)."""

    stable: Tag
    previous: str
    lock: Lock | None
    left: str = ""


def publish(git: GitRemote, settings: Settings, request: Request, *, patience: Deadline | None = None) -> Published:
    """Create the prod tag and move the stable tag to the commit of the dev tag. Raises Rejected, Superseded, Denied, Unreachable.

    A push without an answer is retried until the end of `patience`.
    """
    names = ref_names(settings, request.version.text)
    refs = git.refs(names.dev, LEDGER, *watched(names))
    seen = Observation.of(refs, names)
    dev = _dev_tag(git, settings, refs, names, request)
    require(git, classify(seen, Kept(stable=None)))
    absent = [names.stable] if seen.stable and not git.has(seen.stable.object) else []
    git.fetch(names.dev, *absent)  # the undo ref is pushed with what stable holds now
    require_on_trunk(git, settings, dev.commit, names.dev.removeprefix("refs/tags/"))
    _require_evidence(settings, request)
    given = _authorising(git, settings, seen, request, dev) if request.lock_id else None
    prod = seen.prod
    if prod and not request.recreate_prod and (given is None or given.replaces != prod.object):
        raise Rejected("publish", f"{prod.name} exists already at {short(prod.commit)}", hint="choose a new version, or pass --recreate-prod")
    lock = given or _own_lock(request, dev, seen.stable)
    tag = git.make_tag(name=names.prod.removeprefix("refs/tags/"), commit=dev.commit, message=tag_message(dev, request, lock, refs.get(LEDGER)))
    stable = Tag(ref=names.stable, object=tag, commit=dev.commit)

    def move() -> Lock:
        return _move(git, seen, tag, request, lock, patience)

    if given:
        return Published(stable=stable, previous=lock.stable_before, lock=move())
    lock = acquire(git, lock)  # the last thing before the move: from here on it has to be released
    return Published(stable=stable, previous=lock.stable_before, lock=None, left=move_once(git, lock, move))


def _dev_tag(git: GitRemote, settings: Settings, refs: dict[str, Tag], names: TagNames, request: Request) -> Tag:
    name = names.dev.removeprefix("refs/tags/")
    dev = refs.get(names.dev)
    if dev is None:
        known = known_tags(git, settings, settings.tags.dev)
        raise Rejected(
            "publish",
            f"Tag {name} does not exist on the remote. Available dev tags: {known}",
            hint=f"create it with `promote tag-dev {request.version}`, or `git tag -a {name} -m ... && git push {git.remote} {name}`",
        )
    if request.expected_commit and dev.commit != request.expected_commit:
        raise Superseded(
            f"{name} is at {short(dev.commit)} now, but {short(request.expected_commit)} was checked",
            hint="the dev tag was re-created: run the promotion again for what it is now",
        )
    return dev


def given_lock(git: GitRemote, seen: Observation, lock_id: str) -> Lock:
    """The lock that authorises a move, as it was read with the tags.

    Raises Superseded when it is no longer on the remote, or a branch has the tag's name.
    """
    seen = with_lock(git, seen)
    require(git, classify(seen, Kept(stable=None, lock=lock_id)))
    if seen.unreadable:
        raise seen.unreadable
    assert seen.says is not None
    return seen.says


def _authorising(git: GitRemote, settings: Settings, seen: Observation, request: Request, dev: Tag) -> Lock:
    """The lock given, which must be for this very move, and recent: everybody can read a lock's id, and push an old lock again. Raises Superseded,
    Rejected."""
    lock = given_lock(git, seen, request.lock_id)
    if (lock.state, lock.version, lock.candidate) != ("prechecked", request.version.text, dev.commit):
        raise Rejected(
            "publish",
            f"{lock.describe()} at {short(lock.candidate)}: it does not authorise to publish {request.version} at {short(dev.commit)}",
            hint="a lock authorises one move, once its pre suite has passed: promote run",
        )
    age = (datetime.now(UTC) - lock.entered).total_seconds()
    if age > settings.promotion.timeout:
        most = settings.promotion.timeout / 3600
        raise Rejected(
            "publish",
            f"{lock.describe()}: its pre suite passed {age / 3600:.1f} h ago, and a promotion lasts at most {most:.1f} h",
            hint="the lock has expired: `promote abort`, then start again",
        )
    return lock


def _require_evidence(settings: Settings, request: Request) -> None:
    """Raises Rejected for a move without evidence of a passed pre suite, where promotion.allow_unchecked is false."""
    if settings.promotion.allow_unchecked or request.evidence:
        return
    claim = "; the lock alone is no evidence, as every account that may push a branch can write one" if request.lock_id else ""
    raise Rejected(
        "publish",
        f"promotion.allow_unchecked is false and this move has no pre suite behind it{claim}",
        hint=f"use `promote run {request.version}`; a workflow needs the job `check` before this one (docs/workflow.md)",
    )


def _own_lock(request: Request, dev: Tag, stable: Tag | None) -> Lock:
    """The lock of a move by hand, not taken yet."""
    return new_lock(
        request_id=request.request_id, version=request.version.text, candidate=dev.commit,
        stable_before=stable.object if stable else "", state="publishing",
    )  # fmt: skip


def _move(git: GitRemote, seen: Observation, tag: str, request: Request, lock: Lock, patience: Deadline | None) -> Lock:
    # The move was authorised for the value in the lock; one read again here could be a foreign move, which the push would overwrite.
    require(git, classify(seen, Kept(stable=lock.stable_before)))
    updates = [
        RefUpdate(ref=seen.names.stable, new=tag, expected=lock.stable_before),
        RefUpdate(ref=seen.names.prod, new=tag, expected=seen.prod.object if seen.prod else ""),
        *undo_update(seen.undo, lock.stable_before),
    ]
    return advance(git, lock, *updates, patience=patience, state="promoted", run=request.promoted_by)


def undo_update(undo: Tag | None, to: str) -> Sequence[RefUpdate]:
    """Point the undo ref at the object a move replaces; none when there was no object (first promotion) or it is there already."""
    if not to or (undo and undo.object == to):
        return ()
    return (RefUpdate(ref=UNDO, new=to, expected=undo.object if undo else ""),)


def tag_message(dev: Tag, request: Request, lock: Lock, ledger: Tag | None) -> str:
    """The message of the prod tag, with trailers that `promote status` and people read back. The ledger's head is named, so that a ledger which was
    rewritten or shortened shows."""
    trailers = {
        "Version": request.version.text,
        "Commit": dev.commit,
        "Dev-Tag": dev.name,
        "Request-Id": request.request_id or lock.request_id,
        "Promoted-By": request.promoted_by,
        "Time": datetime.now(UTC).isoformat(timespec="seconds"),
        PREVIOUS: lock.stable_before or FIRST,
        "Prechecked": lock.prechecked,
        "Ledger": ledger.object if ledger else FIRST,
    }
    return f"Promotion of {request.version} to production\n\n" + "\n".join(f"{k}: {v}" for k, v in trailers.items())


def move_back(
    git: GitRemote, settings: Settings, lock: Lock, *, to: str, replacing: str, keep_undo: bool = True, patience: Deadline | None = None,
    retake: bool = False,
) -> Lock:  # fmt: skip
    """Put the stable tag back to the object `to`, leased on `replacing` and on our lock. Raises Superseded when either is not there any more, but for
    a lock that was deleted, with `retake` (see `advance`).

    With `keep_undo` the undo ref stays (it already holds `to`); else it takes the object that is replaced, so this move can be undone.
    An unreachable remote is retried until the end of `patience`.
    """
    names = ref_names(settings, lock.version)

    def unmoved() -> Sequence[RefUpdate]:
        bring(git, to)
        seen = observe(git, names)
        require(git, classify(seen, Kept(stable=replacing, shadow=False)))
        return () if keep_undo else undo_update(seen.undo, replacing)

    also = retry_until(unmoved, on=Unreachable, deadline=patience)
    return advance(git, lock, RefUpdate(ref=names.stable, new=to, expected=replacing), *also, state="rolling_back", patience=patience, retake=retake)


def bring(git: GitRemote, oid: str) -> None:
    """Have this object here (another clone's promotion replaced it), from whichever ref of the remote holds it. Raises NotFound."""
    if git.has(oid):
        return
    holding = [tag.ref for tag in git.refs("refs/tags/*", UNDO).values() if oid in (tag.object, tag.commit)]
    if not holding:
        raise NotFound(f"git remote {git.remote}", f"object {oid} is neither here nor in any tag there", hint="look with `promote status`")
    git.fetch(holding[0])


def undo_commands(settings: Settings, *, stable_now: str, back_to: str) -> tuple[str, str]:
    """The exact leased command that undoes a move, and the plain-git form that needs nothing but the remote."""
    remote, ref = settings.repository.remote, f"refs/tags/{settings.tags.stable}"
    exact = f"git push --force-with-lease={ref}:{stable_now} {remote} {back_to}:{ref}"
    return exact, f"git fetch {remote} {UNDO} && git push -f {remote} FETCH_HEAD:{ref}"


def fence(git: GitRemote, lock: Lock, state: str = "fenced", *, patience: Deadline | None = None) -> Lock:
    """Replace the lock so that a run which holds the old one can move nothing any more. Raises Superseded when another process replaced it first."""
    return advance(git, lock, state=state, patience=patience)
