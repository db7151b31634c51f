"""HTTP/2 in cleartext and over TLS, and HTTP/1.1 over TLS."""

from __future__ import annotations

import asyncio

from tests.support import http2
from tests.support.certificates import Certificate
from tests.support.edge_process import EdgeProcess
from tests.support.films import Film
from tests.support.on_the_wire import REFUSED, SIZE, is_whole, statuses_until_silence
from tests.support.players import linked


async def test_http_2_gives_the_same_bytes_in_clear_and_sealed(
    doubled: EdgeProcess, sealed: EdgeProcess, certificate: Certificate, film: Film, whole: bytes
) -> None:
    for one, tls in ((doubled, None), (sealed, certificate.trusting())):
        token = one.token(scope=film.scope, sub="wire", cap=1000)
        async with http2.linked(one.port, tls=tls) as link:
            target = f"/t/{token}/{film.segment(0)}"
            assert is_whole(film, (await link.ask("GET", target)).body)
            part = await link.ask("GET", target, headers={"range": "bytes=131000-131100"})
            assert (part.status, part.length, part.body) == (206, 101, whole[131_000:131_101])
            head = await link.ask("HEAD", target)
            assert (head.status, head.length, head.body) == (200, SIZE, b"")
            assert (await link.ask("POST", f"/t/{token}/beat", body=b"x" * 500)).status == 204
            for method, path, status in REFUSED:
                forged = token[:-1] + ("A" if token[-1] != "A" else "Q")
                answer = await link.ask(method, path.format(token=token, forged=forged))
                assert answer.status == status, path
            answers = await asyncio.gather(
                *(link.ask("GET", f"/t/{token}/{film.segment(number)}") for number in range(60))
            )
            assert all(is_whole(film, one.body, number % 3) for number, one in enumerate(answers))


async def test_tls_serves_http_1_and_refuses_what_is_old(
    sealed: EdgeProcess, certificate: Certificate, film: Film
) -> None:
    token = sealed.token(scope=film.scope, sub="sealed")
    async with linked(sealed.port, tls=certificate.trusting()) as link:
        for number in range(3):
            answer = await link.ask("GET", f"/t/{token}/{film.segment(number)}")
            assert answer.status == 200 and is_whole(film, answer.body, number)
        assert link.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    async with linked(sealed.port) as clear:
        clear.writer.write(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n")
        assert await statuses_until_silence(clear) == []
