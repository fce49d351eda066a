from pathlib import Path

import pytest

from thinmesh.interface.reference import references

FOLDER = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.parametrize("name", ["cli.md", "http.md", "settings.md"])
def test_the_committed_reference_is_the_generated_one(name):
    assert (FOLDER / name).read_text() == references()[name], "run: make docs"
