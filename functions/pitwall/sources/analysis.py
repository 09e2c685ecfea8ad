"""What a feed of a kart track is: its protocol, what its fields mean, and a description to read it by.

`POST /circuits/{id}/analyze-format` runs this over what it heard. Pure: frames and their instants in, an analysis out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pitwall.karting.description import Description
from pitwall.karting.description import Field as Field
from pitwall.karting.detection import rows
from pitwall.karting.detection.protocols import Candidate, recognise
from pitwall.karting.detection.roles import Meanings, NotUnderstood, meanings
from pitwall.karting.detection.rows import Heard
from pitwall.karting.splitting import ROW_NAME, Layout
from pitwall.sources.apex import sampling

MOST_FRAMES: Final = 100_000


class Analysis(Struct, frozen=True, rename="camel"):
    """The result."""

    protocols: list[Candidate]
    """The two most likely, the most likely first."""
    fields: list[Field]
    not_understood: list[NotUnderstood]
    notices: list[str]
    description: Description | None = None
    """Of a feed that has no source of its own, if its rows could be told apart."""


def analyse(frames: Sequence[Heard], hint: Mapping[str, str] | None = None) -> Analysis:
    """What frames are, in order.

    hint: what a human said of columns, by field (`c5` of Apex Timing, the number or name of a field of others). It
    stands, and what speaks against it is in the notices.
    """
    frames = frames[:MOST_FRAMES]
    protocols = recognise(frame.text for frame in frames)
    if not protocols:
        return Analysis([], [], [], ["nothing was heard"])
    first = protocols[0]
    if first.protocol == "apex":
        layouts = sampling.samples((frame.at, frame.text) for frame in frames)
        if not layouts:
            return Analysis(protocols, [], [], ["no board was heard: it comes with a connect"])
        # The columns of the last board are those that are there now.
        told = meanings(layouts[-1], hint)
        notices = [f"{len(layouts)} layouts were heard; this is the last"] if len(layouts) > 1 else []
        return Analysis(protocols, told.fields, told.not_understood, [*notices, *told.notices])
    if first.layout is None:
        notice = "its records have fixed meanings" if first.protocol == "rmonitor" else "no rows are read from it"
        return Analysis(protocols, [], [], [f"{first.protocol}: {notice}"])
    read = rows.read(frames, first.layout)
    if read is None:
        return Analysis(protocols, [], [], ["its rows cannot be told apart: no field names them"])
    told = meanings(read.sample, hint)
    return Analysis(protocols, told.fields, told.not_understood, told.notices, _description(first.layout, read, told))


def _description(layout: Layout, read: rows.Read, told: Meanings) -> Description:
    described = {field.key for field in told.fields}
    return Description(
        kind=layout.kind,
        key=read.key,
        fields=told.fields,
        rows=list(layout.path),
        separator=layout.separator,
        assign=layout.assign,
        ignored=[key for key in read.sample.fields if key not in described and key != ROW_NAME],
        whole=read.whole,
    )
