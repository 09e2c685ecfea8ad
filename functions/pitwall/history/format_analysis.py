"""The job `analyze-format`: listens to a kart track's feed, or reads a capture of it, and stores what it says.

`circuits/{id}/timing/analysis` has the result. What a human said of the track's format is read as a hint and never
written here; what the app shows in its columns is one as well. Listening twice does no harm.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pitwall.documents import paths
from pitwall.documents.circuits import LABELS, AnalysisDocument, FormatDocument
from pitwall.documents.encoding import to_fields, without_nulls
from pitwall.documents.feeds import kart_feed
from pitwall.history.work import ANALYSIS, CAPTURE, DEFAULT_S, LONGEST_S, SHORTEST_S, BadRequest, Progress
from pitwall.karting.detection.roles import hinted
from pitwall.karting.detection.rows import Heard
from pitwall.karting.formats import in_force
from pitwall.pipeline.database import Database
from pitwall.settings import Settings
from pitwall.sources import captured
from pitwall.sources.analysis import MOST_FRAMES, Analysis, analyse
from pitwall.sources.circuit import listen
from pitwall.sources.trouble import Trouble

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of such an object."""
MOST_LETTERS: Final = 32 * 1024 * 1024
"""Of frames that are looked at."""
_TOLD: Final = 2_000
"""Frames of a capture between two words about progress."""
_LISTENED: Final = 0.8
"""Part of the work that is done once the feed was listened to."""


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a job is asked for."""

    circuit: Annotated[str, Meta(min_length=1, max_length=128)]
    seconds: Annotated[int, Meta(ge=SHORTEST_S, le=LONGEST_S)] = DEFAULT_S
    recording: Annotated[str, Meta(pattern=CAPTURE)] | UnsetType = UNSET


def work(settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Analyses what `{"circuit", "seconds"?, "recording"?}` names: protocol, format in force and whether it was stored.

    Raises BadRequest for a track that is none or says nowhere where its timing is, and for a capture that is not
    there; OSError where Cloud Storage or the feed does not answer; Unavailable, and what `progress` raises.
    """
    try:
        wanted = msgspec.convert(dict(request), Wanted)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
    if not paths.valid_id(wanted.circuit):
        raise BadRequest(f"there is no circuit {wanted.circuit!r}")
    progress(0.0, "looking the track up")
    circuit = _track(database, wanted.circuit)
    if wanted.recording is not UNSET:
        where = wanted.recording
        with _fetched(settings, where) as path:
            frames = _read(path, progress)
    else:
        where, frames = _listened(settings, circuit, wanted.seconds, progress)
    progress(_LISTENED, f"{len(frames)} frames are looked at")
    said = _said(database, wanted.circuit)
    analysis = analyse(frames, _hint(said, circuit))
    progress(0.95, "storing what was found")
    return _store(database, wanted.circuit, where, frames, analysis)


def _track(database: Database, id_: str) -> Mapping[str, Any]:
    """The track as the app has it. Raises BadRequest, Unavailable."""
    path = paths.circuit(id_)
    fields = database.read([path])[path].fields
    if fields is None or "nom" not in fields:
        raise BadRequest(f"there is no kart track {id_}")
    return fields


def _said(database: Database, id_: str) -> FormatDocument | None:
    """What a human said of the format."""
    path = paths.circuit_format(id_)
    fields = database.read([path])[path].fields
    try:
        return None if fields is None else msgspec.convert(fields, FormatDocument)
    except msgspec.ValidationError:
        return None


def _hint(said: FormatDocument | None, circuit: Mapping[str, Any]) -> dict[str, str]:
    """A human's words by field: those said of the format, then the app's columns, which they go before."""
    columns = dict(said.columns) if said is not None else {}
    labels = {key: circuit.get(key) for key in LABELS if key not in columns}
    said_of = {key: label for key, label in labels.items() if isinstance(label, str) and label.strip()}
    taken = set(columns.values()) - {""}
    roles = hinted(said_of)
    return {**columns, **{key: label for key, label in said_of.items() if roles.get(key) not in taken}}


# -- the feed ------------------------------------------------------------------------------


def _listened(
    settings: Settings, circuit: Mapping[str, Any], seconds: int, progress: Progress
) -> tuple[str, list[Heard]]:
    """Where a track's timing is, for people, and what it said for so long. Raises BadRequest, OSError."""
    try:
        channel, where = listen(circuit, settings, _ignore)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    kept = _Kept()
    began = time.monotonic()
    try:
        channel.open()
        while (passed := time.monotonic() - began) < seconds:
            progress(_LISTENED * passed / seconds, f"listening, {len(kept.frames)} frames so far")
            texts = channel.receive(min(1.0, seconds - passed))
            now = int(time.time() * 1000)
            if not all(kept.add(Heard(now, text)) for text in texts if text.strip()):
                break
    except Trouble as trouble:
        # What was heard until the connection broke says something all the same.
        if not kept.frames and trouble.state == "refused":
            raise BadRequest(str(trouble)) from None
        if not kept.frames:
            raise OSError(str(trouble)) from None
    finally:
        channel.close()
    return str(where), kept.frames


def _ignore(_reason: str) -> None:
    """What cannot be read says nothing about fields."""


# -- a capture -----------------------------------------------------------------------------


@contextmanager
def _fetched(settings: Settings, name: str) -> Iterator[Path]:
    """An object of the recorder's bucket as a file. Raises BadRequest where there is none, OSError."""
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.cloud import storage

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture"
        try:
            blob = storage.Client(project=settings.project).bucket(settings.raw_bucket).get_blob(name)
            if blob is None or (blob.size or 0) > LARGEST:
                raise BadRequest(f"there is no capture {name} of at most {LARGEST} bytes in {settings.raw_bucket}")
            path.write_bytes(blob.download_as_bytes(raw_download=True))
        except NotFound:
            raise BadRequest(f"there is no bucket {settings.raw_bucket}") from None
        except GoogleAPIError as error:
            raise OSError(f"{name}: {error}"[:500]) from error
        yield path


def _read(path: Path, progress: Progress) -> list[Heard]:
    kept = _Kept()
    for number, frame in enumerate(captured.heard(path)):
        if number % _TOLD == 0:
            progress(_LISTENED * number / MOST_FRAMES, f"reading, {number} frames so far")
        if not kept.add(frame):
            break
    return kept.frames


class _Kept:
    """Frames, as many as are looked at."""

    def __init__(self) -> None:
        self.frames: list[Heard] = []
        self._letters = 0

    def add(self, frame: Heard) -> bool:
        """Whether there is room for more."""
        self.frames.append(frame)
        self._letters += len(frame.text)
        return len(self.frames) < MOST_FRAMES and self._letters < MOST_LETTERS


# -- what was found ------------------------------------------------------------------------


def stored_form(analysis: Analysis) -> dict[str, Any]:
    """An analysis as the document has it. Where rows are is in its description: Firestore has no lists of lists."""
    plain: dict[str, Any] = msgspec.to_builtins(analysis)
    for candidate in plain["protocols"]:
        candidate.pop("layout", None)
    told: dict[str, Any] = without_nulls(plain)
    return told


def _store(database: Database, id_: str, where: str, frames: Sequence[Heard], analysis: Analysis) -> dict[str, Any]:
    """Stores an analysis, unless what is there says more of the same feed. Raises Conflict, Unavailable."""
    path = paths.circuit_analysis(id_)
    before = database.read([path])[path]
    now = datetime.now(UTC)
    version = (before.fields or {}).get("v")
    document = AnalysisDocument(
        at=now,
        written_at=now,
        v=version + 1 if isinstance(version, int) else 1,
        heard_from=where,
        frames=len(frames),
        heard_ms=max(frames[-1].at - frames[0].at, 0) if frames else 0,
        analysis=stored_form(analysis),
        job=f"{ANALYSIS}-{kart_feed(id_)}",
    )
    found = in_force(None, document)
    told = {"circuit": id_, "protocol": found.protocol, "standing": found.standing, "frames": len(frames)}
    if _says_less(document, before.fields):
        return {**told, "stored": False, "message": "the analysis that is stored says more of the same feed: it stays"}
    database.commit([database.write(path, to_fields(document), before.updated, must_be_new=before.fields is None)])
    return {**told, "stored": True}


def _says_less(document: AnalysisDocument, stored: Mapping[str, Any] | None) -> bool:
    """Whether the one that is stored is of the same fields and surer: a track that stands still tells nothing new."""
    try:
        earlier = None if stored is None else msgspec.convert(stored, AnalysisDocument)
    except msgspec.ValidationError:
        earlier = None
    if earlier is None:
        return False
    found, known = in_force(None, document), in_force(None, earlier)
    if not found.protocol:
        return bool(known.protocol)
    if found.protocol != known.protocol:
        return False
    here, there = _keys(document.analysis), _keys(earlier.analysis)
    return here <= there and (found.standing, known.standing) != ("used", "used") and known.standing == "used"


def _keys(analysis: Mapping[str, Any]) -> set[str]:
    """The fields an analysis tells of."""
    told = [*analysis.get("fields", ()), *analysis.get("notUnderstood", ())]
    return {str(of.get("key")) for of in told if isinstance(of, dict)}
