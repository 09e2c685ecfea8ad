"""Statuses of session and track, from nothing but what race control said."""

from __future__ import annotations

from typing import Any

import pytest

from pitwall.sources.openf1.statuses import Statuses

OPEN = {"Flag": "GREEN", "Scope": "Track", "Category": "Flag", "Message": "GREEN LIGHT - PIT EXIT OPEN"}
CLOSED = {"Category": "Other", "Message": "PIT EXIT CLOSED"}
RED = {"Flag": "RED", "Scope": "Track", "Category": "Flag", "Message": "RED FLAG"}
CHEQUERED = {"Flag": "CHEQUERED", "Scope": "Track", "Category": "Flag", "Message": "CHEQUERED FLAG"}
CLEAR = {"Flag": "CLEAR", "Scope": "Track", "Category": "Flag", "Message": "TRACK CLEAR"}


def sector(flag: str, number: int) -> dict[str, Any]:
    said = f"{flag} IN TRACK SECTOR {number}"
    return {"Flag": flag, "Scope": "Sector", "Sector": number, "Category": "Flag", "Message": said}


def car(said: str) -> dict[str, Any]:
    return {"Category": "SafetyCar", "Message": said}


def heard(statuses: Statuses, *messages: dict[str, Any], start_known: bool = False) -> list[tuple[str, str]]:
    """Session and track after each message."""
    after = []
    for at, message in enumerate(messages, start=1):
        statuses.heard(message, at, at, start_known)
        after.append((statuses.session, statuses.track))
    return after


def test_practice_starts_when_the_pit_exit_opens_and_ends_with_the_flag() -> None:
    told = heard(Statuses(race=False, qualifying=False), OPEN, CHEQUERED)
    assert [session for session, _ in told] == ["Started", "Finished"]


def test_a_race_starts_with_the_green_light_after_the_pit_exit_was_closed() -> None:
    told = heard(Statuses(race=True, qualifying=False), OPEN, CLOSED, OPEN)
    assert [session for session, _ in told] == ["Inactive", "Inactive", "Started"]


def test_a_race_whose_first_lap_has_a_start_waits_for_that() -> None:
    statuses = Statuses(race=True, qualifying=False)
    heard(statuses, CLOSED, OPEN, start_known=True)
    assert statuses.session == "Inactive"
    statuses.start(17)
    assert (statuses.session, statuses.started_at) == ("Started", 17)


def test_a_red_flag_stops_and_the_green_light_restarts() -> None:
    told = heard(Statuses(race=False, qualifying=False), OPEN, RED, OPEN)
    assert told == [("Started", "1"), ("Aborted", "5"), ("Started", "1")]


def test_a_rolling_start_restarts_where_the_green_light_was_not_sent() -> None:
    told = heard(Statuses(race=True, qualifying=False), CLOSED, OPEN, RED, CLEAR, {"Message": "ROLLING START"})
    assert told[-2:] == [("Aborted", "1"), ("Started", "1")]


@pytest.mark.parametrize("phases", [(1, 2, 3), (None, None, None)])
def test_qualifying_has_three_parts_told_or_counted(phases: tuple[int | None, ...]) -> None:
    statuses = Statuses(race=False, qualifying=True)
    parts = []
    for phase in phases:
        heard(statuses, {**OPEN, "QualifyingPhase": phase}, {**CHEQUERED, "QualifyingPhase": phase})
        parts.append((statuses.part, statuses.session))
    assert parts == [(1, "Finished"), (2, "Finished"), (3, "Finished")]


def test_the_track_is_yellow_until_the_last_yellow_sector_is_clear() -> None:
    messages = sector("YELLOW", 5), sector("DOUBLE YELLOW", 6), sector("CLEAR", 5), sector("CLEAR", 6)
    told = heard(Statuses(race=True, qualifying=False), *messages)
    assert [track for _, track in told] == ["2", "2", "2", "1"]


def test_a_safety_car_outweighs_yellow_sectors_until_the_track_is_clear() -> None:
    messages = sector("YELLOW", 5), car("SAFETY CAR DEPLOYED"), sector("CLEAR", 5), car("SAFETY CAR IN THIS LAP"), CLEAR
    told = heard(Statuses(race=True, qualifying=False), *messages)
    assert [track for _, track in told] == ["2", "4", "4", "4", "1"]


def test_a_virtual_safety_car_ends_before_the_track_is_clear() -> None:
    messages = car("VIRTUAL SAFETY CAR DEPLOYED"), car("VIRTUAL SAFETY CAR ENDING"), CLEAR
    told = heard(Statuses(race=True, qualifying=False), *messages)
    assert [track for _, track in told] == ["6", "7", "1"]


def test_what_says_nothing_of_a_status_changes_none() -> None:
    statuses = Statuses(race=True, qualifying=False)
    assert statuses.heard({"Category": "Other", "Message": "RISK OF RAIN FOR F1 RACE IS 0%"}, 1, 1, False) == []
