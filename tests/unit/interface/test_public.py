import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import thinmesh

HEAVY = set(
    """
    duckdb pyarrow pygit2 fastapi starlette uvicorn pyiceberg httpx pydantic sqlalchemy rich structlog
    cryptography jwt pandas polars numpy re2 ruamel yaml prometheus_client
    """.split()
)


def loaded_by(*arguments: str) -> set[str]:
    code = "import sys, runpy\nsys.argv = sys.argv[1:]\n" + arguments[0]
    code += (
        "\nimport json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments[1:]], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_public_names_are_these():
    assert thinmesh.__all__ == [
        "Conflict",
        "Internal",
        "Locked",
        "Malformed",
        "Mesh",
        "MeshError",
        "NotAllowed",
        "NotFound",
        "NotSignedIn",
        "Refused",
        "Result",
        "Retired",
        "Temporary",
        "TooLarge",
        "TooManyRequests",
        "Unsupported",
        "__version__",
        "connect",
    ]


def test_every_public_name_is_there_and_no_other():
    for name in thinmesh.__all__:
        assert getattr(thinmesh, name) is not None
    with pytest.raises(AttributeError, match="'nothing'"):
        thinmesh.nothing  # noqa: B018


def test_errors_mirror_the_codes_under_one_base():
    from thinmesh.kernel import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MeshError)]
    assert {kind.__name__ for kind in kinds} <= set(thinmesh.__all__)


def test_the_version_is_the_distribution_s():
    assert thinmesh.__version__ == version("thinmesh")


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import thinmesh")
    assert not loaded & (HEAVY | {"click"})


def test_connecting_and_errors_load_nothing_heavy():
    loaded = loaded_by("import thinmesh; thinmesh.connect('http://127.0.0.1:1', token='t'); thinmesh.MeshError")
    assert not loaded & (HEAVY | {"click"})


@pytest.mark.parametrize("arguments", [["--help"], ["query", "--help"], ["up", "--help"], ["version"]])
def test_help_loads_nothing_heavy(arguments):
    loaded = loaded_by("from thinmesh.interface.cli.app import run; assert run(sys.argv) == 0", *arguments)
    assert not loaded & HEAVY


def test_the_version_option_does_not_even_load_click():
    loaded = loaded_by(
        "sys.argv = ['thinmesh', '--version']; from thinmesh.interface.cli import main; main()",
    )
    assert not loaded & (HEAVY | {"click"})
