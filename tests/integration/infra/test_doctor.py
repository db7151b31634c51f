"""`usher doctor` finds what is missing and names the line that mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from infra.cli import doctor
from tests.support import s3
from tests.support.ports import free_port


def test_bucket_without_conditional_put_is_refused(tmp_path: Path) -> None:
    with s3.nanio(tmp_path) as server:
        asyncio.run(server.make_bucket("pictures"))
        finding = doctor.bucket(server.environ("pictures"))
    assert "If-None-Match" in finding.mend
    assert "s3://pictures" in finding.words


@pytest.mark.parametrize(
    ("look", "variable", "value", "mend"),
    [
        (doctor.database, "USHER_DATABASE_URL", "postgresql://u:hidden@127.0.0.1:{port}/x", "USHER_DATABASE_URL"),
        (doctor.video, "USHER_FFMPEG", "/nowhere/ffmpeg", "USHER_FFMPEG"),
        (doctor.cache, "USHER_REDIS_URL", "redis://u:hidden@127.0.0.1:{port}/0", "USHER_REDIS_URL"),
    ],
)
def test_part_that_does_not_answer_is_named_with_what_mends_it(
    look: Callable[[Mapping[str, str]], doctor.Finding], variable: str, value: str, mend: str
) -> None:
    finding = look({variable: value.format(port=free_port())})
    assert mend in finding.mend
    assert finding.words and "hidden" not in finding.words
