"""What became of a part of a backfill: a line of its log, and of its report."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

State = Literal["done", "same", "skipped", "missing", "failed", "interrupted"]
Severity = Literal["INFO", "WARNING", "ERROR"]


class Entry(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What became of a session, or of what a whole season has (`session` names it, and there is no key).

    state: `done` something was written; `same` nothing differed; `skipped` final already, and nothing else has changed;
    `missing` no source has it (yet); `failed`. written: documents. objects: of Cloud Storage, that were written.
    passing: it may not fail the next time. refused: records that could not be used, and why.
    """

    year: int
    round: int | UnsetType = UNSET
    session: str
    type: str = ""
    key: str = ""
    state: State
    written: int = 0
    objects: int = 0
    error: str = ""
    passing: bool = False
    repaired: list[str] = []
    refused: list[str] = []

    @property
    def severity(self) -> Severity:
        if self.state == "failed":
            return "ERROR"
        return "WARNING" if self.state == "missing" or self.error or self.repaired or self.refused else "INFO"

    @property
    def name(self) -> str:
        """Type and name of the session: `Race, Sprint`."""
        return self.session if not self.type or self.type == self.session else f"{self.type}, {self.session}"

    @property
    def text(self) -> str:
        """What became of it, in words."""
        said = {
            "done": f"{self.objects} objects written" if self.objects else f"{self.written} documents written",
            "same": "nothing differs",
            "skipped": "filled in already",
            "missing": f"not there: {self.error}",
            "failed": f"failed: {self.error or 'see what was refused'}",
            "interrupted": "interrupted; called again it goes on from here",
        }[self.state]
        if self.state in ("missing", "failed") and self.written:
            said += f" ({self.written} documents written)"
        elif self.error and self.state in ("done", "same"):
            said += f"; {self.error}"
        for word, told in (("repaired", self.repaired), ("refused", self.refused)):
            if told:
                said += f"; {word}: {'; '.join(told[:3])}{' ...' if len(told) > 3 else ''}"
        return said
