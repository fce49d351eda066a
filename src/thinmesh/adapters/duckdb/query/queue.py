"""Who runs next: fair between users, bounded."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from thinmesh.kernel.errors import TooManyRequests

# A statement that runs longer than this is long: short ones of others may then run beside it, over the plain number.
_LONG_SECONDS = 0.5
# A statement whose reader has taken nothing for so long waits for them: it does not run, and its worker does nothing.
_PAUSED_SECONDS = 0.5
_LOOK_SECONDS = 0.2


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the queue, then in a slot, since a time; `paused` is since when the reader takes nothing."""

    user: str
    granted: bool = False
    since: float = 0.0
    paused: float | None = None


@dataclass(slots=True)
class Queue:
    """Hand out `slots`, round robin over users, first in first out of each.

    Statements that wait for their readers do not count: the slot goes to another. Where every slot holds a long
    statement, up to as many again are handed out, to users who hold less than half of that number, and beyond them to
    users who hold nothing: the long statements of some do not keep others waiting. In all this one user holds at most
    `slots` statements, and all users four times as many, paused ones included. At most `per_user` statements of one
    user wait, `total` in all.
    """

    slots: int
    per_user: int = 32
    total: int = 256
    clock: Callable[[], float] = time.monotonic
    _condition: threading.Condition = field(default_factory=threading.Condition)
    _waiting: OrderedDict[str, deque[Ticket]] = field(default_factory=OrderedDict)
    _running: list[Ticket] = field(default_factory=list)

    def enter(self, ticket: Ticket, stopped: Callable[[], bool], deadline: float) -> bool:
        """Wait for a slot; False where the deadline (monotonic seconds) passed or `stopped` before.

        Raises TooManyRequests where the queue is full.
        """
        with self._condition:
            if stopped():
                return False
            line = self._waiting.setdefault(ticket.user, deque())
            if len(line) >= self.per_user or sum(map(len, self._waiting.values())) >= self.total:
                if not line:
                    del self._waiting[ticket.user]
                raise TooManyRequests(
                    "Too many statements are waiting.", help="Wait for some of yours to end, or cancel them."
                )
            line.append(ticket)
            self._hand_out()
            while not ticket.granted:
                left = deadline - self.clock()
                if left <= 0 or stopped():
                    self._forget(ticket)
                    return False
                self._condition.wait(min(left, _LOOK_SECONDS))
                self._hand_out()
            return True

    def leave(self, ticket: Ticket) -> None:
        """Give the slot back; twice does no harm."""
        with self._condition:
            if ticket in self._running:
                self._running.remove(ticket)
                self._hand_out()

    def wake(self) -> None:
        """Let waiters look whether they were stopped."""
        with self._condition:
            self._condition.notify_all()

    def counts(self) -> dict[str, int]:
        """Count who runs and who waits."""
        with self._condition:
            return {"running": len(self._running), "waiting": sum(map(len, self._waiting.values()))}

    def held(self, user: str) -> int:
        """Count the slots that a user holds."""
        with self._condition:
            return sum(ticket.user == user for ticket in self._running)

    def _hand_out(self) -> None:
        granted = False
        while user := self._next():
            self._grant(user)
            granted = True
        if granted:
            self._condition.notify_all()

    def _next(self) -> str | None:
        """Choose whose turn it is, or nobody's."""
        if not self._waiting or len(self._running) >= 4 * self.slots:
            return None
        held = Counter(ticket.user for ticket in self._running)
        most = self._most(self.clock())
        return next((user for user in self._waiting if held[user] < most), None)

    def _most(self, now: float) -> int:
        """Give how many statements a user may hold to be handed one more slot: fewer than this."""
        edge = now - _PAUSED_SECONDS
        active = [ticket for ticket in self._running if ticket.paused is None or ticket.paused > edge]
        if len(active) < self.slots:
            return self.slots
        if any(ticket.since > now - _LONG_SECONDS for ticket in active):
            return 0
        return max(1, self.slots // 2) if len(active) < 2 * self.slots else 1

    def _grant(self, user: str) -> None:
        line = self._waiting[user]
        ticket = line.popleft()
        ticket.granted, ticket.since = True, self.clock()
        self._running.append(ticket)
        if line:
            self._waiting.move_to_end(user)
        else:
            del self._waiting[user]

    def _forget(self, ticket: Ticket) -> None:
        line = self._waiting.get(ticket.user)
        if line and ticket in line:
            line.remove(ticket)
            if not line:
                del self._waiting[ticket.user]
