"""Alerts as values, and which of the firing alerts are new. Pure: `clients.py` reads them from Alertmanager."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from promote.core.deadline import parse_time


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert of Alertmanager. `fingerprint` is a hash of all its labels; `muted` names the silence or alert that mutes it ("" = not muted)."""

    fingerprint: str
    labels: Mapping[str, str]
    started: datetime | None
    muted: str
    summary: str
    link: str

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "?")

    def describe(self) -> str:
        """`KubePodCrashLooping{namespace="git", pod="gitea-0"} since 14:02:31 UTC: Pod is crash looping`."""
        labels = ", ".join(f'{k}="{v}"' for k, v in sorted(self.labels.items()) if k != "alertname")
        since = f" since {self.started:%H:%M:%S} UTC" if self.started else ""
        return f"{self.name}{{{labels}}}{since}" + (f": {self.summary}" if self.summary else "")


def parse_alert(data: Mapping[str, Any]) -> Alert:
    """Parse one entry of GET /api/v2/alerts. "unprocessed" (just received) counts as firing. Raises KeyError or TypeError for any other structure."""
    status, annotations = data["status"], data.get("annotations") or {}
    silenced, inhibited = status.get("silencedBy") or [], status.get("inhibitedBy") or []
    muted = [f"silence {', '.join(silenced)}"] * bool(silenced) + [f"inhibited by alert {', '.join(inhibited)}"] * bool(inhibited)
    # A mute time interval stands in neither of the two lists.
    if status["state"] == "suppressed" and not muted:
        muted = ["muted by a time interval"]
    return Alert(
        fingerprint=data["fingerprint"],
        labels=dict(data["labels"]),
        started=parse_time(data.get("startsAt")),
        muted=" and ".join(muted) if status["state"] == "suppressed" else "",
        summary=" ".join(str(annotations.get("summary") or annotations.get("description") or annotations.get("message") or "").split())[:160],
        link=str(data.get("generatorURL") or ""),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """`new`: firing, and not before; `known`: firing, and also before; `muted`: like `new`, but silenced or inhibited."""

    new: tuple[Alert, ...]
    known: tuple[Alert, ...]
    muted: tuple[Alert, ...]


def compare(now: Iterable[Alert], before: Iterable[Alert], volatile: Iterable[str]) -> Compared:
    """Sort the alerts firing now into new, known and muted ones.

    Alerts that differ only in volatile labels count as the same fault, as long as there are not more of them than before. An alert that was silenced
    before counts as known, because it fired.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Alert]] = defaultdict(list)
    for alert in now:
        groups[_fault(alert, volatile)].append(alert)
    earlier: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for alert in before:
        earlier[_fault(alert, volatile)].append(alert.fingerprint)
    new, known, muted = list[Alert](), list[Alert](), list[Alert]()
    for fault, alerts in groups.items():
        was = earlier[fault]
        unseen = [a for a in alerts if a.fingerprint not in was]
        known += [a for a in alerts if a.fingerprint in was]
        replaced = max(0, len(was) - (len(alerts) - len(unseen)))  # resolved ones: the same number may have replaced them
        # Firing ones first: as many as were resolved count as known, and a muted one blocks nothing anyway.
        unseen.sort(key=lambda a: bool(a.muted))
        known += unseen[:replaced]
        for alert in unseen[replaced:]:
            (muted if alert.muted else new).append(alert)
    return Compared(new=_sorted(new), known=_sorted(known), muted=_sorted(muted))


def _fault(alert: Alert, volatile: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in alert.labels.items() if k not in volatile))


def _sorted(alerts: list[Alert]) -> tuple[Alert, ...]:
    return tuple(sorted(alerts, key=lambda a: (a.name, a.describe())))
