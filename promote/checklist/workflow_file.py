"""What the repository's promotion workflow takes: read from its file on the trunk, since that is what a dispatch runs."""

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


def rolls_back(promotion: Promotion) -> bool:
    """Whether the workflow on the trunk, which moves the tag forward, can be asked to move it back as well (its input `action`)."""
    settings = promotion.settings
    text = promotion.remote.file(promotion.target.branch.commit, f"{FOLDER}/{settings.workflow.file}") or ""
    try:
        return settings.promotion.via == "workflow" and not settings.workflow.legacy and "action" in inputs_of(text)
    except ValueError:
        return False


def what_is_wrong(promotion: Promotion, evidence: Callable[[str, object], None]) -> str:
    """Why the workflow cannot move the tags as it should; "" when it can, or when nobody asks it to."""
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
        whole = f"{path} takes {', '.join(NEEDED)}: it is not of the older kind\ndo   remove workflow.legacy from promotion.toml"
        return whole if not missing else "" if "version" in inputs else f"{path} has no input `version`"
    return (
        f"{path} does not take {', '.join(missing)}\ndo   take promote/templates/promote-prod.yaml, or accept less with workflow.legacy = true"
        if missing
        else ""
    )
