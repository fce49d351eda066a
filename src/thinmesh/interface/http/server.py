"""One process, one app, two doors: a TCP port, and the home's own socket for whoever owns the home."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence

import uvicorn

from thinmesh.interface.platform import Platform
from thinmesh.interface.sockets import bind_socket, note_path, socket_path
from thinmesh.kernel.errors import Refused, Temporary

from .doorstep import App
from .protocol import Connection
from .rates import BehindProxy

# What still runs when a stop is asked for may take this long (INTERFACE: SIGTERM finishes what runs).
_GRACE_SECONDS = 60
# What follows the ledger computes for long; whoever answers a request, or leads a batch, gets the interpreter sooner.
_SWITCH_SECONDS = 0.0005


def serve(
    platform: Platform,
    app: App,
    *,
    host: str,
    port: int,
    behind_proxy: bool = False,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs. `ready` is told the URL once both doors are open.

    Raises Refused for a host that is not loopback without `behind_proxy`, Temporary where the port is taken.
    """
    if not behind_proxy and not _is_loopback(host):
        raise Refused(
            f"{host} can be reached from other machines, and this server speaks plain HTTP.",
            help="Put a proxy with TLS before it and say --behind-proxy, or use --host 127.0.0.1.",
        )
    with _listen(host, port) as tcp, _owned_socket(platform) as unix:
        url = _url(tcp, host)
        _write_note(platform, url)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        config = uvicorn.Config(
            BehindProxy(app) if behind_proxy else app,
            loop="uvloop",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            timeout_keep_alive=30,
        )
        sys.setswitchinterval(_SWITCH_SECONDS)
        # What is there by now stays: no later search for cycles goes through it again.
        gc.freeze()
        _Server(config, unix, lambda: ready(url)).run(sockets=[tcp])


class _Server(uvicorn.Server):
    """Uvicorn on two listeners; a signal ends it in peace, with exit code 0."""

    def __init__(self, config: uvicorn.Config, unix: socket.socket, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._unix = unix
        self._ready = ready

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Open both doors."""
        await super().startup(sockets=list(sockets or ()))
        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_unix_server(self._connection, sock=self._unix))
        self._ready()

    def _connection(self) -> asyncio.Protocol:
        return Connection(config=self.config, server_state=self.server_state, app_state={})

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that stop us; unlike uvicorn, do not die by them afterwards."""
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._stop) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        # A second signal means it: leave what runs.
        self.force_exit = self.should_exit
        self.should_exit = True


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of uvicorn says more than that an answer broke off, which was logged with its cause."""
    return record.msg != "ASGI callable returned without completing response."


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise Temporary(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.",
            help="Choose another port, or --port 0 for a free one.",
        ) from error
    with listener:
        yield listener


@contextlib.contextmanager
def _owned_socket(platform: Platform) -> Iterator[socket.socket]:
    listener = bind_socket(platform.home)
    try:
        with listener:
            yield listener
    finally:
        # Where nothing can be taken away any more, the next server finds that nobody answers there.
        with contextlib.suppress(OSError):
            socket_path(platform.home).unlink(missing_ok=True)
            note_path(platform.home).unlink(missing_ok=True)


def _url(listener: socket.socket, host: str) -> str:
    address, port = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else (host if host == "localhost" else address)
    return f"http://{shown}:{port}"


def _write_note(platform: Platform, url: str) -> None:
    path = note_path(platform.home)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"pid": os.getpid(), "url": url}) + "\n")
    draft.replace(path)
