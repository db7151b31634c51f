"""OpenAPI 3.1, made from the route table and the msgspec types it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.control.idempotency.model import HEADER
from gateway.control.problems import Problem
from gateway.control.route import Route

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
#: What an idempotent route needs.
_KEY = {
    "name": HEADER,
    "in": "header",
    "required": True,
    "description": "a text of the sender's choice; sent again with the same, the request has its effect once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}
#: Problems every route may answer.
EVERYWHERE = (429, 503)


def document(routes: Sequence[Route], *, title: str, version: str) -> dict[str, Any]:
    """The whole document; the order of paths is that of `routes`."""
    types = {t: None for r in routes for t in (r.body, r.returns) if t is not None} | {Problem: None}
    schemas, components = msgspec.json.schema_components(list(types), ref_template="#/components/schemas/{name}")
    named = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "cookie": {"type": "apiKey", "in": "cookie", "name": "usher_session"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route, named: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag or route.handler.__module__.split(".")[-2]],
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in _names(route)),
            *(
                {"name": n, "in": "query", "description": d, "schema": {"type": "string"}}
                for n, d in route.query.items()
            ),
            *([_KEY] if route.idempotent else []),
        ],
        "responses": _responses(route, named),
        "x-rate-limit": {"count": route.limit.count, "per_s": route.limit.per_s},
    }
    if route.body is not None:
        content = {"application/json": {"schema": named[route.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.login:
        operation["security"] = [{"cookie": []}, {"bearer": []}]
    if route.deprecated:
        operation["deprecated"] = True
    return operation


def _names(route: Route) -> list[str]:
    return [str(name) for name in _PARAMETER.findall(route.path)]


def _responses(route: Route, named: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    status = 204 if route.returns is None and route.status == 200 and not route.stream else route.status
    answer: dict[str, Any] = {"description": "Success"}
    if route.returns is not None:
        answer["content"] = {"application/json": {"schema": named[route.returns]}}
    problem = {
        "description": "Problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": named[Problem]}},
    }
    expected = set(route.problems) | implied(route)
    return {str(status): answer, **{str(code): problem for code in sorted(expected)}}


def implied(route: Route) -> set[int]:
    """Problems that a route may answer by its method, path, parameters and body."""
    expected = set(EVERYWHERE)
    expected |= {401} if route.login else set()
    expected |= {413, 415, 422} if route.body is not None else set()
    expected |= {403} if route.method not in ("GET", "HEAD", "OPTIONS") else set()
    expected |= {404} if "{" in route.path else set()
    expected |= {422} if route.query else set()
    expected |= {409, 422} if route.idempotent else set()
    return expected
