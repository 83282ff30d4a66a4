"""The documentation can be read: short sentences, links that lead somewhere, nothing left over."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from pages import DOCS, ROOT, Page, pages

LANGUAGES = {"js", "json", "python", "sh", "text", "toml", "yaml"}
MAX_WORDS_OF_README = 1500
MAX_WORDS_OF_SENTENCE = 35

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)


def test_the_readme_can_be_finished() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= MAX_WORDS_OF_README


def words(sentence: str) -> int:
    return sum(any(c.isalnum() for c in word) for word in sentence.split())


@PAGES
def test_sentences_are_short(page: Page) -> None:
    long = [text for text in page.sentences() if words(text) > MAX_WORDS_OF_SENTENCE]
    assert long == []


def test_sentences_are_counted_over_line_ends_and_through_emphasis(tmp_path: Path) -> None:
    path = ROOT / "imagined.md"

    class Imagined(type(path)):  # type: ignore[misc]
        def read_text(self, **_: object) -> str:  # type: ignore[override]
            table = "|a b|c|\n|-|-|\n|d|e|\n"
            return f"One **two**\nthree `four four`. [Five](x) six!\n\n- seven\n\n{table}"

    sentences = list(Page(Imagined(path)).sentences())
    assert sentences == ["One two three code.", "Five six!", "seven", "a b", "c", "d", "e"]
    assert [words(text) for text in sentences] == [4, 2, 1, 2, 1, 1, 1]


@PAGES
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert parts.netloc, link
            continue
        target = (page.path.parent / parts.path).resolve() if parts.path else page.path
        assert target.is_file(), link
        assert target.is_relative_to(ROOT), link
        # The site holds the documentation alone.
        assert DOCS not in page.path.parents or DOCS in target.parents, link
        if parts.fragment:
            assert parts.fragment in Page(target).anchors, link


@PAGES
def test_code_blocks_say_what_they_are(page: Page) -> None:
    assert {block.language for block in page.blocks} <= LANGUAGES


@PAGES
def test_files_that_are_named_are_there(page: Page) -> None:
    """What looks like a path of the repository is one."""
    tops = "configs|docs|gscon_live|model|realtime|tests|train"
    files_of_the_examples = {
        "model/networks/baselines/sum.py",
        "realtime/events/markdown.py",
        "realtime/listen/clipping.py",
        "train/balance/agree.py",
        "train/frequency.py",
    }
    for code in page.inline_code:
        if re.fullmatch(rf"(?:{tops})/[\w./-]+", code) and code not in files_of_the_examples:
            assert (ROOT / code).exists(), code


def test_every_page_is_in_the_contents() -> None:
    contents = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = [path for entry in contents for path in _paths(entry)]
    assert sorted(listed) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")
    )


def _paths(entry: object) -> list[str]:
    if isinstance(entry, dict):
        return [path for value in entry.values() for path in _paths(value)]
    if isinstance(entry, list):
        return [path for value in entry for path in _paths(value)]
    return [str(entry)]


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    built = sorted(path.name for path in (tmp_path / "build/site").glob("*.html"))
    assert "responsible-use.html" in built


ROOMS = [
    path.relative_to(ROOT)
    for room in ("model", "realtime", "train")
    for path in sorted((ROOT / room).rglob("*"))
    if path.is_dir() and any(path.glob("*.py"))
]


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_every_room_is_on_the_page_of_rooms(room: Path) -> None:
    """Rooms that hold nothing but rooms need no line."""
    page = (DOCS / "rooms.md").read_text(encoding="utf-8")
    section = page.split(f"## Inside `{room.parts[0]}`")[1].split("\n## ")[0]
    name = room.relative_to(room.parts[0]).as_posix()
    modules = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py", "__main__.py"}
    if modules and name != ".":
        assert f"| `{name}` |" in section


@pytest.mark.parametrize("top", ["configs", "gscon_live", "gscon_live/common", "model",
                                 "realtime", "train"])  # fmt: skip
def test_every_file_at_the_top_of_a_package_is_on_the_page_of_rooms(top: str) -> None:
    page = (DOCS / "rooms.md").read_text(encoding="utf-8")
    package, _, folder = top.partition("/")
    section = page.split(f"## Inside `{package}`")[1].split("\n## ")[0]
    files = [path for path in (ROOT / top).glob("*.py") if not path.name.startswith("__")]
    names = [f"{folder}/{path.name}" if folder else path.name for path in files]
    assert [name for name in names if f"`{name}`" not in section] == []


def test_no_room_is_made_up() -> None:
    page = (DOCS / "rooms.md").read_text(encoding="utf-8")
    for room in ("model", "realtime", "train"):
        section = page.split(f"## Inside `{room}`")[1].split("\n## ")[0]
        names = re.findall(r"^\| `([\w/]+)` \|", section, re.MULTILINE)
        assert names
        assert [name for name in names if not (ROOT / room / name).is_dir()] == []


def test_the_checks_before_a_commit_are_those_of_make_check() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert [hook["entry"] for hook in hooks] == ["make check"]
    assert not any(hook["pass_filenames"] for hook in hooks)
