"""Users, teams, domains and tokens in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from thinmesh.kernel.database import Row, Transaction
from thinmesh.kernel.directory import Team, TokenFacts, User

IDENTITY_SCHEMA = (
    """CREATE TABLE users (
        name TEXT PRIMARY KEY, admin INTEGER NOT NULL, created TEXT NOT NULL)""",
    """CREATE TABLE teams (
        name TEXT PRIMARY KEY, created TEXT NOT NULL)""",
    """CREATE TABLE team_members (
        team TEXT NOT NULL REFERENCES teams (name), user_name TEXT NOT NULL REFERENCES users (name),
        lead INTEGER NOT NULL, added TEXT NOT NULL, PRIMARY KEY (team, user_name))""",
    "CREATE INDEX team_members_by_user ON team_members (user_name, team)",
    """CREATE TABLE team_domains (
        domain TEXT NOT NULL, team TEXT NOT NULL REFERENCES teams (name), position INTEGER NOT NULL,
        claimed TEXT NOT NULL, PRIMARY KEY (domain, team))""",
    "CREATE INDEX team_domains_by_team ON team_domains (team, domain)",
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY, user_name TEXT NOT NULL REFERENCES users (name), scope TEXT NOT NULL,
        created TEXT NOT NULL, created_by TEXT NOT NULL, expires TEXT NOT NULL, revoked TEXT, revoked_by TEXT)""",
    "CREATE INDEX tokens_by_user ON tokens (user_name, created, id)",
)

# Who a provider vouches for, and the tokens that browsers got for that: signing out revokes those.
VOUCHED_SCHEMA = (
    """CREATE TABLE vouched_users (
        issuer TEXT NOT NULL, subject TEXT NOT NULL, user_name TEXT NOT NULL REFERENCES users (name),
        linked TEXT NOT NULL, linked_by TEXT NOT NULL, PRIMARY KEY (issuer, subject))""",
    "CREATE TABLE sessions (token TEXT PRIMARY KEY REFERENCES tokens (id))",
)

# A team that owns a product works in its domain; the index knows. One look-up for each owner, however many products.
_OWNERS = """WITH RECURSIVE owners (owner) AS (
    SELECT MIN(owner) FROM products WHERE domain = :domain
    UNION ALL
    SELECT (SELECT MIN(p.owner) FROM products p WHERE p.domain = :domain AND p.owner > o.owner)
    FROM owners o WHERE o.owner IS NOT NULL)
    SELECT owner FROM owners WHERE owner IS NOT NULL"""
# The other way round: one look-up for each domain of the mesh.
_DOMAINS = """WITH RECURSIVE domains (domain) AS (
    SELECT MIN(domain) FROM products
    UNION ALL
    SELECT (SELECT MIN(p.domain) FROM products p WHERE p.domain > d.domain)
    FROM domains d WHERE d.domain IS NOT NULL)
    SELECT d.domain FROM domains d
    WHERE EXISTS (SELECT 1 FROM products p WHERE p.domain = d.domain AND p.owner = :name)
    UNION SELECT domain FROM team_domains WHERE team = :name ORDER BY 1"""
_TOKEN = "SELECT id, user_name, scope, created, created_by, expires, revoked FROM tokens"  # noqa: S105


class SqlIdentityStore:
    """An `IdentityStore` (kernel/directory.py)."""

    def user(self, tx: Transaction, name: str) -> User | None:
        """Find a user."""
        row = tx.one("SELECT name, admin FROM users WHERE name = :name", {"name": name})
        return User(name, _teams_of(tx, name), bool(row["admin"])) if row else None

    def users(self, tx: Transaction, limit: int, after: str | None) -> Sequence[User]:
        """List users by name, after a name."""
        rows = tx.all(
            "SELECT name, admin FROM users WHERE name > :after ORDER BY name LIMIT :limit",
            {"after": after or "", "limit": limit},
        )
        return [User(row["name"], _teams_of(tx, row["name"]), bool(row["admin"])) for row in rows]

    def user_names(self, tx: Transaction, letter: str) -> Collection[str]:
        """Give up to 1,000 names of users that begin with a letter, to find what a mistyped one meant."""
        return _names(tx, "users", letter)

    def add_user(self, tx: Transaction, name: str, admin: bool, at: str) -> bool:
        """Add a user; tell whether they are new."""
        return bool(
            tx.execute(
                "INSERT INTO users (name, admin, created) VALUES (:name, :admin, :at) ON CONFLICT (name) DO NOTHING",
                {"name": name, "admin": int(admin), "at": at},
            )
        )

    def vouched_user(self, tx: Transaction, issuer: str, subject: str) -> str | None:
        """Give the user that a provider's subject is here."""
        row = tx.one(
            "SELECT user_name FROM vouched_users WHERE issuer = :issuer AND subject = :subject",
            {"issuer": issuer, "subject": subject},
        )
        return row["user_name"] if row else None

    def link_user(self, tx: Transaction, user: str, issuer: str, subject: str, at: str, by: str) -> None:
        """Make a provider's subject a user here, in the place of whom it was before."""
        tx.execute(
            """INSERT INTO vouched_users (issuer, subject, user_name, linked, linked_by)
               VALUES (:issuer, :subject, :user, :at, :by)
               ON CONFLICT (issuer, subject) DO UPDATE
               SET user_name = excluded.user_name, linked = excluded.linked, linked_by = excluded.linked_by""",
            {"issuer": issuer, "subject": subject, "user": user, "at": at, "by": by},
        )

    def team(self, tx: Transaction, name: str) -> Team | None:
        """Find a team."""
        return _team(tx, name) if self.has_team(tx, name) else None

    def has_team(self, tx: Transaction, name: str) -> bool:
        """Tell whether there is a team of this name."""
        return tx.one("SELECT 1 FROM teams WHERE name = :name", {"name": name}) is not None

    def teams(self, tx: Transaction, limit: int, after: str | None) -> Sequence[Team]:
        """List teams by name, after a name."""
        rows = tx.all(
            "SELECT name FROM teams WHERE name > :after ORDER BY name LIMIT :limit",
            {"after": after or "", "limit": limit},
        )
        return [_team(tx, row["name"]) for row in rows]

    def team_names(self, tx: Transaction, letter: str) -> Collection[str]:
        """Give up to 1,000 names of teams that begin with a letter, to find what a mistyped one meant."""
        return _names(tx, "teams", letter)

    def add_team(self, tx: Transaction, name: str, at: str) -> bool:
        """Add a team without members; tell whether it is new."""
        return bool(
            tx.execute(
                "INSERT INTO teams (name, created) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING",
                {"name": name, "at": at},
            )
        )

    def add_member(self, tx: Transaction, team: str, user: str, lead: bool, at: str) -> None:
        """Put a user into a team; a member who is a lead stays one."""
        tx.execute(
            """INSERT INTO team_members (team, user_name, lead, added) VALUES (:team, :user, :lead, :at)
               ON CONFLICT (team, user_name) DO UPDATE
               SET lead = CASE WHEN excluded.lead = 1 THEN 1 ELSE team_members.lead END""",
            {"team": team, "user": user, "lead": int(lead), "at": at},
        )

    def remove_member(self, tx: Transaction, team: str, user: str) -> None:
        """Take a user out of a team."""
        tx.execute(
            "DELETE FROM team_members WHERE team = :team AND user_name = :user",
            {"team": team, "user": user},
        )

    def teams_of_domain(self, tx: Transaction, domain: str) -> Sequence[str]:
        """Give the teams that work in a domain, the first one first; empty where it is unclaimed."""
        rows = tx.all(
            "SELECT team FROM team_domains WHERE domain = :domain ORDER BY position",
            {"domain": domain},
        )
        owners = tx.all(_OWNERS, {"domain": domain})
        return list(dict.fromkeys([*(row["team"] for row in rows), *(row["owner"] for row in owners)]))

    def claim_domain(self, tx: Transaction, domain: str, team: str, at: str) -> None:
        """Let a team work in a domain."""
        tx.execute(
            """INSERT INTO team_domains (domain, team, position, claimed)
               VALUES (:domain, :team, (SELECT COUNT(*) FROM team_domains WHERE domain = :domain), :at)
               ON CONFLICT (domain, team) DO NOTHING""",
            {"domain": domain, "team": team, "at": at},
        )

    def add_token(self, tx: Transaction, token: TokenFacts) -> None:
        """Record a token."""
        tx.execute(
            """INSERT INTO tokens (id, user_name, scope, created, created_by, expires)
               VALUES (:id, :user, :scope, :created, :created_by, :expires)""",
            {
                "id": token.id,
                "user": token.user,
                "scope": token.scope,
                "created": token.created,
                "created_by": token.created_by,
                "expires": token.expires,
            },
        )

    def token(self, tx: Transaction, id: str) -> TokenFacts | None:
        """Find a token by its id."""
        row = tx.one(f"{_TOKEN} WHERE id = :id", {"id": id})
        return _token(row) if row else None

    def add_session(self, tx: Transaction, token: str) -> None:
        """Mark a token as one that lives as long as a browser's session."""
        tx.execute("INSERT INTO sessions (token) VALUES (:token)", {"token": token})

    def is_session(self, tx: Transaction, token: str) -> bool:
        """Tell whether a token was made for a browser's session."""
        return tx.one("SELECT 1 FROM sessions WHERE token = :token", {"token": token}) is not None

    def bearer(self, tx: Transaction, id: str) -> tuple[TokenFacts, User] | None:
        """Find a token and the user it belongs to, in one statement: every signed-in request asks."""
        rows = tx.all(
            """SELECT t.id, t.user_name, t.scope, t.created, t.created_by, t.expires, t.revoked, u.admin, m.team
               FROM tokens t JOIN users u ON u.name = t.user_name LEFT JOIN team_members m ON m.user_name = u.name
               WHERE t.id = :id ORDER BY m.team""",
            {"id": id},
        )
        if not rows:
            return None
        teams = tuple(row["team"] for row in rows if row["team"])
        return _token(rows[0]), User(rows[0]["user_name"], teams, bool(rows[0]["admin"]))

    def tokens(self, tx: Transaction, user: str, limit: int, after: Mapping[str, str] | None) -> Sequence[TokenFacts]:
        """List a user's tokens, the newest first, after the (`created`, `id`) given."""
        rows = tx.all(
            f"""{_TOKEN} WHERE user_name = :user AND (created < :created OR (created = :created AND id < :id))
                ORDER BY created DESC, id DESC LIMIT :limit""",
            # "~" sorts after every time.
            {"user": user, "limit": limit, **(after or {"created": "~", "id": ""})},
        )
        return [_token(row) for row in rows]

    def revoke_token(self, tx: Transaction, id: str, at: str, by: str) -> None:
        """Mark a token as revoked; one that was revoked keeps its time."""
        tx.execute(
            "UPDATE tokens SET revoked = :at, revoked_by = :by WHERE id = :id AND revoked IS NULL",
            {"id": id, "at": at, "by": by},
        )


def _names(tx: Transaction, table: str, letter: str) -> list[str]:
    rows = tx.all(
        f"SELECT name FROM {table} WHERE name >= :letter AND name < :following ORDER BY name LIMIT 1000",
        {"letter": letter, "following": letter + "~"},
    )
    return [row["name"] for row in rows]


def _teams_of(tx: Transaction, user: str) -> tuple[str, ...]:
    rows = tx.all("SELECT team FROM team_members WHERE user_name = :user ORDER BY team", {"user": user})
    return tuple(row["team"] for row in rows)


def _team(tx: Transaction, name: str) -> Team:
    domains = tx.all(_DOMAINS, {"name": name})
    members = tx.all("SELECT user_name, lead FROM team_members WHERE team = :name ORDER BY user_name", {"name": name})
    return Team(
        name=name,
        domains=tuple(row["domain"] for row in domains),
        members=tuple(row["user_name"] for row in members),
        leads=tuple(row["user_name"] for row in members if row["lead"]),
    )


def _token(row: Row) -> TokenFacts:
    return TokenFacts(
        id=row["id"],
        user=row["user_name"],
        scope=row["scope"],
        created=row["created"],
        created_by=row["created_by"],
        expires=row["expires"],
        revoked=row["revoked"],
    )
