"""What lines of RMonitor and Race Monitor mean, in messages of kart timing."""

from __future__ import annotations

from pitwall.karting import vocabulary
from tests.sources.rmonitor.lines import AT, BOARD, DRIVEN, FRESH, Connection, beat, joined


def test_the_board_is_told_whole_at_the_heartbeat_after_it():
    connection = Connection()
    assert connection.read(*BOARD, *DRIVEN) == []
    session, grid, flag, clock = connection.read(beat())
    assert (session.topic, session.snapshot, grid.topic, grid.snapshot) == (
        vocabulary.SESSION, True, vocabulary.GRID, True,
    )  # fmt: skip
    assert session.data == {
        "Title": "", "Name": "Race 1", "Run": "5", "Type": "Race", "Track": "Nowhere", "GmtOffset": "01:00:00",
    }  # fmt: skip
    assert grid.data["Lines"]["1001"] == {
        "Number": "7", "Driver": "Ann Alpha", "Team": "Team A", "Category": "Senior", "Nation": "FRA",
        "Position": 1, "Laps": 5, "TotalMs": 310_000, "BestLapMs": 60_100, "BestLap": 3,
    }  # fmt: skip
    assert grid.data["Lines"]["1002"]["Driver"] == "Ben Beta, Jr"
    assert grid.data["Lines"]["1002"]["Number"] == "012"
    assert flag.data == {"Flag": "green"}
    assert clock.data == {"RemainingMs": 1_800_000, "ElapsedMs": 0, "Running": True}


def test_a_heartbeat_before_the_board_tells_nothing():
    assert Connection().read(beat(), beat(1)) == []


def test_a_board_without_heartbeats_is_told_after_a_while():
    connection = Connection()
    assert connection.read(*BOARD, *DRIVEN) == []
    assert connection.read(BOARD[0], at=AT + 5_000) == []
    session, grid = connection.read(BOARD[0], at=AT + 5_001)
    assert (session.topic, list(grid.data["Lines"])) == (vocabulary.SESSION, ["1001", "1002"])


def test_a_lap_is_told_with_its_count_and_the_line_before_it():
    told = joined().told('$J,"1001","00:01:02.000","00:06:12.000"', '$G,2,"1001",6,"00:06:12.000"')
    assert told == [
        (vocabulary.LINES, {"1001": {"Position": 2, "Laps": 6, "TotalMs": 372_000, "LastLapMs": 62_000}}),
        (vocabulary.CROSSING, {"Row": "1001", "Laps": 6, "LapMs": 62_000, "TotalMs": 372_000}),
    ]


def test_laps_of_equal_time_are_laps():
    connection = joined()
    for lap, total in ((6, "00:06:10.000"), (7, "00:07:10.000")):
        passing = f'$J,"1001","00:01:00.000","{total}"'
        assert len(connection.crossings(passing, f'$G,1,"1001",{lap},"{total}"')) == 1


def test_the_first_passing_ends_no_lap_and_one_before_the_start_is_none():
    connection = joined(*FRESH)
    assert connection.crossings('$J,"1001","00:00:00.000","00:00:00.000"', FRESH[0], beat(1)) == []
    assert connection.crossings('$J,"1001","00:00:00.000","00:00:09.500"', '$G,1,"1001",,"00:00:09.500"') == [
        {"Row": "1001", "NoLap": True, "TotalMs": 9_500}
    ]


def test_a_passing_that_is_not_counted_ends_no_lap():
    """Sebring 2009 under red, Road America 2025 after the flag."""
    told = joined().told('$J,"1001","00:03:00.000","00:05:10.000"', DRIVEN[0], beat(1))
    assert [topic for topic, _ in told] == []


def test_a_lap_counted_without_its_passing_has_the_difference_of_the_totals():
    assert joined().crossings('$G,1,"1001",6,"00:06:11.250"') == [
        {"Row": "1001", "Laps": 6, "LapMs": 61_250, "TotalMs": 371_250}
    ]
    assert joined().crossings('$G,1,"1001",7,"00:07:11.250"') == []


def test_a_time_told_anew_corrects_the_lap():
    connection = joined()
    connection.read('$J,"1001","00:01:02.080","00:06:12.080"', '$G,1,"1001",6,"00:06:12.080"')
    assert connection.crossings('$J,"1001","00:01:02.000","00:06:12.000"', '$G,1,"1001",6,"00:06:12.000"') == [
        {"Row": "1001", "Laps": 6, "LapMs": 62_000, "TotalMs": 372_000}
    ]


def test_a_passing_without_a_count_is_told_at_the_heartbeat():
    assert joined().crossings('$J,"1001","00:01:02.000","00:06:12.000"', beat(1)) == [
        {"Row": "1001", "LapMs": 62_000, "TotalMs": 372_000}
    ]


def test_laps_taken_off_as_a_penalty_are_still_driven():
    connection = joined('$G,1,"1001",-3,"00:00:30.000"', '$G,2,"1002",5,"00:05:12.500"')
    told = dict(connection.told('$J,"1001","00:01:00.000","00:01:30.000"', '$G,2,"1001",-2,"00:01:30.000"'))
    assert told[vocabulary.LINES]["1001"]["Laps"] == 1
    assert told[vocabulary.CROSSING]["Laps"] == 1
    assert connection.told('$G,3,"1002",3,"00:05:12.500"') == [
        (vocabulary.LINES, {"1002": {"Position": 3, "Penalty": "2 laps"}})
    ]
    assert connection.told('$G,2,"1002",5,"00:05:12.500"') == [
        (vocabulary.LINES, {"1002": {"Position": 2, "Penalty": None}})
    ]


def test_a_lap_that_is_annulled_goes_with_its_total():
    assert joined().told('$G,2,"1001",4,"00:04:10.000"') == [
        (vocabulary.LINES, {"1001": {"Position": 2, "Laps": 4, "TotalMs": 250_000}})
    ]


def test_gaps_of_a_race_are_by_the_totals():
    connection = joined()
    connection.read('$G,1,"1001",6,"00:06:11.000"')
    told = dict(connection.told('$G,2,"1002",6,"00:06:13.750"'))
    line = told[vocabulary.LINES]["1002"]
    assert (line["GapMs"], line["IntervalMs"]) == (2_750, 2_750)
    connection.read('$G,1,"1001",7,"00:07:11.000"', '$G,1,"1001",8,"00:08:11.000"')
    told = dict(connection.told('$G,2,"1002",7,"00:08:13.000"'))
    line = told[vocabulary.LINES]["1002"]
    assert (line["GapMs"], line["GapLaps"], line["IntervalLaps"]) == (None, 1, 1)
    told = dict(connection.told('$G,1,"1002",9,"00:09:13.000"'))
    assert told[vocabulary.LINES]["1002"]["GapLaps"] is None


def test_gaps_of_a_practice_are_to_the_best_lap():
    connection = Connection()
    messages = connection.read(*BOARD, *DRIVEN, '$B,5,"Practice"', beat())
    lines = messages[1].data["Lines"]
    assert ("GapMs" in lines["1001"], lines["1002"]["GapMs"]) == (False, 100)
    told = dict(connection.told('$H,1,"1001",6,"00:00:59.900"'))
    assert told[vocabulary.LINES]["1002"] == {"GapMs": 300}


def test_a_reset_in_mid_session_goes_on_with_it():
    connection = joined()
    connection.read('$J,"1001","00:01:02.000","00:06:12.000"', '$G,1,"1001",6,"00:06:12.000"')
    assert connection.read('$I, "00:00:00", "0/0/0000"', *BOARD) == []
    session, grid, *_ = connection.read(
        '$G,1,"1001",6,"00:06:12.000"', '$G,2,"1002",6,"00:06:13.500"', DRIVEN[2], beat(2)
    )
    assert (session.data["Run"], "Fresh" in session.data) == ("5", False)
    lines = grid.data["Lines"]
    assert (lines["1001"]["Laps"], lines["1001"]["LastLapMs"]) == (6, 62_000)
    assert (lines["1002"]["Laps"], lines["1002"]["LastLapMs"]) == (6, 61_000)  # missed: by the totals


def test_a_row_that_does_not_come_back_after_a_reset_is_gone():
    connection = joined()
    messages = connection.read("$I", *BOARD, DRIVEN[0], *('$A,"1003","9",3,"C","","",1',), beat(1))
    assert list(messages[1].data["Lines"]) == ["1001", "1002", "1003"]
    messages = connection.read("$I", BOARD[0], BOARD[4], DRIVEN[0], beat(1))
    assert list(messages[1].data["Lines"]) == ["1001"]


def test_a_run_that_is_started_anew_is_fresh():
    connection = joined()
    session, _, flag, clock = connection.read("$I", *BOARD, *FRESH, beat(1))
    assert session.data["Fresh"] is True
    assert (flag.topic, clock.topic) == (vocabulary.FLAG, vocabulary.CLOCK)


def test_another_run_is_another_session():
    connection = joined()
    assert connection.read('$I,"13:20:00","01 Jan 30"', beat(1, flag="      ")) == []
    session, grid, flag = connection.read('$B,6,"Q1"', '$E,"TRACKNAME","Nowhere"', beat(2, "      ", "00:00:00"))
    assert (session.data["Run"], session.data["Type"]) == ("6", "Qualifying")
    assert grid.data["Lines"] == {}
    assert flag.data == {"Flag": "none"}


def test_another_run_without_a_reset_is_another_session_too():
    connection = joined()
    told = connection.read('$B,6,"Race 2"', BOARD[0], beat(1))
    assert [(message.topic, message.snapshot) for message in told[:2]] == [
        (vocabulary.SESSION, True), (vocabulary.GRID, True),
    ]  # fmt: skip
    assert told[1].data["Lines"]["1001"] == {
        "Number": "7", "Driver": "Ann Alpha", "Category": "Senior", "Nation": "FRA",
    }  # fmt: skip


def test_a_run_named_late_is_the_same_session():
    connection = Connection()
    connection.read(BOARD[0], FRESH[0], beat())
    (message,) = connection.read('$B,5,"Race 1"')
    assert (message.topic, message.snapshot, message.data["Name"]) == (vocabulary.SESSION, False, "Race 1")


def test_practice_is_in_the_order_of_best_laps_and_a_race_is_not():
    rows = ('$G,1,"1001",5,"00:05:10.000"', '$H,2,"1001",3,"00:01:00.100"')
    for name, place in (("Practice", 2), ("Race 1", 1), ("Session", 1)):
        connection = Connection()
        messages = connection.read(BOARD[0], f'$B,5,"{name}"', *rows, beat())
        assert messages[1].data["Lines"]["1001"]["Position"] == place
    told = dict(connection.told('$RMS,"qualifying"'))
    assert told == {vocabulary.SESSION: {"Type": "Practice"}, vocabulary.LINES: {"1001": {"Position": 2}}}


def test_race_monitor_sends_everybodys_last_lap_on_connect():
    connection = Connection()
    told = connection.read(
        '$RMDTL,""', "$RMCA,1893500000000", *BOARD, *DRIVEN, '$J,"1001","00:01:01.000","00:05:10.000"', '$RMS,"race"',
        "$RMLT,1001,1893499999000", beat(),
    )  # fmt: skip
    assert told[1].data["Lines"]["1001"]["LastLapMs"] == 61_000
    assert not [message for message in told if message.topic == vocabulary.CROSSING]


def test_race_monitors_history_tells_laps_by_number():
    assert joined().crossings('$RMHL,"1001","2","1","00:01:00.746","Green ","00:02:15.231"') == [
        {"Row": "1001", "Laps": 2, "LapMs": 60_746, "TotalMs": 135_231}
    ]
    assert joined().crossings('$RMHL,"1001","0","1","00:00:00.000","Green ","00:00:15.231"') == []


def test_flags_are_told_when_they_change():
    connection = joined()
    assert connection.told(beat(1)) == []
    told = connection.told(beat(2, "Yellow"), beat(3, "Purple"), beat(4, "Finish"), beat(5, "Plaid "))
    assert [data["Flag"] for topic, data in told if topic == vocabulary.FLAG] == ["yellow", "code60", "chequered"]
    assert connection.rejected == {"unknown-flag": 1}


def test_the_clock_is_told_when_it_is_not_where_it_would_be():
    connection = joined()
    assert connection.told(beat(60, to_go="00:29:00"), at=AT + 60_000) == []
    told = connection.told(beat(61, to_go="00:20:00"), at=AT + 61_000)
    assert told == [(vocabulary.CLOCK, {"RemainingMs": 1_200_000, "ElapsedMs": 61_000, "Running": True})]


def test_laps_to_go_make_the_number_of_laps():
    connection = joined()
    told = connection.told(beat(0, laps=10), beat(1, laps=10), beat(2, laps=10))
    assert told == [(vocabulary.LAP_COUNT, {"Current": 5, "Total": 15})]


def test_who_drives_may_change():
    told = joined().told('$A,"1001","7",5001,"","Cy Gamma","",1', '$COMP,"1001","7",1,"","Cy Gamma","","Team A"')
    assert told == [(vocabulary.LINES, {"1001": {"Driver": "Cy Gamma", "Nation": None}})]


def test_a_class_may_be_named_late():
    assert joined().told('$C,2,"Cadet"') == [(vocabulary.LINES, {"1002": {"Category": "Cadet"}})]


def test_a_corrected_total():
    told = joined().told('$COR,"1001","7",5,"00:05:15.000","+00:00:05.000"')
    assert told == [(vocabulary.LINES, {"1001": {"TotalMs": 315_000}})]


def test_registrations_need_not_be_numbers():
    told = dict(joined().told('$G,3,"Tx4667026",,"00:00:00.000"'))
    assert told[vocabulary.LINES]["Tx4667026"] == {"Number": "Tx4667026", "Position": 3, "Laps": 0}


def test_what_a_field_should_not_hold_is_counted():
    connection = joined()
    told = connection.told(
        '$G,x,"1001",6,"00:06:00"', '$J,"1001","fast",""', '$G,1,"",6,"00:06:00"', '$H,1,"1001",b,""',
        '$RMHL,"1001","two"', '$F,,"","","","?"',
    )  # fmt: skip
    assert told == []
    assert connection.rejected == {
        "bad-race-record": 1, "bad-time": 1, "bad-registration": 1, "bad-best-record": 1, "bad-history-record": 1,
        "unknown-flag": 1, "bad-clock": 1,
    }  # fmt: skip
