"""Pages of mail in a folder: to this machine alone, and nothing of a message reaches the page around it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette

from gateway.control.mail.adapters.folder import FolderMailer
from gateway.control.mail.adapters.open import mailbox_of
from gateway.control.mail.model import Letter, Mailbox, Text
from gateway.web.pages import Pages
from shared.settings import ControlSettings
from tests.unit.web.conftest import HOSTILE, NoLimits, Shelf, with_state

ID = "20260301T120000-mail_" + "0" * 32
LOCAL = ControlSettings(public_origin="http://127.0.0.1:8700", dev_mail=True)
Ask = Callable[..., Any]


@pytest.fixture
async def folder(tmp_path: Path) -> FolderMailer:
    """A folder with a message whose every word is hostile."""
    made = FolderMailer(tmp_path, sender="no-reply@example.org")
    body = Text(" ".join(HOSTILE.split()), HOSTILE, f'<p>{HOSTILE}</p><a href="https://x.example/reset">go</a>')
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    await made.send(Letter(id="mail_" + "0" * 32, at=at, to="ada@example.org", body=body))
    return made


def asking(mailbox: Mailbox | None, *, address: str = "127.0.0.1", origin: str = LOCAL.public_origin) -> Ask:
    state = {"limits": NoLimits(), "trusted_proxies": (), "mail_desk": SimpleNamespace(mailbox=mailbox)}
    app = with_state(Starlette(routes=Pages(LOCAL, Shelf()).routes()), state)
    transport = httpx2.ASGITransport(app=app, client=(address, 40000))
    return httpx2.AsyncClient(transport=transport, base_url=origin).get


async def test_mail_is_listed_and_opened_with_its_html_in_a_frame(folder: FolderMailer) -> None:
    ask = asking(folder)
    listed, opened = await ask("/dev/mail"), await ask(f"/dev/mail/{ID}")
    assert f'href="/dev/mail/{ID}"' in listed.text and "ada@example.org" in listed.text
    assert f'src="/dev/mail/{ID}/html"' in opened.text and 'sandbox="allow-popups ' in opened.text
    assert "frame-src 'self'" in opened.headers["content-security-policy"]
    assert "frame-src 'none'" in (await ask("/docs")).headers["content-security-policy"]
    for answer in (listed, opened):
        assert answer.status_code == 200 and "<script>alert" not in answer.text


async def test_message_is_sent_so_that_nothing_in_it_runs_and_its_links_lead_out(folder: FolderMailer) -> None:
    answer = await asking(folder)(f"/dev/mail/{ID}/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "allow-same-origin" not in policy
    assert "sandbox allow-popups" in policy and answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.text.startswith('<base target="_blank">') and "https://x.example/reset" in answer.text


@pytest.mark.parametrize("path", ["/dev/mail", f"/dev/mail/{ID}", f"/dev/mail/{ID}/html"])
async def test_nobody_else_is_shown_mail(folder: FolderMailer, path: str) -> None:
    others = (
        asking(None),
        asking(folder, address="10.0.0.7"),
        asking(folder, origin="http://rebound.example:8700"),
    )
    for ask in others:
        answer = await ask(path)
        assert answer.status_code == 404 and "ada@" not in answer.text


async def test_mail_that_is_not_there_is_not_found(folder: FolderMailer) -> None:
    for id in ("x", ID.replace("0000", "1111"), "..%2F..%2Fetc%2Fpasswd"):
        assert (await asking(folder)(f"/dev/mail/{id}")).status_code == 404


def test_folder_is_shown_where_a_setting_asks_for_it_on_somebodys_own_machine_alone() -> None:
    assert mailbox_of(LOCAL) is not None
    for other in (
        {"dev_mail": False},
        {"smtp_host": "mail.example.org"},
        {"public_origin": "https://films.example"},
        {"public_origin": "http://192.168.1.7:8700"},
    ):
        assert mailbox_of(msgspec.structs.replace(LOCAL, **other)) is None
