"""The API as a document: valid OpenAPI 3.1, made from the routes, and true."""

from __future__ import annotations

import re

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.control.app import DOCUMENT, ROUTES
from tests.support.control import Control, make_seller, register


async def test_document_is_valid_openapi_and_is_served(control: Control) -> None:
    answer = await control.http.get("/v1/openapi.json")
    assert answer.content == DOCUMENT and answer.headers["content-type"] == "application/json"
    OpenAPIV31SpecValidator(answer.json()).validate()


async def test_every_route_is_in_the_document_and_nothing_else(control: Control) -> None:
    paths = (await control.http.get("/v1/openapi.json")).json()["paths"]
    told = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert told == {(route.method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)) for route in ROUTES}
    assert all(operation["x-rate-limit"]["count"] > 0 for methods in paths.values() for operation in methods.values())


async def test_routes_are_refused_when_nobody_is_logged_in(control: Control) -> None:
    for route in (route for route in ROUTES if route.login):
        path = re.sub(r"\{\w+(:\w+)?\}", "x", route.path)
        answer = await control.http.request(route.method, path)
        assert answer.status_code == 401, f"{route.method} {path}"
        assert not answer.content or answer.json()["code"] == "unauthenticated"


async def test_answers_match_the_document_when_all_is_right(control: Control) -> None:
    document = (await control.http.get("/v1/openapi.json")).json()
    me = await register(control.http, "ada")
    await make_seller(control.http, "films")
    for path in ("/v1/me", "/v1/me/devices", "/v1/portal", "/v1/auth/challenge", "/v1/me/export"):
        answer = await control.http.get(path)
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        schema = content["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(answer.json())
    assert me["id"].startswith("usr_")
