"""Routes of portal."""

from __future__ import annotations

from gateway.control.route import Route

ROUTES: list[Route] = []
