"""`promote tag-dev VERSION`: create and push the dev tag at HEAD, the seed's first manual step."""

from __future__ import annotations

import argparse

from promote.cli.bootstrap import open_repository
from promote.core.errors import UsageError
from promote.core.model import short
from promote.core.version import parse_version
from promote.git.push import RefUpdate, refused
from promote.report.screen import answer
from promote.report.words import listed
from promote.tags.target import resolve_target


def main(args: argparse.Namespace) -> int:
    settings, git = open_repository(args.folder)
    version = parse_version(args.wanted, settings.version.scheme)
    target = resolve_target(git, settings, version)
    name, head = settings.tags.dev.format(version=version), git.head()
    if target.dev_tag and target.dev_tag.commit != head:
        raise UsageError(
            f"{name} exists already at {git.describe(target.dev_tag.commit)}, not at HEAD {short(head)}",
            hint=f"choose a new version; to replace the tag delete it first: git push {git.remote} :refs/tags/{name}",
        )
    if not git.is_ancestor(head, target.branch.commit):
        raise UsageError(
            f"HEAD {git.describe(head)} is not on {settings.repository.branch} of the remote",
            hint=f"push it first: git push {git.remote} HEAD:{settings.repository.branch}",
        )
    if target.dev_tag is None:
        tag = git.make_tag(name=name, commit=head, message=f"Dev release {version}")
        done, result, _ = git.push_and_look(RefUpdate(ref=f"refs/tags/{name}", new=tag, expected=""))
        if not done:
            raise refused(git.remote, result, f"create {name}")
    lines = [f"{name} → {git.describe(head)}" + ("" if target.dev_tag is None else " (was there already)")]
    if dirty := git.dirty():
        lines.append(f"not in it, because not committed: {listed(dirty, 5)}")
    document = {"outcome": "tagged", "tag": name, "commit": head, "created": target.dev_tag is None, "uncommitted": dirty}
    answer(*lines, document=document if args.json else None)
    return 0
