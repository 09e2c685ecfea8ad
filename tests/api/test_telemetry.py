"""`/f1/...` and `/races/{raceId}/telemetry`: what was computed, served as it is stored, in parts and by lap."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1
from google.cloud import storage as storage_api

from local.emulators import Emulator
from local.simulator import Incidents, quick_race, write_recording
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.history.telemetry import reading
from pitwall.history.telemetry.compact import decode
from pitwall.history.telemetry.objects import Manifest, Race, Store
from pitwall.history.telemetry.processing import Opened, computed
from pitwall.sources.recording import open_recording
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import Serve, Stored, problem, problem_name

RACE = Race(2026, 12)
WHOLE = "/api/f1/race-telemetry/2026/12"
LAPS = "/api/races/2026-12/telemetry"
AT = datetime(2026, 7, 12, 13, tzinfo=UTC)


@dataclass
class Computed:
    """A race's telemetry in a bucket."""

    bucket: str
    store: Store
    manifest: Manifest

    def read(self, name: str) -> bytes:
        return self.store.read(RACE, self.manifest, name)


@pytest.fixture(scope="module")
def telemetry(storage_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Computed:
    path = tmp_path_factory.mktemp("race") / "race.txt.gz"
    write_recording(quick_race(5, laps=2, incidents=Incidents.calm(2)), path)
    options = {"api_endpoint": storage_emulator.value}
    client = storage_api.Client(project="test-api", credentials=AnonymousCredentials(), client_options=options)
    store = Store(client.create_bucket("test-api-telemetry"))
    computed(store, RACE, Opened(open_recording(path), "Race", final=True), lambda *_: None)
    manifest = store.manifest(RACE)
    assert manifest is not None
    return Computed("test-api-telemetry", store, manifest)


@pytest.fixture
def api(telemetry: Computed, storage: storage_api.Client, store: Stored, serve: Serve) -> httpx.Client:
    """The API beside that bucket, with a calendar."""
    store({"seasons/2026/events/12": event(12, "Race", "Qualifying"), "seasons/2026/events/13": event(13, "Race")})
    return serve(telemetry_bucket=telemetry.bucket)


def event(round_: int, *names: str) -> EventDocument:
    sessions = [
        ScheduledSession(
            session_key=f"99{round_}{place}", year=2026, round=round_, meeting="Ardenmoor Grand Prix", type="Race",
            name=name, start_date=AT, end_date=AT,
        )
        for place, name in enumerate(names)
    ]  # fmt: skip
    return EventDocument(at=AT, year=2026, round=round_, name="Ardenmoor Grand Prix", sessions=sessions)


def raw(api: httpx.Client, path: str, encoding: str = "gzip", **headers: str) -> tuple[httpx.Response, bytes]:
    """A response, and its body as it came over the wire."""
    with api.stream("GET", path, headers={"Accept-Encoding": encoding, **headers}) as response:
        return response, b"".join(response.iter_raw())


# -- a whole session -----------------------------------------------------------------------


def test_frames_go_out_as_they_are_stored(api: httpx.Client, telemetry: Computed):
    response, body = raw(api, WHOLE)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["cache-control"].startswith("public, max-age=86400")
    assert body == telemetry.read("frames-1.json.gz")


def test_who_takes_no_gzip_gets_the_same_frames_plain(api: httpx.Client, telemetry: Computed):
    response, body = raw(api, WHOLE, "identity")
    assert "content-encoding" not in response.headers
    assert body == gzip.decompress(telemetry.read("frames-1.json.gz"))
    assert orjson.loads(body)["frameCount"] == telemetry.manifest.frames


@pytest.mark.parametrize("query", ["frame_skip=3", "frame_skip=3&from=60&to=61", "from=100", "frame_skip=1000"])
def test_every_so_many_th_frame_and_a_part_of_them(api: httpx.Client, telemetry: Computed, query: str):
    asked = {name: int(value) for name, value in parse_qsl(query)}
    parts = reading.frames(
        telemetry.store, RACE, telemetry.manifest, asked.get("frame_skip", 1), asked.get("from", 0), asked.get("to")
    )
    expected = b"".join(parts)
    plain, gzipped = raw(api, f"{WHOLE}?{query}", "identity")[1], raw(api, f"{WHOLE}?{query}")[1]
    assert plain == gzip.decompress(gzipped) == expected


def test_the_compact_encoding_goes_out_as_it_is_stored(api: httpx.Client, telemetry: Computed):
    for query, name in (("true", "viewer-1"), ("viewer", "viewer-1"), ("exact", "exact-1")):
        response, body = raw(api, f"{WHOLE}?compress={query}")
        assert response.headers["content-type"] == "application/vnd.pitwall.telemetry"
        assert "content-encoding" not in response.headers
        assert body == telemetry.read(f"{name}.pwt")
    assert decode(raw(api, f"{WHOLE}?compress=true&frame_skip=4")[1]).step_ms == 1000


def test_who_has_it_is_told_so(api: httpx.Client):
    queries = ("", "?frame_skip=2", "?frame_skip=3", "?compress=true", "?from=3")
    tags = [raw(api, WHOLE + query)[0].headers["etag"] for query in queries]
    tags.append(raw(api, WHOLE, "identity")[0].headers["etag"])
    assert len(set(tags)) == len(tags)
    for query, tag in zip(queries, tags, strict=False):
        response, body = raw(api, WHOLE + query, **{"If-None-Match": tag})
        assert (response.status_code, body) == (304, b"")
        assert response.headers["etag"] == tag
    assert raw(api, WHOLE, **{"If-None-Match": '"another"'})[0].status_code == 200
    assert raw(api, WHOLE, **{"If-Match": '"another"'})[0].status_code == 412


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v1"])
def test_it_is_at_every_address(api: httpx.Client, prefix: str):
    assert api.get(f"{prefix}/f1/race-telemetry/2026/12?frame_skip=4").json()["stepMs"] == 1000
    assert api.get(f"{prefix}/f1/sessions/2026").status_code == 200


def test_head_has_the_headers_alone(api: httpx.Client, telemetry: Computed):
    response = api.head(WHOLE)
    assert int(response.headers["content-length"]) == telemetry.manifest.sizes["frames-1.json.gz"]
    assert response.content == b""


def test_what_is_not_computed_says_how_to_have_it_computed(api: httpx.Client):
    for path in ("/api/f1/race-telemetry/2026/13", "/api/races/2026-13/telemetry"):
        response = api.get(path)
        assert response.status_code == 404
        assert problem_name(response) == "not-found"
        assert "POST /api/f1/process-telemetry/2026/13?session=R" in problem(response)["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/f1/race-telemetry/2026/50",
        "/api/f1/race-telemetry/1950/1",
        "/api/f1/race-telemetry/2026/13?session=S",
        "/api/races/2026-50/telemetry",
        "/api/races/2026-50/telemetry/compare?a=1:1&b=1:1",
        "/api/f1/sessions/1999",
        f"{LAPS}?driver=NOB",
        f"{LAPS}?driver=7&lap=99",
        f"{LAPS}/compare?a=7:1&b=999:1",
    ],
)
def test_what_there_is_not_is_not_found(api: httpx.Client, path: str):
    response = api.get(path)
    assert response.status_code == 404
    assert "process-telemetry" not in problem(response)["detail"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/f1/race-telemetry/26/12", "year"),
        ("/api/f1/race-telemetry/2026/0", "round"),
        ("/api/f1/race-telemetry/2026/012", "round"),
        ("/api/f1/race-telemetry/2026/x", "round"),
        (f"{WHOLE}?session=X", "session"),
        (f"{WHOLE}?frame_skip=0", "frame_skip"),
        (f"{WHOLE}?frame_skip=1001", "frame_skip"),
        (f"{WHOLE}?frame_skip=-1", "frame_skip"),
        (f"{WHOLE}?frameSkip=1", "frameSkip"),
        (f"{WHOLE}?compress=zip", "compress"),
        (f"{WHOLE}?compress=true&frame_skip=3", "frame_skip"),
        (f"{WHOLE}?compress=true&from=3", "compress"),
        (f"{WHOLE}?from=9&to=8", "to"),
        ("/api/f1/sessions/x", "year"),
        ("/api/races/2026/telemetry", "raceId"),
        ("/api/races/2026-0/telemetry", "raceId"),
        (f"{LAPS}?lap=3", "lap"),
        (f"{LAPS}?format=csv", "format"),
        (f"{LAPS}?driver=7&lap=0", "lap"),
        (f"{LAPS}?driver=..%2f7", "driver"),
        (f"{LAPS}/compare?a=7:1", "b"),
        (f"{LAPS}/compare?a=7&b=7:1", "a"),
        (f"{LAPS}/compare?a=7:1&b=7:slowest", "b"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(api: httpx.Client, path: str, parameter: str):
    response = api.get(path)
    assert response.status_code == 400
    assert problem(response)["parameter"] == parameter


# -- by a signed URL -----------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> rsa.RSAPublicKey:
    """The public key of a service account that Google's clients find in the environment."""
    private_key = rsa.generate_private_key(65537, 2048)
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "signer@test.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:9/token",
    }
    path = tmp_path / "key.json"
    path.write_bytes(orjson.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return private_key.public_key()


def test_what_is_large_is_at_a_signed_url(
    api: httpx.Client, serve: Serve, telemetry: Computed, key: rsa.RSAPublicKey, storage_emulator: Emulator
):
    """The signature is one that Cloud Storage would take; the emulator takes any, and has no `Content-Encoding`."""
    large = telemetry.manifest.sizes["frames-2.json.gz"]
    signing = serve(telemetry_bucket=telemetry.bucket, telemetry_signed_bytes=large)
    response = signing.get(f"{WHOLE}?frame_skip=2")
    assert response.status_code == 307
    assert response.headers["cache-control"] == "private, max-age=300"
    url = urlsplit(response.headers["location"])
    assert url.path == f"/{telemetry.bucket}/{RACE.id}/{telemetry.manifest.digest}/frames-2.json.gz"
    verify(key, url.netloc, url.path, dict(parse_qsl(url.query)))
    followed = httpx.get(f"{storage_emulator.value}{url.path}?{url.query}", trust_env=False)
    assert followed.content == telemetry.read("frames-2.json.gz")
    assert signing.get(f"{WHOLE}?frame_skip=4").status_code == 200
    assert signing.get(f"{WHOLE}?frame_skip=3").status_code == 200


def verify(key: rsa.RSAPublicKey, host: str, path: str, query: dict[str, str]) -> None:
    """Whether a URL is signed as Cloud Storage's documentation of V4 has it. Raises InvalidSignature."""
    signature = bytes.fromhex(query.pop("X-Goog-Signature"))
    assert query["X-Goog-Expires"] == "900"
    canonical_query = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    canonical = "\n".join(["GET", path, canonical_query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    digest = hashes.Hash(hashes.SHA256())
    digest.update(canonical.encode())
    scope = query["X-Goog-Credential"].partition("/")[2]
    to_sign = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope, digest.finalize().hex()])
    key.verify(signature, to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_what_is_large_is_streamed_where_nothing_can_sign(serve: Serve, api: httpx.Client, telemetry: Computed):
    unsigned = serve(telemetry_bucket=telemetry.bucket, telemetry_signed_bytes=1)
    assert raw(unsigned, WHOLE)[1] == telemetry.read("frames-1.json.gz")


# -- laps ----------------------------------------------------------------------------------


def test_what_there_is_of_a_race(api: httpx.Client, telemetry: Computed):
    told = api.get(LAPS).json()
    assert (told["raceId"], told["session"], told["sessionKey"]) == ("2026-12", "R", telemetry.manifest.session)
    assert told["frames"] == telemetry.manifest.frames
    assert told["cars"].keys() == telemetry.manifest.cars.keys()
    assert told["cars"]["7"]["laps"] == [1, 2]
    assert told["cars"]["7"]["fastestLap"] == telemetry.manifest.cars["7"].fastest
    assert sum(told["samples"].values()) > 10_000


def test_one_drivers_lap_by_number_code_or_name(api: httpx.Client, telemetry: Computed):
    car = telemetry.manifest.cars["7"]
    expected = reading.lap(telemetry.store, RACE, telemetry.manifest, "7", car.laps[1])
    for driver in ("7", car.tla, car.tla.lower(), *car.names):
        assert api.get(LAPS, params={"driver": driver, "lap": 2}).json() == expected
    assert api.get(f"{LAPS}?driver=7").json()["lap"] == api.get(f"{LAPS}?driver=7&lap=fastest").json()["lap"]


def test_a_lap_as_a_table_and_only_some_fields_of_it(api: httpx.Client):
    whole = api.get(f"{LAPS}?driver=7&lap=2").json()
    header, *rows = api.get(f"{LAPS}?driver=7&lap=2&format=csv&fields=points,lap").text.splitlines()
    assert {"lap", "atMs", "distance", "speedKph", "x"} <= set(header.split(","))
    assert len(rows) == len(whole["points"])
    some = api.get(f"{LAPS}?driver=7&lap=2&fields=lapTimeMs,points.distance&times=iso").json()
    assert some.keys() == {"lapTimeMs", "lapTime", "points"}
    assert some["points"][3] == {"distance": whole["points"][3]["distance"]}


def test_two_laps_by_distance(api: httpx.Client):
    told = api.get(f"{LAPS}/compare?a=7:2&b=9:fastest").json()
    assert (told["a"]["racingNumber"], told["a"]["lap"], told["b"]["racingNumber"]) == ("7", 2, "9")
    points = told["points"]
    assert [point["distance"] for point in points[:3]] == [0.0, 5.0, 10.0]
    assert points[0]["deltaMs"] == 0
    itself = api.get(f"{LAPS}/compare?a=7:2&b=7:2").json()["points"]
    assert {point["deltaMs"] for point in itself} == {0}
    assert len(api.get(f"{LAPS}/compare?a=7:2&b=9:1&format=csv").text.splitlines()) > 100


def test_a_lap_is_not_sent_again_until_it_is_computed_anew(api: httpx.Client):
    for path in (LAPS, f"{LAPS}?driver=7", f"{LAPS}/compare?a=7:1&b=9:1"):
        response = api.get(path)
        assert api.get(path, headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_the_sessions_of_a_season(api: httpx.Client):
    items = api.get("/f1/sessions/2026").json()["items"]
    assert [(item["raceId"], item["session"], item["name"]) for item in items] == [
        ("2026-12", "Q", "Qualifying"),
        ("2026-12", "R", "Race"),
        ("2026-13", "R", "Race"),
    ]


def test_reading_telemetry_costs_no_documents(api: httpx.Client, capsys: pytest.CaptureFixture[str]):
    for path in (WHOLE, LAPS, f"{LAPS}?driver=7"):
        api.get(path)
    assert capsys.readouterr().out.count('"firestoreReads":0') == 3


def test_nothing_of_it_needs_numpy(api: httpx.Client, telemetry: Computed, project: str):
    script = f"""
import sys
from pitwall.api.app import create_app
from pitwall.settings import Settings

client = create_app(Settings(project={project!r}, telemetry_bucket={telemetry.bucket!r})).test_client()
for path in ("{WHOLE}?frame_skip=3", "{LAPS}", "{LAPS}?driver=7&lap=2", "{LAPS}/compare?a=7:2&b=9:1"):
    assert client.get(path).status_code == 200, path
print(*sys.modules)
"""
    functions = Path(__file__).parents[2] / "functions"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=functions, capture_output=True, text=True, check=True, timeout=120)
    assert not {"numpy", "pandas", "fastf1"} & set(done.stdout.split())


# -- having it computed --------------------------------------------------------------------


@pytest.fixture
def turns(publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, project: str) -> Any:
    """Takes what was published to the topic of jobs."""
    topic, name = f"projects/{project}/topics/jobs", f"projects/{project}/subscriptions/jobs-all"
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=name, topic=topic)

    def taken() -> list[dict[str, Any]]:
        pulled = subscriber.pull(subscription=name, max_messages=10, timeout=10)
        return [orjson.loads(message.message.data) for message in pulled.received_messages]

    return taken


def test_only_admins_have_telemetry_computed(api: httpx.Client, accounts: Accounts):
    body = {"year": 2026, "round": 13}
    for headers, status in (({}, 401), (bearer(accounts.token("viewer")), 403)):
        assert api.post("/f1/process-telemetry/2026/13", headers=headers).status_code == status
        assert api.post("/f1/race-telemetry", headers=headers, json=body).status_code == status


def test_what_is_not_there_is_computed_by_a_job(api: httpx.Client, accounts: Accounts, turns: Any):
    admin = bearer(accounts.token("admin"))
    response = api.post("/f1/race-telemetry", headers=admin, json={"year": 2026, "round": 13})
    assert response.status_code == 202
    assert response.json()["id"] == "telemetry-2026-13-R"
    assert response.json()["state"] == "queued"
    assert response.headers["location"] == "/api/jobs/telemetry-2026-13-R"
    assert api.get(response.headers["location"]).json()["kind"] == "telemetry"
    again = api.post("/f1/process-telemetry/2026/13", headers=admin)
    assert (again.status_code, again.json()["id"]) == (202, "telemetry-2026-13-R")
    [turn, *others] = turns()
    assert turn["request"] == {"year": 2026, "round": 13, "session": "R"}
    assert all(other["turn"] == turn["turn"] for other in others)


def test_what_is_there_is_answered(api: httpx.Client, accounts: Accounts, telemetry: Computed):
    admin = bearer(accounts.token("admin"))
    body = {"year": 2026, "round": 12, "frame_skip": 4, "compress": True}
    response = api.post("/f1/race-telemetry", headers=admin, json=body)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.content == telemetry.read("viewer-4.pwt")
    plain = api.post("/f1/race-telemetry", headers=admin, json={"year": 2026, "round": 12, "frame_skip": 8})
    assert plain.json()["stepMs"] == 2000


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"year": 2026}, "body"),
        ({"year": "2026", "round": 12}, "year"),
        ({"year": 2026, "round": 0}, "round"),
        ({"year": 2026, "round": 12, "session": "Z"}, "session"),
        ({"year": 2026, "round": 12, "frame_skip": 0}, "frame_skip"),
        ({"year": 2026, "round": 12, "frame_skip": 3, "compress": True}, "frame_skip"),
        ({"year": 2026, "round": 12, "compress": "zip"}, "compress"),
        ({"year": 2026, "round": 12, "laps": 1}, "laps"),
        ([], "body"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(api: httpx.Client, accounts: Accounts, body: Any, parameter: str):
    response = api.post("/f1/race-telemetry", headers=bearer(accounts.token("admin")), json=body)
    assert response.status_code == 400
    assert problem(response)["parameter"] == parameter


def test_a_race_that_nobody_knows_is_not_computed(api: httpx.Client, accounts: Accounts):
    admin = bearer(accounts.token("admin"))
    assert api.post("/f1/process-telemetry/2026/50", headers=admin).status_code == 404
    assert api.post("/f1/process-telemetry/2026/13?session=S", headers=admin).status_code == 404
    assert api.post("/f1/race-telemetry", headers=admin, json={"year": 2026, "round": 50}).status_code == 404


# -- and where it is kept ------------------------------------------------------------------


def test_a_store_that_does_not_answer_is_said_to_be_unavailable(
    api: httpx.Client, serve: Serve, telemetry: Computed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    cut_off = serve(telemetry_bucket=telemetry.bucket)
    response = cut_off.get(WHOLE)
    assert response.status_code == 503
    assert problem_name(response) == "unavailable"
    assert response.headers["retry-after"]


FETCHED = """
import { decode, UNKNOWN } from "./telemetry.mjs";

const [url] = process.argv.slice(2);
const bytes = new Uint8Array(await (await fetch(`${url}/f1/race-telemetry/2026/12?compress=exact`)).arrayBuffer());
const { cars, frames, stepMs } = await decode(bytes);
const plain = await (await fetch(`${url}/f1/race-telemetry/2026/12`)).json();
const unlike = plain.frames.filter(
  (frame, index) => (frame.cars["7"]?.speed ?? UNKNOWN) !== cars["7"].speed[index],
).length;
console.log(JSON.stringify({ frames, stepMs, numbers: Object.keys(cars), plain: plain.frames.length, unlike }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on PATH: telemetry.js is not run")
def test_a_browser_reads_both_encodings_from_the_served_api(api: httpx.Client, telemetry: Computed, tmp_path: Path):
    reader = Path(__file__).parents[2] / "web" / "public" / "telemetry.js"
    (tmp_path / "telemetry.mjs").write_bytes(reader.read_bytes())
    (tmp_path / "fetched.mjs").write_text(FETCHED)
    command = ["node", tmp_path / "fetched.mjs", str(api.base_url).rstrip("/")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    frames = telemetry.manifest.frames
    assert orjson.loads(done.stdout) == {
        "frames": frames,
        "stepMs": 250,
        "numbers": list(telemetry.manifest.cars),
        "plain": frames,
        "unlike": 0,
    }
