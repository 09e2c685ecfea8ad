"""Tags and times to live are true: the same tag means the same bytes, and nothing is kept longer than it holds."""

from __future__ import annotations

import gzip

import httpx
import msgspec
import pytest

from pitwall.api import caching
from pitwall.api.app import create_app
from pitwall.settings import Settings
from tests.api.conftest import Stored, before
from tests.documents.examples import EXAMPLES, SESSION

ROUTES = {
    "/api/sessions/current": "max-age=3",
    "/api/sessions/9845": "max-age=60",
    "/api/sessions/9845/laps": "max-age=60",
    "/api/sessions/9845/laps/8": "max-age=60",
    "/api/sessions/9845/drivers": "max-age=60",
    "/api/sessions/9845/drivers/44": "max-age=60",
    "/api/sessions/9845/live": "max-age=1",
}
KEPT_A_DAY = [route for route, max_age in ROUTES.items() if max_age == "max-age=60"]


@pytest.fixture
def race(store: Stored) -> Stored:
    store(EXAMPLES)
    return store


def raw(api: httpx.Client, route: str, encoding: str, method: str = "GET") -> tuple[httpx.Response, bytes]:
    """A response and its bytes as sent."""
    with api.stream(method, route, headers={"Accept-Encoding": encoding}) as response:
        return response, b"".join(response.iter_raw())


@pytest.mark.parametrize(("route", "max_age"), ROUTES.items())
def test_a_response_may_be_kept_as_long_as_it_says(race: Stored, api: httpx.Client, route: str, max_age: str):
    control = api.get(route).headers["cache-control"].split(", ")
    assert control[:2] == ["public", max_age]


def shown_at_most(control: str) -> int:
    """Seconds after which nobody is shown what was sent with this Cache-Control."""
    given = dict(directive.split("=") for directive in control.split(", ") if "=" in directive)
    return int(given["max-age"]) + int(given["stale-while-revalidate"])


@pytest.mark.parametrize(
    ("route", "seconds"),
    [("/api/sessions/current", 4), ("/api/sessions/9845/live", 2), ("/api/sessions/9845", 90)],
)
def test_a_cache_may_show_what_is_stale_a_little_while_it_asks_again(
    race: Stored, api: httpx.Client, route: str, seconds: int
):
    assert shown_at_most(api.get(route).headers["cache-control"]) == seconds


def test_what_is_final_is_shown_at_most_an_hour_longer_than_a_day(race: Stored, api: httpx.Client):
    race({"sessions/9845": msgspec.structs.replace(SESSION, final=True)})
    assert shown_at_most(api.get("/api/sessions/9845").headers["cache-control"]) == 25 * 60 * 60


@pytest.mark.parametrize("route", KEPT_A_DAY)
def test_a_session_is_kept_a_day_once_it_is_final(race: Stored, api: httpx.Client, route: str):
    race({"sessions/9845": msgspec.structs.replace(SESSION, final=True)})
    assert "max-age=86400" in api.get(route).headers["cache-control"]


@pytest.mark.parametrize("route", ["/api/sessions/current", "/api/sessions/9845/live"])
def test_what_may_become_another_session_or_tower_is_never_kept_a_day(race: Stored, api: httpx.Client, route: str):
    race({"sessions/9845": msgspec.structs.replace(SESSION, final=True)})
    assert ROUTES[route] in api.get(route).headers["cache-control"]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("route", ROUTES)
def test_who_has_it_already_gets_304_without_a_body(race: Stored, api: httpx.Client, route: str, encoding: str):
    first, _ = raw(api, route, encoding)
    second = api.get(route, headers={"If-None-Match": first.headers["etag"], "Accept-Encoding": encoding})
    assert second.status_code == 304
    assert second.content == b""
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["cache-control"] == first.headers["cache-control"]
    assert second.headers["vary"] == first.headers["vary"]


@pytest.mark.parametrize("route", ROUTES)
def test_tags_are_strong(race: Stored, api: httpx.Client, route: str):
    assert api.get(route).headers["etag"].startswith('"')


@pytest.mark.parametrize("known", ["W/{tag}", '"other", {tag}', "*"])
def test_every_form_of_if_none_match_is_understood(race: Stored, api: httpx.Client, known: str):
    tag = api.get("/api/sessions/9845").headers["etag"]
    response = api.get("/api/sessions/9845", headers={"If-None-Match": known.format(tag=tag)})
    assert response.status_code == 304


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("/api/sessions/current", "sessions/9845"),
        ("/api/sessions/9845", "sessions/9845"),
        ("/api/sessions/9845/laps", "sessions/9845/laps/8"),
        ("/api/sessions/9845/laps/8", "sessions/9845/laps/8"),
        ("/api/sessions/9845/drivers", "sessions/9845/drivers/44"),
        ("/api/sessions/9845/drivers/HAM", "sessions/9845/drivers/44"),
        ("/api/sessions/9845/live", "sessions/9845/live/timing"),
    ],
)
def test_a_new_version_of_the_document_has_a_new_tag(race: Stored, api: httpx.Client, route: str, path: str):
    before_write = api.get(route).headers["etag"]
    race({path: EXAMPLES[path]})
    response = api.get(route, headers={"If-None-Match": before_write})
    assert response.status_code == 200


def test_laps_that_did_not_change_keep_their_tag_while_the_session_does(race: Stored, api: httpx.Client):
    tag = api.get("/api/sessions/9845/laps").headers["etag"]
    race({"sessions/9845": SESSION})
    assert api.get("/api/sessions/9845/laps", headers={"If-None-Match": tag}).status_code == 304


def test_a_new_lap_changes_the_tag_of_the_list(race: Stored, api: httpx.Client):
    tag = api.get("/api/sessions/9845/laps").headers["etag"]
    race({"sessions/9845/laps/9": msgspec.structs.replace(EXAMPLES["sessions/9845/laps/8"], lap=9)})
    assert api.get("/api/sessions/9845/laps").headers["etag"] != tag


def test_a_page_that_is_no_longer_the_last_has_a_new_tag(race: Stored, api: httpx.Client):
    tag = api.get("/api/sessions/9845/laps?limit=1").headers["etag"]
    race({"sessions/9845/laps/9": msgspec.structs.replace(EXAMPLES["sessions/9845/laps/8"], lap=9)})
    assert api.get("/api/sessions/9845/laps?limit=1").headers["etag"] != tag


def test_a_database_filled_anew_with_the_same_versions_has_new_tags(race: Stored, api: httpx.Client):
    tag = api.get("/api/sessions/9845").headers["etag"]
    race.v -= 1
    race({"sessions/9845": SESSION}, written_at=before(-1))
    assert api.get("/api/sessions/9845").headers["etag"] != tag


def test_laps_of_one_driver_and_of_all_have_different_tags(race: Stored, api: httpx.Client):
    tags = {api.get(f"/api/sessions/9845/laps{query}").headers["etag"] for query in ("", "?driver=44")}
    assert len(tags) == 2


def test_the_same_document_gives_the_same_bytes_whatever_order_its_keys_come_in():
    with create_app(Settings()).test_request_context("/api/sessions/9845"):
        one, other = (
            caching.answer(lambda keys=keys: dict.fromkeys(keys, 1), [], max_age=1) for keys in ("abc", "cab")
        )
    assert one.body.plain == other.body.plain


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "*", "br;q=1.0, gzip;q=0.8", "GZIP"])
def test_who_asks_for_gzip_gets_it(race: Stored, api: httpx.Client, accepted: str):
    response, sent = raw(api, "/api/sessions/9845/laps", accepted)
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-length"] == str(len(sent))
    assert gzip.decompress(sent) == api.get("/api/sessions/9845/laps").content


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", "*;q=0, identity", "identity, gzip;q=0.5", ""])
def test_who_does_not_ask_for_gzip_does_not_get_it(race: Stored, api: httpx.Client, accepted: str):
    response, sent = raw(api, "/api/sessions/9845/laps", accepted)
    assert "content-encoding" not in response.headers
    assert sent.startswith(b'{"items":')


def test_gzipped_and_plain_bytes_have_different_strong_tags(race: Stored, api: httpx.Client):
    plain, gzipped = (raw(api, "/api/sessions/9845", encoding)[0] for encoding in ("identity", "gzip"))
    assert plain.headers["etag"] != gzipped.headers["etag"]
    assert gzipped.headers["etag"].startswith('"')
    assert plain.headers["vary"] == gzipped.headers["vary"] == "Accept-Encoding"


def test_gzipped_bytes_do_not_say_when_they_were_made(race: Stored, api: httpx.Client):
    _, sent = raw(api, "/api/sessions/9845", "gzip")
    assert sent[4:8] == bytes(4)  # RFC 1952: MTIME, 0 for none


def test_the_same_tag_means_the_same_gzipped_bytes(race: Stored, api: httpx.Client):
    first, second = (raw(api, "/api/sessions/9845", "gzip") for _ in range(2))
    assert first[0].headers["etag"] == second[0].headers["etag"]
    assert first[1] == second[1]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("route", ROUTES)
def test_head_has_the_headers_of_get_and_no_body(race: Stored, api: httpx.Client, route: str, encoding: str):
    got, _ = raw(api, route, encoding)
    head, sent = raw(api, route, encoding, "HEAD")
    assert sent == b""
    for name in ("content-type", "content-length", "etag", "cache-control", "vary"):
        assert head.headers[name] == got.headers[name]


def test_if_match_of_another_version_fails_the_precondition(race: Stored, api: httpx.Client):
    response = api.get("/api/sessions/9845", headers={"If-Match": '"other"'})
    assert response.status_code == 412
    assert response.headers["content-type"] == "application/problem+json"


def test_the_alias_gives_the_same_bodies(race: Stored, api: httpx.Client):
    for route in ROUTES:
        alias = route.replace("/api/", "/api/v1/")
        assert api.get(alias).json() == api.get(route).json()
