"""The supervisor with small children: order, restarts, words, and nothing left behind however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.stack import mark, plan
from infra.stack.child import Child, ChildDied, Spec, tail
from infra.stack.probe import Probe, is_free
from infra.stack.supervisor import Supervisor
from tests.support.ports import free_base

WORD = "test-{}"
#: A child with a grandchild that deafens itself to SIGTERM and leaves the session, and writes a line when it ends.
STUBBORN = """
import os, signal, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
                 start_new_session=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
time.sleep(600)
"""
ORDERED = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
print("up", flush=True)
time.sleep(600)
"""
LISTENER = """
import socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""


def spec(name: str, code: str, *arguments: str, word: str, probe: Probe | None = None, **more: object) -> Spec:
    return Spec(
        name=name,
        argv=(sys.executable, "-c", code, *arguments),
        environ={"PATH": os.environ["PATH"], mark.VARIABLE: word},
        probe=probe or Probe(),
        cwd=Path("/"),
        ready_within_s=10,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def word(request: pytest.FixtureRequest) -> str:
    return WORD.format(os.urandom(6).hex())


async def until(ask: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def test_child_stops_after_those_that_need_it(tmp_path: Path, word: str) -> None:
    ends = tmp_path / "ends"
    async with Supervisor(tmp_path, mark=word, say=lambda _: None) as supervisor:
        for name, needs in (("server", ()), ("app", ("server",))):
            await supervisor.start([spec(name, ORDERED, str(ends), name, word=word, needs=needs)])
            await until(lambda n=name: "up" in (tmp_path / f"{n}.log").read_text(), name)
    assert ends.read_text().split() == ["app", "server"]
    assert mark.carriers(word) == []


async def test_own_stop_signal_is_used_when_a_child_has_one(tmp_path: Path, word: str) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    child = Child(spec("one", code, word=word, stop_signal=signal.SIGINT, grace_s=10), tmp_path / "one.log")
    await child.start()
    await until(lambda: "up" in (tmp_path / "one.log").read_text(), "up")
    await child.stop()
    assert "KeyboardInterrupt" in (tmp_path / "one.log").read_text()


async def test_deaf_child_is_killed_after_its_grace(tmp_path: Path, word: str) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    child = Child(spec("deaf", code, word=word, grace_s=0.2), tmp_path / "deaf.log")
    await child.start()
    await until(lambda: "up" in (tmp_path / "deaf.log").read_text(), "up")
    await child.stop()
    assert await child.wait() == -signal.SIGKILL


async def test_grandchild_in_a_session_of_its_own_is_swept(tmp_path: Path, word: str) -> None:
    async with Supervisor(tmp_path, mark=word, say=lambda _: None) as supervisor:
        await supervisor.start([spec("parent", STUBBORN, word=word)])
        await until(lambda: len(mark.carriers(word)) == 2, "two processes")
    assert mark.carriers(word) == []


async def test_last_twenty_lines_are_shown_when_a_child_dies_at_its_start(tmp_path: Path, word: str) -> None:
    code = "for n in range(50): print('line', n)\nraise SystemExit(3)"
    async with Supervisor(tmp_path, mark=word, say=lambda _: None) as supervisor:
        with pytest.raises(ChildDied) as died:
            await supervisor.start([spec("frail", code, word=word, probe=Probe(free_base(1)))])
    said = str(died.value)
    assert "frail ended with status 3" in said
    assert "line 49" in said and "line 30" in said and "line 29" not in said


async def test_silent_child_is_given_up_with_words(tmp_path: Path, word: str) -> None:
    silent = spec("silent", "import time; time.sleep(600)", word=word, probe=Probe(free_base(1)))
    child = Child(type(silent)(**{**_fields(silent), "ready_within_s": 0.1}), tmp_path / "silent.log")
    await child.start()
    with pytest.raises(ChildDied, match=r"silent did not answer within 0\.1 s"):
        await child.ready()
    await child.stop()


def _fields(one: Spec) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


async def test_killed_child_comes_back_with_words(tmp_path: Path, word: str) -> None:
    said: list[str] = []
    port = free_base(1)
    async with Supervisor(tmp_path, mark=word, say=said.append) as supervisor:
        await supervisor.start([spec("app", LISTENER, str(port), word=word, probe=Probe(port))])
        first = supervisor.pids["app"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: any("answers again" in line for line in said), "an answer after the restart")
        assert supervisor.pids["app"] != first
        assert "app was ended by SIGKILL" in said[0]
    assert is_free(port)


async def test_http_probe_waits_for_a_good_answer() -> None:
    answers = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answers.pop(0))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    probe = Probe(port, "/readyz")
    assert [await probe.answers(), await probe.answers()] == [False, True]
    server.close()
    await server.wait_closed()
    assert not await probe.answers()


RUN = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from infra.stack.supervisor import Supervisor
from tests.integration.infra.test_supervisor import STUBBORN, spec

async def main():
    async with Supervisor(Path({folder!r}), mark={word!r}, say=print) as supervisor:
        await supervisor.start([spec("one", STUBBORN, word={word!r}), spec("two", STUBBORN, word={word!r})])
        print("started", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path, word: str) -> None:
    code = RUN.format(root=str(plan.ROOT), folder=str(tmp_path), word=word)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=plan.ROOT)
    assert process.stdout is not None
    process.stdout.readline()
    asyncio.run(until(lambda: len(mark.carriers(word)) == 4, "four processes"))
    process.kill()
    process.wait()
    process.stdout.close()
    asyncio.run(until(lambda: not mark.carriers(word), "all gone"))


def test_port_is_not_free_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        assert not is_free(held.getsockname()[1])


def test_tail_is_bounded_when_a_log_is_long(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("".join(f"{n}\n" for n in range(200_000)))
    assert tail(log, 2) == ["199998", "199999"]
