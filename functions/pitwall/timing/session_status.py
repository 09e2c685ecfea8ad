"""The feed's words for how a session stands: Inactive, Started, Aborted, Finished, Finalised, Ends."""

from __future__ import annotations

from typing import Final

LIVE: Final = frozenset({"Started", "Aborted"})
"""It has begun, and is not over; a red flag aborts it until it is started again."""

FINAL: Final = frozenset({"Finalised", "Ends"})
"""Its results stand."""

OVER: Final = FINAL | {"Finished"}
"""No car runs for time any more."""
