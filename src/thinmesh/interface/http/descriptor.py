"""The JSON Schema of `product.json`, as the wheel holds it."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache
def descriptor_schema() -> dict[str, Any]:
    """Give the schema of descriptors."""
    found: dict[str, Any] = json.loads(resources.files("thinmesh.kernel").joinpath("product.schema.json").read_bytes())
    return found
