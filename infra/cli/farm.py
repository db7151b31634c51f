"""`usher farm status|jobs|show|retry|cancel|cordon|drain`: the farm of the running Usher, for operators."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from infra.api import Api
from infra.cli.session import api
from shared.errors import Refused, Retryable

#: Seconds between two looks while somebody waits for a worker to leave.
LOOK_S = 1.0
NOBODY = "No worker was heard of in the last seconds: what waits, waits until one starts."


def status(arguments: argparse.Namespace) -> int:
    """Workers, cards, what runs and what waits: drawn anew until Ctrl-C, or once where nobody looks on."""
    client, console = api("admin"), Console(highlight=False)
    found = client.get("farm")
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0
    if arguments.once or not console.is_terminal:
        console.print(board(found))
        return 0
    with Live(board(found), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(arguments.every)
                found, words = _look(client, found)
                live.update(board(found, words), refresh=True)
        except KeyboardInterrupt:
            return 0


def _look(client: Api, last: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The farm now; where it cannot be seen, as it was, and why."""
    try:
        return client.get("farm"), ""
    except (Refused, Retryable) as error:
        return last, str(error)


def board(farm: dict[str, Any], words: str = "") -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [queues(farm), Text(), workers(farm) if farm["workers"] else Text(NOBODY, "yellow")]
    if words:
        parts += [Text(), Text(f"{words} Shown is what was so before.", "red")]
    return Group(*parts)


def queues(farm: dict[str, Any]) -> Table:
    """What waits and runs, and when the farm is through with all of it at the speed it has."""
    table = Table("queue", *_right("workers", "running", "waiting", "waiting media", "in work"), "", box=None)
    told = ("running", "waiting", "waiting_media_s", "running_media_s")
    for queue in farm["queues"]:
        table.add_row(queue["queue"], str(queue["workers"]), *_counts([queue[name] for name in told]), "")
    sums = [sum(queue[name] for queue in farm["queues"]) for name in told]
    words = f"{farm['speed']:.2f} x real time" if farm["speed"] else ""
    if farm["speed"] and (left := sums[2] + sums[3]):
        words += f", through in {_length(left / farm['speed'])}"
    table.add_row("[bold]all", str(len(farm["workers"])), *_counts(sums), words)
    return table


def _counts(values: list[float]) -> list[str]:
    """Running and waiting pieces, waiting and running media."""
    running, waiting, waiting_s, running_s = values
    return [str(running), str(waiting), f"{waiting_s:,.0f} s", f"{running_s:,.0f} s"]


def workers(farm: dict[str, Any]) -> Table:
    """A line for each worker, one more for each card and piece of work after the first."""
    table = Table("worker", "takes", "encoder", *_right("x real time", "sessions"), "at work on", "cards", box=None)
    for worker in farm["workers"]:
        sessions = f"{worker['sessions']}/{worker['sessions_cap']}" if worker["sessions_cap"] else ""
        table.add_row(
            _named(worker),
            " ".join(worker["queues"]),
            worker["encoder"],
            f"{worker['speed']:.2f}" if worker["running"] else "",
            sessions,
            "\n".join(map(_work, worker["running"])) or Text("idle", "dim"),
            "\n".join(map(card, worker["gpus"])),
        )
    return table


def _named(worker: dict[str, Any]) -> Text:
    told = {"open": "", "cordon": " takes no more", "drain": " leaves"}[worker["state"]]
    return Text.assemble(worker["name"], (told, "yellow"))


def _work(work: dict[str, Any]) -> str:
    return f"{work['name'] or work['title'] or 'unknown'}: {work['chunk']}"


def card(gpu: dict[str, Any]) -> str:
    """A card in a few words; what it does not tell is left out."""
    parts = [f"{gpu['index']} {gpu['name']}"]
    parts += [f"enc {gpu['encoder_percent']} %"] if gpu["encoder_percent"] is not None else []
    parts += [f"dec {gpu['decoder_percent']} %"] if gpu["decoder_percent"] is not None else []
    parts.append(f"{gpu['memory_free_bytes'] / 2**30:.1f} GiB free")
    parts += [f"{gpu['celsius']} °C"] if gpu["celsius"] is not None else []
    return ", ".join(parts)


def jobs(arguments: argparse.Namespace) -> int:
    """Jobs of all sellers: under way, or those that came to nothing."""
    found = api("admin").get("farm/jobs" + ("?state=over" if arguments.failed else ""))
    table = Table("job", "title", "seller", "state", *_right("pieces", "failed", "lost"), "since", "", box=None)
    for job in found["items"]:
        since = job["finished_at"] or job["started_at"] or job["queued_at"]
        counts = (f"{job['done']}/{job['pieces']}", str(job["failures"]), str(job["lost"]))
        words = (job["last_error"] or "") if arguments.failed else f"{job['queue']} {job['encoder']}"
        table.add_row(job["id"], job["name"], job["seller"], job["state"], *counts, _ago(since), words.strip())
    console = Console(highlight=False, soft_wrap=True)
    console.print(table if found["items"] else "No job failed." if arguments.failed else "No job is under way.")
    if found["more"]:
        console.print("… and more.")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """One job, piece by piece."""
    found = api("admin").get(f"farm/jobs/{quote(arguments.job, safe='')}")
    job, console = found["job"], Console(highlight=False, soft_wrap=True)
    head = Table(show_header=False, box=None)
    for label, value in (
        *(("job", job["id"]), ("title", f"{job['name']} ({job['title']})"), ("seller", job["seller"])),
        *(("state", job["state"]), ("version", job["version"] or ""), ("encoder", job["encoder"])),
        *(("length", _length(job["duration_s"] or 0)), ("queued", _ago(job["queued_at"]))),
        ("waits" if job["finished_at"] is None else "error", job["last_error"] or ""),
    ):
        if value:
            head.add_row(f"[bold]{label}", Text(value))
    table = Table("piece", "state", *_right("made", "tries", "failed", "lost"), "worker", box=None)
    for piece in found["pieces"]:
        counts = (str(piece[name]) for name in ("started", "failures", "lost"))
        table.add_row(piece["chunk"], piece["state"], f"{piece['progress']:.0%}", *counts, piece["worker"])
    console.print(head, Text(), table)
    if not found["is_live"]:
        console.print(Text("Redis does not answer: who is at what is not known.", "yellow"))
    return 0


def retry(arguments: argparse.Namespace) -> int:
    """A new job for the same master; what is done of it is not made again."""
    new = api("admin").post(f"jobs/{quote(arguments.job, safe='')}/retry")
    Console(highlight=False).print(f"{new['id']} is queued for the same master.")
    return 0


def cancel(arguments: argparse.Namespace) -> int:
    """Stop a job; what is done of it is kept for a retry."""
    gone = api("admin").post(f"jobs/{quote(arguments.job, safe='')}/cancel")
    Console(highlight=False).print(f"{gone['id']} is cancelled.")
    return 0


def cordon(arguments: argparse.Namespace) -> int:
    """Let a worker finish what it has and take nothing more; or, undone, take work again."""
    _mark(api("admin"), arguments.worker, "open" if arguments.undo else "cordon")
    words = "takes work again" if arguments.undo else "takes nothing more"
    Console(highlight=False).print(f"{arguments.worker} {words}.")
    return 0


def drain(arguments: argparse.Namespace) -> int:
    """Let a worker finish what it has and leave."""
    client, console = api("admin"), Console(highlight=False)
    told = _mark(client, arguments.worker, "drain")
    console.print(f"{arguments.worker} leaves once it is idle.")
    while arguments.wait:
        if not _lives(client, told):
            console.print(f"{arguments.worker} has left.")
            break
        time.sleep(LOOK_S)
    return 0


def _lives(client: Api, told: dict[str, Any]) -> bool:
    """Whether a worker still runs; one of its name that began since is another. It does where nobody can say."""
    try:
        workers = client.get("farm")["workers"]
    except Retryable:
        return True
    return (told["name"], told["since"]) in [(worker["name"], worker["since"]) for worker in workers]


def _mark(client: Api, worker: str, state: str) -> dict[str, Any]:
    return dict(client.call("PUT", f"farm/workers/{quote(worker, safe='')}", {"state": state}))


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right", no_wrap=True) for name in names]


def _length(seconds: float) -> str:
    """A time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _ago(at: str) -> str:
    """How long ago a moment of the API was."""
    seconds = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
    return f"{_length(seconds)} ago"
