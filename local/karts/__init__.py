"""Hubs that play captures of kart tracks over real sockets: Apex Timing, RMonitor and Race Monitor.

    with ApexHub("capture.jsonl.gz", speed=20) as hub:
        ...  # PITWALL_SOURCE=hub.source, and hub.env
        hub.start()
        hub.drop()
        hub.wait_until_ended(60)

The other end of the live sources, and written apart from them: what a relay does is taken from KARTING.md, from the
captures and from what public clients of these relays do. Clock, connections, faults, plans and ledger are those of
`local.hub`; `programme` reads captures, `boards` keeps the board for those who come late, `channels` is how a message
goes out, `apex`, `rmonitor` and `racemonitor` are the doors. See docs/hub.md.
"""

from __future__ import annotations

from local.karts.apex import ApexHub
from local.karts.hub import KartHub
from local.karts.programme import Protocol, protocol_of
from local.karts.racemonitor import RaceMonitorHub
from local.karts.rmonitor import RMonitorHub

HUBS: dict[Protocol, type[ApexHub | RMonitorHub | RaceMonitorHub]] = {
    "apex": ApexHub,
    "rmonitor": RMonitorHub,
    "racemonitor": RaceMonitorHub,
}

__all__ = ["HUBS", "ApexHub", "KartHub", "RMonitorHub", "RaceMonitorHub", "protocol_of"]
