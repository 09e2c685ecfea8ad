"""Routes that get ready to build addresses when one is asked for, which few are.

Werkzeug compiles two functions for each route as it is added, which took a quarter of the time by which an instance's
first answer was later than an empty function's. A Werkzeug that no longer has the method below makes them at once
again, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]


class LateRule(Rule):
    """A Rule of Werkzeug's."""

    def _compile_builder(self, append_unknown: bool = True) -> Builder:
        compiled = cache(super()._compile_builder)

        def build(rule: Rule, **values: object) -> tuple[str, str]:
            return compiled(append_unknown)(rule, **values)

        return build
