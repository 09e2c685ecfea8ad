"""The OpenAPI 3.1 document of an app, made from its routes, their descriptions and who may use them.

Whatever it says is what the code that serves does: parameters are read by the readers whose schemas are shown here,
bodies are decoded by the types, and who may use a route is looked up in the table that is enforced. Examples come from
a replay (`make examples`). Loaded when somebody first asks for the document: no other request needs it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import orjson
from flask import Flask
from msgspec import Struct

from pitwall.api import access, description, errors, keys
from pitwall.api.access import Access
from pitwall.api.description import JSON, PATH, Description, ListOf, Route
from pitwall.api.parameters import Parameter
from pitwall.api.shapes import Schema, Shape
from pitwall.documents.base import Document
from pitwall.documents.schema import complete
from pitwall.settings import Settings

VERSION = "1.0.0"
"""Of the contract: the first number changes with what breaks a client."""

EXAMPLES = Path(__file__).with_name("examples.json")

_TEXT = """\
Live timing and its history over HTTP: the stored documents with long names. Instants are RFC 3339 in UTC with
milliseconds and Z, durations whole milliseconds (`...Ms`), speeds km/h (`...Kph`). Absent means unknown; nothing is
null. Clients must let keys pass that they do not know. HEAD works wherever GET does.

Every answer to GET has a strong `ETag`: send it back as `If-None-Match`. Errors are RFC 9457
`application/problem+json`; compare `type`, which is stable. A parameter that is unknown, given twice or cannot be used
is refused by name."""

_HEADERS: dict[str, tuple[str, Schema]] = {
    "ETag": ("strong: of these bytes and no others; for If-None-Match", {"type": "string"}),
    "Cache-Control": ("for how long a cache may keep the answer", {"type": "string"}),
    "RateLimit": ("what is left to this client, and for how many seconds it counts", {"type": "string"}),
    "RateLimit-Policy": ("how many requests a window of how many seconds has", {"type": "string"}),
    "Retry-After": ("seconds after which to try again", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": ("how to say who asks", {"type": "string"}),
    "Link": ('the next page of a list as CSV (RFC 8288, `rel="next"`)', {"type": "string"}),
}
_TEXT_SCHEMA: Schema = {"type": "string"}
_NOT_JSON: dict[str, Schema] = {
    "text/event-stream": {"description": "server-sent events; the data of each is what the answer as JSON would be"}
}
_LIMITED = ("RateLimit", "RateLimit-Policy")
_KEPT = ("ETag", "Cache-Control", *_LIMITED)

_SECURITY: dict[str, Schema] = {
    "idToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An ID token of Firebase Authentication. Roles are custom claims: viewer, service, admin.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": keys.HEADER,
        "description": "For bots and services; an admin makes it.",
    },
    "appCheck": {
        "type": "apiKey",
        "in": "header",
        "name": access.APP_CHECK,
        "description": "A token of Firebase App Check, where that is enforced; API keys need none.",
    },
}


def document(app: Flask, settings: Settings, prefix: str) -> Schema:
    """The OpenAPI document of the routes of `app`, those under `/api` as they are under `prefix`."""
    routes = sorted(description.routes(app), key=lambda route: (_path(route), route.method))
    types = _Types(route.description for route in routes)
    responses: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for route in routes:
        operation = _operation(route, settings, types, responses)
        path = re.sub(r"^/api(?=/)", prefix, _path(route))
        paths.setdefault(path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "PitWall", "version": VERSION, "description": _TEXT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "tags": [{"name": tag} for tag in sorted({_tag(route) for route in routes})],
        "components": {
            "schemas": dict(sorted({**types.components, "Problem": _PROBLEM}.items())),
            "responses": dict(sorted(responses.items())),
            "headers": {name: {"description": text, "schema": schema} for name, (text, schema) in _HEADERS.items()},
            "securitySchemes": _SECURITY,
        },
    }


def _path(route: Route) -> str:
    return re.sub(r"<(\w+)>", lambda variable: "{" + PATH[variable[1]].name + "}", route.rule.rule)


def _tag(route: Route) -> str:
    endpoint: str = route.rule.endpoint
    return endpoint.partition(".")[0]


def _operation(route: Route, settings: Settings, types: _Types, responses: dict[str, Schema]) -> Schema:
    told = route.description
    may = access.of(route.method, route.rule.rule)
    parameters = [
        _parameter("path", PATH[variable].name, PATH[variable].parameter)
        for variable in re.findall(r"<(\w+)>", route.rule.rule)
    ] + [_parameter("query", name, parameter) for name, parameter in told.query.items()]
    return {
        "operationId": _operation_id(route.method, _path(route)),
        "summary": told.summary,
        "description": _text(told, may),
        "tags": [_tag(route)],
        "security": _security(may, settings),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _taken(told, types)} if told.takes else {}),
        "responses": {**_successes(route, types), **_failures(route, may, responses)},
    }


def _operation_id(method: str, path: str) -> str:
    """`GET /api/sessions/{id}/laps` as `getSessionsByIdLaps`, as client generators name it."""
    parts = re.sub(r"\{(\w)", lambda variable: "By-" + variable[1].upper(), re.sub(r"^/api/", "/", path))
    words = re.findall(r"\w+", parts.replace(".", "-").replace("_", "-"))
    return method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _text(told: Description, may: Access) -> str:
    return f"{inspect.cleandoc(told.text)}\n\nFor {may.value}.".strip()


def _security(may: Access, settings: Settings) -> list[Schema]:
    attested: Schema = {"appCheck": []} if settings.app_check else {}
    if may is Access.PUBLIC:
        return [{}]
    if may is Access.SESSIONS:
        return [attested if settings.public else {"idToken": [], **attested}, {"apiKey": []}]
    if may is Access.ASKER:
        return [{"idToken": [], **attested}, {"apiKey": []}]
    return [{"idToken": [], **attested}]


def _parameter(where: str, name: str, parameter: Parameter) -> Schema:
    schema = dict(parameter.reader.schema)
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": parameter.description,
        "schema": schema,
        **({"style": "form", "explode": False} if schema.get("type") == "array" else {}),
        **({"example": parameter.example} if parameter.example is not None else {}),
    }


def _taken(told: Description, types: _Types) -> Schema:
    return {"required": not told.optional, "content": {JSON: {"schema": types.reference(told.takes)}}}


def _successes(route: Route, types: _Types) -> dict[str, Schema]:
    told = route.description
    shown = {
        str(status.value): {
            "description": told.summary if status != HTTPStatus.NO_CONTENT else "Done",
            "headers": _headers(route, (*_KEPT, *(("Link",) if "text/csv" in told.content_types else ()))),
            **({"content": _content(route, types)} if status != HTTPStatus.NO_CONTENT else {}),
        }
        for status in told.statuses
    }
    if route.method == "GET":
        shown["304"] = {"description": "What the client has, by If-None-Match", "headers": _headers(route, _KEPT)}
    return shown


def _content(route: Route, types: _Types) -> Schema:
    told = route.description
    examples = _examples().get(f"{route.method} {_path(route)}", {})
    return {
        content_type: {
            "schema": types.schema(told.answers) if content_type == JSON else _NOT_JSON.get(content_type, _TEXT_SCHEMA),
            **({"example": examples[content_type]} if content_type in examples else {}),
        }
        for content_type in told.content_types
    }


def _failures(route: Route, may: Access, responses: dict[str, Schema]) -> dict[str, Schema]:
    """Every way the route can fail, by status; what several routes share is a component."""
    by_status: dict[int, list[type[errors.Problem]]] = {}
    told = route.description
    problems = [*_EVERYWHERE, *_REFUSED[may], *told.problems, *(_OF_A_BODY if told.takes else ())]
    for problem in dict.fromkeys(problems):
        by_status.setdefault(problem.status.value, []).append(problem)
    shown = {}
    for status, problems in sorted(by_status.items()):
        component = "Or".join(sorted(problem.__name__ for problem in problems))
        responses[component] = _failure(problems)
        shown[str(status)] = {"$ref": f"#/components/responses/{component}"}
    return shown


def _failure(problems: list[type[errors.Problem]]) -> Schema:
    retry = {errors.RateLimited, errors.DatabaseUnavailable, errors.CarsTaken} & set(problems)
    headers = (
        "Cache-Control",
        *(("Retry-After",) if retry else ()),
        *(("WWW-Authenticate",) if errors.Unauthenticated in problems else ()),
        *(_LIMITED if errors.RateLimited in problems else ()),
    )
    return {
        "description": " ".join(inspect.cleandoc(problem.__doc__ or "") for problem in problems),
        "headers": {header: {"$ref": f"#/components/headers/{header}"} for header in headers},
        "content": {
            errors.CONTENT_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {"properties": {"type": {"enum": [errors.TYPE_PREFIX + problem.name for problem in problems]}}},
                    ]
                },
                "example": errors.body(_occurrence(problems[0])),
            }
        },
    }


def _occurrence(problem: type[errors.Problem]) -> errors.Problem:
    if problem is errors.BadRequest:
        return errors.BadRequest("laps", "Unknown parameter 'laps': this route takes series.")
    return problem(inspect.cleandoc(problem.__doc__ or "").partition("\n")[0])


def _headers(route: Route, names: Iterable[str]) -> Schema:
    limited = route.rule.rule.startswith("/api/")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names if limited or name not in _LIMITED}


_EVERYWHERE = (errors.BadRequest, errors.RateLimited, errors.Internal, errors.DatabaseUnavailable)
_OF_A_BODY = (errors.TooLarge, errors.WrongContentType)
_REFUSED: Mapping[Access, tuple[type[errors.Problem], ...]] = {
    Access.PUBLIC: (),
    Access.SESSIONS: (errors.Unauthenticated, errors.Forbidden),
    Access.ASKER: (errors.Unauthenticated, errors.Forbidden),
    Access.USER: (errors.Unauthenticated, errors.Forbidden),
    Access.TRACKS: (errors.Unauthenticated, errors.Forbidden),
    Access.ADMIN: (errors.Unauthenticated, errors.Forbidden),
}
_PROBLEM: Schema = {
    "description": "A failure, as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "which problem it is; stable"},
        "title": {"type": "string", "description": "the same for people"},
        "status": {"type": "integer", "description": "the HTTP status"},
        "detail": {"type": "string", "description": "what is the matter this time, for people"},
        "parameter": {"type": "string", "description": "of a bad request: the parameter or member that is refused"},
        "candidates": {"type": "array", "items": {"type": "string"}, "description": "of what is ambiguous: ids"},
    },
}


class _Types:
    """The schemas of bodies, each once among the components."""

    def __init__(self, described: Iterable[Description]) -> None:
        told = list(described)
        answered = [
            _schema_of(each.answers.item if isinstance(each.answers, ListOf) else each.answers) for each in told
        ]
        taken = [each.takes for each in told if each.takes]
        self.components: dict[str, Schema] = {}
        self._references: dict[Any, Schema] = {}
        self._add([each for each in answered if isinstance(each, type)], open_ended=True)
        self._add(taken, open_ended=False)
        for schema in answered:
            if isinstance(schema, Mapping) and "title" in schema:
                self.components[schema["title"]] = dict(schema)

    def _add(self, types: list[type[Struct]], *, open_ended: bool) -> None:
        """open_ended: there may be more keys one day, which a client has to let pass."""
        types = list(dict.fromkeys(types))
        references, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
        self._references.update(zip(types, references, strict=True))
        for schema in components.values():
            for key, value in schema.get("properties", {}).items():
                complete(key, value)
            if open_ended and schema.get("additionalProperties") is False:
                del schema["additionalProperties"]
        for kind in types:
            if issubclass(kind, Document):
                components[kind.__name__]["required"] += ["v", "writtenAt"]
        self.components.update(components)

    def reference(self, kind: Any) -> Schema:
        """A type, shape or schema, as it is referred to."""
        schema = _schema_of(kind)
        if isinstance(schema, Mapping):
            return {"$ref": f"#/components/schemas/{schema['title']}"} if "title" in schema else dict(schema)
        return self._references[schema]

    def schema(self, answers: Any) -> Schema:
        """Of the body of an answer."""
        if not isinstance(answers, ListOf):
            return self.reference(answers)
        return {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {"type": "array", "items": self.reference(answers.item)},
                "nextCursor": {"type": "string", "description": "for the next page; absent on the last one"},
            },
        }


def _schema_of(kind: Any) -> Any:
    """The schema of a shape; a type or schema as it is."""
    return kind.schema if isinstance(kind, Shape) else kind


@cache
def _examples() -> dict[str, dict[str, Any]]:
    examples: dict[str, dict[str, Any]] = orjson.loads(EXAMPLES.read_bytes()) if EXAMPLES.exists() else {}
    return examples
