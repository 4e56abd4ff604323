"""`promote abort`: give up a promotion that was cut short: production's tag back where it was, proven, and the lock released."""

from __future__ import annotations

from promote.commands.resume import main

__all__ = ["main"]
