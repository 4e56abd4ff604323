"""The structure the project says it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDORS = {
    "kubernetes": {"promote/kube/client.py", "promote/kube/errors.py"},
    "github": {
        "promote/github/workflow_runs.py",
        "promote/github/errors.py",
        "promote/github/evidence.py",
        "promote/github/rules.py",
        "promote/github/logs.py",
        "promote/github/session.py",
    },
    "git": {"promote/git/process.py"},
    "requests": {
        "promote/transport/http_probe.py",
        "promote/monitoring/clients.py",
        "promote/github/workflow_runs.py",
        "promote/github/errors.py",
        "promote/github/session.py",
        "promote/transport/http_deadline.py",
    },
    "rich": {"promote/report/terminal.py"},
}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_workflow_is_audited() -> None:
    """What people run with a token that can move production's tag: `just lint` names each file of the templates that is a workflow."""
    audited = next(line for line in (ROOT / "justfile").read_text().splitlines() if "zizmor" in line).split()
    shipped = [p for p in (ROOT / "promote/templates").glob("*.y*ml") if "\njobs:\n" in p.read_text()]
    assert len(shipped) >= 3
    assert {p.relative_to(ROOT).as_posix() for p in shipped} <= set(audited)
    assert ".github" in audited and "--persona=pedantic" in audited


def test_arrows_point_one_way() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_vendor_is_imported_only_in_its_own_client() -> None:
    found = {
        (vendor, path.relative_to(ROOT).as_posix())
        for path in sources("promote", "checks")
        for line in path.read_text().splitlines()
        for vendor in VENDORS
        if line.strip().startswith((f"import {vendor}", f"from {vendor} import", f"from {vendor}."))
    }
    assert {(v, p) for v, p in found if p not in VENDORS[v]} == set()


def test_the_driver_needs_no_pytest() -> None:
    """Its suites are processes of their own; importing what they are made of would cost it a third of its start."""
    code = "import sys, promote.cli.run, promote.cli.rollback, promote.cli.resume; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_checks_reach_the_world_only_through_fixtures() -> None:
    allowed = ("import pytest", "from promote.checklist import")
    imports = [line for path in sources("checks") for line in path.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert imports
    assert [line for line in imports if not line.startswith(allowed)] == []


def test_modules_can_be_read_at_one_sitting() -> None:
    long = {path.relative_to(ROOT).as_posix(): n for path in sources("promote", "checks") if (n := len(path.read_text().splitlines())) > 300}
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in sources("promote", "checks", "tests")
        if path.stat().st_size and not path.read_text().startswith('"""')
    ]
    assert silent == []
