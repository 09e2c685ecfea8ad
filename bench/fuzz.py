"""`python -m bench.fuzz`: damaged bytes into every parser of kart timing, a million inputs each; none may raise.

An input is a frame, a line of a log, or a line of a capture, with up to four damages to its bytes: some flipped, taken
out, put in, told twice, taken from another input, or replaced by what parsers stumble over. Parsers are told them one
after the other on one connection, sound ones between, and what comes out goes into the state machine, which has to
take it. The inputs are those of a seed: the same again with the same words.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import orjson

from bench import result
from pitwall.karting import splitting, vocabulary
from pitwall.karting.described import Described
from pitwall.karting.description import Description, Field, Kind, decode, encode
from pitwall.karting.detection.rows import Heard
from pitwall.karting.formats import unit_of
from pitwall.karting.state import KartState
from pitwall.message import Message
from pitwall.sources import captured
from pitwall.sources.analysis import analyse
from pitwall.sources.apex import grid, protocol
from pitwall.sources.apex.capture import ApexLines
from pitwall.sources.apex.translation import Translation as ApexTranslation
from pitwall.sources.recording import NotARecording, open_recording
from pitwall.sources.rmonitor.capture import RMonitorLines
from pitwall.sources.rmonitor.translation import Translation as RMonitorTranslation

INPUTS: Final = 1_000_000
CONNECTION: Final = 200
"""Inputs of one connection; then the next one begins."""
STREAM: Final = 40
"""Frames that are analysed together."""
FILE: Final = 500
"""Lines of a capture that is opened as a file."""
START: Final = 1_893_456_000_000
_SOUND: Final = 0.3
_MOST_DAMAGES: Final = 4

BOARD: Final = (
    b'init|r|\ntitle1||3H\ndyn1|countdown|10785490\nlight|lg|\ngmt||+1\ngrid||<tbody><tr data-id="r0" class="head">'
    b'<td data-id="c1" data-type="sta"></td><td data-id="c2" data-type="rk">Clt</td><td data-id="c3" data-type="no">'
    b'Kart</td><td data-id="c4" data-type="dr">Equipe</td><td data-id="c5" data-type="llp">Dernier T.</td><td '
    b'data-id="c6" data-type="blp">Meilleur T.</td><td data-id="c7" data-type="gap">Ecart</td><td data-id="c8" '
    b'data-type="tlp">Tours</td><td data-id="c9" data-type="otr">En piste</td><td data-id="c10" data-type="pit">Stands'
    b'</td></tr><tr data-id="r1" data-pos="1"><td data-id="r1c1" class="sr"></td><td><div><p data-id="r1c2">1</p></div>'
    b'</td><td><div data-id="r1c3" class="no7">7</div></td><td data-id="r1c4">A Team</td><td data-id="r1c5">1:05.295'
    b'</td><td data-id="r1c6">1:04.9</td><td data-id="r1c7">2 Tours</td><td data-id="r1c8">12</td><td data-id="r1c9">'
    b'0:26</td><td data-id="r1c10">1</td></tr></tbody>'
)
APEX: Final = (
    BOARD,
    b"r1c5|tn|1:05.295\nr1|*|65295|\nr1c8|in|13",
    b"r1|#|2\nr1c2||2",
    b"r1|*in|0\nr1c1|si|\nr1c10|in|2",
    b"r1|*out|0\nr1c1|so|",
    b'com||<p><b>13:30</b><span data-flag="yellow"></span>7 <b>2"</b></p>',
    b"dyn1|text|Tour 9/10",
    b"css|no13|border-bottom-color:#0f0",
    b"light|lf|",
    b"r1c7|in|5 Tours\nr1c4|dr|A Name [1:26]",
    b"msg||x\ntrack||K (5m)",
)
RMONITOR: Final = (
    b'$I,"16:36:08.000","12 jan 01"',
    b'$B,5,"Friday free practice"',
    b'$E,"TRACKNAME","Indianapolis"',
    b'$C,5,"F3"',
    b'$A,"1234BE","12X",52474,"A","Name","USA",5',
    b'$COMP,"1234BE","12X",5,"A","Name","USA","X"',
    b'$F,14,"00:12:45","13:34:23","00:09:47","Green "',
    b'$G,3,"1234BE",14,"01:12:47.872"',
    b'$H,2,"1234BE",3,"00:02:17.872"',
    b'$J,"1234BE","00:02:03.826","01:42:17.672"',
    b'$RMS,"race"',
    b'$RMHL,"1234BE","14","1","00:02:03.826","Green ","x"',
    b'$G,1,"A",2,"00:01:00"$J,"A","00:01:00","00:02:00"',
    b'$COR,"1234BE","12X",5,"00:02:03.826","-"',
    b"$RMCA,1761485750000",
)
DELIMITED: Final = (
    b"1;7;A Name;3;1:02.000;1:01.000;2.5;2",
    b"2;8;B Name;3;1:03,1;59.9;1 Tour;1",
    b"pos;no;driver;laps;last;best;gap;pit",
)
PAIRS: Final = tuple(
    b"|".join(b"%d=%s" % (index, cell) for index, cell in enumerate(line.split(b";"))) for line in DELIMITED
)
JSON: Final = (
    b'{"rows":[{"0":1,"1":"7","2":"A Name","3":3,"4":62000,"5":"1:01.000","6":"2.5","7":null}]}',
    b'{"rows":[{"0":2,"1":"8","3":4},{"0":1,"1":"7","4":1e400}]}',
    b'{"rows":{"7":{"4":"1:02"}}}',
    b"[1,2,[3]]",
)
TABLES: Final = tuple(
    b"<table><tr><th>Clt</th></tr><tr id='k7'>"
    + b"".join(b"<td>%s</td>" % cell for cell in line.split(b";"))
    + b"</tr></table>"
    for line in DELIMITED
)
CAPTURES: Final = (
    b'{"v":1,"circuit_url":"x","started_at":"2026-06-27T20:16:41Z"}',
    b'{"t": 0.184, "msg": "init|p|\\ngrid||<tbody>"}',
    b'{"t": 1782593801798, "raw": "r1c5|tn|1:05.295\\nr1|*|65295|"}',
    b'{"event_meta": {"a": 1}}',
    b"##2025-10-26 13:35:50.323",
    *RMONITOR[:8],
)
TOKENS: Final = (
    b"|",
    b"||",
    b"\n",
    b"\r\n",
    b"\0",
    b'"',
    b"'",
    b"<",
    b">",
    b"</td>",
    b'data-id="',
    b"$G,",
    b"$",
    b",",
    b";",
    b"=",
    b"{",
    b"}",
    b"[" * 60,
    b"]",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc2\xb2",
    b"\xd9\xa3",
    b"9" * 40,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"00.",
    b"2:48.",
    b"1,2",
    b"99:99:99.999",
    b"r0",
    b"r1c5",
    b"c99999",
    b"grid||",
    b"init|n|",
    b"\x1e",
    b"GET / HTTP/1.1",
    b"\x16\x03\x01",
    b"\\ud800",
    b"&#x0;",
    b"Tour 3",
    b"##0000-00-00 00:00:00",
    b"%s",
    b" " * 200,
)


def damaged(seeds: tuple[bytes, ...], chance: random.Random) -> bytes:
    """An input, damaged more often than not."""
    content = bytearray(chance.choice(seeds))
    if chance.random() < _SOUND:
        return bytes(content)
    for _ in range(chance.randint(1, _MOST_DAMAGES)):
        start = chance.randint(0, len(content))
        end = min(len(content), start + chance.choice((0, 1, 2, 8, 40)))
        how = chance.randint(0, 5)
        if how == 0:
            content[start:end] = chance.randbytes(end - start)
        elif how == 1:
            del content[start:end]
        elif how == 2:
            content[start:end] = chance.choice(TOKENS)
        elif how == 3:
            content[start:start] = content[start:end] * chance.choice((1, 1, 3))
        elif how == 4:
            other = chance.choice(seeds)
            at = chance.randint(0, len(other))
            content[start:end] = other[at : at + chance.choice((4, 30, len(other)))]
        else:
            del content[start:]
    return bytes(content)


def text(content: bytes, chance: random.Random) -> str:
    """As a source reads it, or as JSON may have held it."""
    return content.decode("utf-8", chance.choice(("replace", "replace", "surrogateescape")))


class _Machine:
    """The state machine behind a parser."""

    def __init__(self) -> None:
        self.state = KartState("waiting", "kart-nowhere")

    def take(self, messages: list[Message]) -> None:
        for message in messages:
            if message.topic not in vocabulary.TOPICS:
                raise AssertionError(message.topic)
            self.state.next_session(message)
            for _ in self.state.apply(message):
                pass


def _ignore(_reason: str) -> None:
    """What cannot be used is counted elsewhere."""


Parser = Callable[[Iterator[bytes], random.Random], None]
"""Takes the inputs of one connection."""


def _apex(inputs: Iterator[bytes], chance: random.Random) -> None:
    translation, machine = ApexTranslation(_ignore), _Machine()
    machine.take(translation.frame(BOARD.decode(), START))
    for number, content in enumerate(inputs):
        machine.take(translation.frame(text(content, chance), START + number * chance.choice((0, 40, 900, 70_000))))


def _lines(inputs: Iterator[bytes], chance: random.Random) -> None:
    """Apex Timing's protocol and its boards alone."""
    for content in inputs:
        for line in protocol.lines(text(content, chance), _ignore):
            if line.command == "grid":
                grid.board(line.value)
            grid.text(line.value)


def _rmonitor(inputs: Iterator[bytes], chance: random.Random) -> None:
    translation, machine = RMonitorTranslation(_ignore), _Machine()
    for number, content in enumerate(inputs):
        machine.take(
            translation.read(text(content, chance).split("\r\n"), START + number * chance.choice((0, 40, 900)))
        )


ROLES: Final = ("Position", "Number", "Driver", "Laps", "LastLapMs", "BestLapMs", "Gap", "Stops")


def _description(kind: Kind) -> Description:
    fields = [Field(str(key), role, unit_of(role), 1.0, "human") for key, role in enumerate(ROLES)]  # type: ignore[arg-type]
    return Description(
        kind,
        "1",
        fields,
        rows=["rows"] if kind == "json" else [],
        separator=";" if kind == "delimited" else "|",
        assign="=",
        whole=kind == "html-table",
    )


def _unit(role: str) -> str:
    return (
        "clock"
        if role.endswith("Ms")
        else "gap"
        if role == "Gap"
        else "text"
        if role in ("Driver", "Number")
        else "count"
    )


def _described(kind: Kind) -> Parser:
    description = decode(encode(_description(kind)))

    def parse(inputs: Iterator[bytes], chance: random.Random) -> None:
        reading, machine = Described(description, _ignore), _Machine()
        at = START
        for content in inputs:
            at += chance.choice((0, 900, 62_000))
            machine.take(reading.frame(text(content, chance), at))
        reading.finish(at)

    return parse


def _analysis(inputs: Iterator[bytes], chance: random.Random) -> None:
    heard: list[Heard] = []
    at = START

    def look() -> None:
        analysis = analyse(heard, {"c5": "Dernier T.", "4": "LastLapMs"} if chance.random() < 0.5 else None)
        plain = msgspec.to_builtins(analysis)
        if analysis.description is not None and decode(encode(analysis.description)) != analysis.description:
            raise AssertionError("a description that does not read back")
        orjson.dumps(plain["fields"])
        heard.clear()

    for content in inputs:
        at += chance.choice((0, 900, 62_000))
        heard.append(Heard(at, text(content, chance)))
        if len(heard) == STREAM:
            look()
    look()


def _descriptions(inputs: Iterator[bytes], _chance: random.Random) -> None:
    """Descriptions that were stored, run where they can be read."""
    for content in inputs:
        try:
            description = decode(content)
        except ValueError:
            continue
        Described(description, _ignore).frame(DELIMITED[0].decode(), START)
        splitting.rows(JSON[0].decode(), splitting.layout_of(description))


def _captures(inputs: Iterator[bytes], _chance: random.Random) -> None:
    """Lines of captures one by one, and all of them as a file."""
    apex, rmonitor, lines = ApexLines(), RMonitorLines(), list(inputs)
    for line in lines:
        for reader in (apex, rmonitor):
            reader.recognises(line)
            for record in reader.read(line, _ignore):
                if not isinstance(record.topic, str):
                    raise AssertionError(record)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any"
        path.write_bytes(b"\n".join([CAPTURES[len(lines) % len(CAPTURES)], *lines[:FILE]]))
        for _ in captured.heard(path):
            pass
        try:
            for message in open_recording(path).messages():
                if message.topic not in vocabulary.TOPICS:
                    break
        except NotARecording:
            pass


_STORED: Final = tuple(encode(_description(kind)) for kind in ("json", "delimited", "key-value", "html-table"))
_EVERYTHING: Final = (*APEX, *RMONITOR, *DELIMITED, *PAIRS, *JSON, *TABLES)

PARSERS: Final[dict[str, tuple[Parser, tuple[bytes, ...]]]] = {
    "apex": (_apex, APEX),
    "apex lines": (_lines, APEX),
    "rmonitor": (_rmonitor, RMONITOR),
    "json": (_described("json"), JSON),
    "delimited": (_described("delimited"), DELIMITED),
    "key-value": (_described("key-value"), PAIRS),
    "html-table": (_described("html-table"), TABLES),
    "descriptions": (_descriptions, _STORED),
    "analysis": (_analysis, _EVERYTHING),
    "captures": (_captures, CAPTURES),
}


class Raised(AssertionError):
    """A parser raised; says which inputs of which seed."""


def fuzz(name: str, inputs: int, seed: int = 1) -> float:
    """Tells a parser so many inputs; seconds of processor time it took. Raises Raised with what it was told."""
    parse, seeds = PARSERS[name]
    began = time.process_time()
    for first in range(0, inputs, CONNECTION):
        chance = random.Random(f"{seed} {name} {first}")
        streams = seeds if name != "analysis" else _of_one_kind(chance)
        told = [damaged(streams, chance) for _ in range(min(CONNECTION, inputs - first))]
        try:
            parse(iter(told), random.Random(first))
        except Exception as error:
            raise Raised(f"{name}, inputs from {first} of seed {seed}: {error!r}; {told[-3:]!r}") from error
    return time.process_time() - began


def _of_one_kind(chance: random.Random) -> tuple[bytes, ...]:
    """A stream is of one kind for the most part."""
    return chance.choice((APEX, RMONITOR, DELIMITED, PAIRS, JSON, TABLES, _EVERYTHING))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parsers", nargs="*", choices=[[], *PARSERS], metavar="parser", help=", ".join(PARSERS))
    parser.add_argument("--inputs", type=int, default=INPUTS, help="to each parser")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable()
    seconds: dict[str, float] = {}
    raised: Counter[str] = Counter()
    for name in options.parsers or PARSERS:
        try:
            seconds[name] = round(fuzz(name, options.inputs, options.seed), 1)
            print(f"{name:<14} {options.inputs:>9} inputs {seconds[name]:>7.1f} s", flush=True)
        except Raised as error:
            raised[name] += 1
            print(f"{name:<14} {error}", flush=True)
    result("fuzz", inputs=options.inputs, seed=options.seed, seconds=seconds, raised=dict(raised))
    return 1 if raised else 0


if __name__ == "__main__":
    raise SystemExit(main())
