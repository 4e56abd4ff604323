"""The structure that the project documents."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import FunctionType

import pytest

import promote.checks
import promote.connect
from promote.checklist import fixtures
from promote.promotion.context import PromotionContext
from promote.promotion.forge.legacy_workflow import complete
from promote.tags.publish import publish

ROOT = Path(__file__).resolve().parents[2]
VENDORS = {
    "kubernetes": {"promote/kube/client.py"},
    "github": {
        "promote/github/workflow_runs.py",
        "promote/github/evidence.py",
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


def imported(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions; for `from a import b` both `a` and `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_a_vendor_is_imported_only_in_its_own_client() -> None:
    """The table is exact: a client that no longer imports its vendor leaves it."""
    found = {vendor: set[str]() for vendor in VENDORS}
    for path in sources("promote", "checks"):
        for vendor in {name.partition(".")[0] for name in imported(path)} & VENDORS.keys():
            found[vendor].add(path.relative_to(ROOT).as_posix())
    assert found == VENDORS


# Modules that a module without I/O must not import, and the wordings of that promise.
OUTSIDE = {"os", "sys", "pathlib", "subprocess", "socket", "shutil", "tempfile", "http", "urllib.request", *VENDORS}
_PURE = re.compile(r"\bPure\b|No I/O|No input or output|Reads text only|Reads nothing but values|Reaches nothing")


def promises_no_input_or_output(path: Path) -> bool:
    """By its own docstring, or by that of its package, which names its exceptions in backquotes."""
    package = ast.get_docstring(ast.parse((path.parent / "__init__.py").read_text())) if (path.parent / "__init__.py").exists() else ""
    own = ast.get_docstring(ast.parse(path.read_text()))
    return bool(_PURE.search(own or "") or (_PURE.search(package or "") and f"`{path.stem}`" not in (package or "")))


def test_a_module_that_promises_no_input_or_output_imports_nothing_for_it() -> None:
    pure = [path for path in sources("promote") if promises_no_input_or_output(path)]
    assert len(pure) > 20, "the test sees the promises"
    found = {path.relative_to(ROOT).as_posix(): outside for path in pure if (outside := imported(path) & OUTSIDE)}
    assert found == {}
    opened = {
        path.relative_to(ROOT).as_posix()
        for path in pure
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input")
    }
    assert opened == set()


def test_the_driver_needs_no_pytest() -> None:
    """Its suites are processes of their own; importing what they are made of would cost it a third of its start."""
    code = "import sys, promote.cli.run, promote.cli.rollback, promote.cli.resume; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def modules_imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, wherever the import stands; `from promote import checks` counts as promote.checks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "promote" else (module,)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module", "import_module"):
            yield _name(node.args[0])


def python_blocks(page: Path) -> list[str]:
    """The Python of a Markdown page: indented or fenced blocks that import something and parse."""
    text = page.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    return [block for block in map(textwrap.dedent, blocks) if re.search(r"^\s*(import|from) \w", block, re.MULTILINE) and _parses(block)]


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def test_check_files_import_only_pytest_and_the_public_interface() -> None:
    """Those of this repository, which `promote init` copies into others, any Python of the templates, and the examples of the documents."""
    texts = [path.read_text() for path in sources("checks", "promote/templates")]
    examples = [block for page in (ROOT / "docs").glob("*.md") for block in python_blocks(page)]
    assert len(texts) >= 10 and examples
    assert {module for text in texts for module in modules_imported(ast.parse(text))} == {"pytest", "promote.checks"}
    assert {name for text in examples for name in modules_imported(ast.parse(text)) if name.startswith("promote")} == {"promote.checks"}


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("import promote.git", "promote.git"),
        ("from promote import connect", "promote.connect"),
        ("from promote.checklist import dev", "promote.checklist"),
        ("def f():\n    from promote.core import model", "promote.core"),
        ("import importlib\nimportlib.import_module('promote.git')", "promote.git"),
        ("__import__('promote.git')", "promote.git"),
    ],
)
def test_an_import_is_found_however_it_is_written(line: str, module: str) -> None:
    assert module in set(modules_imported(ast.parse(line)))


def test_no_module_of_promote_uses_the_public_interface() -> None:
    """It is for check files alone: a change inside promote must not need a change of it."""
    users = {path for path in sources("promote") if "promote.checks" in set(modules_imported(ast.parse(path.read_text())))}
    assert users == set()


def test_the_public_interface_is_whole_and_documented() -> None:
    assert promote.checks.__all__ == sorted(promote.checks.__all__)
    used = {
        alias.name
        for path in sources("checks")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert used <= set(promote.checks.__all__), "a name that a shipped check uses is public"
    public = {name: getattr(promote.checks, name) for name in promote.checks.__all__}
    things = {name: thing for name, thing in public.items() if inspect.isfunction(thing) or inspect.isclass(thing)}
    assert set(public) - set(things) == {"Evidence"}, "everything else is a function or a class"
    methods = {
        f"{name}.{method}": value
        for name, thing in things.items()
        if inspect.isclass(thing)
        for method, value in vars(thing).items()
        if not method.startswith("_") and isinstance(value, FunctionType | property | cached_property)
    }
    assert [name for name, thing in {**things, **methods}.items() if len((thing.__doc__ or "").split()) < 5] == []


def test_the_public_interface_describes_every_fixture() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", promote.checks.__doc__ or "", re.MULTILINE))
    provided = {*fixtures.__all__, "evidence", "smoke_url", "promql_query"}
    assert described == provided


def test_modules_can_be_read_at_one_sitting() -> None:
    long = {path.relative_to(ROOT).as_posix(): n for path in sources("promote", "checks") if (n := len(path.read_text().splitlines())) > 300}
    assert long == {}


def test_every_module_states_its_purpose() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in sources("promote", "checks", "tests")
        if path.stat().st_size and not path.read_text().startswith('"""')
    ]
    assert silent == []


# Variables that may be read outside promote.connect, and why.
READ_ELSEWHERE = {
    "GIT_CONFIG_COUNT": "a list in the environment that a started git reads, and that a credential helper is added to",
    "GIT_PYTHON_REFRESH": "set, not read, before GitPython is imported",
    "GITHUB_ACTIONS": "decides what a line of the output means, and the output is below the clients",
    "PATH": "handed on to the programs of the sandbox",
    "TERM": "describes the terminal that the screen is drawn on",
}


def variables_read(tree: ast.AST) -> Iterator[str]:
    """The variables of the environment that a module reads or sets by name. Handing the whole environment on to a child is no reading."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            yield _name(node.slice)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.getenv", *(f"os.environ.{verb}" for verb in ("get", "pop", "setdefault"))):
            yield _name(node.args[0])
        elif isinstance(node, ast.Compare) and any(ast.unparse(side) == "os.environ" for side in node.comparators):
            yield _name(node.left)
        elif isinstance(node, ast.ImportFrom) and node.module == "os" and {"environ", "getenv"} & {alias.name for alias in node.names}:
            yield ast.unparse(node)


def _name(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)


def test_variables_of_the_environment_are_read_in_connect_alone() -> None:
    found = {path: set(variables_read(ast.parse(path.read_text()))) for path in sources("promote", "checks")}
    assert found[Path(promote.connect.__file__)], "the test sees a reader"
    read = {name for path, names in found.items() if path != Path(promote.connect.__file__) for name in names}
    assert read == set(READ_ELSEWHERE)


@pytest.mark.parametrize(
    "line",
    ["os.environ['A']", "os.environ.get('A', '')", "os.getenv('A')", "'A' in os.environ", "os.environ.setdefault('A', '')", "os.environ.pop('A')"],
)
def test_a_variable_is_found_however_it_is_read(line: str) -> None:
    assert list(variables_read(ast.parse(line))) == ["A"]


def moves_stable(tree: ast.AST) -> bool:
    """Whether a module builds an update of the stable tag's ref."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("RefUpdate")]
    return any(word.arg == "ref" and ast.unparse(word.value).endswith("names.stable") for call in calls for word in call.keywords)


def test_the_stable_tag_is_moved_in_one_place() -> None:
    found = {path for path in sources("promote") if moves_stable(ast.parse(path.read_text()))}
    assert found == {Path(act.__code__.co_filename) for act in (publish, complete)}


def writes_tracked(tree: ast.AST) -> bool:
    """Whether a module assigns what a promotion knows of its refs."""
    targets = [t for node in ast.walk(tree) if isinstance(node, ast.Assign) for t in node.targets]
    return any(isinstance(target, ast.Attribute) and target.attr == "tracked" for target in targets)


def test_what_is_known_of_the_refs_is_written_in_one_place() -> None:
    assert {path for path in sources("promote") if writes_tracked(ast.parse(path.read_text()))} == {
        Path(PromotionContext.update.__code__.co_filename)
    }
    for name in ("moved", "stable", "lock"):
        assert getattr(PromotionContext, name).fset is None


def test_help_loads_no_vendor() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "promote", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in loaded, "the test sees loaded modules"
    assert loaded & {*VENDORS, "pytest", "yaml"} == set()


# What docstrings promise of the whole tree, each with the test that holds it.
PROMISES = {
    "The only reader of environment variables.": test_variables_of_the_environment_are_read_in_connect_alone,
    "the one place that moves the stable tag": test_the_stable_tag_is_moved_in_one_place,
    "Only this module imports rich": test_a_vendor_is_imported_only_in_its_own_client,
    "the only writer of `moved`, `stable` and `lock`": test_what_is_known_of_the_refs_is_written_in_one_place,
}
_PROMISE = re.compile(
    r"\bonly (?:module|reader|writer|way|place|caller|factory|one that)\b|\bone (?:place|module|way) that\b"
    r"|\b(?:here|this module) (?:only|alone)\b|\bnothing else in the project\b"
)


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
            yield " ".join(text.split())


def test_what_a_docstring_promises_of_the_whole_tree_is_held_by_a_test() -> None:
    texts = [text for path in sources("promote", "checks") for text in docstrings(path)]
    assert [promise for promise in PROMISES if not any(promise in text for text in texts)] == [], "promised no more"
    for promise in PROMISES:
        texts = [text.replace(promise, "") for text in texts]
    assert [text for text in texts if _PROMISE.search(text)] == [], "a promise without a test"
