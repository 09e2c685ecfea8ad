"""A hub that speaks SignalR Core over a real socket and plays recordings as F1's live timing feed.

    with Hub([Playing("race.txt.gz")], speed=20) as hub:
        ...  # PITWALL_F1_URL=hub.url
        hub.start()
        hub.drop()
        hub.wait_until_ended(60)
        hub.missed()

The other end of `pitwall.sources.signalr`, and written apart from it: what F1's servers do is taken from FEED.md, the
stored frames and SignalR's protocol, never from what the client expects. `hub` is what a test or the local stack
holds, `base` what every hub has (`local.karts` has others); `playing` and `redate` read recordings ahead, `feed` is the
clock that plays them, `state` the snapshot, `server`, `connection` and `channel` the socket, `faults` what goes wrong,
`plan` when, `ledger` what everybody was given.
See docs/hub.md.
"""

from __future__ import annotations

from local.hub.hub import Hub
from local.hub.ledger import Attempt, Played, Served, Snapshot
from local.hub.plan import Fault, FaultPlan, Kind
from local.hub.playing import Playing
from local.hub.topics import GATED

__all__ = ["GATED", "Attempt", "Fault", "FaultPlan", "Hub", "Kind", "Played", "Playing", "Served", "Snapshot"]
