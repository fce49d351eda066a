"""What the entities of a product are called in DataHub (docs.datahub.com/docs/what/urn)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from thinmesh.kernel.product import Product

ACTOR = "urn:li:corpuser:thinmesh"
# DataHub takes URNs of up to 512 bytes, percent-encoded.
_LONGEST = 400
_RESERVED = {ord(letter): quote(letter) for letter in "%,()␟"}
_PRODUCTS = "urn:li:dataProduct:"
_ENVIRONMENT = ",PROD)"


@dataclass(frozen=True, slots=True)
class Names:
    """The names for one mesh; `instance` tells it from others that feed the same DataHub, and may be empty."""

    instance: str = ""

    @property
    def mesh(self) -> str:
        """Give what everything that this mesh writes is marked with."""
        return self.instance or "thinmesh"

    def data_product(self, product: str) -> str:
        """Name a product."""
        return f"{_PRODUCTS}{self.mesh}.{product}"

    def product_of(self, urn: str) -> str | None:
        """Give the product that a data product's URN names, if it is one of this mesh."""
        prefix = f"{_PRODUCTS}{self.mesh}."
        return urn.removeprefix(prefix) if urn.startswith(prefix) else None

    def csv(self, product: Product, table: str) -> str:
        """Name a table's CSVs in git, by their path there."""
        return self._data_set("file", f"{product.folder}/{table}")

    def iceberg(self, product: str, table: str) -> str:
        """Name a table in the warehouse, as every other reader of it does."""
        return self._data_set("iceberg", f"{product}.{table}")

    def table_of(self, urn: str, product: Product) -> str | None:
        """Give the table of a product that a data set is, or was."""
        for named in (self.csv(product, ""), self.iceberg(product.name, "")):
            begin = named.removesuffix(_ENVIRONMENT)
            if urn.startswith(begin) and urn.endswith(_ENVIRONMENT):
                return urn[len(begin) : -len(_ENVIRONMENT)]
        return None

    def _data_set(self, platform: str, name: str) -> str:
        full = f"{self.instance}.{name}" if self.instance else name
        return f"urn:li:dataset:({platform_urn(platform)},{full}{_ENVIRONMENT}"

    def contract(self, product: str, table: str) -> str:
        """Name a table's contract."""
        return f"urn:li:dataContract:{self.mesh}.{product}.{table}"

    def assertion(self, product: str, table: str, of: str) -> str:
        """Name what a table's contract asserts."""
        return f"urn:li:assertion:{self.mesh}.{product}.{table}.{of}"

    def platform_instance(self, platform: str) -> str:
        """Name this mesh among those that have data on a platform."""
        return f"urn:li:dataPlatformInstance:({platform_urn(platform)},{self.instance})"


def platform_urn(platform: str) -> str:
    """Name a data platform that DataHub knows from the start."""
    return f"urn:li:dataPlatform:{platform}"


def domain_urn(domain: str) -> str:
    """Name a domain."""
    return f"urn:li:domain:{domain}"


def group_urn(team: str) -> str:
    """Name a team."""
    return f"urn:li:corpGroup:{team}"


def user_urn(user: str) -> str:
    """Name a user."""
    return f"urn:li:corpuser:{user}"


def tag_urn(tag: str) -> str:
    """Name a tag, which may be any text: as DataHub does where it can, and by a digest where that is too long."""
    name = " ".join(tag.split()).translate(_RESERVED)
    if len(quote(name)) > _LONGEST:
        name = f"{name[:20].rstrip('%')}~{sha256(tag.encode()).hexdigest()[:24]}"
    return f"urn:li:tag:{name}"


def property_urn(name: str) -> str:
    """Name a structured property of ours."""
    return f"urn:li:structuredProperty:thinmesh.{name}"


def field_urn(data_set: str, column: str) -> str:
    """Name a column of a data set."""
    return f"urn:li:schemaField:({data_set},{column})"


def entity_of(urn: str) -> str:
    """Give the entity type that a URN is of."""
    return urn.split(":", 3)[2]
