"""GitHub's rulesets: which rules forbid a token's owner to move a tag. Pure: the caller passes the API's answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# The rules that concern moving a tag forward and back. Moving it back is never a fast-forward.
CONCERNED = ("creation", "update", "deletion", "non_fast_forward", "required_signatures")


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRules:
    """The rules on one tag. `denies`: each forbidding rule with its ruleset's name. `known` False: `why` gives the reason.

    `back_only`: the rules of rulesets that permit the move forward, so that a user who moved the tag may be unable to move it back.
    """

    known: bool
    denies: tuple[str, ...] = ()
    back_only: tuple[str, ...] = ()
    why: str = ""


def denied(rulesets: Iterable[Mapping[str, Any]], ref: str, *, back_only: bool = False) -> tuple[str, ...]:
    """The rules of active rulesets that cover `ref` (a full ref name) and that this token's owner may not bypass.

    `back_only`: only of rulesets that do not restrict every update. A bypass applies to a whole ruleset.
    """
    found = []
    for ruleset in rulesets:
        free = ruleset.get("current_user_can_bypass") in ("always", "exempt")
        types = [str(rule.get("type", "")) for rule in ruleset.get("rules") or []]
        if ruleset.get("enforcement") == "active" and not free and _covers(ruleset, ref) and not (back_only and "update" in types):
            found += [f'{kind} (ruleset "{ruleset.get("name", "?")}")' for kind in types if kind in CONCERNED]
    return tuple(found)


def _covers(ruleset: Mapping[str, Any], ref: str) -> bool:
    names = (ruleset.get("conditions") or {}).get("ref_name") or {}
    include, exclude = names.get("include") or [], names.get("exclude") or []
    return any(_matches(p, ref) for p in include) and not any(_matches(p, ref) for p in exclude)


def _matches(pattern: str, ref: str) -> bool:
    """GitHub's patterns: `*` and `?` stop at a slash, `**/` spans any number of folders, `~ALL` matches everything."""
    if pattern == "~ALL":
        return True
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]/]+\])", pattern)
    special = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(special.get(p) or (p.replace("[!", "[^") if p.startswith("[") and p.endswith("]") else re.escape(p)) for p in parts)
    return re.fullmatch(regex, ref) is not None
