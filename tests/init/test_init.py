"""Adopting a repository: what `promote init` finds in repositories of several kinds, and that it never touches what exists."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from promote.config.json_schema import json_schema
from promote.config.reader import read_settings
from tests.support.json_schema import problems
from tests.support.repos import git

URL = "https://github.com/acme/gitops.git"


def application(name: str, path: str, target: str = "prod-stable", namespace: str = "argocd", **spec: Any) -> str:
    source = {"repoURL": URL, "path": path, "targetRevision": target}
    body = {"project": "default", "source": source, "destination": {"server": "https://kubernetes.default.svc", "namespace": name}} | spec
    if "sources" in spec:
        del body["source"]
    meta = {"name": name, "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": body})


class Repository:
    """A clone with a bare remote beside it, whose configured URL is GitHub's."""

    def __init__(self, folder: Path, files: dict[str, str], tags: tuple[str, ...] = ()) -> None:
        self.folder, self.env_kubeconfig = folder / "clone", folder / "kubeconfig"
        remote = folder / "remote.git"
        git(folder, "init", "-q", "--bare", "-b", "main", str(remote))
        git(folder, "init", "-q", "-b", "main", str(self.folder))
        git(self.folder, "remote", "add", "origin", str(remote))
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-qm", "all of it", "--allow-empty")
        for tag in tags:
            git(self.folder, "tag", *([] if tag.startswith("light:") else ["-am", tag]), tag.removeprefix("light:").removeprefix("nested:"))
            if tag.startswith("nested:"):
                name = tag.removeprefix("nested:")
                git(self.folder, "tag", "-f", "-am", "again", name, name)
        git(self.folder, "push", "-q", "--follow-tags", "origin", "main")
        git(self.folder, "push", "-q", "--tags", "origin")

    def init(self, *args: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "promote", "init", *args], cwd=self.folder, capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder.parent), "KUBECONFIG": str(self.env_kubeconfig)},
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    def settings(self) -> Any:
        """Of a file that satisfies the JSON schema too."""
        file = self.folder / "promotion.toml"
        assert list(problems(tomllib.loads(file.read_text()), json_schema())) == []
        return read_settings(file)

    def on_github(self) -> None:
        """The remote's address is GitHub's; what answers there is the bare repository, through git's own ssh command."""
        ssh = self.folder.parent / "ssh"
        ssh.write_text(f"#!/bin/sh\nexec git upload-pack '{self.folder.parent / 'remote.git'}'\n")
        ssh.chmod(0o755)
        git(self.folder, "config", "core.sshCommand", str(ssh))
        git(self.folder, "remote", "set-url", "origin", "git@github.com:acme/gitops.git")


def contexts(repository: Repository, *names: str) -> None:
    repository.env_kubeconfig.write_text(yaml.safe_dump({"contexts": [{"name": n, "context": {}} for n in names]}))


def test_an_app_of_apps_with_overlays(tmp_path: Path) -> None:
    files = {
        "bootstrap/root.yaml": application("root", "argocd/prod"),
        "argocd/prod/grafana.yaml": application("grafana", "apps/grafana/overlays/prod"),
        "argocd/dev/grafana.yaml": application("grafana", "apps/grafana/overlays/dev", target="main"),
        "apps/grafana/base/ingress.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: g}\nspec: {rules: [{host: grafana.acme.dev}]}\n",
        "charts/x/templates/app.yaml": "kind: Application\nmetadata: {{ .Values.x }}\n",
    }
    repository = Repository(tmp_path, files, ("dev-v1.0.0", "prod-v1.0.0", "prod-stable"))
    contexts(repository, "kind-acme-dev", "eks-prod-eu", "laptop")
    code, said = repository.init()
    assert code == 0, said
    settings = repository.settings()
    assert (settings.prod.root_app, settings.prod.context, settings.dev.context) == ("root", "eks-prod-eu", "kind-acme-dev")
    assert (settings.tags.stable, settings.version.scheme) == ("prod-stable", "semver")
    assert "https://grafana.acme.dev/" in (repository.folder / "promotion.toml").read_text()
    assert {p.name for p in (repository.folder / "checks").iterdir()} >= {"pre", "post", "smoke"}


def test_plain_folders_several_sources_and_another_tag_name(tmp_path: Path) -> None:
    many = [
        {"repoURL": "https://charts.example", "chart": "loki", "targetRevision": "6.0.0"},
        {"repoURL": URL.removesuffix(".git"), "ref": "values", "targetRevision": "refs/tags/live"},
    ]
    files = {
        "apps/loki/application.yaml": application("loki", "", namespace="gitops", sources=many),
        "apps/web/application.yaml": application("web", "apps/web", target="live", namespace="gitops"),
    }
    repository = Repository(tmp_path, files, ("live", "release/v1.0.0", "dev/v1.0.0"))
    repository.on_github()
    code, said = repository.init()
    assert code == 0, said
    settings = repository.settings()
    assert (settings.tags.stable, settings.promotion.via) == ("live", "workflow")
    assert (repository.folder / ".github/workflows/promote-prod.yaml").is_file()
    assert settings.tags.dev == "dev/{version}"
    assert list(settings.prod.namespaces) == ["gitops"]
    assert "prod.root_app" in said
    assert "guessed" in said


def test_a_repository_with_no_tags_at_all(tmp_path: Path) -> None:
    code, said = Repository(tmp_path, {"README.md": "x"}).init()
    assert code == 0, said
    assert "--first" in said


def test_calendar_versions_with_suffixes_and_odd_tags(tmp_path: Path) -> None:
    tags = ("prod-2026.05.3196-1a2b3c4", "light:prod-2026.06.1-abc1234", "nested:prod-2026.07.2-def5678", "prod-stable")
    repository = Repository(tmp_path, {"argocd/a.yaml": application("a", "apps/a")}, tags)
    code, said = repository.init()
    assert code == 0, said
    assert repository.settings().version.scheme == "calver"


def test_an_older_workflow_is_taken_as_it_is(tmp_path: Path) -> None:
    flow = "on:\n  workflow_dispatch:\n    inputs:\n      version: {required: true}\njobs: {}\n"
    repository = Repository(tmp_path, {".github/workflows/ship.yml": flow})
    repository.on_github()
    code, said = repository.init()
    assert code == 0, said
    settings = repository.settings()
    assert (settings.workflow.file, settings.workflow.legacy) == ("ship.yml", True)
    assert not (repository.folder / ".github/workflows/promote-prod.yaml").exists()


def test_nothing_that_exists_is_touched_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    mine = 'set shell := ["bash", "-c"]\n\ndeploy:\n    echo mine'
    toml, own = '[promotion]\nvia = "git"\n', "def test_mine(): pass\n"
    repository = Repository(tmp_path, {"justfile": mine, "promotion.toml": toml, "checks/pre/test_tree.py": own, ".gitignore": "*.log"})
    code, said = repository.init()
    assert code == 0, said
    folder = repository.folder
    assert (folder / "promotion.toml").read_text() == toml
    assert (folder / "checks/pre/test_tree.py").read_text() == own
    assert (folder / "justfile").read_text() == f"{mine}\n\nimport 'promote.just'\n"
    assert (folder / ".gitignore").read_text() == "*.log\nreports/\n"
    just = Path(sys.executable).parent / "just"
    listed = subprocess.run([just, "--summary"], cwd=folder, capture_output=True, text=True, check=True).stdout.split()
    assert set(listed) == {"deploy", "SendToProd", "Rollback", "CheckProd"}
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "adopted")
    code, said = repository.init()
    assert (code, git(folder, "status", "--porcelain")) == (0, "")
    assert "nothing to do" in said


def just(folder: Path) -> set[str]:
    """The recipes that the real just finds there."""
    done = subprocess.run([Path(sys.executable).parent / "just", "--summary"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_justfile_keeps_every_byte_and_its_own_recipes(tmp_path: Path) -> None:
    """Line ends of Windows, a letter in Latin-1, a recipe of a name that ours has too: just refuses a name that stands twice."""
    repository = Repository(tmp_path, {"README.md": "x"})
    mine = b"# d\xe9ploie\r\nRollback *args:\r\n    echo mine\r\n\r\nalias CheckProd := Rollback\r\n"
    for name in ("Justfile", ".gitignore"):
        (repository.folder / name).write_bytes(mine)
    code, said = repository.init()
    assert code == 0, said
    assert (repository.folder / "Justfile").read_bytes() == mine + b"\r\nimport 'promote.just'\r\n"
    assert (repository.folder / ".gitignore").read_bytes() == mine + b"reports/\r\n"
    (repository.folder / "Justfile").write_bytes((repository.folder / "Justfile").read_bytes().replace(b"\xe9", b"e"))  # just itself reads UTF-8 only
    assert just(repository.folder) == {"Rollback", "SendToProd"}
    assert "without Rollback, CheckProd, which Justfile has" in said
    assert (
        "echo mine"
        in subprocess.run(
            [Path(sys.executable).parent / "just", "--show", "Rollback"], cwd=repository.folder, capture_output=True, text=True, check=True
        ).stdout
    )


def test_a_file_of_that_name_that_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"justfile": "mine:\n    echo mine\n", "promote.just": "# not yours\n"})
    code, said = repository.init()
    assert (code, (repository.folder / "promote.just").read_text()) == (0, "# not yours\n"), said
    assert "it does not import promote.just" in said and just(repository.folder) == {"mine"}


def test_the_root_is_found_behind_kustomizations_and_is_the_outermost(tmp_path: Path) -> None:
    """Both environments share their Applications; an overlay decides which one follows which revision. web's folder holds web's own Application and is no root."""
    files = {
        "bootstrap/prod.yaml": application("everything", "argocd/prod"),
        "bootstrap/dev.yaml": application("everything-dev", "argocd/dev", target="main"),
        "argocd/prod/kustomization.yaml": "resources: [../base]\npatches: [{path: p.yaml, target: {kind: Application}}]\n",
        "argocd/base/kustomization.yaml": "resources: [team.yaml, ../../apps/web/application.yaml]\n",
        "argocd/base/team.yaml": application("team", "teams"),
        "teams/x.yaml": application("x", "apps/x"),
        "apps/web/application.yaml": application("web", "apps/web"),
    }
    repository = Repository(tmp_path, files, ("prod-v1.0.0", "prod-stable"))
    code, said = repository.init()
    assert code == 0, said
    assert repository.settings().prod.root_app == "everything" and "found    prod.root_app everything" in said


@pytest.mark.parametrize(
    ("names", "prod", "dev", "guessed"),
    [
        (("acme-preprod", "acme-dev"), "", "acme-dev", "prod.kubeconfig"),
        (("nonprod", "pre-prod", "devops"), "", "", "dev.kubeconfig"),
        (("acmeprod", "prod2", "dev_eu"), "prod2", "dev_eu", ""),
        (("acmeprod",), "acmeprod", "", "prod.context acmeprod"),
    ],
)
def test_which_context_is_production(tmp_path: Path, names: tuple[str, ...], prod: str, dev: str, guessed: str) -> None:
    repository = Repository(tmp_path, {"README.md": "x"})
    contexts(repository, *names)
    code, said = repository.init()
    assert code == 0, said
    assert (repository.settings().prod.context, repository.settings().dev.context) == (prod, dev)
    assert any(line.startswith(f"guessed  {guessed}") for line in said.splitlines())


def test_asking_by_hand_leaves_no_trace_in_the_clone_that_is_judged(tmp_path: Path) -> None:
    """Compiled files beside the checks were untracked ones: two checks failed for a user whose git did not ignore them."""
    repository = Repository(tmp_path, {"argocd/a.yaml": application("a", "apps/a"), "apps/a/x.yaml": "a: 1\n"}, ("prod-v1.0.0", "prod-stable"))
    assert repository.init()[0] == 0
    git(repository.folder, "add", "-A")
    git(repository.folder, "commit", "-qm", "feat: adopted")
    git(repository.folder, "push", "-q", "origin", "main")
    argv = [sys.executable, "-m", "pytest", "checks/pre", "-q", "-k", "clean_tree or policy_unchanged"]
    done = subprocess.run(
        argv, cwd=repository.folder, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    )
    assert "✓ policy-unchanged" in done.stdout and "✓ clean-tree" in done.stdout, done.stdout
    assert git(repository.folder, "status", "--porcelain") == ""


def test_print_writes_nothing(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"README.md": "x"})
    code, said = repository.init("--print")
    assert code == 0
    assert tomllib.loads(said)["promotion"]["via"] == "git"
    assert git(repository.folder, "status", "--porcelain") == ""


def test_upgrade_updates_unchanged_files_and_shows_the_rest(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"README.md": "x"})
    assert repository.init()[0] == 0
    checks = repository.folder / "checks"
    old, changed = checks / "pre/test_tree.py", checks / "pre/test_remote.py"
    current = old.read_text()
    hashes = json.loads((checks / ".promote.json").read_text())
    old.write_text("# an older version\n")  # as an older promote had written it
    hashes["checks/pre/test_tree.py"] = hashlib.sha256(b"# an older version\n").hexdigest()
    (checks / ".promote.json").write_text(json.dumps(hashes))
    changed.write_text(changed.read_text() + "# ours\n")
    code, said = repository.init("--upgrade")
    assert code == 0, said
    assert old.read_text() == current
    assert changed.read_text().endswith("# ours\n")
    assert "-# ours" in said


def test_upgrade_removes_files_of_older_versions_unless_a_team_changed_them(tmp_path: Path) -> None:
    """Its checks may stand in another file now, and an id that stands twice ends the suite."""
    repository = Repository(tmp_path, {"README.md": "x"})
    assert repository.init()[0] == 0
    checks = repository.folder / "checks"
    hashes = json.loads((checks / ".promote.json").read_text())
    for name in ("test_past.py", "test_ours.py"):
        (checks / "pre" / name).write_text("# an older version\n")
        hashes[f"checks/pre/{name}"] = hashlib.sha256(b"# an older version\n").hexdigest()
    (checks / ".promote.json").write_text(json.dumps(hashes))
    (checks / "pre" / "test_ours.py").write_text("# an older version\n# ours\n")
    assert "test_past" not in repository.init()[1] and (checks / "pre" / "test_past.py").exists(), "only when asked for"
    code, said = repository.init("--upgrade")
    assert code == 0 and "gone     checks/pre/test_past.py" in said and "kept     checks/pre/test_ours.py" in said
    assert not (checks / "pre" / "test_past.py").exists() and (checks / "pre" / "test_ours.py").exists()
    assert "test_past" not in (checks / ".promote.json").read_text()
    assert repository.init("--upgrade")[1].splitlines()[-1] == "nothing to do: everything is there"


OLDER = """# our production
[promotion]
via = "git"   # no GitHub here

[argocd]
looks = 2     # a small cluster

# what must answer
[[smoke.urls]]
name = "shop"
url = "https://shop.example.org/"
tries = 5
"""
NEWER = OLDER.replace("looks", "successes").replace("tries", "attempts")


def older(tmp_path: Path, text: str = OLDER) -> tuple[Repository, Path]:
    """A repository that is up to date but for its promotion.toml."""
    repository = Repository(tmp_path, {"README.md": "x"})
    assert repository.init()[0] == 0
    file = repository.folder / "promotion.toml"
    file.write_text(text)
    return repository, file


def test_upgrade_renames_the_keys_of_an_older_promotion_toml(tmp_path: Path) -> None:
    repository, file = older(tmp_path)
    file.chmod(0o640)
    code, said = repository.init()
    assert (code, file.read_text()) == (0, OLDER), "only with --upgrade"
    old = "2 keys with a former name: argocd.looks → successes, smoke.urls[0].tries → attempts (see --upgrade, which renames in place)"
    assert f"kept     promotion.toml: {old}\n" in said
    assert said.splitlines()[-1] == "nothing written; next: promote init --upgrade"
    assert {"path": "promotion.toml", "what": "kept", "why": old} in json.loads(repository.init("--json")[1])["files"]
    code, said = repository.init("--upgrade", "--print")
    assert (code, said, file.read_text()) == (0, NEWER, OLDER), "--print writes nothing"
    code, said = repository.init("--upgrade")
    assert code == 0, said
    assert "changed  promotion.toml: 2 keys renamed: argocd.looks → successes, smoke.urls[0].tries → attempts" in said
    assert (file.read_text(), file.stat().st_mode & 0o777) == (NEWER, 0o640)
    assert (repository.settings().argocd.successes, repository.settings().smoke.urls[0].attempts) == (2, 5)
    assert repository.init("--upgrade")[1].splitlines()[-1] == "nothing to do: everything is there"
    assert file.read_text() == NEWER


def test_upgrade_lists_the_renamed_keys_as_json(tmp_path: Path) -> None:
    repository, _ = older(tmp_path)
    document = json.loads(repository.init("--upgrade", "--json")[1])
    assert document["outcome"] == "written"
    why = "2 keys renamed: argocd.looks → successes, smoke.urls[0].tries → attempts"
    assert {"path": "promotion.toml", "what": "changed", "why": why} in document["files"]


def test_upgrade_follows_a_link_and_leaves_it_one(tmp_path: Path) -> None:
    repository, file = older(tmp_path)
    file.rename(tmp_path / "shared.toml")
    file.symlink_to(tmp_path / "shared.toml")
    assert repository.init("--upgrade")[0] == 0
    assert file.is_symlink() and (tmp_path / "shared.toml").read_text() == NEWER


@pytest.mark.parametrize(
    ("text", "words"),
    [("[argocd\nlooks = 2\n", "not TOML"), ("[argocd]\nlooks = 2\nsuccesses = 3\n", "[argocd] has both looks and successes, its new name")],
)
def test_upgrade_refuses_a_promotion_toml_it_cannot_rename_in_and_writes_nothing(tmp_path: Path, text: str, words: str) -> None:
    repository, file = older(tmp_path, text)
    (repository.folder / "promote.just").unlink()
    code, said = repository.init("--upgrade")
    assert code == 2 and words in said, said
    assert file.read_text() == text and not (repository.folder / "promote.just").exists()


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_full_disk_leaves_the_older_promotion_toml_as_it_was(tmp_path: Path, blocks: int) -> None:
    """No file may grow past some blocks: nothing can be written, then only the beginning."""
    text = OLDER + "# why\n" * 1000
    repository, file = older(tmp_path, text)
    done = subprocess.run(
        ["sh", "-c", f'ulimit -f {blocks}; exec "$0" -m promote init --upgrade', sys.executable], cwd=repository.folder, capture_output=True,
        text=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode == 5 and "promotion.toml" in done.stderr and "cannot be written: File too large" in done.stderr, done
    assert file.read_text() == text
    assert [p.name for p in repository.folder.iterdir() if "promotion.toml" in p.name] == ["promotion.toml"]


@pytest.mark.parametrize(
    ("remotes", "args", "code", "words"), [((), (), 2, "no git remote"), (("a", "b"), (), 2, "--remote"), (("a",), (), 0, "remote a")]
)
def test_which_remote(tmp_path: Path, remotes: tuple[str, ...], args: tuple[str, ...], code: int, words: str) -> None:
    repository = Repository(tmp_path, {"README.md": "x"})
    git(repository.folder, "remote", "remove", "origin")
    for name in remotes:
        git(repository.folder, "remote", "add", name, str(tmp_path / "remote.git"))
    got, said = repository.init(*args)
    assert (got, words in said) == (code, True), said


def test_outside_a_repository_the_error_names_the_reason(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "promote", "init"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not in a git repository" in done.stderr


def test_where_the_checklists_evidence_comes_from(tmp_path: Path) -> None:
    files = {
        ".beads/issues.jsonl": '{"id": "acme-1", "status": "closed"}\n',
        ".github/workflows/ci.yaml": "on: push\njobs: {}\n",
        "apps/gitea/base/x.yaml": "a: 1\n",
        "docs/apps/gitea.md": "# gitea\n",
        "argocd/gitea.yaml": application("gitea", "apps/gitea"),
    }
    repository = Repository(tmp_path, files)
    repository.on_github()
    code, said = repository.init()
    assert code == 0, said
    settings = repository.settings()
    assert (settings.tasks.source, settings.tests.github, settings.checklist.disabled) == ("beads", True, [])
    assert [(r.paths, r.document) for r in settings.documentation.rules] == [("apps/{app}/**", "docs/apps/{app}.md")]
    assert settings.version.default_bump == "patch", "from the type of the only commit"


def test_issues_in_commit_messages_are_the_tracker(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"README.md": "x"})
    repository.on_github()
    git(repository.folder, "commit", "-q", "--allow-empty", "-m", "fix: a (#12)")
    assert repository.init()[0] == 0
    assert repository.settings().tasks.source == "github"


def test_settings_without_evidence_are_written_as_disabled(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"README.md": "x"})
    code, said = repository.init()
    assert code == 0, said
    settings = repository.settings()
    assert settings.tasks.source == "none" and {o.id for o in settings.checklist.disabled} == {"tests-passed", "documentation", "manifests"}
    assert all(o.reason for o in settings.checklist.disabled)
    assert "tests-passed is disabled" in said and "documentation is disabled" in said


def test_what_looks_after_promotions_left_by_their_owner_is_written_when_asked_for(tmp_path: Path) -> None:
    repository = Repository(tmp_path, {"apps/a.yaml": application("a", "apps")}, tags=("prod-stable",))
    repository.on_github()
    assert repository.init()[0] == 0
    assert not list(repository.folder.rglob("promote-orphans*"))
    code, out = repository.init("--orphans")
    assert code == 0, out
    written = sorted(p.relative_to(repository.folder).as_posix() for p in repository.folder.rglob("promote-orphans*"))
    assert written == [".github/workflows/promote-orphans.yaml", "promote-orphans.cronjob.yaml"], out
    job = yaml.safe_load((repository.folder / "promote-orphans.cronjob.yaml").read_text())
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert "promote resume --if-orphaned 15m" in container["args"][0]
    assert subprocess.run(["sh", "-n", "-c", container["args"][0]], check=False).returncode == 0
    assert repository.init("--orphans")[1].splitlines()[-1] == "nothing to do: everything is there"
