"""The plan of a run: who gets which ports and settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.stack import plan
from infra.stack.home import Home
from infra.stack.plan import Plan
from shared.errors import Misconfigured
from shared.settings import ControlSettings, EdgeSettings, FarmSettings, load


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


def planned(home: Home, **environ: str) -> Plan:
    return plan.make(home, {"PATH": "/bin", **environ}, mark="word")


def test_edge_gets_neither_database_nor_secrets(home: Home) -> None:
    made = planned(home, USHER_SECRET_SESSION_HMAC="x" * 40, USHER_TURNSTILE_SECRET="t")
    given = plan.environment(made, "edge")
    assert not {"USHER_DATABASE_URL", "USHER_SECRETS_DIR", "USHER_TURNSTILE_SECRET", "USHER_BROKER_URL"} & set(given)
    assert not [name for name in given if name.startswith("USHER_SECRET")]
    held = " ".join(given.values())
    passwords = home.passwords()
    for secret in (passwords.postgres, passwords.postgres_admin, passwords.valkey_control, passwords.valkey_farm):
        assert secret not in held


def test_farm_gets_neither_database_nor_secrets(home: Home) -> None:
    given = plan.environment(planned(home, USHER_DATABASE_URL="postgresql://mine/usher"), "farm")
    assert not {"USHER_DATABASE_URL", "USHER_SECRETS_DIR"} & set(given)


def test_every_process_reads_its_settings(home: Home) -> None:
    made = planned(home, USHER_SEAT_LEASE_S="3", USHER_LOG_LEVEL="warning")
    control = load(ControlSettings, plan.environment(made, "control"))
    edge = load(EdgeSettings, plan.environment(made, "edge"))
    farm = load(FarmSettings, plan.environment(made, "farm"))
    assert control.database_url == made.cluster.url
    assert (edge.seat_lease_s, edge.log_level, farm.log_level) == (3, "warning", "warning")
    assert len({control.redis_url, edge.redis_url, farm.redis_url}) == 3
    assert len({control.private_port, edge.private_port, farm.private_port}) == 3
    assert control.bucket == edge.bucket == farm.bucket == str(home.folder / "bucket")


def test_own_addresses_win_and_start_no_server(home: Home) -> None:
    own = {"USHER_DATABASE_URL": "postgresql://me@db/usher", "USHER_REDIS_URL": "redis://cache:6379/2"}
    made = planned(home, USHER_BUCKET="s3://films", **own)
    assert made.parts == plan.APPS
    assert plan.environment(made, "worker")["USHER_DATABASE_URL"] == own["USHER_DATABASE_URL"]
    assert plan.environment(made, "edge")["USHER_REDIS_URL"] == own["USHER_REDIS_URL"]
    assert plan.environment(made, "farm")["USHER_BUCKET"] == "s3://films"


def test_every_child_carries_the_mark_and_nothing_else_of_the_caller(home: Home) -> None:
    made = planned(home, SECRET_OF_MINE="x")
    for app in plan.APPS:
        given = plan.environment(made, app)
        assert given["USHER_MARK"] == "word"
        assert "SECRET_OF_MINE" not in given


def test_no_two_parts_share_a_port(home: Home) -> None:
    assert len(planned(home).bound) == len(plan.OFFSETS) + len(plan.PRIVATE_OFFSETS)


@pytest.mark.parametrize("text", ["abc", "0", "65530", "-1", "87.5"])
def test_bad_port_base_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(Misconfigured, match="USHER_PORT_BASE is"):
        plan.port_base({"USHER_PORT_BASE": text})


def test_unknown_part_is_refused_with_the_known_ones(home: Home) -> None:
    with pytest.raises(Misconfigured, match="postgres, valkey, control"):
        plan.make(home, {}, mark="word", parts=("controll",))


def test_busy_port_words_name_port_part_and_a_way_out(home: Home) -> None:
    made = planned(home)
    assert plan.busy(made, [8701]) == (
        "Port 8701 (edge) is in use by another program: stop it, or choose other ports, "
        "for instance USHER_PORT_BASE=8800."
    )


def test_passwords_are_drawn_once_and_private(home: Home) -> None:
    first = home.passwords()
    assert home.passwords() == first
    assert len({first.postgres, first.postgres_admin, first.valkey_edge}) == 3
    assert (home.folder / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_secrets_are_drawn_once_and_private(home: Home) -> None:
    home.make_secrets()
    held = {path.name: path.read_bytes() for path in home.secrets.iterdir()}
    home.make_secrets()
    assert {path.name: path.read_bytes() for path in home.secrets.iterdir()} == held
    assert set(held) == {"session-hmac", "playback-keys"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in home.secrets.iterdir())


def test_second_supervisor_is_refused_while_the_first_runs(home: Home) -> None:
    with home.locked(), pytest.raises(Misconfigured, match="runs in"), home.locked():
        pass
    with home.locked():
        pass


def test_edge_listens_where_the_run_looks_for_it(home: Home) -> None:
    made = planned(home, USHER_LISTEN_PORT="1", USHER_LISTEN_HOST="::")
    edge = load(EdgeSettings, plan.environment(made, "edge"))
    assert (edge.listen_port, edge.listen_host) == (made.ports["edge"], "::")
    assert plan.argv(made, "edge")[1:] == ("-m", "gateway.edge")
    assert "USHER_LISTEN_PORT" not in plan.environment(made, "control")
