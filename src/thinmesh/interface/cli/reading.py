"""The lines that `show` gives to read a product: ready to be pasted."""

from __future__ import annotations

from typing import Any

from thinmesh.interface.client.discovery import Target
from thinmesh.interface.sockets import running

from .output import printable


def reading_lines(view: Any, target: Target) -> str:
    """Write, for the first table with data, the lines for SQL, pandas and curl."""
    tables = [table for table in view["tables"] if table.get("publication")] or list(view["tables"])
    if not tables:
        return f"next: thinmesh publish {view['product']['name']} FILE.csv"
    product, table = view["product"]["name"], tables[0]["name"]
    name = printable(f"{product}.{table}")
    lines = [f'SQL     thinmesh query "select * from {name} limit 10"']
    url = target.url or (running(target.home).get("url") if target.home else None)
    if url is None:
        lines.append(f'pandas  thinmesh.connect("{target.home}").sql("select * from {name}").pandas()')
        lines.append("        (`thinmesh up` gives it a URL, for pandas, Excel, R and curl)")
        return "\n".join(lines)
    where = f"{url}/product/v1/products/{product}/tables/{table}/data"
    bearer = "f\"Bearer {os.environ['THINMESH_TOKEN']}\""
    lines.append(f'pandas  pd.read_csv("{where}", storage_options={{"Authorization": {bearer}}})')
    lines.append(f'curl    curl -fH "Authorization: Bearer $THINMESH_TOKEN" {where} -o {table}.csv')
    return "\n".join(lines)
