"""F1's archive of past sessions, over HTTP (docs/archive.md).

    with Archive.of(settings, cache="archive") as archive:
        session = archive.find(2025, "Qatar", "Sprint")
        source = archive.open(session.path)

or, where the path is known, `open_archive(settings, path)`.
"""

from pitwall.sources.archive.errors import (
    AmbiguousSession,
    ArchiveError,
    ArchiveNotComplete,
    NotInArchive,
    SessionNotFound,
)
from pitwall.sources.archive.index import ArchivedFeed, ArchivedSession
from pitwall.sources.archive.source import Archive, ArchiveSource, open_archive

__all__ = [
    "AmbiguousSession",
    "Archive",
    "ArchiveError",
    "ArchiveNotComplete",
    "ArchiveSource",
    "ArchivedFeed",
    "ArchivedSession",
    "NotInArchive",
    "SessionNotFound",
    "open_archive",
]
