"""The pages in a real browser: set-up, uploads that go on, words for what goes wrong, keys alone, clean markup."""

from __future__ import annotations

import asyncio
import email
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from infra.api import Api
from tests.e2e.conftest import Open
from tests.support import media
from tests.support.api import Person
from tests.support.stack import Running, running_stack

BOSS, BOSS_MAIL, PASSWORD = "boss", "boss@usher.example", "a long enough password"
FILM = "Harbour at dusk"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GUEST_PAGES = [
    "/",
    "/?q=nothing",
    "/login",
    "/register",
    "/forgot",
    "/reset?token=x",
    "/docs",
    "/docs/problems",
    "/none",
]
OWN_PAGES = ["/studio", "/account", "/portal", "/wallet", "/purchases"]
SELLING_PAGES = ["/studio/coupons", "/studio/blocked", "/studio/webhooks", "/earnings", "/payouts"]
OFFICE_PAGES = ["/admin", "/admin/titles", "/admin/payments", "/admin/payouts", "/admin/report", "/admin/audit"]
#: What a page gets wrong, as words; runs in the page.
FAULTS = """() => {
  const seen = (one) => one.checkVisibility();
  const named = (one) => one.ariaLabel || one.labels?.length || one.getAttribute("aria-labelledby");
  const faults = [...(window.refusedByPolicy ?? [])];
  const headings = [...document.querySelectorAll("h1")].filter(seen).length;
  if (headings !== 1) faults.push(`${headings} headings of the first level`);
  for (const one of document.querySelectorAll("input:not([type=file]), textarea, select"))
    if (!named(one)) faults.push(`no label: ${one.outerHTML}`);
  for (const one of document.querySelectorAll("a[href], button"))
    if (seen(one) && !(one.ariaLabel || one.textContent.trim())) faults.push(`no name: ${one.outerHTML}`);
  for (const one of document.querySelectorAll("img:not([alt])")) faults.push(`no alt: ${one.outerHTML}`);
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  if (new Set(ids).size !== ids.length) faults.push("an id stands twice");
  if (!document.documentElement.lang || !document.title) faults.push("no language or no title");
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) faults.push(`wider than the screen by ${wide}`);
  return faults;
}"""
REPORT = """window.refusedByPolicy = [];
document.addEventListener("securitypolicyviolation", (one) =>
  window.refusedByPolicy.push(`${one.violatedDirective} ${one.blockedURI}`));"""

#: Where the studio takes a master.
MASTER = "input[type=file][accept*=video]"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running Usher that nobody has set up, since one's own people are left alone without accounts."""
    with running_stack(tmp_path_factory.mktemp("usher"), demo=False, arguments=["--no-accounts"]) as running:
        assert running.accounts == {}
        assert Api(running.addresses["control"]).get("portal")["needs_setup"]
        yield running


@pytest.fixture(scope="module")
def clip() -> Path:
    """A clip that is soon made, with room in it so that sending it takes a while."""
    size = 12_000_000
    return media.derived(
        "roomy.mp4", lambda film: film + size.to_bytes(4, "big") + b"free" + bytes(size - 8), media.plain()
    )


async def person(stack: Running, login: str, password: str, **headers: str) -> Person:
    """Somebody logged in as a program does."""
    async with httpx2.AsyncClient(base_url=stack.addresses["control"], headers=headers, timeout=60) as http:
        answer = await http.post("/v1/auth/login", json={"login": login, "password": password, "bearer": True})
    assert answer.status_code == 200, answer.text
    return Person(stack, answer.json()["bearer_token"])


@pytest.fixture
async def boss(stack: Running, open_page: Open) -> AsyncIterator[Person]:
    """The first admin, made by the set-up page when there is none yet; a seller too."""
    async with httpx2.AsyncClient(base_url=stack.addresses["control"], timeout=60) as http:
        needed = (await http.get("/v1/portal")).json()["needs_setup"]
    if needed:
        page = await open_page()
        await page.goto("/")
        await page.get_by_role("link", name="Set it up").click()
        await page.get_by_label("Name of the portal").fill("Harbour Cinema")
        await page.get_by_label("Your e-mail").fill(BOSS_MAIL)
        await page.get_by_label("Your user name").fill(BOSS)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Open the portal").click()
        await page.wait_for_url("**/studio")
    logged_in = await person(stack, BOSS, PASSWORD)
    if not (await logged_in.ask("GET", "me"))["sellers"]:
        await logged_in.ask("POST", "sellers", 201, name="Harbour Films", handle="harbour")
    yield logged_in
    await logged_in.close()


@pytest.fixture
async def film(boss: Person) -> dict[str, Any]:
    """A published title, made once."""
    known = (await boss.ask("GET", "titles"))["items"]
    found = next((one for one in known if one["name"] == FILM), None)
    if found is None:
        master = media.plain()
        title = await boss.make_title(name=FILM, kind="video", price_minor=0)
        await boss.send(await boss.begin_upload(title, master), master.read_bytes(), offset=0)
        await boss.wait_ready(title)
        found = await boss.ask("POST", f"titles/{title}/publish")
    return dict(found)


async def enter(page: Page, login: str = BOSS, password: str = PASSWORD, *, to: str = "/") -> None:
    """Log in through the page and go on to `to`."""
    await page.goto(f"/login?next={to}")
    await page.get_by_label("E-mail or user name").fill(login)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(lambda url: "/login" not in url)


async def throttle(session: CDPSession, bytes_a_second: float) -> None:
    """Let the browser send no faster; -1 lifts it."""
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
    await session.send("Network.emulateNetworkConditions", conditions)


async def test_setup_page_makes_the_first_admin_and_closes_behind_them(
    stack: Running, boss: Person, open_page: Open
) -> None:
    assert (await boss.ask("GET", "portal"))["name"] == "Harbour Cinema"
    await boss.ask("GET", "flags")  # which only an admin may read
    page = await open_page()
    await page.goto("/setup")
    assert page.url == f"{stack.addresses['control']}/"
    await expect(page.get_by_role("banner")).to_contain_text("Harbour Cinema")
    await expect(page.get_by_role("link", name="Set it up")).to_have_count(0)


async def test_paused_upload_goes_on_at_its_offset_when_the_page_was_loaded_again(
    boss: Person, open_page: Open, clip: Path
) -> None:
    page = await open_page()
    await enter(page, to="/studio")
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await throttle(session, 4_000_000)
    await page.locator(MASTER).set_input_files(clip)
    await page.wait_for_function("() => document.querySelector('[data-transfer] progress')?.value > 3e6")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("[data-transfer]")).to_contain_text("paused")

    await page.reload()
    await expect(page.get_by_text("Choose the same file again")).to_be_visible()
    await throttle(session, -1)
    async with page.expect_request(lambda asked: asked.method == "PATCH") as asked:
        await page.locator(MASTER).set_input_files(clip)
    begun_at = int((await asked.value).headers["upload-offset"])
    assert 0 < begun_at < clip.stat().st_size

    await expect(page.get_by_role("button", name="Publish", exact=True)).to_be_visible(timeout=60_000)
    await boss.wait_ready(page.url.rsplit("/", 1)[1])


async def test_studio_says_why_when_a_file_is_no_film_or_only_part_of_one(boss: Person, open_page: Open) -> None:
    page = await open_page()
    await enter(page, to="/studio")
    await page.locator(MASTER).set_input_files(media.written("notes.mp4", b"Dear diary, " * 50))
    await expect(page.get_by_role("alert").filter(has_text="text file")).to_be_visible()
    await expect(page.get_by_role("button", name="Resume")).to_be_hidden()

    await page.get_by_role("button", name="Choose another file").click()
    half = media.derived("half.mp4", lambda whole: whole[: len(whole) // 2], media.plain())
    await page.locator(MASTER).set_input_files(half)
    await expect(page.get_by_role("alert").filter(has_text="cut off")).to_be_visible(timeout=60_000)
    await expect(page.get_by_role("button", name="Upload another file")).to_be_visible()


async def test_forgotten_password_is_chosen_anew_by_the_link_in_the_mail(
    stack: Running, boss: Person, open_page: Open
) -> None:
    page = await open_page(phone=True)
    await page.goto("/register")
    await page.get_by_label("E-mail").fill("ann@usher.example")
    await page.get_by_label("User name").fill("ann")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_url(lambda url: "/register" not in url)

    other = await open_page(phone=True)
    await other.goto("/forgot")
    await other.get_by_label("E-mail").fill("ann@usher.example")
    await other.get_by_role("button").filter(has_text="link").click()
    await expect(other.get_by_text("the link is on its way")).to_be_visible()
    await other.goto(await mailed_link(stack, "ann@usher.example"))
    assert "token" not in other.url
    await other.get_by_label("New password").fill("another long password")
    await other.get_by_role("button", name="Save the password").click()
    await expect(other.get_by_text("Your password is changed")).to_be_visible()
    await enter(other, "ann", "another long password", to="/account")
    await expect(other.get_by_text("This device")).to_be_visible()

    await page.goto("/account")
    assert "/login" in page.url


def _text(mail: EmailMessage) -> str:
    plain = mail.get_body(("plain",))
    return str(plain.get_content()) if plain is not None else ""


async def mailed_link(stack: Running, to: str) -> str:
    """The address in the newest mail to somebody."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        files = sorted(
            (p for p in (Path(stack.home) / "mail").rglob("[!.]*") if p.is_file()), key=lambda p: p.stat().st_mtime
        )
        for file in reversed(files):
            mail = email.message_from_bytes(file.read_bytes(), policy=default)
            if mail["To"] == to and (found := re.search(r"https?://\S+", _text(mail))):
                return found[0]
        await asyncio.sleep(0.1)
    raise AssertionError(f"no mail to {to}")


async def test_takedown_shows_its_notice_on_the_watch_page_and_in_the_studio(
    boss: Person, film: dict[str, Any], open_page: Open
) -> None:
    page = await open_page()
    await enter(page, to=film["watch_url"])
    reason, notice = "claim 4711", "Removed after a claim."
    await boss.ask("PUT", f"titles/{film['id']}/takedown", reason=reason, notice=notice)
    try:
        await page.get_by_role("button", name=re.compile("^Play ")).click()
        await expect(page.get_by_role("alert")).to_contain_text("taken down")
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text(notice)
        await expect(page.get_by_role("button", name=re.compile("^Play "))).to_have_count(0)
        await page.goto(f"/studio/{film['id']}")
        for words in (reason, notice):
            await expect(page.get_by_role("alert").first).to_contain_text(words)
    finally:
        await boss.ask("DELETE", f"titles/{film['id']}/takedown")


async def test_keys_alone_log_in_and_play(film: dict[str, Any], open_page: Open) -> None:
    page = await open_page()
    await page.goto(f"/login?next={film['watch_url']}")
    await expect(page.get_by_label("E-mail or user name")).to_be_focused()
    await page.keyboard.type(BOSS)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{film['watch_url']}")
    start = page.get_by_role("button", name=f"Play {FILM}")
    await expect(start).to_be_visible()
    for _ in range(10):
        if await start.evaluate("one => one === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_function("() => document.querySelector('video')?.currentTime > 0.3")
    await page.keyboard.press("Space")
    await page.wait_for_function("() => document.querySelector('video').paused")


async def test_reloaded_page_shows_early_that_it_lives_since_the_old_one_may_have_freed_its_seat(
    film: dict[str, Any], open_page: Open
) -> None:
    page = await open_page()
    await enter(page, to=film["watch_url"])
    for reload in (False, True):
        if reload:
            await page.reload()
        async with page.expect_request(lambda asked: "/beat?" in asked.url, timeout=12_000):
            await page.get_by_role("button", name=re.compile("^Play ")).click()


@asynccontextmanager
async def playing(*urls: str) -> AsyncIterator[None]:
    """All of them have their seats, which are kept as players keep them, however long the body takes."""
    all_are = asyncio.Event()

    async def keep() -> None:
        async with httpx2.AsyncClient(timeout=60) as player:
            while True:
                if all([(await player.get(url)).status_code == 200 for url in urls]):
                    all_are.set()
                await asyncio.sleep(1)

    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keep())
        await asyncio.wait_for(all_are.wait(), 60)  # an earlier page's screen is ending
        yield
        keeping.cancel()


async def test_other_screens_are_called_what_the_account_calls_them(
    stack: Running, boss: Person, film: dict[str, Any], open_page: Open
) -> None:
    urls = []
    for _ in range(2):
        screen = await person(stack, BOSS, PASSWORD, **{"User-Agent": FIREFOX})
        urls.append((await screen.ask("POST", f"titles/{film['id']}/play"))["url"])
        await screen.close()

    async with playing(*urls):
        page = await open_page(phone=True)
        await enter(page, to=film["watch_url"])
        await page.get_by_role("button", name=re.compile("^Play ")).click()
        await expect(page.get_by_role("alert").locator("li").filter(has_text="Firefox on Linux")).to_have_count(2)


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
async def test_pages_are_clean_and_fit_when_looked_at(
    boss: Person, film: dict[str, Any], open_page: Open, phone: bool
) -> None:
    page = await open_page(phone=phone)
    await page.add_init_script(REPORT)
    for path in [*GUEST_PAGES, film["watch_url"]]:
        await page.goto(path, wait_until="networkidle")
        assert await page.evaluate(FAULTS) == [], path
    await enter(page)
    for path in [*OWN_PAGES, *SELLING_PAGES, *OFFICE_PAGES, f"/studio/{film['id']}"]:
        await page.goto(path)
        await expect(page.get_by_text("Loading")).to_have_count(0)
        assert await page.evaluate(FAULTS) == [], path


async def test_day_without_an_hour_is_the_same_day_west_of_greenwich(stack: Running, browser: Browser) -> None:
    place = await browser.new_context(base_url=stack.addresses["control"], timezone_id="America/Los_Angeles")
    page = await place.new_page()
    await page.goto("/docs")
    said = "async () => (await import('/static/js/dates.js')).day('2026-11-01')"
    assert await page.evaluate(said) == "Nov 1, 2026"
    await place.close()
