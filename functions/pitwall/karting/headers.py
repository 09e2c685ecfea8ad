"""What a column's header means, in the words timekeepers write: French, Spanish, Italian, Portuguese, English, Swedish,
German. A role is a field of `vocabulary.Line`; `Gap` and `Interval` stand for the times and the laps."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

_WORDS: Final[Mapping[str, str]] = {
    "Position": "clt clasif cla pos position posicion posizione posicao rank rang rk pl plats place",
    "Number": "kart|no|nr|num|numero|n|n°|nº|#|kart no|startnr|startnummer|dorsal|start number|car number|kart number|"
    "race number|racing number|number",
    "Driver": "pilote|piloto|pilota|driver|forare|fahrer|nom|nombre|nome|name|namn|conducteur|conductor|driver name|"
    "equipe pilote",
    "Team": "equipe equipo equipa squadra team lag mannschaft stall scuderia",
    "Category": "categorie categoria category cat clase classe class klass klasse",
    "Nation": "nation nat nationalite nacionalidad nazione nationality pais pays",
    "LastLapMs": "dernier t|dernier tour|ultima vuelta|ult vuelta|ultimo t|ultimo giro|ultima volta|last lap|last|"
    "senaste varv|senaste|letzte runde|derniere|last lap time|lap time|laptime|last time",
    "BestLapMs": "meilleur t|meilleur tour|mejor vuelta|m vuelta|giro mig|miglior giro|migliore|melhor volta|best lap|"
    "best|basta varv|basta|beste runde|mejor|best lap time|best time",
    "Gap": "ecart|gap|dif|diff|distacco|diferencia|diferenca|avstand|abstand|to leader|gap to leader|diff to leader",
    "Interval": "interv|intervalle|intervalles|intervalo|intervallo|interval|int|intervall|"
    "gap to next|gap to ahead|diff to next|interval to ahead",
    "Laps": "tours|vueltas|giri|voltas|laps|varv|runden|lap|vtas|nb tours|lap number|lap count|laps completed|lapcount",
    "StintMs": "en piste|en pista|in pista|on track|pa banan|na pista",
    "PitMs": "tempo pit|temps pit|temps stand|tiempo pit|pit time|tempo box",
    "Stops": "stands|stand|pits|pit|pit stop|pit stops|stops|arrets|paradas|soste|depastopp|box|stop count",
    "Penalty": "pena|penalite|penalites|penalizacion|penalizzazione|penalty|penalties|penalidade|straff|strafe",
    "TotalMs": "total|total time|race time|temps total|tiempo total|tempo totale|gesamtzeit",
    "Sector1Ms": "s1|secteur 1|sector 1|settore 1|sektor 1",
    "Sector2Ms": "s2|secteur 2|sector 2|settore 2|sektor 2",
    "Sector3Ms": "s3|secteur 3|sector 3|settore 3|sektor 3",
}


def folded(header: str) -> str:
    """A header in lower case without accents, points and double blanks: `Meilleur T.` and `MEILLEUR T` are one."""
    plain = unicodedata.normalize("NFKD", header).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[.:()\[\]/_-]+", " ", plain).split())


UNUSED: Final = frozenset({"non utilise", "not used", "unused"})
"""Folded labels by which a human says that a column means nothing."""

SYNONYMS: Final[Mapping[str, str]] = {
    folded(word): role
    for role, words in _WORDS.items()
    for word in (words.split("|") if "|" in words else words.split())
}
"""Roles by folded header: French, Spanish, Italian, Portuguese, English, Swedish, German."""


def named(key: str) -> str:
    """The role of a header, or of the name of a field in a program's output: `Dernier T.`, `lastLapTime`,
    `last_lap_ms`, `car.number`; "" if it is not known, and for a single letter, which programs call anything."""
    last = key.rpartition(".")[2]
    if len(last) == 1 and last.isalpha():
        return ""
    if (role := SYNONYMS.get(folded(key))) is not None:
        return role
    words = folded(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", last))
    for text in (words, re.sub(r" (ms|msec|millis|milliseconds|s|sec|seconds)$", "", words)):
        if (role := SYNONYMS.get(text)) is not None:
            return role
    return ""
