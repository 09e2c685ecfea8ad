"""The invented field: eleven teams and twenty-two drivers, who share nothing with real ones but the form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Team:
    """A team: `colour` is six hex digits as the feed sends it, `pace` its car's loss against the best."""

    name: str
    colour: str
    pace: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A car and who drives it; `skill` is the driver's own loss as a share of a lap."""

    number: str
    first_name: str
    last_name: str
    tla: str
    country: str
    team: Team
    skill: float

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name.upper()}"

    @property
    def broadcast_name(self) -> str:
        return f"{self.first_name[0]} {self.last_name.upper()}"

    @property
    def reference(self) -> str:
        """F1's key for a driver: three letters of each name and a counter."""
        return f"{self.first_name[:3]}{self.last_name[:3]}01".upper()


_KESTREL = Team("Kestrel", "FF7A1A", 0.0000)
_NORDWIND = Team("Nordwind", "00C2B2", 0.0014)
_VELA = Team("Scuderia Vela", "D4142A", 0.0019)
_MERIDIAN = Team("Meridian", "3A5FCD", 0.0027)
_AUSTRAL = Team("Austral", "0F7A5A", 0.0055)
_HALCYON = Team("Halcyon", "1E9BFF", 0.0063)
_TEMPEST = Team("Tempest", "6C7BFF", 0.0071)
_ORYX = Team("Oryx", "B7BDC4", 0.0080)
_LYNX = Team("Lynx Grand Prix", "5BE04A", 0.0092)
_CIRRUS = Team("Cirrus", "FF66C4", 0.0105)
_FORGE = Team("Forge", "A8894F", 0.0126)

FIELD: tuple[Entry, ...] = (
    Entry("7", "Ilya", "Marchetti", "MAR", "ITA", _KESTREL, 0.0003),
    Entry("19", "Tobias", "Eklund", "EKL", "SWE", _KESTREL, 0.0016),
    Entry("3", "Aurel", "Dascalu", "DAS", "ROU", _NORDWIND, 0.0000),
    Entry("46", "Jonas", "Vinther", "VIN", "DEN", _NORDWIND, 0.0021),
    Entry("21", "Rafael", "Quintela", "QUI", "POR", _VELA, 0.0006),
    Entry("8", "Matteo", "Orsini", "ORS", "ITA", _VELA, 0.0019),
    Entry("2", "Callum", "Ferris", "FER", "GBR", _MERIDIAN, 0.0008),
    Entry("54", "Haruto", "Minase", "MIN", "JPN", _MERIDIAN, 0.0024),
    Entry("11", "Bruno", "Salgado", "SAL", "BRA", _AUSTRAL, 0.0005),
    Entry("62", "Declan", "Moriarty", "MOR", "IRL", _AUSTRAL, 0.0022),
    Entry("25", "Pieter", "Van Houten", "VHO", "NED", _HALCYON, 0.0011),
    Entry("38", "Lucien", "Carrel", "CAR", "FRA", _HALCYON, 0.0018),
    Entry("9", "Emre", "Aydin", "AYD", "TUR", _TEMPEST, 0.0009),
    Entry("71", "Nikolas", "Berghoff", "BER", "GER", _TEMPEST, 0.0026),
    Entry("15", "Santiago", "Ibarra", "IBA", "MEX", _ORYX, 0.0010),
    Entry("33", "Oskar", "Lindqvist", "LIN", "FIN", _ORYX, 0.0020),
    Entry("84", "Wesley", "Adeyemi", "ADE", "NGR", _LYNX, 0.0013),
    Entry("29", "Kacper", "Wilk", "WIL", "POL", _LYNX, 0.0025),
    Entry("50", "Anselm", "Rohr", "ROH", "AUT", _CIRRUS, 0.0012),
    Entry("66", "Thiago", "Peralta", "PER", "ARG", _CIRRUS, 0.0023),
    Entry("17", "Jun", "Seo-Park", "SEO", "KOR", _FORGE, 0.0014),
    Entry("90", "Miles", "Okafor", "OKA", "CAN", _FORGE, 0.0028),
)
