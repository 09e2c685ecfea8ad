"""The board in the messages the tracks' app reads: what a column shows is its label, in a French board's words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pitwall.documents.circuits import AppTimingDocument
from pitwall.documents.schema import validate
from pitwall.karting import app, vocabulary
from pitwall.karting.projection import project
from pitwall.timing import change
from pitwall.timing.change import Change
from tests.documents.test_schema import exported
from tests.karting.script import START, Script

LABELS = {
    "C1": "CLT", "C2": "kart", "C3": "Équipe / Pilote", "C4": "ecart", "C5": "Intervalles", "C6": "Meilleur  T.",
    "C7": "Dernier T", "C8": "S1", "C9": "Lap", "C10": "En Piste", "C11": "Stands", "C12": "Pénalités",
    "C13": "Non utilisé", "C14": "Catégorie",
}  # fmt: skip
ROW: dict[str, Any] = {
    "Position": 2, "Team": "Alpha", "Driver": "A. Driver", "GapMs": 62_387, "IntervalLaps": 1, "BestLapMs": 59_609,
    "LastLapMs": 65_295, "Sector1Ms": 20_100, "Laps": 12, "StintMs": 1_560_000, "Stops": 3, "Penalty": "3 Tours",
    "Category": "Mini",
}  # fmt: skip


def of_circuit(script: Script, at: float = 0, **circuit: Any) -> set[Change]:
    return script.tell(at, vocabulary.CIRCUIT, {"Circuit": "los-santos", **circuit}, snapshot=True)


def board(script: Script) -> AppTimingDocument | None:
    projected = project(script.state, Change(change.APP))
    if projected is None:
        return None
    path, document = projected
    assert path == "circuits/los-santos/live/timing"
    validate(path, exported(document))
    assert isinstance(document, AppTimingDocument)
    return document


def test_rows_are_texts_by_the_labels_the_track_has():
    script = Script("7", "8")
    assert board(script) is None
    of_circuit(script, Labels=LABELS)
    script.line(60, "7", **{**ROW, "Position": 1, "GapMs": None})
    script.line(61.5, "8", **ROW)
    told = board(script)
    assert told is not None
    assert told.data is told.rows["8"]
    assert told.data.mapped_data == {
        "C1": "2", "C2": "8", "C3": "Alpha / A. Driver", "C4": "1:02.387", "C5": "1 Tour", "C6": "59.609",
        "C7": "1:05.295", "C8": "20.100", "C9": "12", "C10": "0:26", "C11": "3", "C12": "3 Tours", "C14": "Mini",
    }  # fmt: skip
    assert told.rows["7"].mapped_data["C4"] == "Tour 12"
    assert told.data.raw_data["lastLapMs"] == 65_295
    assert told.data.timestamp.timestamp() * 1000 == START + 61_500
    assert (told.type, told.circuit_id, told.session) == ("timing", "los-santos", script.state.session)
    assert set(msgspec.to_builtins(told)) >= {"type", "circuit_id", "data"}


def test_a_track_without_labels_has_the_apps_own_order():
    script = Script("7")
    of_circuit(script)
    script.line(60, "7", **ROW)
    told = board(script)
    assert told is not None
    assert [told.data.mapped_data[f"C{n}"] for n in (1, 2, 4, 7, 11, 13, 14)] == [
        "2", "7", "1:02.387", "1:05.295", "12", "3", "3 Tours",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "line", "shown"),
    [
        ("Kart", {"Number": "012"}, "012"),
        ("Pilote", {"Team": "Alpha", "Driver": "A. Driver"}, "A. Driver"),
        ("Equipe", {"Driver": "A. Driver"}, "A. Driver"),
        ("Equipe/Pilote", {"Team": "Alpha"}, "Alpha"),
        ("Ecart", {"GapLaps": 5}, "5 Tours"),
        ("Ecart", {"Position": 1}, ""),
        ("Intervalles", {"IntervalMs": -700}, "-0.700"),
        ("Meilleur T.", {}, ""),
        ("Dernier T.", {"LastLapMs": 3_723_400}, "1:02:03.400"),
        ("En Piste", {"Status": "inPit", "PitMs": 168_000}, "2:48."),
        ("En Piste", {"Status": "inPit", "PitMs": 7_000}, "07."),
        ("En Piste", {}, ""),
        ("Stands", {}, ""),
        ("Vitesse", {"Number": "7"}, None),
        ("non utilise", {"Number": "7"}, None),
    ],
)
def test_a_cell_is_written_as_a_french_board_does(label: str, line: dict[str, Any], shown: str | None):
    script = Script()
    script.board(0, {"r1": {"Number": "1", **line}})
    assert app.cell(script.kart("1"), label) == shown


def test_only_rows_that_changed_are_made_anew_and_98_karts_fit_well():
    script = Script(*(str(n) for n in range(1, 99)), **{name: ROW[name] for name in ROW if name != "Position"})
    of_circuit(script)
    before = board(script)
    script.line(60, "7", LastLapMs=66_000)
    after = board(script)
    assert before is not None
    assert after is not None
    assert [n for n in after.rows if after.rows[n] is not before.rows[n]] == ["7"]
    assert len(msgspec.json.encode(after)) < 100_000
    of_circuit(script, 61, Labels=LABELS)
    relabelled = board(script)
    assert relabelled is not None
    assert relabelled.data.mapped_data["C14"] == "Mini"


def test_what_is_known_of_the_track_outlives_a_session_and_a_checkpoint():
    script = Script("7")
    of_circuit(script, Labels={**LABELS, "C15": "x", "C2": ""}, Endurance={"Stops": 4, "StopMs": -1, "StintMs": "1"})
    script.tell(1, vocabulary.NOTICE, {"Kind": "new-layout", "Key": "c5", "Role": "LastLapMs", "Message": "moved"})
    after = type(script.state).load(script.state.successor("kart-nowhere-2").dump())
    assert after.data.circuit == script.state.data.circuit
    assert after.data.circuit is not None
    assert (after.data.circuit.labels.keys(), after.rules) == (LABELS.keys() - {"C2"}, {"Stops": 4})
    assert after.session == "kart-nowhere-2"
    assert after.apply(vocabulary.message(vocabulary.NOTICE, {
        "Kind": "new-layout", "Key": "c5", "Role": "LastLapMs", "Message": "moved again"}, START)) == set()  # fmt: skip
    script.tell(2, vocabulary.CIRCUIT, {"Circuit": " "})
    script.tell(2, vocabulary.NOTICE, {"Kind": "x"})
    assert script.state.rejected == {"bad-KartCircuit": 1, "bad-KartNotice": 1}
    of_circuit(script, 3, Circuit="..")
    assert project(script.state, Change(change.APP)) is None
