"""Inferred tables (INTERFACE, *Descriptor*): a contract from all rows, and its widening by later publications."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thinmesh.kernel.contract import Column, Table, with_ids
from thinmesh.kernel.names import legal_name, name_of_header

from .rules import custom
from .survey import Found, Survey

_SHOWN = {"zoned": "timestamp with time zone"}


@dataclass(frozen=True, slots=True)
class Inferred:
    """An inferred table, and in words what it widened; `changed` are the columns whose type is another now."""

    table: Table
    widened: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def infer(
    name: str, known: Table | None, surveys: Sequence[Survey], *, appended: bool, wide: Collection[str] = ()
) -> Inferred:
    """Infer a table from surveys of all its files; `known` is the provisional table that they may widen.

    `appended`: rows under `known` stay, so that a new column is empty in them. `wide` are those of its columns that
    hold integers beyond 2^53 in these rows.
    """
    surveys = [_by_header(survey, known) for survey in surveys] if known else surveys
    rows = sum(survey.rows for survey in surveys)
    headers = list(dict.fromkeys(header for survey in surveys for header in survey.fields if header.strip()))
    old = {column.header: column for column in known.columns} if known else {}
    names = {column.name for column in old.values()}
    columns, words, changed = [], [], []
    for header, column in old.items():
        found_here = [survey.fields[header] for survey in surveys if header in survey.fields]
        wider, said = _widen(column, found_here, column.name in wide)
        columns.append(wider)
        words += said
        changed += [column.name] if wider.sql_type != column.sql_type else []
    for header in headers:
        if header in old:
            continue
        found = _join(survey.fields[header] for survey in surveys if header in survey.fields)
        legal = name_of_header(header, names)
        names.add(legal)
        required = found.nulls == 0 and rows > 0 and not appended and all(header in survey.fields for survey in surveys)
        # Of a number nobody knows what it is.
        about = None if legal_name(header) else header.strip()
        own = header if header != legal else None
        columns.append(_typed(Column(legal, physical_name=own, description=about, required=required), found))
        words += [f"{legal}: new column ({_word(found)})"] if known else []
    table = replace(known or Table(name, (), inferred=True), columns=tuple(columns))
    return Inferred(with_ids(table, known), tuple(words), tuple(changed))


def _by_header(found: Survey, known: Table) -> Survey:
    """Give a survey in which a known column that the file calls by its name is called by its header."""
    headers = {column.header for column in known.columns}
    own = {column.name: column.header for column in known.columns if column.name not in headers}
    fields = {
        own[name] if name in own and own[name] not in found.fields else name: one for name, one in found.fields.items()
    }
    return Survey(found.rows, fields)


def _widen(column: Column, found: Sequence[Found], wide: bool) -> tuple[Column, list[str]]:
    marks = custom(column, "provisional")
    held = tuple(marks) if isinstance(marks, list | tuple) else ()
    before = Found(None if marks else _kind(column), tokens=held, decimal=column.decimal, wide=wide)
    new = _join(found)
    joined = _join([before, new])
    tokens = tuple(dict.fromkeys((*(custom(column, "null") or ()), *held, *new.tokens)))
    words = []
    wider = _typed(column, replace(joined, tokens=tokens))
    if before.kind is not None and wider.sql_type != column.sql_type:
        words.append(f"{column.name}: {_word(before)} became {_word(joined)}")
    elif before.kind is None and joined.kind is not None:
        words.append(f"{column.name}: takes its first type, {_word(joined)}")
    fresh = [token for token in new.tokens if token not in (custom(column, "null") or ())]
    if before.kind is not None and joined.kind != "string" and fresh:
        words.append(f"{column.name}: {', '.join(fresh)} stands for no value")
    if column.required and joined.nulls:
        wider = replace(wider, required=False)
        words.append(f"{column.name}: may be empty now")
    return wider, words


def _join(found: Iterable[Found]) -> Found:
    """Give the narrowest finding that covers all."""
    result = Found(None)
    for one in found:
        tokens = tuple(dict.fromkeys((*result.tokens, *one.tokens)))
        kind, decimal = _wider(result, one)
        # What is text keeps its tokens as texts: there they are values.
        tokens = () if kind == "string" else tokens
        empty, marked = result.empty + one.empty, result.marked + one.marked
        wide = result.wide or one.wide
        result = Found(kind, empty, marked, tokens, result.distinct and one.distinct, decimal, wide)
    return result


def _wider(a: Found, b: Found) -> tuple[str | None, tuple[int, int] | None]:
    if a.kind is None or b.kind is None:
        known = b if a.kind is None else a
        return known.kind, known.decimal
    if a.kind == b.kind and a.decimal == b.decimal:
        return a.kind, a.decimal
    if a.decimal and b.decimal:
        scale = max(a.decimal[1], b.decimal[1])
        digits = max(a.decimal[0] - a.decimal[1], b.decimal[0] - b.decimal[1])
        return ("number", (digits + scale, scale)) if digits + scale <= 38 else ("string", None)
    if {a.kind, b.kind} <= {"integer", "number"} and not a.wide and not b.wide:
        return "number", None
    return "string", None


def _kind(column: Column) -> str:
    return "zoned" if column.zoned else column.logical_type


def _typed(column: Column, found: Found) -> Column:
    """Give a column the type of a finding; what is not known yet is a provisional string."""
    kind = found.kind or "string"
    options = {key: value for key, value in column.options.items() if key != "timezone"}
    if kind == "zoned":
        kind, options = "timestamp", {**options, "timezone": True}
    marks: dict[str, Any] = {
        "null": list(found.tokens) if found.tokens and kind != "string" else None,
        # The tokens that such a column holds are its values, until it takes a type in which they are none.
        "provisional": (list(found.tokens) or True) if found.kind is None else None,
    }
    physical = "DECIMAL({},{})".format(*found.decimal) if found.decimal else None
    return replace(
        column, logical_type=kind, physical_type=physical, options=options, extra=_marked(column.extra, marks)
    )


def _marked(extra: Mapping[str, Any], marks: Mapping[str, Any]) -> dict[str, Any]:
    """Set ODCS custom properties, and drop those that are None."""
    kept = [item for item in extra.get("customProperties") or () if item.get("property") not in marks]
    kept += [{"property": name, "value": value} for name, value in marks.items() if value is not None]
    rest = {key: value for key, value in extra.items() if key != "customProperties"}
    return {**rest, "customProperties": kept} if kept else rest


def _word(found: Found) -> str:
    if found.decimal:
        return "decimal({},{})".format(*found.decimal)
    return _SHOWN.get(found.kind or "string", found.kind or "string, provisionally")
