"""Access requests, grants and the event feed in SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from thinmesh.kernel.database import Row, Transaction
from thinmesh.kernel.events import Event
from thinmesh.planes.exchange.model import Access

EXCHANGE_SCHEMA = (
    """CREATE TABLE access (
        id TEXT PRIMARY KEY, product TEXT NOT NULL, user_name TEXT NOT NULL, team TEXT, purpose TEXT NOT NULL,
        duration TEXT NOT NULL, state TEXT NOT NULL, requested TEXT NOT NULL, decided TEXT, decided_by TEXT,
        expires TEXT, ended TEXT, ended_by TEXT, why TEXT)""",
    "CREATE INDEX access_by_product ON access (product, state, expires)",
    "CREATE INDEX access_by_user ON access (user_name, state)",
    "CREATE INDEX access_by_team ON access (team, state)",
    "CREATE INDEX access_by_expiry ON access (state, expires)",
    "CREATE INDEX access_by_time ON access (requested, id)",
    """CREATE TABLE events (
        sequence BIGINT PRIMARY KEY, key TEXT UNIQUE, type TEXT NOT NULL, subject TEXT NOT NULL, time TEXT NOT NULL,
        data TEXT NOT NULL, everyone INTEGER NOT NULL)""",
    """CREATE TABLE event_recipients (
        sequence BIGINT NOT NULL REFERENCES events (sequence), recipient TEXT NOT NULL,
        PRIMARY KEY (sequence, recipient))""",
)

_ACCESS = """SELECT id, product, user_name AS "user", team, purpose, duration, state, requested, decided, decided_by,
    expires, ended, ended_by, why FROM access"""
_IN_FORCE = "state = 'approved' AND expires > :now"


class SqlAccessStore:
    """An `AccessStore` (planes/exchange/backend.py)."""

    def add(self, tx: Transaction, access: Access) -> None:
        """Add a request."""
        tx.execute(
            """INSERT INTO access (id, product, user_name, team, purpose, duration, state, requested, decided,
                 decided_by, expires, ended, ended_by, why)
               VALUES (:id, :product, :user, :team, :purpose, :duration, :state, :requested, :decided,
                 :decided_by, :expires, :ended, :ended_by, :why)""",
            asdict(access),
        )

    def update(self, tx: Transaction, access: Access) -> None:
        """Write what changed in a request's life."""
        tx.execute(
            """UPDATE access SET state = :state, decided = :decided, decided_by = :decided_by, expires = :expires,
                 ended = :ended, ended_by = :ended_by, why = :why WHERE id = :id""",
            asdict(access),
        )

    def find(self, tx: Transaction, id: str) -> Access | None:
        """Find a request or grant by its id."""
        row = tx.one(f"{_ACCESS} WHERE id = :id", {"id": id})
        return Access(**dict(row)) if row else None

    def open(self, tx: Transaction, product: str, user: str, team: str | None, now: str) -> Sequence[Access]:
        """List what is requested or in force for this user (or this team) on this product, the newest first."""
        grantee = "team IS NULL AND user_name = :grantee" if team is None else "team = :grantee"
        rows = tx.all(
            f"""{_ACCESS} WHERE product = :product AND {grantee} AND (state = 'requested' OR ({_IN_FORCE}))
                ORDER BY requested DESC, id DESC""",
            {"product": product, "grantee": user if team is None else team, "now": now},
        )
        return [Access(**dict(row)) for row in rows]

    def visible(
        self,
        tx: Transaction,
        *,
        user: str,
        teams: Collection[str],
        products: Collection[str] | None,
        product: str | None,
        in_force_at: str | None,
        limit: int,
        after: Sequence[str] | None,
    ) -> Sequence[Access]:
        """List what a user may see, the newest first: their own, their teams', and those on `products` (None: all)."""
        values: dict[str, Any] = {"user": user, "limit": limit}
        where = []
        if products is not None:
            names, bound = _listed("p", products)
            team_names, team_bound = _listed("t", teams)
            where.append(f"(user_name = :user OR team IN ({team_names}) OR product IN ({names}))")
            values |= bound | team_bound
        if product is not None:
            where.append("product = :product")
            values["product"] = product
        if in_force_at is not None:
            where.append(_IN_FORCE)
            values["now"] = in_force_at
        if after is not None:
            where.append("(requested < :requested OR (requested = :requested AND id < :id))")
            values |= {"requested": after[0], "id": after[1]}
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        rows = tx.all(f"{_ACCESS} {condition} ORDER BY requested DESC, id DESC LIMIT :limit", values)
        return [Access(**dict(row)) for row in rows]

    def granted(self, tx: Transaction, user: str, teams: Collection[str], product: str, now: str) -> bool:
        """Tell whether a grant for the user or one of the teams is in force."""
        names, bound = _listed("t", teams)
        found = tx.one(
            f"""SELECT 1 FROM access WHERE product = :product AND {_IN_FORCE}
                AND ((team IS NULL AND user_name = :user) OR team IN ({names}))""",
            {"product": product, "user": user, "now": now, **bound},
        )
        return found is not None

    def granted_products(self, tx: Transaction, user: str, teams: Collection[str], now: str) -> Collection[str]:
        """Give all products with a grant in force for the user or one of the teams."""
        names, bound = _listed("t", teams)
        rows = tx.all(
            f"""SELECT DISTINCT product FROM access WHERE {_IN_FORCE}
                AND ((team IS NULL AND user_name = :user) OR team IN ({names}))""",
            {"user": user, "now": now, **bound},
        )
        return frozenset(row["product"] for row in rows)

    def due(self, tx: Transaction, now: str, limit: int) -> Sequence[Access]:
        """List approved grants whose time is over."""
        rows = tx.all(
            f"{_ACCESS} WHERE state = 'approved' AND expires <= :now ORDER BY expires LIMIT :limit",
            {"now": now, "limit": limit},
        )
        return [Access(**dict(row)) for row in rows]


class SqlEvents:
    """The event feed (kernel/events.py, planes/exchange/backend.py). `source` is the CloudEvents source."""

    def __init__(self, source: str = "urn:thinmesh") -> None:
        self._source = source

    def record(self, tx: Transaction, event: Event) -> None:
        """Add an event to the feed; nothing where one with its key is there."""
        row = tx.one("SELECT COALESCE(MAX(sequence), 0) + 1 AS next FROM events")
        sequence = row["next"] if row else 1
        added = tx.execute(
            """INSERT INTO events (sequence, key, type, subject, time, data, everyone)
               VALUES (:sequence, :key, :type, :subject, :time, :data, :everyone) ON CONFLICT (key) DO NOTHING""",
            {
                "sequence": sequence,
                "key": event.key,
                "type": event.type,
                "subject": event.subject,
                "time": event.time,
                "data": json.dumps(event.data),
                "everyone": int(event.everyone),
            },
        )
        if added:
            recipients = {*(f"user:{name}" for name in event.users), *(f"team:{name}" for name in event.teams)}
            tx.execute_many(
                "INSERT INTO event_recipients (sequence, recipient) VALUES (:sequence, :recipient)",
                [{"sequence": sequence, "recipient": recipient} for recipient in sorted(recipients)],
            )

    def after(
        self, tx: Transaction, sequence: int, user: str, teams: Collection[str], everything: bool, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Give events after a sequence that concern the user or their teams, or all of them, as CloudEvents."""
        names, bound = _listed("r", [f"user:{user}", *(f"team:{team}" for team in teams)])
        rows = tx.all(
            f"""SELECT sequence, type, subject, time, data FROM events e
                WHERE sequence > :after AND (:everything = 1 OR everyone = 1 OR EXISTS (
                  SELECT 1 FROM event_recipients r WHERE r.sequence = e.sequence AND r.recipient IN ({names})))
                ORDER BY sequence LIMIT :limit""",
            {"after": sequence, "everything": int(everything), "limit": limit, **bound},
        )
        return [self._document(row) for row in rows]

    def _document(self, row: Row) -> Mapping[str, Any]:
        """Render in the JSON format of CloudEvents 1.0."""
        return {
            "specversion": "1.0",
            "id": str(row["sequence"]),
            "source": self._source,
            "type": f"thinmesh.{row['type']}",
            "subject": row["subject"],
            "time": row["time"],
            "datacontenttype": "application/json",
            "data": json.loads(row["data"]),
        }


def _listed(prefix: str, values: Collection[str]) -> tuple[str, dict[str, str]]:
    """Give parameters for `IN (…)`, and what they are bound to; NULL, which matches nothing, for none."""
    bound = {f"{prefix}{number}": value for number, value in enumerate(sorted(values))}
    return ", ".join(f":{name}" for name in bound) or "NULL", bound
