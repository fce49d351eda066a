"""The head of a push: commands and what the client can do, read from pkt-lines as they come (gitprotocol-pack(5)).

line     = length of 4 hexadecimal digits, its own 4 bytes included; `0000` ends the head, and the pack follows
shallow  = "shallow" SP commit            a commit at which the client's history ends
command  = old SP new SP ref              the first one with NUL and capabilities after it
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from thinmesh.planes.product.push_messages import printable

from .client import Unfit

# Commands and shallow lines. One push goes to one ref; a client may still name several, and is told.
MOST_LINES = 1_000
_MOST_BYTES = 1024 * 1024
# gitprotocol-common(5), pkt-line.
_LONGEST_LINE = 65_520
_DIGITS = re.compile(rb"[0-9a-fA-F]{4}")
_ID = re.compile(rb"[0-9a-fA-F]{40}")
_COMMAND = re.compile(rb"([0-9a-fA-F]{40}) ([0-9a-fA-F]{40}) ([^\0]*)", re.DOTALL)
_ONE_REF = "One push goes to one ref; push what you have with: git push origin HEAD:refs/for/main"


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked of one ref: two ids of 40 lower-case digits, and the bytes of its name."""

    old: str
    new: str
    ref: bytes


@dataclass(slots=True)
class Head:
    """Reads one head; `offered` are the names of the capabilities that a client may ask for.

    `done` once it is whole. What it holds is complete only then, except that `capabilities` are there after the first
    command.
    """

    offered: Collection[bytes]
    commands: list[Command] = field(default_factory=list)
    capabilities: frozenset[bytes] = frozenset()
    shallow: bool = False
    done: bool = False
    _held: bytes = b""
    _lines: int = 0
    _bytes: int = 0

    def feed(self, data: bytes) -> bytes:
        """Take what came; give what of it belongs to the pack. Raises Unfit where it is no head of a push."""
        self._held += data
        while not self.done and (line := self._line()) is not None:
            self._take(line)
        if not self.done:
            return b""
        rest, self._held = self._held, b""
        return rest

    def _line(self) -> bytes | None:
        """Cut the next line off, without its length and line end; nothing where it is not whole yet."""
        digits = self._held[:4]
        if len(digits) < 4:
            return None
        length = int(digits, 16) if _DIGITS.fullmatch(digits) else -1
        if length == 0:
            self._held, self.done = self._held[4:], True
            return None
        if not 4 < length <= _LONGEST_LINE:
            raise Unfit("A line of the push has no length that git knows.")
        self._count(length)
        if len(self._held) < length:
            return None
        line, self._held = self._held[4:length], self._held[length:]
        self._lines += 1
        self._bytes += length
        return line.removesuffix(b"\n")

    def _count(self, length: int) -> None:
        if self._lines >= MOST_LINES or self._bytes + length > _MOST_BYTES:
            raise Unfit(_ONE_REF)

    def _take(self, line: bytes) -> None:
        if line.startswith(b"shallow ") and _ID.fullmatch(line[8:]):
            self.shallow = True
            return
        text, nul, asked = line.partition(b"\0")
        if nul:
            self._ask(asked)
        found = _COMMAND.fullmatch(text)
        if not found:
            raise Unfit("A line of the push is no command of the form: OLD NEW REF")
        old, new, ref = found.groups()
        self.commands.append(Command(old.decode().lower(), new.decode().lower(), ref))

    def _ask(self, asked: bytes) -> None:
        """Take the capabilities. One that was not offered may change the form of what follows."""
        if self.commands:
            raise Unfit("Capabilities come with the first command alone.")
        self.capabilities = frozenset(asked.split())
        for one in self.capabilities:
            name, _, value = one.partition(b"=")
            if name not in self.offered or (name == b"object-format" and value != b"sha1"):
                text = printable(one[:80].decode("utf-8", "surrogateescape"))
                raise Unfit(f"The push asks for {text}, which is not offered.")

    @property
    def deletes(self) -> bool:
        """Tell whether every command deletes a ref: no pack follows then."""
        return all(command.new == "0" * 40 for command in self.commands)
