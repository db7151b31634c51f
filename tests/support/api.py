"""A client of a running Usher as a program would be one: log in, make titles, upload by tus in pieces, play."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from infra.api import Api
from infra.stack.accounts import Account
from shared.ids import new_secret
from tests.support.calls import call
from tests.support.patience import until as until
from tests.support.stack import Running
from tests.support.tus import TUS, metadata

PATCH = TUS | {"Content-Type": "application/offset+octet-stream"}


class Person:
    """Somebody logged in with a bearer session."""

    def __init__(self, running: Running, bearer: str) -> None:
        self.http = httpx2.AsyncClient(
            base_url=running.addresses["control"], headers={"Authorization": f"Bearer {bearer}"}, timeout=20
        )

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        """One call of /v1; asserts the status and returns the decoded body."""
        return await call(self.http, method, path, status, body=body or None)

    async def make_title(self, **about: Any) -> str:
        """A draft of the demo seller; its id."""
        sellers = (await self.ask("GET", "me"))["sellers"]
        return str((await self.ask("POST", "titles", 201, seller=sellers[0]["handle"], **about))["id"])

    async def begin_upload(self, title: str, master: Path) -> str:
        """Create a tus upload; its address."""
        facts = {"title": title, "filename": master.name, "sha256": hashlib.sha256(master.read_bytes()).hexdigest()}
        headers = TUS | {"Upload-Length": str(master.stat().st_size), "Upload-Metadata": metadata(**facts)}
        answer = await self.http.post("/v1/uploads", headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    async def offset(self, upload: str) -> int:
        """How many bytes of the upload are safe."""
        answer = await self.http.head(upload, headers=TUS)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    async def send(self, upload: str, data: bytes, *, offset: int) -> int:
        """One PATCH; the new offset."""
        answer = await self.http.patch(upload, content=data, headers=PATCH | {"Upload-Offset": str(offset)})
        assert answer.status_code == 204, f"{answer.status_code} {answer.text}"
        return int(answer.headers["upload-offset"])

    async def state(self, title: str) -> str:
        """The title's state; a failed job is a failure with its words."""
        jobs = (await self.ask("GET", f"titles/{title}/jobs"))["items"]
        assert not jobs or jobs[0]["state"] != "failed", jobs[0]["last_error"]
        return str((await self.ask("GET", f"titles/{title}"))["state"])

    async def wait_ready(self, title: str, *, within_s: float = 120) -> None:
        """Until the farm has made all of the title."""

        async def ready() -> bool | None:
            if await self.state(title) not in ("ready", "published"):
                return None
            return None if (await self.ask("GET", f"titles/{title}"))["making"] else True

        await until(ready, within_s=within_s, what=f"{title} ready")

    async def left_at(self, title: str) -> float | None:
        """Where in a title they stopped, in seconds; None where they did not begin it."""
        items = (await self.ask("GET", "me/watching"))["items"]
        return next((float(item["position_s"]) for item in items if item["title"]["id"] == title), None)

    async def close(self) -> None:
        """Give connections back."""
        await self.http.aclose()


def sign_up(running: Running, name: str) -> Account:
    """Make an account whose user name begins with `name` and is nobody else's. Blocks."""
    username = f"{name}-{secrets.token_hex(4)}"
    account = Account(username=username, email=f"{username}@usher.example", password=new_secret(9))
    Api(running.addresses["control"]).post("auth/register", msgspec.structs.asdict(account))
    return account


async def log_in(running: Running, who: str | Account) -> Person:
    """Log in with an account, or as one that the running Usher names: admin, seller or viewer."""
    account = running.accounts[who] if isinstance(who, str) else who
    body = {"login": account.username, "password": account.password, "bearer": True}
    async with httpx2.AsyncClient(base_url=running.addresses["control"], timeout=20) as http:
        answer = await http.post("/v1/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return Person(running, answer.json()["bearer_token"])
