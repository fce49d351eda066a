"""Consumer SQL cannot write, reach the network or files, read other tables, or learn where anything lies."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.adapters.duckdb.query.sandbox import landlock_abi
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.policy import Principal
from thinmesh.planes.query.model import ReadableTable
from thinmesh.planes.query.operations import Queries

from .query_world import Catalog, MemoryLog, write
from .sql_escapes import HARMLESS, lines, refused

SECRET = "the-closed-value"
ANN = Principal("ann")
COLUMNS = (Column("id", "integer", id=1), Column("text", id=2))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def queries(place):
    lake = place / "lake"
    open_file = write(lake, "shop", "orders", COLUMNS, [(1, "a"), (2, "b")])
    closed_file = write(lake, "vault", "secrets", COLUMNS, [(1, SECRET)])
    (place / "secret.csv").write_text(f"id,text\n1,{SECRET}\n")
    os.link(closed_file, place / "closed.parquet")
    os.link(open_file, place / "open.parquet")
    catalog = Catalog(
        [
            ReadableTable("shop", "orders", COLUMNS, "p1", (open_file,)),
            ReadableTable("vault", "secrets", COLUMNS, "p1", (closed_file,)),
        ],
        closed=["vault"],
    )
    with closing(DuckdbEngine(workers=2, memory=256 << 20, lake=lake)) as engine:
        found = Queries(engine, catalog, MemoryLog())
        yield found
        found.close()


@pytest.mark.parametrize(("kind", "sql"), refused())
def test_no_statement_leaves_its_cage(queries, place, kind, sql, record_property):
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    try:
        answer = queries.run(ANN, sql.replace("{place}", str(place))).read().decode()
        fault = f"it ran: {answer[:200]}"
    except MeshError as error:
        fault = _told(error, sql)
    if {path: path.stat().st_mtime_ns for path in place.rglob("*")} != before:
        fault = "it wrote"
    record_property("held", ("SQL escapes", 1, int(not fault)))
    assert not fault, f"{kind}: {fault}"


def _told(error, sql):
    """Say what a refusal should not have told beyond the statement's own words, or nothing."""
    text = error.detail + error.help
    inside = (SECRET, "/lake", "/proc", "/scratch", "Traceback", ".py", ".parquet")
    told = [word for word in inside if word in text and word not in sql]
    if error.status not in (403, 404, 422):
        told.append(f"status {error.status}")
    return ", ".join(told)


@pytest.mark.parametrize("sql", lines(HARMLESS))
def test_what_only_looks_like_an_escape_runs_and_shows_nothing(queries, sql, record_property):
    text = queries.run(ANN, sql).read().decode()
    held = '"rows": [[' in text and SECRET not in text
    record_property("held", ("SQL escapes", 1, int(held)))
    assert held, text[:200]


def test_information_schema_and_show_hide_what_is_closed(queries):
    for sql in (
        "SHOW TABLES",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM mesh.information_schema.columns c JOIN information_schema.schemata s ON true",
        "SELECT (SELECT count(*) FROM information_schema.tables), * FROM shop.orders",
    ):
        text = queries.run(ANN, sql).read().decode()
        assert "orders" in text or '[1,1,"a"]' in text
        assert "vault" not in text


def test_every_wall_that_linux_offers_stands(queries):
    walls = queries._engine.report()["sandbox"]
    assert walls["limits"] == walls["no_new_privileges"] == walls["capabilities"] == walls["seccomp"] == "on"
    if landlock_abi():
        assert walls["landlock"].startswith("on")


ATTEMPTS = """
import ctypes, json, os, signal, socket, subprocess, sys, threading
from pathlib import Path
from thinmesh.adapters.duckdb.query import sandbox
place = Path(sys.argv[1])
mine = os.open(place / "mine", os.O_RDONLY)
libc, parent = ctypes.CDLL(None, use_errno=True), os.getppid()
beside = os.pidfd_open(parent)
walls = sandbox.enclose(sandbox.Allowance(1 << 30, 64, (place,), place / "scratch", 1000))
other = place / "other"
assert other.read_text() == "other"
sandbox.fence([mine], place / "scratch")
def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
x86 = os.uname().machine == "x86_64"
word = ctypes.create_string_buffer(64)
attempts = {
    "read": lambda: other.read_text(),
    "write": lambda: (place / "new").write_text("x"),
    "overwrite": lambda: (place / "mine").write_text("x"),
    "append": lambda: os.open(place / "mine", os.O_WRONLY | os.O_APPEND),
    "open again to write": lambda: os.open(f"/proc/self/fd/{mine}", os.O_RDWR),
    "truncate": lambda: os.truncate(place / "mine", 0),
    "remove": lambda: (place / "mine").unlink(),
    "rename": lambda: (place / "mine").rename(place / "scratch" / "mine"),
    "link": lambda: os.link(place / "mine", place / "scratch" / "link"),
    "symlink": lambda: os.symlink("/etc/passwd", place / "symlink"),
    "fifo": lambda: os.mkfifo(place / "scratch" / "fifo"),
    "chmod": lambda: (place / "mine").chmod(0o777),
    "chown": lambda: os.chown(place / "mine", os.getuid(), os.getgid()),
    "touch": lambda: os.utime(place / "mine"),
    "attribute": lambda: os.setxattr(place / "mine", "user.x", b"x"),
    "mkdir": lambda: (place / "folder").mkdir(),
    "list": lambda: os.listdir(place),
    "list home": lambda: os.listdir(Path.home()),
    "passwd": lambda: Path("/etc/passwd").read_text(),
    "chroot": lambda: os.chroot(place),
    "mount": lambda: call(165 if x86 else 40, b"none", bytes(place), b"tmpfs", 0, None),
    "parent": lambda: Path(f"/proc/{parent}/environ").read_text(),
    "parent's memory": lambda: Path(f"/proc/{parent}/mem").read_bytes(),
    "parent's files": lambda: os.listdir(f"/proc/{parent}/fd"),
    "ptrace": lambda: call(101 if x86 else 117, 16, parent, 0, 0),
    "peek": lambda: call(310 if x86 else 270, parent, word, 1, word, 1, 0),
    "file of the parent": lambda: call(438, beside, 0, 0),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "pair": lambda: socket.socketpair(),
    "fork": lambda: os.fork(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "exec of a file in memory": lambda: os.execve(os.memfd_create("x"), ["x"], {}),
    "spawn": lambda: subprocess.run(["/bin/true"]),
    "kill": lambda: os.kill(parent, 0),
    "kill everybody": lambda: os.kill(-1, 0),
    "kill a thread": lambda: call(200 if x86 else 130, parent, 0),
    "kill a thread of the parent": lambda: call(234 if x86 else 131, parent, parent, 0),
    "kill by descriptor": lambda: signal.pidfd_send_signal(beside, 0),
    "limits": lambda: __import__("resource").setrlimit(9, (-1, -1)),
    "limits of the parent": lambda: __import__("resource").prlimit(parent, 7),
    "priority of the parent": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
    "affinity of the parent": lambda: os.sched_setaffinity(parent, {0}),
    "namespace": lambda: call(272 if x86 else 97, 0x10000000),
    "user": lambda: os.setuid(0) if os.getuid() else (_ for _ in ()).throw(OSError),
    "io_uring": lambda: call(425, 1, word),
    "bpf": lambda: call(321 if x86 else 280, 0, word, 64),
    "key": lambda: call(248 if x86 else 217, b"user", b"x", b"x", 1, -4),
    "shared memory": lambda: call(29 if x86 else 194, 0, 4096, 0o1600),
    "big": lambda: (place / "scratch" / "big").write_bytes(b"x" * 2000),
    "memory": lambda: bytearray(3 << 30),
}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
done = []
def try_all(where):
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, ValueError, MemoryError):
            continue
        done.append(f"{where}: {name}")
try_all("first thread")
thread = threading.Thread(target=try_all, args=("later thread",)); thread.start(); thread.join()
(place / "scratch" / "small").write_text("x")
assert os.read(os.open(f"/proc/self/fd/{mine}", os.O_RDONLY), 10) == b"mine"
signal.pthread_kill(threading.get_ident(), 0)
print(json.dumps({"tried": 2 * len(attempts), "done": done, "walls": walls}))
"""


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_code_in_a_worker_could_do_nothing_either(tmp_path, record_property):
    for name in ("mine", "other"):
        (tmp_path / name).write_text(name)
    (tmp_path / "scratch").mkdir()
    ended = subprocess.run([sys.executable, "-c", ATTEMPTS, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    record_property("held", ("sandbox walls", told["tried"], told["tried"] - len(told["done"])))
    assert told["done"] == []
    assert (tmp_path / "mine").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "other", "scratch"}


def _fallen(walls):
    return {wall for wall, state in walls.items() if not state.startswith("on")}


OLD_KERNEL = """
import ctypes, errno, json, os, struct, sys
from contextlib import closing
from pathlib import Path
from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.adapters.duckdb.query import sandbox
from thinmesh.kernel.errors import MeshError
from thinmesh.planes.query.backend import Job
from thinmesh.planes.query.model import Binding
libc, x86 = ctypes.CDLL(None, use_errno=True), os.uname().machine == "x86_64"
missing = {  # syscall, its first argument where that decides, the errno of a kernel that has no such wall
    "landlock": (444, None, errno.ENOSYS),
    "namespaces": (272 if x86 else 97, None, errno.EPERM),
    "seccomp": (157 if x86 else 167, 22, errno.EINVAL),
}
step = lambda code, value, yes=0, no=0: struct.pack("=HBBI", code, yes, no, value)
program = b""
for name in sys.argv[2:]:
    number, first, error = missing[name]
    checks = [step(0x20, 16), step(0x15, first, 0, 1)] if first is not None else []
    program += step(0x20, 0) + step(0x15, number, 0, len(checks) + 1) + b"".join(checks) + step(6, 0x50000 | error)
program += step(6, 0x7FFF0000)
buffer = ctypes.create_string_buffer(program, len(program))
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)), 0, 0) == 0
def ask(engine, sql):
    run = engine.submit(Job("ann", sql, "json", None, 30, lambda _: Binding()))
    try:
        run.open()
        return b"".join(run.chunks()).decode()
    except MeshError as error:
        return str(error.status)
    finally:
        run.close()
with closing(DuckdbEngine(workers=2, memory=256 << 20, lake=Path(sys.argv[1]))) as engine:
    walls = engine.report()["sandbox"]
    asked = [ask(engine, sql) for sql in json.load(sys.stdin)]
child = os.fork()
if not child:
    parent = os.getppid()
    sandbox.enclose(sandbox.Allowance(1 << 30, 64, ()))
    os._exit(int(libc.syscall(234 if x86 else 131, parent, parent, 0) == 0))
signalled = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"walls": walls, "asked": asked, "signalled": signalled}))
"""


@pytest.mark.parametrize("missing", [["landlock"], ["namespaces"], ["landlock", "namespaces", "seccomp"]])
def test_where_linux_offers_less_the_rest_stands_and_what_is_missing_is_named(queries, tmp_path, missing):
    (tmp_path / "secret.csv").write_text(f"id,text\n1,{SECRET}\n")
    asked = ["SELECT 42", f"SELECT * FROM read_csv('{tmp_path}/secret.csv')", f"COPY (SELECT 1) TO '{tmp_path}/x.csv'"]
    ended = subprocess.run(
        [sys.executable, "-c", OLD_KERNEL, str(tmp_path), *missing],
        input=json.dumps(asked), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    here = queries._engine.report()["sandbox"]
    assert _fallen(told["walls"]) == _fallen(here) | {*missing}
    assert told["asked"] == [",[42]\n", "422", "422"]
    if "seccomp" not in missing:
        assert not told["signalled"], "a thread of the parent could be signalled"
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


UNFENCED = """
import ctypes, os, sys
from thinmesh.adapters.duckdb.query import sandbox
from thinmesh.adapters.duckdb.query.session import Session
walls = sandbox.enclose(sandbox.Allowance(1 << 30, 64, ()))
assert walls["landlock"].startswith("on")
session = Session(256 << 20, 1, None, 0, walled=True)
# A kernel puts up 16 layers of Landlock at most: use them up.
while sandbox.fence([], None): pass
try:
    session.bind({"tables": [], "visible": None, "answer": None})
except RuntimeError as error:
    print(error)
"""


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_nothing_is_bound_that_cannot_be_fenced_in():
    ended = subprocess.run([sys.executable, "-c", UNFENCED], capture_output=True, text=True, timeout=300)
    assert "could not be fenced in" in ended.stdout, ended.stderr


UNSCREENED = """
import json, sys
from pathlib import Path
from thinmesh.adapters.duckdb.query import sandbox
from thinmesh.adapters.duckdb.query.session import Session
place, mine = Path(sys.argv[1]), sys.argv[2]
import duckdb, pyarrow.parquet
sandbox.enclose(sandbox.Allowance(1 << 30, 64, (place / "lake",)))
session = Session(256 << 20, 2, None, 0)
table = {"product": "shop", "table": "orders", "columns": [[1, "id", "BIGINT"]], "files": [mine]}
session.bind({"tables": [table], "visible": None, "answer": None})
for sql in json.load(sys.stdin):
    try:
        print(json.dumps([sql, session.connection.execute(sql).fetchall()], default=str))
    except Exception as error:
        print(json.dumps([sql, str(error)[:200]]), file=sys.stderr)
print(session.connection.execute("SELECT count(*) FROM shop.orders").fetchall())
"""


def test_behind_the_screen_the_session_and_the_walls_hold_alone(tmp_path):
    """Were the screen passed, files still could not be reached, nor the limits be moved."""
    mine = write(tmp_path / "lake", "shop", "orders", COLUMNS, [(1, "a")])
    closed = write(tmp_path / "lake", "vault", "secrets", COLUMNS, [(1, SECRET)])
    (tmp_path / "secret.csv").write_text(f"id,text\n1,{SECRET}\n")
    os.link(closed, tmp_path / "closed.parquet")
    os.link(mine, tmp_path / "open.parquet")
    statements = [sql.replace("{place}", str(tmp_path)) for _, sql in refused() if "{place}" in sql or "SET" in sql]
    statements.append(f"SELECT * FROM read_parquet('{closed}')")
    if landlock_abi():
        # DuckDB itself lets COPY overwrite a path it may read.
        statements += [f"COPY (SELECT 1) TO '{mine}'", *(f"COPY (SELECT 1) TO '/proc/self/fd/{n}'" for n in range(9))]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-c", UNSCREENED, str(tmp_path), str(mine)],
        input=json.dumps(statements), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith("[(1,)]"), done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")} == before
    for setting in ("memory_limit", "enable_external_access", "lock_configuration"):
        assert f"SET {setting}" in done.stderr
