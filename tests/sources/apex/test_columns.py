"""What a column means: by its declared type, else by its header, in the languages seen."""

from __future__ import annotations

import pytest

from pitwall.sources.apex.columns import Declared, columns


def roles(*declared: tuple[str, str]) -> list[str]:
    told = columns(Declared(f"c{n}", kind, header) for n, (kind, header) in enumerate(declared, start=1))
    return [column.get("Role", "") for column in told]


def test_declared_types_say_what_a_column_is_whatever_its_header():
    kinds = ("sta", "rk", "no", "dr", "llp", "blp", "gap", "int", "tlp", "otr", "pit", "s1", "s2", "s3", "nat", "class")
    assert roles(*((kind, "?") for kind in kinds)) == [
        "Status", "Position", "Number", "Driver", "LastLapMs", "BestLapMs", "Gap", "Interval", "Laps", "StintMs",
        "Stops", "Sector1Ms", "Sector2Ms", "Sector3Ms", "Nation", "Category",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        ("Clt", "Kart", "Dernier T.", "Meilleur T.", "Ecart", "Interv.", "Tours", "Péna."),
        ("Clasif.", "Dorsal", "Última vuelta", "Mejor vuelta", "Dif.", "Intervalo", "Vueltas", "Penalización"),
        ("Pos", "Kart", "Ultimo T.", "Giro mig.", "Distacco", "Intervallo", "Giri", "Pena"),
        ("Pos.", "No.", "Last lap", "Best lap", "Gap", "Int.", "Laps", "Penalty"),
        ("Plats", "Startnr", "Senaste varv", "Bästa varv", "Avstånd", "Intervall", "Varv", "Straff"),
        ("Posição", "Kart", "Última volta", "Melhor volta", "Diferença", "Intervalo", "Voltas", "Penalidade"),
    ],
    ids=["French", "Spanish", "Italian", "English", "Swedish", "Portuguese"],
)
def test_headers_say_it_where_no_type_is_declared(headers: tuple[str, ...]):
    assert roles(*(("", header) for header in headers)) == [
        "Position", "Number", "LastLapMs", "BestLapMs", "Gap", "Interval", "Laps", "Penalty",
    ]  # fmt: skip


def test_a_role_belongs_to_one_column_and_a_declared_type_goes_before_a_header():
    """Sevilla 2026: `rk` and an undeclared `Pos.`, which is the place in the class."""
    assert roles(("", "Pos."), ("rk", "Pos."), ("", "M. Vuelta"), ("", "Information")) == [
        "", "Position", "BestLapMs", "",
    ]  # fmt: skip


def test_a_column_of_teams_is_told_by_its_header():
    assert roles(("dr", "Equipe")) == ["Team"]
    assert roles(("dr", "Equipo")) == ["Team"]
    assert roles(("dr", "Pilota")) == ["Driver"]


def test_why_a_role_was_given_is_told():
    first, second, third = columns([Declared("c1", "rk", "Clt"), Declared("c2", "", "Péna."), Declared("c3", "", "?")])
    assert (first["Because"], second["Because"], "Because" in third) == ("type", "header", False)
