"""The job `telemetry` on the emulators: computed once, all of it there at once, whatever ends the job."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as storage_api

from local.archive import ArchiveServer
from local.emulators import Emulator
from local.simulator import SESSION_KEY, Incidents, quick_race, write_recording
from pitwall.documents.encoding import to_fields
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.history.reconcile import RETRIES
from pitwall.history.telemetry import reading
from pitwall.history.telemetry.compact import VIEWER, decode, encode
from pitwall.history.telemetry.frames import SCALES, encoded
from pitwall.history.telemetry.grid import Telemetry
from pitwall.history.telemetry.laps import compare, fastest, lap_telemetry
from pitwall.history.telemetry.objects import (
    SKIPS,
    Gone,
    LapTelemetry,
    Manifest,
    Race,
    Store,
    StoreUnavailable,
    compact_object,
    frames_object,
    laps_object,
)
from pitwall.history.telemetry.processing import Opened, computed, process, work
from pitwall.history.telemetry.samples import UNKNOWN
from pitwall.history.work import BadRequest, Stopped
from pitwall.message import Message
from pitwall.pipeline.database import Database
from pitwall.settings import Settings
from pitwall.sources.archive import Archive, ArchiveError
from pitwall.sources.pitwall_format import encode_line, object_name
from pitwall.sources.recording import open_recording
from tests.history.conftest import Played as PlayedSource
from tests.history.telemetry.conftest import Played, play
from tests.pipeline.conftest import database  # noqa: F401 (fixture)

RACE = Race(2026, 12)
REQUEST = {"year": 2026, "round": 12}
AT = datetime(2026, 7, 12, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A race of one lap."""
    path = tmp_path_factory.mktemp("short") / "race.txt.gz"
    write_recording(quick_race(5, laps=1, incidents=Incidents.calm(1)), path)
    return path


@pytest.fixture(scope="module")
def short(recording: Path) -> Played:
    return play(recording)


@pytest.fixture(scope="module")
def longer_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A race of three laps, with incidents."""
    path = tmp_path_factory.mktemp("longer") / "race.txt.gz"
    write_recording(quick_race(5, laps=3), path)
    return path


@pytest.fixture(scope="module")
def longer(longer_recording: Path) -> Played:
    return play(longer_recording)


@pytest.fixture(scope="module")
def archived(recording: Path) -> Iterator[tuple[ArchiveServer, str]]:
    """F1's archive with that race in it, and the race's path."""
    with ArchiveServer() as server:
        yield server, server.add(recording)


@pytest.fixture
def settings(archived: tuple[ArchiveServer, str], storage: storage_api.Client, project: str) -> Settings:
    made = Settings(
        project=project,
        f1_url=archived[0].url,
        telemetry_bucket=f"{project}-telemetry",
        raw_bucket=f"{project}-raw",
    )
    storage.create_bucket(made.telemetry_bucket)
    return made


def plan(database: Database, path: str = "", **session: Any) -> None:  # noqa: F811
    """Has the calendar say of the race what the daily function would."""
    race = ScheduledSession(
        session_key=str(SESSION_KEY), year=2026, round=12, meeting="Ardenmoor Grand Prix", type="Race", name="Race",
        start_date=AT, end_date=AT, **session, **({"archive_path": path} if path else {}),
    )  # fmt: skip
    event = EventDocument(at=AT, written_at=AT, v=1, year=2026, round=12, name="Ardenmoor Grand Prix", sessions=[race])
    document = to_fields(event)
    write = database.write("seasons/2026/events/12", document, None, must_be_new=True)
    RETRIES(lambda: database.commit([write]))


def silent(_done: float, _what: str) -> None:
    pass


def objects(storage: storage_api.Client, settings: Settings) -> dict[str, tuple[int, str]]:
    """Generation and MD5 of every object in the bucket of telemetry."""
    listed = storage.list_blobs(settings.telemetry_bucket)
    return {blob.name: (int(blob.generation), blob.md5_hash) for blob in listed}


# -- what is stored ------------------------------------------------------------------------


class Stored(NamedTuple):
    """What the job has stored of the race, and what it said."""

    store: Store
    manifest: Manifest
    done: dict[str, Any]


@pytest.fixture(scope="module")
def stored(storage_emulator: Emulator, longer_recording: Path) -> Stored:
    options = {"api_endpoint": storage_emulator.value}
    client = storage_api.Client(project="test-stored", credentials=AnonymousCredentials(), client_options=options)
    store = Store(client.create_bucket("test-stored-telemetry"))
    done = computed(store, RACE, Opened(open_recording(longer_recording), "Race", final=True), silent)
    manifest = store.manifest(RACE)
    assert manifest is not None
    return Stored(store, manifest, done)


def run(settings: Settings, database: Database, url: str, **asked: Any) -> dict[str, Any]:  # noqa: F811
    """The job, from an archive that may be asked as often as one likes."""
    with Archive(f"{url}/static/", requests_per_s=1_000, attempts=2, sleep=lambda _: None) as archive:
        return process(settings, database, 2026, 12, "R", asked.pop("progress", silent), archive=archive, **asked)


@pytest.mark.whole
def test_all_samples_are_accounted_for(stored: Stored, longer: Played) -> None:
    kept = {what: count for what, count in longer.samples.counts.items() if count}
    assert stored.done["samples"] == kept
    assert sum(kept.values()) == sum(
        len(entry.get("Cars") or entry.get("Entries") or ())
        for message in longer.messages
        for entry in message.data.get({"CarData": "Entries", "Position": "Position"}.get(message.topic, ""), ())
    )
    assert stored.done["session"] == str(SESSION_KEY)


def test_compact_objects_hold_the_telemetry(stored: Stored, longer: Played) -> None:
    store, manifest, _ = stored
    for skip in SKIPS:
        exact = decode(store.read(RACE, manifest, compact_object(skip, exact=True)))
        assert_same(exact, longer.telemetry.every(skip))
        viewer = store.read(RACE, manifest, compact_object(skip, exact=False))
        assert_same(decode(viewer), decode(encode(longer.telemetry.every(skip), VIEWER)))


def assert_same(one: Telemetry, other: Telemetry) -> None:
    assert (one.start_ms, one.step_ms, one.frames, list(one.cars)) == (
        other.start_ms, other.step_ms, other.frames, list(other.cars)
    )  # fmt: skip
    for number, channels in one.cars.items():
        for name, values in channels.items():
            np.testing.assert_array_equal(values, other.cars[number][name], err_msg=f"{number} {name}")


@pytest.mark.parametrize("skip", [1, 2, 3, 4, 7, 12, 1000])
def test_every_so_many_th_frame_is_read_from_the_pieces(stored: Stored, longer: Played, skip: int) -> None:
    store, manifest, _ = stored
    told = orjson.loads(b"".join(reading.frames(store, RACE, manifest, skip)))
    assert told == orjson.loads(b"".join(encoded(longer.telemetry.every(skip))))


@pytest.mark.parametrize(("skip", "first", "last"), [(1, 100, 130), (3, 61, 62), (4, 0, 0), (1, 9_000, None)])
def test_a_part_of_the_frames_is_read(stored: Stored, longer: Played, skip: int, first: int, last: int | None) -> None:
    store, manifest, _ = stored
    told = orjson.loads(b"".join(reading.frames(store, RACE, manifest, skip, first, last)))
    whole = orjson.loads(b"".join(encoded(longer.telemetry.every(skip))))["frames"]
    wanted = [frame for frame in whole if first <= frame["t"] and (last is None or frame["t"] <= last)]
    assert told["frames"] == wanted
    assert told["frameCount"] == len(wanted)


def test_a_frames_object_is_one_gzip_file_with_a_frame_a_line(stored: Stored, longer: Played) -> None:
    store, manifest, _ = stored
    packed = store.read(RACE, manifest, frames_object(4))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    plain = reader.decompress(packed)
    assert reader.eof
    assert not reader.unused_data  # browsers read the first member of several alone
    every = longer.telemetry.every(4)
    assert orjson.loads(plain) == orjson.loads(b"".join(encoded(every)))
    assert plain.count(b"\n") == every.frames + 2


def test_a_lap_is_what_the_samples_say(stored: Stored, longer: Played) -> None:
    store, manifest, _ = stored
    assert longer.telemetry.lap_length is not None
    assert stored.done["laps"] == sum(len(car.laps) for car in manifest.cars.values()) > 50
    number = next(iter(manifest.cars))
    for lap in manifest.cars[number].laps:
        told = reading.lap(store, RACE, manifest, number, lap)
        assert msgspec.convert(told, LapTelemetry).lap == lap.number
        driven = lap_telemetry(longer.samples, longer.timing, number, lap.number, longer.telemetry.lap_length / 10)
        assert [point["atMs"] for point in told["points"]] == driven.at.tolist()
        assert np.allclose([point["distance"] for point in told["points"]], driven.metres, atol=0.005)
        for name, values in driven.channels.items():
            key = "speedKph" if name == "speed" else name
            assert [point.get(key, UNKNOWN) for point in told["points"]] == values.tolist(), name
    assert manifest.cars[number].fastest == fastest(longer.timing, number)
    packed = store.read(RACE, manifest, laps_object(number))
    assert len(packed) == sum(lap.size for lap in manifest.cars[number].laps)


def test_two_laps_compare_as_they_do_with_numpy(stored: Stored, longer: Played) -> None:
    store, manifest, _ = stored
    assert longer.telemetry.lap_length is not None
    length = longer.telemetry.lap_length / 10
    a, b = [number for number, car in manifest.cars.items() if car.fastest is not None][:2]
    read = []
    for number in (a, b):
        car = manifest.cars[number]
        lap = next(lap for lap in car.laps if lap.number == car.fastest)
        read.append(reading.lap(store, RACE, manifest, number, lap))
    told = reading.compared(*read)
    laps = [lap_telemetry(longer.samples, longer.timing, number, None, length) for number in (a, b)]
    expected = compare(longer.samples, *laps)
    points = told["points"]
    assert np.allclose([point["distance"] for point in points], expected.metres, atol=0.01)
    assert np.abs([point["deltaMs"] for point in points] - expected.delta_ms).max() <= 1
    for key, speeds in (("aSpeedKph", expected.first_speed), ("bSpeedKph", expected.second_speed)):
        assert np.abs([point.get(key, UNKNOWN) for point in points] - speeds).max() <= 1
    assert abs(points[-1]["deltaMs"] - (told["b"]["lapTimeMs"] - told["a"]["lapTimeMs"])) <= 2


def test_drivers_are_found_by_number_code_and_name(stored: Stored) -> None:
    manifest = stored.manifest
    for number, car in manifest.cars.items():
        assert manifest.car(number) == manifest.car(car.tla) == manifest.car(car.names[-1].upper()) == number
    assert manifest.car("nobody") is None


# -- once, and all of it -------------------------------------------------------------------


@pytest.mark.whole
def test_a_second_run_writes_nothing(
    settings: Settings,
    database: Database,  # noqa: F811
    storage: storage_api.Client,
    archived: tuple[ArchiveServer, str],
) -> None:
    server, path = archived
    plan(database, path)
    done = run(settings, database, server.url)
    assert (done["session"], done["source"], done["final"]) == (str(SESSION_KEY), "archive", True)
    before = objects(storage, settings)
    asked = len(server.asked)
    assert done["written"] == len(before)
    assert work(settings, database, REQUEST, silent)["written"] == 0
    assert len(server.asked) == asked
    assert run(settings, database, server.url, again=True)["written"] == 0
    assert len(server.asked) > asked
    assert objects(storage, settings) == before


@pytest.mark.whole
def test_objects_of_before_stay_for_one_publication(
    settings: Settings, storage: storage_api.Client, short: Played
) -> None:
    """Who has just read a manifest still gets what belongs to it."""
    store = Store.of(settings)
    seen = []
    for share in (0.2, 0.25, 0.3):
        messages = short.messages[: int(len(short.messages) * share)]
        computed(store, RACE, Opened(PlayedSource(messages, "9907"), "Race", final=False), silent)
        manifest = store.manifest(RACE)
        assert manifest is not None
        seen.append(manifest)
    assert len({manifest.digest for manifest in seen}) == 3
    assert decode(store.read(RACE, seen[1], "viewer-1.pwt")).frames < short.telemetry.frames
    with pytest.raises(Gone):
        store.read(RACE, seen[0], "viewer-1.pwt")
    digests = {name.split("/")[1] for name in objects(storage, settings) if name.count("/") == 2}
    assert digests == {manifest.digest for manifest in seen[1:]}


KILLED = """
import os, signal, sys
from pitwall.history.telemetry.objects import Race, Store
from pitwall.history.telemetry.processing import Opened, computed
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording

settings, left = Settings.from_env(), int(sys.argv[1])

def progress(done, what):
    global left
    if what.startswith(("storing", "publishing")):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

computed(Store.of(settings), Race(2026, 12), Opened(open_recording(sys.argv[2]), "Race", True), progress)
"""


@pytest.mark.whole
def test_a_run_killed_between_two_objects_leaves_nothing_to_be_seen(
    settings: Settings, storage: storage_api.Client, recording: Path, short: Played
) -> None:
    count = 2 + 3 * len(SKIPS) + len(short.telemetry.cars) - 1
    for place in (random.Random(6).randrange(1, count - 1), count - 1):
        command = [sys.executable, "-c", KILLED, str(place), str(recording)]
        environment = {**os.environ, **settings.to_env(), "PYTHONPATH": "functions"}
        killed = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
        assert killed.returncode == -9, killed.stderr
        assert Store.of(settings).manifest(RACE) is None
        assert not any(name.endswith("manifest.json") for name in objects(storage, settings))
    done = computed(Store.of(settings), RACE, Opened(open_recording(recording), "Race", final=True), silent)
    assert done["written"] == 1  # the manifest: everything else is there from before
    manifest = Store.of(settings).manifest(RACE)
    assert manifest is not None
    assert {name.rpartition("/")[2] for name in objects(storage, settings)} == {*manifest.sizes, "manifest.json"}
    assert_same(decode(Store.of(settings).read(RACE, manifest, "exact-1.pwt")), short.telemetry)


@pytest.mark.parametrize("moment", ["looking", "fetching", "reading", "encoding", "storing"])
def test_a_run_that_is_stopped_passes_it_on_and_publishes_nothing(
    settings: Settings,
    database: Database,  # noqa: F811
    archived: tuple[ArchiveServer, str],
    moment: str,
) -> None:
    plan(database, archived[1])

    def progress(done: float, what: str) -> None:
        assert 0.0 <= done <= 1.0
        if what.startswith(moment):
            raise Stopped

    with pytest.raises(Stopped):
        run(settings, database, archived[0].url, progress=progress)
    assert Store.of(settings).manifest(RACE) is None


def test_progress_goes_on_in_plain_words(
    settings: Settings,
    database: Database,  # noqa: F811
    archived: tuple[ArchiveServer, str],
) -> None:
    plan(database, archived[1])
    told: list[tuple[float, str]] = []
    run(settings, database, archived[0].url, progress=lambda done, what: told.append((done, what)))
    done = [part for part, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0.0, pytest.approx(1.0, abs=0.05))
    assert all(what and what[0].islower() for _, what in told)


# -- where messages come from --------------------------------------------------------------


def test_without_a_calendar_the_archives_index_says_where_the_race_is(
    settings: Settings,
    database: Database,  # noqa: F811
    archived: tuple[ArchiveServer, str],
) -> None:
    server, _ = archived
    with Archive(server.static_url, requests_per_s=1_000) as archive:
        [session] = archive.sessions(2026)
        assert session.round is not None
        done = process(settings, database, 2026, session.round, "R", silent, archive=archive)
    assert done["source"] == "archive"


def test_without_an_archive_pitwalls_own_recording_is_read(
    settings: Settings,
    database: Database,  # noqa: F811
    storage: storage_api.Client,
    short: Played,
    archived: tuple[ArchiveServer, str],
) -> None:
    plan(database, "2026/not-there/yet/")
    bucket = storage.create_bucket(settings.raw_bucket)
    size = 2_000
    for seq in range(0, len(short.messages), size):
        lines = b"".join(map(encode_line, short.messages[seq : seq + size]))
        bucket.blob(object_name("9907", 1, seq, 0)).upload_from_string(gzip.compress(lines))
    done = run(settings, database, archived[0].url)
    assert (done["source"], done["final"]) == ("recording", False)
    manifest = Store.of(settings).manifest(RACE)
    assert manifest is not None
    assert_same(decode(Store.of(settings).read(RACE, manifest, "exact-1.pwt")), short.telemetry)


@pytest.mark.whole
def test_what_was_recorded_is_computed_again_once_the_archive_is_there(
    settings: Settings,
    database: Database,  # noqa: F811
    archived: tuple[ArchiveServer, str],
    short: Played,
) -> None:
    half = Opened(PlayedSource(short.messages[: len(short.messages) // 2], "9907"), "Race", final=False)
    computed(Store.of(settings), RACE, half, silent)
    plan(database, archived[1])
    assert run(settings, database, archived[0].url)["final"] is True


# -- what cannot be done -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({}, "year"),
        ({"year": "2026", "round": 12}, "year"),
        ({"year": 2026, "round": 0}, "round"),
        ({"year": 2026, "round": True}, "round"),
        ({**REQUEST, "session": "FP9"}, "FP9"),
        ({**REQUEST, "session": ["R"]}, "no session"),
        ({**REQUEST, "session": "S"}, "has no Sprint"),
        ({**REQUEST, "again": "yes"}, "again"),
        ({**REQUEST, "laps": 3}, "laps"),
    ],
)
def test_a_bad_request_is_refused_with_what_is_wrong(
    settings: Settings,
    database: Database,  # noqa: F811
    request_: dict[str, Any],
    why: str,
) -> None:
    plan(database, "2026/not-there/yet/")
    with pytest.raises(BadRequest, match=why):
        work(settings, database, request_, silent)


@pytest.mark.parametrize(("year", "round_"), [(2026, 77), (2017, 1)])
def test_a_race_that_nobody_knows_is_refused(
    settings: Settings,
    database: Database,  # noqa: F811
    year: int,
    round_: int,
) -> None:
    with pytest.raises(BadRequest):
        work(settings, database, {"year": year, "round": round_}, silent)


def test_a_race_that_was_cancelled_is_refused(settings: Settings, database: Database) -> None:  # noqa: F811
    plan(database, cancelled=True)
    with pytest.raises(BadRequest, match="cancelled"):
        work(settings, database, REQUEST, silent)


def test_what_is_not_in_the_archive_yet_is_tried_again(settings: Settings, database: Database) -> None:  # noqa: F811
    plan(database, "2026/2026-07-12_Somewhere/2026-07-12_Race/")
    with pytest.raises(OSError, match="not in the archive"):
        work(settings, database, REQUEST, silent)


def test_a_session_without_telemetry_is_refused(settings: Settings, short: Played) -> None:
    messages = [message for message in short.messages if message.topic not in ("CarData", "Position")]
    with pytest.raises(BadRequest, match="no telemetry"):
        computed(Store.of(settings), RACE, Opened(PlayedSource(messages, "9907"), "Race", final=True), silent)


def test_samples_dated_wrongly_are_refused_and_not_stored(settings: Settings, short: Played) -> None:
    far = (datetime(2036, 7, 12) - datetime(2026, 7, 12)) // timedelta(milliseconds=1)
    messages: list[Message] = [
        message._replace(at=message.at + far, data=_redated(message.data)) if message.topic == "CarData" else message
        for message in short.messages
    ]
    with pytest.raises(BadRequest, match="more than"):
        computed(Store.of(settings), RACE, Opened(PlayedSource(messages, "9907"), "Race", final=True), silent)
    assert Store.of(settings).manifest(RACE) is None


def _redated(data: Any) -> Any:
    entries = [{**entry, "Utc": entry["Utc"].replace("2026-", "2036-")} for entry in data["Entries"]]
    return {"Entries": entries}


def test_half_an_archive_gives_half_the_telemetry(
    settings: Settings,
    database: Database,  # noqa: F811
    recording: Path,
) -> None:
    """Without positions, and without a list of drivers."""
    with ArchiveServer() as server:
        plan(database, server.add(recording))
        server.hide("*Position*")
        server.hide("*DriverList*")
        done = run(settings, database, server.url)
    assert all(what.startswith("car") for what in done["samples"])
    manifest = Store.of(settings).manifest(RACE)
    assert manifest is not None
    assert all((car.tla, car.names) == ("", []) for car in manifest.cars.values())
    told = reading.lap(Store.of(settings), RACE, manifest, "7", manifest.cars["7"].laps[0])
    assert {"atMs", "distance", "speedKph"} <= told["points"][5].keys()
    assert not {"x", "y", "z"} & told["points"][5].keys()


@pytest.mark.parametrize("status", [429, 502])
def test_an_archive_that_answers_badly_is_tried_again_later(
    settings: Settings,
    database: Database,  # noqa: F811
    archived: tuple[ArchiveServer, str],
    status: int,
) -> None:
    server, path = archived
    plan(database, path)
    server.refuse(status, None, fits="*CarData*")
    try:
        with pytest.raises(ArchiveError):
            run(settings, database, server.url)
    finally:
        server.allow()
    assert Store.of(settings).manifest(RACE) is None


def test_without_a_bucket_nothing_is_there_and_nothing_can_be_stored(
    settings: Settings, short: Played, storage: storage_api.Client
) -> None:
    elsewhere = Store(storage.bucket(f"{settings.project}-nowhere"), timeout_s=5, persists_s=1)
    with pytest.raises(StoreUnavailable):
        computed(elsewhere, RACE, Opened(PlayedSource(short.messages, "9907"), "Race", final=True), silent)


def test_a_manifest_of_another_encoder_counts_for_none(
    settings: Settings, storage: storage_api.Client, short: Played
) -> None:
    store = Store.of(settings)
    computed(store, RACE, Opened(PlayedSource(short.messages, "9907"), "Race", final=True), silent)
    blob = storage.bucket(settings.telemetry_bucket).blob(f"{RACE.id}/manifest.json")
    blob.upload_from_string(orjson.dumps({**orjson.loads(blob.download_as_bytes()), "encoder": 0}))
    assert store.manifest(RACE) is None
    blob.upload_from_string(b"<html>")
    assert store.manifest(RACE) is None


@pytest.mark.whole
def test_every_sample_of_a_real_practice_is_accounted_for_and_stored(
    settings: Settings, recordings: Path, practice: Played
) -> None:
    source = open_recording(recordings / "2024-mexico-city-practice-3-telemetry.txt.gz")
    store, race = Store.of(settings), Race(2024, 20, "FP3")
    done = computed(store, race, Opened(source, "Practice 3", final=True), silent)
    manifest = store.manifest(race)
    assert manifest is not None
    sent = sum(
        len(entry.get("Cars") or entry.get("Entries") or ())
        for message in practice.messages
        for entry in message.data.get({"CarData": "Entries", "Position": "Position"}.get(message.topic, ""), ())
    )
    assert sum(done["samples"].values()) == sent > 100_000
    assert_same(decode(store.read(race, manifest, "exact-1.pwt")), practice.telemetry)
    told = orjson.loads(b"".join(reading.frames(store, race, manifest, 5)))
    assert len(told["frames"]) == practice.telemetry.every(5).frames
    x = practice.telemetry.every(5).cars["1"]["x"]
    assert [frame["cars"].get("1", {}).get("x", UNKNOWN / SCALES["x"]) for frame in told["frames"]] == (
        x / SCALES["x"]
    ).tolist()
