"""Every real capture, played through parser, state machine and documents: what comes out is what its boards said.

The captures are at ../shared/recordings/karting; what a board said is read by `boards`, apart from the product's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.drivers import LapDocument
from pitwall.documents.encoding import to_fields
from pitwall.documents.schema import validate
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording
from tests.documents.test_schema import exported
from tests.karting.boards import Board, boards, milliseconds

pytestmark = pytest.mark.whole

CAPTURES = ("brignoles-qualifying", "los-santos-3h", "mariembourg", "misanino-sprints", "sevilla-categories")
AVERAGES = ("brignoles-qualifying", 2)
"""The second qualifying of Brignoles is decided by the average of five laps: `Meilleur T.` shows that."""
ANNULLED = {"r44173": 9, "r44011": 3}
"""Rows of Mariembourg that the timekeeper emptied, and how many laps were seen of each before: off the board, and
deleted in the documents."""


class Played:
    """A capture's documents, the last of each path, and its sessions in order."""

    def __init__(self, path: Path) -> None:
        source = open_recording(path)
        reducer = Reducer(source.session, "kart-track", source.name)
        self.documents: dict[str, Document] = {}
        self.sessions: list[str] = []
        for message in source.messages():
            self._take(reducer.offer(message))
        self._take(reducer.finish())
        self.rejected = source.rejected + reducer.rejected

    def _take(self, ticks: list[Any]) -> None:
        for tick in ticks:
            if tick.session not in self.sessions and tick.session.startswith("kart-track-"):
                self.sessions.append(tick.session)
            self.documents.update(tick.documents)

    def fields(self, path: str) -> dict[str, Any]:
        document = self.documents.get(path)
        return to_fields(document) if document is not None else {}

    def lap_times(self, session: str, number: str, deleted: bool = False) -> dict[int, int]:
        """Of one kart, by lap."""
        times = {}
        prefix = paths.laps(session) + "/"
        for path, document in self.documents.items():
            lap = getattr(document, "drivers", {}).get(number) if path.startswith(prefix) else None
            if lap is not None and (lap.deleted is True) == deleted:
                times[int(path.removeprefix(prefix))] = lap.lap_time_ms
        return dict(sorted(times.items()))


@cache
def _played(path: Path) -> tuple[Played, list[Board]]:
    return Played(path), boards(path)


@pytest.fixture(params=CAPTURES)
def played(request: pytest.FixtureRequest, kart_captures: Path) -> tuple[str, Played, list[Board]]:
    """Name, what PitWall made of it, and its boards."""
    return request.param, *_played(kart_captures / f"apex-{request.param}.jsonl.gz")


def by_session(played: tuple[str, Played, list[Board]]) -> Iterator[tuple[int, str, Played, Board]]:
    """Each session with its board. A board without a row makes no tower, but is a session all the same."""
    _, documents, told = played
    assert len(documents.sessions) == len(told)
    for index, (session, board) in enumerate(zip(documents.sessions, told, strict=True)):
        yield index, session, documents, board


def test_every_session_of_the_day_is_one(played: tuple[str, Played, list[Board]]):
    for _, session, documents, board in by_session(played):
        told = documents.fields(paths.session(session))
        assert told["series"] == "kart"
        assert told.get("name", "") in (board.title[2].partition("||")[2].strip(), told.get("meeting", {}).get("name"))
        assert (told["type"] == "Race") == board.title[0].startswith("init|r|")


def test_no_row_is_lost(played: tuple[str, Played, list[Board]]):
    for _, session, documents, board in by_session(played):
        numbers = {board.number(row) for row in board.rows}
        shown = documents.fields(paths.live(session, "timing")).get("lines", {})
        assert numbers == shown.keys()
        assert all(paths.driver(session, number) in documents.documents for number in shown)


def test_position_last_lap_and_laps_are_those_of_the_board(played: tuple[str, Played, list[Board]]):
    compared = 0
    for _, session, documents, board in by_session(played):
        lines = documents.fields(paths.live(session, "timing")).get("lines", {})
        for row in board.rows:
            number = board.number(row)
            if number not in lines:
                continue
            line = lines[number]
            place = board.text(row, "rk") or board.places[row]
            assert (row, line.get("p")) == (row, int(place))
            assert (row, line.get("l")) == (row, milliseconds(board.text(row, "llp")))
            if board.has("tlp"):
                assert (row, line.get("n")) == (row, int(board.text(row, "tlp")) if board.text(row, "tlp") else 0)
            compared += 1
    assert compared > 20


def test_laps_are_all_there_with_the_times_of_the_board(played: tuple[str, Played, list[Board]]):
    """Where the board counts laps; equal ones included, of which it repeats no time."""
    name, *_ = played
    equal = laps = 0
    for _, session, documents, board in by_session(played):
        if not board.has("tlp"):
            continue
        for row in board.rows:
            times = documents.lap_times(session, board.number(row))
            told = [milliseconds(text) for text in board.counted.get(row, [])]
            count = int(board.text(row, "tlp") or 0)
            if count:
                first = count - len(told) + 1
                assert {n: time for n, time in times.items() if n >= first} == dict(enumerate(told, start=first))
            assert len(told) >= len(times) - 1  # the lap before the capture began is on its first board
            laps += len(told)
            equal += sum(before == after for before, after in pairwise(told))
    assert (laps, equal) == {
        "brignoles-qualifying": (1143, 2),
        "los-santos-3h": (602, 3),
        "misanino-sprints": (1816, 1),
    }.get(name, (0, 0))


def test_laps_without_a_count_are_those_of_the_crossings(played: tuple[str, Played, list[Board]]):
    """Where the board does not count: a lap for every change of the last lap, and those that equal the one before."""
    name, *_ = played
    more = {}
    for _, session, documents, board in by_session(played):
        if board.has("tlp"):
            continue
        for row in board.rows:
            if name == "mariembourg" and row in ANNULLED:
                continue
            changes = [milliseconds(text) for text in board.counted.get(row, [])]
            times = list(documents.lap_times(session, board.number(row)).values())
            changed = [time for before, time in zip([None, *times], times, strict=False) if time != before]
            assert (row, changed[len(changed) - len(changes) :]) == (row, changes)
            more.update({row: len(times) - len(changes)} if len(times) != len(changes) else {})
    assert more == {
        "mariembourg": {"r44010": 1},
        "sevilla-categories": {"r250": 1, "r261": 1},
    }.get(name, {})


def test_best_laps_are_those_of_the_board(played: tuple[str, Played, list[Board]]):
    name, *_ = played
    compared = 0
    for index, session, documents, board in by_session(played):
        lines = documents.fields(paths.live(session, "tyres")).get("lines", {})
        for row in board.rows:
            number = board.number(row)
            told = milliseconds(board.text(row, "blp"))
            if number not in lines or not board.has("blp"):
                continue
            best = lines[number].get("bestLapMs")
            if (name, index) == AVERAGES and told is not None:
                laps = [milliseconds(text) for text in board.counted[row]]
                assert best == min(time for time in laps if time is not None)
            else:
                assert (row, best) == (row, told)
            number_of_best = lines[number].get("bestLap")
            if number_of_best is not None:
                assert documents.lap_times(session, number)[number_of_best] == best
            compared += best is not None
    assert compared > 20 or name == "sevilla-categories"


def test_races_end_in_the_order_of_laps_and_crossings(kart_captures: Path):
    """What the laps say by themselves: who has more of them, then who completed them first."""
    documents, told = _played(kart_captures / "apex-misanino-sprints.jsonl.gz")
    races = 0
    for session, board in zip(documents.sessions, told, strict=True):
        status = documents.fields(paths.session(session))
        if status["type"] != "Race" or status["status"] != "Finished" or not board.counted:
            continue
        last: dict[str, tuple[int, Any]] = {}
        for row in board.rows:
            number = board.number(row)
            if times := documents.lap_times(session, number):
                lap = documents.documents[paths.lap(session, max(times))]
                assert isinstance(lap, LapDocument)
                last[number] = (-max(times), lap.drivers[number].ended_at)
        lines = documents.fields(paths.live(session, "timing"))["lines"]
        assert sorted(last, key=lambda number: last[number]) == sorted(last, key=lambda number: lines[number]["p"])
        races += 1
    assert races == 4


def test_grid_is_built_anew_at_every_layout(kart_captures: Path):
    told = {name: _played(kart_captures / f"apex-{name}.jsonl.gz")[1] for name in CAPTURES}
    assert sum(board.grids for boards_ in told.values() for board in boards_) == 52
    assert len({tuple(board.types.items()) for boards_ in told.values() for board in boards_}) == 6


def test_what_is_not_read_is_what_strangers_sent(played: tuple[str, Played, list[Board]]):
    name, documents, _ = played
    assert dict(documents.rejected) == {
        "los-santos-3h": {"junk": 1},
        "misanino-sprints": {"junk": 41},
        # A crossing told again with a penalty; the time says that no lap has ended.
        "mariembourg": {"crossing-without-lap": 1},
        # The capture begins in mid-session, an hour before its first grid.
        "sevilla-categories": {"cell-before-grid": 70, "row-before-grid": 47},
    }.get(name, {})


def test_laps_taken_off_the_board_are_deleted(kart_captures: Path):
    documents, (board,) = _played(kart_captures / "apex-mariembourg.jsonl.gz")
    (session,) = documents.sessions
    for row, laps in ANNULLED.items():
        number = board.number(row)
        assert documents.lap_times(session, number) == {}
        assert len(documents.lap_times(session, number, deleted=True)) == laps
        assert "bestLapMs" not in documents.fields(paths.live(session, "tyres"))["lines"][number]


def test_documents_validate(played: tuple[str, Played, list[Board]]):
    _, documents, _ = played
    kinds = {path.split("/")[2] if path.count("/") > 1 else "" for path in documents.documents}
    assert {"", "live", "laps", "drivers", "sessionStatus"} <= kinds
    for path, document in documents.documents.items():
        validate(path, exported(document))
