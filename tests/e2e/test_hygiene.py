"""What a whole run leaves behind: no secret in a log, no file for others' eyes, nothing outside its folder, no process.

One Usher lives through a day of it: a film is uploaded, watched, refused, accounts log in and out, a password is reset,
the keys are rotated. Then its supervisor is killed and it is started again in the same folder, and ended by Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.stack.mark import carriers, sweep
from infra.stack.plan import PRIVATE_OFFSETS, ROOT
from infra.stack.probe import is_free
from shared.metrics import REGISTRY
from tests.support import media
from tests.support.api import Person, log_in, until
from tests.support.stack import Running, start, stop, usher, wait_ready

NEW_PASSWORD = "a password chosen anew"
#: Whose folder a metric's name tells; those with none of these words are control's.
OWNERS = {"usher_edge_": "edge", "usher_farm_": "farm", "usher_outbox_": "worker", "usher_jobs": "worker"}
#: One of each that must have moved by the end of the day.
MOVED = {
    "control": "usher_http_seconds_count",
    "edge": "usher_edge_sent_bytes_total",
    "farm": "usher_farm_chunks_total",
    "worker": "usher_outbox_relayed_total",
}
#: What tools of the tests write beside the sources while they run.
IGNORED = {"__pycache__", ".git", ".venv", ".cache", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
GONE_WITHIN_S = 60.0


class Day(msgspec.Struct, kw_only=True):
    """What was seen and done until the supervisor was killed, and the run that came after."""

    first: Running
    second: Running
    title: dict[str, Any]
    secrets: set[str]
    metrics: dict[str, str]
    ready: dict[str, int]
    marked: set[int]
    left: list[int]
    outside: set[Path]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("hygiene")
    elsewhere = {name: folder / name.lower() for name in ("HOME", "TMPDIR")}
    for place in elsewhere.values():
        place.mkdir(mode=0o777)
    environ = {name: str(place) for name, place in elsewhere.items()}
    before = listing(ROOT)
    process, ready = start(folder / "run", demo=False, environ=environ)
    first = wait_ready(process, ready)
    try:
        secrets, title = asyncio.run(live(first))
        metrics = {name: ask(first, name, "/metrics")[1] for name in PRIVATE_OFFSETS}
        readiness = {name: ask(first, name, "/readyz")[0] for name in PRIVATE_OFFSETS}
        marked = set(carriers(first.mark))
        os.kill(first.supervisor, signal.SIGKILL)
        process.wait()
        left = left_after(first.mark, GONE_WITHIN_S)
    finally:
        stop(process)
        sweep(first.mark)
    process, ready = start(folder / "run", demo=False, environ=environ)
    second = wait_ready(process, ready)
    try:
        yield Day(
            first=first,
            second=second,
            title=title,
            secrets=secrets | stored_secrets(Path(first.home)),
            metrics=metrics,
            ready=readiness,
            marked=marked,
            left=left,
            outside=listing(ROOT) - before | {path for place in elsewhere.values() for path in place.rglob("*")},
        )
        assert stop(process) == 0
        assert carriers(second.mark) == []
        assert all(is_free(port) for port in second.ports.values())
    finally:
        stop(process)
        sweep(second.mark)


# The day


async def live(running: Running) -> tuple[set[str], dict[str, Any]]:
    """All that may bring a secret near a log; the secrets that were about, and the title as it was published."""
    secrets = {account.password for account in running.accounts.values() if account.password} | {NEW_PASSWORD}
    seller = await log_in(running, "seller")
    secrets.add(bearer_of(seller))
    title = await publish(seller)
    secrets |= await watch_and_be_refused(seller, title)
    secrets |= await log_in_and_out(running)
    secrets |= await forget_the_password(running)
    secrets |= stored_secrets(Path(running.home))
    assert usher(running, "keys", "rotate").returncode == 0
    minted = usher(running, "token", "mint", title)
    assert minted.returncode == 0, minted.stderr
    secrets.add(minted.stdout.strip())
    secrets |= await watch_and_be_refused(seller, title)
    shown = await seller.ask("GET", f"titles/{title}")
    await seller.close()
    return secrets, dict(shown)


async def publish(seller: Person) -> str:
    """A film on the shelf."""
    master = media.plain()
    title = await seller.make_title(name="Clean hands", kind="video", price_minor=0)
    upload = await seller.begin_upload(title, master)
    await seller.send(upload, master.read_bytes(), offset=0)
    await seller.wait_ready(title)
    await seller.ask("POST", f"titles/{title}/publish")
    return title


async def watch_and_be_refused(viewer: Person, title: str) -> set[str]:
    """Play to the first segment, then with the token cut and mutated; the token."""
    url = (await viewer.ask("POST", f"titles/{title}/play"))["url"]
    token = url.split("/t/")[1].split("/")[0]
    async with httpx2.AsyncClient(timeout=60) as http:
        await until(lambda: first_segment(http, url), within_s=60, what="a segment")
        for wrong in (token[:-9], token[:-9] + token[-8:] + "A", "eyJhbGciOiJub25lIn0.e30."):
            assert (await http.get(url.replace(token, wrong))).status_code == 401
        assert (await http.get(url, headers={"Authorization": f"Bearer {token[:-1]}"})).status_code == 400
        assert (await http.get(f"{url}?token={token}")).status_code == 200
    return {token}


async def first_segment(http: httpx2.AsyncClient, url: str) -> bytes | None:
    """The first bytes of media behind a playlist of playlists; None while the edge does not let us."""
    for _ in range(2):
        answer = await http.get(url)
        if answer.status_code != 200:
            return None
        url = urljoin(url, next(line for line in answer.text.splitlines() if line and not line.startswith("#")))
    answer = await http.get(url)
    return answer.content if answer.status_code == 200 else None


async def log_in_and_out(running: Running) -> set[str]:
    """Log in with a cookie, use it, send it broken, log out; with a wrong password too. The cookies."""
    account = running.accounts["viewer"]
    origin = running.addresses["control"]
    async with httpx2.AsyncClient(base_url=origin, headers={"Origin": origin}, timeout=60) as http:
        body = {"login": account.username, "password": account.password}
        assert (await http.post("/v1/auth/login", json=body)).status_code == 200
        cookies = {str(value) for value in http.cookies.values()}
        assert (await http.get("/v1/me")).status_code == 200
        assert (await http.post("/v1/auth/logout")).status_code == 204
        wrong = await http.post("/v1/auth/login", json=body | {"password": NEW_PASSWORD})
        assert wrong.status_code == 401
        malformed = await http.post("/v1/auth/login", json=body | {"extra": account.password})
        assert malformed.status_code == 422
    return cookies


async def forget_the_password(running: Running) -> set[str]:
    """Ask for a reset link and use it; the link's token."""
    mails = Path(running.home) / "mail"
    account = running.accounts["viewer"]
    async with httpx2.AsyncClient(base_url=running.addresses["control"], timeout=60) as http:
        assert (await http.post("/v1/auth/forgot", json={"email": account.email})).status_code == 202

        async def mail() -> str | None:
            found = (path.read_text() for path in mails.glob("*.eml"))
            return next((text for text in found if "/reset?token=" in text), None)

        text = await until(mail, within_s=60, what="a mail")
        token = max(re.findall(r"[\w.~-]{32,}", text), key=len)
        assert (await http.get(f"/reset?token={token}")).status_code in (200, 404)
        body = {"token": token, "password": NEW_PASSWORD}
        assert (await http.post("/v1/auth/reset", json=body)).status_code == 204
        assert (await http.post("/v1/auth/reset", json=body)).status_code == 410
    return {token}


def bearer_of(person: Person) -> str:
    return str(person.http.headers["authorization"]).removeprefix("Bearer ")


def stored_secrets(home: Path) -> set[str]:
    """Every secret that lies in files: of servers, of sessions, of keys."""
    passwords = msgspec.json.decode((home / "passwords.json").read_bytes(), type=dict[str, str])
    sessions = msgspec.json.decode((home / "credentials.json").read_bytes())["sessions"]
    keys = re.findall(r'"d":"([\w-]+)"', (home / "secrets" / "playback-keys").read_text())
    assert len(keys) >= 2, "the current key and the next"
    found = {*passwords.values(), *(one["bearer"] for one in sessions.values()), *keys}
    return found | {(home / "secrets" / "session-hmac").read_text().strip()}


# What is looked at


def listing(folder: Path) -> set[Path]:
    """All files under a folder but for those that tools of the tests write."""
    found: set[Path] = set()
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED]
        found |= {Path(at, name) for name in files}
    return found


def ask(running: Running, name: str, path: str) -> tuple[int, str]:
    """What a private listener answers."""
    url = f"http://127.0.0.1:{running.ports['control'] + PRIVATE_OFFSETS[name]}{path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def left_after(mark: str, within_s: float) -> list[int]:
    """Processes that carry the mark still, some time after the supervisor was killed."""
    deadline = time.monotonic() + within_s
    while (left := carriers(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_no_secret_is_in_any_log(day: Day) -> None:
    logs = sorted(Path(day.first.log_dir).iterdir())
    assert {"control.log", "edge.log", "farm.log", "postgres.log", "valkey.log", "worker.log"} <= {p.name for p in logs}
    assert len(day.secrets) >= 20
    texts = {log.name: log.read_text(errors="replace") for log in logs}
    assert [(name, word) for name, text in texts.items() for word in day.secrets if word in text] == []
    assert [name for name, text in texts.items() if "eyJ" in text] == []
    shown_once = {account.password for account in day.first.accounts.values()}
    said = day.second.output.read_text()
    assert [word for word in day.secrets - shown_once if word in said] == []
    assert all(said.count(str(word)) == 1 for word in shown_once)


def test_files_that_hold_a_secret_are_for_us_alone(day: Day) -> None:
    home = Path(day.first.home)
    words = [word.encode() for word in day.secrets]
    holding = {path for path in home.rglob("*") if path.is_file() and any(w in path.read_bytes() for w in words)}
    assert {home / "passwords.json", home / "credentials.json", home / "secrets" / "playback-keys"} <= holding
    assert {str(path): oct(path.stat().st_mode & 0o777) for path in holding if path.stat().st_mode & 0o177} == {}
    # Root's own may be passed through: Postgres does not run as root and lies within.
    open_to = {path for path in home.iterdir() if path.is_dir() and path.stat().st_mode & 0o077}
    assert open_to == set()
    assert home.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)


def test_nothing_is_written_outside_its_folder(day: Day) -> None:
    assert day.outside == set()


def test_no_process_is_left_when_the_supervisor_was_killed(day: Day) -> None:
    assert set(day.first.pids.values()) <= day.marked
    assert day.left == []
    assert [pid for pid in day.first.pids.values() if Path(f"/proc/{pid}").exists()] == []


async def test_second_start_finds_what_the_first_left(day: Day) -> None:
    async with httpx2.AsyncClient(base_url=day.second.addresses["control"], timeout=60) as http:
        shown = (await http.get(f"/v1/titles/{day.title['short_id']}")).json()
        assert {name: shown[name] for name in ("id", "short_id", "slug", "state")} == {
            name: day.title[name] for name in ("id", "short_id", "slug", "state")
        }
        url = (await http.post(f"/v1/titles/{shown['id']}/play", json={})).json()["url"]
        assert await first_segment(http, url)
        body = {"login": "viewer", "password": NEW_PASSWORD}
        assert (await http.post("/v1/auth/login", json=body)).status_code == 200


def test_passwords_are_shown_at_the_first_start_alone(day: Day) -> None:
    first, second = day.first.accounts, day.second.accounts
    assert [account.username for account in second.values()] == ["admin", "seller", "viewer"]
    assert all(account.password for account in first.values())
    assert not any(account.password for account in second.values())


@pytest.mark.parametrize("name", PRIVATE_OFFSETS)
def test_private_listener_is_ready_and_tells_its_metrics(day: Day, name: str) -> None:
    assert day.ready[name] == 200
    told = {family.name: family for family in text_string_to_metric_families(day.metrics[name])}
    declared = {family.name for family in REGISTRY.collect()}
    own = {n for n in declared if next((p for prefix, p in OWNERS.items() if n.startswith(prefix)), "control") == name}
    assert own and own <= told.keys()
    assert all(told[metric].documentation for metric in own)
    moved = [s.value for family in told.values() for s in family.samples if s.name == MOVED[name]]
    assert sum(moved) > 0


# The edge alone


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@contextlib.contextmanager
def frozen(pids: set[int]) -> Iterator[None]:
    """Processes that hang: they hold their ports and answer nobody."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_edge_is_given_no_database_and_no_secret(day: Day) -> None:
    passwords = msgspec.json.decode((Path(day.second.home) / "passwords.json").read_bytes(), type=dict[str, str])
    foreign = {word for name, word in passwords.items() if name != "valkey_edge"} | {"postgresql://", "secrets"}
    for pid in family(day.second.pids["edge"]):
        environ = Path(f"/proc/{pid}/environ").read_bytes().decode()
        assert [word for word in foreign if word in environ] == []
        assert passwords["valkey_edge"] in environ


async def test_edge_plays_on_and_starts_again_while_all_others_hang(day: Day) -> None:
    pids = day.second.pids
    others = set[int]().union(*(family(pid) for name, pid in pids.items() if name not in ("edge", "valkey")))
    async with httpx2.AsyncClient(timeout=60) as http:
        answer = await http.post(f"{day.second.addresses['control']}/v1/titles/{day.title['id']}/play", json={})
        url = answer.json()["url"]
        assert await first_segment(http, url)
        with frozen(others):
            assert await first_segment(http, url)
            os.kill(pids["edge"], signal.SIGKILL)
            await until(lambda: first_segment(http, url), within_s=60, what="a segment from an edge that starts alone")
