"""The jobs `export-person` and `erase-person`: a name is found wherever it is stored, and taken out of all of it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import storage as storage_api

from pitwall.documents import paths
from pitwall.documents.circuits import CircuitDocument
from pitwall.documents.encoding import to_fields
from pitwall.documents.privacy import PrivacyRequestDocument, Wish
from pitwall.history.persons import ERASED, Name, erase, export, exported
from pitwall.history.work import BadRequest, Stopped
from pitwall.karting import vocabulary
from pitwall.message import Message
from pitwall.pipeline.checkpoint import Checkpoint, Checkpoints
from pitwall.pipeline.database import Database
from pitwall.pipeline.recorder import RawBatch
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from pitwall.sources.pitwall_format import object_name
from tests.pipeline.conftest import database  # noqa: F401 (fixture)

AT = 1_893_500_000_000
ID = "c9f0f895fb98ab9159f51fd0297e236d"
ANA, BEA = "Ana Núñez-Kart", "Bea Ananuñez"
SPELT = "ANA  NÚÑEZ-KART"
LABELS = {"C1": "Clt", "C2": "Pilote", "C3": "Dernier T."}


def race(circuit: str) -> list[Message]:
    """A few minutes of an endurance race in which Ana takes over from Bea and is penalised by name."""
    grid = {"r7": {"Number": "7", "Team": "Quick Ones", "Driver": BEA, "Position": 1, "Laps": 0}}
    told: list[tuple[str, Any, int, bool]] = [
        (vocabulary.CIRCUIT, {"Circuit": circuit, "Labels": LABELS, "Endurance": {"Stops": 2}}, 0, False),
        (vocabulary.SESSION, {"Title": "", "Name": "Race", "Type": "Race", "Fresh": True}, 0, True),
        (vocabulary.GRID, {"Columns": [], "Lines": grid}, 0, True),
        (vocabulary.CROSSING, {"Row": "r7", "NoLap": True}, 2_000, False),
    ]
    for lap in range(1, 7):
        at = 2_000 + lap * 65_000
        if lap == 3:
            told.append((vocabulary.PIT, {"Row": "r7", "In": True}, at - 60_000, False))
            told.append((vocabulary.LINES, {"r7": {"Driver": ANA}}, at - 40_000, False))
            told.append((vocabulary.PIT, {"Row": "r7", "In": False}, at - 30_000, False))
        told.append((vocabulary.LINES, {"r7": {"LastLapMs": 65_000, "Laps": lap}}, at, False))
        told.append((vocabulary.CROSSING, {"Row": "r7"}, at, False))
    said = [{"Message": f"Kart 7 ({SPELT}): 10 s", "Number": "7", "Flag": "penalty"}]
    told.append((vocabulary.RACE_CONTROL, {"Messages": said}, 400_000, False))
    return [Message(topic, data, AT + after, snapshot) for topic, data, after, snapshot in told]


class Kept(NamedTuple):
    """What is stored of all."""

    settings: Settings
    database: Database
    firestore: firestore_api.Client
    storage: storage_api.Client

    def documents(self) -> dict[str, dict[str, Any]]:
        """By path, but for the requests."""
        groups = {kind.template.split("/")[-2] for kind in paths.KINDS} | {"checkpoints"}
        streams = (self.firestore.collection_group(group).stream() for group in groups - {"privacyRequests"})
        return {document.reference.path: document.to_dict() for stream in streams for document in stream}

    def recorded(self) -> dict[str, str]:
        blobs = self.storage.bucket(self.settings.raw_bucket).list_blobs()
        contents = {blob.name: blob.download_as_bytes(raw_download=True) for blob in blobs}
        return {name: gzip.decompress(told).decode() for name, told in contents.items() if told != b"no gzip"}

    def with_name(self, name: str) -> set[str]:
        """Paths, kinds of what recorded objects are of, and checkpoints."""
        person = Name(name)
        documents = self.documents()
        found = {path for path, fields in documents.items() if person.without(fields)[1]}
        found |= {f"recorded/{name.partition('/')[0]}" for name, text in self.recorded().items() if person.is_in(text)}
        for path, fields in documents.items():
            if path.startswith("checkpoints/") and name.encode() in zlib.decompress(fields["state"]):
                found.add(path)
        return found

    def ask(self, wish: Wish, name: str, circuit: str = "") -> None:
        wanted = PrivacyRequestDocument(at=datetime.now(UTC), name=name, wish=wish, circuit=circuit or msgspec.UNSET)
        self.database.commit([self.database.write(paths.privacy_request(ID), to_fields(wanted))])

    def work(self, wish: Wish, name: str, circuit: str = "", progress: Any = lambda *_: None) -> dict[str, Any]:
        self.ask(wish, name, circuit)
        return self.again(wish, progress)

    def again(self, wish: Wish, progress: Any = lambda *_: None) -> dict[str, Any]:
        job = export if wish == "export" else erase
        return job(self.settings, self.database, {"request": ID}, progress)

    def asked_still(self) -> bool:
        return self.firestore.document(paths.privacy_request(ID)).get().exists


@pytest.fixture
def kept(
    database: Database,  # noqa: F811
    project: str,
    firestore: firestore_api.Client,
    storage: storage_api.Client,
) -> Kept:
    """Two tracks on which Ana and Bea drove, and a session of F1 with a driver of that name."""
    settings = Settings(project=project, raw_bucket=f"{project}-raw", telemetry_bucket=f"{project}-telemetry")
    raw = storage.create_bucket(settings.raw_bucket)
    storage.create_bucket(settings.telemetry_bucket)
    for circuit in ("genk", "misanino"):
        reducer, batch = Reducer("", f"kart-{circuit}", "apex"), RawBatch(5.0, 262_144)
        documents: dict[str, Any] = {f"circuits/{circuit}": CircuitDocument(at=datetime.now(UTC), nom=circuit)}
        for message in race(circuit):
            batch.add(message)
            documents.update(pair for tick in reducer.offer(message) for pair in tick.documents)
        dumped = reducer.dump()
        documents.update(pair for tick in reducer.finish() for pair in tick.documents)
        database.commit([database.write(path, {**to_fields(one), "v": 7}) for path, one in documents.items()])
        content = batch.take() or b""
        raw.blob(object_name(reducer.session, 1, 1, AT)).upload_from_string(content)
        raw.blob(object_name(reducer.session, 1, 2, AT + 9)).upload_from_string(b"no gzip")
        Checkpoints(database, 1).save(reducer.session, Checkpoint(source="apex", cursor=-1, reducer=dumped))
    firestore.document("sessions/9845").set({"series": "f1", "at": datetime.now(UTC)})
    firestore.document("sessions/9845/drivers/1").set({"fullName": ANA})
    return Kept(settings, database, firestore, storage)


def of(circuit: str) -> str:
    return f"kart-{circuit}-20300101-1213-Race"


def test_a_name_is_found_wherever_it_is_stored_and_taken_out_of_all_of_it(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    found = kept.with_name(ANA)
    parts = ("live/entries", "live/endurance", "drivers/7", "raceControl/0")
    session = f"sessions/{of('genk')}"
    assert found >= {f"{session}/{part}" for part in parts} | {f"recorded/{of('genk')}", f"checkpoints/{of('genk')}"}
    assert "circuits/genk/live/timing" in found

    told = kept.work("export", SPELT.lower(), "genk")
    assert (told["sessions"], told["sessionsWithIt"], told["export"], told["complete"]) == (1, 1, ID, True)
    places = json.loads(exported(kept.settings, ID) or b"")["places"]
    assert {one.get("stored") or f"recorded/{of('genk')}" for one in places} == {
        path for path in found if "genk" in path
    }
    assert {"stored": f"{session}/drivers/7", "at": "/driverChanges/0"} in [
        {key: one.get(key) for key in ("stored", "at")} for one in places
    ]
    assert kept.with_name(ANA) == found

    before = kept.documents()
    told = kept.work("erase", SPELT.lower(), "genk")
    assert (told["checkpoints"], told["recordings"], told["sessionsWithIt"]) == (1, 1, 1)
    assert kept.with_name(ANA) == {path for path in found if "genk" not in path}
    after = kept.documents()
    assert {path for path in before if after.get(path) != before[path]} == {
        path for path in found if "genk" in path and not path.startswith("recorded/")
    }
    assert ERASED in after[f"{session}/raceControl/0"]["message"]
    assert after[f"{session}/drivers/7"]["v"] == 7
    assert f"{session}/drivers/7" in kept.with_name(BEA)
    assert not kept.asked_still()

    told = kept.work("erase", ANA)
    assert told["sessionsWithIt"] == 1
    assert kept.with_name(ANA) == {"sessions/9845/drivers/1"}
    assert kept.work("erase", ANA) == {"sessions": 2, "sessionsWithIt": 0}
    assert "ana" not in capsys.readouterr().out.lower()


@pytest.mark.parametrize("wish", ["erase", "export"])
def test_a_turn_that_is_over_is_gone_on_with_where_it_was(kept: Kept, wish: Wish) -> None:
    told: list[str] = []

    def until_the_second(_: float, what: str) -> None:
        told.append(what)
        if of("misanino") in what:
            raise Stopped

    with pytest.raises(Stopped):
        kept.work(wish, ANA, progress=until_the_second)
    left = kept.with_name(ANA)
    assert (f"checkpoints/{of('genk')}" in left) is (wish == "export")
    assert kept.asked_still()
    told.clear()
    result = kept.again(wish, lambda _, what: told.append(what))
    assert not [what for what in told if of("genk") in what]
    assert (result["sessions"], result["sessionsWithIt"]) == (2, 2)
    if wish == "export":
        places = json.loads(exported(kept.settings, ID) or b"")["places"]
        assert {one["stored"] for one in places if "stored" in one} == {
            path for path in left if not path.startswith(("recorded/", "sessions/9845"))
        }


def test_a_session_that_is_held_is_refused_until_it_is_let_go(kept: Kept) -> None:
    lease = kept.firestore.document("leases/kart-genk")
    lease.set(
        {"holder": "x", "epoch": 1, "sessionKey": of("genk"), "expiresAt": datetime.now(UTC) + timedelta(hours=1)}
    )
    with pytest.raises(BadRequest, match="is being timed"):
        kept.work("erase", ANA, "genk")
    assert f"checkpoints/{of('genk')}" in kept.with_name(ANA)
    assert not kept.asked_still()
    lease.update({"sessionKey": "kart-genk-20300101-1400-Next"})
    kept.work("erase", ANA, "genk")
    assert not [path for path in kept.with_name(ANA) if "genk" in path]


def test_what_cannot_be_done_is_refused_without_the_name(kept: Kept) -> None:
    def refused(work: Callable[[], Any]) -> str:
        with pytest.raises(BadRequest) as error:
            work()
        return str(error.value)

    assert "ask once more" in refused(lambda: kept.again("erase"))
    assert "to export" in refused(lambda: (kept.ask("export", ANA), kept.again("erase")))
    assert "three letters" in refused(lambda: kept.work("erase", "A. -"))
    assert "it is no name" in refused(lambda: kept.work("erase", "feed", "genk"))
    kept.work("erase", "kart", "genk")
    assert kept.documents()[f"sessions/{of('genk')}"]["series"] == "kart"
    no_request = {"request": "../x"}
    assert "id of a document" in refused(lambda: erase(kept.settings, kept.database, no_request, lambda *_: None))
    assert exported(kept.settings, ID) is None
    assert exported(kept.settings, "../x") is None


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("Ana Núñez", True),
        ("ANA\u00a0núñez [1:26]", True),
        ("(Ana  Nu\u0301n\u0303ez)", True),
        ("Mariana Núñez", False),
        ("Ana Núñezz", False),
        ("Ana-Núñez", False),
        ("Ana Nunez", False),
    ],
)
def test_a_name_is_its_words_in_any_case_and_spaces(text: str, there: bool) -> None:
    assert Name("Ana Núñez").is_in(text) is there
