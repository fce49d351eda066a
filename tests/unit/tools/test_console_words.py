"""The words that the console's editor knows."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_editor_knows_the_words_of_the_engine_that_is_installed():
    spec = importlib.util.spec_from_file_location("console_words", ROOT / "tools" / "console_words.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    file = ROOT / "src" / "thinmesh" / "interface" / "web" / "static" / "sql-words.js"
    assert file.read_text() == tool.written(), "python tools/console_words.py > that file"
