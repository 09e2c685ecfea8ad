"""`python -m bench.recoded`: captures written anew as streams nobody wrote a source for, found out and read.

Rows become JSON (nested, in lists, as a map of changes), lines, pairs and HTML tables, with other names and orders of
fields, in milliseconds, seconds and clock times with commas, as they change or as whole boards every two seconds. The
analysis describes each from the stream alone, its description is run, and laps and places are held against those of
the capture's own source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from bench import SHARED, require, result, without_options
from bench.detect import recast
from pitwall.karting.described import Described
from pitwall.karting.detection.rows import Heard
from pitwall.karting.state import KartState
from pitwall.sources.analysis import analyse
from pitwall.sources.recording import open_recording

CAPTURES: Final = (
    "bradfier_2009_Sebring_ALMS_Session_4.txt.gz", "redmist_TestMissingLaps.txt.gz", "apex-los-santos-3h.jsonl.gz",
)  # fmt: skip
Lines = list[dict[str, Any]]
Write = Callable[[Lines], str]


def _clock(ms: int | None) -> str:
    return "" if ms is None else f"{ms // 60_000}:{ms % 60_000 / 1000:06.3f}"


def _comma(ms: int | None) -> str:
    return _clock(ms).replace(".", ",")


def _seconds(ms: int | None) -> str:
    return "" if ms is None else f"{ms / 1000:.3f}"


def _texts(line: dict[str, Any], roles: Sequence[str], time: Callable[[int | None], str]) -> list[str]:
    values = ((role, line.get(role)) for role in roles)
    return [time(value) if role.endswith("Ms") else "" if value is None else str(value) for role, value in values]


def changes() -> Write:
    """A map of rows by name, of each only what has changed."""
    known: dict[str, dict[str, str]] = {}
    roles = {"p": "Position", "nm": "Driver", "lc": "Laps", "ll": "LastLapMs", "bl": "BestLapMs"}

    def write(lines: Lines) -> str:
        told = {}
        for line in lines:
            now = dict(zip(roles, _texts(line, list(roles.values()), _clock), strict=True))
            before = known.get(line["Number"], {})
            if changed := {key: text for key, text in now.items() if before.get(key) != text}:
                told[line["Number"]] = changed
            known[line["Number"]] = now
        return orjson.dumps({"t": "u", "upd": told}).decode()

    return write


def nested(lines: Lines) -> str:
    """Objects in objects, whole milliseconds."""
    rows = [
        {
            "car": {"no": line.get("Number"), "who": line.get("Driver")},
            "t": {"a": line.get("LastLapMs"), "b": line.get("BestLapMs"), "n": line.get("Laps"), "r": line["Position"]},
        }
        for line in lines
    ]
    return orjson.dumps({"data": {"grid": rows}}).decode()


def arrays(lines: Lines) -> str:
    """Lists in a list, seconds."""
    roles = ("Position", "Number", "Driver", "Laps", "LastLapMs", "BestLapMs")
    return orjson.dumps([_texts(line, roles, _seconds) for line in lines]).decode()


def table(lines: Lines) -> str:
    """A page with Swedish headers and decimal commas."""
    roles = ("Position", "Number", "Driver", "Laps", "LastLapMs", "BestLapMs")
    head = "".join(f"<th>{header}</th>" for header in ("Pl.", "Nr", "Namn", "Varv", "Senaste", "Bästa"))
    rows = ["".join(f"<td>{text}</td>" for text in _texts(line, roles, _comma)) for line in lines]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def tabs(lines: Lines) -> str:
    """Lines with tabs, another order, decimal commas."""
    roles = ("Number", "Laps", "LastLapMs", "BestLapMs", "Position", "Driver")
    return "\n".join("\t".join(_texts(line, roles, _comma)) for line in lines)


def pairs(lines: Lines) -> str:
    """Pairs, seconds."""
    roles = {"num": "Number", "x1": "Laps", "x2": "LastLapMs", "x3": "BestLapMs", "x4": "Position"}
    texts = (_texts(line, list(roles.values()), _seconds) for line in lines)
    return "\n".join("&".join(f"{key}:{text}" for key, text in zip(roles, of, strict=True)) for of in texts)


FORMS: Final[dict[str, tuple[Callable[[], Write], bool]]] = {
    "changes": (changes, False),
    "nested": (lambda: nested, True),
    "arrays": (lambda: arrays, True),
    "table": (lambda: table, True),
    "tabs": (lambda: tabs, False),
    "pairs": (lambda: pairs, False),
}
"""How rows are written, and whether all of them every two seconds."""


class Compared(NamedTuple):
    """Laps and places of a recoded capture against its own."""

    laps: int
    equal: int
    missing: int
    more: int
    rows: int
    places: int


def compare(path: Path, form: str) -> Compared:
    """Raises LookupError where no description is found."""
    make, whole = FORMS[form]
    told = recast(path, make(), whole)
    own = KartState("", "kart-track")
    for message in open_recording(path).messages():
        own.apply(message)
    own.finish()
    read = _read(told)
    laps, others = _laps(own), _laps(read)
    pairs_of = [(time, others.get(number, {}).get(lap, -1)) for number, of in laps.items() for lap, time in of.items()]
    places = {kart.number: kart.line.get("Position") for kart in read.data.karts.values()}
    return Compared(
        laps=len(pairs_of),
        equal=sum(one == other for one, other in pairs_of),
        missing=sum(other == -1 for _, other in pairs_of),
        more=sum(len(of.keys() - laps.get(number, {}).keys()) for number, of in others.items()),
        rows=len(own.data.karts),
        places=sum(kart.line.get("Position") == places.get(kart.number) for kart in own.data.karts.values()),
    )


def _read(told: list[Heard]) -> KartState:
    """What the generic source makes of a stream, by the description found in it."""
    description = analyse(told).description
    if description is None:
        raise LookupError("no description")
    reading, state = Described(description, lambda _reason: None), KartState("", "kart-track")
    for frame in told:
        for message in reading.frame(frame.text, frame.at):
            state.apply(message)
    state.finish()
    return state


def _laps(state: KartState) -> dict[str, dict[int, int | None]]:
    """Times by number and lap, of laps that were not taken back."""
    return {
        kart.number: {lap.number: lap.time for lap in kart.laps.values() if not lap.taken_back}
        for kart in state.data.karts.values()
    }


def main() -> int:
    without_options("bench.recoded", __doc__)
    figures = {}
    for name in CAPTURES:
        for form in FORMS:
            compared = compare(require(SHARED / "recordings" / "karting" / name), form)
            figures[f"{name.split('.')[0]} as {form}"] = compared._asdict()
            print(f"{name.split('.')[0]:<40} {form:<8} {compared}", flush=True)
    result("recoded", figures=figures)
    return 0 if all(of["missing"] == of["more"] == 0 and of["places"] == of["rows"] for of in figures.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
