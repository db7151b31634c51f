"""What a seller wishes for a film in the studio reaches the work on it."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest

from tests.e2e.conftest import Open
from tests.e2e.test_browser import enter
from tests.support import media
from tests.support.api import until
from tests.support.stack import Running

#: The box in the studio by its words, and the job's mode and loudness once only that is ticked.
WISHES = {
    "Bring the loudness to that of other titles": ("fixed", True),
    "Try out which bitrates suit this film": ("per-title", False),
}


@pytest.fixture(scope="module")
def master() -> Path:
    film = (*media.picture("160x90", seconds=4), *media.tone(4))
    return media.master("e2e-wishes.mp4", *film, *media.H264, "-c:a", "aac")


@pytest.mark.parametrize("ticked", [(), *((words,) for words in WISHES), tuple(WISHES)])
async def test_boxes_that_a_seller_ticks_arrive_in_the_job(
    stack: Running, open_page: Open, master: Path, ticked: tuple[str, ...]
) -> None:
    page = await open_page(phone=True)
    await enter(page, stack, "seller")
    await page.goto("/studio")
    await page.get_by_text("Options", exact=True).click()
    for words in ticked:
        await page.get_by_label(words).check()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.locator("input[type=file]").set_input_files(master)
    await page.wait_for_url(re.compile("/studio/ttl_"))

    wished = [WISHES[words] for words in ticked]
    mode = "per-title" if any(mode == "per-title" for mode, _ in wished) else "fixed"
    assert await job_of(stack, page.url.rsplit("/", 1)[1]) == (mode, any(loud for _, loud in wished))


async def job_of(stack: Running, title: str) -> tuple[str, bool]:
    """Mode and loudness of a title's job, once there is one."""
    connection = await asyncpg.connect(stack.database_url)
    try:

        async def found() -> tuple[str, bool] | None:
            row = await connection.fetchrow("select mode, loudness from job where title = $1", title)
            return (row["mode"], row["loudness"]) if row else None

        return await until(found, within_s=60, what="a job")
    finally:
        await connection.close()
