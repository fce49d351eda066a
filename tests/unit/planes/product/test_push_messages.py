from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.errors import Conflict, Example, Refused, Violation
from thinmesh.planes.product.push_messages import lines_of, lines_of_error, printable


def test_names_file_line_field_and_column():
    found = Violation(
        "is not a number", "type", "aviation/weather/weather.csv", "weather", "temp", 1, (Example(17, "abc", 6),)
    )
    assert lines_of([found]) == ['refused: aviation/weather/weather.csv:17:6 temp: "abc" is not a number']


def test_a_value_that_the_message_names_already_is_not_named_twice():
    found = Violation('"abc" is not a number', "type", "d/p/t.csv", "t", "x", 1, (Example(2, "abc", 1),))
    assert lines_of([found]) == ['refused: d/p/t.csv:2:1 x: "abc" is not a number']


def test_each_line_has_its_own_value():
    long = "1," * 100
    examples = (Example(3, "1"), Example(4, long), Example(5, "1,2\n3"))
    text = "does not have as many fields as the header (2)"
    assert lines_of([Violation(f'"1" {text}', "ragged", "d/p/t.csv", "t", None, 3, examples)]) == [
        f'refused: d/p/t.csv:3: "1" {text}',
        f'refused: d/p/t.csv:4: "{long[:60]}…" {text}',
        f'refused: d/p/t.csv:5: "1,2\\n3" {text}',
    ]


def test_a_long_value_is_shown_once():
    value = "x" * 100
    found = Violation(f'"{value[:60]}…" is not a number', "type", "f.csv", "t", "n", 1, (Example(2, value, 1),))
    assert lines_of([found]) == [f'refused: f.csv:2:1 n: "{value[:60]}…" is not a number']


def test_tells_how_many_more_there_are():
    examples = tuple(Example(line, "x", 1) for line in range(2, 12))
    lines = lines_of([Violation("is not a number", "type", "d/p/t.csv", "t", "n", 5000, examples)])
    assert len(lines) == 11
    assert lines[-1] == "refused: d/p/t.csv n: … and 4990 more: is not a number"


def test_is_in_the_order_of_the_files():
    def at(file, line):
        return Violation("m", "r", file, examples=(Example(line, None, 1),))

    faults = [at("b", 1), at("a", 10), at("a", 2), Violation("whole", "r", "a")]
    assert lines_of(faults) == ["refused: a: whole", "refused: a:2:1: m", "refused: a:10:1: m", "refused: b:1:1: m"]
    assert lines_of(reversed(faults)) == lines_of(faults)


def test_bounds_what_it_says():
    lines = lines_of([Violation("x" * 10_000, "r", f"f{number}") for number in range(1000)])
    assert len(lines) == 201
    assert lines[-1] == "refused: and 800 more lines like these"
    assert max(map(len, lines)) == 500


def test_says_what_to_do():
    assert lines_of_error(Conflict("main has moved.", help="Run git pull.")) == [
        "refused: main has moved.",
        "help: Run git pull.",
    ]
    found = Refused("Two faults.", help="Mend them.", violations=[Violation("m", "r", "f")])
    assert lines_of_error(found) == ["refused: f: m", "help: Mend them."]


@given(st.text())
def test_what_is_shown_is_one_line_that_no_terminal_obeys(text):
    assert printable(text).isprintable() or all(c.isprintable() or c.isspace() for c in printable(text))
    assert not set(printable(text)) & set("\n\r\x1b\x9b\u2028\u2029\u202e")
    for line in lines_of([Violation(text, "r", text, text, text, 1, (Example(1, text, 1),))]):
        assert not set(line) & set("\n\r\x1b\x9b\u2028\u202e")


def test_keeps_letters_of_all_scripts():
    assert printable("Zürich 東京 ñ") == "Zürich 東京 ñ"
    assert printable("a\x1b[0m\u202eb\udcff") == "a\\x1b[0m\\u202eb\\xff"
