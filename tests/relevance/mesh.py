"""The test mesh: 2,000 products made of the subjects, each with what it is about: queries are judged by that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinmesh.adapters.sql.index import SqlProductIndex
from thinmesh.adapters.sql.schema import STORES, migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.kernel.ledger import Actor, Entry, ProductChange

from .subjects import Subject, subjects

# What is made of a subject: suffix of the name, sentence, tag.
KINDS = {
    "daily": ("daily", "Summed up per day.", "daily"),
    "monthly": ("monthly", "Totals and averages per month, closed on the third working day.", "monthly"),
    "forecast": ("forecast", "Forecast for the coming twelve weeks, made anew every Monday.", "forecast"),
    "anomalies": ("anomalies", "Values that look wrong, for the data stewards to check.", "data_quality"),
    "kpi": ("kpi", "Key figures for the management dashboard.", "dashboard"),
    "archive": ("archive", "Closed years up to 2019, kept for audits and no longer changed.", "archive"),
    "training": ("training", "A labelled sample for training machine learning models.", "machine_learning"),
}
REGIONS = {
    "germany": "Germany only, from the systems in Hamburg and Munich.",
    "france": "France only, loaded from the Lyon data centre.",
    "poland": "Poland only; texts are in Polish.",
    "nordics": "Sweden, Norway, Denmark and Finland together.",
    "usa": "United States only, in dollars and local time.",
}
_VARIANTS = (
    (None, None),
    *((kind, None) for kind in KINDS),
    *((None, region) for region in REGIONS),
    ("daily", "germany"),
    ("monthly", "usa"),
    ("forecast", "france"),
    ("kpi", "nordics"),
)
PRODUCTS = 2_000
_OPENINGS = ("", "All about one thing: ", "For analysts: ", "")
_README = """# {title}

{says}. {more}

## Where it comes from

{owner} maintains it and loads it from the {system} every {rhythm}. {caveat}

## Use it with

{neighbours}

## Contact

Ask {owner} in the channel of the {domain} domain; answers come within two working days.
"""
_SYSTEMS = ("ERP system", "data lake", "operational database", "partner portal", "message queue", "nightly export")
_RHYTHMS = ("night", "hour", "morning", "Monday", "fifteen minutes")
_CAVEATS = (
    "The last two days may still change.",
    "Rows before the migration in 2018 have no identifier.",
    "Test records are filtered out.",
    "Personal details are masked.",
    "Late corrections arrive up to a week afterwards.",
)


@dataclass(frozen=True)
class Made:
    """A product of the mesh, and what it is about."""

    name: str
    subject: Subject
    kind: str | None
    region: str | None
    descriptor: dict[str, Any]
    readme: str


def products() -> list[Made]:
    """Make all products, always the same ones."""
    known = subjects()
    made = [
        _made(known, number, variant, kind, region)
        for number in range(len(known))
        for variant, (kind, region) in enumerate(_VARIANTS)
    ]
    # The last variant is left out for some subjects, to come to the number.
    surplus = len(made) - PRODUCTS
    left_out = {(number + 1) * len(_VARIANTS) - 1 for number in range(surplus)}
    return [each for number, each in enumerate(made) if number not in left_out]


def _made(known: list[Subject], number: int, variant: int, kind: str | None, region: str | None) -> Made:
    subject, mix = known[number], number * 7 + variant * 3
    suffix, told, tag = KINDS[kind] if kind else ("", "", "")
    name = "_".join(part for part in (subject.key, suffix, region or "") if part)
    description = " ".join(
        part for part in (f"{_OPENINGS[mix % 4]}{subject.says}.", told, REGIONS[region] if region else "") if part
    )
    columns = [{"name": column, "logicalType": "string", "description": text} for column, text in subject.columns]
    descriptor: dict[str, Any] = {
        "name": name,
        "domain": subject.domain,
        "owner": subject.owner,
        "description": description,
        "tags": [*subject.tags, *([tag] if tag else []), *([region] if region else [])],
        "access": "request" if mix % 9 == 4 else "open",
        "tables": {subject.key: {"description": told or "One row each", "columns": columns}},
    }
    # Texts name their neighbours too: what they say is no reason to find this product.
    near = [known[number // 10 * 10 + (number + step) % 10] for step in (1, 4)] + [
        known[(number * 13 + 5) % len(known)]
    ]
    readme = _README.format(
        title=name.replace("_", " ").capitalize(),
        says=subject.says,
        more=told,
        owner=subject.owner,
        system=_SYSTEMS[mix % len(_SYSTEMS)],
        rhythm=_RHYTHMS[mix % len(_RHYTHMS)],
        caveat=_CAVEATS[mix % len(_CAVEATS)],
        neighbours="\n".join(
            f"- `{each.key}`: {each.says[:1].lower()}{each.says[1:]}" for each in near if each != subject
        ),
        domain=subject.domain,
    )
    return Made(name, subject, kind, region, descriptor, readme)


def index_of(folder: Path) -> tuple[SqliteDatabase, SqlProductIndex]:
    """Make an index of all products, as the ledger would write it."""
    made = {each.name: each for each in products()}
    texts = {f"document {name}": json.dumps(each.descriptor).encode() for name, each in made.items()}
    texts |= {f"readme {name}": each.readme.encode() for name, each in made.items()}
    database, index = SqliteDatabase(folder / "mesh.db"), SqlProductIndex(texts.__getitem__)
    migrate(database, {"index": STORES["index"]})
    with database.write() as tx:
        for sequence, each in enumerate(made.values(), 1):
            change = ProductChange(
                each.name,
                "registered",
                each.subject.domain,
                each.subject.owner,
                str(each.descriptor["access"]),
                "active",
                "1.0.0",
                document=f"document {each.name}",
                readme=f"readme {each.name}",
                tables={name: {"name": name, **table} for name, table in each.descriptor["tables"].items()},
            )
            actor = Actor("test", "home")
            index.apply(tx, Entry(sequence, "2026-01-01T00:00:00Z", actor, "", "", (change,), id=f"log {sequence}"))
    return database, index
