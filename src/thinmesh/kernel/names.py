"""The rules for names of products, tables, columns, teams and users."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

PRODUCT = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LONGEST = 63
COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,127}")
_NO_USER = re.compile(r"[^a-z0-9._@+-]+")
_ILLEGAL = re.compile(r"[^a-z0-9_]+")
# Letters that are more than a letter of a to z with a mark, as they are written where there are none.
_LETTERS = str.maketrans(
    dict(zip("äöüßæœøłđðþħŋ", "ae oe ue ss ae oe o l d d th h ng".split(), strict=True))
    | {"\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)
# Users come from company directories: e-mail addresses and dotted names are usual there.
USER = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,126}")

# Frozen: a word is never added for v1. Reserved keywords of DuckDB 2.0 (duckdb_keywords(), category
# "reserved") and of Trino (language/reserved.html), and the names that SQL engines and the mesh use.
RESERVED = frozenset(
    """
    all alter analyse analyze and any array as asc asof asymmetric auto between both by call case cast check
    collate column constraint create cross cube current_catalog current_date current_path current_role
    current_schema current_time current_timestamp current_user data_catalog deallocate default deferrable
    delete desc describe distinct do drop else end escape except execute exists extract false fetch for
    foreign from full grant group grouping having in information_schema initially inner insert intersect
    into is join json_array json_exists json_object json_query json_table json_value lambda lateral
    leading left like limit listagg localtime localtimestamp main memory mesh natural normalize not null
    offset on only or order outer pg_catalog pivot pivot_longer pivot_wider placing prepare primary qualify
    recursive references refs returning right rollup select show skip some summarize symmetric system table
    temp then to trailing trim true uescape union unique unnest unpivot using values variadic when where
    window with
    """.split()
)


def fault_of_name(name: object, what: str) -> str | None:
    """Say what is wrong with a product, table, team or domain name, or nothing.

    `what` is the noun used in the message.
    """
    if not isinstance(name, str) or not PRODUCT.fullmatch(name):
        return f"{what} name {fault_of_shape(name, what)}"
    if name in RESERVED:
        return f"{what} name {name!r} is reserved" + (f": write {legal_table(name)}" if what == "table" else "")
    return None


def fault_of_shape(name: object, what: str = "") -> str:
    """Say how a name of a product, table, team or domain is written, where this one is not."""
    rule = "must be small letters, digits and _, 63 at most, with a letter first"
    propose = legal_table if what == "table" else _legal_product
    legal = propose(name) if isinstance(name, str) else ""
    return f"{name!r} {rule}" + (f": write {legal}" if PRODUCT.fullmatch(legal) else "")


def fault_of_column(name: object) -> str | None:
    """Say what is wrong with a column name, or nothing."""
    if not isinstance(name, str) or not COLUMN.fullmatch(name):
        rule = "must be small letters, digits and _, 128 at most, with no digit first"
        legal = legal_name(name) if isinstance(name, str) else ""
        return f"column name {name!r} {rule}" + (f": write {legal}" if legal else "")
    return None


def fault_of_user(name: object) -> str | None:
    """Say what is wrong with a user name, or nothing."""
    if not isinstance(name, str) or not USER.fullmatch(name):
        return f"user name {fault_of_user_shape(name)}"
    return None


def fault_of_user_shape(name: object) -> str:
    """Say how a user's name is written, where this one is not."""
    rule = "must be small letters, digits and . _ @ + -, 127 at most, with a letter or digit first"
    legal = legal_user(name) if isinstance(name, str) else ""
    return f"{name!r} {rule}" + (f": write {legal}" if USER.fullmatch(legal) else "")


def legal_user(text: str) -> str:
    """Make a user name of any text, as far as that can be: lower case, with `.` for what no name holds."""
    return _NO_USER.sub(".", text.strip().lower()).strip("._@+-")


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Give the known name nearest to `name`, or nothing where none is as like it (0 to 1)."""
    known = list(known)
    for each in known:
        if each.lower() == name.lower():
            return each
    # The likeness of long texts takes time in the square of their length, and nobody slips in a name that long.
    found = get_close_matches(name, known, n=1, cutoff=likeness) if len(name) <= 200 else None
    return found[0] if found else None


def legal_name(text: str, longest: int = 120) -> str:
    """Make a column name of any text: lower case, Latin letters without their marks, `_` for what is left.

    `Größe` becomes `groesse`, `Prénom` `prenom`. Nothing comes of a text without any such letter or digit.
    """
    return text if COLUMN.fullmatch(text) else name_in_document(_plain(text), longest)


def legal_table(text: str) -> str:
    """Make a table's name of any text, with `t_` before what begins with a digit or is reserved.

    `2024 Sales` becomes `t_2024_sales`, `select` `t_select`. Names of products are for good: none of them is made up.
    """
    name = legal_name(text).strip("_")[:_LONGEST].rstrip("_")
    if name and (name in RESERVED or not PRODUCT.fullmatch(name)):
        return f"t_{name}"[:_LONGEST].rstrip("_")
    return name


def _legal_product(text: str) -> str:
    return legal_name(text, _LONGEST)


def name_in_document(text: str, longest: int = 120) -> str:
    """Make a legal name of one in a contract: lower case, with `_` for everything but letters, digits and `_`.

    Documents are kept as they came and read again: what a name in one becomes here never changes.
    """
    if COLUMN.fullmatch(text):
        return text
    name = _ILLEGAL.sub("_", text.strip().lower()).strip("_")
    return (f"_{name}" if name[:1].isdigit() else name)[:longest]


def name_of_header(header: str, taken: Collection[str]) -> str:
    """Name a column after the header of a file, as none of the others is; by a number where nothing comes of it."""
    name = legal_name(header)
    if name and name not in taken:
        return name
    number = 2 if name else 1
    while f"{name or 'column'}_{number}" in taken:
        number += 1
    return f"{name or 'column'}_{number}"


def _plain(text: str) -> str:
    """Write a text with the letters a to z as far as it has them, in lower case."""
    lower = unicodedata.normalize("NFC", text).lower().translate(_LETTERS)
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(sign for sign in apart if not unicodedata.combining(sign)).lower()
