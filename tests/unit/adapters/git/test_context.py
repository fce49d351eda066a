import base64
import json
import threading

import pytest

from thinmesh.adapters.git.context import LivePushes
from thinmesh.kernel.errors import NotAllowed
from thinmesh.kernel.policy import Principal
from thinmesh.planes.product.push import PushContext

ALICE = Principal("alice", teams=frozenset({"one", "two"}), token="t1", door="git")


def refused(pushes, signed):
    with pytest.raises(NotAllowed), pushes.serving(signed):
        pass


def test_a_context_serves_its_own_request_again_and_again():
    pushes = LivePushes()
    context = PushContext(ALICE)
    signed = pushes.begin(context)
    for _ in range(2):
        with pushes.serving(signed) as live:
            assert live.context == context


def test_a_context_is_worth_nothing_after_its_request():
    pushes = LivePushes()
    context = PushContext(ALICE)
    signed = pushes.begin(context)
    pushes.end(context)
    refused(pushes, signed)
    pushes.end(context)


def test_a_context_expires():
    pushes = LivePushes()
    refused(pushes, pushes.begin(PushContext(ALICE, expires=0.0)))


def test_a_context_of_another_start_is_worth_nothing():
    context = PushContext(ALICE)
    now, earlier = LivePushes(), LivePushes()
    now.begin(context)
    refused(now, earlier.begin(context))


@pytest.mark.parametrize("part", ["user", "admin", "scope"])
def test_a_context_cannot_be_changed(part):
    pushes = LivePushes()
    payload, signature = pushes.begin(PushContext(ALICE)).split(".")
    found = json.loads(base64.urlsafe_b64decode(payload))
    found["caller"][part] = "root"
    refused(pushes, base64.urlsafe_b64encode(json.dumps(found).encode()).decode() + "." + signature)


@pytest.mark.parametrize("text", ["", ".", "x.y", "é.é", "e30=.", "." * 1000])
def test_nonsense_is_refused(text):
    refused(LivePushes(), text)


def test_one_hook_at_a_time():
    pushes = LivePushes()
    signed = pushes.begin(PushContext(ALICE))
    with pushes.serving(signed):
        refused(pushes, signed)


def test_the_end_waits_for_a_hook_that_is_being_answered():
    pushes = LivePushes()
    context = PushContext(ALICE)
    with pushes.serving(pushes.begin(context)):
        ending = threading.Thread(target=pushes.end, args=(context,))
        ending.start()
        ending.join(0.05)
        assert ending.is_alive()
    ending.join(10)
    assert not ending.is_alive()
