"""Reading Beads: tasks by id, from the program `bd` or from its JSON Lines export. Never writes.

Seen answers of `bd show ID --json`: an array, an object, and (BD_JSON_ENVELOPE=1) either of them inside an object. For an unknown id: an error
object, or nothing on stdout and a sentence on stderr.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from promote.core.deadline import Deadline
from promote.core.errors import Unreachable
from promote.core.foreign import split_lines
from promote.core.model import Task
from promote.transport.programs import run_program

AT_ONCE = 4  # `bd` answers for one id a call, and each call is a process
DELETED = "tombstone"  # a deleted task stays in the export, so that a merge with an older one does not bring it back
_ABSENT = re.compile(r"no issues? found|not found|no such issue", re.IGNORECASE)


def ask_bd(program: str, ids: Iterable[str], *, root: Path, deadline: Deadline) -> Mapping[str, Task]:
    """The tasks that exist among these ids. Raises Unreachable or NotFound when `bd` cannot answer."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda i: _show(program, i, root, deadline), sorted(ids))
        return {task.id: task for task in found if task}


def _show(program: str, wanted: str, root: Path, deadline: Deadline) -> Task | None:
    if deadline.expired:
        raise Unreachable("bd", f"no time was left to ask for {wanted}", hint="name the ids' prefixes: tasks.prefixes in promotion.toml")
    done = run_program([program, "show", wanted, "--json"], cwd=root, seconds=deadline.limit(20))
    output = done.out.strip()
    try:
        document = json.loads(output) if output else None
    except ValueError:
        document = None
    entry = _entry(document)
    if entry is not None:
        task = _task(entry)
        return task if task.id == wanted and task.status != DELETED else None  # `bd` resolves partial ids to another task
    if _ABSENT.search(f"{output}\n{done.err}") or document == []:
        return None
    text = " ".join((done.err or output).split())[:200] or "nothing"
    raise Unreachable("bd", f"`bd show {wanted} --json` exited with {done.code} and printed: {text}", hint="run it by hand in this clone")


def _entry(document: object) -> dict[str, Any] | None:
    """The task in any of the three shapes; None when there is none."""
    if isinstance(document, list):
        return _entry(document[0]) if document else None
    if not isinstance(document, dict) or "error" in document:
        return None
    if "id" in document and "status" in document:
        return document
    return next((found for value in document.values() if isinstance(value, list | dict) and (found := _entry(value))), None)


def read_export(text: str, *, where: str) -> Mapping[str, Task]:
    """All tasks of an export, by id. Raises Unreachable for a line that is not a task: a partial export would hide open tasks."""
    found = {}
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip():
            continue
        try:
            task = _task(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable("beads", f"{where}, line {number} is not a task", hint="export again with `bd export`, or resolve the merge") from error
        found[task.id] = task
    return {i: task for i, task in found.items() if task.status != DELETED}


def _task(entry: Mapping[str, Any]) -> Task:
    return Task(id=str(entry["id"]), title=str(entry.get("title") or ""), status=str(entry["status"]))
