"""`/openapi.json`, and two ways to read it: Swagger UI at `/docs`, ReDoc at `/redoc`.

Their scripts and styles come from PyPI packages and are served from here; the pages' Content-Security-Policy lets
them load nothing from elsewhere. What the OpenAPI document says is the business of `openapi`.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import orjson
from flask import Blueprint, Flask, Response, current_app

from pitwall.api import alias, caching, description, parameters
from pitwall.api.caching import Answer, Bytes
from pitwall.api.description import JSON, Parameter, Placeholder, described
from pitwall.api.errors import NotFound
from pitwall.api.web_page import HTML, SAFE, safe
from pitwall.settings import Settings

routes = Blueprint("docs", __name__)

DOCUMENT = "PITWALL_OPENAPI"
"""Key in the app's config of what makes the document of a prefix, once."""

_KEPT_S = 60 * 60

_PAGE = safe("script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "connect-src 'self'")
"""Both programs write styles into the page as they run; scripts they load from here alone."""


_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
"""What ReDoc would load from elsewhere."""


class Asset(NamedTuple):
    """A file that a page loads. package: which has it, none for our own; path: of the file in it, or its text."""

    content_type: str
    package: str
    path: str


_SCRIPT = "text/javascript"
ASSETS = {
    "swagger-ui.css": Asset("text/css", "flask_swagger_ui", "dist/swagger-ui.css"),
    "swagger-ui-bundle.js": Asset(_SCRIPT, "flask_swagger_ui", "dist/swagger-ui-bundle.js"),
    "redoc.standalone.js": Asset(_SCRIPT, "flask_openapi3_redoc", "templates/redoc/js/redoc.standalone.js"),
    "swagger.js": Asset(
        _SCRIPT,
        "",
        'SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null, '
        "persistAuthorization: false});\n",
    ),
    "redoc.js": Asset(
        _SCRIPT,
        "",
        'Redoc.init("openapi.json", {disableSearch: true}, document.getElementById("page"));\n',
    ),
}
description.PATH["asset"] = Placeholder("asset", Parameter(parameters.one_of(*ASSETS), "name of the file"))


def register(app: Flask, settings: Settings) -> None:
    """Has `app` describe itself. To be called when it has all its routes. Raises ValueError for one undescribed."""
    list(description.routes(app))

    @cache
    def made(prefix: str) -> Bytes:
        from pitwall.api import openapi

        return _bytes(orjson.dumps(openapi.document(app, settings, prefix)))

    app.config[DOCUMENT] = made


@routes.get("/openapi.json")
@described("This document", answers={"type": "object", "required": ["openapi", "info", "paths"]})
def document() -> Response:
    """OpenAPI 3.1, generated from the code that serves."""
    body = current_app.config[DOCUMENT](alias.prefix())
    return _answer(body, JSON, SAFE)


@routes.get("/docs")
@described("Swagger UI: to read the documentation and to try the routes", content_types=(HTML,))
def swagger() -> Response:
    """A page for people."""
    return _page("swagger-ui-bundle.js", "swagger.js", style="swagger-ui.css")


@routes.get("/redoc")
@described("ReDoc: to read the documentation", content_types=(HTML,))
def redoc() -> Response:
    """A page for people."""
    return _page("redoc.standalone.js", "redoc.js")


@routes.get("/docs/<asset>")
@described("What the pages load", content_types=(_SCRIPT, "text/css"), problems=(NotFound,))
def file(asset: str) -> Response:
    """Scripts and styles."""
    if asset not in ASSETS:
        raise NotFound("There is no such file.")
    return _answer(_read(asset), ASSETS[asset].content_type + "; charset=utf-8", SAFE)


def _page(*scripts: str, style: str = "") -> Response:
    prefix = alias.prefix() + "/docs/"
    styles = f'<link rel="stylesheet" href="{prefix}{style}">\n' if style else ""
    loaded = "".join(f'<script src="{prefix}{script}"></script>\n' for script in scripts)
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>PitWall</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f'{styles}</head>\n<body>\n<div id="page"></div>\n{loaded}</body>\n</html>\n'
    )
    return _answer(_bytes(text.encode()), HTML + "; charset=utf-8", _PAGE)


@cache
def _read(name: str) -> Bytes:
    asset = ASSETS[name]
    if not asset.package:
        return _bytes(asset.path.encode())
    found = find_spec(asset.package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{asset.package} is not installed")
    return _bytes((Path(found.origin).parent / asset.path).read_bytes().replace(_LOGO, b"data:,"))


def _bytes(body: bytes) -> Bytes:
    return Bytes(blake2b(body, digest_size=12).hexdigest(), body)


def _answer(body: Bytes, content_type: str, headers: dict[str, str]) -> Response:
    return Answer(body, content_type, {**headers, "Cache-Control": caching.cache_control(_KEPT_S)}).response()
