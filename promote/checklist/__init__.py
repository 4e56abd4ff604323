"""The checklist: the pytest plugin, the registry of checks, policy and waivers, the recorder, the runner of suites, and the checks' logic.

The tests under `checks/` are the checks themselves; they hold no logic of their own.
"""
