import io
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from thinmesh.interface.cli.output import ProgressLine, cut, facts, listed, plural, printable, size, span, table, width


@given(st.text())
def test_nothing_that_a_terminal_obeys_gets_through(text):
    shown = printable(text)
    assert "\n" not in shown
    assert not [character for character in shown if unicodedata.category(character) in ("Cc", "Cf", "Cs")]


def test_escape_sequences_are_shown_not_obeyed():
    assert printable("a\x1b[2Jb\u202ec\r\n") == "a\\x1b[2Jb\\u202ec\\r⏎"


@given(st.text(), st.integers(1, 30))
def test_cut_text_fits(text, cells):
    assert width(cut(printable(text), cells)) <= cells


def test_tables_are_aligned_whatever_the_script():
    drawn = table(("name", "n"), [("日本", 5), ("abc", None), ("x", 1234)], right=(1,)).splitlines()
    assert drawn == ["name     n", "────  ────", "日本     5", "abc", "x     1234"]


def test_an_empty_list_says_so_and_a_long_one_how_to_go_on():
    assert listed(("a",), [], None, "Nothing.") == "Nothing."
    assert listed(("a",), [("x",)], "CUR", "Nothing.").endswith("There is more: --cursor CUR")


def test_facts_leave_out_what_is_not_known():
    assert facts([("name", "a"), ("tags", []), ("longer", ["x", "y"])]) == "name    a\nlonger  x, y"


def test_amounts_are_for_people():
    assert [size(0), size(999), size(1000), size(1_234_567), size(10**13)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 MB",
        "10.0 TB",
    ]
    assert [span(0), span(59), span(61), span(7322), span(90_061)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "2 h 2 min",
        "1 d 1 h",
    ]
    assert [plural(1, "row"), plural(1234, "row")] == ["1 row", "1,234 rows"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_and_only_there():
    stream, terminal = io.StringIO(), Terminal()
    for target in (stream, terminal):
        with ProgressLine(target) as progress:
            progress("checking", 50, 100)
            progress("checking", 50, 100)
    assert stream.getvalue() == ""
    assert terminal.getvalue() == "\r\x1b[Kchecking 50% of 100 B\r\x1b[K"
