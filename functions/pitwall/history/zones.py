"""Time zones of the places Formula 1 goes to, because neither source of the calendar can be relied on for offsets.

FastF1 has one offset for a whole weekend, F1's index one for each session and now and then a wrong one (Brazil 2019).
Both tell the time on the circuit's clocks right, so the offset is taken from the time zone database, unless what is
told is too far from it to be a matter of daylight saving: then the meeting has been moved to a place not known here.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_ZONES: Final = {
    "America/Chicago": ("Austin",),
    "America/Los_Angeles": ("Las Vegas",),
    "America/Mexico_City": ("Mexico City",),
    "America/New_York": ("Miami", "Miami Gardens"),
    "America/Sao_Paulo": ("São Paulo",),
    "America/Toronto": ("Montréal",),
    "Asia/Bahrain": ("Bahrain", "Sakhir"),
    "Asia/Baku": ("Baku",),
    "Asia/Dubai": ("Abu Dhabi", "Yas Island", "Yas Marina"),
    "Asia/Kuala_Lumpur": ("Kuala Lumpur",),
    "Asia/Qatar": ("Lusail", "Losail"),
    "Asia/Riyadh": ("Jeddah",),
    "Asia/Shanghai": ("Shanghai",),
    "Asia/Singapore": ("Marina Bay", "Singapore"),
    "Asia/Tokyo": ("Suzuka",),
    "Australia/Melbourne": ("Melbourne",),
    "Europe/Amsterdam": ("Zandvoort",),
    "Europe/Berlin": ("Hockenheim", "Nürburg", "Nürburgring"),
    "Europe/Brussels": ("Spa-Francorchamps",),
    "Europe/Budapest": ("Budapest",),
    "Europe/Istanbul": ("Istanbul",),
    "Europe/Lisbon": ("Portimão",),
    "Europe/London": ("Silverstone",),
    "Europe/Madrid": ("Barcelona", "Madrid", "Montmeló", "Spain"),
    "Europe/Monaco": ("Monaco", "Monte Carlo"),
    "Europe/Moscow": ("Sochi",),
    "Europe/Paris": ("Le Castellet",),
    "Europe/Rome": ("Imola", "Monza", "Mugello"),
    "Europe/Vienna": ("Spielberg",),
}

_DAYLIGHT_SAVING: Final = timedelta(hours=1)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold().strip()


_BY_PLACE: Final = {_plain(place): zone for zone, places in _ZONES.items() for place in places}


def offset_at(location: str, local: datetime, told: timedelta | None) -> timedelta | None:
    """How far the circuit's clocks are ahead of UTC when they show `local` (naive).

    told: what the source says, None if it says nothing. None if that cannot be known.
    """
    zone = _BY_PLACE.get(_plain(location))
    if zone is None:
        return told
    known = local.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    if known is None:
        return told
    # FastF1 makes zero of an offset that it does not know.
    if told and abs(told - known) > _DAYLIGHT_SAVING:
        return told
    return known


def to_utc(local: datetime, offset: timedelta) -> datetime:
    """The instant at which clocks `offset` ahead of UTC show `local` (naive)."""
    return (local - offset).replace(tzinfo=UTC)


def written(offset: timedelta) -> str:
    """An offset as F1 writes it: `[-]HH:MM:SS`."""
    seconds = int(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else ''}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
