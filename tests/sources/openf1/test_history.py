"""A past session read from OpenF1 makes the documents its own recording makes, but for what OpenF1 does not have."""

from __future__ import annotations

from typing import Any

import pytest

from local.openf1 import Rows
from pitwall.sources.openf1.history import NotInOpenF1
from pitwall.timing.state import SessionState
from tests.sources.openf1.conftest import Told
from tests.sources.openf1.playing import (
    differences,
    documents,
    past,
    played,
    serving,
    session_statuses,
    track_statuses,
)

pytestmark = pytest.mark.whole

NOT_IN_OPENF1: dict[str, Any] = {
    # Fields OpenF1 has no column for.
    r" reference$": True,
    r" speeds\.flKph$|\.speeds\.flKph$": True,
    r"^ (clock|round|lapCount\.total)": True,
    r"^ status$": True,  # `Ends` is never told
    r"^ trackStatus\.": True,  # what race control says after the flag
    r"^live/timing .*\.(rt|st|ko|dz|ip)$|^drivers/\S+ status$": True,  # no retirements
    # Instants of the documents themselves: when what was told last.
    r"^\S* at$": True,
    # A gap is told every four seconds; the one at the line is that old.
    r"^laps/.*\.(gapToLeaderMs|lapsDown)$": True,
    # Race control dates what it says to the second; so are the statuses made of it.
    r"^laps/.*\.trackStatuses\.": True,
    # A stop has one instant and a length, of two clocks.
    r"^drivers/\S+ pitStops\..*\.inAt$": 1_000,
    # Cars that leave the pits for the grid.
    r"^laps/1 .*\.pitOut$": True,
}


def of_the_retired(numbers: set[str]) -> dict[str, Any]:
    """The lap a car stopped on, and a stop it never drove out of: OpenF1 has no row that ends them."""
    return {
        pattern: True
        for number in numbers
        for pattern in (
            rf"^laps/\d+ drivers\.{number}\.",
            rf"^drivers/{number} (pitStops|stints)\.",
            rf"^live/timing lines\.{number}\.",
        )
    }


def read(rows: Rows) -> SessionState:
    with serving(rows, since_ms=100_000_000) as (server, clock):
        source = past(server, clock, rows.session)
        state = played(source.session, source.messages())
        assert source.rejected == {}
    assert state.rejected == {}
    return state


@pytest.fixture(scope="module")
def race_read(race: Told) -> SessionState:
    return read(race.rows)


@pytest.fixture(scope="module")
def sprint_read(sprint: Told) -> SessionState:
    return read(sprint.rows)


def test_documents_of_a_simulated_race_are_those_of_its_recording(race: Told, race_read: SessionState) -> None:
    allowed = of_the_retired(race.retired) | NOT_IN_OPENF1
    assert differences(documents(race.state), documents(race_read), allowed) == []


def test_documents_of_a_real_sprint_are_those_of_its_recording(sprint: Told, sprint_read: SessionState) -> None:
    assert differences(documents(sprint.state), documents(sprint_read), NOT_IN_OPENF1) == []


def laps_of(state: SessionState) -> dict[tuple[str, int], tuple[Any, ...]]:
    return {
        (car.number, lap.number): (lap.time, *lap.sectors, lap.started_at, lap.ended_at)
        for car in state.data.cars.values()
        for lap in car.laps.values()
        if lap.finished
    }


def test_every_lap_is_there_once_and_exact_to_the_millisecond(race: Told, race_read: SessionState) -> None:
    assert laps_of(race_read) == laps_of(race.state)


def test_every_lap_of_a_real_sprint_is_there_once_and_exact(sprint: Told, sprint_read: SessionState) -> None:
    found = laps_of(sprint_read)
    assert len(found) == 20 * 19
    assert found == laps_of(sprint.state)


@pytest.mark.parametrize("which", ["race", pytest.param("sprint", marks=pytest.mark.long)])
def test_statuses_are_those_the_feed_told(which: str, request: pytest.FixtureRequest) -> None:
    true: SessionState = request.getfixturevalue(which).state
    found: SessionState = request.getfixturevalue(f"{which}_read")
    for of in (session_statuses, track_statuses):
        ours, theirs = of(true), of(found)
        assert [status for _, status in theirs] == [status for _, status in ours]
        assert all(abs(a - b) <= 3_000 for (a, _), (b, _) in zip(ours, theirs, strict=True)), (ours, theirs)


def test_reading_from_a_cursor_goes_on_where_it_stopped(race: Told) -> None:
    with serving(race.rows, since_ms=100_000_000) as (server, clock):
        source = past(server, clock, race.rows.session)
        whole = list(source.messages())
        asked = len(server.asked)
        assert list(source.messages(700)) == whole[700:]
        assert [message.cursor for message in whole] == list(range(len(whole)))
        assert len(server.asked) == asked


def test_messages_are_in_order_of_their_instants(race: Told) -> None:
    with serving(race.rows, since_ms=100_000_000) as (server, clock):
        instants = [message.at for message in past(server, clock, race.rows.session).messages()]
    assert instants == sorted(instants)


def test_a_session_openf1_does_not_have_is_said(race: Told) -> None:
    with serving(race.rows, since_ms=100_000_000) as (server, clock), pytest.raises(NotInOpenF1, match="4711"):
        list(past(server, clock, "4711").messages())
