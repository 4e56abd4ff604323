"""Real git for the tests: a bare remote, clones of it, commits and tags."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


def git(folder: Path, *args: str, ok: bool = True) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False)
    if ok and done.returncode:
        raise AssertionError(f"git {' '.join(args)}: {done.stderr}")
    return done.stdout.strip()


@dataclass
class Repos:
    """A bare remote with one clone of it."""

    remote: Path
    clone: Path

    def commit(self, path: str = "file.txt", text: str = "x", message: str = "change") -> str:
        target = self.clone / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        git(self.clone, "add", path)
        git(self.clone, "commit", "-qm", message)
        git(self.clone, "push", "-q", "origin", "HEAD:main")
        return git(self.clone, "rev-parse", "HEAD")

    def tag(self, name: str, commit: str = "HEAD", *, force: bool = False) -> str:
        git(self.clone, "tag", "-a", *(["-f"] if force else []), name, commit, "-m", name)
        git(self.clone, "push", "-q", *(["-f"] if force else []), "origin", f"refs/tags/{name}")
        return git(self.clone, "rev-parse", f"refs/tags/{name}")

    def at(self, ref: str) -> str:
        """What the remote's ref holds, peeled to its commit; "" when absent."""
        return git(self.remote, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=False)

    def holds(self, ref: str) -> str:
        return git(self.remote, "rev-parse", "--verify", "--quiet", ref, ok=False)


def make_repos(folder: Path) -> Repos:
    """A remote whose main has one commit, tagged prod-stable and prod-v1.0.0."""
    remote, clone = folder / "remote.git", folder / "clone"
    git(folder, "init", "-q", "--bare", "-b", "main", str(remote))
    git(folder, "clone", "-q", str(remote), str(clone))
    git(clone, "checkout", "-qb", "main")
    repos = Repos(remote, clone)
    repos.commit(text="one", message="feat: one")
    for name in ("prod-v1.0.0", "prod-stable"):
        repos.tag(name)
    return repos


def bare_machine(folder: Path) -> dict[str, str]:
    """The environment of a machine that runs workflows: git, this Python's programs, an empty home, nothing of the user who runs the tests."""
    home = folder / "home"
    home.mkdir()
    (home / "gitconfig").touch()
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
