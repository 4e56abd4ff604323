"""What `promote next` and `promote plan` speak of: the commit that `promote run` would take, which is not always this clone's HEAD."""

from __future__ import annotations

from dataclasses import replace

from promote.checklist.promotion import Promotion, State
from promote.config.schema import Settings
from promote.core.model import Choices
from promote.core.version import Version
from promote.promotion.choose_candidate import simply_behind
from promote.report.words import counted


def preview(settings: Settings, version: Version | None, choices: Choices | None = None) -> tuple[Promotion, str]:
    """(the promotion that a run would be, a remark when this clone is behind): a run pulls what the trunk has more than a clean clone."""
    state = State(settings=settings, version=version, context=None)
    target, branch = state.target, settings.repository.branch
    behind = 0 if version and target.dev_tag else simply_behind(settings, state.remote, target.branch.commit)
    if behind:
        state.target = replace(target, version=version, commit=target.branch.commit, from_tree=True, dev_tag=None)
    remark = f"{branch} is {counted(behind, 'commit')} ahead of this clone: they are in this, for `promote run` pulls them first" if behind else ""
    return Promotion(state, choices=choices or Choices()), remark
