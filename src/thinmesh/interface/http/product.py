"""`/product/v1`: register, describe, publish, find."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import Malformed, Unsupported
from thinmesh.kernel.policy import Principal
from thinmesh.planes.product.model import ContractDocument, Sought

from . import schemas
from .auth import Caller, ThePlatform
from .body import JSON_HELP, media_type_of
from .descriptor import descriptor_schema
from .idempotency import KEYED, KEYED_UPLOAD, KeyedRoute, digest_of, once
from .replies import (
    PAGE,
    READ,
    WRITE,
    Cursor,
    IfMatch,
    Limit,
    answers,
    bytes_answer,
    etag_header,
    json_reply,
    version_of,
)
from .statements import in_thread
from .uploads import in_turn, uploads

router = APIRouter(prefix="/product/v1", tags=["product"], route_class=KeyedRoute)

DESCRIPTOR_TYPES = ("application/json", "application/yaml", "application/x-yaml", "text/yaml", "text/plain")
# These write their body to disk as it arrives; every other one comes in one small piece.
UPLOADS = re.compile(r"/product/v1/products/[^/]+/(publications|checks)")
_DCAT = "application/ld+json"
_PARTS_HELP = "Send one part `product`, and one part `contract` where there is a contract."
Filter = Annotated[str | None, Query(max_length=100)]
_ETAG = {"ETag": {"description": "The version of the descriptor, for If-Match.", "schema": {"type": "string"}}}
# A descriptor or ODPS product, and the ODCS contract that comes with it.
_PARTS = ("product", "contract")
_DESCRIPTOR_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A descriptor (product.json), a full ODCS or ODPS document, or a YAML stream of an ODPS product"
        " and its ODCS contract; as two parts, `product` and `contract`, both are kept byte for byte.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Descriptor"}},
            "application/yaml": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {name: {"type": "string", "format": "binary"} for name in _PARTS},
                    "required": ["product"],
                }
            },
        },
    }
}
_FILES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                    "required": ["file"],
                }
            }
        },
    }
}


async def _documents(request: Request) -> tuple[bytes, bytes | None]:
    """Read a descriptor, and the contract that was sent beside it as a part of its own."""
    kind = media_type_of(request)
    if kind == "multipart/form-data":
        return await _parts(request)
    if kind and kind not in DESCRIPTOR_TYPES and not kind.endswith(("+json", "+yaml")):
        raise Unsupported(f"A descriptor cannot be {kind[:80]}.", help=f"{JSON_HELP}, or application/yaml.")
    body = await request.body()
    if not body.strip():
        raise Malformed("The body is empty.", help="Send a descriptor: name, domain and description are enough.")
    return body, None


async def _parts(request: Request) -> tuple[bytes, bytes | None]:
    most = len(await request.body())
    try:
        form = await request.form(max_files=len(_PARTS), max_fields=len(_PARTS), max_part_size=most)
    except Exception as error:  # whatever the parser makes of a broken body
        raise Malformed("The parts of the body cannot be read.", help=_PARTS_HELP) from error
    found = {
        name: await part.read() if isinstance(part, UploadFile) else part.encode() for name, part in form.multi_items()
    }
    if not found.get("product", b"").strip() or not found.keys() <= {*_PARTS} or len(form.multi_items()) > len(found):
        raise Malformed("The parts are not those of one product.", help=_PARTS_HELP)
    return found["product"], found.get("contract")


def _described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of a write on a descriptor."""
    return answers(*WRITE) | {status: {"model": schemas.Registered, "headers": _ETAG} for status in statuses}


@router.post(
    "/products",
    dependencies=[KEYED],
    status_code=201,
    responses=_described(200, 201),
    openapi_extra=_DESCRIPTOR_BODY,
)
async def register(request: Request, platform: ThePlatform, caller: Caller, if_match: IfMatch = None) -> Response:
    """Register a product, or change the one of that name. 201: new; 200: changed, or the same as before."""
    (document, contract), version = await _documents(request), version_of(if_match)
    done = await run_in_threadpool(lambda: platform.products.register(caller, document, contract, if_match=version))
    headers = {"Location": f"/product/v1/products/{done.product['name']}", **etag_header(done.etag)}
    return json_reply(done, 201 if done.created else 200, headers)


@router.get("/products", responses=answers(*READ, _200=schemas.Items))
def list_products(
    platform: ThePlatform,
    caller: Caller,
    domain: Filter = None,
    owner: Filter = None,
    tag: Filter = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Response:
    """List the products by name."""
    return json_reply(platform.products.list(caller, domain, owner, tag, limit, cursor))


@router.get(
    "/products/{product}",
    responses={**answers(*READ), 200: {"model": schemas.Shown, "headers": _ETAG}},
)
def show(platform: ThePlatform, caller: Caller, product: str) -> Response:
    """Show a product: descriptor, tables, owner, storage, freshness, quality, lineage.

    The ETag is the descriptor's, for If-Match; the rest of the document changes with every publication.
    """
    found = platform.products.show(caller, product)
    return json_reply(found, headers=etag_header(found.etag))


@router.put(
    "/products/{product}",
    dependencies=[KEYED],
    responses=_described(200, 201),
    openapi_extra=_DESCRIPTOR_BODY,
)
async def change(
    request: Request, platform: ThePlatform, caller: Caller, product: str, if_match: IfMatch = None
) -> Response:
    """Change a product's descriptor; with If-Match only where nobody changed it since."""
    (document, contract), version = await _documents(request), version_of(if_match)
    done = await run_in_threadpool(
        lambda: platform.products.register(caller, document, contract, name=product, if_match=version)
    )
    return json_reply(done, 201 if done.created else 200, etag_header(done.etag))


@router.delete("/products/{product}", dependencies=[KEYED], responses=_described(200))
def retire(
    platform: ThePlatform, caller: Caller, product: str, successor: Filter = None, if_match: IfMatch = None
) -> Response:
    """Retire a product; its name stays taken, and its readers are told of the successor."""
    done = platform.products.retire(caller, product, successor, version_of(if_match))
    return json_reply(done, headers=etag_header(done.etag))


@router.post("/products/{product}/accept", dependencies=[KEYED], responses=_described(200))
def accept(platform: ThePlatform, caller: Caller, product: str, if_match: IfMatch = None) -> Response:
    """Make the inferred tables of a product its contract."""
    done = platform.products.accept(caller, product, version_of(if_match))
    return json_reply(done, headers=etag_header(done.etag))


@router.get("/products/{product}/history", responses=answers(*READ, _200=schemas.Records))
def history(
    platform: ThePlatform, caller: Caller, product: str, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """List what happened to a product, the newest first; of retired ones too."""
    return json_reply(platform.products.history(caller, product, limit, cursor))


@router.get(
    "/products/{product}/contract",
    responses={
        **answers(*READ),
        200: {**bytes_answer("The contract (ODCS).", "application/yaml", "application/json"), "headers": _ETAG},
    },
)
def contract(platform: ThePlatform, caller: Caller, product: str) -> Response:
    """Give the contract as an ODCS document: the author's own bytes where there are any."""
    return _bytes_of(platform.products.contract(caller, product))


@router.get(
    "/products/{product}/odps",
    responses={
        **answers(*READ),
        200: {**bytes_answer("The product (ODPS).", "application/yaml", "application/json"), "headers": _ETAG},
    },
)
def odps(platform: ThePlatform, caller: Caller, product: str) -> Response:
    """Give the product as an ODPS document: the author's own bytes where there are any."""
    return _bytes_of(platform.products.odps(caller, product))


def _bytes_of(found: ContractDocument) -> Response:
    kind = "application/json" if found.content.lstrip()[:1] == b"{" else "application/yaml"
    return Response(found.content, headers=etag_header(found.etag), media_type=kind)


@router.get("/products/{product}/tables/{table}", responses=answers(*READ, _200=schemas.Table))
def table(platform: ThePlatform, caller: Caller, product: str, table: str) -> Response:
    """Show one table of a product."""
    return json_reply(platform.products.table(caller, product, table))


@router.get("/products/{product}/publications", responses=answers(*READ, _200=schemas.Records))
def publications(
    platform: ThePlatform, caller: Caller, product: str, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """List the publications of a product, the newest first."""
    return json_reply(platform.products.publications(caller, product, limit, cursor))


def _publisher(platform: Platform, caller: Principal, product: str) -> Callable[[], None]:
    return partial(platform.products.require_publisher, caller, product)


@router.post(
    "/products/{product}/publications",
    dependencies=[KEYED_UPLOAD],
    status_code=201,
    responses=answers(*WRITE, _200=schemas.Published, _201=schemas.Published),
    openapi_extra=_FILES_BODY,
)
async def publish(
    request: Request,
    platform: ThePlatform,
    caller: Caller,
    product: str,
    mode: Annotated[Literal["replace", "append"], Query(description="Replace the data, or add to it.")] = "replace",
    again: Annotated[bool, Query(description="Append the same content once more.")] = False,
) -> Response:
    """Publish data files, one part each; the part's file name is `<table>.csv` and the like.

    201: published; 200: the same content is there already. All tables appear at once, or none. Checks take turns
    between users; one may take 10 minutes, and hanging up ends it.
    """
    async with uploads(request, platform, caller, _publisher(platform, caller, product)) as files:
        content = await in_thread(lambda: digest_of(files)) if "idempotency-key" in request.headers else b""

        async def act() -> Response:
            done = await in_turn(
                request, caller, lambda told: platform.products.publish(caller, product, files, mode, again, told)
            )
            return json_reply(done, 201 if done.changed else 200)

        return await once(request, content, act)


@router.post(
    "/products/{product}/checks",
    responses=answers(*WRITE, _200=schemas.Checked),
    openapi_extra=_FILES_BODY,
)
async def check(request: Request, platform: ThePlatform, caller: Caller, product: str) -> Response:
    """Check files against a product's contract as a publication would, and change nothing.

    Checks take turns between users; one may take 2 minutes, and hanging up ends it.
    """
    async with uploads(request, platform, caller, _publisher(platform, caller, product)) as files:
        return json_reply(
            await in_turn(request, caller, lambda told: platform.products.check(caller, product, files, told))
        )


@router.get("/search", responses=answers(*READ, _200=schemas.Finds))
def search(
    platform: ThePlatform,
    caller: Caller,
    q: Annotated[str, Query(max_length=1000, description="Words; none find all products.")],
    domain: Annotated[str | None, Query(description="Only of this domain.")] = None,
    owner: Annotated[str | None, Query(description="Only of this team.")] = None,
    tag: Annotated[str | None, Query(description="Only with this tag.")] = None,
    access: Annotated[Literal["open", "request"] | None, Query(description="Only with this access.")] = None,
    sort: Annotated[Literal["relevance", "name", "newest"], Query(description="The order of the finds.")] = "relevance",
    facets: Annotated[bool, Query(description="Count the values that the finds have.")] = False,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Response:
    """Find products by words in names, descriptions, columns, tags, owners and READMEs, the best first.

    The last word may be begun. A word that nothing has is taken for the nearest one there is: `corrected` says so.
    Where few products have all words, those with some of them follow.
    """
    sought = Sought(q, domain, owner, tag, access, sort=sort, facets=facets)
    return json_reply(platform.products.search(caller, sought, limit, cursor))


@router.get(
    "/catalog.jsonld",
    responses={
        **answers(*READ),
        200: bytes_answer("The catalog.", _DCAT, headers={"ETag": "The state of the catalog, for If-None-Match."}),
        304: {"description": "It is as it was."},
    },
)
def catalog(
    request: Request,
    platform: ThePlatform,
    caller: Caller,
    if_none_match: Annotated[str | None, Header(max_length=1000, description="The ETag that is known.")] = None,
) -> Response:
    """Give all products as one DCAT-AP catalog in JSON-LD, for harvesters; data is not part of it."""
    found = platform.catalogs.harvest(caller, str(request.base_url))
    headers = {**etag_header(found.etag), "Cache-Control": "no-cache"}
    if if_none_match and {"*", found.etag} & {version_of(each) for each in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    return StreamingResponse(found.chunks, media_type=found.media_type, headers=headers)


@router.get("/schemas/product.json", responses=answers(500, _200=schemas.Report))
async def schema() -> Response:
    """Give the JSON Schema of `product.json`; no token is needed, so that editors can use it."""
    return json_reply(descriptor_schema(), headers={"Cache-Control": "max-age=3600"})
