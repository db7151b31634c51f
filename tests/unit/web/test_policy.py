"""The Content-Security-Policy."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.web.policy import content_security_policy
from shared.settings import ControlSettings


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


def test_policy_allows_nothing_inline_and_the_edge_alone_when_default(settings: ControlSettings) -> None:
    policy = content_security_policy(settings)
    assert "unsafe" not in policy
    allowed = directives(policy)
    assert allowed["default-src"] == ["'none'"]
    assert allowed["script-src"] == ["'self'"]
    assert allowed["connect-src"] == ["'self'", "https://edge.example"]
    assert allowed["media-src"] == ["'self'", "blob:", "data:", "https://edge.example"]
    assert allowed["frame-src"] == ["'none'"]


def test_policy_admits_turnstile_only_when_it_is_the_bot_check() -> None:
    policy = directives(content_security_policy(ControlSettings(bot_check="turnstile")))
    assert policy["script-src"][1:] == policy["frame-src"] == ["https://challenges.cloudflare.com"]


def test_policy_names_the_origin_of_a_logo_and_nothing_else_when_it_lies_elsewhere(settings: ControlSettings) -> None:
    policy = content_security_policy(settings, logo_url="https://cdn.example/logo.png?x=1")
    assert directives(policy)["img-src"] == [
        "'self'",
        "data:",
        "blob:",
        "https://edge.example",
        "https://cdn.example",
    ]
    sly = content_security_policy(settings, logo_url="https://x;script-src *")
    assert directives(sly)["script-src"] == ["'self'"]


async def test_page_carries_the_policy_of_its_logo_when_rendered(browse: Any, shelf: Any) -> None:
    shelf.portal_shown = msgspec.structs.replace(shelf.portal_shown, logo_url="https://cdn.example/logo.png")
    answer = await browse("/")
    assert "https://cdn.example" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "private, no-cache"
