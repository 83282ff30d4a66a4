"""The documentation as the tests read it: pages, their blocks, links, anchors and sentences."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


class Block(NamedTuple):
    """A code block: its page, the line on which it begins, its language, and its code."""

    page: "Page"
    line: int
    language: str
    code: str

    @property
    def name(self) -> str:
        """Where it stands, for the names of tests."""
        return f"{self.page.name}:{self.line}"


class Page:
    """A page of Markdown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self._tokens = MarkdownIt("commonmark").enable("table").parse(self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        """The code blocks, in order."""
        return [
            Block(self, token.map[0] + 1, token.info, token.content)
            for token in self._tokens
            if token.type == "fence" and token.map
        ]

    @cached_property
    def links(self) -> list[str]:
        """Where links and images lead."""
        parts = [child for token in self._inline() for child in token.children or []]
        targets = [part.attrGet("href") or part.attrGet("src") for part in parts]
        return [str(target) for target in targets if target is not None]

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as forges make them."""
        headings = [
            inline
            for before, inline in zip(self._tokens, self._tokens[1:], strict=False)
            if before.type == "heading_open"
        ]
        return {_slug(_plain(heading)) for heading in headings}

    @cached_property
    def inline_code(self) -> list[str]:
        """What stands between single backquotes."""
        parts = [child for token in self._inline() for child in token.children or []]
        return [part.content for part in parts if part.type == "code_inline"]

    def sentences(self) -> Iterator[str]:
        """The sentences of paragraphs, list items, headings and cells; code counts as a word."""
        for token in self._inline():
            yield from re.split(r"(?<=[.!?])\s+", _plain(token, code="code"))

    def _inline(self) -> list[Token]:
        return [token for token in self._tokens if token.type == "inline"]


def pages() -> list[Page]:
    """All pages for people: those at the top of the repository, and the documentation."""
    return [Page(path) for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])]


def blocks(*languages: str) -> list[Block]:
    """The code blocks of all pages in some languages."""
    return [block for page in pages() for block in page.blocks if block.language in languages]


def example(page: str, place: int = 0) -> str:
    """The code of a page's Python block."""
    code = [block.code for block in Page(ROOT / page).blocks if block.language == "python"]
    return code[place]


def module(page: str, count: int = 1) -> ModuleType:
    """The page's first Python blocks, run as one module."""
    namespace = ModuleType(Path(page).stem)
    for place in range(count):
        exec(compile(example(page, place), page, "exec"), namespace.__dict__)
    return namespace


def _plain(token: Token, code: str | None = None) -> str:
    parts = []
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "code_inline":
            parts.append(child.content if code is None else code)
        else:
            parts.append(child.content)
    return "".join(parts)


def _slug(heading: str) -> str:
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.strip().replace(" ", "-")
