"""Who comes late gets the board as it is: what a relay's board says is what all it has sent before it says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from local.karts.boards import ApexBoard, Board, LineBoard
from local.karts.programme import END, KartProgramme, KartRecord
from pitwall.karting import vocabulary
from pitwall.message import Message
from pitwall.sources.apex.translation import Translation
from pitwall.sources.rmonitor.translation import Translation as LineTranslation
from tests.local.karts.asking import FIRST, PACKET, frame, packet

TOLD_ONCE = {"Stops", "DriverMs", "StintMs", "PitMs", "Driver", "Team", "Status", "Fresh"}
"""What a board shows by turns in one cell: a row knows both, the board at any moment one."""


def silent(_reason: str) -> None:
    """Junk of scanners is in the captures."""


class Known:
    """What somebody knows of a track's session who has read some messages."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.session: dict[str, Any] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        for message in messages:
            if message.topic == vocabulary.SESSION:
                self.session = ({} if message.snapshot else self.session) | message.data
            elif message.topic == vocabulary.GRID:
                self.rows = {row: dict(line) for row, line in message.data["Lines"].items()}
            elif message.topic == vocabulary.LINES:
                for row, line in message.data.items():
                    self.rows[row] = self.rows.get(row, {}) | line
        self.session.pop("Fresh", None)

    def lines(self) -> dict[str, dict[str, Any]]:
        return {
            row: {name: told for name, told in line.items() if told is not None and name not in TOLD_ONCE}
            for row, line in self.rows.items()
        }


def read(records: Iterable[Any], line: bool) -> Iterable[Message]:
    if line:
        translation = LineTranslation(silent)
        for record in records:
            yield from translation.read(record.text.split(END), record.at)
        return
    frames = Translation(silent)
    for record in records:
        yield from frames.frame(record.text, record.at)


def at_the_end(records: list[Any], board: Board) -> tuple[Known, Known]:
    """Who has read all of it, and who comes now."""
    for record in records:
        board.apply(record)
    last, line = records[-1], isinstance(board, LineBoard)
    late = KartRecord(board.whole(last.offset), last.at, last.offset, 0)
    beat = [KartRecord('$F,9999,"00:00:00","12:00:00","00:01:00","Green "', last.at, last.offset, 1)] if line else []
    return Known(read([*records, *beat], line)), Known(read([late, *beat], line))


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize(
    "name",
    [
        "apex-los-santos-3h.jsonl.gz",
        "apex-sevilla-categories.jsonl.gz",
        pytest.param("apex-misanino-sprints.jsonl.gz", marks=pytest.mark.long),
        pytest.param("apex-brignoles-qualifying.jsonl.gz", marks=pytest.mark.long),
        pytest.param("apex-mariembourg.jsonl.gz", marks=pytest.mark.long),
    ],
)
def test_late_comer_to_a_real_track_knows_what_everybody_knows(kart_captures: Path, name: str, share: float):
    records = list(KartProgramme(kart_captures / name, None, None))
    knows, late = at_the_end(records[: round(len(records) * share)], ApexBoard())
    assert late.session == knows.session
    assert late.lines() == knows.lines()


@pytest.mark.parametrize("name", ["redmist_TestMissingLaps.txt.gz", "bradfier_2009_Sebring_ALMS_Session_4.txt.gz"])
def test_late_comer_to_a_real_circuit_knows_its_classification(kart_captures: Path, name: str):
    knows, late = at_the_end(list(KartProgramme(kart_captures / name, None, None)), LineBoard())
    assert late.session["Run"] == knows.session["Run"]
    told = {row: classified(line) for row, line in late.rows.items()}
    # Laps taken off as a penalty before somebody came are not told as laps driven.
    punished = {row for row, line in knows.rows.items() if line.get("Penalty")}
    for row, line in knows.rows.items():
        assert told.pop(row) | ({"Laps": line["Laps"]} if row in punished else {}) == classified(line)
    assert told == {}
    assert len(knows.rows) > 10


def classified(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line.get(name) for name in ("Number", "Position", "Laps", "BestLapMs", "Team", "Category")}


def test_cells_places_and_clocks_of_a_board_are_those_of_now():
    board = ApexBoard()
    for n, text in enumerate((FIRST, "GET / HTTP/1.1\r\n", frame(7))):
        board.apply(KartRecord(text, n * 1000, n * 1000, n))
    told = board.whole(60_000).split("\n")
    assert "dyn1|countdown|540000" in told
    html = next(line for line in told if line.startswith("grid|"))
    assert html.index('<tr data-id="r2" data-pos="1">') < html.index('<tr data-id="r1" data-pos="2">')
    assert '<td data-id="r2c5" class="tn">1:07.000</td>' in html
    assert '<td data-id="r1c5" class="tb">1:05.295</td>' in html
    assert not any("GET" in line for line in told)


def test_another_session_leaves_nothing_of_the_one_before():
    frames, lines = ApexBoard(), LineBoard()
    other = f"{FIRST.split('title1')[0]}title1||Other\n{FIRST[FIRST.index('grid') :]}"
    for n, text in enumerate((FIRST, frame(1), other)):
        frames.apply(KartRecord(text, n, n, n))
    assert frames.whole(2) == other
    for n, text in enumerate((PACKET, packet(1), f'$B,6,"Race 2"{END}$A,"1","9",1,"Cy","Gamma","",1{END}')):
        lines.apply(KartRecord(text, n, n, n))
    told = lines.whole(2)
    assert '$B,6,"Race 2"' in told
    assert [line for line in told.split(END) if line.startswith(("$A", "$G", "$H"))] == [
        '$A,"1","9",1,"Cy","Gamma","",1'
    ]
    lines.apply(KartRecord(f'$I,"12:00:00","01 Jan 30"{END}', 3, 3, 3))
    assert lines.whole(3) == f'$I,"12:00:00","01 Jan 30"{END}'
