"""A row of the board as the tracks' app reads it: texts by the app's own columns, `C1` to `C14`.

What a column shows is its label, which the app has of each track, never the feed's own column: layouts change. Texts
are as a French board of Apex Timing writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pitwall.documents.circuits import AppData
from pitwall.documents.encoding import instant
from pitwall.karting.headers import SYNONYMS, UNUSED, folded
from pitwall.karting.records import Kart
from pitwall.karting.state import KartState, laps_completed, stops_made

STANDARD: Final[Mapping[str, str]] = {
    f"C{n}": label
    for n, label in enumerate(
        ("Clt", "Kart", "Equipe/Pilote", "Ecart", "Intervalles", "Meilleur T.", "Dernier T.", "S1", "S2", "S3", "Lap",
         "En Piste", "Stands", "Penalites"),
        start=1,
    )
}  # fmt: skip
"""The app's own order, for a track without labels."""


def row(state: KartState, kart: Kart) -> AppData:
    """The row of a kart; made anew only once it has changed."""
    before = state.rows_shown.get(kart.row)
    if before is not None and before[0] == kart.changes:
        shown: AppData = before[1]
        return shown
    labels = state.data.circuit.labels if state.data.circuit is not None else {}
    shown = AppData(
        mapped_data={
            key: text for key, label in (labels or STANDARD).items() if (text := cell(kart, label)) is not None
        },
        raw_data={f"{name[0].lower()}{name[1:]}": value for name, value in kart.line.items()},
        timestamp=instant(kart.changed_at),
    )
    state.rows_shown[kart.row] = kart.changes, shown
    return shown


def cell(kart: Kart, label: str) -> str | None:
    """What the board shows of a kart under a label, "" for nothing; None under one that means nothing."""
    if folded(label) in UNUSED:
        return None
    reader = _CELLS.get(SYNONYMS.get(folded(label), ""))
    return None if reader is None else reader(kart, label)


def lap_time(ms: int | None) -> str:
    """`59.609`, `1:05.295`, `1:02:03.400`; "" for none."""
    if ms is None:
        return ""
    sign, ms = ("-", -ms) if ms < 0 else ("", ms)
    minutes, rest = divmod(ms, 60_000)
    hours, minutes_left = divmod(minutes, 60)
    seconds = f"{rest // 1000}.{rest % 1000:03}"
    if not minutes:
        return f"{sign}{seconds}"
    return f"{sign}{f'{hours}:{minutes_left:02}' if hours else minutes}:{seconds.zfill(6)}"


def _time(name: str) -> Callable[[Kart, str], str]:
    return lambda kart, _: lap_time(kart.line.get(name))


def _text(name: str) -> Callable[[Kart, str], str]:
    return lambda kart, _: str(kart.line.get(name, ""))


def _behind(name: str) -> Callable[[Kart, str], str]:
    """`21.455`, `1 Tour`, `5 Tours`; of the leader's gap `Tour 55`."""

    def told(kart: Kart, _: str) -> str:
        line: Mapping[str, Any] = kart.line
        laps = line.get(f"{name}Laps")
        if line.get("Position") == 1:
            completed = laps_completed(kart)
            return f"Tour {completed}" if name == "Gap" and completed else ""
        if laps:
            return f"{laps} Tour{'s' if laps > 1 else ''}"
        return lap_time(line.get(f"{name}Ms"))

    return told


def _who(kart: Kart, label: str) -> str:
    """Team and driver, or the one that is asked for, or the one that is known."""
    team, driver = kart.line.get("Team", ""), kart.line.get("Driver", "")
    words = folded(label)
    both = "pilot" in words and SYNONYMS.get(words.split()[0]) == "Team"
    if both and team and driver and team != driver:
        return f"{team} / {driver}"
    return str((team or driver) if both or SYNONYMS.get(words) == "Team" else (driver or team))


def _laps(kart: Kart, _: str) -> str:
    laps = laps_completed(kart)
    return "" if laps is None else str(laps)


def _on_track(kart: Kart, _: str) -> str:
    """`0:26`, hours and minutes on the track; in the pits `2:48.`, the time there."""
    line = kart.line
    if kart.in_pit and (ms := line.get("PitMs")) is not None:
        minutes, seconds = divmod(ms // 1000, 60)
        return f"{minutes}:{seconds:02}." if minutes else f"{seconds:02}."
    minutes = line.get("StintMs", -1) // 60_000
    return "" if minutes < 0 else f"{minutes // 60}:{minutes % 60:02}"


_CELLS: Final[Mapping[str, Callable[[Kart, str], str]]] = {
    "Position": _text("Position"),
    "Number": _text("Number"),
    "Driver": _who,
    "Team": _who,
    "Category": _text("Category"),
    "Nation": _text("Nation"),
    "LastLapMs": _time("LastLapMs"),
    "BestLapMs": _time("BestLapMs"),
    "Gap": _behind("Gap"),
    "Interval": _behind("Interval"),
    "Laps": _laps,
    "StintMs": _on_track,
    "PitMs": _on_track,
    "Stops": lambda kart, _: str(stops_made(kart) or ""),
    "Penalty": _text("Penalty"),
    "TotalMs": _time("TotalMs"),
    "Sector1Ms": _time("Sector1Ms"),
    "Sector2Ms": _time("Sector2Ms"),
    "Sector3Ms": _time("Sector3Ms"),
}
