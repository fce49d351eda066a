"""The shapes of bodies and replies, as OpenAPI tells them.

Replies may carry more fields than are named here, in this and in later releases; clients must accept that.
Longer than other modules: one short class for each body.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _encodable(text: str) -> str:
    """Refuse lone surrogates: JSON can write them, and nothing after it can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("this is not valid Unicode text") from error
    return text


NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
USER_PATTERN = r"^[a-z0-9][a-z0-9._@+-]*$"
DURATION_PATTERN = r"^P([0-9]{1,4}[YMWD])+$|^P([0-9]{1,4}[YMWD])*T([0-9]{1,5}[HMS])+$"
SCOPE_PATTERN = r"^(read|write|admin|publish:[a-z][a-z0-9_]*)$"

Text = Annotated[str, AfterValidator(_encodable)]
Name = Annotated[Text, Field(min_length=1, max_length=63, pattern=NAME_PATTERN)]
UserName = Annotated[Text, Field(min_length=1, max_length=127, pattern=USER_PATTERN)]


Duration = Annotated[
    Text,
    Field(
        max_length=20,
        pattern=DURATION_PATTERN,
        description="ISO 8601.",
    ),
]


_MOST_MEMBERS = 50


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a slip of the pen is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, data: Any) -> Any:
        """Refuse what has far too many members at once, instead of each of them."""
        if isinstance(data, dict) and len(data) > _MOST_MEMBERS:
            raise ValueError(f"more than {_MOST_MEMBERS} members are too many")
        return data


class Reply(BaseModel):
    """A reply: more fields may come."""

    model_config = ConfigDict(extra="allow")


# --- errors


class Example(Reply):
    """A place where a rule was broken."""

    line: int | None
    value: str | None


class Violation(Reply):
    """One rule broken in one column of one table, with its exact count."""

    file: str | None
    table: str | None
    column: str | None
    rule: str
    message: str
    count: int
    examples: list[Example]


class Problem(Reply):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry: bool
    help: str
    violations: list[Violation]


# --- identity


class WhoAmI(Reply):
    """The caller."""

    user: str
    teams: list[str]
    admin: bool


class NewTeam(Body):
    """A team to create."""

    name: Name
    domains: Annotated[list[Name], Field(max_length=100)] = []


class Team(Reply):
    """A team; its leads are members."""

    name: str
    domains: list[str]
    members: list[Any]
    leads: list[str]


class Teams(Reply):
    """A page of teams."""

    items: list[Team]
    next: str | None


class NewUser(Body):
    """A user to add."""

    name: UserName
    teams: Annotated[list[Name], Field(max_length=100)] = []
    admin: bool = False


class User(Reply):
    """A user."""

    name: str
    teams: list[str]
    admin: bool


class Users(Reply):
    """A page of users."""

    items: list[User]
    next: str | None


class Link(Body):
    """A person as an OpenID provider knows them; the provider that is set up here, unless another is named."""

    subject: Annotated[Text, Field(min_length=1, max_length=255, description="`sub` of their ID tokens.")]
    issuer: Annotated[Text, Field(max_length=1000)] | None = None


class LinkedUser(User):
    """A user, and who signs in as them from now on."""

    issuer: str
    subject: str


class NewToken(Body):
    """A token to make; for oneself where no user is named."""

    user: UserName | None = None
    expires: Duration = "P90D"
    scope: Annotated[
        Text,
        Field(max_length=100, pattern=SCOPE_PATTERN, description="What it may do."),
    ] = "write"


class Token(Reply):
    """A token as it is listed."""

    id: str
    expires: str
    scope: str


class MadeToken(Token):
    """A token just made: its text is shown this once.

    `shortened`: it ends with the token that asked for it, sooner than was wanted; only an administrator's may make one
    that outlives it.
    """

    token: str
    shortened: bool


class Tokens(Reply):
    """A page of tokens."""

    items: list[Token]
    next: str | None


class Keys(Reply):
    """The public keys that tokens are signed with (RFC 7517)."""

    keys: list[dict[str, Any]]


# --- product


class Condition(Reply):
    """What has or has not followed yet, and why."""

    type: str
    state: str
    reason: str | None = None
    since: str | None = None


class Product(Reply):
    """A product: its descriptor and what the mesh made of it."""

    name: str
    domain: str
    description: str
    owner: str
    access: str
    status: str
    version: str


class Registered(Reply):
    """A registration's outcome."""

    product: Product
    created: bool
    changed: bool
    conditions: list[Condition]
    links: dict[str, Any]
    etag: str


class Item(Reply):
    """A product in a list."""

    name: str
    domain: str
    owner: str
    description: str


class Items(Reply):
    """A page of products."""

    items: list[Item]
    next: str | None


class FacetCount(Reply):
    """A value that finds have, and how many have it; at least so many where that is not `exact`."""

    value: str
    count: int
    exact: bool


class Correction(Reply):
    """A word that nothing has, and the one that was searched for in its place."""

    typed: str
    meant: str


class Finds(Items):
    """A page of finds; `facets` by kind where they were asked for."""

    corrected: list[Correction]
    facets: dict[str, list[FacetCount]] | None


class Records(Reply):
    """A page of records."""

    items: list[dict[str, Any]]
    next: str | None


class Table(Reply):
    """A table of a product."""

    name: str
    columns: list[dict[str, Any]]


class Load(Reply):
    """What a publication holds of one table."""

    rows: int
    bytes: int


class Published(Reply):
    """A publication's outcome; `publication` is null where nothing changed and there was none."""

    publication: str | None
    changed: bool
    tables: dict[str, Load]
    conditions: list[Condition]


class Checked(Reply):
    """A check's verdict."""

    ok: bool
    rows: int
    violations: list[Violation]
    not_checked: list[Any]


class Shown(Reply):
    """All that is known of a product, and nothing of its data.

    `lineage` has `inputs` as written and `outputs`, the first 200 products made from it; `may` tells whether the caller
    may `read` its data, `change` it, `publish` to it.
    """

    product: Product
    tables: list[Table]
    owner: str
    storage: dict[str, Any]
    freshness: dict[str, Any]
    quality: dict[str, Any]
    lineage: dict[str, Any]
    conditions: list[Condition]
    links: dict[str, Any]
    readme: str
    registered: str
    changed: str
    may: dict[str, bool]


# --- query


class NewStatement(Body):
    """A statement to run."""

    sql: Annotated[Text, Field(min_length=1, max_length=1_000_000, description="One read-only statement.")]
    id: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="An id of the client's own, to cancel by."),
    ] = None
    limit: Annotated[int | None, Field(ge=0, le=2**53, description="At most so many rows.")] = None
    engine: Annotated[Literal["duckdb"], Field(description="The engine whose dialect the statement speaks.")] = "duckdb"


class ResultColumn(Reply):
    """A column of a result."""

    name: str
    type: str


class Result(Reply):
    """A statement's result as JSON."""

    statement: str
    columns: list[ResultColumn]
    rows: list[list[Any]]
    row_count: int
    truncated: bool


class Sample(Reply):
    """Some rows of a table."""

    columns: list[ResultColumn]
    rows: list[list[Any]]


class Profile(Reply):
    """Figures for each column of a table."""

    columns: list[dict[str, Any]]


class Statement(Reply):
    """A statement and its state."""

    id: str
    state: str


class Statements(Reply):
    """A page of statements."""

    items: list[Statement]
    next: str | None


# --- exchange


class NewRequest(Body):
    """A request for the data of a closed product."""

    product: Name
    purpose: Annotated[Text, Field(min_length=1, max_length=4000)]
    duration: Duration = "P30D"
    team: Annotated[Name | None, Field(description="Ask for a team of the caller instead of the caller alone.")] = None


class Denial(Body):
    """Why a request is denied."""

    why: Annotated[Text, Field(min_length=1, max_length=4000)]


class AccessRequest(Reply):
    """A request and its state."""

    id: str
    product: str
    state: str


class Grant(Reply):
    """A grant and its state."""

    id: str
    product: str
    state: str
    expires: str | None


class AccessRequests(Reply):
    """A page of requests."""

    items: list[AccessRequest]
    next: str | None


class Grants(Reply):
    """A page of grants."""

    items: list[Grant]
    next: str | None


class Event(Reply):
    """An event (CloudEvents 1.0)."""

    specversion: str
    id: str
    source: str
    type: str
    time: str


class Events(Reply):
    """A page of events; `next` is the `after` of the next call."""

    items: list[Event]
    next: str | None


# --- operations


class Health(Reply):
    """Health."""

    status: str


class Report(Reply):
    """A report on the platform."""


class Delivery(Reply):
    """How far a catalog outside the mesh has come with a product; `retry` is the time of the next attempt."""

    product: str
    catalog: str
    state: str
    attempts: int
    error: str | None
    since: str | None
    retry: str | None


class OutsideCatalog(Reply):
    """A catalog outside the mesh: its products by state; since when it does not answer, and when it is asked again."""

    catalog: str
    done: int
    pending: int
    failed: int
    since: str | None
    error: str | None
    retry: str | None


class Deliveries(Reply):
    """A page of products and catalogs, and all catalogs."""

    items: list[Delivery]
    next: str | None
    catalogs: list[OutsideCatalog]


class Retried(Deliveries):
    """How the catalogs stand after `retried` attempts were put back to be made at once, one a product and catalog."""

    retried: int


class Finding(Reply):
    """One invariant, how it stands, and what heals it."""

    invariant: str
    state: str
    detail: str
    heal: str


class Diagnosis(Reply):
    """What the doctor found; `ok` where nothing is broken."""

    ok: bool
    findings: list[Finding]


class Rebuilt(Reply):
    """What was built again, with counts for each projection."""

    rebuilt: dict[str, dict[str, int]]
    failed: list[str]
