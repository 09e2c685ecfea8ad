"""Headers of what a browser shows."""

from __future__ import annotations

from typing import Final

HTML: Final = "text/html"

SAFE: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def safe(*sources: str) -> dict[str, str]:
    """Headers of a page that loads nothing but from `sources`, directives of a Content-Security-Policy."""
    policy = ("default-src 'none'", *sources, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return {**SAFE, "Content-Security-Policy": "; ".join(policy)}
