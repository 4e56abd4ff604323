"""A bug in the process that it is put in front of (PYTHONPATH): the first time a file whose path holds BUG_AT is opened, an error that holds secrets.

An audit hook sees every file that Python opens, so nothing of promote is replaced. Only the driver itself is meant, never the suites it starts.
"""

import os
import sys

_LEFT = [os.environ.get("BUG_AT", "")]


def _hook(event, args):
    if event == "open" and _LEFT and _LEFT[0] in str(args[0]):
        _LEFT.clear()
        held = " ".join(os.environ.get(name, "") for name in ("GITHUB_TOKEN", "SMOKE_TOKEN", "PROMETHEUS_TOKEN"))
        raise RuntimeError(f"provoked, with {held}")


if _LEFT[0] and sys.orig_argv[1:3] == ["-m", "promote"]:
    sys.addaudithook(_hook)
