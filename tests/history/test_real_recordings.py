"""Real sessions heard with holes in them: corrected, they are what the whole recording says."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pitwall.documents import paths
from pitwall.history.differences import Archived, Fields, differences
from pitwall.history.reconcile import play
from pitwall.message import Message
from pitwall.sources.recording import open_recording
from tests.conftest import needs_recordings
from tests.history.conftest import Played, unlike
from tests.timing.gaps import holes, with_holes

pytestmark = [needs_recordings, pytest.mark.whole, pytest.mark.long]


@pytest.fixture(scope="module")
def whole(recordings: Path) -> Callable[[str], tuple[list[Message], Archived]]:
    """A recording's messages, and what its archive would say."""

    @cache
    def read(name: str) -> tuple[list[Message], Archived]:
        source = open_recording(recordings / name)
        messages = list(source.messages())
        return messages, play(Played(messages, source.session), "f1", lambda _: None)[0]

    return read


def cut(messages: list[Message]) -> list[Message]:
    """Nothing was heard for a sixth of the session."""
    return messages[: len(messages) // 3] + messages[len(messages) // 2 :]


def sieved(messages: list[Message]) -> list[Message]:
    """One message in twenty was lost."""
    rng = random.Random(7)
    return [message for message in messages if rng.random() > 0.05]


def reconnected(messages: list[Message]) -> list[Message]:
    """The connection was lost twice; what its snapshots did not give back is marked."""
    return with_holes(messages, holes(messages, seed=5, shortest=120, count=2))


@pytest.mark.parametrize(
    ("name", "lose"),
    [
        ("2025-qatar-sprint.txt.gz", cut),
        pytest.param("2025-qatar-sprint.txt.gz", reconnected, marks=pytest.mark.long),
        pytest.param("2025-imola-qualifying.txt.gz", sieved, marks=pytest.mark.long),
    ],
)
def test_what_was_not_heard_is_corrected_and_nothing_is_left_to_correct(
    whole: Callable[[str], tuple[list[Message], Archived]], name: str, lose: Callable[[list[Message]], list[Message]]
) -> None:
    messages, archived = whole(name)
    heard = play(Played(lose(messages), archived.session), "f1", lambda _: None)[0]
    stored: dict[str, Fields] = {**heard.documents, paths.live(archived.session, "feed"): {}}
    assert unlike(stored, archived.documents)
    assert (lose is reconnected) == any("/gaps/" in path for path in stored)
    for difference in differences(archived, stored, live=True):
        if difference.fields is None:
            del stored[difference.path]
        else:
            stored[difference.path] = difference.fields
    assert unlike(stored, archived.documents) == []
    assert differences(archived, stored, live=True) == []
