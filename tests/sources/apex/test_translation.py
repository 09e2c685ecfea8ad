"""Frames of Apex Timing as messages of kart timing."""

from __future__ import annotations

import pytest

from pitwall.karting import vocabulary
from tests.sources.apex.frames import AT, COLUMNS, DRIVEN, FRESH, Connection, grid, init, joined


def test_the_first_frame_tells_session_board_and_then_the_rest():
    told = Connection().frame(init(), grid({"r1": DRIVEN, "r2": FRESH}))
    assert [message.topic for message in told] == [vocabulary.SESSION, vocabulary.GRID, vocabulary.FLAG]
    session, board, flag = told
    assert session.snapshot
    assert session.data == {
        "Title": "6H of Nowhere", "Name": "Race", "Type": "Race", "Track": "Nowhere", "TrackLengthM": 987,
    }  # fmt: skip
    assert board.snapshot
    assert board.data["Lines"]["r1"] == {
        "Position": 1, "Status": "onTrack", "Number": "12", "Team": "Alpha", "LastLapMs": 65_295,
        "LastLapMark": "overall", "BestLapMs": 65_295, "Laps": 9, "StintMs": 600_000, "Stops": 1,
    }  # fmt: skip
    assert board.data["Lines"]["r2"] == {"Position": 2, "Status": "stopped", "Number": "12", "Team": "Alpha"}
    assert flag.data == {"Flag": "green"}
    assert {message.at for message in told} == {AT}


def test_a_board_without_a_lap_begins_a_session_afresh():
    (_, session), *_ = Connection().told(init(), grid({"r1": FRESH}))
    assert session["Fresh"] is True
    (_, session), *_ = Connection().told(init(), grid({"r1": DRIVEN}))
    assert "Fresh" not in session


@pytest.mark.parametrize(
    ("kind", "name", "type_"),
    [
        ("p", "Essais libres", "Practice"),
        ("p", "QUALIF - Q1: 10 Minutes", "Qualifying"),
        ("p", "Qualifiche 1° gruppo", "Qualifying"),
        ("p", "Cronometrados", "Qualifying"),
        ("r", "Qualifying race", "Race"),
        ("n", "", None),
    ],
)
def test_type_of_a_session(kind: str, name: str, type_: str | None):
    (_, session), *_ = Connection().told(init(kind, "", name), grid({}))
    assert session.get("Type") == type_


def test_a_title_alone_corrects_the_session():
    connection = joined()
    (message,) = connection.frame("title1||7H of Nowhere")
    assert (message.topic, message.data, message.snapshot) == (vocabulary.SESSION, {"Title": "7H of Nowhere"}, False)


def test_cells_come_before_the_crossing_they_are_of():
    told = joined().told("r1c1|su|", "r1c2||2", "r1c5|tn|1:06,3", "r1c8|in|10", "r2|#|1", "r1|*|65295|", "r1|#|2")
    assert told == [
        (vocabulary.LINES, {
            "r1": {"Status": "onTrack", "Position": 2, "LastLapMs": 66_300, "LastLapMark": None, "Laps": 10},
            "r2": {"Position": 1},
        }),
        (vocabulary.CROSSING, {"Row": "r1"}),
        (vocabulary.LINES, {"r1": {"Position": 2}}),
    ]  # fmt: skip


def test_a_crossing_without_a_time_says_so():
    assert joined().told("r1|*||") == [(vocabulary.CROSSING, {"Row": "r1", "NoLap": True})]
    assert joined().told("r1|*|98082|5606") == [(vocabulary.CROSSING, {"Row": "r1"})]


def test_pits():
    assert joined().told("r1c1|si|", "r1c10|in|2", "r1|*in|0") == [
        (vocabulary.LINES, {"r1": {"Status": "inPit", "Stops": 2}}),
        (vocabulary.PIT, {"Row": "r1", "In": True}),
    ]
    assert joined().told("r1|*out|0") == [(vocabulary.PIT, {"Row": "r1", "In": False})]
    assert joined().told("r1c9|to|2:48.") == [(vocabulary.LINES, {"r1": {"PitMs": 168_000}})]
    assert joined().told("r1c9|in|1:05") == [(vocabulary.LINES, {"r1": {"StintMs": 3_900_000}})]


def test_a_team_and_who_drives_take_turns_in_one_cell():
    connection = joined()
    assert connection.told("r1c4|drteam|A. Driver [0:29]") == [
        (vocabulary.LINES, {"r1": {"Driver": "A. Driver", "DriverMs": 1_740_000}})
    ]
    assert connection.told("r1c4|dr|Alpha ") == [(vocabulary.LINES, {"r1": {"Team": "Alpha"}})]


def test_under_a_header_of_drivers_a_name_is_the_driver_until_a_team_turns_up():
    columns = [(kind, "Pilota" if kind == "dr" else header) for kind, header in COLUMNS]
    connection = joined({"r1": DRIVEN}, columns)
    assert connection.told("r1c4|dr|A. Driver") == [(vocabulary.LINES, {"r1": {"Driver": "A. Driver"}})]
    connection.told("r1c4|drteam|B. Driver [0:01]")
    assert connection.told("r1c4|dr|Alpha") == [(vocabulary.LINES, {"r1": {"Team": "Alpha"}})]


def test_gaps_and_the_leaders_lap():
    connection = joined({"r1": DRIVEN})
    assert connection.told("r1c7|ib|1:02.387") == [(vocabulary.LINES, {"r1": {"GapMs": 62_387, "GapLaps": None}})]
    assert connection.told("r1c7|ib|5 Tours") == [(vocabulary.LINES, {"r1": {"GapMs": None, "GapLaps": 5}})]
    assert connection.told("r1c7|in|Tour 10") == [(vocabulary.LINES, {"r1": {"GapMs": None, "GapLaps": None}})]


def test_without_a_count_of_laps_the_leaders_gap_tells_the_lap():
    columns = [(kind, header) for kind, header in COLUMNS if kind != "tlp"]
    cells = [cell for (kind, _), cell in zip(COLUMNS, DRIVEN, strict=True) if kind != "tlp"]
    told = Connection().told(init(), grid({"r1": cells}, columns))
    assert told[-1] == (vocabulary.LAP_COUNT, {"Current": 9})


def test_clocks():
    tell = joined().told
    assert tell("dyn1|countdown|10785490") == [(vocabulary.CLOCK, {"RemainingMs": 10_785_490, "Running": True})]
    assert tell("dyn1|text|00:09:30") == [(vocabulary.CLOCK, {"RemainingMs": 570_000, "Running": False})]
    assert tell("dyn2|count|44988") == [(vocabulary.CLOCK, {"ElapsedMs": 44_988, "Running": True})]
    assert tell("dyn1|text|") == tell("dyn1|countdown|") == [(vocabulary.CLOCK, {})]
    assert tell("dyn1|text|Tour 9/10") == [(vocabulary.LAP_COUNT, {"Current": 9, "Total": 10})]
    assert tell("dyn1|text|Lap 23/1") == [(vocabulary.LAP_COUNT, {"Current": 23})]


def test_race_control_is_told_oldest_first():
    said = (
        '<p><b>08:42</b><span data-flag="penalty"></span><span class="com_no notc33023">18</span>Stop &amp; go</p>'
        '<p><b>07:50</b><span data-flag="green"></span>Départ</p>'
    )
    (message,) = joined().frame(f"com||{said}")
    assert message.snapshot
    assert message.data == {
        "Messages": [
            {"Message": "Départ", "Flag": "green", "Time": "07:50"},
            {"Message": "Stop & go", "Flag": "penalty", "Number": "18", "Time": "08:42"},
        ]
    }


@pytest.mark.parametrize(
    ("style", "css", "colour"),
    [
        ("css|no7|border-bottom-color:#4F4fff !important; color:#FFF", "no7", "4F4FFF"),
        ("best|hide|", "notc33023", "FF8000"),
        ("best|hide|", " no255", "FF0000"),
        ("best|hide|", "no7", None),
    ],
)
def test_colours_are_those_of_the_style_sheet_else_of_the_number(style: str, css: str, colour: str | None):
    cells = [f"{css}|12" if cell.endswith("|12") else cell for cell in DRIVEN]
    told = dict(Connection().told(init(), style, grid({"r1": cells})))
    assert told[vocabulary.GRID]["Lines"]["r1"].get("Colour") == colour


def test_every_grid_is_a_new_layout():
    connection = joined()
    assert connection.told("r1c5|tn|1:06.300")[0][1] == {"r1": {"LastLapMs": 66_300, "LastLapMark": None}}
    connection.frame(grid({"r1": ("3|", "12|")}, [("tlp", "Tours"), ("no", "Kart")]))
    assert connection.told("r1c1|in|4", "r1c5|tn|1:06.300") == [(vocabulary.LINES, {"r1": {"Laps": 4}})]
    assert connection.rejected == {"unknown-column": 1}


def test_best_sectors_shown_in_the_pits_are_no_sectors():
    connection = joined({"r1": ("|", "|")}, [("s1", "S1"), ("llp", "T")])
    assert connection.told("r1c1|ti|26.138") == [
        (vocabulary.LINES, {"r1": {"Sector1Ms": 26_138, "Sector1Mark": "personal"}})
    ]
    assert connection.told("r1c1|ib|3.359") == [(vocabulary.LINES, {"r1": {"Sector1Ms": None, "Sector1Mark": None}})]


def test_a_row_that_is_not_on_the_board_yet_is_not_lost():
    assert joined().told("r9c10|in|1") == [(vocabulary.LINES, {"r9": {"Stops": 1}})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GET / HTTP/1.1", "junk"),
        ("Host: 198.51.100.7:8040", "junk"),
        ("MGLNDD_198.51.100.7_8090", "junk"),
        ("\x16\x03\x01\x02\x00|\x01|\x00", "junk"),
        ("r1c5", "junk"),
        ("halt||", "unknown-command"),
        ("light|l9|", "unknown-light"),
        ("grid||<tbody></tbody>", "bad-grid"),
        ("gmt||x", "bad-gmt"),
        ("dyn1|countdown|soon", "bad-clock"),
        ("r1|#|first", "bad-position"),
        ("r1|*fly|", "unknown-event"),
        ("r1c2||first", "bad-position"),
        ("r1c5|tn|00.000", "bad-time"),
        ("r1c5|tn|soon", "bad-time"),
        ("r1c7|ib|?", "bad-gap"),
        ("r1c8|in|x", "bad-count"),
        ("r1c9|in|soon", "bad-time"),
        ("r1c99|in|1", "unknown-column"),
    ],
)
def test_what_cannot_be_used_is_counted_by_reason(line: str, reason: str):
    connection = joined()
    assert connection.told(line) == []
    assert connection.rejected == {reason: 1}


def test_cells_before_the_first_board_are_counted():
    connection = Connection()
    assert connection.told("r1c5|tn|1:05.295", "r1|*|65295|") == []
    assert connection.rejected == {"cell-before-grid": 1, "row-before-grid": 1}


def test_lines_that_say_nothing_of_timing_are_known():
    connection = joined()
    said = ("best|hide|", "effects||Effets", "comments||x", "wth1||", "msg||Meilleur Tour", "br2c3|in|6.7", "chp||")
    assert connection.told(*said, "gridb||<table>", "gridc||", "r1|*i1|", "") == []
    assert connection.rejected == {}
