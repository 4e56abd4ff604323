"""The facts that the driver passes to a suite in a child process: one small JSON file, without secrets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from promote.checklist.waivers import Waiver
from promote.core.errors import UsageError
from promote.core.model import Choices
from promote.core.private import private_folder, write_private


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteContext:
    """`state`: "before" the move, "after" it, or "back" (proving a rollback). Tags are `{object, commit}`; `lock` is our lock's object id."""

    version: str | None
    commit: str
    from_tree: bool
    dev_tag: str | None
    previous: dict[str, str] | None
    stable: dict[str, str] | None
    request_id: str
    lock: str
    state: str
    baseline_file: str | None
    t_before: str | None = None
    choices: Choices = Choices()
    trunk: str = ""  # the remote trunk's head when the driver read it; it may have moved since
    baseline_complete: bool = True  # the baseline holds every application of before the move
    waivers: tuple[Waiver, ...] = ()  # given with --waive; those of promotion.toml are read from the file

    def write(self, path: Path) -> Path:
        private_folder(path.parent)
        write_private(path, json.dumps(asdict(self), indent=1).encode())
        return path

    @classmethod
    def read(cls, path: Path) -> SuiteContext:
        """Raises UsageError when the file is not one of ours."""
        try:
            data = json.loads(path.read_text())
            waivers = tuple(Waiver(**entry) for entry in data.pop("waivers"))
            return cls(**{**data, "choices": Choices(**data["choices"]), "waivers": waivers})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: not a suite context: {error}", hint="it is written by `promote run`; leave --promote-context out by hand"
            ) from error
