"""The local folder for data files is a `Location`."""

from thinmesh.adapters.local.location import LocalLocation
from thinmesh.conformance.location import LocationConformance


class TestLocalLocation(LocationConformance):
    def open(self, place):
        return LocalLocation(place / "lake")
