"""`thinmesh up`."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from typing import Any

import click

from thinmesh.interface.platform import bootstrap
from thinmesh.interface.sockets import running
from thinmesh.kernel.errors import Malformed, Refused, Temporary

from .door import Door, command

# What threads may take to end once the doors are shut and the home is let go of.
_LEFT_SECONDS = 5


@command("up")
@click.option("--host", metavar="HOST", help="The address to listen on; default: server.host, 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one; default: server.port, 8080.")
@click.option("--workers", type=click.IntRange(1), help="Server processes; this shape runs in one.")
@click.option("--behind-proxy", is_flag=True, help="A proxy with TLS stands before this server.")
def up_command(door: Door, host: str | None, port: int | None, workers: int | None, behind_proxy: bool) -> None:
    """Serve the platform home until stopped."""
    target = door.target()
    if target.home is None:
        raise Malformed(f"{target.url} is a server already; `up` serves a home.", help="Name a home with --home DIR.")
    if (workers or 1) > 1:
        raise Refused(
            "This shape serves from one process: it holds the home, and its queries run in processes of their own.",
            help="Leave --workers out; query.workers sets how many statements run at once.",
        )
    _log_to_stderr()
    try:
        platform = bootstrap().open_home(target.home, mode="serve")
    except Temporary as error:
        raise _held(target.home, error) from error
    try:
        from thinmesh.interface.http.app import create_app
        from thinmesh.interface.http.server import serve

        server = platform.settings.server
        if server.workers > 1 and workers is None:
            _say_that_one_process_serves(server.workers)
        platform.start()
        serve(
            platform,
            create_app(platform, platform.git_bridge),
            host=server.host if host is None else host,
            port=server.port if port is None else port,
            behind_proxy=behind_proxy,
            ready=_ready,
        )
    finally:
        platform.close()
    _leave_what_runs()


def _held(home: object, error: Temporary) -> Temporary:
    note = running(home)  # type: ignore[arg-type]
    if not note:
        return error
    return Temporary(
        f"{home} is served already, by process {note.get('pid')} at {note.get('url')}.",
        help="Use that one, or stop it first.",
    )


def _leave_what_runs() -> None:
    """End the process though a thread runs on: a check can be deep in one step of the engine, where nothing reaches it.

    What the home is made of is closed to it by now, and what it leaves lying the next start takes away.
    """
    until = time.monotonic() + _LEFT_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(until - time.monotonic(), 0))
            if thread.is_alive():
                _log().warning("stopped in the middle of something that nothing could interrupt")
                sys.stdout.flush()
                os._exit(0)


def _say_that_one_process_serves(workers: int) -> None:
    """Say of a setting, which may have stood there for long, what an option is refused for."""
    told = "server.workers does nothing here: one process serves; query.workers sets how many statements run at once"
    _log().warning(told, workers=workers)


def _log() -> Any:
    import structlog

    return structlog.get_logger("thinmesh.up")


def _ready(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)
    if sys.stderr.isatty():
        print(f"serving at {url}; stop with Ctrl-C", file=sys.stderr)


def _log_to_stderr() -> None:
    """Send logs to stderr, those of libraries too: JSON lines, or readable ones on a terminal.

    Never with local variables: they hold tokens.
    """
    import structlog

    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
