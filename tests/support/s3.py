"""S3 servers for tests, each a child process: moto (conditional put, no signatures) and nanio (the reverse)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import aioboto3
import msgspec
from botocore.config import Config

from tests.support.ports import free_port

#: moto refuses nothing; nanio knows exactly this pair.
ACCESS_KEY, SECRET_KEY = "usher-test-access", "usher-test-secret-key"
REGION = "us-east-1"
START_S = 60.0


class S3Server(msgspec.Struct, frozen=True):
    """Where a server listens, and the keys it knows."""

    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION

    async def make_bucket(self, name: str) -> None:
        """Create a bucket."""
        client = aioboto3.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        async with client as s3:
            await s3.create_bucket(Bucket=name)

    def environ(self, bucket: str) -> dict[str, str]:
        """The USHER_* variables that name `bucket` on this server."""
        return {
            "USHER_BUCKET": f"s3://{bucket}",
            "USHER_S3_ENDPOINT": self.endpoint,
            "USHER_S3_REGION": self.region,
            "USHER_S3_ACCESS_KEY": self.access_key,
            "USHER_S3_SECRET_KEY": self.secret_key,
        }


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """A moto server; its log goes to `folder`."""
    port = free_port()
    with _child([_script("moto_server"), "-H", "127.0.0.1", "-p", str(port)], port, folder / "moto.log"):
        yield S3Server(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def nanio(folder: Path) -> Iterator[S3Server]:
    """A nanio server that keeps its data and its log in `folder`."""
    port = free_port()
    argv = [_script("nanio"), "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder / "nanio")]
    (folder / "nanio").mkdir(parents=True)
    keys = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
    with _child([*argv, "--no-access-log"], port, folder / "nanio.log", keys):
        yield S3Server(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def _child(argv: Sequence[str], port: int, log: Path, environ: dict[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        child = subprocess.Popen(argv, stdout=output, stderr=output, env={**os.environ, **(environ or {})})
        try:
            _await_answer(child, port, log)
            yield
        finally:
            child.kill()
            child.wait()


def _await_answer(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).close()
            return
        except urllib.error.HTTPError as refused:
            refused.close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{child.args!r} did not answer:\n{log.read_text()[-2000:]}")


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)
