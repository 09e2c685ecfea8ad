"""JSON Schema of every kind of document, made from the document types, and the checks that use it.

`python -m pitwall.documents.schema` (with `functions/` on the path) writes `docs/schema/<kind>.json`, the
index beside them and `docs/documents.md`; clients' types are generated from the schemas. A schema describes a
document as it is exported: JSON, instants as RFC 3339 with milliseconds and Z. What the types cannot say is
added here: `x-path` (where the documents are), `x-unit` (from the end of a key's long name), and that a stored
document has `v` and `writtenAt`, which the writer adds.

jsonschema is needed by `validator` and `validate` only; deployed functions do not have it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from pitwall.documents.base import SCHEMA_VERSION
from pitwall.documents.encoding import InvalidDocument
from pitwall.documents.paths import KINDS, Kind, kind_of

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"
"""RFC 3339 in UTC with milliseconds, the only form in which exports and HTTP bodies have an instant."""

_UNITS = {"Ms": "ms", "Kph": "km/h"}
_DOCS = Path(__file__).resolve().parents[3] / "docs"


def schema_of(kind: Kind) -> dict[str, Any]:
    """The JSON Schema of a kind of document; it stands alone, with everything it refers to in `$defs`."""
    schema = msgspec.json.schema(kind.type)
    definitions: dict[str, Any] = schema.pop("$defs")
    for definition in definitions.values():
        for name, key in definition.get("properties", {}).items():
            complete(name, key)
    document = definitions.pop(kind.type.__name__)
    document["required"] = [*document["required"], "v", "writtenAt"]
    return {
        "$schema": DIALECT,
        "x-path": kind.template,
        "x-schemaVersion": SCHEMA_VERSION,
        **document,
        **({"$defs": definitions} if definitions else {}),
    }


def complete(name: str, key: dict[str, Any]) -> None:
    """Adds what follows from a key's name and format."""
    long_name = key.get("x-longName", name)
    for ending, unit in _UNITS.items():
        if long_name.endswith(ending):
            key["x-unit"] = unit
            if key.get("description") == "milliseconds" or key.get("description") == "km/h":
                del key["description"]
    if key.get("format") == "date-time":
        key["pattern"] = INSTANT


@cache
def _validator(kind: Kind) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def validator(path: str) -> Draft202012Validator:
    """The validator for the document stored at `path`. Raises UnknownPath."""
    return _validator(kind_of(path))


def validate(path: str, fields: dict[str, Any]) -> None:
    """Checks an exported document (instants as RFC 3339) against the schema of its path.

    Raises UnknownPath, or InvalidDocument with the place and the reason of what does not fit.
    """
    errors = sorted(validator(path).iter_errors(fields), key=lambda error: error.json_path)
    if errors:
        reasons = "; ".join(f"{error.json_path}: {error.message}" for error in errors)
        raise InvalidDocument(f"{path}: {reasons}")


class Key(NamedTuple):
    """One key of a document, as the reference lists it. `path` has dots, and braces for keys that are data."""

    path: str
    long_name: str
    type: str
    unit: str
    required: bool
    meaning: str


def keys_of(schema: dict[str, Any]) -> Iterator[Key]:
    """Every key of a document's schema, depth first, in the order of declaration."""
    yield from _keys(schema, "", schema.get("$defs", {}))


def _keys(schema: dict[str, Any], prefix: str, definitions: dict[str, Any]) -> Iterator[Key]:
    required = schema.get("required", ())
    for name, key in schema.get("properties", {}).items():
        path = prefix + name
        yield Key(
            path,
            key.get("x-longName", ""),
            _type(key),
            key.get("x-unit", ""),
            name in required,
            _meaning(key),
        )
        yield from _inner(key, path, definitions)


def _inner(key: dict[str, Any], path: str, definitions: dict[str, Any]) -> Iterator[Key]:
    """The keys of the maps inside a key: a map of its own, the items of a list, the values of a map of lines."""
    if "$ref" in key:
        yield from _keys(definitions[key["$ref"].rpartition("/")[2]], path + ".", definitions)
    elif "items" in key:
        yield from _inner(key["items"], path + "[]", definitions)
    elif isinstance(key.get("additionalProperties"), dict):
        yield from _inner(key["additionalProperties"], path + ".{" + _MAPS[path.rpartition(".")[2]] + "}", definitions)


_MAPS = {
    "lines": "racingNumber",
    "cars": "racingNumber",
    "drivers": "racingNumber",
    "laps": "racingNumber",
    "bestByPart": "part",
    "changes": "kind",
    "fields": "name",
    "places": "place",
    "constructors": "constructor",
    "teamMates": "driver",
    "names": "id",
    "circuits": "circuit",
    "columns": "field",
    "mapped_data": "column",
    "rows": "racingNumber",
    "qualifying": "driver",
    "lapsLed": "driver",
    "byDriver": "driver",
    "byConstructor": "constructor",
    "counts": "kind",
}
"""What the keys of a map are, where they are data and not names."""


def _type(key: dict[str, Any]) -> str:
    if "enum" in key:
        return ", ".join(f"`{orjson.dumps(value).decode()}`" for value in key["enum"])
    if "$ref" in key:
        return "map"
    if "items" in key:
        return f"list of {_type(key['items'])}s"
    if isinstance(key.get("additionalProperties"), dict):
        return "map"
    return "instant" if key.get("format") == "date-time" else str(key["type"])


def _meaning(key: dict[str, Any]) -> str:
    spelled = ", ".join(f"`{short}` {long}" for short, long in key.get("x-longValues", {}).items())
    return "; ".join(part for part in (key.get("description", ""), f"over HTTP {spelled}" if spelled else "") if part)


_HOLDS = {"tower": "copies of `live/timing`, one every 5 s of feed time, the last two minutes: for `live?delay=`."}
"""What a kind holds, where its type's docstring speaks of another kind."""


def _summary(kind: Kind, schema: dict[str, Any]) -> str:
    """What a kind of document holds: its type's docstring without the path it begins with, on one line."""
    text = " ".join(schema.get("description", "").split())
    text = _HOLDS.get(kind.name) or text.partition(": ")[2] or text
    return text[:1].upper() + text[1:]


def _table(rows: Iterable[tuple[str, ...]], head: tuple[str, ...]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _index() -> str:
    rows = [(f"`{kind.template}`", f"[{kind.name}.json]({kind.name}.json)", kind.type.__name__) for kind in KINDS]
    return (
        "# JSON Schema of the documents\n\n"
        "One file for each kind of document, generated from the types in `functions/pitwall/documents` by\n"
        "`make schema`; do not edit. What the keys mean is listed in [documents.md](../documents.md).\n\n"
        + _table(rows, ("path", "schema", "type"))
    )


def _reference() -> str:
    """`docs/documents.md`: every kind of document, every key."""
    schemas = [(kind, schema_of(kind)) for kind in KINDS]
    overview = [
        (f"`{kind.template}`", f"[{kind.name}](#{kind.name.lower()})", _summary(kind, schema))
        for kind, schema in schemas
    ]
    parts = [
        "# Documents\n\n"
        "What is stored where. Generated from the types in `functions/pitwall/documents` by `make schema`; do not\n"
        "edit. Absent means unknown: there are no nulls and no empty strings. Durations are whole milliseconds and\n"
        "their names end in `Ms`, speeds km/h and end in `Kph`. Instants are Firestore timestamps in UTC; in exports\n"
        "and over HTTP they are RFC 3339 with milliseconds and Z. Racing numbers are strings. A document is written\n"
        "only over one with a lower `v`.\n\n" + _table(overview, ("path", "kind", "holds"))
    ]
    for kind, schema in schemas:
        keys = list(keys_of(schema))
        long_names = any(key.long_name for key in keys)
        head = ("key", *(("over HTTP",) if long_names else ()), "type", "unit", "always", "meaning")
        rows = [
            (
                f"`{key.path}`",
                *((f"`{key.long_name}`" if key.long_name else "",) if long_names else ()),
                key.type,
                key.unit,
                "yes" if key.required else "",
                key.meaning,
            )
            for key in keys
        ]
        parts.append(
            f"## {kind.name}\n\n`{kind.template}` · [schema](schema/{kind.name}.json)\n\n{_summary(kind, schema)}\n\n"
            + _table(rows, head)
        )
    return "\n".join(parts)


def files() -> dict[str, str]:
    """Every generated file's text by its path under `docs/`."""
    schemas = {
        f"schema/{kind.name}.json": orjson.dumps(schema_of(kind), option=orjson.OPT_INDENT_2).decode() + "\n"
        for kind in KINDS
    }
    return {**schemas, "schema/README.md": _index(), "documents.md": _reference()}


def write(docs: Path = _DOCS) -> list[Path]:
    """Writes the generated files under `docs` and removes schemas of kinds that are gone; those it touched."""
    wanted = files()
    touched = []
    for name, text in wanted.items():
        target = docs / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
            touched.append(target)
    for stale in (docs / "schema").glob("*.json"):
        if f"schema/{stale.name}" not in wanted:
            stale.unlink()
            touched.append(stale)
    return touched


if __name__ == "__main__":
    for path in write():
        sys.stdout.write(f"{path}\n")
