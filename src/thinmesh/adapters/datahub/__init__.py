"""DataHub (datahubproject.io) as a catalog outside the mesh: `thinmesh[datahub]`.

    names      what entities are called there
    proposals  one change of one aspect, and what is to be found after it
    schema · datasets · contracts · products · shared   what a product becomes
    edits      changes of what people edit there too: patches, by DataHub's own builders
    comparing  what is there against what should be
    server     the requests, and what their failures mean
    line       DataHub's emitter, on a connection that is prepared once
    catalog    the `OutsideCatalog`

Nothing here loads DataHub's package before the first delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thinmesh.kernel.settings import revealed

if TYPE_CHECKING:
    from thinmesh.kernel.settings import Settings
    from thinmesh.planes.product.backend import OutsideCatalog


def open_catalog(settings: Settings) -> OutsideCatalog | None:
    """Give the catalog that the section `datahub` of the settings names; nothing where it names none."""
    section = settings.datahub
    if not section.url:
        return None
    from .catalog import DataHubCatalog
    from .server import Server

    run = f"thinmesh.{section.instance}" if section.instance else "thinmesh"
    return DataHubCatalog(Server(section.url, lambda: revealed(section.token), run), section.instance)
