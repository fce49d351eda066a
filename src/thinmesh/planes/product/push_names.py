"""Which paths may be in the shared repository: names that every system takes, and takes for different ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

from thinmesh.kernel.names import fault_of_name

from .push_messages import printable

SERVERS = ("README.md", "data_catalog.csv")
# What is read beside the tables, the names that people give it by mistake, and what else is to be said of these.
_DESCRIBING = {
    "product.json": (re.compile(r"products?\.(json|ya?ml)", re.IGNORECASE), ", written as JSON"),
    "contract.yaml": (re.compile(r"(data[-_]?)?contracts?\.(json|ya?ml)", re.IGNORECASE), ", an ODCS contract"),
    "product.odps.yaml": (
        re.compile(r"((data[-_]?)?products?[._-])?odps\.(json|ya?ml)", re.IGNORECASE),
        ", an ODPS product",
    ),
    "README.md": (re.compile(r"readme\.(md|markdown)", re.IGNORECASE), ""),
}
_DATA_ELSEWHERE = (".csv.gz", ".csv.zst", ".parquet")
# Endings of files that look like tables and that nothing here reads.
_DATA_UNREAD = re.compile(r"\.(tsv|tab|psv|xlsx?|ods|jsonl|ndjson|avro|orc|feather|arrow)(\.[a-z0-9]+)?", re.IGNORECASE)
# What Windows takes for its own in a name, and git on it for a way around `.git` (core.protectNTFS).
_FOREIGN = re.compile(r'[\\:*?"<>|]')
_SHORT_GIT = re.compile(r"\.?git(~[0-9]+)?[ .]*", re.IGNORECASE)
# Names that Windows keeps for devices, whatever ending they have; git does not check such a file out there.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)
# Bytes of one name that file systems at large take (NAME_MAX).
_LONGEST = 255


def twins(names: Collection[str], new: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give the pairs of a new name and another one that some file systems cannot tell apart."""
    first: dict[str, str] = {}
    plain = all(name.isascii() for name in names)
    for name in sorted(names):
        folded = name.lower() if plain else _folded(name)
        other = first.setdefault(folded, name)
        if other != name and (name in new or other in new):
            yield other, name


def _folded(name: str) -> str:
    """Fold case and composition, as APFS, HFS+ and NTFS together would."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", name).casefold())


def fault_of_path(path: str) -> tuple[str, str] | None:
    """Say what is wrong with where a file lies, as (rule, message), or nothing."""
    parts = path.split("/")
    for part in parts:
        fault = _fault_of_part(part)
        if fault:
            return "name", fault
    return _fault_of_place(path, parts)


def _fault_of_part(part: str) -> str | None:
    if part.startswith("."):
        return "names that begin with a dot are not taken (.gitattributes, .gitmodules, .DS_Store, …)"
    if printable(part) != part:
        return "the name holds control, invisible or unreadable characters"
    if _FOREIGN.search(part):
        return 'the name holds one of \\ : * ? " < > |, which not every system takes'
    if part != part.rstrip(" .") or _SHORT_GIT.fullmatch(part):
        return "the name ends in a blank or a dot, or is git's own, which not every system takes"
    if _DEVICE.fullmatch(part):
        return "the name is a device's on Windows, which could not check it out"
    if len(part.encode()) > _LONGEST:
        return f"the name is longer than {_LONGEST} bytes"
    return None


def _fault_of_place(path: str, parts: list[str]) -> tuple[str, str] | None:
    if path in SERVERS:
        return "server_file", "this file is written by the server; leave it as it is on main"
    if len(parts) < 3:
        return "place", "files lie in a product's folder: <domain>/<product>/<table>.csv"
    for name, what in zip(parts, ("domain", "product"), strict=False):
        fault = fault_of_name(name, what)
        if fault:
            return "name", fault
    if len(parts) > 4:
        return "place", "a product has no folders below <domain>/<product>/<table>/"
    return _fault_of_server_path(parts[2:]) or _fault_of_file(parts[1], parts[2:])


def _fault_of_server_path(parts: list[str]) -> tuple[str, str] | None:
    """Refuse a folder where the server writes a file, and a file where it makes a table's folder."""
    folded = parts[0].lower()
    if len(parts) > 1 and (folded.endswith(".csv") or folded in map(str.lower, _DESCRIBING)):
        return "name", f"{parts[0]} is the name of a file, and cannot be a folder's"
    if len(parts) == 1 and fault_of_name(parts[0], "table") is None:
        return "name", f"a file without an ending is in the way of the table {parts[0]}; name it {parts[0]}.txt"
    return None


def _fault_of_file(product: str, parts: list[str]) -> tuple[str, str] | None:
    """Judge a name inside a product's folder: a misspelt one would be passed over in silence."""
    name = parts[-1]
    if len(parts) == 1:
        for known, (mistaken, hint) in _DESCRIBING.items():
            if name != known and mistaken.fullmatch(name):
                return "name", f"this name is not read; name it {known}{hint}"
    if name.lower().endswith(_DATA_ELSEWHERE):
        return "place", f"not taken from git; hand it in with: thinmesh publish {product} {name}"
    if not name.lower().endswith(".csv"):
        return None
    if not name.endswith(".csv"):
        return "name", f"name it {name[:-4]}.csv"
    fault = fault_of_name(parts[0].removesuffix(".csv") if len(parts) == 1 else parts[0], "table")
    return ("name", fault) if fault else None


def table_of(path: str) -> str | None:
    """Give the table whose CSV lies at this path of a product's folder, or nothing where it is no CSV."""
    parts = path.split("/")[2:]
    if not parts or not parts[-1].endswith(".csv") or len(parts) > 2:
        return None
    return parts[0].removesuffix(".csv") if len(parts) == 1 else parts[0]


def is_unread_data(path: str) -> bool:
    """Tell whether a file that git takes looks like a table, and is none here."""
    name = path.rpartition("/")[2]
    return any(_DATA_UNREAD.fullmatch(name, at) for at, letter in enumerate(name) if letter == ".")


def is_part_of_product(path: str) -> bool:
    """Tell whether a file is data of a product: all others are there to be read by people, and small."""
    return table_of(path) is not None
