"""The command line: words for bad arguments, and tokens end to end without a server."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pytest

from infra.cli import act, main, parser
from infra.cli.tokens import split
from infra.stack.home import Credentials, Home, Session


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("USHER_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("USHER_ORIGIN", "USHER_BEARER", "USHER_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)
    made = Home(tmp_path)
    made.make()
    made.make_secrets()
    return made


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["title", "add", "x.mp4"], "--title"),
        (["flag", "set", "qoe.enabled", "on", "--percent", "101"], "'101' is no percentage"),
        (["ledger", "show", "account", "wallet:usr_1", "--count", "0"], "expected 1 to 10000"),
        (["ledger", "show"], "ACTION"),
        (["nonsense"], "nonsense"),
        ([], "COMMAND"),
    ],
)
def test_bad_argument_gets_words(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_missing_file_gets_words(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["title", "add", "/nowhere.mp4", "--title", "T"]) == 1
    assert "/nowhere.mp4: there is no such file" in capsys.readouterr().err


def test_missing_session_gets_words(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flag", "ls"]) == 1
    assert "make run" in capsys.readouterr().err


def test_server_that_is_down_gets_words(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_credentials(Credentials(origin="http://127.0.0.1:1", sessions={"admin": Session("admin", "b")}))
    assert main(["flag", "ls"]) == 1
    assert "does not answer" in capsys.readouterr().err
    assert home.credentials.stat().st_mode & 0o777 == 0o600


def mint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["token", "mint", *arguments]) == 0
    return capsys.readouterr().out.strip()


def test_minted_token_passes_every_check(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    token = mint(capsys, "ttl_abc", "--sub", "somebody")
    assert main(["token", "explain", token, "--path", "v/ttl_abc/ver/720/0/1.m4s"]) == 0
    assert "refuses" not in capsys.readouterr().out


def test_explain_says_which_check_refuses(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    token = mint(capsys, "ttl_abc")
    assert main(["token", "explain", f"http://edge/t/{token}/v/ttl_abcd/ver/720/0/1.m4s"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "refuses" in said[-1] and "scope" in said[-1]
    head, body, mac = token.split(".")
    assert main(["token", "explain", f"{head}.{body}.{mac[:-6]}AAAAAA"]) == 1
    assert "signature" in capsys.readouterr().out.splitlines()[-1]


def test_inspect_shows_claims_and_times(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    token = mint(capsys, "ttl_abc", "--height", "720")
    assert main(["token", "inspect", token]) == 0
    said = capsys.readouterr().out
    assert "v/ttl_abc/" in said and "720" in said and time.strftime("%Y-", time.gmtime()) in said
    assert main(["token", "inspect", "no.token"]) == 1
    assert "This is no token" in capsys.readouterr().err


def test_rotated_keys_keep_the_old_one_known(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    token = mint(capsys, "ttl_abc")
    assert main(["keys", "rotate"]) == 0
    assert main(["token", "explain", token]) == 0
    assert main(["keys", "rotate"]) == 0
    capsys.readouterr()
    assert main(["token", "explain", token]) == 1
    assert "key" in capsys.readouterr().out.splitlines()[-1]


def test_address_is_split_into_token_and_path() -> None:
    assert split("https://edge/t/a.b.c/v/1/e/2/720.m3u8?x=1") == ("a.b.c", "v/1/e/2/720.m3u8")
    assert split("a.b.c") == ("a.b.c", "")


def actions(commands: argparse.ArgumentParser) -> list[str]:
    """The functions behind all subcommands."""
    inner = [a for a in commands._actions if isinstance(a, argparse._SubParsersAction)]
    own = commands.get_default("act")
    return ([own] if own else []) + [name for a in inner for one in a.choices.values() for name in actions(one)]


def test_every_subcommand_has_its_function() -> None:
    named = actions(parser.build())
    assert len(named) >= 17
    assert all(callable(act(name)) for name in named)


def test_everything_after_test_is_for_pytest() -> None:
    assert parser.parse(["test", "-q", "tests/unit", "-k", "x"]).pytest == ["-q", "tests/unit", "-k", "x"]
    assert parser.parse(["test"]).pytest == []
