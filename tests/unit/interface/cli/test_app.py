import json

import click
import pytest

from thinmesh.interface.cli.app import COMMANDS, app, run

CONTEXT = click.Context(app, info_name="thinmesh")


def all_commands(group=app, context=CONTEXT):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, context)
        else:
            yield command


@pytest.mark.parametrize("name", sorted(set(app.list_commands(CONTEXT))))
def test_the_listed_help_is_the_command_s_own(name):
    command = app.get_command(CONTEXT, name)
    assert (command.help or "").strip().splitlines()[0] == COMMANDS[name][1]
    assert command.name == name


def test_every_command_takes_json():
    without = {command.name for command in all_commands() if not any("--json" in each.opts for each in command.params)}
    assert without == {"git-credential"}


def test_every_option_is_explained():
    silent = [
        (command.name, each.name)
        for command in all_commands()
        for each in command.params
        if isinstance(each, click.Option) and not each.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lst"], "Did you mean list?"),
        (["list", "--domian", "x"], "Did you mean '--domain'"),
        (["team", "creat"], "creat"),
        (["query"], "Give one statement"),
        (["publish", "weather"], "FILE"),
        (["check", "weather"], "--contract"),
        (["token", "new", "a", "b"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_says_what_is_right(arguments, words, capsys):
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert "help: " in shown.err
    assert shown.out == ""


def test_with_json_a_wrong_command_line_is_a_problem_document(capsys):
    assert run(["query", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == "usage"
    assert set(found) == {"type", "title", "status", "detail", "code", "retry", "help", "violations"}


@pytest.mark.parametrize("group", [[], ["team"], ["token"], ["user"]])
def test_a_group_alone_prints_its_help_in_lines(group, capsys):
    assert run(group) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Usage: ")
    assert "\nCommands:\n" in shown.err
    assert shown.out == ""
    assert run([*group, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "usage"


def test_shared_options_may_stand_after_a_group(capsys, tmp_path):
    assert run(["team", "--json", "--home", str(tmp_path), "list"]) == 4
    assert json.loads(capsys.readouterr().out)["code"] == "not_found"


@pytest.mark.parametrize("option", ["--home", "--as"])
def test_what_is_for_a_home_contradicts_url(option, capsys):
    for arguments in (["list", option, "x", "--url", "http://x"], [option, "x", "list", "--url", "http://x"]):
        assert run([*arguments, "--json"]) == 2
        found = json.loads(capsys.readouterr().out)
        assert found["code"] == "usage"
        assert option in found["detail"]
