"""What is told of a request once it is answered: a line in the log, and what is measured."""

from __future__ import annotations

from http import HTTPStatus

from pitwall.pipeline import metrics
from pitwall.pipeline.log import log


def answered(method: str, route: str, code: int, seconds: float, *, reads: int) -> None:
    """The request as Cloud Logging shows one, without what tells who asked for what: route for URL, no address.

    route: its pattern. seconds: it took. reads: documents of Firestore read for it.
    """
    method = method if method in metrics.METHODS else "_OTHER"
    metrics.request(method, route, code, seconds)
    log(
        "ERROR" if code >= HTTPStatus.INTERNAL_SERVER_ERROR else "INFO",
        f"{method} {route} {code:d}",
        function="api",
        route=route,
        httpRequest={"requestMethod": method, "requestUrl": route, "status": int(code), "latency": f"{seconds:.3f}s"},
        firestoreReads=reads,
    )
