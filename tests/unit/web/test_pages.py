"""Where pages lead, what they refuse, and how they are cached."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.control.limits import Taken
from gateway.web.control_front import OFFICE
from gateway.web.front import Me, bare_portal
from gateway.web.pages import Pages, inward
from gateway.web.static import FOLDER, StaticTree
from gateway.web.templates import brief, clock, paragraphs, price, spoken
from shared.errors import TooMany, Unavailable
from shared.money import DECIMALS


async def test_watch_leads_to_the_right_slug_when_it_is_missing_or_wrong(browse: Any) -> None:
    for path in ("/watch/ab23", "/watch/ab23/another"):
        answer = await browse(f"{path}?t=30")
        assert answer.status_code == 302
        assert answer.headers["location"] == "/watch/ab23/a-film?t=30"


async def test_page_says_so_in_words_when_there_is_no_such_title(browse: Any) -> None:
    answer = await browse("/watch/zzzz")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


async def test_error_page_comes_without_settings_when_the_database_is_away(browse: Any, shelf: Any) -> None:
    shelf.fails = Unavailable()
    answer = await browse("/")
    assert answer.status_code == 503
    assert "Back in a moment" in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_error_page_says_when_to_return_when_there_were_too_many(browse: Any, shelf: Any) -> None:
    shelf.fails = TooMany(retry_after_s=7)
    answer = await browse("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


async def test_page_tells_its_limit_when_it_answers_and_when_it_refuses(browse: Any, limits: Any) -> None:
    told = {"RateLimit": '"page";r=3;t=9', "RateLimit-Policy": '"page";q=300;w=60'}
    for refusal, status in ((None, 200), (TooMany(retry_after_s=7), 429)):
        limits.taken = Taken(told, refusal)
        answer = await browse("/")
        assert answer.status_code == status
        assert {name: answer.headers.get(name) for name in told} == told


async def test_error_page_tells_nothing_of_the_cause_when_it_was_not_expected(browse: Any, shelf: Any) -> None:
    shelf.fails = RuntimeError("postgres://user:password@host")
    answer = await browse("/")
    assert answer.status_code == 500
    assert "password" not in answer.text


@pytest.mark.parametrize("path", ["/studio", "/studio/ttl_1", "/account", "/portal", "/wallet", "/purchases"])
async def test_private_page_leads_to_log_in_when_nobody_is_logged_in(browse: Any, shelf: Any, path: str) -> None:
    shelf.who = None
    answer = await browse(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize(
    ("who", "led"),
    [
        (Me("ann"), ["/wallet", "/purchases", "/account"]),
        (Me("ann", sells=True), ["/wallet", "/purchases", "/earnings", "/payouts", "/account"]),
        (Me("ann", office=True), ["/wallet", "/purchases", "/account", "/admin"]),
        (Me("ann", admin=True, office=True), ["/wallet", "/purchases", "/account", "/portal", "/admin"]),
    ],
)
async def test_menu_leads_to_what_one_may_do_when_logged_in(browse: Any, shelf: Any, who: Me, led: list[str]) -> None:
    shelf.who = who
    menu = (await browse("/")).text.split('class="menu-list"')[1].split("</div>")[0]
    assert re.findall(r'href="([^"]+)"', menu) == led


def test_menu_knows_what_each_part_of_the_administration_needs_when_it_leads_there() -> None:
    needs = re.findall(r'needs: "([^"]+)"', (FOLDER / "js" / "admin.js").read_text())
    assert needs
    assert set(needs) == set(OFFICE)


def test_pages_know_the_decimals_that_the_ledger_has_when_they_say_an_amount() -> None:
    words = (FOLDER / "js" / "words.js").read_text()
    told = re.search(r"DECIMALS = \{(.*?)\}", words)
    assert told
    assert {name: int(digits) for name, digits in re.findall(r"(\w+): (\d)", told[1])} == DECIMALS


async def test_setup_is_closed_when_there_is_an_admin(browse: Any, shelf: Any) -> None:
    shelf.portal_shown = bare_portal()
    answer = await browse("/setup")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_login_leads_on_only_within_this_site_when_somebody_is_logged_in(browse: Any) -> None:
    for wanted, given in {"/studio": "/studio", "//evil.example": "/", "https://evil.example": "/"}.items():
        answer = await browse(f"/login?next={wanted}")
        assert answer.headers["location"] == given


def test_address_is_inward_only_when_it_is_a_path() -> None:
    outward = ["//x", "/\\x", "https://x", "javascript:alert(1)", "", "x", "/a\nb", "/\t/x"]
    assert [inward(address) for address in outward] == ["/"] * len(outward)
    assert inward("/watch/ab23?t=1") == "/watch/ab23?t=1"


async def test_static_file_may_be_kept_for_ever_when_its_address_holds_the_digest(browse: Any, pages: Pages) -> None:
    kept = await browse(pages.static.url("css/base.css"))
    asked = await browse("/static/css/base.css")
    stale = await browse("/static/000000000000/css/base.css")
    assert kept.content == asked.content
    assert "immutable" in kept.headers["cache-control"]
    assert asked.headers["cache-control"] == "no-cache"
    assert stale.status_code == 404


async def test_portal_sheet_may_be_kept_only_when_the_address_names_its_colours(browse: Any, pages: Pages) -> None:
    page = await browse("/")
    address = page.text.split('href="/portal.css')[1].split('"')[0]
    assert "immutable" in (await browse(f"/portal.css{address}")).headers["cache-control"]
    assert (await browse("/portal.css?v=old")).headers["cache-control"] == "no-cache"


def test_digest_changes_when_a_file_does(tmp_path: Any) -> None:
    (tmp_path / "a.js").write_text("1")
    before = StaticTree(tmp_path).digest
    (tmp_path / "a.js").write_text("2")
    assert StaticTree(tmp_path).digest != before


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [(499, "USD", "$4.99"), (1200, "JPY", "¥1,200"), (1299, "CHF", "12.99\u00a0CHF"), (5, "EUR", "€0.05")],
)
def test_price_is_said_as_people_do_when_shown(amount: int, currency: str, said: str) -> None:
    assert price(amount, currency) == said


def test_lengths_are_said_as_people_do_when_shown() -> None:
    assert [clock(s) for s in (0, 65, 5527.4)] == ["0:00", "1:05", "1:32:07"]
    assert [spoken(s) for s in (35, 240, 3600, 5520)] == ["35 s", "4 min", "1 h", "1 h 32 min"]


def test_text_is_cut_at_a_word_when_it_is_long() -> None:
    assert brief("short\n text") == "short text"
    assert brief("word " * 100).endswith("word …")
    assert len(brief("word " * 100)) <= 202


def test_paragraphs_hold_no_markup_when_the_text_does() -> None:
    assert str(paragraphs("a<b\nc\r\n\r\nd")) == "<p>a&lt;b<br>c</p><p>d</p>"
