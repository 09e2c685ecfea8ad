"""Plans of faults: what they hold, how they are spread, and that the hub applies them where they say."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from local.hub import Fault, FaultPlan, Hub, Playing
from local.hub.plan import KINDS
from tests.local.hub.asking import MESSAGES, connected, lap, recording

HOUR_MS = 3_600_000
ROOM_MS = 10_000


@pytest.mark.parametrize("seed", range(20))
def test_plan_of_an_hour_holds_every_kind_and_leaves_room_after_each(seed: int):
    plan = FaultPlan.seeded(seed, HOUR_MS, room_s=ROOM_MS / 1000, token=True)
    offsets = [offset for offset, fault in plan if fault.kind != "calm"]
    assert {fault.kind for _, fault in plan} == set(KINDS)
    # Offsets are rounded to the millisecond.
    assert all(later - offset >= ROOM_MS - 1 for offset, later in pairwise(offsets))
    assert offsets[0] >= ROOM_MS
    assert offsets[-1] <= HOUR_MS - ROOM_MS


def test_silence_is_given_the_time_it_takes_to_be_noticed():
    plan = list(FaultPlan.seeded(3, HOUR_MS, silence_s=100.0))
    following = [later - at for (at, fault), (later, _) in pairwise(plan) if fault.kind == "silence"]
    assert min(following) >= 100_000


def test_faster_feed_has_room_for_fewer_faults():
    assert 0 < len(FaultPlan.seeded(1, HOUR_MS, speed=20)) < len(FaultPlan.seeded(1, HOUR_MS))


@pytest.mark.parametrize(("duration", "speed"), [(0, 1.0), (15_000, 1.0), (HOUR_MS, math.inf)])
def test_plan_without_room_is_empty(duration: int, speed: float):
    assert list(FaultPlan.seeded(1, duration, speed=speed)) == []


def test_plan_is_printed_a_line_a_fault():
    plan = FaultPlan([(61_500, Fault("refuse-502", 2)), (1_000, Fault("drop"))])
    assert str(plan).splitlines() == [
        "0:00:01.000  drop: every connection is dropped without a word",
        "0:01:01.500  refuse-502: connections are dropped, who comes back is answered 502 2 times",
    ]


def test_fault_of_a_plan_falls_between_the_messages_it_stands_between(tmp_path: Path):
    plan = FaultPlan([(5_500, Fault("drop"))])
    path = recording(tmp_path / "session.jsonl")
    with Hub([Playing(path)], speed=400, plan=plan) as hub, connected(hub) as client:
        client.subscribe(["TimingData"])
        hub.start()
        client.until(lambda arguments: lap(arguments) == 5)
        with pytest.raises(ConnectionClosed):
            client.next()
        hub.wait_until_ended(30)
        assert len(hub.missed()) == MESSAGES - 6
