"""`/products/{product}`: everything that is known of a product."""

from __future__ import annotations

from starlette.responses import Response

from .visit import Page, Visit


def show(visit: Visit) -> Response:
    """Show a product."""
    name = visit.path("product")
    shown = visit.platform.products.show(visit.caller, name)
    return visit.page("product.html", shown=shown, product=shown.product)


PAGES = (Page("/products/{product}", show),)
