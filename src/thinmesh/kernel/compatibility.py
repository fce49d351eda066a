"""What a new contract means to those who read the data (INTERFACE, *Descriptor*: compatible and breaking).

A change is *compatible* when nobody who reads the table notices, *breaking* when somebody may, and *tightened* when
only the data present can tell: the caller holds it against the new rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from .contract import Column, Reference, Table

Verdict = Literal["compatible", "breaking", "tightened"]

# Above this likeness a new column is taken for the removed one under another name.
_LIKE = 0.6
# How alike names are takes time: so many removed columns are held against so many new ones.
_HINTS, _LOOKED_AT = 20, 200
# Options where a higher value asks more of the data, and where a lower one does.
_RISING = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_FALLING = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
# Options that can only be compared for being the same.
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "required")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one table, or of one column in it; `what` is a word for programs, `text` for people."""

    table: str
    column: str | None
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes between two sets of tables, by what they mean to a consumer."""

    compatible: tuple[Change, ...] = ()
    breaking: tuple[Change, ...] = ()
    tightened: tuple[Change, ...] = ()

    @property
    def empty(self) -> bool:
        """Tell whether nothing that a consumer could notice changed."""
        return not (self.compatible or self.breaking or self.tightened)


def compare(old: Mapping[str, Table], new: Mapping[str, Table]) -> Comparison:
    """Compare two sets of tables, by name, from the side of those who read them."""
    found: dict[Verdict, list[Change]] = {"compatible": [], "breaking": [], "tightened": []}
    for verdict, change in _changes(old, new):
        found[verdict].append(change)
    return Comparison(tuple(found["compatible"]), tuple(found["breaking"]), tuple(found["tightened"]))


_Changes = Iterator[tuple[Verdict, Change]]


def _changes(old: Mapping[str, Table], new: Mapping[str, Table]) -> _Changes:
    for name, table in old.items():
        if name in new:
            yield from _of_table(table, new[name])
        else:
            yield "breaking", Change(name, None, "table_removed", f"the table {name} is removed")
    for name in new:
        if name not in old:
            yield "compatible", Change(name, None, "table_added", f"the table {name} is new")


def _by_name(table: Table) -> dict[str, Column]:
    return {column.name: column for column in table.columns}


def _of_table(old: Table, new: Table) -> _Changes:
    before, after = _by_name(old), _by_name(new)
    added = [column for name, column in after.items() if name not in before]
    hints = _HINTS
    for column in old.columns:
        present = after.get(column.name)
        if present is None:
            yield "breaking", _removed(old.name, column, added[:_LOOKED_AT] if hints > 0 else ())
            hints -= 1
        else:
            yield from _of_column(old.name, column, present)
    for column in added:
        yield "compatible", Change(old.name, column.name, "column_added", f"the column {column.name} is new")
    yield from _of_required(old, new)
    yield from _of_keys(old, new)
    yield from _of_references(old, new)
    yield from _of_quality(old.name, None, old.quality, new.quality)
    if set(old.null) != set(new.null):
        text = f"the null tokens become {', '.join(map(repr, new.null)) or 'none'}"
        yield "tightened", Change(old.name, None, "null_tokens", text)
    if new.deprecated and not old.deprecated:
        yield "compatible", Change(old.name, None, "deprecated", f"the table {old.name} is deprecated")


def _removed(table: str, column: Column, added: Iterable[Column]) -> Change:
    near = max(
        (each for each in added if each.sql_type == column.sql_type),
        key=lambda each: _likeness(column, each),
        default=None,
    )
    renamed = near is not None and _likeness(column, near) >= _LIKE
    hint = f" (renamed to {near.name}?)" if near and renamed else ""
    return Change(table, column.name, "column_removed", f"the column {column.name} is removed{hint}")


def _likeness(a: Column, b: Column) -> float:
    return 1.0 if a.header == b.header else SequenceMatcher(None, a.name, b.name).ratio()


def _of_column(table: str, old: Column, new: Column) -> _Changes:
    name = old.name
    if (old.logical_type, old.sql_type) != (new.logical_type, new.sql_type):
        yield _of_type(table, old, new)
        return
    if old.header != new.header:
        text = f"the column {name} is read from {new.header!r} instead of {old.header!r}"
        yield "tightened", Change(table, name, "header", text)
    yield from _of_options(table, old, new)
    yield from _of_values(table, old, new)
    yield from _of_quality(table, name, old.quality, new.quality)
    if (old.classification or "").lower() != (new.classification or "").lower():
        text = f"{name} is classified {new.classification or 'nothing'} instead of {old.classification or 'nothing'}"
        yield "compatible", Change(table, name, "classification", text)


def _of_type(table: str, old: Column, new: Column) -> tuple[Verdict, Change]:
    text = f"the column {old.name} changes its type from {old.result_type} to {new.result_type}"
    if old.decimal and new.decimal and old.decimal[1] == new.decimal[1] and old.decimal[0] < new.decimal[0]:
        return "compatible", Change(table, old.name, "precision", text)
    return "breaking", Change(table, old.name, "type", text)


def _of_options(table: str, old: Column, new: Column) -> _Changes:
    for option in (*_RISING, *_FALLING, *_EXACT):
        before, after = old.options.get(option), new.options.get(option)
        if before == after and isinstance(before, bool) == isinstance(after, bool):
            continue
        verdict: Verdict = "tightened" if _tighter(option, before, after) else "compatible"
        word = "looser" if verdict == "compatible" else "tighter"
        text = f"{old.name}: {option} {_shown(before)} becomes {_shown(after)}, which is {word}"
        yield verdict, Change(table, old.name, option, text)


def _tighter(option: str, before: Any, after: Any) -> bool:
    """Tell whether the option asks more of the data than before; in doubt, yes: the data decides."""
    if after is None or after is False:
        return False
    if before is None or before is False or option in _EXACT:
        return True
    try:
        return bool(after > before) if option in _RISING else bool(after < before)
    except TypeError:
        return True


def _of_values(table: str, old: Column, new: Column) -> _Changes:
    before, after = old.values, new.values
    if before == after or (before is not None and after is not None and set(before) == set(after)):
        return
    if after is None or (before is not None and set(before) < set(after)):
        text = f"{old.name}: more values are allowed"
        yield "compatible", Change(table, old.name, "enum", text)
    else:
        text = f"{old.name}: only {', '.join(after[:8])}{', …' if len(after) > 8 else ''} are allowed"
        yield "tightened", Change(table, old.name, "enum", text)


def _of_required(old: Table, new: Table) -> _Changes:
    """Compare which columns may be empty; a primary key's may not."""
    present, old_key, new_key = _by_name(old), set(old.primary_key), set(new.primary_key)
    for column in new.columns:
        before = present.get(column.name)
        declared = before is not None and before.required
        was = declared or column.name in old_key
        is_now = column.required or column.name in new_key
        if declared and not is_now:  # a dropped key is said once, as such
            yield "breaking", Change(old.name, column.name, "required", f"the column {column.name} may be empty")
        elif is_now and not was:
            yield "tightened", Change(old.name, column.name, "required", f"the column {column.name} is required")


def _of_keys(old: Table, new: Table) -> _Changes:
    if old.primary_key and set(old.primary_key) != set(new.primary_key):
        became = f"becomes ({', '.join(new.primary_key)})" if new.primary_key else "is dropped"
        text = f"the primary key ({', '.join(old.primary_key)}) {became}"
        yield "breaking", Change(old.name, None, "primary_key", text)
    elif new.primary_key and not old.primary_key:  # what it asks of the data is said as required and unique
        text = f"({', '.join(new.primary_key)}) becomes the primary key"
        yield "compatible", Change(old.name, None, "primary_key", text)
    before, after = _uniques(old), _uniques(new)
    for key, columns in before.items():
        if key not in after and key != frozenset(old.primary_key):
            column = columns[0] if len(columns) == 1 else None
            yield "breaking", Change(old.name, column, "unique", f"({', '.join(columns)}) is no longer unique")
    for key, columns in after.items():
        if key not in before:
            column = columns[0] if len(columns) == 1 else None
            yield "tightened", Change(old.name, column, "unique", f"({', '.join(columns)}) becomes unique")


def _uniques(table: Table) -> dict[frozenset[str], tuple[str, ...]]:
    keys = [*table.unique, *((column.name,) for column in table.columns if column.unique)]
    if table.primary_key:
        keys.insert(0, table.primary_key)
    return {frozenset(key): key for key in keys}


def _of_references(old: Table, new: Table) -> _Changes:
    """Compare references inside the product; those across products promise nothing (they are measured)."""
    before, after = ({each for each in table.references if not each.product} for table in (old, new))
    for reference in old.references:
        if reference in before - after:
            yield "breaking", Change(old.name, None, "reference", f"{_text_of(reference)} is dropped")
    for reference in new.references:
        if reference in after - before:
            yield "tightened", Change(old.name, None, "reference", f"{_text_of(reference)} is new")


def _text_of(reference: Reference) -> str:
    return f"the reference ({', '.join(reference.columns)}) to {reference.table} ({', '.join(reference.to)})"


def _of_quality(
    table: str, column: str | None, old: tuple[Mapping[str, Any], ...], new: tuple[Mapping[str, Any], ...]
) -> _Changes:
    where = f"{column}: " if column else ""
    for rule in new:
        if rule not in old:
            yield "tightened", Change(table, column, "quality", f"{where}the quality rule {_title(rule)} is new")
    for rule in old:
        if rule not in new:
            yield "compatible", Change(table, column, "quality", f"{where}the quality rule {_title(rule)} is dropped")


def _title(rule: Mapping[str, Any]) -> str:
    return str(rule.get("name") or rule.get("metric") or rule.get("rule") or rule.get("type") or "")


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)[:60]
