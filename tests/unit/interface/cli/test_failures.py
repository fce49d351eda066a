import json

import pytest

from thinmesh.interface.cli.failures import naming, report, unexpected, violation_line
from thinmesh.kernel import errors
from thinmesh.kernel.errors import Example, Refused, Violation

BROKEN = Violation(
    "is not a number", "type", file="weather.csv", table="weather", column="temp", count=5,
    examples=(Example(17, "abc", 6), Example(18, "\x1b[31m"), Example(19, "d"), Example(20, "e")),
)  # fmt: skip


def test_people_get_lines_on_stderr(capsys):
    assert report(Refused("2 files are wrong.", violations=[BROKEN]), as_json=False) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "error: 2 files are wrong.",
        '  weather.csv: temp: is not a number (5 times) — line 17 "abc", line 18 "\\x1b[31m", line 19 "d", …',
        "help: Correct what is listed and send it again; nothing was changed.",
    ]


def test_lines_of_a_message_stay_lines_and_all_else_is_escaped(capsys):
    report(Refused('Column "nope" not found!\nCandidates: "a"\x1b[2J'), as_json=False)
    assert capsys.readouterr().err.splitlines()[:2] == [
        'error: Column "nope" not found!',
        '  Candidates: "a"\\x1b[2J',
    ]


def test_what_the_first_line_says_is_not_said_again(capsys):
    report(Refused("purpose: is empty.", violations=[Violation("is empty", "text", column="purpose")]), as_json=False)
    assert capsys.readouterr().err.count("is empty") == 1


def test_a_document_is_named_as_its_author_named_it_with_line_and_column(capsys):
    fault = Violation("is missing", "missing", file="product.json", column="name", examples=(Example(1, None, 23),))
    other = Violation("is wrong", "type", file="t.csv", examples=(Example(7, "x", 2),))
    with pytest.raises(Refused) as refused, naming("bad.json", ("product.json",)):
        raise Refused("product.json:1:23 name: is missing", violations=[fault, other])
    report(refused.value, as_json=False)
    assert capsys.readouterr().err.splitlines()[:3] == [
        "error: bad.json:1:23 name: is missing",
        "  bad.json: name: is missing — line 1, column 23",
        '  t.csv: is wrong — line 7 "x"',
    ]


def test_programs_get_the_problem_document_on_stdout(capsys):
    report(Refused("Wrong.", violations=[BROKEN]), as_json=True)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out) == Refused("Wrong.", violations=[BROKEN]).problem()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Malformed", 1), ("NotSignedIn", 3), ("NotAllowed", 3), ("NotFound", 4), ("Conflict", 1), ("Retired", 4),
        ("TooLarge", 1), ("Unsupported", 1), ("Refused", 1), ("Locked", 5), ("TooManyRequests", 5), ("Temporary", 5),
        ("Internal", 70),
    ],
)  # fmt: skip
def test_every_error_has_the_exit_code_of_its_status(name, code, capsys):
    assert report(getattr(errors, name)("x"), as_json=False) == code


def test_what_we_did_not_expect_is_70_without_a_traceback(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert unexpected(ZeroDivisionError("secret words"), as_json=False) == 70
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert "secret words" not in shown.err
    [log] = tmp_path.iterdir()
    assert str(log) in shown.err
    assert "secret words" in log.read_text()


def test_a_violation_without_a_place_is_only_its_message():
    assert violation_line(Violation("holds no rows", "rows")) == "holds no rows"
