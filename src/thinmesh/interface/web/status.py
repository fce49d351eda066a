"""`/status`: how the platform is doing."""

from __future__ import annotations

from starlette.responses import Response

from .visit import Page, Visit


def show(visit: Visit) -> Response:
    """Show what runs, what lags, and how much there is."""
    return visit.page("status.html", found=visit.platform.operations.status(visit.caller))


PAGES = (Page("/status", show),)
