"""GitHub as far as a promotion uses it: runs, logs, rulesets, statuses; workflow runs are real processes."""
