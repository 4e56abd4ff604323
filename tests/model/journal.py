"""Whether a promotion's journal is a path of the model: the effects it names, in the order in which a driver may have them, to its recorded end.

What the journal does not name (a verdict, a look, the passing of time) may have happened in between. `edges.json` is the part of the searched model
that belongs to one driver; a test keeps it equal to the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

EDGES = Path(__file__).parent / "edges.json"
# effect → what it is in the model when it succeeded, and when it did not
LABELS: Mapping[str, tuple[set[str], set[str]]] = {
    "take the lock": ({"take the lock"}, set()),
    "authorise the move": ({"authorise the move"}, {"lock lost", "pre suite fails"}),
    # A user's ^C may come between the answer and our hearing it.
    "move the stable tag": ({"move the stable tag", "move, answer lost"}, {"move refused", "move, answer lost", "another user was first"}),
    "dispatch the workflow": ({"dispatch the workflow"}, {"dispatch the workflow", "move refused"}),
    "fence": ({"fence"}, {"fence refused", "the remote cannot be reached"}),
    "move the stable tag back": (
        {"move the stable tag back"},
        {"move back refused", "move back, answer lost", "move back, no reply", "move back forbidden"},
    ),
    "dispatch the rollback": ({"dispatch the rollback"}, {"dispatch the rollback", "dispatch refused"}),
    "take the lock over": ({"take the lock over", "abort"}, set()),
}
ENDS = {
    "verified": "verified", "rolled_back": "rolled back", "stuck": "stuck", "superseded": "superseded",
    "refused": "unchecked", "unchecked": "unchecked", "interrupted": "unchecked",
}  # fmt: skip
Place = tuple[str, str]


def _graph() -> list[tuple[Place, str, Place]]:
    edges = [((who, where), label, (who, then)) for who, where, label, then in json.loads(EDGES.read_text())]
    resumable = {place for place, _, _ in edges if place[0] == "p" and place[1] != "start"} | {
        then
        for _, _, then in edges
        if then in (("p", "end: stuck"), ("p", "end: superseded"))  # the new owner may die too
    }
    taken = [(label, then) for place, label, then in edges if place == ("r", "absent")]
    again = {place for edge in edges for place in (edge[0], edge[2]) if place[0] == "r" and place[1] != "absent"}
    return edges + [(place, label, then) for place in resumable | again for label, then in taken]


GRAPH = _graph()
REFUSED = {  # each is an effect's error
    "move refused", "move, answer lost", "move back refused", "move back, answer lost", "move back, no reply", "move back forbidden",
    "dispatch refused", "fence refused",
}  # fmt: skip
NAMED = REFUSED | {label for good, _ in LABELS.values() for label in good}


def _spread(places: set[Place]) -> set[Place]:
    """With everything that may happen without the journal naming it."""
    while True:
        more = {then for place, label, then in GRAPH if place in places and label not in NAMED} - places
        if not more:
            return places
        places = places | more


def problem(lines: Sequence[Mapping[str, object]]) -> str:
    """Why this journal is no path of the model; "" when it is one, or is of something that the model does not have."""
    effects = [line for line in lines if line["event"] in ("result", "error") and line["name"] in LABELS]
    names = {str(line["name"]) for line in lines}
    if "take the lock" not in {str(e["name"]) for e in effects if e["event"] == "result"} or "write the lock" in names:
        return ""  # nothing was begun, an older workflow
    if any(line.get("asked_rollback") for line in lines if line["name"] == "plan"):
        return ""
    places, way = _spread({("p", "start")}), []
    for effect in effects:
        good, bad = LABELS[str(effect["name"])]
        labels = good if effect["event"] == "result" else bad
        way.append(f"{effect['name']}: {effect['event']}")
        if not labels:
            continue
        places = _spread({then for place, label, then in GRAPH if place in places and label in labels})
        if not places:
            return f"no driver of the model does this: {' → '.join(way)}"
    last = [line for line in lines if line["event"] == "state"]
    end = ENDS.get(str(last[-1]["name"])) if last else None
    if end and f"end: {end}" not in {where for _, where in places}:
        return f"the model does not end as {end} after {' → '.join(way)}"
    return ""


def problems(folders: Iterable[Path]) -> list[str]:
    """Of every journal of these clones."""
    found = []
    for path in (p for folder in folders for p in folder.glob(".git/promote/journal/*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        if why := problem(lines):
            found.append(f"{path.name}: {why}")
    return found
