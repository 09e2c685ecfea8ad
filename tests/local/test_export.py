"""Exports: the same bytes for the same documents, and what a comparison of two leaves aside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from local import export
from local.__main__ import main

AT = datetime(2025, 5, 17, 14, 3, 0, 250_999, UTC)


def write(folder: Path, documents: dict[str, dict[str, Any]]) -> Path:
    folder.mkdir()
    file = folder / export.FILE
    file.write_bytes(b"".join(export.line(path, fields) for path, fields in documents.items()))
    return file


def test_documents_of_every_depth_are_sorted_by_path_with_sorted_keys(
    firestore: firestore_api.Client, tmp_path: Path
) -> None:
    firestore.document("sessions/9/laps/10").set({"lap": 10, "at": AT})
    firestore.document("sessions/9/laps/9").set({"lap": 9, "drivers": {"4": {"position": 1}, "12": {}}})
    firestore.document("sessions/9").set({"series": "f1", "at": AT})
    firestore.document("schedule/f1").set({"last": {"endedAt": AT}})
    assert export.export(firestore, tmp_path / "new").read_bytes() == (
        b'{"path":"schedule/f1","fields":{"last":{"endedAt":"2025-05-17T14:03:00.250Z"}}}\n'
        b'{"path":"sessions/9","fields":{"at":"2025-05-17T14:03:00.250Z","series":"f1"}}\n'
        b'{"path":"sessions/9/laps/10","fields":{"at":"2025-05-17T14:03:00.250Z","lap":10}}\n'
        b'{"path":"sessions/9/laps/9","fields":{"drivers":{"12":{},"4":{"position":1}},"lap":9}}\n'
    )


def test_private_documents_are_not_exported(firestore: firestore_api.Client, tmp_path: Path) -> None:
    for path in ("leases/f1", "checkpoints/9", "users/u", "apiKeys/k", "jobs/j"):
        firestore.document(path).set({"secret": 1})
    assert export.export(firestore, tmp_path).read_bytes() == b""


def test_a_document_below_one_that_is_not_there_is_exported(firestore: firestore_api.Client, tmp_path: Path) -> None:
    firestore.document("sessions/9/live/timing").set({"v": 1})
    assert list(export.read(export.export(firestore, tmp_path))) == ["sessions/9/live/timing"]


SAME = {"sessions/1": {"v": 1, "writtenAt": "a", "n": 1}, "sessions/1/live/feed": {"v": 1, "state": "live"}}


def test_versions_times_of_writing_and_the_state_of_the_feed_are_no_difference(tmp_path: Path) -> None:
    other = {"sessions/1": {"v": 9, "writtenAt": "b", "n": 1}, "sessions/1/live/feed": {"v": 9, "state": "ended"}}
    assert export.compare(write(tmp_path / "a", SAME), write(tmp_path / "b", other)) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"sessions/1": {"v": 1, "n": 2}}, "differs: sessions/1: n"),
        ({"sessions/1": {"v": 1}}, "differs: sessions/1: n"),
        ({"sessions/1": {"v": 1, "n": 1, "new": True}}, "differs: sessions/1: new"),
        ({"sessions/1": {"v": 1, "n": 1}, "sessions/1/laps/1": {"v": 1}}, "sessions/1/laps/1"),
        ({}, "sessions/1"),
    ],
    ids=["another-value", "a-field-less", "a-field-more", "a-document-more", "a-document-less"],
)
def test_every_other_difference_is_one_line(tmp_path: Path, other: dict[str, dict[str, Any]], said: str) -> None:
    differences = export.compare(write(tmp_path / "a", SAME), write(tmp_path / "b", other))
    assert len(differences) == 1
    assert said in differences[0]


def test_the_command_tells_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a", SAME)
    other = write(tmp_path / "b", {"sessions/1": {"n": 2}})
    assert main(["compare", str(one), str(one)]) == 0
    assert main(["compare", str(one), str(other)]) == 1
    assert "differs: sessions/1: n" in capsys.readouterr().out
