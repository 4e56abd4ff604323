"""The promotion drawn over Grafana's dashboards: one region from the move to the verdict. What fails here is a warning and changes no verdict."""

from __future__ import annotations

from promote import connect
from promote.checklist.monitoring import dashboard_links
from promote.core.errors import PromoteError
from promote.core.model import End, short
from promote.promotion.context import Moved, PromotionContext

AROUND_S = 900  # how much of the time before and after the promotion a link shows


def annotate(ctx: PromotionContext, end: End) -> str:
    """Write the region and show the links. Returns a warning, or ""."""
    settings, start = ctx.settings.grafana, ctx.moved_at or ctx.t_before
    if not settings.url or ctx.moved is Moved.NO or start is None:
        return ""
    now = ctx.deps.clock.now()
    try:
        grafana = connect.grafana(ctx.settings)
        if settings.annotate:
            tags = [*settings.tags, ctx.version.text, end.value]
            text = f"{ctx.version} at {short(ctx.target.commit)}: {end.value.replace('_', ' ')} (request {ctx.request_id}, {ctx.deps.who})"
            ctx.journal.effect("annotate", {"tags": tags}, lambda: grafana.annotate(start=start, end=now, tags=tags, text=text))
        window = f"?from={int((start.timestamp() - AROUND_S) * 1000)}&to={int((now.timestamp() + AROUND_S) * 1000)}"
        for name, link in dashboard_links(ctx.settings, grafana.dashboards() if settings.dashboards else [], grafana.link).items():
            ctx.deps.report.note(f"{name}: {link}{window}" if link else f"{name}: not in Grafana")
        return ""
    except PromoteError as error:
        return f"the promotion was not drawn in Grafana: {error.what} (do: {error.hint})"
