"""What the two commands promise with everything running: the demo plays, the CLI works, nothing leaks."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import pytest

from infra import ffmpeg
from infra.api import Api
from infra.stack.demo import draw
from tests.support.stack import Running, usher


@pytest.fixture
def stack(plain_stack: Running) -> Running:
    return plain_stack


def test_demo_title_is_on_show_when_the_table_is_printed(stack: Running) -> None:
    assert stack.demo is not None
    assert stack.demo.state == "published"
    for name in ("watch", "browse", "studio", "docs", "mail"):
        with urllib.request.urlopen(stack.addresses[name], timeout=60) as answer:  # noqa: S310 - our own address
            assert answer.status == 200, name
    said = stack.output.read_text()
    assert all(stack.addresses[name] in said for name in ("watch", "studio", "docs"))
    assert stack.log_dir in said


def test_title_is_added_shown_and_listed_by_the_cli(stack: Running, tmp_path: Path) -> None:
    master = tmp_path / "mine.mp4"
    draw(master, ffmpeg.find(os.environ), seconds=3)
    added = usher(stack, "title", "add", str(master), "--title", "Three seconds", "--price", "4.99", "--publish")
    assert added.returncode == 0, added.stderr
    assert "published" in added.stdout and "4.99" in added.stdout
    listed = usher(stack, "title", "ls").stdout
    (line,) = [line for line in listed.splitlines() if "Three seconds" in line]
    shown = usher(stack, "title", "show", line.split()[0]).stdout
    assert "Three seconds" in shown and "done" in shown


def test_flag_is_switched_by_the_cli(stack: Running) -> None:
    assert usher(stack, "flag", "set", "fraud.enforce", "on", "--percent", "25").returncode == 0
    (line,) = [line for line in usher(stack, "flag", "ls").stdout.splitlines() if "fraud.enforce" in line]
    assert "on for 25 %" in line


def test_seeded_accounts_can_log_in(stack: Running) -> None:
    lines = usher(stack, "seed", "--users", "2").stdout.splitlines()
    pairs = [line.split() for line in lines if line.strip().startswith("viewer-")]
    assert len(pairs) == 2
    for username, password in pairs:
        told = Api(stack.addresses["control"]).post("auth/login", {"login": username, "password": password})
        assert told["username"] == username


def test_doctor_finds_nothing_missing_while_it_runs(stack: Running) -> None:
    done = usher(stack, "doctor")
    assert done.returncode == 0, done.stdout
    assert "missing" not in done.stdout


def test_no_secret_and_no_password_is_in_any_log(stack: Running) -> None:
    home = Path(stack.home)
    minted = usher(stack, "token", "mint", "ttl_x").stdout.strip()
    secrets = {path.name: path.read_text().strip() for path in (home / "secrets").iterdir()}
    private = [account.password or "" for account in stack.accounts.values()]
    private += [secrets["session-hmac"], minted, stack.database_url.split("@")[0], stack.redis_url.split("@")[0]]
    private.append(stack.database_url.split(":")[2].split("@")[0])
    for log in sorted(home.glob("log/*.log")):
        text = log.read_text(errors="replace")
        assert not [word for word in private if word and word in text], log.name
        assert "eyJ" not in text, log.name
