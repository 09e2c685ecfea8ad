"""From computed telemetry to the objects that are stored of it (`objects`): what the API is to serve without NumPy."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from pitwall.history.telemetry.compact import EXACT, VIEWER, encode
from pitwall.history.telemetry.frames import frames, header
from pitwall.history.telemetry.grid import Telemetry
from pitwall.history.telemetry.laps import LapTelemetry, NoTelemetry, fastest, lap_telemetry
from pitwall.history.telemetry.objects import (
    SKIPS,
    Car,
    LapStored,
    Manifest,
    compact_object,
    frames_object,
    laps_object,
)
from pitwall.history.telemetry.samples import UNKNOWN, Samples
from pitwall.history.telemetry.timing import LapTimed, Timing
from pitwall.sources.archive.index import plain
from pitwall.timing.values import text

PIECE: Final = 240
"""Frames of a piece: a minute of the first object."""

Progress = Callable[[float, str], None]

_LEVEL: Final = 6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = {"speed": "speedKph"}
_DRIVER: Final = ("Tla", "LastName", "FirstName")


def packed(
    samples: Samples,
    timing: Timing,
    telemetry: Telemetry,
    drivers: dict[str, Any],
    *,
    source: str,
    final: bool,
    session_name: str,
    progress: Progress,
) -> tuple[Manifest, dict[str, bytes]]:
    """What is stored of a session, and what is said of it.

    drivers: the feed's list of drivers. progress: may raise; nothing is left behind.
    """
    manifest = Manifest(
        session=telemetry.session,
        session_name=session_name,
        source=source,
        final=final,
        race=telemetry.race,
        start_ms=telemetry.start_ms,
        step_ms=telemetry.step_ms,
        frames=telemetry.frames,
        lap_length=telemetry.lap_length,
        cars={},
        samples={what: count for what, count in sorted(samples.counts.items()) if count},
        piece_frames=PIECE,
    )
    objects: dict[str, bytes] = {}
    shares = sum(1 / skip for skip in SKIPS)
    done = 0.0
    for skip in SKIPS:
        every = telemetry.every(skip)
        name = frames_object(skip)
        parts = []
        for part in framed(every):
            parts.append(part)
            ready = len(parts) * PIECE / max(1, every.frames)
            progress(0.4 * (done + min(1.0, ready) / skip) / shares, f"writing frames, every {_nth(skip)}")
        objects[name] = b"".join(parts)
        manifest.pieces[name] = _begins(parts)
        done += 1 / skip
    done = 0.0
    for skip in SKIPS:
        every = telemetry.every(skip)
        for exact in (False, True):
            progress(
                0.4 + 0.3 * done / shares, f"encoding {'exactly' if exact else 'for a viewer'}, every {_nth(skip)}"
            )
            objects[compact_object(skip, exact=exact)] = encode(every, EXACT if exact else VIEWER)
            done += 0.5 / skip
    for index, number in enumerate(telemetry.cars):
        progress(0.7 + 0.3 * index / len(telemetry.cars), f"cutting out the laps of car {number}")
        car, laps = _laps(samples, timing, telemetry, number, drivers.get(number))
        manifest.cars[number] = car
        if car.laps:
            objects[laps_object(number)] = laps
    progress(1.0, "written")
    return manifest, objects


def _nth(skip: int) -> str:
    return "frame" if skip == 1 else f"{skip}th"


# -- frames --------------------------------------------------------------------------------


def framed(telemetry: Telemetry) -> Iterator[bytes]:
    """The JSON of `frames`, a frame a line, as one gzip file in parts: head, pieces of `PIECE` frames, end.

    A piece begins at a byte with nothing before it remembered, so it can be inflated by itself (`-MAX_WBITS`).
    """
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)

    def part(raw: bytes) -> bytes:
        return packer.compress(raw) + packer.flush(zlib.Z_FULL_FLUSH)

    yield part(orjson.dumps(header(telemetry))[:-1] + b',"frames":[\n')
    for first in range(0, telemetry.frames, PIECE):
        last = min(first + PIECE, telemetry.frames)
        lines = b",\n".join(map(orjson.dumps, frames(telemetry, first, last)))
        yield part(lines + (b",\n" if last < telemetry.frames else b"\n"))
    yield packer.compress(b"]}\n") + packer.flush()


def _begins(parts: list[bytes]) -> list[int]:
    begins = [len(parts[0])]
    for part in parts[1:-1]:
        begins.append(begins[-1] + len(part))
    return begins


# -- laps ----------------------------------------------------------------------------------


def _laps(samples: Samples, timing: Timing, telemetry: Telemetry, number: str, driver: Any) -> tuple[Car, bytes]:
    """What is said of a car, and its laps, each gzipped by itself."""
    told = driver if isinstance(driver, dict) else {}
    tla, last, first = (text(told.get(key)) or "" for key in _DRIVER)
    car = Car(laps=[], tla=tla, names=_names(tla, last, first))
    parts: list[bytes] = []
    at = 0
    length = None if telemetry.lap_length is None else telemetry.lap_length / 10
    for lap in timing.laps.get(number, ()):
        try:
            driven = lap_telemetry(samples, timing, number, lap.number, length)
        except NoTelemetry:
            continue
        part = gzip.compress(orjson.dumps(told_lap(driven, lap, tla)), _LEVEL, mtime=0)
        car.laps.append(LapStored(lap.number, at, len(part), lap.time_ms))
        parts.append(part)
        at += len(part)
    try:
        quickest = fastest(timing, number)
    except NoTelemetry:
        quickest = None
    car.fastest = quickest if any(lap.number == quickest for lap in car.laps) else None
    return car, b"".join(parts)


def _names(tla: str, last: str, first: str) -> list[str]:
    """What a driver may be asked for by: `ver`, `verstappen`, `max_verstappen`."""
    bare, whole = (re.sub(r" ", "_", plain(name)) for name in (last, f"{first} {last}"))
    return [name for name in dict.fromkeys((tla.lower(), bare, whole if first and last else "")) if name]


def told_lap(driven: LapTelemetry, lap: LapTimed, tla: str = "") -> dict[str, Any]:
    """`objects.LapTelemetry` of a lap, as JSON has it."""
    told: dict[str, Any] = {
        "racingNumber": driven.number,
        "lap": driven.lap,
        "startedAt": _instant(driven.start_ms),
        "lapTimeMs": driven.time_ms,
    }
    told |= {"tla": tla} if tla else {}
    told |= {"compound": lap.compound} if lap.compound is not None else {}
    told |= {"tyreAge": lap.tyre_age} if lap.tyre_age is not None else {}
    names = [_NAMES.get(name, name) for name in driven.channels]
    columns = [values.tolist() for values in driven.channels.values()]
    distances = [round(metres, 2) for metres in driven.metres.tolist()]
    told["points"] = [
        {"atMs": at, "distance": distance}
        | {name: value for name, value in zip(names, values, strict=True) if value != UNKNOWN}
        for at, distance, *values in zip(driven.at.tolist(), distances, *columns, strict=True)
    ]
    return told


def _instant(ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
