import threading
from datetime import UTC, datetime, timedelta

from thinmesh.kernel.errors import Temporary
from thinmesh.planes.operations.maintenance import Maintenance, Step


class Time:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


def test_steps_run_when_their_time_has_come_and_a_failing_one_keeps_none_from_its_turn():
    time, ran = Time(), []

    def fail():
        ran.append("failing")
        raise Temporary("The disk is full.")

    maintenance = Maintenance(
        [
            Step("failing", timedelta(hours=1), fail),
            Step("often", timedelta(hours=1), lambda: ran.append("often") or 3),
            Step("seldom", timedelta(days=1), lambda: ran.append("seldom") or 0),
        ],
        time,
    )
    assert maintenance.maintain() == ()
    time.now += timedelta(hours=1)
    outcomes = maintenance.maintain()
    assert [(each.step, each.count, each.error) for each in outcomes] == [
        ("failing", 0, "The disk is full."),
        ("often", 3, None),
    ]
    assert maintenance.maintain() == ()
    time.now += timedelta(days=1)
    assert [each.step for each in maintenance.maintain()] == ["failing", "often", "seldom"]
    assert [each.step for each in maintenance.maintain(everything=True)] == ["failing", "often", "seldom"]


def test_two_threads_do_not_maintain_at_once():
    inside, go = threading.Event(), threading.Event()

    def wait():
        inside.set()
        go.wait(10)
        return 0

    maintenance = Maintenance([Step("slow", timedelta(0), wait)])
    first = threading.Thread(target=maintenance.maintain)
    first.start()
    inside.wait(10)
    assert maintenance.maintain() == ()
    go.set()
    first.join()
    assert [each.step for each in maintenance.maintain()] == ["slow"]
