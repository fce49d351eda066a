"""Files that come as multipart parts, written to disk as they arrive: memory stays flat whatever their size.

Nothing is read from a caller who may not publish, no upload takes the last of the disk, and a few at a time are
checked, in turn.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from anyio import CancelScope
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import Malformed, Temporary, TooLarge, TooManyRequests, Unsupported
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.progress import Progress
from thinmesh.kernel.scratch import make_folder
from thinmesh.planes.product.model import Upload

from .body import require_plain
from .statements import in_thread

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_FILES = 1000
_MAX_NAME = 200
# What is typed beside the files of a form, all of it; each text counts with what names it.
_MAX_TEXT = 4 << 20
# Parts of any kind, each of which costs some time to read; the form of wide tables has some thousands.
_MAX_PARTS = 10_000
# What is passed over of a request whose files nobody takes, to find what was typed behind them.
_PASSED_OVER = 16 << 20
# What is held in memory before it is written, off the event loop.
_BUFFER = 1 << 20
# The database, the log and what runs need some of the disk to go on: so much, or a part of a small disk, is left alone.
_RESERVE, _RESERVE_PART = 10**9, 20
_HELP = "Send each file as a part of multipart/form-data: curl -F file=@weather.csv …"


@asynccontextmanager
async def uploads(
    request: Request,
    platform: Platform,
    caller: Principal,
    require: Callable[[], None],
    texts: dict[str, str] | None = None,
) -> AsyncIterator[list[Upload]]:
    """Receive the files of a multipart request into a folder of their own, which is gone afterwards.

    `texts` takes the parts that are no files, where such may come: a browser's form has both. `require` raises, before
    anything is read, what keeps the caller from handing files in. Raises Unsupported, Malformed or TooLarge for a
    request that is not what it should be, Temporary on a full disk.
    """
    await run_in_threadpool(require)
    require_plain(request)
    boundary = _boundary(request)
    room = _Room(platform.home / "run", platform.settings.server.max_upload)
    room.take(_announced(request))
    folder = await run_in_threadpool(make_folder, room.folder, "upload-")
    try:
        with turns_of(request).present(caller.user):
            yield await _receive(request, boundary, _Form(folder, texts), room)
    finally:
        with CancelScope(shield=True):
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


async def texts_beside_files(request: Request, most: int) -> dict[str, str]:
    """Read the texts of a multipart request, `most` bytes of them, and let its files go. Raises Malformed, TooLarge."""
    if not 0 < _announced(request) <= _PASSED_OVER:
        raise TooLarge("The request is too large to be read for its texts.")
    texts: dict[str, str] = {}
    try:
        parser = MultipartParser(_boundary(request), _Form(None, texts, most).callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, ClientDisconnect) as error:
        raise Malformed("The multipart body cannot be read.", help=_HELP) from error
    return texts


async def in_turn(request: Request, caller: Principal, work: Callable[[Progress], Any]) -> Any:
    """Run what checks files once it is the caller's turn. A client that hangs up ends it: its progress raises."""
    gone = asyncio.create_task(_gone(request))

    def progress(*_: object) -> None:
        if gone.done():
            raise Temporary("The client hung up before the check had ended.", help="Send it again.")

    def unless_gone() -> Any:
        progress()
        return work(progress)

    try:
        async with turns_of(request).turn(caller.user):
            return await in_thread(unless_gone)
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def turns_of(request: Request) -> Turns:
    """Give the turns that all uploads of this server take."""
    found: Turns = request.app.state.turns
    return found


class Turns:
    """Whose files are checked next: at most `slots` at once, one user after the other, on one event loop.

    The last free slot goes only to who holds none, so that nobody waits for the long checks of one user. At most
    `per_user` uploads of one user are here: on their way, waiting, or under check.
    """

    def __init__(self, slots: int, per_user: int = 32) -> None:
        self._slots = max(slots, 2)
        self._per_user = per_user
        self._here: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextmanager
    def present(self, user: str) -> Iterator[None]:
        """Let one more upload of a user in. Raises TooManyRequests."""
        if self._here[user] >= self._per_user:
            raise TooManyRequests(
                f"{self._per_user} of your uploads are on their way or under check.", help="Wait for some to end."
            )
        self._here[user] += 1
        try:
            yield
        finally:
            _less(self._here, user)

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for the user's turn, and hold it."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(place)
        self._hand_out()
        try:
            await place
            yield
        finally:
            if place.cancelled():
                self._forget(user, place)
            else:
                _less(self._running, user)
            self._hand_out()

    def _hand_out(self) -> None:
        while user := self._next():
            # Who was served goes to the end of the line.
            line = self._waiting.pop(user)
            place = line.popleft()
            if line:
                self._waiting[user] = line
            if not place.cancelled():
                place.set_result(None)
                self._running[user] += 1

    def _next(self) -> str | None:
        free = self._slots - self._running.total()
        return next((user for user in self._waiting if free > 1 or (free == 1 and not self._running[user])), None)

    def _forget(self, user: str, place: asyncio.Future[None]) -> None:
        line = self._waiting.get(user, deque())
        if place in line:
            line.remove(place)
        if not line:
            self._waiting.pop(user, None)


def _less(counts: Counter[str], user: str) -> None:
    counts[user] -= 1
    if not counts[user]:
        del counts[user]


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise Unsupported("The body is not multipart/form-data.", help=_HELP)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Malformed("The multipart body names no boundary.", help=_HELP)
    return boundary


def _announced(request: Request) -> int:
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isascii() and announced.isdigit() else 0


class _Room:
    """What one request may take of the disk that `folder` is on: `limit` bytes, and never the reserve."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit

    def take(self, total: int, more: int | None = None) -> None:
        """Judge a request of `total` bytes of which `more` (all) are still to be written."""
        if total > self._limit:
            raise TooLarge(
                f"The upload is larger than {self._limit} bytes.",
                help="Publish in several steps, compress the files, or raise server.max_upload.",
            )
        disk = shutil.disk_usage(self.folder)
        left = max(disk.free - min(_RESERVE, disk.total // _RESERVE_PART), 0)
        if (total if more is None else more) > left:
            raise Temporary(
                f"The server's disk has {left} bytes left for uploads.",
                help="Ask whoever runs the server to make room; nothing was changed.",
            )


async def _receive(request: Request, boundary: bytes, form: _Form, room: _Room) -> list[Upload]:
    total = 0
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            total += len(chunk)
            room.take(total, form.held + len(chunk))
            parser.write(chunk)
            if form.held >= _BUFFER:
                await run_in_threadpool(form.flush)
        parser.finalize()
        await run_in_threadpool(form.flush)
    except FormParserError as error:
        raise Malformed(f"The multipart body cannot be read: {error}.", help=_HELP) from error
    except ClientDisconnect as error:
        raise Malformed("The upload ended before its end.", help="Send it again; nothing was changed.") from error
    except OSError as error:
        raise Temporary(f"The upload could not be stored: {error.strerror or error}.") from error
    finally:
        form.close()
    if not form.ended:
        raise Malformed("The multipart body ends in the middle of a part.", help=_HELP)
    if not form.uploads and form.texts is None:
        raise Malformed("The request holds no file.", help=_HELP)
    return form.uploads


class _Form:
    """Collects what the parser reports. Callbacks run on the event loop and only buffer; `flush` writes.

    Files go into `folder`, and are passed over without one.
    """

    def __init__(self, folder: Path | None, texts: dict[str, str] | None, most: int = _MAX_TEXT) -> None:
        self._folder = folder
        self.texts = texts
        self._most = most
        self._text: tuple[str, bytearray] | None = None
        self._text_bytes = 0
        self._pending: list[tuple[int, bytes]] = []
        self._files: dict[int, BinaryIO] = {}
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        self.held = 0
        self.ended = False
        self.uploads: list[Upload] = []

    def callbacks(self) -> MultipartCallbacks:
        """Give what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._named,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def flush(self) -> None:
        """Write what is buffered."""
        for number, chunk in self._pending:
            file = self._files.get(number)
            if file is None:
                self.close()
                file = self._files[number] = self.uploads[number].path.open("wb")
            file.write(chunk)
        self._pending.clear()
        self.held = 0

    def close(self) -> None:
        """Close the files written so far."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _begin(self) -> None:
        self._headers = {}
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise TooLarge(f"The request has more than {_MAX_PARTS} parts.", help="Send it in several steps.")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _named(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        name = _file_name(disposition)
        if name is None and self.texts is not None:
            self._typed(len(disposition))
            self._text = (_field_name(disposition), bytearray())
            return
        if self._folder is None:
            return
        if name is None:
            raise Malformed("A part of the request has no file name.", help=_HELP)
        if len(self.uploads) >= _MAX_FILES:
            raise TooLarge(
                f"More than {_MAX_FILES} files came at once.", help="Join them, or publish in several steps."
            )
        self.uploads.append(Upload(name, self._folder / f"{len(self.uploads):04d}"))
        self._pending.append((len(self.uploads) - 1, b""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._text is not None:
            self._typed(end - start)
            self._text[1].extend(data[start:end])
            return
        if self._folder is None:
            return
        self._pending.append((len(self.uploads) - 1, data[start:end]))
        self.held += end - start

    def _typed(self, more: int) -> None:
        """Count what is held in memory. Raises TooLarge."""
        self._text_bytes += more
        if self._text_bytes > self._most:
            raise TooLarge("More was typed than a form takes.", help="Use the command line for long texts.")

    def _part_end(self) -> None:
        if self._text is not None and self.texts is not None:
            name, value = self._text
            self.texts[name] = value.decode("utf-8", "replace")
            self._text = None

    def _end(self) -> None:
        self.ended = True


def _field_name(header: bytes) -> str:
    found = parse_options_header(header)[1].get(b"name", b"")
    return found.decode("utf-8", "replace")


def _file_name(header: bytes) -> str | None:
    """Read the file name of a part (RFC 7578); `filename*` (RFC 5987) wins where a client sends it."""
    found = Message()
    try:
        found["content-disposition"] = header.decode("utf-8", "replace")
        name = found.get_filename()
        (name or "").encode()
    except ValueError as error:
        # An encoding of the name that is none, or does not fit it.
        raise Malformed("A part's file name cannot be read.", help="Send file names in UTF-8.") from error
    if not name:
        return None
    if len(name) > _MAX_NAME or re.search(r"[\x00-\x1f\x7f]", name):
        raise Malformed("A part's file name is longer than 200 characters, or has control characters.", help=_HELP)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Malformed(
            f"The file name {name} leads out of the folder it was sent from.",
            help="Name each part <table>.csv or <table>/<file>.csv, as it lies in the product's folder.",
        )
    return name
