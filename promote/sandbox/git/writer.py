"""Writing history into the bare repository directly, as colleagues (and the seed) do: commits and tags through `git fast-import` and plumbing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from promote.sandbox.seed import Commit


class GitWriter:
    """Commits to a branch of a bare repository without a work tree."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository

    def git(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        # A hook's GIT_DIR or GIT_INDEX_FILE would lead to another repository.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        identity = {f"GIT_{r}_{p}": v for r in ("AUTHOR", "COMMITTER") for p, v in (("NAME", "Grace"), ("EMAIL", "grace@acme.example"))}
        done = subprocess.run(
            ["git", "-C", str(self.repository), *args], input=stdin, capture_output=True, check=False, env={**clean, **identity, **(env or {})}
        )
        if done.returncode:
            raise RuntimeError(f"git {args[0]}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().strip()

    def load(self, commits: Iterable[Commit]) -> None:
        """A whole history at once, with its tags (a trailing "!" makes a nested one: a tag of a tag, as they exist in the field)."""
        stream: list[bytes] = []
        tags: list[tuple[str, int]] = []
        for number, commit in enumerate(commits, 1):
            when = int(datetime.fromisoformat(commit.when).timestamp())
            stream.append(b"commit refs/heads/main\nmark :%d\n" % number)
            stream.append(f"author {commit.author} {when} +0000\ncommitter {commit.author} {when} +0000\n".encode())
            stream.append(_data(commit.message.encode()))
            stream += [f"M 100644 inline {path}\n".encode() + _data(content) for path, content in commit.files.items()]
            tags += [(tag, number) for tag in commit.tags]
        for tag, mark in tags:
            name = tag.rstrip("!")
            who = "tagger Ada <ada@acme.example> 1760000000 +0000\n"
            stream.append(f"tag {name}\nfrom :{mark}\n{who}".encode() + _data(f"Release {name}".encode()))
        self.git("fast-import", "--quiet", stdin=b"".join(stream))
        for tag, _ in tags:
            if tag.endswith("!"):
                self._nest(tag.rstrip("!"))

    def _nest(self, name: str) -> None:
        inner = self.git("rev-parse", f"refs/tags/{name}")
        text = f"object {inner}\ntype tag\ntag {name}\ntagger Ada <ada@acme.example> 1760000001 +0000\n\nsigned again\n"
        self.git("update-ref", f"refs/tags/{name}", self.git("mktag", stdin=text.encode()))

    def commit(self, files: Mapping[str, bytes | None], message: str, branch: str = "main") -> str:
        """One commit on top of a branch; None deletes a file. Tries again when another user pushed meanwhile."""
        for _ in range(20):
            base = self.git("rev-parse", f"refs/heads/{branch}")
            # An index for this commit alone: several threads write here, and a bare repository has none.
            index = {"GIT_INDEX_FILE": str(self.repository / f"index-{os.getpid()}-{id(files)}")}
            self.git("read-tree", base, env=index)
            for path, content in files.items():
                if content is None:
                    # Mode 0 removes it; --force-remove would need a work tree.
                    self.git("update-index", "--index-info", env=index, stdin=f"0 {'0' * 40}\t{path}\n".encode())
                else:
                    blob = self.git("hash-object", "-w", "--stdin", stdin=content)
                    self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
            commit = self.git("commit-tree", self.git("write-tree", env=index), "-p", base, "-m", message)
            try:
                self.git("update-ref", f"refs/heads/{branch}", commit, base)
            except RuntimeError:
                continue
            return commit
        raise RuntimeError(f"{branch} kept moving")

    def tag(self, name: str, commit: str, message: str = "") -> str:
        """Create or force-move an annotated tag; returns the id of the tag object."""
        text = f"object {commit}\ntype commit\ntag {name}\ntagger Mallory <mallory@acme.example> 1770000000 +0000\n\n{message or name}\n"
        # mktag takes the text as it is: with a fixed time the object's id is the same in every run.
        made = self.git("mktag", stdin=text.encode())
        self.git("update-ref", f"refs/tags/{name}", made)
        return made

    def holds(self, ref: str) -> str:
        """The object a ref holds, "" when absent."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", ref)
        except RuntimeError:
            return ""


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
