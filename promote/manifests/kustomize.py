"""Runs kustomize: `kustomize build`, or `kubectl kustomize` where only kubectl is installed. In a temporary copy of a commit, never in the clone."""

from __future__ import annotations

import io
import posixpath
import re
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from promote.core.errors import ServiceError
from promote.transport.programs import run_program


def find_program() -> list[str] | None:
    """The command without its folder argument; None when neither program is on PATH."""
    if kustomize := shutil.which("kustomize"):
        return [kustomize, "build"]
    kubectl = shutil.which("kubectl")
    return [kubectl, "kustomize"] if kubectl else None


class Kustomize:
    """A context manager that deletes its temporary copies at the end. `archive(commit)` returns a tar of all files."""

    def __init__(self, program: list[str], archive: Callable[[str], bytes], timeout_s: float) -> None:
        self._program, self._archive, self._timeout_s = program, archive, timeout_s
        self._scratch = tempfile.TemporaryDirectory(prefix="promote-kustomize-")
        self._lock = threading.Lock()

    def __enter__(self) -> Kustomize:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def build(self, commit: str, folder: str) -> str:
        """The rendered manifests. Raises ServiceError with kustomize's error text, Unreachable when it does not end in time."""
        root = self._copy(commit)
        done = run_program([*self._program, str(root / folder)], cwd=root, seconds=self._timeout_s)
        if done.code:
            output = " ".join(done.err.replace(f"{root}/", "").split())
            error = re.search(r"(?:\berr=\"|\b[Ee]rror: )(.+)", output)
            raise ServiceError("kustomize", f"does not build: {(error[1] if error else output)[:300]}", hint=f"kubectl kustomize {folder}")
        return done.out

    def _copy(self, commit: str) -> Path:
        root = Path(self._scratch.name) / commit
        # Several folders of one commit are built at the same time from one copy.
        with self._lock:
            if not root.is_dir():
                with tarfile.open(fileobj=io.BytesIO(self._archive(commit))) as archive:
                    for member in archive:
                        _write(archive, member, root)
        return root


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    """Write a file, or a link that stays within the tree. Skips other links, so that a kustomization that needs one does not build."""
    path = root / member.name
    if content := archive.extractfile(member) if member.isfile() else None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())
    elif member.issym() and not posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname)).startswith(("..", "/")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(member.linkname)
