"""Scenarios with a faulty workflow: it fails, hangs, waits for an approval, dies half-way, or is of the older kind."""

from __future__ import annotations

import re
from collections.abc import Mapping

from promote.sandbox.sandbox import Sandbox
from promote.sandbox.scenarios.basics import GITEA_DOWN, GRAFANA, STABLE
from promote.sandbox.scenarios.scenario import Play, Scenario, both, once_moved

FILE = ".github/workflows/promote-prod.yaml"
MESSAGE = "feat(grafana): raise the memory limit"
IMPATIENT = {'\ntimeout = "60s"': '\ntimeout = "4s"'}
# The kind of workflow that a team wrote for itself: one input, and the stable tag deleted before it is created again.
OLDER = """name: Promote to Production
on:
  workflow_dispatch:
    inputs:
      version:
        description: "Version (e.g. v1.2.3)"
        required: true
jobs:
  promote:
    runs-on: ubuntu-latest
    steps:
      - name: Check out
        uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - name: Move the tags
        env:
          VERSION: ${{ inputs.version }}
          GITHUB_TOKEN: ${{ github.token }}
        run: |
          git config user.name ci && git config user.email ci@acme.example
          git remote set-url origin "${GITHUB_SERVER_URL/:\\/\\//://x-access-token:$GITHUB_TOKEN@}/$GITHUB_REPOSITORY.git"
          git fetch --quiet --tags --force origin
          git tag -a "prod-$VERSION" -m "Production $VERSION" "dev-$VERSION^{commit}"
          git push --quiet origin "refs/tags/prod-$VERSION"
          git push --quiet origin :refs/tags/prod-stable
          @DIES@
          git tag -f -a prod-stable -m "Production is $VERSION" "prod-$VERSION^{commit}"
          git push --quiet --force origin refs/tags/prod-stable
"""
LEGACY = {'\ntimeout = "60s"': '\ntimeout = "60s"\nlegacy = true'}


def older(dies: str = "true") -> dict[str, bytes]:
    """The older workflow; `dies` is the shell's word between the two pushes."""
    return {FILE: OLDER.replace("@DIES@", dies).encode()}


def _approved_soon(sandbox: Sandbox) -> None:
    sandbox.github.ask_approval()

    def approve() -> None:
        while not any(run.status == "waiting" for run in sandbox.github.runs) and not sandbox.git.stopping.wait(0.1):
            pass
        if not sandbox.git.stopping.wait(5.0):  # longer than the run itself may take
            sandbox.github.approve()

    sandbox.meanwhile(approve)


def _without_action(sandbox: Sandbox) -> None:
    """The workflow as it was before it could roll back."""
    text = sandbox.writer.git("show", f"main:{FILE}") + "\n"
    for words in (r"      action:\n(?:        .*\n)+", r"          ACTION: .*\n", r' --action="\$ACTION"', r"\$\{\{ inputs\.action \}\} "):
        text, found = re.subn(words, "", text)
        assert found == 1, words
    sandbox.commit({FILE: text.encode(), "docs/promotion.md": b"# Promotion\n\nForward only.\n"}, "ci: the workflow that we have")


def _with_action(sandbox: Sandbox) -> None:
    sandbox.commit({FILE: sandbox.writer.git("show", f"{STABLE}~2:{FILE}").encode() + b"\n"}, "ci: the workflow can roll back")


def _only_the_workflow(sandbox: Sandbox) -> None:
    sandbox.protect(STABLE, but_workflow=True)


SCENARIOS: Mapping[str, Scenario] = {
    "rollback-by-workflow": Scenario(
        "a ruleset lets only the workflow move production's tag: the workflow also moves it back",
        "v1.9.0",
        "rolled_back",
        "feat(gitea): new database schema",
        GITEA_DOWN,
        _only_the_workflow,
        via="workflow",
    ),
    "rollback-refused-twice": Scenario(
        "a ruleset is added after the move; the workflow is too old to roll back, then refused as well: an administrator must allow it",
        "v1.9.0",
        "stuck",
        "feat(gitea): new database schema",
        GITEA_DOWN,
        both(_without_action, lambda s: once_moved(s, lambda: s.protect(STABLE))),
        after=(
            Play(argv=("resume",), code=4, happens=_with_action, words="the workflow's file is brought up to date"),
            Play(argv=("resume",), code=3, happens=_only_the_workflow, words="the workflow's token is let pass"),
        ),
        via="workflow",
    ),
    "workflow-fails": Scenario(
        "the workflow fails before it moves anything: its log is shown",
        "v1.8.0",
        "refused",
        MESSAGE,
        GRAFANA,
        lambda s: s.github.fail_run("##[error]the runner has no network"),
        via="workflow",
    ),
    "workflow-times-out": Scenario(
        "the workflow hangs: promote abandons it and fences it off, so it moves nothing later",
        "v1.8.0",
        "unchecked",
        MESSAGE,
        GRAFANA,
        lambda s: s.github.hang_run(),
        settings=IMPATIENT,
        via="workflow",
    ),
    "workflow-fails-after-move": Scenario(
        "the runner is lost after the tags moved: the refs are correct, so promote continues with the verification",
        "v1.8.0",
        "verified",
        MESSAGE,
        GRAFANA,
        lambda s: s.github.fail_after_move(),
        via="workflow",
    ),
    "waiting-for-approval": Scenario(
        "the workflow's environment needs a review, which is given after some seconds",
        "v1.8.0",
        "verified",
        MESSAGE,
        GRAFANA,
        _approved_soon,
        settings=IMPATIENT,
        via="workflow",
    ),
    "never-approved": Scenario(
        "the review is never given",
        "v1.8.0",
        "unchecked",
        MESSAGE,
        GRAFANA,
        lambda s: s.github.ask_approval(),
        settings={'\ntimeout = "60s"': '\ntimeout = "60s"\napproval_timeout = "3s"'},
        via="workflow",
    ),
    "legacy-workflow": Scenario(
        "an older workflow with one input, which deletes the tag before it creates it again",
        "v1.8.0",
        "verified",
        MESSAGE,
        GRAFANA,
        settings=LEGACY,
        extra=older(),
        via="workflow",
    ),
    "workflow-too-old": Scenario(
        "an older workflow, and workflow.legacy is not set", "v1.8.0", "refused", MESSAGE, GRAFANA, extra=older(), via="workflow"
    ),
    "legacy-workflow-dies": Scenario(
        "an older workflow that dies between deleting the tag and creating it again: promote restores the tag",
        "v1.8.0",
        "refused",
        MESSAGE,
        GRAFANA,
        settings=LEGACY,
        extra=older("exit 7"),
        via="workflow",
    ),
    "legacy-wrong-commit": Scenario(
        "an older workflow tags the wrong commit: promote rolls it back",
        "v1.8.0",
        "rolled_back",
        MESSAGE,
        GRAFANA,
        settings=LEGACY,
        extra={k: v.replace(b'"dev-$VERSION^{commit}"', b'"dev-$VERSION^{commit}~1"') for k, v in older().items()},
        via="workflow",
    ),
}
