"""The command line of `usher`: its subcommands, their arguments, and which function acts."""

from __future__ import annotations

import argparse
import os
from datetime import date
from pathlib import Path

from infra.stack.accounts import ROLES

Subparsers = argparse._SubParsersAction  # its only name


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of one call; ends with words and status 2 for a bad argument."""
    if arguments[:1] == ["test"] and arguments[1:] not in (["-h"], ["--help"]):
        # All that follows is pytest's, options too, which argparse would want to know.
        return argparse.Namespace(act="checks:test", pytest=arguments[1:])
    return build().parse_args(arguments)


def build() -> argparse.ArgumentParser:
    """The whole parser."""
    parser = argparse.ArgumentParser(prog="usher", description="Pay-per-view video that you host yourself.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _running(commands)
    _titles(commands)
    _farm(commands)
    _tokens(commands)
    _ledger(commands)
    _recon(commands)
    _webhooks(commands)
    _benches(commands)
    _rest(commands)
    return parser


def _add(commands: Subparsers[argparse.ArgumentParser], name: str, act: str, *, words: str) -> argparse.ArgumentParser:
    """A subcommand; `act` is `module:function` under infra.cli, imported when it is chosen alone."""
    command = commands.add_parser(name, help=words, description=words)
    command.set_defaults(act=act)
    return command


def _group(commands: Subparsers[argparse.ArgumentParser], name: str, words: str) -> Subparsers[argparse.ArgumentParser]:
    group = commands.add_parser(name, help=words, description=words)
    return group.add_subparsers(required=True, metavar="ACTION")


def _running(commands: Subparsers[argparse.ArgumentParser]) -> None:
    run = _add(commands, "run", "start:run", words="start everything on this machine and print where it is")
    run.add_argument("--ready-file", type=Path, metavar="F", help="write the table as JSON when everything answers")
    run.add_argument("--no-demo", action="store_true", help="add no demo title")
    run.add_argument("--no-accounts", action="store_true", help="make no accounts; the set-up page asks for the admin")
    run.add_argument("--master", type=Path, default=os.environ.get("MASTER") or None, help="clip of the demo title")
    run.add_argument("--only", default="", metavar="PARTS", help="postgres,valkey,control,worker,edge,farm")
    _add(commands, "test", "checks:test", words="run the tests, two parts at a time; arguments are pytest's")
    _add(commands, "check", "checks:check", words="run linters, types, import contracts, house and unit tests")
    chaos = _add(
        commands, "chaos", "checks:chaos", words="kill parts, attack caps and tokens, many times, and see nothing lost"
    )
    chaos.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="how often each part is killed; more than one: everything in its long form",
    )
    _add(commands, "doctor", "doctor:run", words="say what is missing and the line that mends it")
    _add(commands, "gpu-check", "gpu:check", words="say what the cards of this machine do for the farm")
    _add(commands, "docs", "start:docs", words="rewrite the pages of docs/ that are made from the code")
    _add(commands, "prepare", "prepare:prepare", words="make secrets, bucket and schema for a deployment")
    _add(commands, "migrate", "start:migrate", words="bring the database to the newest schema")


def _titles(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "title", "titles of the running Usher")
    add = _add(group, "add", "titles:add", words="upload a master as a new title")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--title", required=True, metavar="T", help="its name")
    add.add_argument("--price", default="0", help="for instance 4.99; free without it")
    add.add_argument("--seller", default="", metavar="HANDLE", help="whose it is; the first of yours without it")
    add.add_argument("--publish", action="store_true", help="wait until it is ready and publish it")
    _add(group, "ls", "titles:ls", words="list titles")
    _add(group, "show", "titles:show", words="show one title and its jobs").add_argument("title", metavar="ID")


def _farm(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "farm", "the farm of the running Usher: workers, jobs, and its bench")
    status = _add(
        group, "status", "farm:status", words="workers, cards, what runs and what waits, drawn anew each second"
    )
    status.add_argument("--once", action="store_true", help="print it once")
    status.add_argument("--json", action="store_true", help="print it once, as JSON")
    status.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between two looks")
    jobs = _add(group, "jobs", "farm:jobs", words="jobs of all sellers that are under way")
    jobs.add_argument("--failed", action="store_true", help="those that failed or were cancelled instead")
    _add(group, "show", "farm:show", words="one job, piece by piece").add_argument("job", metavar="JOB")
    _add(group, "retry", "farm:retry", words="try a job again; what is done is kept").add_argument("job", metavar="JOB")
    _add(group, "cancel", "farm:cancel", words="stop a job; what is done is kept").add_argument("job", metavar="JOB")
    cordon = _add(group, "cordon", "farm:cordon", words="let a worker take nothing more")
    cordon.add_argument("worker", metavar="WORKER")
    cordon.add_argument("--undo", action="store_true", help="let it take work again")
    drain = _add(group, "drain", "farm:drain", words="let a worker finish what it has and leave")
    drain.add_argument("worker", metavar="WORKER")
    drain.add_argument("--wait", action="store_true", help="until it has left")
    _farm_bench(group, "bench")


def _tokens(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "token", "playback tokens")
    mint = _add(group, "mint", "tokens:mint", words="sign a token for a title, past every entitlement")
    mint.add_argument("title", metavar="TITLE", help="the title's internal id")
    mint.add_argument("--sub", default="", help="pseudonym of who watches; a random one without it")
    mint.add_argument("--screens", type=int, default=2)
    mint.add_argument("--height", type=int, default=0, help="ceiling; 0: none")
    mint.add_argument("--edition", default="", help="print the whole address of this edition's playlist")
    inspect = _add(group, "inspect", "tokens:inspect", words="show what a token says, without checking it")
    inspect.add_argument("token", metavar="TOKEN|URL")
    explain = _add(group, "explain", "tokens:explain", words="walk the edge's checks and say which refuses and why")
    explain.add_argument("token", metavar="TOKEN|URL")
    explain.add_argument("--path", default="", help="what is asked for, where no URL is given: v/<title>/…")


def _ledger(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "ledger", "the books, read from the database itself")
    audit = _add(group, "audit", "ledger:audit", words="derive every balance anew; status 1: something differs")
    group = _group(group, "show", "a movement, or an account")
    txn = _add(group, "txn", "ledger:show_txn", words="one movement with its postings")
    txn.add_argument("txn", metavar="ID|KEY")
    account = _add(group, "account", "ledger:show_account", words="what an account holds, and what was booked on it")
    account.add_argument("account", metavar="CODE", help="for instance wallet:usr_… or platform_fee")
    account.add_argument("--asset", default="", metavar="A", help="in this one alone, such as USD")
    account.add_argument("--before", type=int, default=None, metavar="POSTING", help="go on where a page ended")
    account.add_argument("--count", type=positive, default=50, metavar="N", help="postings of a page")
    for command in (audit, txn, account):
        command.add_argument("--json", action="store_true", help="print it as one line of JSON")


def _webhooks(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "webhooks", "webhooks out, read from the database itself")
    show = _add(group, "list", "webhooks:show", words="all endpoints, and how they stand")
    dead = _add(group, "dead", "webhooks:dead", words="deliveries that were given up, the newest first")
    replay = _add(group, "replay", "webhooks:replay", words="send deliveries again, under the ids they had")
    replay.add_argument("delivery", nargs="*", metavar="DELIVERY")
    for command in (dead, replay):
        command.add_argument("--endpoint", default="", metavar="E", help="all of this endpoint that were given up")
        command.add_argument("--count", type=positive, default=100, metavar="N", help="so many of them at most")
    for command in (show, dead):
        command.add_argument("--json", action="store_true", help="print it as one line of JSON")


def _recon(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "recon", "the books beside what payment providers say")
    run = _add(group, "run", "recon:run", words="compare now and print what differs; status 1: something does")
    run.add_argument("--since", type=day, default=None, metavar="DAY", help="first day (UTC), such as 2026-11-01")
    run.add_argument(
        "--until", type=day, default=None, metavar="DAY", help="last day; without both the last three days"
    )
    show = _add(group, "show", "recon:show", words="a report with what differs")
    show.add_argument("report", nargs="?", default="", metavar="REPORT", help="its id; the newest without it")
    show.add_argument("--all", action="store_true", help="list the last reports instead")
    for command in (run, show):
        command.add_argument("--json", action="store_true", help="print it as one line of JSON")


def _benches(commands: Subparsers[argparse.ArgumentParser]) -> None:
    group = _group(commands, "bench", "Usher beside what else one might run")
    edge = _add(group, "edge", "bench:edge", words="the edge beside nginx, in CPU per request; rewrites its page")
    edge.add_argument("--rounds", type=int, default=5, help="how often each side has its turn")
    edge.add_argument("--seconds", type=int, default=3, help="how long a turn is")
    edge.add_argument("--only", default="", metavar="CASES", help="cleartext,tls,forged,start,fill,misses,memory")
    edge.add_argument("--quick", action="store_true", help="everything once and short, to see that it works")
    edge.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")
    _farm_bench(group, "farm")
    money = _add(group, "money", "bench:money", words="ledger, rights and checkout on disk; rewrites its page")
    money.add_argument("--rounds", type=int, default=5, help="how often each side has its turn")
    money.add_argument("--seconds", type=int, default=10, help="how long a turn is")
    money.add_argument("--only", default="", metavar="CASES", help="post, audit, rights, checkout; all without it")
    money.add_argument("--quick", action="store_true", help="everything once and short, to see that it works")
    money.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")
    load = _add(commands, "load", "bench:load", words="players that behave like players, against an edge of their own")
    load.add_argument("--players", type=int, default=300, help="how many watch at once")
    load.add_argument("--seconds", type=int, default=120, help="for how long")
    load.add_argument("--slow-ms", type=int, default=0, metavar="MS", help="delay every request; the run must fail")
    load.add_argument("--against", choices=("edge", "nginx"), default="edge", help="nginx: the same as a reference")
    load.add_argument("--out", type=Path, default=None, metavar="DIR", help="where the report goes; .cache/load")
    load.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")


def _farm_bench(group: Subparsers[argparse.ArgumentParser], name: str) -> None:
    farm = _add(group, name, "bench:farm", words="the farm beside plain ffmpeg, in CPU, bytes and quality")
    farm.add_argument("--rounds", type=int, default=5, help="how often each side has its turn")
    farm.add_argument("--only", default="", metavar="CASES", help="for instance ladder,copy,odd; all without it")
    farm.add_argument("--clip", type=Path, default=os.environ.get("MASTER") or None, help="a real film to cut from")
    farm.add_argument("--quick", action="store_true", help="everything once and short, to see that it works")
    farm.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md as it is")


def _rest(commands: Subparsers[argparse.ArgumentParser]) -> None:
    rotate = _add(
        _group(commands, "keys", "signing keys"),
        "rotate",
        "keys:rotate",
        words="next becomes current; a new next is made",
    )
    rotate.add_argument("--new", action="store_true", help="draw a whole new key set; running sessions end")
    group = _group(commands, "flag", "switches")
    _add(group, "ls", "flags:ls", words="list all flags")
    put = _add(group, "set", "flags:put", words="switch a flag")
    put.add_argument("name")
    put.add_argument("state", choices=("on", "off"))
    put.add_argument("--percent", type=percent, default=100, help="of subjects it is on for")
    login = _add(commands, "login", "people:login", words="act as another account in later commands")
    login.add_argument("username")
    login.add_argument("--as", dest="role", choices=ROLES, default="seller", help="for which commands")
    seed = _add(commands, "seed", "people:seed", words="make viewer accounts to try things with")
    seed.add_argument("--users", type=int, default=10)


def percent(text: str) -> int:
    """0-100."""
    if not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage: expected 0 to 100")
    return int(text)


def day(text: str) -> str:
    """A day as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: expected for example 2026-11-01") from error


def positive(text: str) -> int:
    """1 and more."""
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no such number: expected 1 to 10000")
    return int(text)
