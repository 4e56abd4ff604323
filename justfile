# Recipes of this repository; the first group is what `promote` gives a GitOps repository.
set positional-arguments

python := if path_exists(justfile_directory() / ".venv/bin/python") == "true" { justfile_directory() / ".venv/bin/python" } else { "python3" }

# list the recipes
default:
    @just --list

# ship a version to production: check, tag, move, prove, roll back when wrong
SendToProd version *options:
    @{{ python }} -m promote run "$@"

# put production's tag back and prove it
Rollback *options:
    @{{ python }} -m promote rollback "$@"

# run the tests
test *options:
    {{ python }} -m pytest -n auto "$@"

# style, types, architecture, workflows
lint:
    {{ python }} -m ruff check .
    {{ python }} -m ruff format --check .
    {{ python }} -m mypy
    {{ python }} -c 'import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())'
    {{ python }} -m zizmor --offline promote/templates .github
