"""The hooks of `data.git`: `pre-receive` and `proc-receive` are copies of this file and ask the server what to do.

Git starts both for every push, so they import next to nothing: `json` and `socket` would take longer than all else.
They decide nothing: without a server that answers, and without the context that it signed for this push, they refuse.
Messages go to stderr, which git hands to the pushing client line by line. The talk with the server goes over a unix
socket: one request, `ASK NUL CONTEXT NUL QUARANTINE NUL UPDATES NUL` (updates as lines `OLD NEW REF`), then lines of
the answer: any number of `say TEXT`, then of `report LINE`, then one `end` or `end ok`. The talk with git is that of
githooks(5), *proc-receive*.
"""

import _socket  # what `socket` wraps; Python's own, and the only fast way to a unix socket
import os
import sys

# The module of that name would take a third of the time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT, SOCKET = "THINMESH_CONTEXT", "THINMESH_HOOKS"
_FLUSH = b"0000"
_CHUNK = 64 * 1024


def ask(what: str, updates: str, quarantine: str = "") -> "tuple[bool, list[str]]":
    """Put a request to the server, pass on what it says, and give whether it agrees, and its reports to git."""
    context, path = os.environ.get(CONTEXT), os.environ.get(SOCKET)
    if not context or not path:
        say("refused: this repository takes pushes over HTTP only, from the address it is cloned from")
        return False, []
    reports: list[str] = []
    try:
        for line in answers(path, "\0".join((what, context, quarantine, updates, ""))):
            word, _, text = line.partition(" ")
            if word == "end":
                return text == "ok", reports
            if word == "report":
                reports.append(text)
            else:
                say(text)
    except OSError:
        pass
    say("refused: the server was interrupted; fetch to see whether main moved, then push again in a moment")
    return False, []


def answers(path: str, request: str) -> "Iterator[str]":
    """Send a request to the server and read the whole lines of its answer. Raises OSError."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
        connection.sendall(request.encode("utf-8", "surrogateescape"))
        connection.shutdown(_socket.SHUT_WR)
        left = b""
        while piece := connection.recv(_CHUNK):
            *lines, left = (left + piece).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
    finally:
        connection.close()


def say(text: str) -> None:
    """Tell the client a line."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def pre_receive() -> int:
    """Give 0 where the server accepts the push as it lies in quarantine."""
    updates = sys.stdin.buffer.read().decode("utf-8", "replace")
    agreed, _ = ask("check", updates, os.environ.get("GIT_QUARANTINE_PATH", ""))
    return 0 if agreed else 1


def read_packets() -> "Iterator[bytes]":
    """Read pkt-lines (gitprotocol-common(5)), without their line ends, up to a flush."""
    while (length := int(sys.stdin.buffer.read(4) or b"0", 16)) >= len(_FLUSH):
        yield sys.stdin.buffer.read(length - 4).rstrip(b"\n")


def write_packets(lines: list[str]) -> None:
    """Write pkt-lines and a flush."""
    for line in lines:
        data = line.encode("utf-8", "replace") + b"\n"
        sys.stdout.buffer.write(b"%04x" % (len(data) + 4) + data)
    sys.stdout.buffer.write(_FLUSH)
    sys.stdout.buffer.flush()


def proc_receive() -> int:
    """Ask the server to land the push, and report to git what came of each ref."""
    list(read_packets())
    write_packets(["version=1"])
    commands = [packet.decode("utf-8", "replace") for packet in read_packets()]
    _, lines = ask("land", "\n".join(commands))
    # Git takes a ref without a report for one that failed, and says so: it is told in our words.
    reported = {line.split(" ", 2)[1] for line in lines}
    refs = [command.split(" ", 2)[-1] for command in commands]
    lines += [f"ng {ref} refused" for ref in refs if ref not in reported]
    write_packets(lines)
    return 0


if __name__ == "__main__":
    sys.exit(proc_receive() if sys.argv[0].endswith("proc-receive") else pre_receive())
