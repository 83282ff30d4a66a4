"""The reader of IEMOCAP, MELD and EmoryNLP: tables of conversations from comma-separated files."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file
from gscon_live.train.corpora.csv_rows import Row, rows
from gscon_live.train.corpora.schema import PROSODY, SPLITS, Dialogue, Table, Utterance

#: The split names of the files, and ours.
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def _named_speaker(row: Row) -> str:
    return row.words("speaker")


def _listed_speakers(row: Row) -> str:
    """EmoryNLP lists all who speak at once; together they count as one more speaker."""
    cell = row.words("Speaker")
    try:
        names = ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise row.wrong(f"column 'Speaker' has {cell!r}, not a list of names")
    return ", ".join(names)


@dataclass(frozen=True)
class _Layout:
    """The layout of a file: its labels, in our order, and its columns."""

    file: str
    labels: tuple[str, ...]
    dialogue: tuple[str, ...] = ("dialogue",)
    turn: str = "turn"
    text: str = "text"
    emotion: str = "emotion"
    speaker: str = "speaker"
    speaker_of: Callable[[Row], str] = _named_speaker
    prosody: tuple[str, ...] = PROSODY

    @property
    def columns(self) -> tuple[str, ...]:
        parts = ("split", *self.dialogue, self.turn, self.speaker, self.emotion, self.text)
        return (*parts, *self.prosody)


_LAYOUTS = {
    "iemocap": _Layout(
        "erc/iemocap.csv", ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    ),
    "meld": _Layout("erc/meld.csv", EMOTIONS),
    "emorynlp": _Layout(
        "erc/emorynlp.csv",
        ("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared"),
        dialogue=("Season", "Episode", "Scene_ID"),
        turn="Utterance_ID",
        text="Utterance",
        emotion="Emotion",
        speaker="Speaker",
        speaker_of=_listed_speakers,
        prosody=(),
    ),
}

#: The names of the tables.
TABLES = tuple(_LAYOUTS)
#: Their labels, in the order of the numbers that stand for them.
LABELS = {name: layout.labels for name, layout in _LAYOUTS.items()}


def load_table(name: str) -> Table:
    """A table: "iemocap", "meld" or "emorynlp".

    Dialogues are in the order of the file, utterances in the order of their turns; turns may have
    gaps, where an utterance has no label. IEMOCAP's validation split are the twelve
    dialogues of COSMIC, of sessions 1 to 4; its test split is session 5. EmoryNLP's dialogues are
    scenes, named `<season>-<episode>-<scene>`; it has no prosody.

    Prosody is None where all its cells are empty. Without a voiced sound (no mean pitch, deviation
    and range 0) the mean pitch is 0 Hz; without a detected syllable (no articulation rate) the
    rate is 0. Neither value occurs otherwise.

    Raises:
        InputError: there is no such table or file, or its contents are wrong: a missing column or
            cell, an unknown split or emotion, a number that is not finite, a duplicate turn, a
            dialogue in two splits, or an empty split.
    """
    if name not in _LAYOUTS:
        raise InputError(f"table {name!r}: unknown; there are {', '.join(TABLES)}")
    layout = _LAYOUTS[name]
    path = corpus_file(layout.file)
    turns: dict[str, dict[str, dict[int, Utterance]]] = {split: {} for split in SPLITS}
    split_of: dict[str, str] = {}
    for row in rows(path, layout.columns):
        split = _SPLITS[row.one_of("split", tuple(_SPLITS))]
        dialogue = "-".join(row.words(column) for column in layout.dialogue)
        if split_of.setdefault(dialogue, split) != split:
            raise row.wrong(f"dialogue {dialogue!r} is in {split_of[dialogue]} and in {split}")
        turn, utterances = row.integer(layout.turn), turns[split].setdefault(dialogue, {})
        if turn in utterances:
            raise row.wrong(f"dialogue {dialogue!r} has turn {turn} twice")
        utterances[turn] = Utterance(
            speaker=layout.speaker_of(row),
            text=row.words(layout.text),
            label=layout.labels.index(row.one_of(layout.emotion, layout.labels)),
            prosody=_prosody(row) if layout.prosody else None,
        )
    for split, dialogues in turns.items():
        if not dialogues:
            raise InputError(f"{path}: the split {split!r} is empty")
    return Table(
        name,
        layout.labels,
        {
            split: tuple(
                Dialogue(dialogue, tuple(utterances[turn] for turn in sorted(utterances)))
                for dialogue, utterances in dialogues.items()
            )
            for split, dialogues in turns.items()
        },
    )


def _prosody(row: Row) -> tuple[float, ...] | None:
    cells = {column: row.number(column) for column in PROSODY}
    if all(value is None for value in cells.values()):
        return None
    if cells["avg_pitch"] is None and cells["pitch_std"] == cells["pitch_range"] == 0:
        cells["avg_pitch"] = 0.0
    if cells["articulation_rate"] is None:
        cells["articulation_rate"] = 0.0
    values = []
    for column, value in cells.items():
        if value is None:
            raise row.wrong(f"column {column!r} is empty, and other prosody is there")
        values.append(value)
    return tuple(values)
