"""The record that a promotion leaves on the branch: named as there only after it was read there. Whatever is the matter with it is a warning."""

from __future__ import annotations

from promote.core.errors import PromoteError
from promote.promotion.context import Run
from promote.tags.publish import Published, Request
from promote.tags.records import has_record, record_path, write_record


def record_directly(run: Run, request: Request, published: Published) -> None:
    """Write it, where this process has moved the tag itself."""
    if warning := run.journal.effect(
        "write the record", {}, lambda: write_record(run.tools.git, run.settings, request, published), putting_back=True
    ):
        run.warnings.append(warning)
    else:
        run.record = record_path(run.settings, run.version.text)


def look_for_record(run: Run) -> bool | None:
    """Whether the branch has the record of this very promotion; None, and a warning, when that cannot be read."""
    path, branch = record_path(run.settings, run.version.text), run.settings.repository.branch
    try:
        there = has_record(run.tools.git, run.settings, run.request_id, run.version.text)
    except PromoteError as error:
        run.warnings.append(f"whether {path} is on {branch} is not known: {error.what}")
        return None
    run.record = path if there else ""
    return there


def expect_record(run: Run) -> None:
    """Look for it where the workflow should have written it, which a rule of the branch may have refused."""
    if look_for_record(run) is False:
        path, branch = record_path(run.settings, run.version.text), run.settings.repository.branch
        run.warnings.append(f"{path} is not on {branch}: the log of the workflow's run says why; the promotion itself is not affected")


def catch_up_record(run: Run) -> None:
    """Write it after all, where a move that was made directly was cut short before it."""
    if run.stable and look_for_record(run) is False:
        request = Request(version=run.version, request_id=run.request_id, promoted_by=run.tools.who)
        previous = run.target.stable.object if run.target.stable else ""
        record_directly(run, request, Published(stable=run.stable, previous=previous, lock=run.lock))
