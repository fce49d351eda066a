"""What ties a hook to the request it was started for: a context signed by this process, alive while the request is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from thinmesh.kernel.errors import NotAllowed
from thinmesh.planes.product.push import PushContext, RefUpdate


@dataclass(slots=True)
class LivePush:
    """A push whose request is being served: its context, and the updates that its check found good."""

    context: PushContext
    signed: str = field(repr=False)
    good: set[RefUpdate] = field(default_factory=set)
    busy: threading.Lock = field(default_factory=threading.Lock)


class LivePushes:
    """All pushes being served. The secret is new at every start: hooks left by an earlier process are strangers."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._live: dict[str, LivePush] = {}
        self._lock = threading.Lock()

    def begin(self, context: PushContext) -> str:
        """Let a push in, and give the signed context for its hooks."""
        found = asdict(context)
        found["caller"]["teams"] = sorted(context.caller.teams)
        payload = json.dumps(found, separators=(",", ":")).encode()
        signed = f"{base64.urlsafe_b64encode(payload).decode()}.{self._sign(payload)}"
        with self._lock:
            self._live[context.id] = LivePush(context, signed)
        return signed

    def end(self, context: PushContext) -> None:
        """Let nothing more happen in the name of a push; waits for a hook that is being answered."""
        with self._lock:
            found = self._live.pop(context.id, None)
        if found:
            with found.busy:
                pass

    @contextmanager
    def serving(self, signed: str) -> Iterator[LivePush]:
        """Find the live push that a hook shows the context of, and keep its request open. Raises NotAllowed."""
        id = self._id_of(signed)
        with self._lock:
            live = self._live.get(id)
            genuine = live is not None and live.signed == signed and live.context.expires > time.monotonic()
            # One hook runs at a time in a push; taken under the lock, so that `end` waits for it.
            if not live or not genuine or not live.busy.acquire(blocking=False):
                raise NotAllowed("This push is not one that this server is serving.", help="Push again, over HTTP.")
        try:
            yield live
        finally:
            live.busy.release()

    def _id_of(self, signed: str) -> str:
        """Read the id of a context that bears our signature; empty for any other."""
        payload, _, signature = signed.partition(".")
        try:
            raw = base64.urlsafe_b64decode(payload)
            return str(json.loads(raw)["id"]) if hmac.compare_digest(self._sign(raw), signature) else ""
        except (ValueError, TypeError):
            return ""

    def _sign(self, payload: bytes) -> str:
        return hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
