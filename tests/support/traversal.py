"""Spellings of paths that try to leave a scope: dots and slashes in every disguise, and odd targets of a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SCOPE = "v/ttl_a/"
GENUINE = "v/ttl_a/ver1/720/0/0.m4s"
#: Where they want to go, from the genuine file's folders up: another title, other trees, and out of the bucket.
GOALS = (
    "ttl_a2/ver1/720/0/0.m4s",
    "ttl_/ver1/720/0/0.m4s",
    "/".join(("..", "work", "ver1/0/a/0.m4s")),
    "../masters/ttl_a/upl_1.mp4",
    "../../secret.m4s",
    "../../../../../../../../etc/passwd",
)
DOTS = ("..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%uff0e%uff0e",
        "%ef%bc%8e%ef%bc%8e", "..%00", "...", "..;", ". .", "%2e%2e%20")  # fmt: skip
SLASHES = ("/", "%2f", "%2F", "%5c", "\\", "%252f", "%c0%af", "//", "/./", "%00/", "%ef%bc%8f")


def fill(folder: Path) -> None:
    """Files inside and outside the scope, in the bucket and beside it; each holds its own name and nothing else."""
    inside = [GENUINE, "v/ttl_a/ver1/720/init.mp4", "v/ttl_a/e/ed1/720.m3u8"]
    outside = ["v/ttl_a2/ver1/720/0/0.m4s", "v/ttl_/ver1/720/0/0.m4s", "v/ttl/ver1/720/0/0.m4s", "v/0.m4s", "0.m4s"]
    outside += ["work/ver1/0/a/0.m4s", "masters/ttl_a/upl_1.mp4", "v/ttl_a/ver1/ready.json"]
    for name in (*inside, *outside):
        path = folder / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "secret.m4s").write_text("secret.m4s")


def spellings() -> Iterator[str]:
    """Public paths, to be put behind `/t/<token>/` or behind `/` with the token in a header."""
    for goal in GOALS:
        ups = 1 + goal.count("../")
        name = goal.replace("../", "")
        # Every disguise towards one goal, and the plainest towards all.
        for dots in DOTS if goal == GOALS[0] else DOTS[:3]:
            for slash in SLASHES if goal == GOALS[0] else SLASHES[:4]:
                yield "v/ttl_a" + slash + (dots + slash) * ups + name.replace("/", slash)
        yield GENUINE.rpartition("/")[0] + "/" + "../" * (4 + ups) + name
    yield from ODD


ODD = (
    "v/ttl_a2/ver1/720/0/0.m4s", "v/ttl/ver1/720/0/0.m4s", "v/ttl_/ver1/720/0/0.m4s", "v/ttl_a%32/ver1/720/0/0.m4s",
    "v/ttl_a", "v/ttl_a/", "v/", "v", "", "/", "//", ".", "..", "v/ttl_a/ver1/ready.json", "v/ttl_a/ver1/720/0/",
    "//v/ttl_a2/ver1/720/0/0.m4s", "v//ttl_a2/ver1/720/0/0.m4s", "v/ttl_a//ver1/720/0/0.m4s",
    "/v/ttl_a2/ver1/720/0/0.m4s", "V/TTL_A/ver1/720/0/0.m4s", "v/ttl_a/ver1/720/0/0.m4s/",
    "v/ttl_a/ver1/720/0/0.m4s/..", "v/ttl_a/ver1/720/0/0.m4s%00",
    "v/ttl_a/ver1/720/0/0.m4s%00.jpg", "v/ttl_a/ver1/720/0/0.m4s%0d%0aX: y", "v/ttl_a/ver1/720/0/0.m4s;x=1",
    "v/ttl_a/ver1/720/0/0.m4s#../", "v/ttl_a/ver1/720/0/*.m4s", "v/ttl_a/ver1/720/0/{0,1}.m4s", "v/ttl_a/~/0.m4s",
    "v/ttl_a/$HOME/0.m4s", "v/ttl_a/%7e/0.m4s", "v/ttl_a/file:///etc/passwd", "v/ttl_a/http://evil.example/0.m4s",
    "v/ttl_a/ver1/720/0/%", "v/ttl_a/ver1/720/0/%2", "v/ttl_a/ver1/720/0/%zz.m4s", "v/ttl_a/ver1/720/0/%ff.m4s",
    "v/ttl_a/ver1/720/0/\xff.m4s", "v/ttl_a/ver1/720/0/\x00.m4s", "v/ttl_a/a b/0.m4s", "v/ttl_a/" + "a/" * 30 + "0.m4s",
    "v/ttl_a/" + "../" * 200 + "0.m4s", "v/ttl_a/" + "%2e%2e%2f" * 100 + "secret.m4s", "v/ttl_a/" + "a" * 4000 + ".m4s",
    "v%2fttl_a2%2fver1%2f720%2f0%2f0.m4s", "%2e%2e/v/ttl_a2/ver1/720/0/0.m4s", "../t/x/v/ttl_a2/ver1/720/0/0.m4s",
    "end/../v/ttl_a2/ver1/720/0/0.m4s", "beat%2f..%2fv%2fttl_a2", "v/ttl_a/.hidden/0.m4s", "v/ttl_a/ver1/.0.m4s",
    "v/ttl_a/ver1/720/0/0.m4s.", "v/ttl_a/ver1/720/0/0.M4S", "v/ttl_a/ver1/720/0/0.m4s::$DATA", "v/ttl_a/con/0.m4s",
)  # fmt: skip
#: Other spellings of what is inside: these may be served, and then it is this file.
INSIDE = (GENUINE, "%76/ttl_a/ver1/720/0/0.m4s", "v/ttl%5fa/ver1/720/0/0.m4s", "v/ttl_a%2Fver1/720/0/0%2em4s",
          GENUINE + "?v=../../v/ttl_a2/ver1/720/0/0.m4s", GENUINE + "?" + "x" * 500)  # fmt: skip
