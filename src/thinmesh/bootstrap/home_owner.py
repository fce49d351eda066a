"""Identity on a home: whoever owns its files administers it, whatever became of the users in its database."""

from __future__ import annotations

from dataclasses import replace

from thinmesh.kernel.errors import NotFound
from thinmesh.kernel.identity import ADMIN, Identity
from thinmesh.kernel.policy import Principal


class HomeIdentity(Identity):
    """An `Identity` whose home's owner can always act: without, nobody could make an administrator again."""

    def principal_of_home(self, user: str | None = None, door: str = "cli") -> Principal:
        """Act on a home: as its administrator, or as the user named (`--as`)."""
        if user:
            return super().principal_of_home(user, door)
        try:
            found = self.principal(ADMIN, door=door)
        except NotFound:
            found = Principal(ADMIN, door=door)
        return replace(found, admin=True, scope="admin")
