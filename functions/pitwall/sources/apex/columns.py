"""What a column of the board means: by its declared type and, where it has none, by its header.

Layouts change between the sessions of a day, so nothing is known of a column but what its own grid says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pitwall.karting.vocabulary import Column

TYPES: Final[Mapping[str, str]] = {
    "sta": "Status",
    "rk": "Position",
    "no": "Number",
    "dr": "Driver",
    "llp": "LastLapMs",
    "blp": "BestLapMs",
    "gap": "Gap",
    "int": "Interval",
    "tlp": "Laps",
    "otr": "StintMs",
    "pit": "Stops",
    "s1": "Sector1Ms",
    "s2": "Sector2Ms",
    "s3": "Sector3Ms",
    "nat": "Nation",
    "class": "Category",
    "grp": "",
}
"""Roles by `data-type`. `grp` draws lines around the karts of one group and says nothing of them."""

_WORDS: Final[Mapping[str, str]] = {
    "Position": "clt clasif cla pos position posicion posizione posicao rank rang rk pl plats place",
    "Number": "kart no nr num numero n° nº # kart no startnr startnummer dorsal",
    "Driver": "pilote piloto pilota driver forare fahrer nom nombre nome name namn conducteur conductor",
    "Team": "equipe equipo equipa squadra team lag mannschaft stall scuderia",
    "Category": "categorie categoria category cat clase classe class klass klasse",
    "Nation": "nation nat nationalite nacionalidad nazione nationality pais pays",
    "LastLapMs": "dernier t|dernier tour|ultima vuelta|ult vuelta|ultimo t|ultimo giro|ultima volta|last lap|last|"
    "senaste varv|senaste|letzte runde|derniere",
    "BestLapMs": "meilleur t|meilleur tour|mejor vuelta|m vuelta|giro mig|miglior giro|migliore|melhor volta|best lap|"
    "best|basta varv|basta|beste runde|mejor",
    "Gap": "ecart|gap|dif|diff|distacco|diferencia|diferenca|avstand|abstand|to leader",
    "Interval": "interv|intervalle|intervalles|intervalo|intervallo|interval|int|intervall",
    "Laps": "tours|vueltas|giri|voltas|laps|varv|runden|lap|vtas|nb tours",
    "StintMs": "en piste|en pista|in pista|on track|pa banan|na pista",
    "PitMs": "tempo pit|temps pit|temps stand|tiempo pit|pit time|tempo box",
    "Stops": "stands|stand|pits|pit|pit stop|pit stops|stops|arrets|paradas|soste|depastopp|box",
    "Penalty": "pena|penalite|penalites|penalizacion|penalizzazione|penalty|penalties|penalidade|straff|strafe",
    "Sector1Ms": "s1|secteur 1|sector 1|settore 1|sektor 1",
    "Sector2Ms": "s2|secteur 2|sector 2|settore 2|sektor 2",
    "Sector3Ms": "s3|secteur 3|sector 3|settore 3|sektor 3",
}


def folded(header: str) -> str:
    """A header in lower case without accents, points and double blanks: `Meilleur T.` and `MEILLEUR T` are one."""
    plain = unicodedata.normalize("NFKD", header).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[.:()\[\]/_-]+", " ", plain).split())


SYNONYMS: Final[Mapping[str, str]] = {
    folded(word): role
    for role, words in _WORDS.items()
    for word in (words.split("|") if "|" in words else words.split())
}
"""Roles by folded header: French, Spanish, Italian, Portuguese, English, Swedish, German."""


class Declared(NamedTuple):
    """A column as a grid declares it: its id (`c5`), its `data-type` and its header."""

    key: str
    type: str
    header: str


def columns(declared: Iterable[Declared]) -> list[Column]:
    """The columns with their roles. A role belongs to one column: declared types first, then headers, left to right.

    A driver's column whose header says team tells `Team`: its cells tell who drives in a class of their own.
    """
    known = list(declared)
    taken: dict[str, str] = {}
    because: dict[str, str] = {}
    for column in known:
        role = TYPES.get(column.type.strip().lower(), "")
        if role == "Driver" and SYNONYMS.get(folded(column.header)) == "Team":
            role = "Team"
        if role and role not in taken:
            taken[role] = column.key
            because[column.key] = "type"
    for column in known:
        role = SYNONYMS.get(folded(column.header), "")
        if role and role not in taken and column.key not in because and column.type.strip().lower() not in TYPES:
            taken[role] = column.key
            because[column.key] = "header"
    roles = {key: role for role, key in taken.items()}
    told: list[Column] = []
    for column in known:
        entry = Column(Key=column.key, Header=column.header)
        if column.key in roles:
            entry["Role"] = roles[column.key]
            entry["Because"] = "type" if because[column.key] == "type" else "header"
        told.append(entry)
    return told
