"""What every page's markup must hold: nothing inline, nothing unescaped, nothing that is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from gateway.control.catalogue.model import TakedownNote
from gateway.web import static, templates

PATHS = [
    "/",
    "/?q=sea&cursor=x",
    "/watch/ab23/a-film",
    "/watch/cd45/a-film",
    "/watch/none",
    "/studio",
    "/studio/ttl_1",
    "/account",
    "/portal",
    "/wallet",
    "/purchases",
    "/earnings",
    "/payouts",
    "/admin",
    "/admin/payments/pur_1",
    "/register",
    "/forgot",
    "/reset?token=x",
    "/sandbox/sbx_1",
    "/setup",
    "/docs",
    "/docs/problems",
    "/legal",
]
FILES = [path for path in static.FOLDER.rglob("*") if path.is_file() and "vendor" not in path.parts]
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


class Markup(HTMLParser):
    """Collects tags, and text inside script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.inline += data.strip()


@pytest.mark.parametrize("path", PATHS)
async def test_page_has_nothing_inline_and_nothing_unescaped_when_every_word_is_hostile(browse: Any, path: str) -> None:
    answer = await browse(path)
    page = Markup(answer.text)
    assert page.inline == ""
    assert "<script>alert" not in answer.text
    assert not [name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")]
    assert "49" not in re.findall(r"alert\(1\)&lt;/script&gt;(\d+)", answer.text)


@pytest.mark.parametrize("path", PATHS)
async def test_page_names_only_static_files_that_exist_when_rendered(browse: Any, path: str) -> None:
    page = Markup((await browse(path)).text)
    named = [v for _, a in page.tags for v in (a.get("href"), a.get("src")) if v and v.startswith("/static/")]
    assert named
    for address in named:
        assert (static.FOLDER / address.split("#")[0].split("/", 3)[3]).is_file(), address


@pytest.mark.parametrize("path", PATHS)
async def test_page_has_one_heading_a_main_and_labelled_fields_when_rendered(browse: Any, path: str) -> None:
    page = Markup((await browse(path)).text)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    labelled = {attributes.get("for") for tag, attributes in page.tags if tag == "label"}
    fields = [a for tag, a in page.tags if tag in ("input", "textarea", "select") and a.get("type") != "hidden"]
    assert {a["id"] for a in fields} <= labelled


def test_every_template_is_rendered_by_a_path_of_this_test_or_is_a_part() -> None:
    names = {path.stem for path in templates.FOLDER.glob("*.html")} - {"base", "buy", "macros"}
    shown = {p.split("?")[0].strip("/").split("/")[0] or "browse" for p in PATHS}
    assert names == shown | {"problems", "error", "login", "mailbox"}


async def test_login_page_is_as_clean_when_nobody_is_logged_in(browse: Any, shelf: Any) -> None:
    shelf.who = None
    answer = await browse("/login?next=/studio")
    assert answer.status_code == 200
    assert Markup(answer.text).inline == ""


def test_vendored_and_own_modules_exist_when_a_script_imports_them() -> None:
    for script in SCRIPTS:
        for address in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""", script.read_text()):
            target = (script.parent / address).resolve()
            vendored = target.parent.name == "vendor"
            assert vendored or target.is_file(), f"{script.name} imports {address}"


def test_no_script_writes_markup_or_inline_style() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|setAttribute\(\"style\"")
    found = {path.name: forbidden.findall(path.read_text()) for path in SCRIPTS}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_every_icon_exists_when_a_template_or_script_names_it() -> None:
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (static.FOLDER / "icons.svg").read_text()))
    texts = [path.read_text() for path in [*SCRIPTS, *templates.FOLDER.glob("*.html")]]
    named = {name for text in texts for name in re.findall(r"""\bicon\(["']([\w-]+)["']""", text)}
    refusals = (static.FOLDER / "js" / "refusals.js").read_text()
    named |= set(re.findall(r'say\("([\w-]+)"', refusals))
    assert named
    assert named <= drawn


def test_every_class_exists_when_a_template_names_it() -> None:
    sheets = "".join(path.read_text() for path in FILES if path.suffix == ".css")
    known = set(re.findall(r"\.([a-z][\w-]*)", sheets))
    for path in templates.FOLDER.glob("*.html"):
        text = re.sub(r"\{[%{#].*?[%}#]\}", " ", path.read_text(), flags=re.S)
        for names in re.findall(r'class="([^"]*)"', text):
            unknown = {name for name in names.split() if not name.endswith("-")} - known
            assert not unknown, f"{path.name}: {unknown}"


async def test_watch_page_shows_the_notice_and_no_player_when_taken_down(browse: Any, shelf: Any, a_title: Any) -> None:
    shelf.titles["ef67"] = a_title("ef67", takedown=TakedownNote("", "Removed by <court>."))
    answer = await browse("/watch/ef67/a-film")
    assert answer.status_code == 410
    assert "Removed by &lt;court&gt;." in answer.text
    assert 'id="start"' not in answer.text


async def test_watch_page_tells_other_sites_of_the_film_when_shared(browse: Any) -> None:
    page = Markup((await browse("/watch/ab23/a-film")).text)
    said = {a["property"]: a["content"] for tag, a in page.tags if tag == "meta" and "property" in a}
    assert said["og:url"] == "https://films.example/watch/ab23/a-film"
    assert said["og:image"] == "https://films.example/v1/titles/x/poster.jpg?v=1"
    assert said["video:duration"] == "5520"


def test_static_folder_holds_no_file_of_others_outside_vendor() -> None:
    assert {path.suffix for path in FILES} <= {".js", ".css", ".svg"}
