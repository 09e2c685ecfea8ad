"""What several test folders share: where the real recordings are, and skipping where they are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from coverage import Coverage

from pitwall.pipeline.log import set_lowest
from tests.emulated import (  # noqa: F401 (fixtures)
    auth_emulator,
    firestore,
    firestore_emulator,
    firestore_rules,
    processes,
    programs,
    project,
    publisher,
    pubsub_emulator,
    storage,
    storage_emulator,
    subscriber,
)

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""The folder beside the project that holds recordings, reference lap tables and stored web answers."""

RECORDINGS = SHARED / "recordings" / "f1"

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="real recordings are not at ../shared/recordings/f1: nothing to play"
)
"""Marks a test that plays a real recording."""


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings; the test is skipped where it is absent."""
    if not RECORDINGS.is_dir():
        pytest.skip("real recordings are not at ../shared/recordings/f1: nothing to play")
    return RECORDINGS


@pytest.fixture(scope="session")
def kart_captures() -> Path:
    """The folder of real captures of kart tracks; the test is skipped where it is absent."""
    captures = SHARED / "recordings" / "karting"
    if not captures.is_dir():
        pytest.skip("real captures are not at ../shared/recordings/karting: nothing to play")
    return captures


@pytest.fixture(scope="session")
def static_archive() -> Path:
    """A stored piece of F1's archive (`https://livetiming.formula1.com/static/`); skipped where it is absent."""
    static = SHARED / "web" / "static"
    if not static.is_dir():
        pytest.skip("the stored archive is not at ../shared/web/static: nothing to play")
    return static


TESTS = Path(__file__).parent

NOT_COUNTED = tuple(
    TESTS / of_all
    for of_all in (
        *("deploy", "e2e", "infra", "local", "rules"),
        *("api/test_access_table.py", "api/test_docs.py", "api/test_openapi.py", "api/test_schemathesis.py"),
    )
)
"""Tests that are of no one part of `pitwall`: the tests of each part have to reach its lines."""

COUNTED_CASES = 2
"""Of a test with many parameters so many cases are counted, but in `timing`, of which every line is to be reached."""

WITH_HOLES = ("test_holes", "test_joining")
"""Of `timing`, but of whole sessions: nothing else reaches every line, and two cases of each do."""

_paused: list[Coverage] = []
_cases: Counter[tuple[Path, str]] = Counter()


@contextmanager
def uncounted() -> Iterator[None]:
    """Counts no lines for as long as the block lasts, which would take three times as long: of a fixture that plays a
    whole session, whose lines other tests reach."""
    if _paused:
        yield
        return
    while (counting := Coverage.current()) is not None:  # a worker of pytest-xdist has two, one below the other
        counting.stop()
        _paused.append(counting)
    try:
        yield
    finally:
        while _paused:
            _paused.pop().start()


def _is_one_of_many(item: pytest.Item) -> bool:
    """Whether enough other cases of the same test were counted."""
    name = getattr(item, "originalname", None)
    in_every_case = item.path.parent.name == "timing" and item.path.stem not in WITH_HOLES
    if name is None or not hasattr(item, "callspec") or in_every_case:
        return False
    _cases[item.path, name] += 1
    return _cases[item.path, name] > COUNTED_CASES


WAITING = ("pipeline", "local")
"""Folders whose tests mostly wait, for what others do or for a time to pass."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spreads the files whose tests wait among those that compute, and so those that start the whole stack: several
    stacks at once are slow, and so is one that is left for the end. In each file tests stay in their order."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    stacks = [path for path in files if path.parent.name == "e2e"]
    waiting = [path for path in files if path.relative_to(TESTS).parts[0] in WAITING]
    others = [path for path in files if path not in stacks and path not in waiting]
    place = {
        path: until * (number + 0.5) / len(group)
        for group, until in ((stacks, 0.75), (waiting, 0.8), (others, 1.0))
        for number, path in enumerate(group)
    }
    items[:] = [item for path in sorted(files, key=place.__getitem__) for item in files[path]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Counts no lines while whole sessions are played: the other tests have to reach them."""
    elsewhere = any(item.path.is_relative_to(folder) for folder in NOT_COUNTED)
    if elsewhere or any(item.iter_markers("whole")) or any(item.iter_markers("e2e")) or _is_one_of_many(item):
        with uncounted():
            return (yield)
    return (yield)


@pytest.fixture(autouse=True)
def _every_log_line() -> None:
    """A command that logs less must not make the tests after it miss lines: the level is the process's."""
    set_lowest("INFO")
