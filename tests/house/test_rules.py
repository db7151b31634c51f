"""Rules said twice: roles, metrics, money, SQL, processes, privacy, skips."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from starlette.routing import Route as StarletteRoute

from gateway.control.app import ROUTES, create_app
from gateway.control.auth import ROLES
from gateway.control.limits import WRITE
from gateway.control.route import SAFE, Route
from gateway.web.pages import page_routes
from shared.events import TYPES
from shared.settings import ControlSettings
from shared.tokens import Claims
from tests.house.tree import ROOT, modules, tracked

PERSONAL = {"email", "mail", "name", "username", "address", "ip", "phone", "password"}
SQL = re.compile(r"\b(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\b", re.IGNORECASE | re.DOTALL)
#: Where SQL may stand besides a feature's store.py.
SQL_HOMES = {"gateway/control/outbox.py", "infra/migrate.py", "infra/stack/postgres.py"}
#: The only modules that start processes: ffmpeg, and the probe.
STARTERS = {"farm/run.py", "farm/warm.py", "farm/__main__.py"}  # the last begins itself anew
STARTS = re.compile(r"(subprocess\.(run|Popen|check)|create_subprocess|os\.(system|exec|spawn|fork|popen))")
#: Machine paths and registry hosts, spelt so that this file does not hold them itself.
LEAKS = re.compile(
    "|".join(["/wo" + "rk/", "/ro" + "ot/", r"https?://[a-z0-9.-]*(py" + "pi|np" + "mjs|pythonho" + "sted)"])
)


#: What amounts of money are called.
MONEY = re.compile(r"minor|amount|price|balance|\bfees?\b|_fees?\b|\bnet\b|gross|earnings|funds|refunded|disputed")
#: Routes that write value, by their path, tagged or not.
VALUE = re.compile(
    r"/(checkout|viewers|gift|top-?up|withdraw|transfer|refund|coupon|redeem|tip|payout|purchase)", re.IGNORECASE
)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_route_has_a_limit_and_says_what_it_does(route: object) -> None:
    assert route.limit.count > 0 and route.limit.per_s > 0  # type: ignore[attr-defined]
    assert route.handler.__doc__  # type: ignore[attr-defined]


def test_every_page_has_a_limit_and_nothing_stands_beside_routes_and_pages() -> None:
    settings = ControlSettings()
    pages = page_routes(settings)
    handlers = {route.path: route.endpoint.__qualname__ for route in pages if isinstance(route, StarletteRoute)}
    assert {path for path, name in handlers.items() if name != "Pages.page.<locals>.endpoint"} == set()
    mounted = [route.path for route in create_app(settings).routes]  # type: ignore[attr-defined]
    assert mounted == [route.path for route in (*ROUTES, *pages)]  # type: ignore[attr-defined]


def test_operation_names_are_unique() -> None:
    names = [route.name for route in ROUTES]
    assert sorted(names) == sorted(set(names))


def test_every_route_that_writes_value_asks_for_an_idempotency_key() -> None:
    assert _without_key(ROUTES) == []


def test_route_that_writes_value_without_a_key_is_found() -> None:
    async def act(call: object) -> None:
        """Act."""

    tagged = Route(method="POST", path="/v1/things", handler=act, limit=WRITE, tag="value")
    named = Route(method="POST", path="/v1/titles/{title}/checkout", handler=act, limit=WRITE)
    keyed = Route(method="POST", path="/v1/wallet/transfers", handler=act, limit=WRITE, tag="value", idempotent=True)
    read = Route(method="GET", path="/v1/wallet/transfers", handler=act, limit=WRITE)
    assert _without_key([tagged, named, keyed, read]) == ["POST /v1/things", "POST /v1/titles/{title}/checkout"]


def _without_key(routes: Sequence[Route]) -> list[str]:
    return [
        f"{route.method} {route.path}"
        for route in routes
        if (route.tag == "value" or (route.method not in SAFE and VALUE.search(route.path))) and not route.idempotent
    ]


def test_no_role_name_is_compared_outside_can() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path != Path("gateway/control/auth.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(_is_role(side) for side in (node.left, *node.comparators))
        and "role" in ast.unparse(node)
    ]
    assert found == []


def _is_role(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in ROLES


def test_metrics_are_declared_in_one_place() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path != Path("shared/metrics.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("Counter", "Gauge", "Histogram")
        and "collections" not in ast.unparse(node.func)
    ]
    assert found == []


def test_no_float_stands_near_money() -> None:
    assert _floats(modules()) == []


def test_float_near_money_is_found() -> None:
    lines = ["amount: float = 0", "def pay(price: float | None) -> None: ...", "half = fee / 2", "far = float(balance)"]
    found = _floats({Path("x.py"): ast.parse("\n".join([*lines, "wall_s: float = amounts // 2"]))})
    assert found == ["x.py:1", "x.py:2", "x.py:3", "x.py:4"]


def _floats(trees: Mapping[Path, ast.Module]) -> list[str]:
    return sorted(
        f"{path}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.AnnAssign | ast.arg)
            and node.annotation is not None
            and MONEY.search(ast.unparse(getattr(node, "target", None) or node).split(":")[0])
            and "float" in ast.unparse(node.annotation)
        )
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and MONEY.search(ast.unparse(node)))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "float" and MONEY.search(ast.unparse(node)))
    )


def test_sql_stands_only_in_stores() -> None:
    found = {
        str(path)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and SQL.search(node.value)
        and path.name != "store.py"
        and str(path) not in SQL_HOMES
        and ast.get_docstring(tree) != node.value.strip()
        and not _is_docstring(tree, node)
    }
    assert found == set()


def _is_docstring(tree: ast.Module, constant: ast.Constant) -> bool:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(node, holders)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and node.body[0].value is constant
        for node in ast.walk(tree)
    )


def test_only_the_runner_starts_a_process_in_the_farm() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path.parts[0] in ("farm", "gateway", "shared") and str(path) not in STARTERS
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and re.search(
            r"(subprocess\.(run|Popen|check)|create_subprocess|os\.(system|exec|spawn|fork|popen))",
            ast.unparse(node.func),
        )
    ]
    assert found == []


def test_the_environment_is_read_only_by_settings_and_secrets() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path.parts[0] != "infra" and str(path) not in ("shared/settings.py", "shared/secrets.py", "farm/run.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    ]
    assert found == []


@pytest.mark.parametrize("event", TYPES)
def test_no_event_carries_a_person(event: str) -> None:
    assert not PERSONAL & set(re.findall(r"\w+", TYPES[event]))


def test_no_token_carries_a_person() -> None:
    assert not PERSONAL & set(Claims.__struct_fields__)


def test_every_skip_is_named() -> None:
    allowed = {line.split("#")[0].strip() for line in (ROOT / "tests/skips.txt").read_text().splitlines()} - {""}
    skip = re.compile(r"(mark\.skip|mark\.skipif|pytest\.skip|mark\.xfail|pytest\.xfail|importorskip)\b")
    used = {
        str(path)
        for path in tracked()
        if path.parts[0] == "tests"
        and path.suffix == ".py"
        and path.name != "test_rules.py"
        and skip.search((ROOT / path).read_text())
    }
    assert used - allowed == set()


def test_ci_lets_no_missing_browser_pass() -> None:
    assert re.search(r"^export CI=\S", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    texts = {".py", ".md", ".toml", ".lock", ".json", ".yaml", ".yml", ".sh", ".txt", ".html", ".js", ".css", ""}
    found = [
        str(path)
        for path in tracked()
        if path.suffix in texts
        and LEAKS.search((ROOT / path).read_text(errors="replace"))
        and path != Path("infra/web/package-lock.json")
    ]
    assert found == []
