"""Is the simulated feed like the real one? Topic mix, rates and lateness beside whole recorded sessions.

The bounds are an order of magnitude, not a fit: a quick race has more stops, flags and overtakes in a
quarter of an hour than a sprint. Two of the recordings keep counter and lap time together always
(2025), one splits them for a seventh of the laps (2018); the simulator does what the latter does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from local.simulator import quick_race
from tests.local.simulator import reading
from tests.local.simulator.reading import Figures, Line, figures

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def simulated() -> Figures:
    race = quick_race(1, telemetry=False)
    return figures(Line(message.received / 1000.0, message.topic, message.payload) for message in race)


@pytest.fixture(scope="module")
def qatar(recordings: Path) -> Figures:
    return figures(reading.merged(recordings / "2025-qatar-sprint.txt.gz"))


@pytest.fixture(scope="module")
def sao_paulo(recordings: Path) -> Figures:
    return figures(reading.live(recordings / "2025-sao-paulo-sprint.txt.gz"))


@pytest.fixture(scope="module")
def baku(recordings: Path) -> Figures:
    return figures(reading.folder(recordings / "2018-baku-race"))


@pytest.fixture(scope="module", params=["qatar", "sao_paulo"])
def sprint(request: pytest.FixtureRequest) -> Figures:
    found: Figures = request.getfixturevalue(request.param)
    return found


def test_timing_data_makes_up_most_messages(simulated: Figures, sprint: Figures) -> None:
    assert simulated.share["TimingData"] == pytest.approx(sprint.share["TimingData"], abs=12.0)


def test_every_topic_has_about_its_share(simulated: Figures, sprint: Figures) -> None:
    apart = {
        topic: (simulated.share[topic], share)
        for topic, share in sprint.share.items()
        if topic in simulated.share
        and abs(simulated.share[topic] - share) > 1.0
        and not 1 / 3 < simulated.share[topic] / share < 3
    }
    assert apart == {}


def test_no_topic_of_a_race_is_missing(simulated: Figures, qatar: Figures, sao_paulo: Figures) -> None:
    assert (qatar.share.keys() | sao_paulo.share.keys()) - simulated.share.keys() == {"ChampionshipPrediction"}


def test_messages_come_about_as_fast(simulated: Figures, sprint: Figures) -> None:
    assert 0.6 < simulated.rate / sprint.rate < 1.6


def test_timing_messages_are_about_as_long(simulated: Figures, sprint: Figures) -> None:
    assert 0.75 < simulated.mean_bytes / sprint.mean_bytes < 1.35


def test_lines_hold_the_same_keys_about_as_often(simulated: Figures, sprint: Figures) -> None:
    apart = {
        key: (simulated.kinds.get(key, 0.0), share)
        for key, share in sprint.kinds.items()
        if abs(simulated.kinds.get(key, 0.0) - share) > 3.0 and not 1 / 3 < simulated.kinds.get(key, 0.0) / share < 3
    }
    assert apart == {}


def test_lap_time_parts_from_the_counter_as_often_as_seen(simulated: Figures, baku: Figures) -> None:
    assert baku.apart / 2 < simulated.apart < baku.apart * 2


def test_late_lap_times_are_late_by_as_much(simulated: Figures, baku: Figures) -> None:
    def middle(delays: list[float]) -> float:
        return sorted(abs(delay) for delay in delays)[len(delays) // 2]

    assert middle(baku.delays) / 10 < middle(simulated.delays) < middle(baku.delays) * 10
    assert max(simulated.delays) < 5.0, "later than five seconds was never seen in a whole session"


def test_lap_count_runs_ahead_of_the_leaders_own_counter(simulated: Figures, qatar: Figures) -> None:
    def middle(leads: list[float]) -> float:
        return sorted(leads)[len(leads) // 2]

    assert 0.0 < middle(simulated.lead) < 1.0
    assert 0.0 < middle(qatar.lead) < 1.0
