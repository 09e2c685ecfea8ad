"""A few frames of Apex Timing, written by hand in its form: invented teams, real habits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pitwall.message import Message
from pitwall.sources.apex.translation import Translation

AT = 1_893_500_000_000
COLUMNS = (
    ("sta", ""), ("rk", "Clt"), ("no", "Kart"), ("dr", "Equipe"), ("llp", "Dernier T."), ("blp", "Meilleur T."),
    ("gap", "Ecart"), ("tlp", "Tours"), ("otr", "En piste"), ("pit", "Stands"), ("", "Péna."),
)  # fmt: skip
INNER = {"rk": ("div", "p"), "no": ("div",)}


def grid(rows: Mapping[str, Sequence[str]], columns: Sequence[tuple[str, str]] = COLUMNS) -> str:
    """A grid line: rows by id, their cells in the columns' order, with the class before a bar (`tb|1:05.295`)."""
    head = "".join(
        f'<td data-id="c{n}" data-type="{kind}" data-pr="1">{header}</td>'
        for n, (kind, header) in enumerate(columns, start=1)
    )
    html = f'<tbody><tr data-id="r0" class="head" data-pos="0">{head}</tr>'
    for place, (row, cells) in enumerate(rows.items(), start=1):
        html += f'<tr data-id="{row}" data-pos="{place}">'
        for n, ((kind, _), cell) in enumerate(zip(columns, cells, strict=True), start=1):
            css, _, text = cell.rpartition("|")
            held = f'data-id="{row}c{n}" class="{css}">{text}'
            if kind == "rk":
                html += f'<td class="rk"><div><p {held}</p></div></td>'
            elif kind == "no":
                html += f'<td class="no"><div {held}</div></td>'
            else:
                html += f"<td {held}</td>"
        html += "</tr>"
    return f"grid||{html}</tbody>"


def init(kind: str = "r", title: str = "6H of Nowhere", name: str = "Race") -> str:
    return f"init|{kind}|\ntitle1||{title}\ntitle2||{name}\nlight|lg|\ntrack||Nowhere (987m)"


FRESH = ("ss|", "|", "no7|12", "dr|Alpha", "|", "ib|", "in|", "in|", "in|", "in|", "|")
"""Cells of a kart that has not driven yet."""
DRIVEN = (
    "sr|", "|1", "no7|12", "dr|Alpha", "tb|1:05.295", "ib|1:05.295", "in|Tour 9", "in|9", "in|0:10", "in|1", "|",
)  # fmt: skip
"""Cells of a kart after nine laps."""


class Connection:
    """Translates frames and counts what cannot be used."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.translation = Translation(lambda reason: self.rejected.update([reason]))

    def frame(self, *lines: str, at: int = AT) -> list[Message]:
        return self.translation.frame("\n".join(lines) + "\n", at)

    def told(self, *lines: str) -> list[tuple[str, Any]]:
        return [(message.topic, message.data) for message in self.frame(*lines)]


def joined(rows: Mapping[str, Sequence[str]] | None = None, columns: Sequence[tuple[str, str]] = COLUMNS) -> Connection:
    """A connection that has had its first frame."""
    connection = Connection()
    connection.frame(init(), grid(rows if rows is not None else {"r1": DRIVEN, "r2": FRESH}, columns))
    return connection
