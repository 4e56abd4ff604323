# Recipes of this repository. `promote init` writes the first two into a GitOps repository as well.
set positional-arguments

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# list the recipes
default:
    @just --list

# ship a version to production: check, tag, move, verify, roll back on failure
[no-exit-message]
SendToProd version *options:
    @python3 -m promote run "$@"

# roll production's tag back and verify it
[no-exit-message]
Rollback *options:
    @python3 -m promote rollback "$@"

# run the tests; print the slowest 20
test *options:
    python3 -m pytest -n auto --dist worksteal --durations=20 "$@"

# build the real stack's programs (Go, ten minutes, once for each content of tests/realstack/*/go.mod)
real-stack *options:
    python3 tests/realstack/build.py "$@"

# the contract in both worlds, and whole promotions on real API servers and real Argo CDs; --large: a hundred applications too
e2e *options:
    python3 -m pytest --real -n 3 tests/contract tests/realstack/test_processes.py "$@"
    python3 -m pytest --real tests/realstack/test_end_to_end.py tests/realstack/test_fleet.py tests/realstack/test_hundred.py "$@"
    @if python3 tests/realstack/build.py --where --with-gitea >/dev/null; then just forge; \
    else echo "real forge: not run: needs gitea (just real-stack --with-gitea)"; fi

# situations of the field on one real stack, one after another: what Argo CD shows in them does not tell whether production runs the commit
field *options:
    python3 -m pytest --real tests/realstack/field "$@"

# via = "git" against a real forge: Gitea on loopback, built by `just real-stack --with-gitea`
forge *options:
    python3 -m pytest --gitea -m gitea -n 2 tests/realstack "$@"

# reliability tests by many seeded runs, three at a time (docs/reliability.md); --full for all of them, --jobs N
robustness *options:
    python3 -m tests.robustness "$@"

# one of these tests: races, dispatch, continuity, foreign, stale, secrets, deadlines, outage, flaky, crash, guards; then its options (--seed N, --count N, --help)
prove proof *options:
    @proof="$1"; shift; python3 -m "tests.robustness.$proof" "$@"

# compare three ways to wait under race conditions: Argo CD's own wait, a script, promote (twenty minutes; writes docs/waits.md)
compare-waits *options:
    python3 -m tests.realstack.waits --fleet 100 --poll --write docs/waits.md "$@"

# static checks: style, types, architecture, words, workflows
lint: style types architecture words workflows

# format and style rules
style:
    ruff check .
    ruff format --check .

# mypy --strict
types:
    python3 -m mypy

# allowed imports between packages
architecture:
    lint-imports

# plain English: report the words that this project avoids (tests/support/vocabulary.toml)
words:
    python3 -m tests.support.vocabulary

# security checks of the workflows in .github and the templates
workflows:
    zizmor --offline --quiet --persona=pedantic promote/templates/promote-prod.yaml promote/templates/promote-check.yaml promote/templates/promote-orphans.yaml .github

# pin every package of a fresh install for CI
constraints:
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install -q -e '.[test]'
    {
      echo "# The versions that CI installs (pip install -c constraints.txt): every package of a fresh install. Made by: just constraints"
      "$folder/venv/bin/pip" freeze --exclude-editable
    } >"$folder/constraints.txt"
    mv "$folder/constraints.txt" constraints.txt

# benchmarks: figures, no verdicts
bench:
    python3 benchmarks/help_speed.py
    python3 benchmarks/driver_share.py
    python3 -m benchmarks.pre_suite
