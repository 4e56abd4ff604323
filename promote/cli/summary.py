"""What a finished run tells: the last lines for people and the document for machines."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from promote.checklist.policy import Policy
from promote.core.errors import PromoteError
from promote.core.model import AppState, End, Tag, Verdict, short
from promote.core.version import UNVERSIONED, version_of_tag
from promote.git.remote import GitRemote
from promote.promotion.context import Moved, Result, Run, Tools
from promote.report.document import run_document


def document(run: Run, end: End, result: Result, *, code: int | None = None) -> dict[str, object]:
    """The run as one JSON document; the stable tag's value after it is read from the remote, not remembered."""
    return run_document(
        end=end,
        reason=result.reason or run.cause,
        version="" if run.version is UNVERSIONED else run.version.text,
        commit=run.target.commit,
        stable_before=_stable_before(run),
        stable_after=_stable_now(run)[0],
        steps=run.steps,
        checks=run.checks,
        applications=run.applications,
        junit=_junit(run),
        record=run.record,
        warnings=run.warnings,
        request_id=run.request_id,
        code=code,
        waivers=_waivers(run),
    )


def _stable_before(run: Run) -> Tag | None:
    """What the stable tag held before this run. In an asked-for rollback that is what its lock was taken over: its target is where it goes."""
    if not run.asked_rollback:
        return run.target.stable
    if run.lock is None:
        return run.stable
    held = run.lock.stable_before
    try:
        return Tag(ref=run.names.stable, object=held, commit=run.tools.git.commit_of(held))
    except PromoteError:  # it is in no clone but the one that saw it
        return None


def _junit(run: Run) -> list[str]:
    return [path for path in (*(s.junit for s in run.suites), run.driver_junit) if path]


def _waivers(run: Run) -> list[dict[str, object]]:
    """Every waiver in force with who answers for it; `used`: the check did not pass and was let through."""
    used = {check.id for check in run.checks if check.verdict is Verdict.WAIVED}
    return [{**asdict(waiver), "used": check in used} for check, waiver in Policy.of(run.settings, run.waivers).waived.items()]


def _stable_now(run: Run) -> tuple[Tag | None, bool]:
    """(the stable tag as the remote says now, whether it could be asked): a silent remote must not cost the end its words."""
    try:
        return run.tools.git.ref(run.names.stable), True
    except PromoteError as error:
        warning = f"the stable tag could not be read at the end: {error.what}"
        if warning not in run.warnings:
            run.warnings.append(warning)
        return None, False


def describe_stable(kit: Tools, stable: Tag | None, candidate: str) -> str:
    """`prod-stable is v1.7.4 (9c1d2e7, 3 days old, 27 commits behind)`."""
    name = kit.settings.tags.stable
    if stable is None:
        return f"{name} does not exist"
    behind = kit.git.count(f"{stable.commit}..{candidate}")
    old = age(kit.git, stable.commit, now=kit.clock.now())
    return f"{name} is {version_carried(kit, stable) or 'untagged'} ({short(stable.commit)}, {old}, {behind} commits behind)"


def age(git: GitRemote, commit: str, *, now: datetime | None = None) -> str:
    """`3 days old`, `5 h old`: of the commit, not of the tag."""
    (found,) = git.log(commit, limit=1)
    past = (now or datetime.now(UTC)) - datetime.fromtimestamp(found.when, UTC)
    return f"{past.days} days old" if past.days else f"{past.seconds // 3600} h old"


def version_carried(kit: Tools, tag: Tag) -> str:
    """The newest version whose prod tag is at this tag's commit, or "" (also when the remote cannot be asked: a name is no reason to fail)."""
    settings = kit.settings
    try:
        prod = kit.git.refs(f"refs/tags/{settings.tags.prod.format(version='*')}").values()
    except PromoteError:
        return ""
    found = [version_of_tag(t.name, settings.tags.prod, settings.version.scheme) for t in prod if t.commit == tag.commit]
    newest = max((v for v in found if v), default=None)
    return newest.text if newest else ""


def ending(run: Run, end: End, result: Result) -> list[str]:
    """The last lines: what is true in production now, how that is known, and what to do."""
    lines = [_truth(run, end, result)]
    if end is End.STUCK:
        lines += _stuck(run)
    if result.hint and end is not End.VERIFIED:
        lines.append(f"do: {result.hint}")
    lines += [f"warning: {warning}" for warning in run.warnings]
    if junit := _junit(run):
        lines.append("junit: " + " ".join(junit))
    lines.append(f"journal: {run.journal.path}")
    return lines


def proof(run: Run) -> str:
    """`proven for 11 of 12 applications at 14:02:31 CET, not counted: velero`."""
    apps = run.applications
    excused = [a.name for a in apps if a.state is AppState.EXCUSED]
    proven = sum(a.state is AppState.PROVEN for a in apps)
    text = f"proven for {proven} of {len(apps)} applications at {_proven_at(run).astimezone():%H:%M:%S %Z}"
    return text + (f", not counted: {', '.join(excused)} (unhealthy before)" if excused else "")


def _proven_at(run: Run) -> datetime:
    """When production was last seen to be there: the suites, the ledger and the lock may have taken a while since."""
    return run.proven_at or run.tools.clock.now()


def _truth(run: Run, end: End, result: Result) -> str:
    version, before = run.version, run.target.back
    was = _named(run, before)
    if end is End.VERIFIED:
        done = f", record {run.record}" if run.record else ""
        return ("nothing to do: " if run.moved is Moved.NO else "") + f"production runs {version} ({short(run.target.commit)}): {proof(run)}{done}"
    if end is End.ROLLED_BACK and run.asked_rollback:
        now = run.settings.tags.stable if run.version is UNVERSIONED else run.version
        return f"production runs {now} ({short(run.target.commit)}): {proof(run)}"
    if end is End.ROLLED_BACK:
        bad = f" Bad for {(_proven_at(run) - run.bad_since).total_seconds():.0f} s." if run.bad_since else ""
        return f"{version} was rolled back: production runs {was} again, {proof(run)}.{bad} Why: {run.cause}."
    if end in (End.REFUSED, End.UNCHECKED, End.INTERRUPTED):
        return f"nothing was moved: {_unmoved(run)}. {result.reason}."
    if end is End.SUPERSEDED:
        return f"superseded: {result.reason}."
    return f"STUCK: {result.reason}" + (f" (rolling back because: {run.cause})" if run.cause else "")


def _named(run: Run, tag: Tag | None) -> str:
    return f"{version_carried(run.tools, tag) or run.settings.tags.stable} ({short(tag.commit)})" if tag else "nothing"


def _unmoved(run: Run) -> str:
    """Where production's tag is after a promotion that did not move it: as read now, never as remembered.

    What it held before is not what a rollback goes to: that may be a fallback, or the version that a person asked for.
    """
    stable, before = run.settings.tags.stable, run.stable if run.asked_rollback else run.target.stable
    was, (now, known) = _named(run, before), _stable_now(run)
    if not known:
        return f"{stable} was {was} before, and could not be read now"
    if (now.object if now else "") == (before.object if before else ""):
        return f"{stable} is still {was}"
    return f"{stable} was {was}, and somebody else has it at {short(now.commit) if now else 'nothing'} now"


def _not_known(run: Run) -> str:
    if run.let_go:
        return "was left there; whether this promotion moved it is not known, and it may still be moved by a run of its own"
    if run.stable and (run.cause or run.asked_rollback):
        return "was there when it was last seen, and what was sent to put it back may have come since or still come"
    return "may still be moved by a run that could not be fenced"


def _stuck(run: Run) -> list[str]:
    stable, here = run.settings.tags.stable, run.stable or (_stable_now(run)[0] if run.let_go else None)
    back = here is not None and run.target.back is not None and here.object == run.target.back.object
    moved = {
        Moved.YES: "was moved back by us, and nobody could prove that production followed" if back else "was moved by this promotion and stays so",
        Moved.NO: "was not moved",
        Moved.UNKNOWN: _not_known(run),
    }
    lines = [f"true now: {stable}" + (f" → {run.tools.git.describe(here.commit)}" if here else "") + f": it {moved[run.moved]}"]
    lines += [f"not there: {a.name}: {a.reason}" for a in run.applications if a.state not in (AppState.PROVEN, AppState.EXCUSED)]
    if run.lock and not run.let_go:
        remote = run.settings.repository.remote
        free = f"git push --force-with-lease=refs/promote/lock:{run.lock.oid} {remote} :refs/promote/lock"
        lines.append(f"the lock stays yours until `promote resume` or `promote abort` (without this tool: {free})")
    return lines
