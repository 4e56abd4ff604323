"""`promote init`: write the settings, checks, workflow and just recipes for this repository."""

from __future__ import annotations

import argparse
import os
import tomllib
from pathlib import Path

from promote.cli.sandbox_session import TEMPLATES, checks_folder
from promote.config.reader import settings_from
from promote.config.schema import FILE_NAME
from promote.connect import own_kubeconfig
from promote.core.errors import UsageError
from promote.git.process import forget_local_variables
from promote.git.remote import GitRemote
from promote.init.discover import Finding, look
from promote.init.files import Change, plan, write
from promote.init.infer import decide
from promote.init.settings_text import settings_text
from promote.init.upgrade import outdated_settings, upgrade_settings
from promote.report.screen import answer


def main(args: argparse.Namespace) -> int:
    git = _repository(args.folder, args.remote)
    finding = look(git, _own_kubeconfig())
    decide(git, finding)
    text = settings_text(finding)
    _reads_back(text)
    upgraded = upgrade_settings(git.top) if args.upgrade else []
    if args.print:
        print(next((c.content.decode() for c in upgraded if c.content), text), end="")
        return 0
    changes = (upgraded if args.upgrade else outdated_settings(git.top)) + plan(
        git.top,
        _wanted(git.top, finding, text) | (_orphans(finding) if args.orphans else {}),
        (TEMPLATES / "promote.just").read_bytes(),
        upgrade=args.upgrade,
    )
    write(git.top, changes)
    if args.json:
        answer(document=_document(finding, changes))
    else:
        answer(*_words(finding, changes))
    return 0


def _repository(folder: Path, remote: str) -> GitRemote:
    forget_local_variables(os.environ)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="name the clone of your GitOps repository")
    git = GitRemote(folder.resolve(), remote or "origin")
    top = git.top
    names = git.git("remote").out.split()
    if not names:
        raise UsageError(f"{top} has no git remote", hint="add the one that Argo CD reads: git remote add origin URL")
    if not remote and "origin" not in names:
        if len(names) > 1:
            raise UsageError(f"{top} has several remotes and no origin: {', '.join(names)}", hint="name the one that Argo CD reads: --remote NAME")
        remote = names[0]
    return GitRemote(top, remote or "origin")


def _own_kubeconfig() -> Path | None:
    """The first file of $KUBECONFIG, else the usual one; only its context names are read."""
    first = own_kubeconfig().partition(os.pathsep)[0]
    path = Path(first) if first else Path.home() / ".kube" / "config"
    return path if path.is_file() else None


def _wanted(top: Path, finding: Finding, text: str) -> dict[str, bytes]:
    checks = checks_folder()
    wanted = {f"checks/{p.relative_to(checks).as_posix()}": p.read_bytes() for p in sorted(checks.rglob("*.py"))}
    if not (top / FILE_NAME).exists():
        wanted[FILE_NAME] = text.encode()
    if finding.github and not finding.workflow:
        wanted[".github/workflows/promote-prod.yaml"] = (TEMPLATES / "promote-prod.yaml").read_bytes()
    if finding.github:
        check = (TEMPLATES / "promote-check.yaml").read_bytes()
        wanted[".github/workflows/promote-check.yaml"] = check.replace(b"branches: [main]", f"branches: [{finding.branch}]".encode())
    return wanted


def _orphans(finding: Finding) -> dict[str, bytes]:
    """Without GitHub, only the CronJob can run it."""
    cronjob = {"promote-orphans.cronjob.yaml": (TEMPLATES / "promote-orphans.cronjob.yaml").read_bytes()}
    workflow = {".github/workflows/promote-orphans.yaml": (TEMPLATES / "promote-orphans.yaml").read_bytes()}
    return cronjob | (workflow if finding.github else {})


def _reads_back(text: str) -> None:
    """The file must be valid for this version of promote."""
    settings_from(tomllib.loads(text), Path())


def _words(finding: Finding, changes: list[Change]) -> list[str]:
    wrote = [c for c in changes if c.content is not None or c.what == "gone"]
    lines = [f"found    {line}" for line in finding.found] + [f"guessed  {line}" for line in finding.guessed]
    lines += [f"{c.what:<8} {c.path}" + (f": {c.why}" if c.why else "") for c in changes if c.content is not None or c.why]
    if not wrote:
        old = any(c.path == FILE_NAME for c in changes)
        return [*lines, "nothing written; next: promote init --upgrade" if old else "nothing to do: everything is there"]
    first = " --first" if finding.first else ""
    return [
        *lines,
        "next     look at promotion.toml, declare [[smoke.urls]], commit and push all of it; then:",
        f"         {f'promote check pre VERSION{first}' if first else 'pytest checks/pre':<36} can this be shipped?",
        f"         {f'promote run VERSION{first}':<36} ship it",
    ]


def _document(finding: Finding, changes: list[Change]) -> dict[str, object]:
    return {
        "outcome": "written" if any(c.content is not None or c.what == "gone" for c in changes) else "nothing",
        "found": finding.found,
        "guessed": finding.guessed,
        "files": [{"path": c.path, "what": c.what, "why": c.why} for c in changes],
    }
