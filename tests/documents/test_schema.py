"""The schemas say what is stored, and the committed files are what the types say today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pitwall.documents.base import Document
from pitwall.documents.encoding import InvalidDocument, rfc3339, to_fields
from pitwall.documents.paths import KINDS, Kind, UnknownPath, kind_of
from pitwall.documents.schema import files, keys_of, schema_of, validate, write
from tests.documents.examples import EXAMPLES, WRITTEN_AT, V

DOCS = Path(__file__).parents[2] / "docs"


def exported(document: Document) -> dict[str, Any]:
    """A document as `--export` writes it, with what the writer adds."""
    stored = {**to_fields(document), "v": V, "writtenAt": WRITTEN_AT}
    wire = orjson.dumps(stored, option=orjson.OPT_PASSTHROUGH_DATETIME, default=rfc3339)
    fields: dict[str, Any] = orjson.loads(wire)
    return fields


@pytest.mark.parametrize(("name", "text"), files().items(), ids=files())
def test_committed_file_is_up_to_date(name: str, text: str):
    assert (DOCS / name).read_text(encoding="utf-8") == text, "run `make schema` and commit docs/"


def test_no_schema_is_left_over_from_a_kind_that_is_gone():
    assert {path.name for path in (DOCS / "schema").glob("*.json")} == {f"{kind.name}.json" for kind in KINDS}


def test_writing_again_changes_nothing(tmp_path: Path):
    assert write(tmp_path)
    assert write(tmp_path) == []


def test_writing_removes_the_schema_of_a_kind_that_is_gone(tmp_path: Path):
    write(tmp_path)
    stale = tmp_path / "schema" / "gone.json"
    stale.write_text("{}")
    assert write(tmp_path) == [stale]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_there_is_an_example_of_every_kind(kind: Kind):
    assert any(kind_of(path) == kind for path in EXAMPLES)


@pytest.mark.parametrize(("path", "document"), EXAMPLES.items())
def test_a_stored_document_validates(path: str, document: Document):
    validate(path, exported(document))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"v": None}, r"\$\.v"),
        ({"v": -1}, r"\$\.v"),
        ({"at": "2025-11-08T14:03:07Z"}, r"\$\.at"),
        ({"at": "2025-11-08T14:03:07.412+00:00"}, r"\$\.at"),
        ({"lap": "8"}, r"\$\.lap"),
        ({"drivers": {"44": {"lapTimeMs": None}}}, r"\$\.drivers\.44\.lapTimeMs|\$\.drivers\['44'\]\.lapTimeMs"),
        ({"drivers": {"44": {"time": 1}}}, "time"),
        ({"drivers": {"44": {"timeSource": "guess"}}}, "timeSource"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, Any], place: str):
    with pytest.raises(InvalidDocument, match=place):
        validate("sessions/9845/laps/8", {**exported(EXAMPLES["sessions/9845/laps/8"]), **change})


@pytest.mark.parametrize("mark", ["at", "v", "writtenAt"])
@pytest.mark.parametrize("path", EXAMPLES)
def test_a_stored_document_without_its_marks_is_refused(path: str, mark: str):
    fields = exported(EXAMPLES[path])
    del fields[mark]
    with pytest.raises(InvalidDocument, match=mark):
        validate(path, fields)


def test_a_path_where_nothing_is_stored_has_no_schema():
    with pytest.raises(UnknownPath):
        validate("leases/f1", {})


def test_every_short_key_of_the_tower_has_a_long_name_of_its_own():
    line = schema_of(kind_of("sessions/9845/live/timing"))["$defs"]["TowerLine"]["properties"]
    long_names = [key["x-longName"] for key in line.values()]
    assert len(set(long_names)) == len(line)
    assert all(len(short) <= 3 for short in line)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_duration_and_speed_is_marked_with_its_unit(kind: Kind):
    for key in keys_of(schema_of(kind)):
        name = key.long_name or key.path.rpartition(".")[2]
        assert key.unit == ("ms" if name.endswith("Ms") else "km/h" if name.endswith("Kph") else ""), key.path
