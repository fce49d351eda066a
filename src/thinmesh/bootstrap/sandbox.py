"""The query engine, as the product plane's sandbox for the SQL of quality rules."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .query_catalog import readable_table

if TYPE_CHECKING:
    from thinmesh.planes.product.model import Snapshot
    from thinmesh.planes.query.backend import Engine
    from thinmesh.planes.query.model import Binding, Parsed


@dataclass(frozen=True, slots=True)
class QuerySandbox:
    """Runs queries over tables handed in; `seconds` is the most that all of them may take, from when it was made."""

    engine: Engine
    seconds: float
    made: float = field(default_factory=time.monotonic)

    def number(self, user: str, sql: str, snapshots: Sequence[Snapshot]) -> float:
        """Run a query over these tables and no others, and give its one number."""
        from thinmesh.kernel.errors import Refused
        from thinmesh.planes.query.backend import Job

        left = self.made + self.seconds - time.monotonic()
        if left <= 0:
            raise Refused(f"the rules before it took the {self.seconds:g} s that all of them have.")
        run = self.engine.submit(Job(user, sql, "json", 2, left, lambda parsed: _bound(parsed, snapshots)))
        try:
            run.open()
            # Every row comes with a comma before it.
            rows = json.loads(b"[" + b"".join(run.chunks())[1:] + b"]")
        finally:
            run.close()
        if len(rows) == 1 and len(rows[0]) == 1 and not isinstance(rows[0][0], bool) and rows[0][0] is not None:
            try:
                return float(rows[0][0])
            except ValueError:
                pass
        raise Refused("its query does not give one number.", help="Write it as select count(*) from ${table} where …")


def _bound(parsed: Parsed, snapshots: Sequence[Snapshot]) -> Binding:
    from thinmesh.kernel.errors import Refused
    from thinmesh.planes.query.model import Binding

    own = {(each.product, each.table.name): each for each in snapshots}
    others = [str(name) for name in parsed.tables if (name.product, name.table) not in own]
    if others or parsed.kind != "select" or parsed.catalog:
        what = f"it reads {', '.join(others)}" if others else "it is no plain SELECT"
        raise Refused(f"{what}; a quality rule selects from the tables of its own product.")
    return Binding(tuple(readable_table(own[name.product, name.table]) for name in parsed.tables))
