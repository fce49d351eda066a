"""What the companies of the test mesh keep data about: 12 domains of ten subjects, in `subjects.txt`.

A subject is a line of it: key | a sentence about it | its columns (name: description) | tags | the team that owns it.
Written as such companies write: some name a thing by its full words, some shorten them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Subject:
    """Something that data is kept about."""

    domain: str
    key: str
    says: str
    columns: tuple[tuple[str, str], ...]
    tags: tuple[str, ...]
    owner: str


def subjects() -> list[Subject]:
    """Read them."""
    found, domain = [], ""
    for line in Path(__file__).with_name("subjects.txt").read_text().splitlines():
        if line.startswith("#"):
            domain = line[2:]
            continue
        key, says, columns, tags, owner = (part.strip() for part in line.split("|"))
        pairs = [tuple(each.strip().split(": ", 1)) for each in columns.split(";")]
        found.append(
            Subject(
                domain, key, says, tuple((a, b) for a, b in pairs), tuple(t.strip() for t in tags.split(",")), owner
            )
        )
    return found
