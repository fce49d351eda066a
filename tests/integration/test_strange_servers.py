"""What the command line makes of a server that is none of ours, or that lies: a page to sign in on, a redirect, texts
that a terminal would obey."""

import contextlib
import http.server
import io
import json
import threading

import pytest

from thinmesh.interface.cli.app import run

TOKEN = "a.secret.token"
# Sets the window's title, clears the screen, turns the writing round, moves to the line's beginning.
OBEYED = "\x1b]0;title\x07\x1b[2J\u202e\x9b31m\r"
COMMANDS = (
    ("whoami",),
    ("list",),
    ("show", "wind"),
    ("show", "wind", "--format", "odcs"),
    ("show", "wind", "--format", "odps"),
    ("history", "wind"),
    ("query", "select 1"),
    ("query", "select 1", "--format", "csv"),
    ("register", "product.json"),
    ("publish", "wind", "wind.csv"),
    ("login", "URL", "--token-stdin", "--no-git"),
)
STRANGE = {
    "a page to sign in on": (200, "text/html", b"<html>Sign in, please</html>", {}),
    "a page of no kind": (200, "application/octet-stream", b"<html>Sign in, please</html>", {}),
    "a page in the place of YAML and CSV": (200, "text/plain", b"<html>Sign in, please</html>", {}),
    "nothing": (200, "text/html", b"", {}),
    "a list": (200, "application/problem+json", b"[]", {}),
    "JSON nested without end": (200, "text/json", b"[" * 200_000, {}),
    "no Unicode": (200, "text/json", b'{"user": "\xff"}', {}),
    "a redirect": (302, "text/html", b"", {"Location": "ELSEWHERE/identity/v1/whoami"}),
    "a redirect that keeps the method": (307, "text/html", b"", {"Location": "ELSEWHERE/"}),
    "a redirect to nowhere": (301, "text/html", b"moved", {}),
    "no change": (304, "text/html", b"", {}),
    "a refusal of other types": (400, "application/problem+json", b'{"code": "x", "status": [1], "violations": 5}', {}),
    "a refusal of lists": (422, "application/problem+json", b'{"code": "refused", "violations": [5, {}]}', {}),
    "a refusal of wrong places": (
        422,
        "application/problem+json",
        b'{"code": "refused", "violations": [{"count": "x", "examples": [{"line": "y"}]}]}',
        {},
    ),
}


@contextlib.contextmanager
def served(answer):
    """Serve one answer at every address; gives the URL, and the addresses that were asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, body, headers = answer
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Give a function that runs one command on a server; it gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THINMESH_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    (tmp_path / "product.json").write_text('{"name": "wind", "domain": "aviation", "description": "Wind"}')
    (tmp_path / "wind.csv").write_text("id\n1\n")

    def call(url, *words):
        where = () if words[0] == "login" else ("--url", url)
        code = run([*(url if word == "URL" else word for word in words), *where])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN))
    return call


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_server_of_ours_is_told_and_nothing_of_it_is_taken(called, name, words, record_property):
    status, kind, body, headers = STRANGE[name]
    with served((200, "text/html", b"", {})) as (elsewhere, stolen):
        headers = {header: value.replace("ELSEWHERE", elsewhere) for header, value in headers.items()}
        with served((status, kind, body, headers)) as (url, asked):
            code, out, err = called(url, *words)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert "unexpected" not in err
    assert TOKEN not in err
    assert asked
    assert stolen == []
    record_property("held", ("strange servers", 1, 1))


def test_a_page_that_calls_itself_json_is_no_answer_of_a_statement(called):
    with served((200, "application/json", b"<html>Sign in, please</html>", {})) as (url, _):
        code, out, err = called(url, "query", "select 1")
    assert (code, out) == (1, "")
    assert "not as thinmesh does" in err


def test_a_redirect_names_where_it_leads(called):
    with served((308, "text/html", b"", {"Location": "https://mesh.example.org/\x1b[2J"})) as (url, _):
        code, _, err = called(url, "whoami")
    assert code == 1
    assert "leads to https://mesh.example.org/" in err
    assert "\x1b" not in err


def test_an_answer_of_another_kind_becomes_no_file(called, tmp_path):
    with served((200, "text/html", b"<html>Sign in, please</html>", {})) as (url, _):
        code, _, err = called(url, "query", "select 1", "-o", "answer.csv")
    assert code == 1
    assert "Sign in, please" in err
    assert not (tmp_path / "answer.csv").exists()


NO_URLS = (
    "http://mesh:808O",
    "http://mesh:99999",
    "http://mesh:-1",
    "http://mesh:0",
    "http://[::1",
    "http://my mesh",
    "http://me\u2028sh",
    "http://mesh..org",
    "http://" + "m" * 300,
    "http://mesh/übersicht",
    "http:///mesh",
    "mesh.example.org",
    "file:///etc/passwd",
)


@pytest.mark.parametrize("words", [("whoami",), ("login", "URL", "--token-stdin", "--no-git")], ids=" ".join)
@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_is_told(called, url, words):
    code, out, err = called(url, *words)
    assert (code, out) == (1, "")
    assert "is not the URL of a server" in err


def test_git_is_told_nothing_of_a_server_with_such_a_name(called, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("protocol=https\nhost=mesh:99999\n"))
    code = run(["git-credential", "get"])
    assert code == 0


@pytest.mark.parametrize("token", [f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", f"{TOKEN}\r\nHost: x", "tökén"])
def test_what_is_no_token_is_not_sent_and_shown_nowhere(called, token, monkeypatch, tmp_path):
    monkeypatch.setenv("THINMESH_TOKEN", token)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with served((200, "application/json", b"{}", {})) as (url, asked):
        code, out, err = called(url, "whoami")
    assert code == 3
    assert asked == []
    assert token.split()[0] not in out + err
    assert list(tmp_path.glob("thinmesh-error*")) == []


PERSON = {"user": OBEYED, "teams": [OBEYED], "admin": False}
PAGE = {"items": [], "next": OBEYED}
MADE = {"id": OBEYED, "user": OBEYED, "scope": OBEYED, "expires": OBEYED, "token": OBEYED, "shortened": True}
REFUSAL = {"code": OBEYED, "detail": OBEYED, "help": OBEYED, "violations": [{"message": OBEYED, "file": OBEYED}]}
LYING = {
    "who one is": (("whoami",), 200, PERSON),
    "who signed in": (("login", "URL", "--token-stdin", "--no-git"), 200, PERSON),
    "a token": (("token", "new"), 200, MADE),
    "the next page": (
        ("user", "list"),
        200,
        {"items": [{"name": OBEYED, "teams": [], "admin": True}], "next": OBEYED},
    ),
    "a publication": (
        ("publish", "wind", "wind.csv"),
        200,
        {"product": OBEYED, "publication": OBEYED, "changed": False, "tables": {}, "conditions": []},
    ),
    "an empty list": (("list",), 200, PAGE),
    "a refusal": (("whoami",), 422, REFUSAL),
}


@pytest.mark.parametrize("name", LYING)
def test_no_text_of_a_server_is_obeyed_by_a_terminal(called, name):
    words, status, document = LYING[name]
    with served((status, "application/json", json.dumps(document).encode(), {})) as (url, _):
        _, out, err = called(url, *words)
    assert [mark for mark in OBEYED if not mark.isprintable() and mark in out + err] == []
    assert out + err
