"""The sides of the bench: what stands behind each, where it answers, and the addresses that are fetched there."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from benchmarks import media, tickets
from benchmarks.edge import nginx, verifier
from benchmarks.stage import ROOT, Server, Stage
from infra.stack.child import Spec
from infra.stack.probe import Probe
from shared.ids import new_secret

SECURE_LINK, AUTH_REQUEST, AUTH_CACHED, EDGE = "secure_link", "auth_request", "auth_request, cached 5 s", "edge"
#: Limits of the edge that many requests of few addresses would meet; raised where this edge has them.
RAISED = {
    "pace_per_s": "1000000",
    "pace_burst": "1000000",
    "pace_prefix_per_s": "1000000000",
    "pace_prefix_burst": "1000000000",
    "sharing_media_s": "1000000000",
    "forged_per_address": "1000000000",
    "forged_in_total": "1000000000",
}


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """One size of body: how many bodies there are, for how many sessions at most, over how many connections."""

    name: str
    bytes: int
    objects: int
    sessions: int
    connections: int

    @property
    def version(self) -> str:
        """Where its bodies lie."""
        return f"s{self.bytes}"


SIZES = (
    Size(name="1.5 KB", bytes=1536, objects=64, sessions=10_000, connections=64),
    Size(name="200 KB", bytes=200 << 10, objects=16, sessions=4_000, connections=16),
    Size(name="1 MB", bytes=1 << 20, objects=16, sessions=1_000, connections=16),
)
#: How often a session's list of addresses goes on to another body before it begins anew.
PASSES = 4
#: Sessions that play until it is known how fast the edge is.
FIRST_SESSIONS = 200


class Side(msgspec.Struct):
    """One side. `servers` are all that work for a request; `valkey` is told apart in the tables."""

    name: str
    servers: tuple[Server, ...]
    port: int
    tls_port: int = 0
    valkey: Server | None = None
    #: The line of each file of addresses with which the next run begins.
    at: dict[str, int] = {}


class Cast(msgspec.Struct, frozen=True):
    """All sides, started."""

    stage: Stage
    sides: dict[str, Side]
    sizes: tuple[Size, ...]
    keys: dict[str, list[str]]
    words: list[str]
    #: Tokens and secure_link's sids by size, and how many of them play now.
    tokens: dict[str, list[str]] = {}
    sids: dict[str, list[str]] = {}
    playing: dict[str, int] = {}

    def draw(self, size: Size) -> None:
        """Sessions of which no edge has heard: what two serve they compare, and that is a case of its own."""
        self.tokens[size.name] = self.stage.mint.draw(size.sessions)

    def let_play(self, size: Size, sessions: int) -> None:
        """Write the addresses of so many sessions, the same number for every side."""
        keys = self.keys[size.name]
        sids = self.sids[size.name][:sessions]
        links = (
            nginx.signed(sid, keys[(place + turn) % len(keys)])
            for turn in range(PASSES)
            for place, sid in enumerate(sids)
        )
        tokens = tickets.round_robin(self.tokens[size.name][:sessions], keys, passes=PASSES)
        for name, lines in (("tokens", tokens), ("links", links)):
            path = self.stage.folder / f"{name}-{size.bytes}"
            path.write_text("\n".join(lines) + "\n")
            for side in self.sides.values():
                side.at.pop(path.name, None)
        self.playing[size.name] = sessions

    def paths(self, side: Side, size: Size) -> Path:
        """The file of addresses of a size at a side."""
        return self.stage.folder / f"{'links' if side.name == SECURE_LINK else 'tokens'}-{size.bytes}"


async def start(
    stage: Stage, programs: dict[str, str], *, sizes: tuple[Size, ...], certified: nginx.Certificate
) -> Cast:
    """Fill the bucket, write the addresses and start every server. Raises ChildDied."""
    keys = {size.name: media.fill(stage.bucket, size.version, size=size.bytes, number=size.objects) for size in sizes}
    cast = Cast(stage, {}, sizes, keys, [])
    for size in sizes:
        cast.draw(size)
        cast.sids[size.name] = [new_secret(12) for _ in range(size.sessions)]
        cast.let_play(size, min(size.sessions, FIRST_SESSIONS))
    await _start_nginx(cast, programs["nginx"], certified)
    await _start_edge(cast, certified)
    return cast


async def _start_nginx(cast: Cast, program: str, certified: nginx.Certificate) -> None:
    """The origin, the verifier, and three nginx before them."""
    stage = cast.stage
    origin, asked = stage.port(0), stage.port(6)

    async def started(name: str, configuration: str, port: int) -> Server:
        spec = nginx.spec(stage, program, name, configuration=configuration, port=port)
        cast.words.append(f"# {name}: {shown(stage, ' '.join(spec.argv))}\n{shown(stage, configuration)}")
        return await stage.start(spec)

    folder = nginx.folder_of(stage, "nginx-origin")
    await started("nginx-origin", nginx.origin(folder, port=origin, bucket=stage.bucket), origin)
    folder = nginx.folder_of(stage, "nginx-secure-link")
    text = nginx.secure_link(folder, port=stage.port(7), tls_port=stage.port(8), origin_port=origin, tls=certified)
    server = await started("nginx-secure-link", text, stage.port(7))
    cast.sides[SECURE_LINK] = Side(SECURE_LINK, (server,), stage.port(7), stage.port(8))
    spec = verifier_spec(stage, asked)
    cast.words.append(f"# verifier (benchmarks/edge/verifier.py): {shown(stage, ' '.join(spec.argv))}")
    checker = await stage.start(spec)
    for name, side, port in (("nginx-auth", AUTH_REQUEST, 9), ("nginx-auth-cached", AUTH_CACHED, 10)):
        text = nginx.auth_request(
            nginx.folder_of(stage, name),
            port=stage.port(port),
            origin_port=origin,
            verifier_port=asked,
            cached=side == AUTH_CACHED,
        )
        server = await started(name, text, stage.port(port))
        cast.sides[side] = Side(side, (server, checker), stage.port(port), valkey=stage.valkey)


def verifier_spec(stage: Stage, port: int) -> Spec:
    """The verifier as a child, with the options the edge is started with."""
    options = ("--interface", "rsgi", "--loop", "uvloop", "--workers", "1", "--http", "1", "--no-ws")
    return Spec(
        name="verifier",
        argv=(
            *(sys.executable, "-m", "granian", *options, "--host", "127.0.0.1", "--port", str(port)),
            *("--backlog", "4096", "--backpressure", "4096", "--factory", f"{verifier.__name__}:create_app"),
        ),
        environ=stage.environment()
        | {verifier.JWKS_FILE: str(stage.folder / "edge" / "jwks.json"), verifier.REDIS_URL: stage.redis_url},
        cwd=ROOT,
        probe=Probe(port),
    )


async def _start_edge(cast: Cast, certified: nginx.Certificate) -> None:
    """Our edge in cleartext and another over TLS, as `run` starts it."""
    stage = cast.stage
    tls = {"tls_cert": str(certified.certificate), "tls_key": str(certified.key)}
    plain, spec = await stage.edge("edge", settings=RAISED)
    secure, _ = await stage.edge("edge-tls", settings=RAISED | tls)
    cast.sides[EDGE] = Side(EDGE, (plain,), plain.port, secure.port, valkey=stage.valkey)
    cast.sides[f"{EDGE} tls"] = Side(EDGE, (secure,), secure.port, secure.port, valkey=stage.valkey)
    cast.words.append(edge_words(stage, spec))


def edge_words(stage: Stage, spec: Spec) -> str:
    """How the edge was started: command and settings, passwords left out."""
    told = [f"{name}={value}" for name, value in sorted(spec.environ.items()) if name.startswith("USHER_")]
    told = [line for line in told if "_URL=" not in line and "_MARK=" not in line]
    return shown(stage, "\n".join((f"# edge: {' '.join(spec.argv)}", *(f"#   {line}" for line in told))))


def shown(stage: Stage, text: str) -> str:
    """Text for people, without the folders of this one run and machine."""
    return text.replace(str(stage.folder), "$STAGE").replace(sys.executable, "python").replace(str(ROOT), "$USHER")
