"""Where the checklist's evidence comes from in this repository: tracker, tests, documents, how commits are written.

Read-only. A check without evidence in this repository is disabled in promotion.toml, with the reason.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Sequence

from promote.candidate.commits import Change, change_of
from promote.candidate.tasks import hash_ids
from promote.checklist.workflow_file import FOLDER
from promote.git.objects import recent
from promote.git.remote import GitRemote
from promote.init.discover import Finding, applications

LOOKED_AT = 200  # commits
EXPORT = ".beads/issues.jsonl"
_OURS = ("promote-prod", "promote-check")


def decide(git: GitRemote, it: Finding) -> None:
    """Fill `tables`, `rules` and `disabled`; every decision is listed in `found` or `guessed`."""
    files = [p for p in git.git("ls-tree", "-r", "-z", "--name-only", "HEAD").out.split("\0") if p]
    commits = [change_of(c) for c in recent(git, LOOKED_AT)]
    _tasks(git, it, files, commits)
    _tests(it, files)
    _documents(it, files)
    if not any(applications(git)):
        it.disabled["manifests"] = "no Application is declared in this repository"
        it.guessed.append("manifests is disabled: no Application is declared here, so none can be rendered")
    _commit_style(it, commits)
    if "CHANGELOG.md" in files:
        it.found.append("documentation.changelog CHANGELOG.md: every version needs an entry in it")


def _tasks(git: GitRemote, it: Finding, files: Collection[str], commits: Sequence[Change]) -> None:
    if EXPORT in files or any(f.startswith(".beads/") for f in files):
        it.tables["tasks"] = {"source": "beads"}
        it.found.append("tasks.source beads: .beads/ is in this repository")
        return
    named = sum(bool(hash_ids(_slug(git))("\n".join([c.subject, *c.trailers]))) for c in commits)
    if it.github and named:
        it.tables["tasks"] = {"source": "github"}
        it.found.append(f"tasks.source github: {named} of the last {len(commits)} commits name an issue")
    else:
        it.tables["tasks"] = {"source": "none"}
        it.guessed.append("tasks.source none: neither .beads/ nor issues in commit messages; the check tasks-closed is disabled")


def _slug(git: GitRemote) -> str:
    match = re.search(r"[/:]([^/:]+/[^/]+?)(?:\.git)?/?$", git.url)
    return match[1] if match else ""


def _tests(it: Finding, files: Sequence[str]) -> None:
    flows = [f for f in files if f.startswith(f"{FOLDER}/") and f.endswith((".yml", ".yaml")) and not posixpath.basename(f).startswith(_OURS)]
    flows = [f for f in flows if posixpath.basename(f) != it.workflow]
    if it.github and flows:
        it.tables["tests"] = {"github": True}
        it.guessed.append(f"tests.github: every check of the candidate must succeed ({', '.join(posixpath.basename(f) for f in flows[:3])})")
    else:
        it.disabled["tests-passed"] = "no workflow that tests was found here"
        it.guessed.append("tests-passed is disabled: no workflow that tests; name tests.command or tests.junit when there are tests")


def _documents(it: Finding, files: Sequence[str]) -> None:
    """`docs/apps/gitea.md` beside `apps/gitea/`: the folder whose pages are named like the most applications."""
    apps = {parts[1] for f in files if len(parts := f.split("/")) > 2 and parts[0] == "apps"}
    pages = [f for f in files if f.endswith(".md") and "/" in f and posixpath.basename(f).removesuffix(".md") in apps]
    folders = Counter(posixpath.dirname(p) for p in pages)
    if folders:
        folder, count = folders.most_common(1)[0]
        it.rules.append(("apps/{app}/**", f"{folder}/{{app}}.md"))
        it.guessed.append(f"documentation.rules apps/{{app}}/** → {folder}/{{app}}.md: {count} of {len(apps)} applications have such a page")
    else:
        it.disabled["documentation"] = "no rule maps paths to documents"
        it.guessed.append("documentation is disabled: no page is named like an application; write [[documentation.rules]] when there is a rule")


def _commit_style(it: Finding, commits: Sequence[Change]) -> None:
    own = [c for c in commits if not c.merge]
    typed = sum(bool(c.kind) for c in own)
    if it.scheme == "semver" and own and typed * 2 < len(own):
        it.tables["version"] = {"default_bump": "patch"}
        it.guessed.append(f'version.default_bump patch: {len(own) - typed} of the last {len(own)} commits have no type ("feat: …")')
