import threading
from datetime import UTC, datetime, timedelta

from thinmesh.kernel.errors import Temporary
from thinmesh.planes.operations.lingering import Lingering
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


def test_a_step_that_fails_for_the_same_reason_again_says_so():
    why = iter(["The disk is full.", "The disk is full.", "It is damaged.", None, "It is damaged."])

    def fail():
        if reason := next(why):
            raise Temporary(reason)
        return 1

    maintenance = Maintenance([Step("failing", timedelta(hours=1), fail)])
    outcomes = [maintenance.maintain(everything=True)[0] for _ in range(5)]
    assert [each.known for each in outcomes] == [False, True, False, False, False]


def test_a_step_may_have_its_first_turn_before_a_whole_period_has_passed():
    time = Time()
    maintenance = Maintenance([Step("seldom", timedelta(days=7), lambda: 1, timedelta(hours=1))], time)
    assert maintenance.maintain() == ()
    time.now += timedelta(hours=1)
    assert len(maintenance.maintain()) == 1
    time.now += timedelta(days=6)
    assert maintenance.maintain() == ()
    time.now += timedelta(days=1)
    assert len(maintenance.maintain()) == 1


def test_what_lingers_was_there_at_every_look_for_an_hour_awake():
    awake = 0.0
    lingering = Lingering(lambda: awake)
    assert lingering.of({"a", "b"}) == set()
    awake = 1800.0
    assert lingering.of({"a", "c"}) == set()
    awake = 3600.0
    assert lingering.of({"a", "b", "c"}) == {"a"}
    awake = 5400.0
    assert lingering.of({"a", "b", "c"}) == {"a", "c"}


def test_two_threads_do_not_maintain_at_once():
    inside, go = threading.Event(), threading.Event()

    def wait():
        inside.set()
        go.wait(60)
        return 0

    maintenance = Maintenance([Step("slow", timedelta(0), wait)])
    first = threading.Thread(target=maintenance.maintain)
    first.start()
    inside.wait(60)
    assert maintenance.maintain() == ()
    go.set()
    first.join()
    assert [each.step for each in maintenance.maintain()] == ["slow"]
