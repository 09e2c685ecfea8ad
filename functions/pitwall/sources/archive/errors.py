"""What can be wrong with F1's archive, in words for a terminal and a log."""

from __future__ import annotations

from collections.abc import Sequence


class ArchiveError(OSError):
    """The archive could not be read; the text says what of it and why. Trying again later may help."""


class NotInArchive(ArchiveError):
    """The archive has no such season or session, or not yet: it appears half an hour to two hours after a session.

    A missing file is answered 404 or 403, so this is also what an address sees that the server refuses; the text says
    which of the two it was.
    """


class ArchiveNotComplete(ArchiveError):
    """The session is in the archive, which is still being written (`ArchiveStatus` Generating)."""


class SessionNotFound(ValueError):
    """Nothing in a season is called that; `choices` is what there is."""

    def __init__(self, text: str, choices: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.choices = tuple(choices)


class AmbiguousSession(SessionNotFound):
    """Several things in a season are called that; `choices` is which."""
