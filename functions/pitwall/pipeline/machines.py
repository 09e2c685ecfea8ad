"""Which state machine a feed has, and the documents of each: F1's timing, or a kart track's (`kart-<circuit>`)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pitwall.documents import projection as timing_projection
from pitwall.documents.projection import Projected
from pitwall.karting import projection as karting_projection
from pitwall.karting.state import KartState
from pitwall.message import FeedStatus, Message
from pitwall.sources.pitwall_format import BOARD
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.state import SessionState

State = SessionState | KartState
KART = "kart-"
"""Feed ids of kart tracks begin so."""


class _OfFeed(Struct):
    """What both machines' dumps have."""

    feed: str


def begin(session: str, feed: str) -> State:
    """The machine of a feed, before its first message."""
    return KartState(session, feed) if feed.startswith(KART) else SessionState(session, feed)


def follow(state: State, session: str) -> State:
    """The machine of the same feed's next session, before its first message."""
    return state.successor(session) if isinstance(state, KartState) else begin(session, state.data.feed)


def load(dumped: bytes) -> State:
    """A machine from what its `dump` gave. Raises msgspec.DecodeError or ValidationError on anything else."""
    of_kart = msgspec.msgpack.decode(dumped, type=_OfFeed).feed.startswith(KART)
    return KartState.load(dumped) if of_kart else SessionState.load(dumped)


def project(state: State, what: Change) -> Projected:
    """The document a change means and where it is stored; None where there is nothing to store yet."""
    if isinstance(state, KartState):
        return karting_projection.project(state, what)
    return timing_projection.project(state, what)


def board(state: State, at: int) -> Message | None:
    """A kart track's board as it stands, to be recorded before a message of the instant `at`, ms."""
    if not isinstance(state, KartState):
        return None
    karts = [kart for kart in state.data.karts.values() if kart.on_board]
    told = {
        "Numbers": {kart.row: kart.number for kart in karts if kart.number},
        "Lines": {kart.row: kart.line for kart in karts},
    }
    return Message(BOARD, told, at) if karts else None


def standing(state: State) -> list[Change]:
    """The changes that mean all documents that tell how things are now."""
    of_karts = (change.APP, change.ENDURANCE) if isinstance(state, KartState) else (change.SEGMENTS,)
    parts = (change.SESSION, change.TOWER, change.ENTRIES, change.TYRES, *of_karts)
    return [
        *(Change(what, "") for what in parts),
        *(Change(change.DRIVER, number) for number in state.racing_numbers),
    ]


def connection(state: State, session: str, status: FeedStatus) -> Projected:
    """The document of an event of a kart track's connection; None where the track is not known, or there is none."""
    return karting_projection.connection(state, session, status) if isinstance(state, KartState) else None
