"""The model's refs as promote reads them: what a driver of the model would observe and expect at the places where it looks."""

from __future__ import annotations

from promote.core.model import Tag
from promote.tags.lock import LOCK
from promote.tags.lock import Lock as RealLock
from promote.tags.names import TagNames
from promote.tags.observation import Kept, Move, Observation, RefState, Sign
from tests.model.protocol import GONE, Driver, State

NAMES = TagNames(
    dev="refs/tags/dev-v1", prod="refs/tags/prod-v1", stable="refs/tags/prod-stable", working="refs/tags/prod-working",
    shadow="refs/heads/prod-stable", branch="refs/heads/main",
)  # fmt: skip
NOT_OURS = (RefState.FOREIGN, RefState.LOCK_LOST)


def observed(s: State, promotion: str) -> Observation:
    """What a driver of this promotion reads. A promotion's tag object is named as the promotion, and so is its prod tag."""
    stable = None if s.stable == GONE else Tag(ref=NAMES.stable, object=s.stable, commit=s.stable)
    lock = says = None
    if s.lock:
        lock = Tag(ref=LOCK, object=_oid(s.lock.token), commit="")
        says = RealLock(
            request_id=s.lock.promotion, state=s.lock.state, version="", candidate="", stable_before="", owner="", host="", since="",
            holder=s.lock.holder, oid=_oid(s.lock.token),
        )  # fmt: skip
    prod = Tag(ref=NAMES.prod, object=promotion, commit=promotion)
    return Observation(names=NAMES, stable=stable, prod=prod, lock=lock, says=says, made_by=s.stable)


def expected(s: State, who: str, promotion: str) -> list[Kept | Move]:
    """What the driver expects where it is now, in each form in which promote asks for it; nothing where it does not look."""
    d: Driver = getattr(s, who)
    before = "" if d.before == GONE else d.before
    if d.at == "moving":
        return [Kept(stable=before, lock=_oid(d.token))]
    if d.at == "promoted":
        return [Kept(stable=promotion, lock=_oid(d.token))]
    if d.at == "proving back":
        return [Kept(stable=before, lock=_oid(d.token))]
    if d.at == "looking":
        sign = Sign.TRAILER if who == "r" else Sign.PROD_TAG
        return [Move(request_id=promotion, holder=who, before=before, sign=sign, commit=promotion, entered="promoted", back=before)]
    if d.at == "looking back":
        own = Move(request_id=promotion, holder=who, before=promotion, sign=Sign.OBJECT, to=before)
        over = Move(request_id=promotion, holder=who, before=None, sign=Sign.OBJECT, to=before)
        return [own, over] if who == "r" and s.lock and (s.lock.promotion, s.lock.state) == (promotion, "rolling_back") else [own]
    return []


# Where a driver looks: what each answer of `classify` lets it do. A label that is listed must be possible exactly for these answers.
FOLLOWS: dict[str, dict[str, tuple[RefState, ...]]] = {
    "moving": {"another user was first": NOT_OURS},
    "promoted": {"proven": (RefState.OURS,), "not ours any more": NOT_OURS},
    "proving back": {"proven back": (RefState.OURS,), "not ours any more": NOT_OURS},
    "looking": {
        "it was moved after all": (RefState.OURS,), "unmoved": (RefState.UNMOVED,), "put back by hand": (RefState.PUT_BACK,),
        "another user's": NOT_OURS,
    },
    "looking back": {
        "it is back": (RefState.OURS,), "not back, timed out": (RefState.UNMOVED,), "not back yet": (RefState.UNMOVED,),
        "another user's": NOT_OURS,
    },
}  # fmt: skip


def _oid(token: int) -> str:
    return f"lock-{token}"
