"""The baseline on the remote (`refs/promote/baseline`), from which any machine can resume the promotion.

The push that authorises the move creates it; the next promotion replaces it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from promote.convergence.application_status import Goal
from promote.convergence.baseline import Baseline
from promote.core.errors import ServiceError
from promote.core.foreign import Fields, read_json
from promote.git.push import RefUpdate
from promote.git.remote import GitRemote

BASELINE = "refs/promote/baseline"
FILE = "baseline.json"
DEEPEST = 100  # levels: an Application may nest the values of its chart
LONGEST = 64_000_000  # bytes: the applications, failing pods and alerts of a large cluster


def baseline_update(git: GitRemote, request_id: str, baseline: Baseline, goal: Goal, smoke_passed: frozenset[str]) -> RefUpdate:
    """The ref update that publishes this baseline, to be pushed together with others. Raises git's errors."""
    slim = replace(baseline.slim(goal), smoke_passed=tuple(sorted(smoke_passed)))
    text = json.dumps({"request_id": request_id, "baseline": json.loads(slim.to_json())}, indent=1)
    before = git.ref(BASELINE)
    new = git.commit_file(None, FILE, text, f"Production before {request_id}")
    return RefUpdate(ref=BASELINE, new=new, expected=before.object if before else "")


def read_baseline(git: GitRemote, request_id: str) -> Baseline | None:
    """The baseline of exactly this promotion; None when the remote has none or an unreadable one."""
    ref = git.ref(BASELINE)
    if ref is None:
        return None
    git.fetch(BASELINE)
    try:
        data = Fields(read_json(git.file(ref.commit, FILE, most=LONGEST) or "{}", deepest=DEEPEST), "the baseline")
        return Baseline.of(data.inner("baseline")).checked() if request_id and data.line("request_id", default="") == request_id else None
    except (ValueError, ServiceError):
        return None
