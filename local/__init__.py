"""The local stack: everything that is deployed, on this machine, against Google's emulators.

Never deployed itself: at run time only `functions/` is there.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The project's folder."""

FUNCTIONS = ROOT / "functions"
"""What is deployed: there, the only folder on the module search path."""

if str(FUNCTIONS) not in sys.path:
    sys.path.insert(0, str(FUNCTIONS))
