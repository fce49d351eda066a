"""The query log in the platform's database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from thinmesh.kernel.database import Database, Row
from thinmesh.planes.query.model import Statement

# Collected by the schema's owner, in this order, never changed once released.
STATEMENTS_SCHEMA: tuple[str, ...] = (
    """CREATE TABLE statements (
        "user" TEXT NOT NULL,
        id TEXT NOT NULL,
        door TEXT NOT NULL,
        sql TEXT NOT NULL,
        masked TEXT NOT NULL,
        state TEXT NOT NULL,
        started TEXT NOT NULL,
        format TEXT NOT NULL,
        tables TEXT NOT NULL,
        columns TEXT NOT NULL,
        "rows" BIGINT NOT NULL,
        bytes BIGINT NOT NULL,
        seconds DOUBLE PRECISION NOT NULL,
        error TEXT,
        PRIMARY KEY ("user", id)
    )""",
    """CREATE INDEX statements_by_time ON statements (started, "user", id)""",
    """CREATE INDEX statements_by_id ON statements (id)""",
    """CREATE INDEX statements_by_state ON statements (state)""",
)

# How often each user read each product, by day: what is said of a product's use costs the same with any log.
READS_SCHEMA: tuple[str, ...] = (
    """CREATE TABLE product_reads (
        product TEXT NOT NULL, day TEXT NOT NULL, "user" TEXT NOT NULL, statements INTEGER NOT NULL,
        PRIMARY KEY (product, day, "user"))""",
    """INSERT INTO product_reads (product, day, "user", statements)
        SELECT substr(t.value, 1, instr(t.value, '.') - 1) AS product, substr(s.started, 1, 10) AS day, s."user",
            COUNT(DISTINCT s.id)
        FROM statements s, json_each(s.tables) t
        WHERE s.state = 'done' AND s.sql NOT LIKE 'sample %' AND s.sql NOT LIKE 'profile %'
        GROUP BY 1, 2, 3""",
)

# What the pages ask for on their own is no use of a product; no statement of a person begins like this and ends well.
_LOOKED = ("sample ", "profile ")
_READ = """INSERT INTO product_reads (product, day, "user", statements) VALUES (:product, :day, :user, 1)
    ON CONFLICT (product, day, "user") DO UPDATE SET statements = product_reads.statements + 1"""

_FIELDS = "user id door sql masked state started format tables columns rows bytes seconds error".split()
_NAMES = ", ".join(f'"{name}"' for name in _FIELDS)
_VALUES = ", ".join(f":{name}" for name in _FIELDS)
_CHANGES = ", ".join(f'"{name}" = excluded."{name}"' for name in _FIELDS[2:])
_RECORD = f'INSERT INTO statements ({_NAMES}) VALUES ({_VALUES}) ON CONFLICT ("user", id) DO UPDATE SET {_CHANGES}'


class SqlStatementLog:
    """Keep the query log. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, statements: Sequence[Statement]) -> None:
        """Write entries, over earlier ones of the same user and id."""
        with self._database.write() as transaction:
            transaction.execute_many(_RECORD, [_parameters(one) for one in statements])
            transaction.execute_many(_READ, [read for one in statements for read in _reads(one)])

    def find(self, user: str | None, id: str) -> Statement | None:
        """Find an entry of a user; of anybody, the newest, where the user is None."""
        mine = "" if user is None else 'AND "user" = :user'
        with self._database.read() as transaction:
            row = transaction.one(
                f"SELECT {_NAMES} FROM statements WHERE id = :id {mine} ORDER BY started DESC LIMIT 1",
                {"id": id, "user": user},
            )
        return _statement(row) if row else None

    def list(self, user: str | None, limit: int, before: Sequence[str] | None) -> list[Statement]:
        """Give entries of a user (None: all), newest first, after the position (`started`, `user`, `id`)."""
        conditions, parameters = [], {"limit": limit, "user": user}
        if user is not None:
            conditions.append('"user" = :user')
        if before is not None:
            conditions.append('(started, "user", id) < (:started, :before_user, :before_id)')
            parameters |= {"started": before[0], "before_user": before[1], "before_id": before[2]}
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        with self._database.read() as transaction:
            rows = transaction.all(
                f'SELECT {_NAMES} FROM statements {where} ORDER BY started DESC, "user" DESC, id DESC LIMIT :limit',
                parameters,
            )
        return [_statement(row) for row in rows]

    def of(self, table: str, column: str | None, since: str) -> Sequence[str]:
        """Give the users whose statements read a table, or its column, since a time; latest first."""
        parameters = {"since": since, "table": f'%"{table}"%', "column": f'%"{column}"%'}
        named = "AND (columns LIKE :column ESCAPE '!' OR columns = '[]')" if column else ""
        with self._database.read() as transaction:
            rows = transaction.all(
                f"""SELECT "user", MAX(started) AS latest FROM statements
                    WHERE started >= :since AND tables LIKE :table ESCAPE '!' {named}
                    GROUP BY "user" ORDER BY latest DESC, "user" """,
                {name: value.replace("_", "!_") if name != "since" else value for name, value in parameters.items()},
            )
        return [row["user"] for row in rows]

    def usage(self, product: str, since: str) -> tuple[Sequence[tuple[str, int]], Sequence[tuple[str, int, str]]]:
        """Give the statements that read a product since a day, by day, and by user with their last day, most first."""
        parameters = {"product": product, "since": since}
        where = "WHERE product = :product AND day >= :since"
        with self._database.read() as transaction:
            days = transaction.all(
                f"SELECT day, SUM(statements) AS count FROM product_reads {where} GROUP BY day ORDER BY day", parameters
            )
            users = transaction.all(
                f"""SELECT "user", SUM(statements) AS count, MAX(day) AS latest FROM product_reads {where}
                    GROUP BY "user" ORDER BY count DESC, "user" """,
                parameters,
            )
        return [(row["day"], row["count"]) for row in days], [
            (row["user"], row["count"], row["latest"]) for row in users
        ]

    def reads(self, since: str) -> Mapping[str, int]:
        """Count for each product on how many days how many users read it since a time: a user and a day is one."""
        with self._database.read() as transaction:
            rows = transaction.all(
                "SELECT product, COUNT(*) AS count FROM product_reads WHERE day >= :since GROUP BY product",
                {"since": since[:10]},
            )
        return {row["product"]: row["count"] for row in rows}

    def interrupted(self) -> None:
        """Mark what was running when the server ended."""
        with self._database.read() as transaction:
            found = transaction.one("SELECT id FROM statements WHERE state = 'running' LIMIT 1")
        if found:
            with self._database.write() as transaction:
                transaction.execute("UPDATE statements SET state = 'interrupted' WHERE state = 'running'")


def _parameters(entry: Statement) -> dict[str, Any]:
    values = {name: getattr(entry, name) for name in _FIELDS}
    return values | {"tables": json.dumps(entry.tables), "columns": json.dumps(entry.columns)}


def _reads(entry: Statement) -> list[dict[str, Any]]:
    """Give what a finished statement adds to the use of products."""
    if entry.state != "done" or entry.sql.startswith(_LOOKED):
        return []
    products = dict.fromkeys(name.partition(".")[0] for name in entry.tables)
    return [{"product": product, "day": entry.started[:10], "user": entry.user} for product in products]


def _statement(row: Row) -> Statement:
    values: dict[str, Any] = {name: row[name] for name in _FIELDS}
    values |= {"tables": tuple(json.loads(row["tables"])), "columns": tuple(json.loads(row["columns"]))}
    return Statement(**values)
