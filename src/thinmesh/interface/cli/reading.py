"""The lines that `show` gives to read a product: ready to be pasted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from thinmesh.interface import ways
from thinmesh.interface.client.discovery import Target
from thinmesh.interface.sockets import running

from .door import Door
from .output import printable

_NAMED = 10


def reading_lines(view: Any, door: Door) -> str:
    """Write, for the first table with data, the lines for SQL, Python, pandas and curl; or how to be let in."""
    product, target = view["product"]["name"], door.target()
    tables = [table for table in view["tables"] if table.get("publication")] or list(view["tables"])
    if not tables:
        return f"next: {door.typed(f'publish {product} FILE.csv')}"
    if tables[0].get("rows") is None:
        wish = f'request {product} --purpose "…"'
        return f"Its data needs a grant; ask its owners: {door.typed(wish)}"
    name = printable(tables[0]["sql"])
    query = f'query "{ways.sql(name)}"'
    lines = [
        f"SQL     {door.typed(query)}",
        f"Python  {ways.python(name, _place(target))}",
        *_over_http(f"/product/v1/products/{product}/tables/{tables[0]['name']}/data", tables[0]["name"], target, door),
        *_others(tables[1:]),
    ]
    return "\n".join(lines)


def _place(target: Target) -> str:
    """Give what `connect` is to be told; nothing where it finds this mesh by itself, as this command did."""
    where = target.home or target.url
    return "" if target.found in ("login", "THINMESH_HOME", "THINMESH_URL") else repr(str(where))


def _over_http(path: str, table: str, target: Target, door: Door) -> list[str]:
    url = target.url or (running(target.home).get("url") if target.home else None)
    if url is None:
        return ["        (`thinmesh up` gives it a URL, for pandas, Excel, R and curl)"]
    return [
        *_signed_in(door),
        f"pandas  {ways.pandas(url + path)}",
        f"curl    {ways.curl(url + path, f'{table}.csv')}",
    ]


def _signed_in(door: Door) -> list[str]:
    """Say how to set the variable of the lines below. The token itself is not shown: screens get into logs."""
    if os.environ.get("THINMESH_TOKEN"):
        return []
    made = door.typed("token new --scope read")
    return [f"token   export THINMESH_TOKEN=$({made})   # for the lines below; thinmesh only reads with it"]


def _others(tables: Sequence[Any]) -> list[str]:
    """Say that the other tables are read alike."""
    named = ", ".join(printable(table["sql"]) for table in tables[:_NAMED])
    more = f" and {len(tables) - _NAMED} more" if len(tables) > _NAMED else ""
    return [f"alike   {named}{more}"] if tables else []
