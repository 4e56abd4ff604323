"""Reading GitHub's rulesets: which rules stand between a token's owner and moving a tag. Pure: it is given the API's answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# What moving a tag forward and back consists of. A tag's way back is never a fast-forward.
CONCERNED = ("creation", "update", "deletion", "non_fast_forward", "required_signatures")


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRules:
    """What is known of the rules on one tag. `denies`: each rule in the way, with its ruleset's name; `why` says why nothing is known.

    `back_only`: those whose ruleset lets the way forward pass, so that somebody who moved the tag need not be able to move it back.
    """

    known: bool
    denies: tuple[str, ...] = ()
    back_only: tuple[str, ...] = ()
    why: str = ""


def denied(rulesets: Iterable[Mapping[str, Any]], ref: str, *, back_only: bool = False) -> tuple[str, ...]:
    """The rules of active rulesets that cover `ref` (a full ref name) and that this token's owner may not pass by.

    `back_only`: only of those that do not restrict every update. A bypass is of a whole ruleset.
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
    """GitHub's patterns: `*` and `?` stop at a slash, `**/` spans any number of folders, `~ALL` is everything."""
    if pattern == "~ALL":
        return True
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]/]+\])", pattern)
    special = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(special.get(p) or (p.replace("[!", "[^") if p.startswith("[") and p.endswith("]") else re.escape(p)) for p in parts)
    return re.fullmatch(regex, ref) is not None
