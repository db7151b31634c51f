"""What answers tell besides their bytes: timings, what a delivery network may keep, and where bodies are cut."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.edge import MASTER, SEGMENT, SEGMENT_BYTES, EdgeUnderTest, running_edge

NETWORK, MEMBER = "203.0.113.0/24", "203.0.113.9"


async def test_server_timing_tells_what_a_request_waited_for(edge: EdgeUnderTest) -> None:
    token, page = edge.token(), {"origin": "https://watch.example"}
    first = await edge.get(SEGMENT, token, headers=page)
    assert re.fullmatch(r"cache;desc=miss, seat;dur=[\d.]+, origin;dur=[\d.]+", first.headers["server-timing"])
    second = await edge.get(SEGMENT, token, headers=page)
    assert second.headers["server-timing"] == "cache;desc=hit"
    assert "server-timing" in second.headers["access-control-expose-headers"]
    assert second.headers["timing-allow-origin"] == "*"


async def test_what_only_pages_can_read_goes_to_pages_alone(edge: EdgeUnderTest) -> None:
    token = edge.token()
    await edge.get(SEGMENT, token)
    player, page = (
        await edge.get(SEGMENT, token),
        await edge.get(SEGMENT, token, headers={"origin": "https://a.example"}),
    )
    alone = {"server-timing", "timing-allow-origin", "access-control-expose-headers", "cross-origin-resource-policy"}
    assert not alone & player.headers.keys()
    assert alone <= page.headers.keys()
    assert player.headers.items() <= page.headers.items()
    for name in ("etag", "accept-ranges", "cache-status", "access-control-allow-origin", "content-length"):
        assert player.headers[name]


async def test_only_a_delivery_network_of_ours_is_told_to_keep_media(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, cdn_networks=NETWORK) as edge:
        token = edge.token()
        for _ in range(2):  # from the bucket, and from RAM
            ours = await edge.get(SEGMENT, token, address=MEMBER)
            stranger = await edge.get(SEGMENT, token, address="198.51.100.1")
            assert ours.headers["cdn-cache-control"] == "public, max-age=31536000, immutable"
            assert "cdn-cache-control" not in stranger.headers
            assert ours.headers["cache-control"].startswith("private")
        assert "cdn-cache-control" not in (await edge.get(MASTER, token, address=MEMBER)).headers


async def test_media_marked_for_one_viewer_is_never_kept_for_others(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, cdn_networks=NETWORK) as edge:
        answer = await edge.get(SEGMENT, edge.token(w="17"), address=MEMBER)
        assert answer.status == 200
        assert "cdn-cache-control" not in answer.headers


async def test_headers_kept_with_an_object_are_not_changed_by_what_is_asked(edge: EdgeUnderTest) -> None:
    token = edge.token()
    await edge.get(SEGMENT, token)
    whole = await edge.get(SEGMENT, token)
    part = await edge.get(SEGMENT, token, headers={"range": "bytes=0-9"})
    again = await edge.get(SEGMENT, token)
    assert (part.status, part.body, part.headers["content-length"]) == (206, SEGMENT_BYTES[:10], "10")
    assert (again.status, again.headers, again.body) == (200, whole.headers, SEGMENT_BYTES)
    assert "content-range" not in again.headers


async def test_an_edge_that_drains_closes_each_connection(edge: EdgeUnderTest) -> None:
    token = edge.token()
    await edge.get(SEGMENT, token)
    assert "connection" not in (await edge.get(SEGMENT, token)).headers
    assert edge.app.edge is not None
    edge.app.edge.drain()
    assert (await edge.get(SEGMENT, token)).headers["connection"] == "close"
    assert (await edge.get(MASTER)).headers["connection"] == "close"
