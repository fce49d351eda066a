"""Names: what products, tables, columns and users may be called, and what is offered for those that nobody has."""

import string

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.names import (
    COLUMN,
    RESERVED,
    fault_of_column,
    fault_of_name,
    fault_of_user,
    legal_name,
    legal_table,
    name_in_document,
    name_of_header,
    nearest,
)

LETTERS = string.ascii_lowercase + string.digits + "_"


@given(st.sampled_from(string.ascii_lowercase), st.text(LETTERS, max_size=62))
def test_lower_case_names_that_begin_with_a_letter_are_taken(first, rest):
    name = first + rest
    assert (fault_of_name(name, "product") is None) == (name not in RESERVED)


@pytest.mark.parametrize(
    "name", ["", "Flights", "1st", "_flights", "a-b", "a b", "ä", "a" * 64, "a\n", "a.b", None, 1, ["a"]]
)
def test_other_names_are_refused_with_the_rule(name):
    fault = fault_of_name(name, "table")
    assert fault is not None
    assert fault.startswith("table name")
    assert "must be small letters, digits and _, 63 at most, with a letter first" in fault


def test_a_legal_name_is_offered_for_one_that_is_not():
    assert str(fault_of_name("Shop-2", "team")).endswith(": write shop_2")
    assert str(fault_of_user("Bad Name")).endswith(": write bad.name")
    assert not str(fault_of_name("2", "team")).endswith("2")
    assert str(fault_of_column("Air Temp")).endswith(": write air_temp")


@given(st.text())
def test_the_name_offered_for_a_table_is_one(text):
    legal = legal_table(text)
    assert not legal or fault_of_name(legal, "table") is None
    assert legal == text or fault_of_name(text, "table") is not None


@pytest.mark.parametrize(
    ("text", "legal"),
    [("2024 Sales", "t_2024_sales"), ("select", "t_select"), ("_x", "x"), ("a" * 70, "a" * 63), ("§", "")],
)
def test_a_table_is_offered_a_name_where_none_can_be_kept(text, legal):
    assert legal_table(text) == legal


@pytest.mark.parametrize(
    "name", ["mesh", "main", "system", "memory", "temp", "default", "information_schema", "pg_catalog"]
)
def test_the_names_that_the_contract_reserves_are_refused(name):
    assert fault_of_name(name, "product") == f"product name {name!r} is reserved"


def test_every_reserved_keyword_of_the_engine_is_reserved():
    rows = duckdb.sql("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'").fetchall()
    assert {word for (word,) in rows} - RESERVED == set()


@pytest.mark.parametrize("name", ["_", "a", "order", "x" * 128, "_1"])
def test_columns_may_be_called_what_tables_may_not(name):
    assert fault_of_column(name) is None


@pytest.mark.parametrize("name", ["", "1", "A", "x" * 129, "a b", "é", "a\n", None])
def test_other_columns_are_refused_with_the_rule(name):
    assert "small letters, digits and _" in (fault_of_column(name) or "")


@pytest.mark.parametrize("name", ["ada", "ada.l@example.org", "a-b_c+d", "1"])
def test_users_are_called_as_directories_call_them(name):
    assert fault_of_user(name) is None


@pytest.mark.parametrize("name", ["", "Ada", ".a", "a b", "a/b", "a:b", "a\n", "a" * 128, None])
def test_other_users_are_refused(name):
    assert fault_of_user(name) is not None


@given(st.text())
def test_a_legal_name_is_one_or_nothing(text):
    name = legal_name(text)
    assert name == "" or COLUMN.fullmatch(name)


@given(st.from_regex(COLUMN, fullmatch=True))
def test_a_name_that_is_legal_already_stays(name):
    assert legal_name(name) == name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Customer ID", "customer_id"),
        ("2nd", "_2nd"),
        ("a--b", "a_b"),
        (" Größe ", "groesse"),
        ("GRO\u0308SSE", "groesse"),
        ("Straße Übergang", "strasse_uebergang"),
        ("Prénom de l'élève", "prenom_de_l_eleve"),
        ("Ångström", "angstroem"),
        ("Smørrebrød", "smorrebrod"),
        ("Łódź", "lodz"),
        ("İSTANBUL \u0131\u011fd\u0131r", "istanbul_igdir"),
        ("Señor №", "senor_no"),
        ("m²", "m2"),
        ("\uff29\uff24", "id"),
        ("سعر USD", "usd"),
        ("السعر", ""),
        ("价格", ""),
        ("!", ""),
    ],
)
def test_legal_names(written, name):
    assert legal_name(written) == name


@pytest.mark.parametrize(("written", "name"), [("Größe", "gr_e"), ("Prénom", "pr_nom"), ("Customer ID", "customer_id")])
def test_a_name_in_a_document_means_what_it_always_meant(written, name):
    assert name_in_document(written) == name


def test_columns_without_a_plain_name_are_numbered():
    taken: list[str] = []
    for header in ("السعر", "价格", "#", "Größe", "GROESSE", "column_4", "имя"):
        taken.append(name_of_header(header, taken))
    assert taken == ["column_1", "column_2", "column_3", "groesse", "groesse_2", "column_4", "column_5"]


@given(st.lists(st.text(), max_size=20))
def test_every_header_gives_a_name_of_its_own(headers):
    taken: list[str] = []
    for header in headers:
        taken.append(name_of_header(header, taken))
    assert len(set(taken)) == len(taken)
    assert all(COLUMN.fullmatch(name) for name in taken)


def test_the_nearest_name_is_offered_and_nothing_where_none_is_near():
    assert nearest("wheather", ["flights", "weather", "planes"]) == "weather"
    assert nearest("xyz", ["flights", "weather"]) is None
    assert nearest("wether", ["weather"], 0.99) is None
    assert nearest("w" * 100_000, ["weather"] * 1000) is None
