"""The layout of a circuit from the positions of cars on clean laps, where nobody has drawn a map. Pure NumPy."""

from __future__ import annotations

from datetime import datetime

from pitwall.documents.history import LayoutDocument
from pitwall.history.telemetry.samples import Samples
from pitwall.history.telemetry.timing import Timing


class NoLayout(LookupError):
    """The positions do not give the outline of a circuit; says why."""


def layout_from(samples: Samples, timing: Timing, circuit: str, year: int, at: datetime) -> LayoutDocument:
    """The layout that the cars of a session drove. circuit: its id. Raises NoLayout."""
    raise NoLayout("not derived yet")


def with_sector_ends(layout: LayoutDocument, samples: Samples, timing: Timing) -> LayoutDocument:
    """A layout with the ends of sectors 1 and 2, as the cars of a session drove them; the same where none tells."""
    return layout
