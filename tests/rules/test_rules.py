"""What a browser or a phone may do with Firestore itself, by the two sets of rules that are deployed.

With each set everybody tries everything at every path of the design once. The tests look at what came of it, and at
which expressions of the rules the emulator has evaluated meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import grpc
import httpx
import msgspec
import pytest
from google.cloud import firestore as firestore_api

from local import ROOT
from local.emulators import Emulator
from pitwall.api.users import ProfileChange
from pitwall.documents.encoding import to_fields
from pitwall.documents.paths import KINDS, UnknownPath, kind_of
from pitwall.documents.user import UserDocument
from pitwall.pipeline.database import Database
from tests.documents.examples import AT, EXAMPLES, WRITTEN_AT, V
from tests.rules.somebody import Answer, Somebody, at_request_time, id_token

RULES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("firestore.rules", "firestore.closed.rules")}

MOST = 200
"""The most documents that one query or listener may ask for."""

UID = "pDeC0hV8T1bZ"
NEW = "-new"
"""Ends the ids of documents that somebody tries to create, and the uid of who has no profile yet."""

NOT_SIGNED_IN, USER, OTHER, NEWCOMER = "not signed in", "user", "other user", "newcomer"
VIEWER, SERVICE, ADMIN = "viewer", "service", "admin"
ACCOUNTS: dict[str, tuple[str, dict[str, Any]]] = {
    USER: (UID, {"email": "someone@example.com", "email_verified": False}),
    OTHER: ("somebodyElse", {}),
    NEWCOMER: (UID + NEW, {"provider_id": "anonymous", "firebase": {"sign_in_provider": "anonymous"}}),
    VIEWER: ("aViewer", {"role": "viewer"}),
    SERVICE: ("aService", {"role": "service"}),
    ADMIN: ("anAdmin", {"role": "admin"}),
}
"""The uid of each account, and the claims of its token."""

NONE: frozenset[str] = frozenset()
BY_ROLE = frozenset({VIEWER, SERVICE, ADMIN})
EVERYBODY = frozenset({NOT_SIGNED_IN, *ACCOUNTS})


class May(NamedTuple):
    """Who may do what with a document. list: who may list the documents beside it, up to MOST at a time."""

    get: frozenset[str] = NONE
    list: frozenset[str] = NONE
    create: frozenset[str] = NONE
    update: frozenset[str] = NONE
    delete: frozenset[str] = NONE


def table(watchers: frozenset[str]) -> dict[str, May]:
    """Who may do what, by path. watchers: who may read sessions, calendar and history."""
    watched, nobodys = May(get=watchers, list=watchers), May()
    only = frozenset
    readers = May(get=only({SERVICE, ADMIN}), list=only({SERVICE, ADMIN}))
    return {
        "sessions/9845": watched,
        "sessions/9845/live/timing": watched,
        "sessions/9845/live/entries": watched,
        "sessions/9845/live/tyres": watched,
        "sessions/9845/live/segments": watched,
        "sessions/9845/live/positions": watched,
        "sessions/9845/live/telemetry": watched,
        "sessions/9845/live/endurance": watched,
        "sessions/9845/live/feed": watched,
        "sessions/9845/telemetry/44": watched,
        "sessions/9845/towers/7": watched,
        "sessions/9845/drivers/44": watched,
        "sessions/9845/laps/8": watched,
        "sessions/9845/raceControl/3": watched,
        "sessions/9845/weather/5": watched,
        "sessions/9845/trackStatus/1": watched,
        "sessions/9845/sessionStatus/1": watched,
        "sessions/9845/teamRadio/0": watched,
        "sessions/9845/gaps/0": watched,
        "sessions/9845/results/44": watched,
        "sessions/9845/events/overtake-8": watched,
        "sessions/9845/commentary/overtake-8": watched,
        "sessions/9845/predictions/8": watched,
        "schedule/f1": watched,
        "seasons/2025": watched,
        "seasons/2025/events/21": watched,
        "seasons/2025/standings/drivers": watched,
        "circuits/interlagos": watched,
        "circuits/interlagos/layouts/2025": watched,
        "circuits/ardenmoor-karting/live/timing": watched,
        "circuits/ardenmoor-karting/log/1763733600000-live": watched,
        "circuits/ardenmoor-karting/notices/field-gone-c5": watched,
        "circuits/ardenmoor-karting/timing/format": readers,
        "circuits/ardenmoor-karting/timing/analysis": readers,
        "drivers/hamilton": watched,
        "drivers/hamilton/seasons/2025": watched,
        "constructors/ferrari": watched,
        "constructors/ferrari/seasons/2025": watched,
        f"users/{UID}": May(get=only({USER}), create=only({NEWCOMER}), update=only({USER}), delete=only({USER})),
        "jobs/archive-9845": May(get=watchers, list=only({ADMIN})),
        "apiKeys/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": nobodys,
        "leases/f1": nobodys,
        "checkpoints/9845": nobodys,
        "rateLimits/c9f0f895fb98ab91": nobodys,
        "economy/current": nobodys,
        "telemetryRequests/9845": nobodys,
        "circuitFeeds/started": nobodys,
        "privacyRequests/c9f0f895fb98ab9159f51fd0297e236d": nobodys,
        "contributions/2025-21": nobodys,
        "backfills/2025": nobodys,
        # Nobody's, until the design and the rules name them:
        "sessions/9845/standings/1": nobodys,
        "sessions/9845/laps/8/notes/1": nobodys,
        "seasons/2025/notes/1": nobodys,
        "circuits/interlagos/notes/1": nobodys,
        "drivers/hamilton/notes/1": nobodys,
        "constructors/ferrari/notes/1": nobodys,
        f"users/{UID}/devices/1": nobodys,
    }


TABLES = {"firestore.rules": table(EVERYBODY), "firestore.closed.rules": table(BY_ROLE)}

TOO_MUCH: dict[str, dict[str, Any]] = {
    "more than may be": {"limit": MOST + 1},
    "everything": {},
    "what an offset skips": {"limit": MOST, "offset": 1},
}
"""What nobody may list, not even of what they may list."""

NOW = object()
"""Stands for the instant of a write, which Firestore sets."""

FIRST: dict[str, Any] = {"v": 1, "at": NOW, "writtenAt": NOW, "createdAt": NOW}
BEFORE: dict[str, Any] = {"v": 7, "at": AT, "writtenAt": WRITTEN_AT, "createdAt": AT, "displayName": "Ayrton"}
AFTER: dict[str, Any] = {"v": 8, "at": NOW, "writtenAt": NOW, "createdAt": AT}

WISHES: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing": ({}, True),
    "name": ({"displayName": "Ayrton"}, True),
    "longest name": ({"displayName": "🏎" * 64}, True),
    "too long a name": ({"displayName": "🏎" * 65}, False),
    "empty name": ({"displayName": ""}, False),
    "name of two lines": ({"displayName": "a\nb"}, False),
    "name with a control character": ({"displayName": "a\x7f"}, False),
    "name that is a number": ({"displayName": 7}, False),
    "no favourites": ({"favouriteDrivers": []}, True),
    "favourites": ({"favouriteDrivers": ["44", "LEC", "7A"]}, True),
    "most favourites": ({"favouriteDrivers": ["A1234567"] * 30}, True),
    "too many favourites": ({"favouriteDrivers": ["44"] * 31}, False),
    "too long a favourite": ({"favouriteDrivers": ["A12345678"]}, False),
    "empty favourite": ({"favouriteDrivers": [""]}, False),
    "two favourites in one": ({"favouriteDrivers": ["44,LEC"]}, False),
    "favourite that is a number": ({"favouriteDrivers": [44]}, False),
    "favourite that is a path": ({"favouriteDrivers": ["../x"]}, False),
    "favourites that are no list": ({"favouriteDrivers": "44"}, False),
    "no choices": ({"notifications": {}}, True),
    "every choice": (
        {"notifications": {"sessionStart": True, "raceControl": True, "favouriteDrivers": True, "results": True}},
        True,
    ),
    "choice that there is not": ({"notifications": {"everything": True}}, False),
    "sessionStart that is no choice": ({"notifications": {"sessionStart": "yes"}}, False),
    "raceControl that is no choice": ({"notifications": {"raceControl": 1}}, False),
    "favouriteDrivers that are no choice": ({"notifications": {"favouriteDrivers": ["44"]}}, False),
    "results that are no choice": ({"notifications": {"results": {}}}, False),
    "choices that are no map": ({"notifications": ["results"]}, False),
    "role": ({"role": "admin"}, False),
    "uid": ({"uid": UID}, False),
}
"""What somebody wants to have in their profile, and whether they may."""


class Profile(NamedTuple):
    """A profile that its owner tries to store. before: what is stored, if anything is."""

    before: dict[str, Any] | None
    wanted: dict[str, Any]
    may: bool


PROFILES: dict[str, Profile] = {
    **{f"new: {name}": Profile(None, {**FIRST, **wish}, may) for name, (wish, may) in WISHES.items()},
    "new: later version": Profile(None, {**FIRST, "v": 2}, False),
    "new: version that is no integer": Profile(None, {**FIRST, "v": 1.0}, False),
    "new: no version": Profile(None, {"at": NOW, "writtenAt": NOW, "createdAt": NOW}, False),
    "new: changed at another time": Profile(None, {**FIRST, "at": AT}, False),
    "new: written at another time": Profile(None, {**FIRST, "writtenAt": AT}, False),
    "new: made at another time": Profile(None, {**FIRST, "createdAt": AT}, False),
    "new: made at no time": Profile(None, {"v": 1, "at": NOW, "writtenAt": NOW}, False),
    **{f"changed: {name}": Profile(BEFORE, {**AFTER, **wish}, may) for name, (wish, may) in WISHES.items()},
    "changed: same version": Profile(BEFORE, {**AFTER, "v": 7}, False),
    "changed: version left out": Profile(BEFORE, {**AFTER, "v": 9}, False),
    "changed: at another time": Profile(BEFORE, {**AFTER, "at": AT}, False),
    "changed: written at another time": Profile(BEFORE, {**AFTER, "writtenAt": WRITTEN_AT}, False),
    "changed: made at another time": Profile(BEFORE, {**AFTER, "createdAt": NOW}, False),
}


class Expression(NamedTuple):
    """An expression of the rules, where it is, and the values it has come to but for errors."""

    line: int
    column: int
    text: str
    values: list[Any]


class Played(NamedTuple):
    """What came of everybody trying everything.

    may: by path. too_much: who was let through, by what they tried and the collection. profiles: those that were
    stored, as they are then.
    """

    rules: str
    may: dict[str, May]
    too_much: dict[str, dict[str, frozenset[str]]]
    profiles: dict[str, dict[str, Any]]
    expressions: list[Expression]


def play(emulator: Emulator, channel: grpc.Channel, rules: str) -> Played:
    project = f"test-{os.getpid()}-{rules.replace('.', '-')}"
    url = f"http://{emulator.address}/emulator/v1/projects/{project}"
    body = {"rules": {"files": [{"name": rules, "content": RULES[rules]}]}}
    loaded = httpx.put(f"{url}:securityRules", json=body, trust_env=False, timeout=30)
    assert loaded.status_code == 200, loaded.text

    database = Database(project)
    people = {NOT_SIGNED_IN: Somebody(channel, project, "")}
    for name, (uid, claims) in ACCOUNTS.items():
        people[name] = Somebody(channel, project, id_token(project, uid, **claims))
    database.commit([database.write(path, _stored(path)) for path in TABLES[rules]])

    def let_through(
        ask: Callable[[Somebody, str], Answer], paths: Iterable[str] = TABLES[rules]
    ) -> dict[str, frozenset[str]]:
        """Who was, by path. One after the other asks for everything at once, so that no two change one document."""
        let: dict[str, set[str]] = {path: set() for path in paths}
        for name, somebody in people.items():
            answers = {path: ask(somebody, path) for path in let}
            for path, answer in answers.items():
                if answer():
                    let[path].add(name)
        return {path: frozenset(names) for path, names in let.items()}

    lists = let_through(lambda somebody, name: somebody.list(name, MOST), {_collection(path) for path in TABLES[rules]})
    listed = [name for name, who in lists.items() if who]
    too_much = {what: let_through(partial(Somebody.list, **query), listed) for what, query in TOO_MUCH.items()}
    tried = {
        "get": let_through(lambda somebody, path: somebody.get(path)),
        "create": let_through(lambda somebody, path: somebody.commit(_creation(database, path))),
        "update": let_through(lambda somebody, path: somebody.commit(_change(database, path))),
        "delete": let_through(lambda somebody, path: somebody.commit(database.delete(path))),
    }
    may = {
        path: May(list=lists[_collection(path)], **{action: by[path] for action, by in tried.items()})
        for path in TABLES[rules]
    }
    profiles = _play_profiles(database, channel, project)
    covered = httpx.get(f"{url}:ruleCoverage", trust_env=False, timeout=30).json()
    expressions = [found for node in covered["report"] for found in _expressions(node, RULES[rules])]
    database.close()
    return Played(rules, may, too_much, profiles, expressions)


def _play_profiles(database: Database, channel: grpc.Channel, project: str) -> dict[str, dict[str, Any]]:
    """Each is somebody else's. Those that were stored, by their names."""
    paths = {name: f"users/owner{number}" for number, name in enumerate(PROFILES)}
    before = {paths[name]: profile.before for name, profile in PROFILES.items() if profile.before is not None}
    database.commit([database.write(path, fields) for path, fields in before.items()])
    answers = {}
    for name, path in paths.items():
        owner = Somebody(channel, project, id_token(project, path.removeprefix("users/")))
        answers[name] = owner.commit(_write(database, path, PROFILES[name].wanted, new=path not in before))
    let = [name for name, answer in answers.items() if answer()]
    stored = database.read(paths[name] for name in let)
    return {name: stored[paths[name]].fields or {} for name in let}


def _collection(path: str) -> str:
    return path.rpartition("/")[0]


def _stored(path: str) -> dict[str, Any]:
    if path == f"users/{UID}":
        return BEFORE
    return {**to_fields(EXAMPLES[path]), "v": V, "writtenAt": WRITTEN_AT} if path in EXAMPLES else {"v": V}


def _creation(database: Database, path: str) -> Any:
    return _write(database, path + NEW, FIRST if path == f"users/{UID}" else _stored(path), new=True)


def _change(database: Database, path: str) -> Any:
    return _write(database, path, AFTER if path == f"users/{UID}" else {**_stored(path), "v": V + 1}, new=False)


def _write(database: Database, path: str, fields: dict[str, Any], *, new: bool) -> Any:
    given = {name: value for name, value in fields.items() if value is not NOW}
    return at_request_time(database.write(path, given, must_be_new=new), *(fields.keys() - given.keys()))


def _expressions(node: dict[str, Any], rules: str) -> Iterator[Expression]:
    """Of a node of the emulator's coverage report, and of those in it."""
    place = node["sourcePosition"]
    text = rules[place["currentOffset"] : place["endOffset"] + 1]
    values = [value for seen in node.get("values", []) for kind, value in seen["value"].items() if kind != "undefined"]
    yield Expression(place["line"], place["column"], text, values)
    for child in node.get("children", []):
        yield from _expressions(child, rules)


@pytest.fixture(scope="module")
def plays(firestore_emulator: Emulator) -> Iterator[dict[str, Played]]:
    """By the name of the rules."""
    with pytest.MonkeyPatch.context() as patch, grpc.insecure_channel(firestore_emulator.address) as channel:
        patch.setenv(firestore_emulator.variable, firestore_emulator.value)
        yield {rules: play(firestore_emulator, channel, rules) for rules in RULES}


@pytest.fixture(params=RULES)
def played(request: pytest.FixtureRequest, plays: dict[str, Played]) -> Played:
    return plays[request.param]


def test_everybody_may_do_what_the_table_says_and_nothing_else(played: Played):
    assert played.may == TABLES[played.rules]


def test_nobody_lists_more_than_a_page_at_a_time(played: Played):
    assert played.too_much == {what: dict.fromkeys(collections, NONE) for what, collections in played.too_much.items()}


def test_every_kind_of_document_is_in_the_table():
    def kind(path: str) -> str:
        try:
            return kind_of(path).name
        except UnknownPath:
            return ""

    assert {kind(path) for path in TABLES["firestore.rules"]} - {""} == {kind.name for kind in KINDS}


def test_what_is_stored_of_a_profile_is_what_may_be(played: Played):
    assert list(played.profiles) == [name for name, profile in PROFILES.items() if profile.may]


def test_what_is_stored_of_a_profile_is_one(played: Played):
    for fields in played.profiles.values():
        assert msgspec.to_builtins(msgspec.convert(fields, UserDocument), builtin_types=(datetime,)) == fields


@pytest.mark.parametrize("name", WISHES)
def test_the_api_takes_the_same(name: str):
    wish, may = WISHES[name]
    with nullcontext() if may else pytest.raises(msgspec.ValidationError):
        msgspec.convert(wish, ProfileChange)


def test_every_expression_is_evaluated(played: Played):
    assert len(played.expressions) > 100
    assert [expression for expression in played.expressions if not expression.values] == []


def test_every_condition_is_true_once_and_false_once(plays: dict[str, Played]):
    one_sided = []
    for both in zip(*(played.expressions for played in plays.values()), strict=True):
        truths = {value for expression in both for value in expression.values if isinstance(value, bool)}
        if len(truths) == 1:
            one_sided.append((both[0], truths))
    assert one_sided == []


def test_the_sets_differ_in_whether_sessions_are_everybodys_alone():
    one, other = (rules.splitlines() for rules in RULES.values())
    differing = [(number, *lines) for number, lines in enumerate(zip(one, other, strict=True)) if lines[0] != lines[1]]
    [(number, opens, closes)] = differing
    assert (opens.strip(), closes.strip()) == ("return true;", "return false;")
    assert one[number - 1].strip() == "function isOpen() {"


@pytest.fixture
def visitor(firestore_emulator: Emulator, firestore: firestore_api.Client, project: str) -> Iterator[Somebody]:
    """Who is not signed in, where there is a lap."""
    firestore.document("sessions/9845/laps/8").set(_stored("sessions/9845/laps/8"))
    with grpc.insecure_channel(firestore_emulator.address) as channel:
        yield Somebody(channel, project, "")


def test_a_listener_needs_a_limit(visitor: Somebody):
    hears = {limit: visitor.hears("sessions/9845/laps", limit) for limit in (100, MOST, MOST + 1, None)}
    assert hears == {100: True, MOST: True, MOST + 1: False, None: False}


def test_nobody_lists_across_sessions(visitor: Somebody):
    assert visitor.list("sessions/9845/laps", 1)()
    assert not visitor.list_everywhere("laps", 1)()
