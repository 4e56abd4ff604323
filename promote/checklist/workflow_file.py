"""The inputs of the repository's promotion workflow, read from its file on the trunk: a dispatch runs that file."""

from __future__ import annotations

from collections.abc import Callable

from promote.checklist.promotion import Promotion

FOLDER = ".github/workflows"
NEEDED = ("version", "request_id", "expected_commit", "lock")


def inputs_of(text: str) -> frozenset[str]:
    """The names of workflow_dispatch's inputs. Raises ValueError when the file is not a workflow that can be dispatched."""
    import yaml

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())[:160]}") from error
    on = (data.get("on") or data.get(True)) if isinstance(data, dict) else None  # YAML 1.1 reads the bare key `on` as true
    if not isinstance(on, dict) or "workflow_dispatch" not in on:
        raise ValueError("it has no `on: workflow_dispatch`")
    return frozenset((on["workflow_dispatch"] or {}).get("inputs") or {})


def workflow_can_roll_back(promotion: Promotion) -> bool:
    """Whether the workflow on the trunk moves the tag and can also move it back: it has an input `action`. Raises PromoteError when git fails."""
    settings = promotion.settings
    text = promotion.remote.file(promotion.target.branch.commit, f"{FOLDER}/{settings.workflow.file}") or ""
    try:
        return settings.promotion.via == "workflow" and not settings.workflow.legacy and "action" in inputs_of(text)
    except ValueError:
        return False


def workflow_problem(promotion: Promotion, evidence: Callable[[str, object], None]) -> str:
    """Text that says why the workflow on the trunk cannot move the tags safely; "" when it can, or with `promotion.via = "git"`.

    Safely: it exists, has `on: workflow_dispatch`, and takes the inputs that identify this promotion's run and stop a late one. Raises PromoteError
    when git fails.
    """
    settings, remote = promotion.settings, promotion.remote
    path, trunk = f"{FOLDER}/{settings.workflow.file}", promotion.target.branch.commit
    if settings.promotion.via != "workflow":
        evidence("workflow", 'not used: promotion.via = "git"')
        return ""
    text = remote.file(trunk, path)
    if text is None:
        return f"{path} is not on {settings.repository.branch}\ndo   add it (promote/templates/promote-prod.yaml), or name another with workflow.file"
    try:
        inputs = inputs_of(text)
    except ValueError as error:
        return f"{path} cannot be dispatched: {error}\ndo   take promote/templates/promote-prod.yaml"
    evidence("inputs", sorted(inputs))
    missing = [name for name in NEEDED if name not in inputs]
    if settings.workflow.legacy:
        evidence("guarantee", "reduced: no fence against a late run, and the tag is absent for a moment")
        complete = f"{path} takes {', '.join(NEEDED)}: it is not of the older kind\ndo   remove workflow.legacy from promotion.toml"
        return complete if not missing else "" if "version" in inputs else f"{path} has no input `version`"
    return (
        f"{path} does not take {', '.join(missing)}\ndo   take promote/templates/promote-prod.yaml, or accept less with workflow.legacy = true"
        if missing
        else ""
    )
