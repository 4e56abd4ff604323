"""Registers the checklist plugin for a plain clone, where the package is not installed; the entry point does it everywhere else."""

from importlib.metadata import entry_points

if not any(entry.value == "promote.checklist.plugin" for entry in entry_points(group="pytest11")):
    pytest_plugins = ["promote.checklist.plugin"]
