"""Draws the timing tower: header, one row a car, the last word of race control. Reads `model`, writes nothing.

Columns are taken in the order of their importance for as long as they fit the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from local.tower import text
from local.tower.model import STALE_MS, Known, TowerModel

OVERALL = Style(color="#d670ff", bold=True)
"""Purple: the best of all."""
PERSONAL = Style(color="#3ddc66")
"""Green: the best of this driver."""
DIM = Style(color="grey50")
LABEL = Style(color="grey42")
ALERT = Style(color="#ff5c5c", bold=True)
ROWS = ("grey85 on #0e1014", "grey85 on #15181e")
"""Both colours are told, so that the tower looks the same on a light terminal."""

TYRES = {
    "SOFT": ("S", "#ff4d4d"),
    "MEDIUM": ("M", "#ffd60a"),
    "HARD": ("H", "#f5f5f5"),
    "INTERMEDIATE": ("I", "#3ddc66"),
    "WET": ("W", "#4da3ff"),
}
"""Of each compound: its letter and its colour."""

_GAP = 2
_SHADE = "#20242c"
BAND = f"grey93 on {_SHADE}"
_RRGGBB = re.compile("[0-9A-Fa-f]{6}")


class Row(NamedTuple):
    """What the cells of one car are made of."""

    number: str
    line: Mapping[str, Any]
    entry: Mapping[str, Any]
    tyre: Mapping[str, Any]
    known: Known
    best_of_all: bool

    @property
    def gone(self) -> bool:
        """No longer taking part."""
        return any(self.line.get(key) for key in ("rt", "st", "ko"))


class Column(NamedTuple):
    """A column: the smaller its rank, the longer it stays on a narrow terminal."""

    title: str
    width: int
    rank: int
    cell: Callable[[Row], Text]
    justify: Literal["left", "right", "center"] = "right"


def _best(style: str | None) -> Style:
    return {"o": OVERALL, "p": PERSONAL}.get(style or "", Style.null())


def _colour(entry: Mapping[str, Any]) -> Style:
    colour = str(entry.get("teamColour", ""))
    return Style(color=f"#{colour}" if _RRGGBB.fullmatch(colour) else "grey62")


def _position(row: Row) -> Text:
    style = DIM if row.gone else ALERT if row.line.get("dz") else Style(bold=True)
    return Text(str(row.line.get("p", "")), style)


def _gained(row: Row) -> Text:
    grid, position = row.entry.get("grid"), row.line.get("p")
    if grid is None or position is None or row.gone:
        return Text()
    gained = grid - position
    if gained == 0:
        return Text("=", LABEL)
    return Text(f"▲{gained}", PERSONAL) if gained > 0 else Text(f"▼{-gained}", Style(color="#d9534f"))


def _driver(row: Row) -> Text:
    colour = _colour(row.entry)
    return (
        Text()
        .append("▌", colour)
        .append(text.driver(row.entry, row.number), DIM if row.gone else colour + Style(bold=True))
    )


def _number(row: Row) -> Text:
    return Text(row.number, LABEL)


def _name(row: Row) -> Text:
    return Text(str(row.entry.get("broadcastName") or row.entry.get("fullName") or "").title(), DIM if row.gone else "")


def _team(row: Row) -> Text:
    return Text(str(row.entry.get("teamName", "")), LABEL)


def _gap_cell(row: Row) -> Text:
    if row.known.racing and row.line.get("p") == 1:
        return Text("leader", LABEL)
    return _distance(row, "g", "ld")


def _interval(row: Row) -> Text:
    return _distance(row, "i", "il")


def _distance(row: Row, ms: str, laps: str) -> Text:
    if row.line.get("rt") or row.line.get("st"):
        return Text()  # what the feed said last, of a car that is no longer there
    lapped = row.line.get(laps)
    return Text(text.gap(row.line.get(ms), lapped), DIM if lapped or row.gone else "")


def _last(row: Row) -> Text:
    return Text(text.lap_time(row.line.get("l")), DIM if row.gone else _best(row.line.get("lb")))


def _best_lap(row: Row) -> Text:
    style = OVERALL if row.best_of_all else DIM if row.gone else Style(color="grey82")
    return Text(text.lap_time(row.tyre.get("bestLapMs")), style)


def _sector(n: int) -> Callable[[Row], Text]:
    def cell(row: Row) -> Text:
        return Text(text.sector_time(row.line.get(f"s{n}")), DIM if row.gone else _best(row.line.get(f"b{n}")))

    return cell


def _tyre(row: Row) -> Text:
    compound = str(row.tyre.get("compound", ""))
    letter, colour = TYRES.get(compound, (compound[:1], "grey62"))
    age = row.tyre.get("age")
    cell = Text().append(letter or " ", DIM if row.gone else Style(color=colour, bold=True))
    return cell.append(f"{age:>3}" if age is not None else "", DIM)


def _stops(row: Row) -> Text:
    stops = row.tyre.get("stops")
    return Text("" if stops is None else str(stops), DIM if row.gone or not stops else "")


def _laps(row: Row) -> Text:
    return Text(str(row.line.get("n", "")), DIM)


_STATES = (
    ("rt", "RET", ALERT),
    ("st", "STOP", ALERT),
    ("ko", "KO", DIM),
    ("ip", "PIT", Style(color="#5bc0eb", bold=True)),
    ("po", "OUT", Style(color="#5bc0eb")),
    ("dz", "DROP", ALERT),
)
"""What a car does, the first that holds is shown: key in the tower line, text, style."""


def _state(row: Row) -> Text:
    return next((Text(f"{said:<4}", style) for key, said, style in _STATES if row.line.get(key)), Text())


COLUMNS = (
    Column("P", 2, 0, _position),
    Column("±", 3, 8, _gained, "left"),
    Column("CAR", 4, 0, _driver, "left"),
    Column("NO", 3, 9, _number),
    Column("DRIVER", 13, 10, _name, "left"),
    Column("TEAM", 16, 11, _team, "left"),
    Column("GAP", 8, 0, _gap_cell),
    Column("INT", 8, 3, _interval),
    Column("LAST", 8, 0, _last),
    Column("BEST", 8, 2, _best_lap),
    Column("S1", 6, 7, _sector(1)),
    Column("S2", 6, 7, _sector(2)),
    Column("S3", 6, 7, _sector(3)),
    Column("TYRE", 4, 4, _tyre, "left"),
    Column("ST", 2, 5, _stops),
    Column("LAP", 3, 6, _laps),
    Column("", 4, 1, _state, "left"),
)


def columns_for(width: int, racing: bool = True) -> list[Column]:
    """The columns that fit into `width` characters: a rank is taken whole, and none after one that does not fit.

    racing: whether there is a grid that places were won or lost from.
    """
    columns = [column for column in COLUMNS if racing or column.cell is not _gained]
    taken: list[Column] = []
    for rank in sorted({column.rank for column in columns}):
        more = [*taken, *(column for column in columns if column.rank == rank)]
        if taken and _total(more) > width:
            break
        taken = more
    return sorted(taken, key=COLUMNS.index)


def _total(columns: list[Column]) -> int:
    return sum(column.width for column in columns) + _GAP * len(columns)


def render(model: TowerModel | Known, now_ms: int, width: int, height: int | None = None) -> RenderableType:
    """The tower at the wall-clock instant `now_ms`, at most `width` characters wide and, if told, `height` lines high.

    Where there are more cars than lines, the last ones are left out and counted.
    """
    known = model.known() if isinstance(model, TowerModel) else model
    columns = columns_for(width, known.racing)
    width = min(width, _total(columns))
    order = known.order
    parts = [_header(known, now_ms, width)]
    shown = order if height is None else order[: max(1, height - 4)]
    if len(shown) < len(order):
        shown = shown[:-1]
    if order:
        parts.append(_table(known, shown, columns, width))
        if len(shown) < len(order):
            parts.append(Text(f"  … and {len(order) - len(shown)} more: the window is too low", LABEL))
    else:
        parts.append(Text("\n  waiting for the first documents ...\n", DIM))
    parts.append(_footer(known, width))
    return Group(*parts)


def _table(known: Known, order: list[tuple[str, Mapping[str, Any]]], columns: list[Column], width: int) -> Table:
    table = Table(
        box=None, width=width, padding=(0, 1), pad_edge=True, header_style=f"grey50 on {_SHADE}", row_styles=ROWS
    )
    for column in columns:
        table.add_column(column.title, width=column.width, justify=column.justify, no_wrap=True, overflow="crop")
    best_by = known.best_lap_by
    for number, line in order:
        row = Row(number, line, known.entry(number), known.tyre(number), known, number == best_by)
        table.add_row(*(column.cell(row) for column in columns))
    return table


def _across(left: Text, right: Text, width: int, style: str) -> Table:
    grid = Table.grid(expand=False)
    grid.width = width
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True, width=max(1, min(right.cell_len, width - 1)))
    grid.add_column(width=1)
    grid.add_row(left, right, "", style=style)
    return grid


def _header(known: Known, now_ms: int, width: int) -> RenderableType:
    session = known.session
    meeting = session.get("meeting", {}).get("name") or session.get("series", "").upper() or "PitWall"
    title = Text(" ").append(str(meeting), Style(bold=True)).append(f"  {session.get('name', '')}")
    part = session.get("qualifying", {}).get("part")
    if part:
        title.append(f"  Q{part}", Style(bold=True))
    title.append(f"  {session.get('status', '')}", DIM)
    right = Text()
    laps = text.laps(*known.laps)
    clock = text.clock(known.remaining_ms(now_ms))
    right.append_text(_flag(session.get("trackStatus", {})))
    right.append(f"  {laps}" if laps else "", Style(bold=True))
    right.append(f"  {clock}" if clock else "", "" if session.get("clock", {}).get("running") else DIM)
    weather, feed = _weather(session.get("weather", {})), _feed(known, now_ms)
    cut_off = session.get("qualifying", {}).get("cutOffMs")
    if cut_off is not None and part in (1, 2):
        weather = Text(" cut-off ", LABEL).append(text.lap_time(cut_off), ALERT).append_text(weather)
    return Group(_across(title, right, width, BAND), _across(weather, feed, width, BAND))


def _flag(status: Mapping[str, Any]) -> Text:
    code = status.get("code")
    if code is None:
        return Text()
    name, ink, ground = text.TRACK.get(code, (str(status.get("message") or code).upper(), "#0e1014", "grey62"))
    return Text(f" {name} ", Style(color=ink, bgcolor=ground, bold=True))


def _weather(weather: Mapping[str, Any]) -> Text:
    line = Text()

    def add(label: str, value: str) -> None:
        line.append(f" {label} ", LABEL).append(value, Style(color="grey82"))

    if "airTemp" in weather:
        add("air", f"{weather['airTemp']:.0f}°")
    if "trackTemp" in weather:
        add("track", f"{weather['trackTemp']:.0f}°")
    if "windSpeedKph" in weather:
        add("wind", f"{weather['windSpeedKph']:.0f} km/h")
    if "rainfall" in weather:
        line.append("  RAIN" if weather["rainfall"] else "  dry", "bold #4da3ff" if weather["rainfall"] else LABEL)
    return line


def _feed(known: Known, now_ms: int) -> Text:
    feed = known.feed
    state = feed.get("state")
    line = Text()
    if state is not None:
        silent = known.silent_ms(now_ms)
        stale = state not in ("live", "ended") or (state == "live" and silent is not None and silent >= STALE_MS)
        colour = "#ff5c5c" if stale else "grey50" if state == "ended" else "#3ddc66"
        said = "stale" if stale and state == "live" else state
        line.append("● ", colour).append(f"{feed.get('source', '')} ", LABEL).append(said, colour)
    if known.delay_ms is not None:
        line.append("  delay ", LABEL).append(text.duration(known.delay_ms), Style(color="grey82"))
    return line


def _footer(known: Known, width: int) -> RenderableType:
    said = known.race_control
    message = Text().append(" RACE CONTROL ", Style(color="grey82", bgcolor="grey23", bold=True))
    if not said:
        return _across(message.append("  no message yet", LABEL), Text(), width, BAND)
    flag = str(said.get("flag", ""))
    colour = _FLAGS.get(flag, "grey93")
    lap = said.get("lap")
    return _across(
        message.append(f"  {said.get('message', '')}", colour), Text(f"  lap {lap}" if lap else "", LABEL), width, BAND
    )


_FLAGS = {
    "GREEN": "#3ddc66",
    "CLEAR": "#3ddc66",
    "YELLOW": "#ffd60a",
    "DOUBLE YELLOW": "#ffd60a",
    "RED": "#ff5c5c",
    "BLUE": "#4da3ff",
}
