"""The Content-Security-Policy of pages: no inline script, no inline style, nothing from elsewhere but the edge."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from shared.settings import ControlSettings

TURNSTILE = "https://challenges.cloudflare.com"
#: The digest of the empty text. media-chrome wants `<style>` elements in its shadow trees; the player hands it empty
#: ones and fills them through the CSSOM, so the one inline style that is allowed is no style at all.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


def content_security_policy(settings: ControlSettings, *, logo_url: str = "", framed: bool = False) -> str:
    """The policy all pages are sent with; a logo that lies elsewhere may be fetched from there.

    `framed`: the page shows another of ours in a frame.
    """
    edge = settings.edge_origin.rstrip("/")
    turnstile = [TURNSTILE] if settings.bot_check == "turnstile" else []
    frames = [*(["'self'"] if framed else []), *turnstile] or ["'none'"]
    logo = [origin_of(logo_url)] if logo_url.startswith("https://") else []
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *turnstile],
        "frame-src": frames,
        "style-src": ["'self'", EMPTY_STYLE],
        "img-src": ["'self'", "data:", "blob:", edge, *logo],
        # hls.js makes each track of subtitles from `data:,WEBVTT`, an empty one.
        "media-src": ["'self'", "blob:", "data:", edge],
        "connect-src": ["'self'", edge],
        "worker-src": ["'self'", "blob:"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in directives.items())


def page_headers(settings: ControlSettings, *, logo_url: str = "", framed: bool = False) -> dict[str, str]:
    """Headers of every page. `no-cache`, not `no-store`: a browser may keep a page for its back button."""
    return {
        "Content-Security-Policy": content_security_policy(settings, logo_url=logo_url, framed=framed),
        "Cache-Control": "private, no-cache",
        "Vary": "Cookie",
    }


def origin_of(address: str) -> str:
    """Scheme and host of an address, with nothing in it that would end a directive."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{quote(parts.netloc, safe=':.-[]')}"
