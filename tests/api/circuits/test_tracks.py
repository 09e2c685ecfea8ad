"""Kart tracks over HTTP: the app's documents beside F1's circuits, added, changed, deleted, their timing on and off."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Literal

import httpx
import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.documents.circuits import CircuitDocument, ConnectionDocument, NoticeDocument
from pitwall.documents.live import FeedDocument
from pitwall.documents.session import SessionDocument
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import NOW, Stored, before, got, pages, problem, problem_name, served
from tests.documents.examples import AT

PROJECT = "test-circuits"
LAKE = "Piste du Lac"
"""A track that only the app has written."""
LAKE_FIELDS = {
    "nom": "Karting du Lac",
    "wssUrl": "wss://live.example:8523",
    "c1": "Clt",
    "c2": 7,
    "adresse": firestore_api.GeoPoint(46.5, 6.5),
    "photo": b"\x00",
    "ouvert": None,
    "horaires": [{"jour": "lundi", "de": None}],
    "endurance": "3h",
}


@pytest.fixture(scope="module")
def database(firestore_emulator: Emulator, auth_emulator: Emulator) -> Iterator[firestore_api.Client]:
    with pytest.MonkeyPatch.context() as patch:
        for emulator in (firestore_emulator, auth_emulator):
            patch.setenv(emulator.variable, emulator.value)
        client = firestore_api.Client(project=PROJECT)
        yield client
        client.close()


@pytest.fixture(scope="module")
def shared(database: firestore_api.Client, auth_emulator: Emulator) -> Iterator[httpx.Client]:
    """A client of the API that asks as an account with the role service."""
    with served(PROJECT, kart_tracks=2) as client:
        client.headers.update(bearer(Accounts(auth_emulator, PROJECT).token("service")))
        yield client


@pytest.fixture
def api(shared: httpx.Client, database: firestore_api.Client) -> httpx.Client:
    """The same, on two circuits of F1 and a track that only the app has written."""
    for collection in ("circuits", "circuitFeeds", "sessions", "schedule"):
        database.recursive_delete(database.collection(collection))
    f1 = {f"circuits/{id_}": CircuitDocument(at=AT, circuit=id_, name=id_.title()) for id_ in ("baku", "monza")}
    Stored(database)(f1)
    database.document(f"circuits/{LAKE}").set(LAKE_FIELDS)
    return shared


def add(api: httpx.Client, **fields: Any) -> httpx.Response:
    return api.post("/api/circuits", json={"nom": "Ardenmoor", "wssUrl": "wss://live.example:8523", **fields})


# -- reading -----------------------------------------------------------------------------------


def test_what_only_the_app_has_written_is_shown_as_a_circuit_with_what_json_holds_of_it(api: httpx.Client):
    shown = got(api, f"/api/circuits/{LAKE}")
    assert shown == {
        "circuit": LAKE,
        "name": "Karting du Lac",
        "series": "kart",
        "feedId": "kart-piste-du-lac-122d2013",
        "nom": "Karting du Lac",
        "wssUrl": "wss://live.example:8523",
        "c1": "Clt",
        "adresse": {"latitude": 46.5, "longitude": 6.5},
        "horaires": [{"jour": "lundi"}],
    }
    assert got(api, f"/api/circuits/{LAKE}", fields="circuit,c1") == {"circuit": LAKE, "c1": "Clt"}


def test_kart_tracks_are_listed_among_circuits_or_alone_to_the_end(api: httpx.Client):
    add(api)
    add(api, nom="Zolder")
    order = {"": [LAKE, "ardenmoor", "baku", "monza", "zolder"], "f1": ["baku", "monza"]}
    order["kart"] = ["ardenmoor", LAKE, "zolder"]
    for series, expected in order.items():
        query = {"series": series} if series else {}
        for limit in (1, 2, 50):
            found = [
                item["circuit"] for page in pages(api, "/api/circuits", limit=limit, **query) for item in page["items"]
            ]
            assert found == expected, (series, limit)
    assert problem_name(api.get("/api/circuits?series=indy")) == "bad-request"
    rows = api.get("/api/circuits?format=csv&fields=circuit,series,c1").text.splitlines()
    assert rows[:2] == ["circuit,series,c1", "Piste du Lac,kart,Clt"]


def test_a_change_that_only_the_app_makes_is_seen(api: httpx.Client, database: firestore_api.Client):
    addresses = (f"/api/circuits/{LAKE}", "/api/circuits", "/api/circuits?series=kart")
    tags = [api.get(address).headers["etag"] for address in addresses]
    assert [api.get(a, headers={"If-None-Match": tag}).status_code for a, tag in zip(addresses, tags, strict=True)] == [
        304
    ] * 3
    database.document(f"circuits/{LAKE}").update({"tarif": 20})
    assert got(api, addresses[0])["tarif"] == 20
    assert all(api.get(a).headers["etag"] != tag for a, tag in zip(addresses, tags, strict=True))


# -- adding and changing -----------------------------------------------------------------------


def test_a_track_is_added_as_the_app_has_one(api: httpx.Client, database: firestore_api.Client):
    rules = {"stops": 12, "stopMs": 180_000}
    made = add(api, id="Le_Mans-2", c1="Clt", c2=None, endurance=rules)
    assert (made.status_code, made.headers["location"]) == (201, "/api/circuits/Le_Mans-2")
    assert made.json() == got(api, made.headers["location"])
    stored = database.document("circuits/Le_Mans-2").get().to_dict()
    marks = {"series": "kart", "at": NOW, "writtenAt": NOW, "v": 1}
    known = {"nom": "Ardenmoor", "wssUrl": "wss://live.example:8523", "c1": "Clt", "endurance": rules}
    assert stored == known | marks
    assert api.post("/api/v1/circuits", json={"nom": "Étang Nord"}).headers["location"] == "/api/v1/circuits/etang-nord"
    assert len(add(api, nom="日本").json()["circuit"]) == 8
    for taken in ({"id": "Le_Mans-2"}, {"nom": "Baku"}, {"nom": "étang nord"}):
        assert problem_name(add(api, **taken)) == "already-there"


NO_ADDRESSES = {
    "wssUrl": ("live.example", "ftp://a", "wss://me:pw@a", "wss://me@a", "tcp://a", "wss://", ""),
    "liveTimingUrl": ("https://a:99999", "https://a/ b", "racemonitor:x", "wss://a\n", "https://a\\@b"),
}
UNFIT: list[tuple[str, Any]] = [
    *((name, address) for name, addresses in NO_ADDRESSES.items() for address in addresses),
    ("c3", "x" * 65),
    ("c15", "S3"),
    ("nom", " "),
    ("nom", None),
    ("id", "../x"),
    ("endurance.stops", {"stops": -1}),
    ("endurance.stopMs", {"stopMs": 10**18}),
]


def test_what_cannot_be_used_is_refused_by_name(api: httpx.Client):
    for member, value in UNFIT:
        name = member.partition(".")[0]
        asked = [add(api, **{name: value})]
        if name != "id":
            asked.append(api.patch(f"/api/circuits/{LAKE}", json={name: value}))
        for answer in asked:
            assert (problem_name(answer), problem(answer)["parameter"]) == ("bad-request", member), value


def test_whatever_a_track_runs_may_be_its_address(api: httpx.Client):
    for address in (
        "ws://10.0.0.1/",
        "tcp://timing.example:50000",
        "racemonitor:12345",
        "https://a.example/x?y=é#z",
        "wss://[::1]:8523",
    ):
        assert api.patch(f"/api/circuits/{LAKE}", json={"wssUrl": address}).json()["wssUrl"] == address


def test_what_a_change_does_not_name_stays_also_what_only_the_app_knows(
    api: httpx.Client, database: firestore_api.Client
):
    track = database.document(f"circuits/{LAKE}")
    changed = api.patch(f"/api/circuits/{LAKE}", json={"c1": None, "c3": "Equipe", "endurance": {"stops": 3}})
    assert changed.status_code == 200, changed.text
    kept = {name: value for name, value in LAKE_FIELDS.items() if name != "c1"}
    marks = {"series": "kart", "at": NOW, "writtenAt": NOW, "v": 1}
    assert track.get().to_dict() == {**kept, "c3": "Equipe", "endurance": {"stops": 3}, **marks}
    assert changed.json() == got(api, f"/api/circuits/{LAKE}")
    api.patch(f"/api/circuits/{LAKE}", json={"endurance": {"stops": None, "stintMs": 60_000}})
    assert (track.get().get("endurance"), track.get().get("v")) == ({"stintMs": 60_000}, 2)
    api.patch(f"/api/circuits/{LAKE}", json={"endurance": {"stintMs": 60_000}, "c1": None, "nom": LAKE_FIELDS["nom"]})
    assert track.get().get("v") == 2, "nothing changed"
    api.patch(f"/api/circuits/{LAKE}", json={"endurance": None})
    assert "endurance" not in (track.get().to_dict() or {})


def test_circuits_of_the_history_are_not_changed_here(api: httpx.Client):
    asked = [
        api.patch("/api/circuits/baku", json={"c1": "Clt"}),
        api.delete("/api/circuits/baku"),
        api.post("/api/circuits/baku/start-timing"),
        api.post("/api/circuits/baku/stop-timing"),
    ]
    assert [(answer.status_code, problem_name(answer)) for answer in asked] == [(409, "no-kart-track")] * 4
    for name in ("status", "logs", "notices"):
        assert problem_name(api.get(f"/api/circuits/baku/{name}")) == "not-found"
    nowhere = [
        api.patch("/api/circuits/nowhere", json={}),
        api.delete("/api/circuits/__x__"),
        api.post("/api/circuits/nowhere/start-timing"),
        api.get("/api/circuits/nowhere/status"),
        api.delete(f"/api/circuits/{LAKE}/notices/none"),
    ]
    assert {problem_name(answer) for answer in nowhere} == {"not-found"}


# -- timing ------------------------------------------------------------------------------------


def started(database: firestore_api.Client) -> dict[str, str]:
    stored = database.document("circuitFeeds/started").get().to_dict() or {}
    circuits: dict[str, str] = stored.get("circuits", {})
    return circuits


def test_timing_is_switched_on_and_off_and_asking_twice_changes_nothing(
    api: httpx.Client, database: firestore_api.Client
):
    for _ in range(2):
        add(api, id=f"track{_}")
    assert [api.post(f"/api/circuits/{LAKE}/start-timing").status_code for _ in range(2)] == [202, 200]
    assert started(database) == {LAKE: "kart-piste-du-lac-122d2013"}
    assert database.document("circuitFeeds/started").get().get("v") == 1
    shown = api.post("/api/circuits/track0/start-timing").json()
    assert shown == {"circuit": "track0", "feedId": "kart-track0", "started": True, "notices": 0}
    full = api.post("/api/circuits/track1/start-timing")
    assert (problem_name(full), problem(full)["circuits"]) == ("too-many-tracks", [LAKE, "track0"])
    assert problem_name(api.delete("/api/circuits/track0")) == "timing-on"
    assert [api.post("/api/circuits/track0/stop-timing").status_code for _ in range(2)] == [202, 200]
    assert api.post("/api/circuits/track1/start-timing").json()["started"] is True
    api.patch("/api/circuits/track0", json={"wssUrl": None})
    assert problem_name(api.post("/api/circuits/track0/start-timing")) == "no-timing"
    database.document("circuits/track1").delete()
    assert api.post("/api/circuits/track1/stop-timing").json()["started"] is False, "a track that is gone is stopped"
    assert api.delete("/api/circuits/track0").status_code == 204
    assert started(database) == {LAKE: "kart-piste-du-lac-122d2013"}


def heard(database: firestore_api.Client, track: str, feed: str) -> str:
    """A session of a track, what happened to its connection, and two notices."""
    key = f"{feed}-20251108-1400-race"
    events: dict[Literal["connecting", "live", "silent"], int] = {"connecting": 40, "live": 30, "silent": 5}
    Stored(database)(
        {
            f"sessions/{key}": SessionDocument(
                at=before(9), series="kart", feed_id=feed, status="Started", final=False, schema_version=1
            ),
            f"sessions/{key}/live/feed": FeedDocument(
                at=before(9), source="apex", state="silent", reconnects=1, gated_topics=[], last_message_at=before(40)
            ),
            **{
                f"circuits/{track}/log/{n}-{state}": ConnectionDocument(
                    at=before(ago), feed_id=feed, state=state, reconnects=1, session=key
                )
                for n, (state, ago) in enumerate(events.items())
            },
            **{
                f"circuits/{track}/notices/new-field-c{n}": NoticeDocument(
                    at=NOW - timedelta(minutes=n), kind="new-field", field=f"c{n}", role="", message="it is new"
                )
                for n in (1, 2)
            },
        },
        written_at=before(9),
    )
    return key


def test_the_status_says_how_a_track_is_heard(api: httpx.Client, database: firestore_api.Client):
    feed = "kart-piste-du-lac-122d2013"
    key = heard(database, LAKE, feed)
    api.post(f"/api/circuits/{LAKE}/start-timing")
    shown = got(api, f"/api/circuits/{LAKE}/status")
    assert shown["feed"] == {
        "state": "silent",
        "source": "apex",
        "lastMessageAt": "2025-11-08T14:02:28.000Z",
        "silentS": 40,
        "stale": True,
        "reconnects": 1,
    }
    assert shown["lastEvent"] == {"at": "2025-11-08T14:03:03.000Z", "state": "silent"}
    assert (shown["started"], shown["sessionKey"], shown["notices"]) == (True, key, 2)
    whole = got(api, "/api/status")
    assert [session["sessionKey"] for session in whole["sessions"]] == [key]
    [told] = whole["feeds"]
    assert (told["feedId"], told["circuit"], told["state"], told["sessionKey"]) == (feed, LAKE, "silent", key)
    for address in ("/api/sessions?series=kart", f"/api/sessions?feedId={feed}"):
        assert [session["sessionKey"] for session in got(api, address)["items"]] == [key]
    assert got(api, "/api/sessions/current", series="kart")["sessionKey"] == key


def test_a_track_that_is_on_without_a_session_is_idle(api: httpx.Client):
    api.post(f"/api/circuits/{LAKE}/start-timing")
    [told] = got(api, "/api/status")["feeds"]
    assert told == {"feedId": "kart-piste-du-lac-122d2013", "circuit": LAKE, "state": "idle"}
    assert "kart-piste-du-lac" in api.get("/api/status?format=html").text


def test_log_and_notices_come_newest_first_and_a_notice_that_was_seen_is_gone(
    api: httpx.Client, database: firestore_api.Client
):
    heard(database, LAKE, "kart-lake")
    events = [item for page in pages(api, f"/api/circuits/{LAKE}/logs", limit=2) for item in page["items"]]
    assert [(event["state"], event["n"]) for event in events] == [
        ("silent", "2-silent"),
        ("live", "1-live"),
        ("connecting", "0-connecting"),
    ]
    notices = got(api, f"/api/circuits/{LAKE}/notices")["items"]
    assert [notice["n"] for notice in notices] == ["new-field-c1", "new-field-c2"]
    assert api.delete(f"/api/circuits/{LAKE}/notices/new-field-c1").status_code == 204
    assert [notice["field"] for notice in got(api, f"/api/circuits/{LAKE}/notices")["items"]] == ["c2"]
    assert problem_name(api.get(f"/api/circuits/{LAKE}/logs?cursor=x")) == "bad-request"


def test_with_a_track_goes_what_is_of_it_alone(api: httpx.Client, database: firestore_api.Client):
    heard(database, LAKE, "kart-lake")
    lake = database.document(f"circuits/{LAKE}")
    for path in ("timing/format", "timing/analysis", "live/timing"):
        lake.collection(path.split("/")[0]).document(path.split("/")[1]).set({"at": NOW})
    assert api.delete(f"/api/circuits/{LAKE}").status_code == 204
    assert list(lake.collections()) == []
    assert not lake.get().exists
    assert problem_name(api.delete(f"/api/circuits/{LAKE}")) == "not-found"
    assert [session.id for session in database.collection("sessions").stream()] == ["kart-lake-20251108-1400-race"]


def test_a_start_and_a_deletion_at_once_do_not_both_happen(api: httpx.Client, database: firestore_api.Client):
    """Whoever commits second has read what the other has changed since, and looks again."""
    for number in range(5):
        track = add(api, id=f"contended{number}").json()["circuit"]
        with ThreadPoolExecutor(2) as both:
            asked = [
                both.submit(api.post, f"/api/circuits/{track}/start-timing"),
                both.submit(api.delete, f"/api/circuits/{track}"),
            ]
        codes = tuple(answer.result().status_code for answer in asked)
        assert codes in ((202, 409), (404, 204))
        assert (track in started(database)) is database.document(f"circuits/{track}").get().exists
        api.post(f"/api/circuits/{track}/stop-timing")
