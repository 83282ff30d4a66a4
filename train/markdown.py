"""Tables in Markdown."""

from collections.abc import Sequence

#: The endings of a file in Markdown.
ENDINGS = (".md", ".markdown")


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table with these columns; a bar in a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
