"""The terminal tower: what it knows from documents, how it draws them, and its lines off a terminal."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from rich.segment import Segment

from local.tower import LiveTower, PlainTower, TowerModel, render, text
from local.tower.__main__ import main
from local.tower.model import STALE_MS, Known
from local.tower.table import COLUMNS, OVERALL, PERSONAL, TYRES, columns_for
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording

pytestmark = pytest.mark.whole

START = datetime(2025, 7, 6, 14, 0, tzinfo=UTC)
WALL = 1_900_000_000_000
"""A wall clock far from the feed's, as when a recording is played."""
KEY = "9999"


def instant(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Wall:
    """A wall clock the test sets."""

    def __init__(self) -> None:
        self.ms = WALL

    def __call__(self) -> int:
        return self.ms


def session(**fields: Any) -> dict[str, Any]:
    return {
        "at": instant(600),
        "series": "f1",
        "meeting": {"name": "Test Grand Prix"},
        "name": "Race",
        "type": "Race",
        "status": "Started",
        "lapCount": {"current": 12, "total": 57},
        "trackStatus": {"code": "4", "message": "SCDeployed"},
        "clock": {"remainingMs": 3_600_000, "running": True, "at": instant(0)},
        "weather": {"airTemp": 24.5, "trackTemp": 38.2, "rainfall": True, "windSpeedKph": 9.4},
        **fields,
    }


LINES: dict[str, dict[str, Any]] = {
    "22": {"p": 4, "ld": 1, "il": 1, "n": 10, "l": 83_000, "ip": True},
    "4": {"p": 2, "g": 1_234, "i": 1_234, "n": 11, "l": 81_900, "lb": "p", "s1": 27_001, "b1": "o", "s2": 31_000},
    "7A": {"p": 1, "n": 11, "l": 81_345, "lb": "o", "s1": 27_100, "b1": "p", "s2": 62_123, "s3": 26_000},
    "16": {"p": 3, "g": 62_345, "i": 61_111, "n": 11, "l": 84_000, "po": True},
    "99": {"p": 5, "g": 5_555, "i": 777, "n": 3, "rt": True},
}
ENTRIES = {
    "7A": {"tla": "ABC", "teamColour": "FF8000", "teamName": "Alpha", "broadcastName": "A ABCDE", "grid": 3},
    "4": {"tla": "DEF", "teamColour": "3671C6", "grid": 1},
    "16": {"tla": "GHI", "teamColour": "no colour"},
    "22": {"tla": "JKL"},
    "99": {"tla": "MNO"},
}
TYRE_LINES = {
    "7A": {"compound": "SOFT", "age": 9, "stops": 1, "bestLapMs": 81_345},
    "4": {"compound": "MEDIUM", "age": 12, "stops": 0, "bestLapMs": 81_400},
    "16": {"compound": "WET", "age": 3, "stops": 2, "bestLapMs": 82_000},
    "22": {"compound": "UNKNOWN", "age": 1},
}


def model(wall: Wall | None = None, speed: float = 1.0, **documents: dict[str, Any]) -> TowerModel:
    made = TowerModel(speed, wall or Wall())
    for name, fields in documents.items():
        path = paths.session(KEY) if name == "session" else paths.live(KEY, name)
        made.on_change(path, fields)
    return made


def race() -> TowerModel:
    made = model(
        session=session(),
        timing={"at": instant(600), "lines": LINES},
        entries={"at": instant(0), "lines": ENTRIES},
        tyres={"at": instant(0), "lines": TYRE_LINES},
        feed={"at": instant(600), "source": "recording", "state": "live", "lastMessageAt": instant(599)},
    )
    made.on_change(paths.series(KEY, "raceControl", 3), {"n": 3, "at": instant(590), "message": "SAFETY CAR DEPLOYED"})
    return made


def drawn(tower: TowerModel | Known, width: int = 120, height: int | None = None, now_ms: int = WALL) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(tower, now_ms, width, height))
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue().splitlines()


def row(lines: list[str], tla: str) -> str:
    return next(line for line in lines if f"▌{tla}" in line)


def colours(tower: TowerModel, width: int = 120) -> dict[str, set[str | None]]:
    """Of each piece of text, without space around it, the colours it is drawn in."""
    console = Console(width=width, color_system="truecolor", force_terminal=True)
    found: dict[str, set[str | None]] = {}
    for segment in Segment.filter_control(console.render(render(tower, WALL, width))):
        colour = segment.style.color if segment.style else None
        found.setdefault(segment.text.strip(), set()).add(colour.name if colour else None)
    return found


@pytest.mark.parametrize("width", [40, 80, 100, 120, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in drawn(race(), width)) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_drivers_are_in_the_order_of_their_positions(width: int) -> None:
    tlas = [line.split("▌")[1][:3] for line in drawn(race(), width) if "▌" in line]
    assert tlas == ["ABC", "DEF", "GHI", "JKL", "MNO"]


def test_eighty_columns_hold_all_but_sectors_and_names() -> None:
    titles = {column.title for column in columns_for(80)}
    assert titles == {"P", "CAR", "GAP", "INT", "LAST", "BEST", "TYRE", "ST", "LAP", ""}


def test_a_hundred_and_twenty_columns_have_sectors_and_drivers_names() -> None:
    assert {"S1", "S2", "S3", "DRIVER", "NO"} <= {column.title for column in columns_for(120)}


def test_columns_keep_their_order_at_every_width() -> None:
    for width in range(10, 200):
        order = [COLUMNS.index(column) for column in columns_for(width)]
        assert order == sorted(order)


def test_places_won_are_counted_from_the_grid_of_a_race() -> None:
    assert "▲2" in row(drawn(race()), "ABC")
    assert "▼1" in row(drawn(race()), "DEF")


def test_qualifying_has_no_places_won() -> None:
    assert "±" not in drawn(model(session=session(type="Qualifying"), timing={"lines": LINES}))[2]


def test_overall_bests_are_purple() -> None:
    found = colours(race())
    assert OVERALL.color is not None
    assert found["1:21.345"] == {OVERALL.color.name}
    assert found["27.001"] == {OVERALL.color.name}


def test_personal_bests_are_green() -> None:
    found = colours(race())
    assert PERSONAL.color is not None
    assert found["1:21.900"] == {PERSONAL.color.name}
    assert found["27.100"] == {PERSONAL.color.name}


def test_a_best_lap_that_is_not_the_best_of_all_is_not_purple() -> None:
    assert OVERALL.color is not None
    assert OVERALL.color.name not in colours(race())["1:21.400"]


def test_drivers_have_the_colour_of_their_team() -> None:
    assert colours(race())["ABC"] == {"#ff8000"}


def test_a_team_colour_that_is_none_is_grey() -> None:
    assert colours(race())["GHI"] == {"grey62"}


def test_the_flag_has_the_colour_of_the_track_status() -> None:
    console = Console(width=120, color_system="truecolor", force_terminal=True)
    grounds = {
        segment.style.bgcolor.name
        for segment in console.render(render(race(), WALL, 120))
        if segment.style and segment.style.bgcolor and "SAFETY CAR" in segment.text and "DEPLOYED" not in segment.text
    }
    assert grounds == {text.TRACK["4"][2]}


def test_gaps_and_intervals_are_shown() -> None:
    assert row(drawn(race(), 80), "GHI").split()[2:4] == ["+62.345", "+61.111"]


def test_lapped_cars_show_laps_instead_of_a_gap() -> None:
    assert row(drawn(race()), "JKL").count("+1 LAP") == 2


def test_a_car_in_the_pit_lane_is_marked() -> None:
    assert row(drawn(race(), 80), "JKL").endswith(" PIT  ")


def test_a_car_leaving_the_pit_lane_is_marked() -> None:
    assert " OUT " in row(drawn(race(), 80), "GHI")


def test_a_retired_car_is_marked_and_its_last_gap_is_not_shown() -> None:
    retired = row(drawn(race(), 80), "MNO")
    assert " RET " in retired
    assert "+5.555" not in retired


@pytest.mark.parametrize(("key", "said"), [("st", "STOP"), ("ko", "KO"), ("dz", "DROP")])
def test_other_states_are_marked(key: str, said: str) -> None:
    lines = drawn(model(session=session(), timing={"lines": {"1": {"p": 1, key: True}}}), 80)
    assert said in row(lines, "1")


@pytest.mark.parametrize(("compound", "drawn_as"), TYRES.items())
def test_tyres_have_letter_and_colour_of_their_compound(compound: str, drawn_as: tuple[str, str]) -> None:
    made = model(timing={"lines": {"8": {"p": 6}}}, tyres={"lines": {"8": {"compound": compound, "age": 21}}})
    assert f"{drawn_as[0]} 21" in row(drawn(made), "8")
    assert drawn_as[1] in colours(made)[drawn_as[0]]


def test_header_says_what_is_going_on() -> None:
    head = drawn(race())[0]
    for said in ("Test Grand Prix", "Race", "Started", "SAFETY CAR", "LAP 12/57", "0:50:00"):
        assert said in head


def test_header_says_the_weather_and_how_the_feed_is() -> None:
    second = drawn(race())[1]
    for said in ("air 24°", "track 38°", "wind 9 km/h", "RAIN", "recording live"):
        assert said in second


def test_a_race_without_a_lap_count_counts_the_leaders_laps() -> None:
    fields = session()
    del fields["lapCount"]
    assert " LAP 12 " in drawn(model(session=fields, timing={"lines": LINES}))[0]


def test_qualifying_shows_part_and_cut_off() -> None:
    made = model(session=session(type="Qualifying", qualifying={"part": 2, "cutOffMs": 80_437}))
    lines = drawn(made)
    assert " Q2 " in lines[0]
    assert "cut-off 1:20.437" in lines[1]


def test_the_last_part_of_qualifying_has_no_cut_off() -> None:
    made = model(session=session(type="Qualifying", qualifying={"part": 3, "cutOffMs": 80_437}))
    assert "cut-off" not in "".join(drawn(made))


def test_footer_is_the_last_message_of_race_control_in_whatever_order_they_come() -> None:
    made = race()
    made.on_change(paths.series(KEY, "raceControl", 5), {"n": 5, "at": instant(595), "message": "LAST", "lap": 12})
    made.on_change(paths.series(KEY, "raceControl", 4), {"n": 4, "at": instant(595), "message": "BEFORE"})
    footer = drawn(made)[-1]
    assert "LAST" in footer
    assert "lap 12" in footer


def test_a_low_window_counts_the_cars_it_leaves_out() -> None:
    lines = drawn(race(), height=8)
    assert len(lines) == 8
    assert "2 more" in lines[-2]
    assert "SAFETY CAR DEPLOYED" in lines[-1]


def test_a_window_that_is_just_high_enough_shows_every_car() -> None:
    lines = drawn(race(), height=9)
    assert len(lines) == 9
    assert "more" not in "".join(lines)


@pytest.mark.parametrize("width", [20, 80, 120])
def test_nothing_known_is_drawn_as_waiting(width: int) -> None:
    assert "waiting" in "".join(drawn(TowerModel(), width))


@pytest.mark.parametrize("missing", ["session", "timing", "entries", "tyres", "feed"])
def test_a_missing_document_leaves_the_rest(missing: str) -> None:
    known = race().known()
    without = Known(**{**vars(known), missing: {}})
    leader = row(drawn(without, 80), "7A" if missing == "entries" else "ABC")
    assert ("leader" in leader) == (missing not in ("timing", "session"))
    assert ("S  9" in leader) == (missing != "tyres")


@pytest.mark.parametrize("name", ["timing", "entries", "tyres"])
def test_lines_without_fields_are_drawn(name: str) -> None:
    made = model(entries={"lines": {"5": {}}})
    made.on_change(paths.live(KEY, name), {"lines": {"5": {}}})
    assert row(drawn(made), "5")


def test_cars_without_position_come_last() -> None:
    made = model(timing={"lines": {"1": {"n": 3}, "2": {"p": 1}}}, entries={"lines": {"3": {"grid": 1}}})
    assert [number for number, _ in made.known().order] == ["2", "1", "3"]


def test_the_clock_counts_down_in_feed_time() -> None:
    wall = Wall()
    known = model(wall, 10.0, session=session(), timing={"at": instant(600), "lines": {}}).known()
    assert known.remaining_ms(WALL) == 3_000_000
    assert known.remaining_ms(WALL + 1_500) == 2_985_000


def test_a_stopped_clock_stands() -> None:
    clock = {"remainingMs": 1_000_000, "running": False, "at": instant(0)}
    known = model(session=session(clock=clock), timing={"at": instant(600), "lines": {}}).known()
    assert known.remaining_ms(WALL + 5_000) == 1_000_000


def test_the_clock_is_not_counted_on_when_documents_stay_away() -> None:
    known = model(session=session()).known()
    assert known.remaining_ms(WALL + 600_000) == 3_000_000 - STALE_MS


def test_the_clock_is_not_counted_on_at_full_speed() -> None:
    assert model(speed=float("inf"), session=session()).known().remaining_ms(WALL + 5_000) == 3_000_000


def test_a_silent_feed_is_called_stale() -> None:
    assert "recording stale" in drawn(race(), now_ms=WALL + STALE_MS)[1]


def test_a_feed_that_has_ended_is_not_called_stale() -> None:
    made = race()
    made.on_change(paths.live(KEY, "feed"), {"at": instant(601), "source": "recording", "state": "ended"})
    assert "recording ended" in drawn(made, now_ms=WALL + STALE_MS)[1]


def test_delay_of_a_recording_counts_from_when_the_tower_was_stored() -> None:
    stored = datetime.fromtimestamp((WALL - 45) / 1000, UTC)
    made = model(timing={"at": instant(600), "writtenAt": stored, "lines": {}})
    assert made.known().delay_ms == 45


def test_delay_of_a_feed_of_now_counts_from_the_feeds_instant() -> None:
    at, stored = (datetime.fromtimestamp((WALL - ms) / 1000, UTC) for ms in (900, 45))
    assert model(timing={"at": at, "writtenAt": stored, "lines": {}}).known().delay_ms == 900


def test_what_is_known_is_not_changed_by_later_documents() -> None:
    made = race()
    known = made.known()
    made.on_change(paths.live(KEY, "timing"), {"at": instant(700), "lines": {}})
    assert known.timing["lines"] == LINES


def test_the_model_takes_documents_from_several_threads() -> None:
    made = TowerModel(1.0, Wall())

    def feed(thread: int) -> None:
        for n in range(500):
            made.on_change(paths.series(KEY, "raceControl", n), {"n": n, "at": instant(n), "message": f"{thread}"})
            made.on_change(paths.live(KEY, "timing"), {"at": instant(n), "lines": LINES})
            made.known()

    threads = [threading.Thread(target=feed, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = made.known()
    assert known.race_control["n"] == 499
    assert known.feed_at == round(instant(499).timestamp() * 1000)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (text.lap_time(81_345), "1:21.345"),
        (text.lap_time(58_003), "58.003"),
        (text.lap_time(None), ""),
        (text.sector_time(31_228), "31.228"),
        (text.sector_time(62_123), "1:02.1"),
        (text.sector_time(722_123), "12:02"),
        (text.gap(1_234, None), "+1.234"),
        (text.gap(0, None), "+0.000"),
        (text.gap(999_999, None), "+999.999"),
        (text.gap(1_295_480, None), "+21:35.4"),
        (text.gap(None, 1), "+1 LAP"),
        (text.gap(None, 2), "+2 LAPS"),
        (text.gap(None, None), ""),
        (text.clock(2_527_000), "0:42:07"),
        (text.clock(1), "0:00:01"),
        (text.laps(12, 57), "LAP 12/57"),
        (text.duration(45), "45 ms"),
        (text.duration(1_234), "1.2 s"),
        (text.duration(37_000), "37 s"),
        (text.duration(600_000), "10 min"),
    ],
)
def test_numbers_are_written_as_the_sport_does(written: str, said: str) -> None:
    assert written == said


def test_off_a_terminal_a_race_is_one_line_a_lap() -> None:
    out = io.StringIO()
    tower = PlainTower(out)
    tower.on_change(paths.session(KEY), session())
    tower.on_change(paths.live(KEY, "entries"), {"lines": ENTRIES})
    tower.on_change(paths.live(KEY, "tyres"), {"lines": TYRE_LINES})
    for seconds, led in enumerate([11, 11, 11, 12, 12]):
        lines = {**LINES, "7A": {**LINES["7A"], "n": led}}
        tower.on_change(paths.live(KEY, "timing"), {"at": instant(seconds), "lines": lines})
    assert out.getvalue().splitlines() == [
        "LAP 11/57  1 ABC  2 DEF +1.234  3 GHI +62.345  4 JKL +1 LAP PIT  5 MNO RET  best 1:21.345 ABC  [SC]",
        "LAP 12/57  1 ABC  2 DEF +1.234  3 GHI +62.345  4 JKL +1 LAP PIT  5 MNO RET  best 1:21.345 ABC  [SC]",
    ]


def test_off_a_terminal_a_new_leader_a_lap_behind_repeats_no_line() -> None:
    out = io.StringIO()
    tower = PlainTower(out)
    tower.on_change(paths.session(KEY), session())
    for led in (11, 10, 11):
        tower.on_change(paths.live(KEY, "timing"), {"at": instant(0), "lines": {"1": {"p": 1, "n": led}}})
    assert len(out.getvalue().splitlines()) == 1


def test_off_a_terminal_practice_is_one_line_every_half_minute_of_feed_time() -> None:
    out = io.StringIO()
    tower = PlainTower(out)
    tower.on_change(paths.session(KEY), session(type="Practice", at=instant(0), trackStatus={"code": "1"}))
    tower.on_change(paths.live(KEY, "tyres"), {"lines": {"1": {"bestLapMs": 81_345}}})
    lines = {"1": {"p": 1}, "2": {"p": 2, "g": 34}}
    for seconds in range(0, 61, 10):
        tower.on_change(paths.live(KEY, "timing"), {"at": instant(seconds), "lines": lines})
    assert out.getvalue().splitlines() == [
        "1:00:00  1 1 1:21.345  2 2 +0.034  best 1:21.345 1",
        "0:59:30  1 1 1:21.345  2 2 +0.034  best 1:21.345 1",
        "0:59:00  1 1 1:21.345  2 2 +0.034  best 1:21.345 1",
    ]


def test_off_a_terminal_the_end_says_how_it_stands_once() -> None:
    out = io.StringIO()
    tower = PlainTower(out)
    with tower:
        tower.on_change(paths.session(KEY), session(status="Finished"))
        tower.on_change(paths.live(KEY, "timing"), {"at": instant(0), "lines": {"1": {"p": 1, "n": 57}}})
        tower.on_change(paths.live(KEY, "timing"), {"at": instant(9), "lines": {"2": {"p": 1, "n": 57}}})
    tower.stop()
    assert out.getvalue().splitlines() == ["FINISHED  1 1  [SC]", "FINISHED  1 2  [SC]"]


def test_off_a_terminal_the_next_session_begins_with_its_name() -> None:
    out = io.StringIO()
    tower = PlainTower(out)
    line = {"at": instant(0), "lines": {"7": {"p": 1, "n": 3}}}
    tower.on_change(paths.session(KEY), session())
    tower.on_change(paths.live(KEY, "timing"), line)
    following = session(name="Final", lapCount={"total": 9}, trackStatus={"code": "1"})
    tower.on_change(paths.session("2"), following)
    tower.on_change(paths.live(KEY, "timing"), line)  # the last word of the one before
    tower.on_change(paths.live("2", "timing"), {"at": instant(60), "lines": {"8": {"p": 1, "n": 1}}})
    assert out.getvalue().splitlines() == ["LAP 3/57  1 7  [SC]", "Test Grand Prix: Final", "LAP 1/9  1 8"]


def test_off_a_terminal_nothing_is_said_of_an_empty_stack() -> None:
    out = io.StringIO()
    PlainTower(out).stop()
    assert out.getvalue() == ""


def test_on_a_terminal_the_tower_stays_when_it_stops() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=40, force_terminal=True)
    tower = LiveTower(console=console)
    with tower:
        tower.on_change(paths.live(KEY, "timing"), {"at": instant(0), "lines": LINES})
        tower.on_change(paths.live(KEY, "entries"), {"at": instant(0), "lines": ENTRIES})
    tower.stop()
    assert "ABC" in out.getvalue()


def test_a_tower_that_was_never_started_can_be_stopped() -> None:
    out = io.StringIO()
    LiveTower(console=Console(file=out, force_terminal=True)).stop()
    assert out.getvalue() == ""


def test_without_an_emulator_the_command_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    assert main([]) == 2
    assert "python -m local up" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [pytest.param("2025-imola-qualifying.txt.gz", marks=pytest.mark.long), "2025-sao-paulo-sprint.txt.gz"]
)
def test_documents_of_a_real_session_are_drawn(recordings: Any, name: str) -> None:
    source = open_recording(recordings / name)
    reducer, tower, seen = Reducer(source.session, "f1", "recording"), TowerModel(1.0, Wall()), 0
    for message in source.messages():
        for tick in reducer.offer(message):
            for path, document in tick.documents:
                tower.on_change(path, to_fields(document))
            seen += 1
            if seen % 300 == 0:
                drawn(tower, 80)
        if message.cursor > 12_000:
            break
    lines = drawn(tower, 120)
    assert sum("▌" in line for line in lines) == 20
    assert all(len(line) <= 120 for line in lines)
