"""`/operations/v1`: health, status, metrics, audit, and the care of the home."""

from __future__ import annotations

import shutil
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask

from thinmesh.interface.documents import document, encode
from thinmesh.kernel.errors import NotAllowed
from thinmesh.kernel.scratch import make_folder

from . import schemas
from .auth import Caller, ThePlatform, is_owner
from .replies import PAGE, READ, WRITE, Cursor, Limit, answers, bytes_answer, json_reply
from .statements import in_thread

router = APIRouter(prefix="/operations/v1", tags=["operations"])
BACKUP_HEADER = "Thinmesh-Backup"
_BACKUP = "application/zstd"
_BACKUP_HEADER = {BACKUP_HEADER: "What the backup holds, as JSON."}
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health/live", responses=answers(500, _200=schemas.Health))
async def live() -> Response:
    """Tell that the process answers; no token is needed."""
    return json_reply({"status": "live"})


@router.get("/health/ready", responses=answers(500, 503, _200=schemas.Health))
def ready(platform: ThePlatform) -> Response:
    """Tell that requests can be served; 503 while they cannot. No token is needed."""
    platform.operations.ready()
    return json_reply({"status": "ready"})


@router.get("/status", responses=answers(*READ, _200=schemas.Report))
def status(platform: ThePlatform, caller: Caller) -> Response:
    """Report how the platform is doing."""
    return json_reply(platform.operations.status(caller))


@router.get(
    "/metrics", response_class=PlainTextResponse, responses={200: bytes_answer("Metrics.", _METRICS), **answers(*READ)}
)
def metrics(platform: ThePlatform, caller: Caller) -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(platform.operations.metrics(caller), media_type=_METRICS)


@router.get("/audit", responses=answers(*READ, _200=schemas.Records))
def audit(platform: ThePlatform, caller: Caller, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """List what was done by whom, the newest first; for administrators."""
    return json_reply(platform.operations.audit(caller, limit=limit, cursor=cursor))


@router.get("/catalogs", responses=answers(*READ, _200=schemas.Deliveries))
def catalogs(
    platform: ThePlatform,
    caller: Caller,
    product: Annotated[str | None, Query(max_length=100, description="Of one product.")] = None,
    catalog: Annotated[str | None, Query(max_length=100, description="Of one catalog.")] = None,
    state: Annotated[str | None, Query(max_length=100, description="`done`, `pending` or `failed`.")] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Response:
    """List how far each catalog outside the mesh has come with each product, and how the catalogs stand."""
    return json_reply(platform.catalogs.status(caller, product, catalog, state, limit, cursor))


@router.post("/catalogs/retry", responses=answers(*WRITE, _200=schemas.Retried))
def retry_catalogs(
    platform: ThePlatform,
    caller: Caller,
    product: Annotated[str | None, Query(max_length=100, description="One product; left out: all.")] = None,
) -> Response:
    """Send again at once what failed or waits, and ask every catalog again; gives what is not done yet.

    For administrators.
    """
    return json_reply(platform.catalogs.retry(caller, product))


@router.get("/doctor", responses=answers(*READ, _200=schemas.Diagnosis))
def doctor(
    platform: ThePlatform,
    caller: Caller,
    deep: Annotated[bool, Query(description="Read every object and data file.")] = False,
) -> Response:
    """Hold the home against every invariant, and name each broken one; for administrators."""
    return json_reply(platform.operations.doctor(caller, deep))


@router.post("/rebuild", responses=answers(*WRITE, _200=schemas.Rebuilt))
def rebuild(
    platform: ThePlatform,
    caller: Caller,
    projection: Annotated[str | None, Query(max_length=100, description="One projection; left out: all.")] = None,
) -> Response:
    """Delete projections and build them again from the sources of truth; for administrators."""
    return json_reply(platform.operations.rebuild(caller, projection))


@router.post(
    "/backups",
    responses={
        **answers(*WRITE),
        200: bytes_answer("The backup: a tar in Zstandard.", _BACKUP, headers=_BACKUP_HEADER),
    },
)
async def backup(
    request: Request,
    platform: ThePlatform,
    caller: Caller,
    with_keys: Annotated[bool, Query(description="With the signing key.")] = False,
    file: Annotated[str, Query(max_length=4096, description="Where it will be kept, for the audit.")] = "",
) -> Response:
    """Make a backup while everything goes on, and give it; over the home's own socket only.

    It holds the data of closed products, which administrators do not read.
    """
    if not is_owner(request):
        raise NotAllowed(
            "A backup holds the data of closed products, and is made on the home's own machine only.",
            help="Run `thinmesh --home DIR backup FILE` there, as the user who owns the home.",
        )
    folder = await in_thread(lambda: make_folder(platform.home / "run", "backup-"))
    remove = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    try:
        made = await in_thread(lambda: platform.operations.backup(caller, folder / "backup", with_keys, asked_for=file))
    except BaseException:
        await remove()
        raise
    facts = {BACKUP_HEADER: encode(document(made)).decode("ascii", "backslashreplace")}
    return FileResponse(folder / "backup", media_type=_BACKUP, headers=facts, background=remove)
