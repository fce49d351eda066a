"""`/status`: how the platform is doing."""

from __future__ import annotations

from starlette.responses import Response

from .visit import Page, Visit

_REFUSED = 50  # products that a catalog refuses, shown at once


def show(visit: Visit) -> Response:
    """Show what runs, what lags, what catalogs outside the mesh refuse, and how much there is."""
    found = visit.platform.operations.status(visit.caller)
    refused = visit.platform.catalogs.status(visit.caller, state="failed", limit=_REFUSED)
    waiting = visit.platform.catalogs.status(visit.caller, state="pending", limit=_REFUSED)
    # A catalog is told to be silent after several products; where there are few, each says it alone.
    errors = {each["catalog"]: each["error"] for each in waiting.items if each["error"]}
    return visit.page("status.html", found=found, refused=refused, errors=errors)


def retry(visit: Visit) -> Response:
    """Send again to the catalogs outside the mesh what failed or waits."""
    visit.platform.catalogs.retry(visit.caller, visit.form.get("product") or None)
    return visit.go("/status#catalogs")


PAGES = (Page("/status", show), Page("/status/retry", retry, ("POST",)))
