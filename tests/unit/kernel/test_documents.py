"""`product.json` as its authors meet it: what is read from it, and what is said about what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinmesh.kernel.contract import Column, Reference, Table, with_ids
from thinmesh.kernel.documents import (
    canonical,
    descriptor_document,
    parse_descriptor,
    same_meaning,
    stored_descriptor,
    table_of_record,
    table_record,
    with_tables,
)
from thinmesh.kernel.errors import Malformed, MeshError, Refused, TooLarge, Violation

from . import descriptors as drawn

# Example counts keep each property well under three seconds.
some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# The example of INTERFACE, *Descriptor*.
FLIGHTS: dict[str, Any] = {
    "name": "flights",
    "domain": "aviation",
    "description": "Departures from New York, 2013",
    "version": "1.0.0",
    "owner": "flights_team",
    "access": "open",
    "status": "active",
    "tags": ["reference"],
    "custom": {},
    "slo": {"freshness": "P1D"},
    "retention": "P5Y",
    "inputs": ["weather"],
    "links": {"runbook": "https://example.org/r"},
    "tables": {
        "flights": {
            "description": "One row per departure",
            "null": ["NA"],
            "columns": [
                {"name": "year", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 1987}},
                {
                    "name": "carrier",
                    "logicalType": "string",
                    "description": "IATA code",
                    "logicalTypeOptions": {"pattern": "^[A-Z0-9]{2}$"},
                },
                {"name": "flight", "logicalType": "integer"},
                {"name": "time_hour", "logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}},
            ],
            "primaryKey": ["carrier", "flight", "time_hour"],
            "unique": [],
            "references": [{"columns": ["carrier"], "table": "airlines.airlines", "to": ["carrier"]}],
        }
    },
}
LEAST = {"name": "weather", "domain": "aviation", "description": "Hourly weather"}


def as_bytes(document: object) -> bytes:
    return json.dumps(document, indent=2).encode()


def with_columns(*columns: dict[str, Any], **table: Any) -> dict[str, Any]:
    return {**LEAST, "tables": {"t": {"columns": list(columns), **table}}}


def faults(document: object) -> list[Violation]:
    with pytest.raises(Refused) as caught:
        parse_descriptor(
            document if isinstance(document, bytes) else as_bytes(document), file="aviation/x/product.json"
        )
    return list(caught.value.violations)


def fields(document: object) -> list[str | None]:
    return [fault.column for fault in faults(document)]


class TestWhatIsRead:
    def test_the_documented_example(self) -> None:
        found = parse_descriptor(as_bytes(FLIGHTS))
        table = found.tables["flights"]
        assert (found.name, found.domain, found.owner, found.version) == (
            "flights",
            "aviation",
            "flights_team",
            "1.0.0",
        )
        assert (found.slo, found.retention, found.inputs) == ({"freshness": "P1D"}, "P5Y", ("weather",))
        assert [column.sql_type for column in table.columns] == [
            "BIGINT",
            "VARCHAR",
            "BIGINT",
            "TIMESTAMP WITH TIME ZONE",
        ]
        assert table.columns[0].required
        assert table.primary_key == ("carrier", "flight", "time_hour")
        assert table.references == (Reference(("carrier",), "airlines", "airlines", ("carrier",)),)
        assert table.null == ("NA",)
        assert found.document == as_bytes(FLIGHTS)
        assert found.reported == ()

    def test_three_fields_are_enough(self) -> None:
        found = parse_descriptor(as_bytes(LEAST))
        assert (found.owner, found.access, found.version, found.status) == (None, None, None, None)
        assert (found.tables, found.tags, found.custom) == ({}, (), {})

    def test_a_member_that_is_null_is_left_out(self) -> None:
        found = parse_descriptor(as_bytes({**LEAST, "owner": None, "tables": None, "retention": None}))
        assert (found.owner, found.tables) == (None, {})

    def test_the_short_form_of_columns(self) -> None:
        found = parse_descriptor(as_bytes({**LEAST, "tables": {"t": {"columns": {"id": "integer", "at": "date"}}}}))
        assert found.tables["t"].columns == (Column("id", "integer"), Column("at", "date"))

    def test_a_reference_inside_the_product(self) -> None:
        tables = {
            "parent": {"columns": {"id": "integer"}},
            "child": {
                "columns": {"parent": "integer"},
                "references": [{"columns": ["parent"], "table": "weather.parent", "to": ["id"]}],
            },
        }
        found = parse_descriptor(as_bytes({**LEAST, "tables": tables}))
        assert found.tables["child"].references == (Reference(("parent",), "", "parent", ("id",)),)

    def test_a_decimal_is_exact(self) -> None:
        column = {"name": "amount", "logicalType": "number", "physicalType": "DECIMAL(18,2)"}
        table = parse_descriptor(as_bytes(with_columns(column))).tables["t"]
        assert table.columns[0].sql_type == "DECIMAL(18,2)"

    def test_a_byte_order_mark_is_no_fault(self) -> None:
        assert parse_descriptor(b"\xef\xbb\xbf" + as_bytes(LEAST)).name == "weather"

    def test_schema_and_custom_are_free(self) -> None:
        custom = {"anything": [{"goes": 1.5}], "null": None}
        found = parse_descriptor(as_bytes({**LEAST, "$schema": "https://example.org/s.json", "custom": custom}))
        assert found.custom == custom

    def test_unknown_members_of_columns_are_kept_and_reported(self) -> None:
        found = parse_descriptor(as_bytes(with_columns({"name": "a", "x_lineage": {"from": "b"}})))
        assert found.tables["t"].columns[0].extra == {"x_lineage": {"from": "b"}}
        assert len(found.reported) == 1
        assert "tables.t.columns[0].x_lineage" in found.reported[0]

    def test_a_table_marked_inferred_is_not_declared(self) -> None:
        found = parse_descriptor(as_bytes(with_columns({"name": "a"}, inferred=True)))
        assert found.tables == {}


class TestWhatIsRefused:
    def test_everything_at_once_with_its_place(self) -> None:
        document = b"""{
  "name": "Weather",
  "domain": "aviation",
  "acces": "open",
  "tables": {
    "t": {
      "columns": [
        {"name": "temp", "logicalType": "nummber"},
        {"name": "temp", "logicalType": "number"}
      ],
      "primaryKey": ["tmp"]
    }
  }
}
"""
        found = {fault.column: fault for fault in faults(document)}
        places = {name: (fault.examples[0].line, fault.examples[0].position) for name, fault in found.items()}
        assert places == {
            None: (1, 1),
            "name": (2, 11),
            "acces": (4, 3),
            "tables.t.columns[0].logicalType": (8, 41),
            "tables.t.columns[1].name": (9, 18),
            "tables.t.primaryKey[0]": (11, 22),
        }
        assert "'description' is missing" in found[None].message
        assert "did you mean 'access'" in found["acces"].message
        assert "did you mean 'number'" in found["tables.t.columns[0].logicalType"].message
        assert "did you mean 'temp'" in found["tables.t.primaryKey[0]"].message
        assert {fault.file for fault in found.values()} == {"aviation/x/product.json"}
        assert found["tables.t.primaryKey[0]"].table == "t"

    def test_the_detail_names_the_first_place(self) -> None:
        with pytest.raises(Refused) as refused:
            parse_descriptor(b"{}")
        assert refused.value.detail == "product.json:1:1: 'name' is missing (3 faults in all)"

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("name", "select"),
            ("name", "a" * 64),
            ("name", 7),
            ("domain", "Luft"),
            ("description", "  "),
            ("owner", "a-team"),
            ("access", "closed"),
            ("status", "retired"),
            ("status", "live"),
            ("version", "1.0"),
            ("version", "1.0.0-" + "a." * 400),
            ("retention", "5 years"),
            ("retention", "P101Y"),
            ("tags", "one"),
            ("custom", []),
            ("slo", {"freshness": "daily"}),
            ("inputs", ["no-product"]),
            ("links", {"x": "javascript:alert(1)"}),
            ("links", {"x": "somewhere"}),
            ("deprecated", {"successor": "UPPER"}),
            ("deprecated", {"removal": "soon"}),
            ("tables", []),
        ],
    )
    def test_a_member_that_breaks_its_rule(self, member: str, value: object) -> None:
        assert {(name or "").split(".")[0].split("[")[0] for name in fields({**LEAST, member: value})} == {member}

    @pytest.mark.parametrize(("word", "ours"), [("closed", "request"), ("Private", "request"), ("public", "open")])
    def test_words_of_others_for_access_are_answered_with_ours(self, word: str, ours: str) -> None:
        document = {"name": "a", "domain": "b", "description": "c", "access": word}
        [fault] = faults(json.dumps(document).encode())
        assert fault.message.endswith(f"did you mean {ours!r}?")

    @pytest.mark.parametrize(
        ("column", "place"),
        [
            ({"name": "Temp"}, "name"),
            ({"name": 1}, "name"),
            ({"logicalType": "integer"}, ""),
            ({"name": "a", "requird": True}, "requird"),
            ({"name": "a", "required": "yes"}, "required"),
            ({"name": "a", "logicalType": "int"}, "logicalType"),
            ({"name": "a", "logicalType": "number", "physicalType": "DECIMAL(39,2)"}, "physicalType"),
            ({"name": "a", "logicalType": "number", "physicalType": "DECIMAL(5,6)"}, "physicalType"),
            ({"name": "a", "logicalType": "number", "physicalType": "DECIMAL(200)"}, "physicalType"),
            ({"name": "a", "classification": "confidental"}, "classification"),
            ({"name": "a", "logicalTypeOptions": {"pattern": "(?=x)"}}, "logicalTypeOptions.pattern"),
            ({"name": "a", "logicalTypeOptions": {"minimum": 1}}, "logicalTypeOptions.minimum"),
            ({"name": "a", "logicalTypeOptions": {"minLength": -1}}, "logicalTypeOptions.minLength"),
            ({"name": "a", "logicalTypeOptions": {"maxLenght": 1}}, "logicalTypeOptions.maxLenght"),
            ({"name": "a", "logicalTypeOptions": {"minLength": 3, "maxLength": 2}}, "logicalTypeOptions.minLength"),
            (
                {"name": "a", "logicalType": "integer", "logicalTypeOptions": {"minimum": "1"}},
                "logicalTypeOptions.minimum",
            ),
            ({"name": "a", "logicalType": "integer", "enum": [{"value": "one"}]}, "enum[0].value"),
            (
                {"name": "a", "logicalType": "date", "logicalTypeOptions": {"minimum": "1/2/03"}},
                "logicalTypeOptions.minimum",
            ),
            ({"name": "a", "quality": [{"metric": "rowcount", "mustBe": 1}]}, "quality[0].metric"),
            ({"name": "a", "quality": [{"metric": "rowCount"}]}, "quality[0]"),
            ({"name": "a", "quality": [{"metric": "rowCount", "mustBeLessThan": "5"}]}, "quality[0].mustBeLessThan"),
            ({"name": "a", "quality": [{"metric": "rowCount", "mustBeBetween": [2, 1]}]}, "quality[0].mustBeBetween"),
            ({"name": "a", "quality": [{"type": "sql", "mustBe": 1}]}, "quality[0]"),
            ({"name": "a", "customProperties": ["x"]}, "customProperties[0]"),
        ],
    )
    def test_a_column_that_breaks_a_rule(self, column: dict[str, Any], place: str) -> None:
        path = f"tables.t.columns[0].{place}".rstrip(".")
        assert path in fields(with_columns(column, {"name": "other"}))

    @pytest.mark.parametrize(
        ("table", "place"),
        [
            ({"primarykey": ["a"]}, "primarykey"),
            ({"primaryKey": ["a", "a"]}, "primaryKey[1]"),
            ({"unique": ["a"]}, "unique[0]"),
            ({"unique": [["b"]]}, "unique[0][0]"),
            ({"null": "NA"}, "null"),
            ({"references": [{"columns": ["a"], "table": "nowhere", "to": ["a"]}]}, "references[0]"),
            ({"references": [{"columns": ["a"], "table": "t", "to": ["z"]}]}, "references[0]"),
            ({"references": [{"columns": ["z"], "table": "t", "to": ["a"]}]}, "references[0].columns[0]"),
            ({"references": [{"columns": ["a"], "table": "t", "to": []}]}, "references[0].to"),
            ({"references": [{"columns": ["a"], "table": "t"}]}, "references[0]"),
            ({"references": [{"columns": ["a"], "table": "a.b.c", "to": ["a"]}]}, "references[0].table"),
        ],
    )
    def test_a_table_that_breaks_a_rule(self, table: dict[str, Any], place: str) -> None:
        assert f"tables.t.{place}" in fields(with_columns({"name": "a"}, **table))

    def test_a_table_name_that_sql_reserves(self) -> None:
        assert fields({**LEAST, "tables": {"order": {"columns": {"a": "string"}}}}) == ["tables.order"]

    def test_two_columns_with_one_csv_header(self) -> None:
        columns = ({"name": "a", "physicalName": "b"}, {"name": "b"})
        assert fields(with_columns(*columns)) == ["tables.t.columns[1].name"]

    @pytest.mark.parametrize(
        ("document", "place"),
        [
            (b'{"name": "a",\n  "name": "b"}', (2, 3)),
            (b'{"tables": {\n "t": 1, "t": 2}}', (2, 10)),
        ],
    )
    def test_a_member_that_is_there_twice(self, document: bytes, place: tuple[int, int]) -> None:
        found = [fault for fault in faults(document) if fault.rule == "duplicate"]
        assert [(fault.examples[0].line, fault.examples[0].position) for fault in found] == [place]

    def test_a_message_stays_short_whatever_is_in_the_document(self) -> None:
        with pytest.raises(Refused) as caught:
            parse_descriptor(as_bytes({**LEAST, "name": "a" * 900_000, "b" * 50_000: 1}))
        assert len(json.dumps(caught.value.problem())) < 5_000


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("document", "place"),
        [
            (b"", (1, 1)),
            (b'{\n  "name": "a"\n  "domain": "b"\n}', (3, 3)),
            (b'{"name": NaN}', (1, 10)),
            (b'{"custom": {"x": 1e999}}', (1, 18)),
            (b'{"custom": {"x": -Infinity}}', (1, 18)),
            (b'{"name": "\xff"}', (1, 11)),
            (b'{"name": "\\u0000"}', (1, 10)),
            (b'{"name": "\\ud800"}', (1, 10)),
            (b"[1]", (1, 1)),
            (b"null", (1, 1)),
            (b"[" * 100_000, (1, 1)),
            (b'{"custom": ' + b'{"a": ' * 80 + b"1" + b"}" * 81, None),
            (b'{"custom": ' + b"9" * 5_000 + b"}", (1, 12)),
        ],
    )
    def test_the_place_is_named(self, document: bytes, place: tuple[int, int] | None) -> None:
        with pytest.raises(Malformed) as caught:
            parse_descriptor(document, file="product.json")
        example = caught.value.violations[0].examples[0]
        assert place is None or (example.line, example.position) == place
        assert caught.value.detail.startswith(f"product.json:{example.line}:{example.position}: ")

    def test_a_document_above_a_megabyte(self) -> None:
        with pytest.raises(TooLarge):
            parse_descriptor(as_bytes({**LEAST, "custom": {"x": "y" * 1_000_000}}))


class TestRoundTrips:
    @some
    @given(drawn.documents)
    def test_a_record_in_the_log_is_exact(self, document: bytes) -> None:
        for table in parse_descriptor(document).tables.values():
            kept = with_ids(table)
            assert table_of_record(json.loads(json.dumps(table_record(kept)))) == kept

    @some
    @given(drawn.documents)
    def test_tables_written_in_are_read_again(self, document: bytes) -> None:
        tables = parse_descriptor(document).tables
        others = {name: value for name, value in json.loads(document).items() if name != "tables"}
        written = with_tables(json.dumps(others).encode(), {name: with_ids(table) for name, table in tables.items()})
        assert parse_descriptor(written).tables == tables
        assert {name: value for name, value in json.loads(written).items() if name != "tables"} == others

    @some
    @given(drawn.documents)
    def test_what_is_shown_can_be_sent_back(self, document: bytes) -> None:
        found = parse_descriptor(document)
        shown = descriptor_document(
            found, owner="a_team", access="open", version="1.0.0", status="active", tables=found.tables
        )
        again = parse_descriptor(canonical(shown))
        assert again.tables == found.tables
        assert (again.owner, again.tags, again.custom, again.links) == ("a_team", found.tags, found.custom, found.links)

    def test_what_is_shown_has_every_default(self) -> None:
        found = parse_descriptor(as_bytes(LEAST))
        shown = descriptor_document(found, owner="a", access="open", version="1.0.0", status="active", tables={})
        assert (shown["owner"], shown["access"], shown["version"], shown["status"]) == ("a", "open", "1.0.0", "active")
        assert (shown["tags"], shown["custom"], shown["slo"], shown["tables"]) == ([], {}, {}, {})

    def test_inferred_marks_survive_an_accept(self) -> None:
        marks = {
            "customProperties": [{"property": "null", "value": ["NA"]}, {"property": "provisional", "value": True}]
        }
        inferred = with_ids(Table("t", (Column("a", "number", extra=marks), Column("b")), inferred=True))
        found = parse_descriptor(with_tables(as_bytes(LEAST), {"t": inferred})).tables["t"]
        assert found.columns[0].extra == marks
        assert not found.inferred

    def test_tables_that_say_the_same_keep_their_form(self) -> None:
        before = {**LEAST, "tables": {"t": {"columns": {"a": "integer"}}}, "tags": ["x"]}
        tables = parse_descriptor(as_bytes(before)).tables
        written = json.loads(with_tables(as_bytes(before), {**tables, "u": Table("u", (Column("b"),))}))
        assert list(written) == list(before)
        assert written["tables"]["t"] == before["tables"]["t"]  # type: ignore[index]
        assert list(written["tables"]) == ["t", "u"]

    def test_the_same_meaning(self) -> None:
        assert same_meaning(as_bytes(FLIGHTS), json.dumps(FLIGHTS).encode())
        assert same_meaning(as_bytes(LEAST), as_bytes(dict(reversed(LEAST.items()))))
        assert not same_meaning(as_bytes({**LEAST, "custom": {"x": 1}}), as_bytes({**LEAST, "custom": {"x": True}}))
        assert not same_meaning(as_bytes(LEAST), as_bytes({**LEAST, "description": "Other"}))

    def test_what_was_accepted_once_is_read_whatever_the_rules_are_now(self) -> None:
        found = stored_descriptor(as_bytes({**LEAST, "status": "of_a_later_release", "later": 1}))
        assert (found.name, found.status) == ("weather", None)


def refused(document: bytes, file: str = "product.json") -> MeshError | None:
    try:
        parse_descriptor(document, file=file)
    except MeshError as error:
        return error
    return None


class TestHostileDocuments:
    @some
    @given(st.binary(max_size=200))
    def test_any_bytes(self, document: bytes) -> None:
        for file in ("product.json", "contract.yaml"):
            refusal = refused(document, file)
            assert refusal is None or refusal.detail

    @some
    @given(st.data())
    def test_broken_documents(self, data: st.DataObject) -> None:
        document = data.draw(drawn.broken(data.draw(drawn.documents)))
        refusal = refused(document)
        assert refusal is None or json.dumps(refusal.problem())

    @some
    @given(st.data())
    def test_documents_with_anything_in_them(self, data: st.DataObject) -> None:
        document = data.draw(drawn.twisted(data.draw(drawn.descriptors())))
        refusal = refused(json.dumps(document).encode())
        assert refusal is None or refusal.violations
        assert refusal is None or all(each.examples for each in refusal.violations)


def test_reading_json_loads_nothing_heavy() -> None:
    code = (
        "import sys; from thinmesh.kernel.documents import parse_descriptor; "
        f"parse_descriptor({as_bytes(with_columns({'name': 'a', 'required': True}))!r}); "
        "print([name for name in ('yaml', 'pydantic', 're2', 'ruamel', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("member", "key"),
    [
        ("unique", lambda name: [name]),
        ("references", lambda name: {"columns": [name], "table": "other.t", "to": ["a"]}),
        ("references", lambda name: {"columns": [name], "table": "t", "to": [name]}),
    ],
    ids=["unique", "elsewhere", "inside"],
)
def test_many_keys_are_read_in_time_that_grows_with_their_number(member: str, key: Callable[[str], Any]) -> None:
    names = [f"c{number}" for number in range(9000)]
    columns = {"columns": dict.fromkeys(names, "string")}

    def seconds(table: dict[str, Any]) -> float:
        document = {"name": "wide", "domain": "d", "description": "x", "tables": {"t": table}}
        text = json.dumps(document).encode()
        begun = time.process_time()
        parse_descriptor(text)
        return time.process_time() - begun

    # Some five times as long as the columns alone; it was forty times, when each key was held against all columns.
    assert seconds({**columns, member: [key(name) for name in names]}) < 20 * seconds(columns)
