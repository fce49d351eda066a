"""The hooks of `data.git`: `pre-receive` and `proc-receive` are copies of this file and ask the server what to do.

Git starts them, so they use the standard library alone and import little (12 ms). They decide nothing: without a
server that answers, and without the context that it signed for this push, they refuse. Messages go to stderr, which
git hands to the pushing client line by line. The talk with the server is JSON lines over a unix socket: one request,
then any number of {"say": text}, then one {"end": …}. The talk with git is that of githooks(5), *proc-receive*.
"""

import json
import os
import socket
import sys

# Two of these start for every push; the module of that name would take a third of their time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CONTEXT, SOCKET = "THINMESH_CONTEXT", "THINMESH_HOOKS"
_FLUSH = b"0000"


def ask(request: "dict[str, Any]") -> "dict[str, Any]":
    """Put a request to the server, pass on what it says, and give its last word; empty where there is none."""
    context, path = os.environ.get(CONTEXT), os.environ.get(SOCKET)
    if not context or not path:
        say("refused: this repository takes pushes over HTTP only, from the address it is cloned from")
        return {}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            connection.sendall(json.dumps({**request, "context": context}).encode() + b"\n")
            for line in connection.makefile("rb"):
                found: dict[str, Any] = json.loads(line)
                if "end" in found:
                    return dict(found["end"])
                say(found["say"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    say("refused: the server was interrupted; fetch to see whether main moved, then push again in a moment")
    return {}


def say(text: str) -> None:
    """Tell the client a line."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def pre_receive() -> int:
    """Give 0 where the server accepts the push as it lies in quarantine."""
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    updates = [line.split(" ", 2) for line in text.split("\n") if line]
    quarantine = os.environ.get("GIT_QUARANTINE_PATH", "")
    answer = ask({"ask": "check", "updates": updates, "quarantine": quarantine})
    return 0 if answer.get("ok") is True else 1


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
    commands = [packet.decode("utf-8", "replace").split(" ", 2) for packet in read_packets()]
    reports = ask({"ask": "land", "updates": commands}).get("reports", {})
    lines: list[str] = []
    for _, _, ref in commands:
        lines += reports.get(ref, ["ng " + ref + " refused"])
    write_packets(lines)
    return 0


if __name__ == "__main__":
    sys.exit(proc_receive() if sys.argv[0].endswith("proc-receive") else pre_receive())
