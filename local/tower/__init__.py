"""The timing tower in a terminal, fed by Firestore listeners and by nothing else.

`model` is what the listeners know, `table` how it looks, `live` and `plain` show it on a terminal and
elsewhere; `python -m local.tower` shows the tower of a stack that is up.
"""

from __future__ import annotations

from local.tower.listening import listening, listening_to_feed
from local.tower.live import LiveTower
from local.tower.model import TowerModel
from local.tower.plain import PlainTower
from local.tower.table import render

__all__ = ["LiveTower", "PlainTower", "TowerModel", "listening", "listening_to_feed", "render"]
