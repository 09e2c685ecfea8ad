"""Keeps what positions tell of a circuit: its layout where nobody has drawn one, and where sectors end."""

from __future__ import annotations

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, from_fields
from pitwall.documents.history import LayoutDocument, SeasonDocument
from pitwall.history.layouts import NoLayout, layout_from, with_sector_ends
from pitwall.history.reconcile import RETRIES
from pitwall.history.stored import store
from pitwall.history.telemetry.samples import Samples
from pitwall.history.telemetry.timing import Timing
from pitwall.pipeline.database import Database
from pitwall.pipeline.log import log


def keep_layout(database: Database, year: int, round_: int, samples: Samples, timing: Timing) -> int:
    """Stores what the layout of a round's circuit lacks; how many documents were written.

    A layout that is whole is left alone, so the first session of a season to tell it does. Nothing is stored of a round
    that `seasons/{year}` does not have. Raises Unavailable.
    """
    circuit = _circuit(database, year, round_)
    if circuit is None:
        log("INFO", "no layout kept: the circuit is not known", year=year, round=round_)
        return 0
    path = paths.layout(circuit, year)
    found = RETRIES(lambda: database.read([path]))[path]
    before = _read(path, found.fields)
    if isinstance(before, LayoutDocument) and before.sector_ends:
        return 0
    try:
        if isinstance(before, LayoutDocument) and before.source == "multiviewer":
            layout = with_sector_ends(before, samples, timing)
        else:
            layout = layout_from(samples, timing, circuit, year, found.read_at)
    except NoLayout as error:
        log("INFO", "no layout kept", year=year, round=round_, circuit=circuit, reason=str(error))
        return 0
    return RETRIES(lambda: store(database, {path: layout}))


def _circuit(database: Database, year: int, round_: int) -> str | None:
    path = paths.season(year)
    season = _read(path, RETRIES(lambda: database.read([path]))[path].fields)
    if not isinstance(season, SeasonDocument):
        return None
    return next((race.circuit or None for race in season.races if race.round == round_), None)


def _read(path: str, fields: object) -> object:
    """A stored document; None if there is none, or none that is as it should be."""
    try:
        return None if fields is None else from_fields(path, fields)
    except InvalidDocument as error:
        log("WARNING", "a stored document was passed over", path=path, reason=str(error))
        return None
