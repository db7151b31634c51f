"""Sending webhooks: to addresses that were checked and to no other, whatever receivers and name servers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.control.webhooks.adapters import sender as sending
from gateway.control.webhooks.adapters.sender import HttpSender, open_sender
from tests.support.patience import until
from tests.support.ports import free_base
from tests.support.receivers import Receiver, receiver

HEADERS = {"webhook-id": "msg_1"}


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    """Somebody who is told."""
    async with receiver() as made:
        yield made


@pytest.fixture
async def sender() -> AsyncIterator[HttpSender]:
    """A sender that may send to this machine."""
    async with open_sender(loopback=True) as made:
        yield made


async def test_name_is_looked_up_once_and_only_what_was_checked_is_connected_to() -> None:
    """The name server answers first with a good address, and with another when it is asked again."""
    answers = [["127.0.0.2"], ["169.254.169.254"], ["127.0.0.1"]]
    port = free_base(1)
    async with receiver("127.0.0.2", port) as good, receiver("127.0.0.1", port) as inside:
        async with open_sender(loopback=True, lookup=lambda host, _: answers.pop(0)) as sender:
            answer = await sender.send(f"http://hooks.localhost:{port}/x", HEADERS, b"{}")
        assert (answer.status, len(good.got), inside.got, len(answers)) == (200, 1, [], 2)
        assert good.hosts == [f"hooks.localhost:{port}"]


@pytest.mark.parametrize(
    "found",
    [["10.0.0.1"], ["169.254.169.254"], ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"],
     ["100.64.0.1"], ["8.8.8.8", "192.168.0.1"], ["224.0.0.1"], ["fe80::1%lo"], []],
)  # fmt: skip
async def test_name_that_leads_inside_is_not_connected_to(found: list[str]) -> None:
    async with open_sender(loopback=False, lookup=lambda host, port: found) as sender:
        answer = await sender.send("https://shop.example/x", HEADERS, b"{}")
    assert (answer.status, answer.words) == (0, "Its name leads to an address that is not public.")


async def test_name_that_is_unknown_or_nobody_listens_at_gets_words(sender: HttpSender) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    async with open_sender(loopback=False, lookup=unknown) as other:
        answer = await other.send("https://shop.example/x", HEADERS, b"{}")
    assert answer.words == "No connection: Name or service not known"
    refused = await sender.send(f"http://127.0.0.1:{free_base(1)}/x", HEADERS, b"{}")
    assert refused.status == 0 and refused.words.startswith("No connection: ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "https://[::1]/x", "https://localhost/x"])
async def test_this_machine_is_not_sent_to_where_no_setting_allows_it(url: str) -> None:
    async with open_sender(loopback=False) as sender:
        assert (await sender.send(url, HEADERS, b"{}")).words == "Webhooks are not sent to this machine."


@pytest.mark.parametrize("status", [307, 308])
async def test_redirect_that_keeps_the_request_is_followed_with_its_body(
    sender: HttpSender, hooks: Receiver, status: int
) -> None:
    async with receiver(statuses=[status], headers={"Location": f"{hooks.url}/there"}) as first:
        answer = await sender.send(first.url, HEADERS, b'{"a": 1}')
    assert answer.is_taken and hooks.bodies == [{"a": 1}] and hooks.ids == ["msg_1"]


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_other_redirect_is_not_followed(sender: HttpSender, hooks: Receiver, status: int) -> None:
    async with receiver(statuses=[status], headers={"Location": hooks.url}) as first:
        answer = await sender.send(first.url, HEADERS, b"{}")
    assert answer.status == status and "307" in answer.words and hooks.got == []


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/meta-data", "https://169.254.169.254/", "https://10.0.0.1/", "//192.168.0.1/",
     "https://[::ffff:127.0.0.1]/", "https://2130706433/", "http://shop.example/", "file:///etc/passwd", "ftp://x.org/"],
)  # fmt: skip
async def test_redirect_inside_is_not_followed(sender: HttpSender, location: str) -> None:
    async with receiver(statuses=[307], headers={"Location": location}) as first:
        answer = await sender.send(first.url, HEADERS, b"{}")
        assert (answer.status, len(first.got)) == (0, 1) and answer.words


@pytest.mark.parametrize(
    "found",
    [["10.0.0.1"], ["169.254.169.254"], ["100.64.0.1"], ["8.8.8.8", "192.168.0.1"], ["fd00:ec2::254"],
     ["64:ff9b::a9fe:a9fe"], []],
)  # fmt: skip
async def test_redirect_to_a_public_name_that_leads_inside_is_not_followed(found: list[str]) -> None:
    names = {"hooks.localhost": ["127.0.0.1"], "shop.example": found}
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return names[host]

    async with receiver(statuses=[307], headers={"Location": "https://shop.example/x"}) as first:
        async with open_sender(loopback=True, lookup=lookup) as sender:
            answer = await sender.send(first.url.replace("127.0.0.1", "hooks.localhost"), HEADERS, b"{}")
        assert len(first.got) == 1
    assert (answer.status, answer.words) == (0, "Its name leads to an address that is not public.")
    assert asked == ["hooks.localhost", "shop.example"]


async def test_redirect_to_this_machine_is_checked_as_an_address_is(hooks: Receiver) -> None:
    """The receiver stands for one far away: when it answers, this machine may not be sent to any more."""
    async with open_sender(loopback=True) as sender:

        async def redirect(request: web.Request) -> web.Response:
            sender.loopback = False
            return web.Response(status=307, headers={"Location": hooks.url})

        async with receiver(answer=redirect) as first:
            answer = await sender.send(first.url, HEADERS, b"{}")
    assert answer.words == "Webhooks are not sent to this machine." and hooks.got == []


async def test_redirects_in_a_ring_end(sender: HttpSender) -> None:
    async with receiver(statuses=[307] * 9, headers={"Location": "/again"}) as first:
        answer = await sender.send(first.url, HEADERS, b"{}")
        assert answer.words == "It was redirected more than 3 times." and len(first.got) == 4


async def test_answer_without_an_end_is_not_read(sender: HttpSender) -> None:
    sent = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 65536)
        except ConnectionError:
            sent.set()
        return answer

    async with receiver(answer=endless) as hooks:
        assert (await sender.send(hooks.url, HEADERS, b"{}")).is_taken

        async def cut() -> bool:
            return sent.is_set()

        await until(cut)


async def test_receiver_that_never_answers_is_waited_for_so_long_and_no_longer(
    sender: HttpSender, hooks: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TOTAL_S", 0.2)
    hooks.open.clear()
    assert "No answer within" in (await sender.send(hooks.url, HEADERS, b"{}")).words


async def test_what_is_no_http_gets_words(sender: HttpSender) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        answer = await sender.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", HEADERS, b"{}")
    assert answer.status == 0 and answer.words.startswith("No answer: ") and len(answer.words) < 250


async def test_proxy_of_the_environment_is_not_asked(
    sender: HttpSender, hooks: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert (await sender.send(hooks.url, HEADERS, b"{}")).is_taken and proxy.got == []
