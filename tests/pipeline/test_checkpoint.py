"""Checkpoints: what was saved is loaded, a succeeded holder cannot overwrite, a whole race fits."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from google.cloud import firestore as firestore_api

from pitwall.pipeline.checkpoint import MAX_STATE_BYTES, Checkpoint, Checkpoints, Superseded, TooLarge, Totals
from pitwall.pipeline.database import Database
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording


def checkpoint(cursor: int = 17, reducer: bytes = b"state") -> Checkpoint:
    return Checkpoint(
        source="recording:/a",
        cursor=cursor,
        reducer=reducer,
        recent=[(1, b"12345678")],
        totals=Totals(messages=17, published=3, bytes=999, rejected={"bad-json": 2}),
    )


def test_what_was_saved_is_loaded(database: Database) -> None:
    Checkpoints(database, 1).save("7001", checkpoint())
    assert Checkpoints(database, 2).load("7001") == checkpoint()


def test_a_session_without_a_checkpoint_has_none(database: Database) -> None:
    assert Checkpoints(database, 1).load("7001") is None


def test_each_checkpoint_replaces_the_one_before(database: Database) -> None:
    checkpoints = Checkpoints(database, 1)
    for cursor in (1, 2, 3):
        checkpoints.save("7001", checkpoint(cursor))
    loaded = checkpoints.load("7001")
    assert loaded is not None
    assert loaded.cursor == 3


def test_a_succeeded_holder_cannot_overwrite_its_successors_checkpoint(database: Database) -> None:
    old, new = Checkpoints(database, 1), Checkpoints(database, 2)
    old.save("7001", checkpoint(1))
    new.save("7001", checkpoint(2))
    with pytest.raises(Superseded):
        old.save("7001", checkpoint(3))
    loaded = new.load("7001")
    assert loaded is not None
    assert loaded.cursor == 2


def test_a_successor_replaces_what_a_late_holder_wrote_after_it_had_loaded(database: Database) -> None:
    old, new = Checkpoints(database, 1), Checkpoints(database, 2)
    old.save("7001", checkpoint(1))
    new.load("7001")
    old.save("7001", checkpoint(3))
    new.save("7001", checkpoint(2))
    loaded = new.load("7001")
    assert loaded is not None
    assert loaded.cursor == 2


def test_a_state_that_does_not_fit_is_refused_and_the_last_checkpoint_stays(database: Database) -> None:
    checkpoints = Checkpoints(database, 1)
    checkpoints.save("7001", checkpoint(1))
    with pytest.raises(TooLarge, match="7001"):
        checkpoints.save("7001", checkpoint(2, reducer=random.Random(1).randbytes(MAX_STATE_BYTES + 1)))
    loaded = checkpoints.load("7001")
    assert loaded is not None
    assert loaded.cursor == 1


def test_the_largest_state_that_is_allowed_is_stored(database: Database) -> None:
    state = random.Random(1).randbytes(MAX_STATE_BYTES - 1000)
    assert Checkpoints(database, 1).save("7001", checkpoint(reducer=state)) > len(state)
    loaded = Checkpoints(database, 1).load("7001")
    assert loaded is not None
    assert loaded.reducer == state


@pytest.mark.parametrize("state", [b"", b"no zlib", None, 7])
def test_a_checkpoint_that_cannot_be_read_is_none(
    database: Database, firestore: firestore_api.Client, state: object, capsys: pytest.CaptureFixture[str]
) -> None:
    firestore.document("checkpoints/7001").set({"state": state, "v": 1})
    assert Checkpoints(database, 1).load("7001") is None
    assert "cannot be read" in capsys.readouterr().out


@pytest.mark.whole
@pytest.mark.parametrize(
    "recording", [pytest.param("2018-baku-race", marks=pytest.mark.long), "2025-qatar-sprint.txt.gz"]
)
@pytest.mark.long
def test_a_whole_real_race_fits_and_goes_on_from_where_it_was(
    recordings: Path, recording: str, database: Database
) -> None:
    source = open_recording(recordings / recording)
    reducer = Reducer(source.session, "f1", source.name)
    for message in source.messages():
        reducer.offer(message)
    saved = checkpoint(reducer=reducer.dump())
    assert Checkpoints(database, 1).save("7001", saved) < MAX_STATE_BYTES / 2
    loaded = Checkpoints(database, 2).load("7001")
    assert loaded is not None
    assert Reducer.load(loaded.reducer).finish() == reducer.finish()
