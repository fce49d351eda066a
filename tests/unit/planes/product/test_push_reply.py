from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.ledger import ProductChange, TableLoad
from thinmesh.kernel.product import DataFile
from thinmesh.planes.product.push_reply import Landed, reply


def landed(name="orders", event="registered", *, rows=(), tables=(), notes=(), files=(), claims=False):
    loads = {
        f"t{n}": TableLoad("replace", (DataFile(path="f", sha256="", rows=count, bytes=1, content=""),))
        for n, count in enumerate(rows)
    }
    publication = "p1" if loads else None
    change = ProductChange(
        name, event, "sales", "shop", "open", "active", "1.0.0", loads=loads, publication=publication
    )
    return Landed(None, change, {table.name: table for table in tables}, notes, files, claims)


def test_counts_the_rows_of_every_table():
    assert reply([landed(event="published", rows=(1, 1200))]) == ["published orders p1: t0 1 row, t1 1,200 rows"]


def test_names_a_few_columns_of_a_wide_table():
    wide = Table("t", tuple(Column(f"c{n}", physical_name=f"C {n}") for n in range(100)), inferred=True)
    lines = reply([landed(tables=(wide,))])
    assert lines[1].endswith(", c7 string and 92 more")
    assert lines[2].startswith('note: t: header "C 0" -> c0, ')
    assert lines[2].endswith(" and 92 more")


def test_says_nothing_of_what_was_declared():
    assert reply([landed(tables=(Table("t", (Column("a"),)),))]) == ["registered sales/orders"]


def test_stays_on_the_screen_and_obeys_no_header():
    odd = Table("t", (Column("a", physical_name="\x1b[31m" + "x" * 5000),), inferred=True)
    lines = reply([landed(f"o{n}", tables=(odd,)) for n in range(50)])
    assert len(lines) == 40
    assert lines[-1] == "and 161 more lines like these"
    assert not any("\x1b" in line or len(line) > 500 for line in lines)


def test_nothing_done_is_nothing_said():
    assert reply([]) == []
