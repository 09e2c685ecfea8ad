"""Who asks for a car's telemetry, and what a holder makes of what is stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from pitwall.documents.encoding import from_fields
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.telemetry_requests import LEASE, LOOK_EVERY_S, Following, TelemetryRequests, TooManyCars

PATH = "telemetryRequests/7001"


@pytest.fixture
def requests(database: Database) -> TelemetryRequests:
    return TelemetryRequests(database, 2)


def document(database: Database) -> dict[str, Any]:
    return database.read([PATH])[PATH].fields or {}


def store_cars(client: firestore_api.Client, cars: Any) -> None:
    client.document(PATH).set({"v": 1, "cars": cars})


def left(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_what_was_never_asked_for_is_not_wanted(requests: TelemetryRequests) -> None:
    assert requests.asked("7001").wanted == {}


def test_a_car_is_wanted_for_two_minutes_after_it_was_asked_for(
    requests: TelemetryRequests, database: Database
) -> None:
    until, new = requests.ask("7001", "44", "somebody")
    assert new
    assert requests.asked("7001").wanted == {"44": until}
    stored = document(database)
    assert from_fields(PATH, stored)
    assert until - stored["at"] == LEASE
    assert stored["expiresAt"] == until


def test_who_asked_is_named_nowhere(requests: TelemetryRequests, database: Database) -> None:
    requests.ask("7001", "44", "pDeC0hV8T1bZ")
    assert "pDeC0hV8T1bZ" not in str(document(database))


def test_asking_again_at_once_writes_nothing(requests: TelemetryRequests, database: Database) -> None:
    first, _ = requests.ask("7001", "44", "somebody")
    assert requests.ask("7001", "44", "somebody") == (first, False)
    assert document(database)["v"] == 1


def test_asking_a_minute_later_is_two_minutes_more(
    requests: TelemetryRequests, firestore: firestore_api.Client, database: Database
) -> None:
    requests.ask("7001", "44", "somebody")
    by = document(database)["cars"]["44"]["by"]
    store_cars(firestore, {"44": {"until": left(60), "by": by}})
    until, new = requests.ask("7001", "44", "somebody")
    assert not new
    assert until > left(110)


def test_a_crowd_of_askers_writes_twice(requests: TelemetryRequests, database: Database) -> None:
    for number in range(20):
        requests.ask("7001", "44", f"viewer {number}")
    assert document(database)["v"] == 2


def test_who_asked_alone_may_end_it(requests: TelemetryRequests) -> None:
    requests.ask("7001", "44", "somebody")
    requests.end("7001", "44", "somebody")
    told = requests.asked("7001")
    assert (told.wanted, told.over) == ({}, {"44"})


def test_nobody_ends_what_others_have_asked_for(requests: TelemetryRequests) -> None:
    requests.ask("7001", "44", "one")
    requests.end("7001", "44", "another")
    assert "44" in requests.asked("7001").wanted
    requests.ask("7001", "44", "another")
    requests.end("7001", "44", "one")
    requests.end("7001", "44", "another")
    assert "44" in requests.asked("7001").wanted


def test_ending_what_nobody_has_asked_for_stores_nothing(requests: TelemetryRequests, database: Database) -> None:
    requests.end("7001", "44", "somebody")
    assert document(database) == {}


def test_there_are_only_so_many_cars_at_a_time(requests: TelemetryRequests) -> None:
    until, _ = requests.ask("7001", "1", "somebody")
    requests.ask("7001", "4", "somebody")
    with pytest.raises(TooManyCars) as refused:
        requests.ask("7001", "44", "somebody")
    assert (refused.value.cars, refused.value.free_at) == (["1", "4"], until)
    requests.ask("7001", "4", "somebody else")


def test_a_car_that_is_over_makes_room(requests: TelemetryRequests) -> None:
    requests.ask("7001", "1", "somebody")
    requests.ask("7001", "4", "somebody")
    requests.end("7001", "4", "somebody")
    requests.ask("7001", "44", "somebody")
    assert requests.asked("7001").wanted.keys() == {"1", "44"}


def test_sessions_do_not_know_of_each_other(requests: TelemetryRequests) -> None:
    requests.ask("7001", "1", "somebody")
    assert requests.asked("7002").wanted == {}


def test_many_who_ask_at_once_are_all_told_the_same(database: Database) -> None:
    requests = TelemetryRequests(database, 4)
    with ThreadPoolExecutor(4) as crowd:
        asked = list(crowd.map(lambda number: requests.ask("7001", str(number), f"viewer {number}"), range(1, 5)))
    assert all(new for _, new in asked)
    assert requests.asked("7001").wanted == {str(n): until for n, (until, _) in zip(range(1, 5), asked, strict=True)}


GARBAGE: dict[str, Any] = {
    "no time": {"by": "x"},
    "a text for a time": {"until": "soon", "by": "x"},
    "what there is not": {"until": left(60), "by": "x", "role": "admin"},
    "no map": 7,
    "longer than anybody may ask for": {"until": left(86_400), "by": "x"},
}


@pytest.mark.parametrize("told", GARBAGE.values(), ids=GARBAGE)
def test_a_car_that_cannot_have_been_asked_for_is_left_out(
    requests: TelemetryRequests, firestore: firestore_api.Client, told: Any
) -> None:
    store_cars(firestore, {"1": told, "44": {"until": left(60), "by": "x"}})
    found = requests.asked("7001")
    assert (found.wanted.keys(), found.refused) == ({"44"}, {"1"})


@pytest.mark.parametrize("number", ["", "1" * 7, "4.4", "é", "__x"])
def test_what_is_no_racing_number_is_left_out(
    requests: TelemetryRequests, firestore: firestore_api.Client, number: str
) -> None:
    if number:
        firestore.document(PATH).set({"cars": {number: {"until": left(60), "by": "x"}}})
    assert requests.asked("7001").wanted == {}


@pytest.mark.parametrize("cars", [None, 7, ["44"], "44"], ids=str)
def test_a_document_that_says_nothing_is_written_anew(
    requests: TelemetryRequests, firestore: firestore_api.Client, database: Database, cars: Any
) -> None:
    firestore.document(PATH).set({"v": "seven", "cars": cars})
    assert requests.asked("7001").wanted == {}
    requests.ask("7001", "44", "somebody")
    assert from_fields(PATH, document(database))


def test_no_more_are_followed_than_may_be_whatever_is_stored(
    requests: TelemetryRequests, firestore: firestore_api.Client
) -> None:
    store_cars(firestore, {str(n): {"until": left(60), "by": "x"} for n in range(30)})
    assert len(requests.asked("7001").wanted) == 2


class Beside(ThreadPoolExecutor):
    """What was begun beside is done when it is next asked about."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        done = super().submit(*args, **kwargs)
        done.exception(30)
        return done


def test_a_holder_reads_once_in_five_seconds(requests: TelemetryRequests, database: Database) -> None:
    with Beside(1) as beside:
        following = Following(requests, beside, lambda: 0.0)
        database.operations()
        looks = [following.look(tenth / 10, "7001") for tenth in range(int(LOOK_EVERY_S * 20))]
    assert database.operations()["firestoreReads"] == 2
    assert sum(look is not None for look in looks) == 2


def test_what_was_over_before_is_told_once(requests: TelemetryRequests) -> None:
    requests.ask("7001", "44", "somebody")
    requests.end("7001", "44", "somebody")
    with Beside(1) as beside:
        following = Following(requests, beside, lambda: 0.0)
        looks = [following.look(n * LOOK_EVERY_S, "7001") for n in range(4)]
    assert [look.over for look in looks if look is not None] == [{"44"}, set(), set()]


def test_an_answer_about_the_session_before_is_not_taken_for_the_next_one(requests: TelemetryRequests) -> None:
    requests.ask("7001", "44", "somebody")
    with Beside(1) as beside:
        following = Following(requests, beside, lambda: 0.0)
        following.look(0.0, "7001")
        assert following.look(1.0, "7002") is None


def test_what_is_wanted_stays_where_firestore_does_not_answer(
    requests: TelemetryRequests, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: Any) -> Any:
        raise Unavailable("nobody there")

    monkeypatch.setattr(TelemetryRequests, "asked", gone)
    with Beside(1) as beside:
        following = Following(requests, beside, lambda: 0.0)
        assert [following.look(n * LOOK_EVERY_S, "7001") for n in range(3)] == [None, None, None]
    assert "nobody there" in capfd.readouterr().out


def test_what_cannot_be_read_is_logged_once(
    requests: TelemetryRequests, firestore: firestore_api.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    store_cars(firestore, {"1": 7})
    with Beside(1) as beside:
        following = Following(requests, beside, lambda: 0.0)
        for n in range(5):
            following.look(n * LOOK_EVERY_S, "7001")
    assert capfd.readouterr().out.count("bad-telemetry-request") == 1
