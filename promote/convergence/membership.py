"""Who belongs to production, before the move: which addresses are ours, and which applications cannot be judged, with the setting that decides."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from promote.argocd.application import Application, parse_application
from promote.argocd.source import unclear_addresses
from promote.candidate import migration_plan
from promote.config.schema import Settings
from promote.convergence.application_status import Goal
from promote.convergence.fleet import select, unseen
from promote.git.addresses import identify
from promote.git.errors import mask
from promote.git.remote import GitRemote


def known_goal(goal: Goal, git: GitRemote, manifests: Iterable[Mapping[str, Any]], *, plan: str | None = None) -> Goal:
    """The goal with the addresses that turn out to be ours by the refs read there, and the removals that the migration plan announces.

    `plan`: its text, None when there is none. Makes no request unless an application follows the stable tag's name at an address that is neither
    ours nor declared foreign. Raises git's errors for our own remote.
    """
    goal = replace(goal, removals=migration_plan.removals(plan or ""))
    unclear = _unclear_addresses(map(parse_application, manifests), goal)
    if not unclear:
        return goal
    return replace(goal, repository=identify(git, goal.repository, unclear, max(goal.names, key=len)))


def _unclear_addresses(apps: Iterable[Application], goal: Goal) -> list[str]:
    return sorted({url for app in apps for url in unclear_addresses(app.sources, goal.repository, goal.names)})


def undetermined_members(apps: Collection[Application], goal: Goal, settings: Settings) -> tuple[list[str], str]:
    """What cannot be judged after a move, one sentence each, and what to do about it; ([], "") when every member can be.

    `apps`: all that were read, not only ours.
    """
    members, urls = select(apps, goal), _unclear_addresses(apps, goal)
    found = [f"{a.name}: {why}" for a in members.values() if (why := goal.unclear(a))]
    hidden = unseen(members, settings.prod.namespaces)
    found += [f"{key}: {text}" for key, text in hidden.items()]
    advice = []
    if not any(goal.tracks(a) for a in members.values()):
        where = f"namespaces {', '.join(settings.prod.namespaces)}"
        followed = f"; that name is followed at {', '.join(map(mask, urls))}" if urls else ""
        found.insert(0, f"no application in {where} follows {settings.tags.stable} of {goal.repository}{followed}")
        advice += [] if urls else [f"check prod.namespaces, prod.selector and tags.stable ({settings.tags.stable})"]
    if urls:
        line = json.dumps([mask(u) for u in urls])
        advice.append(f"set repository.addresses = {line} where that is this repository or its mirror, repository.foreign = {line} where it is not")
    if hidden:
        wanted = sorted({*settings.prod.namespaces, *(key.partition("/")[0] for key in hidden)})
        advice.append(f"set prod.namespaces = {json.dumps(wanted)}, and allow promote to read applications there")
    if found and not advice:
        advice.append("give these applications sources that promote knows, or leave them out with prod.selector")
    return found, "; ".join(advice)
