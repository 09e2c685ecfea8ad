"""What the items of an answer look like, and what of them a client wants: some fields, texts of times, no results.

A shape is a JSON Schema made from document types, so names, order and meaning of the keys are theirs. How items are
written (JSON, CSV) is not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any

import msgspec

from pitwall.documents.schema import INSTANT

Schema = dict[str, Any]

TEXT_OF = "x-textOf"
"""In a schema: the key of the milliseconds that this key has as text."""

_PARTS = ("1", "2", "3")
"""Keys of `bestByPart`: the parts of qualifying."""

_LAST = ("v", "writtenAt")
"""Keys of every document that few want: behind the others in a table."""


class Shape:
    """How an item looks.

    types: whose keys it has, in this order. name: of the schema, else that of the first type.
    results: keys that tell places, gaps or the result, with dots.
    rows: the map by racing number, or list of maps, of which a table has a row for each member.
    """

    def __init__(
        self, *types: type[msgspec.Struct], results: Collection[str] = (), rows: str = "", name: str = ""
    ) -> None:
        self._types = types
        self.name = name or types[0].__name__.removesuffix("Document")
        self.results = results
        self.rows = rows

    @cached_property
    def schema(self) -> Schema:
        """JSON Schema of an item as it may be sent: any key may be left out, times may have texts beside them."""
        properties: Schema = {}
        for struct in self._types:
            properties.update(_inlined(struct)["properties"])
        properties.pop("expireAt", None)  # sent as it is stored; no column of a table
        properties.update({key: properties.pop(key) for key in _LAST if key in properties})
        return {"title": self.name, "type": "object", "properties": properties}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What `fields` may name: keys with dots, without racing numbers; a map or list stands for all it has."""
        found: dict[str, None] = {}
        for leaf, key in _leaves(self.schema):
            if TEXT_OF not in key:
                parts = leaf.split(".")
                found.update(dict.fromkeys(".".join(parts[:end]) for end in range(1, len(parts) + 1)))
        return tuple(found)

    def seen(self, fields: Iterable[str] = (), *, texts: bool = False, results: bool = True) -> Schema | None:
        """Schema of what is sent: of `fields` (all without them), texts of times, and what tells results.

        None for items as they are stored, with keys that this version does not know.
        """
        fields = frozenset(fields)
        if not fields and not texts and results:
            return None
        chosen = set()
        for leaf, key in _leaves(self.schema):
            source = leaf.rpartition(".")[0] + "." + key[TEXT_OF] if TEXT_OF in key else leaf
            source = source.removeprefix(".")
            if (
                (texts or source == leaf)
                and (results or not _within(source, self.results))
                and (not fields or _within(source, fields))
            ):
                chosen.add(leaf)
        return _narrowed(self.schema, chosen)

    @property
    def stored(self) -> Schema:
        """Schema of items as they are stored."""
        return _narrowed(self.schema, {leaf for leaf, key in _leaves(self.schema) if TEXT_OF not in key})


def pruned(value: Any, schema: Schema) -> Any:
    """Of a value only what its schema has, with texts of times where it has those."""
    if "properties" in schema:
        kept = {}
        for key, inner in schema["properties"].items():
            source = inner.get(TEXT_OF)
            if source is None and key in value:
                kept[key] = pruned(value[key], inner)
            elif source in value:
                kept[key] = minutes(value[source])
        return kept
    if "additionalProperties" in schema:
        return {key: pruned(item, schema["additionalProperties"]) for key, item in value.items()}
    if "items" in schema:
        return [pruned(item, schema["items"]) for item in value]
    return value


def minutes(milliseconds: int) -> str:
    """A time as `m:ss.mmm`; minutes go on beyond 59."""
    seconds, rest = divmod(abs(milliseconds), 1000)
    return f"{'-' if milliseconds < 0 else ''}{seconds // 60}:{seconds % 60:02d}.{rest:03d}"


def _text_name(key: str) -> str:
    """`lapTime` for `lapTimeMs`; `bestLapTime` for `bestLapMs`, as `bestLap` is the number of a lap."""
    return key.removesuffix("Ms").removesuffix("Time") + "Time"


def _inlined(struct: type[msgspec.Struct]) -> Schema:
    """The schema of a type with long names and everything in its place, no key required."""
    schema = msgspec.json.schema(struct)
    definitions = schema["$defs"]

    def inlined(part: Schema) -> Schema:
        if "$ref" in part:
            return inlined(definitions[part["$ref"].rpartition("/")[2]])
        if "properties" in part:
            return {"type": "object", "properties": dict(_with_texts(part["properties"]))}
        told: Schema = {
            name: part[name] for name in ("type", "enum", "format", "description", "minimum") if name in part
        }
        if part.get("format") == "date-time":
            told["pattern"] = INSTANT
        if "items" in part:
            told["items"] = inlined(part["items"])
        if isinstance(part.get("additionalProperties"), dict):
            told["additionalProperties"] = inlined(part["additionalProperties"])
        if "x-longValues" in part:
            told["enum"] = list(part["x-longValues"].values())
        return told

    def _with_texts(keys: Schema) -> Iterator[tuple[str, Schema]]:
        for short, key in keys.items():
            name = key.get("x-longName", short)
            inner = inlined(key)
            if name == "bestByPart":
                inner = {"type": "object", "properties": dict.fromkeys(_PARTS, inner["additionalProperties"])}
            yield name, inner
            if name.endswith("Ms"):
                text = {"type": "string", "pattern": r"^-?\d+:\d\d\.\d{3}$", "description": f"{name} as m:ss.mmm"}
                yield _text_name(name), {**text, TEXT_OF: name}

    return inlined(schema)


def _leaves(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Name and schema of every key that holds a value or a list of values."""
    for key, inner in schema["properties"].items():
        inside = _inside(inner)
        if inside is None:
            yield prefix + key, inner
        else:
            yield from _leaves(inside, f"{prefix}{key}.")


def _inside(schema: Schema) -> Schema | None:
    """The schema of the maps that a key holds: one, one a racing number, or a list of them. None for values."""
    inside = schema.get("additionalProperties") or schema.get("items") or schema
    return inside if "properties" in inside else None


def _narrowed(schema: Schema, chosen: Collection[str], prefix: str = "") -> Schema:
    """The schema of a map with the chosen leaves alone."""
    properties = {}
    for key, inner in schema["properties"].items():
        inside = _inside(inner)
        if inside is None:
            if prefix + key in chosen:
                properties[key] = inner
            continue
        narrowed = _narrowed(inside, chosen, f"{prefix}{key}.")
        if narrowed["properties"]:
            holder = next((name for name in ("additionalProperties", "items") if name in inner), None)
            properties[key] = {**inner, holder: narrowed} if holder else narrowed
    return {"type": "object", "properties": properties}


def _within(leaf: str, names: Iterable[str]) -> bool:
    return any(leaf == name or leaf.startswith(name + ".") for name in names)
