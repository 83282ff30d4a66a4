"""Tables of conversations are read whole and in our terms; what is wrong in a file is one line."""

import csv
import gzip
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import data_folder, goemotions, overlap
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.schema import PROSODY, Dialogue, Table, Utterance

needs_data = pytest.mark.skipif(
    not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA"
)

#: What a small file of MELD's form says, row by row.
Rows = list[dict[str, str]]


def dialogues(table: Table) -> Iterable[Dialogue]:
    return (one for there in table.splits.values() for one in there)


def utterances(table: Table) -> list[Utterance]:
    return [u for dialogue in dialogues(table) for u in dialogue.utterances]


# The real tables.


@needs_data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("iemocap", {"train": (108, 5163), "validation": (12, 647), "test": (31, 1623)}),
        ("meld", {"train": (1038, 9989), "validation": (114, 1109), "test": (280, 2610)}),
        ("emorynlp", {"train": (659, 7551), "validation": (89, 954), "test": (79, 984)}),
    ],
)
def test_a_table_has_its_published_splits_and_every_split_every_label(
    name: str, sizes: dict[str, tuple[int, int]]
) -> None:
    table = load_table(name)
    assert table.name == name
    found = {s: (len(d), sum(len(one.utterances) for one in d)) for s, d in table.splits.items()}
    assert found == sizes
    names = [one.name for one in dialogues(table)]
    assert len(set(names)) == len(names)
    for there in table.splits.values():
        labels = {u.label for one in there for u in one.utterances}
        assert labels == set(range(len(table.labels)))


@needs_data
def test_iemocap_is_split_by_sessions_and_by_cosmic() -> None:
    table = load_table("iemocap")
    assert table.labels == ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    assert {one.name[:5] for one in table.splits["test"]} == {"Ses05"}
    assert not any(
        one.name.startswith("Ses05") for s in ("train", "validation") for one in table.splits[s]
    )
    assert {"Ses01M_impro01", "Ses04F_script02_1"} <= {o.name for o in table.splits["validation"]}
    counts = Counter(table.labels[u.label] for u in utterances(table))
    assert counts == {
        "frustrated": 1849, "neutral": 1708, "angry": 1103, "sad": 1084, "excited": 1041,
        "happy": 648,
    }  # fmt: skip
    first = table.splits["train"][0].utterances
    assert (first[0].speaker, first[0].text) == ("F", "Excuse me.")
    assert (first[1].speaker, first[1].text) == ("M", "Do you have your forms?")


@needs_data
def test_prosody_is_finite_and_missing_only_where_nothing_was_measured() -> None:
    missing = {}
    for name in ("iemocap", "meld"):
        found = utterances(load_table(name))
        missing[name] = sum(one.prosody is None for one in found)
        for one in found:
            if one.prosody is not None:
                assert len(one.prosody) == len(PROSODY)
                assert all(map(math.isfinite, one.prosody))
                named = dict(zip(PROSODY, one.prosody, strict=True))
                assert named["duration"] > 0
                assert named["avg_pitch"] or not (named["pitch_std"] or named["pitch_range"])
    assert missing == {"iemocap": 0, "meld": 2}
    assert all(one.prosody is None for one in utterances(load_table("emorynlp")))


@needs_data
def test_emorynlp_names_speakers_and_scenes() -> None:
    table = load_table("emorynlp")
    assert table.splits["train"][0].name == "1-2-1"
    assert table.splits["train"][0].utterances[0].speaker == "Monica Geller"
    assert "Monica Geller, Phoebe Buffay" in {u.speaker for u in utterances(table)}
    assert not any("[" in u.speaker for u in utterances(table))


@needs_data
def test_meld_has_the_emotions_of_the_model_in_their_order() -> None:
    table = load_table("meld")
    assert table.labels == EMOTIONS
    for split in ("train", "validation", "test"):
        assert table.utterances(split) == [one.utterances for one in table.splits[split]]


@needs_data
def test_goemotions_has_its_published_sizes() -> None:
    found = goemotions.load()
    assert {split: len(s) for split, s in found.items()} == {
        "train": 43410, "validation": 5426, "test": 5427,
    }  # fmt: skip
    every = [one for sentences in found.values() for one in sentences]
    assert Counter(len(one.labels) for one in every) == {1: 49469, 2: 4682, 3: 112}
    counts = Counter(EMOTIONS[label] for one in every for label in one.labels)
    assert (counts["joy"], counts["neutral"], counts["fear"]) == (21733, 17772, 929)
    assert all(list(one.labels) == sorted(set(one.labels)) and one.text for one in every)


# Files that are wrong.


def row(dialogue: str, turn: int, split: str = "train", **other: str) -> dict[str, str]:
    made = {"split": split, "dialogue": dialogue, "turn": str(turn), "speaker": "Ann"}
    made |= {"emotion": "joy", "text": "So it is."} | dict.fromkeys(PROSODY, "1.5")
    return made | other


def whole() -> Rows:
    return [
        row("a", 2, text="Second."),
        row("a", 0, text="First.", speaker="Bob", emotion="neutral"),
        row("b", 0, split="dev"),
        row("c", 0, split="test"),
    ]


def write(rows: Rows, path: Path, columns: list[str] | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    with (
        gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="")
    ) as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Rows], Table]:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))

    def make(rows: Rows) -> Table:
        write(rows, tmp_path / "erc" / "meld.csv")
        return load_table("meld")

    return make


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_utterances_are_in_the_order_of_their_turns(made: Callable[[Rows], Table]) -> None:
    table = made(whole())
    assert {split: [one.name for one in d] for split, d in table.splits.items()} == {
        "train": ["a"], "validation": ["b"], "test": ["c"],
    }  # fmt: skip
    first, second = table.splits["train"][0].utterances
    assert (first.text, first.speaker, first.label) == ("First.", "Bob", 0)
    assert second.text == "Second."
    assert second.prosody == (1.5,) * 8


def test_what_was_not_measured_is_not_invented(made: Callable[[Rows], Table]) -> None:
    rows = whole()
    rows[0] |= dict.fromkeys(PROSODY, "")
    rows[2] |= {"avg_pitch": "", "pitch_std": "0.0", "pitch_range": "0"}
    rows[3] |= {"articulation_rate": ""}
    table = made(rows)
    assert table.splits["train"][0].utterances[1].prosody is None
    unvoiced = table.splits["validation"][0].utterances[0].prosody
    assert unvoiced == (1.5, 1.5, 1.5, 0, 0, 0, 1.5, 1.5)
    silent = table.splits["test"][0].utterances[0].prosody
    assert silent == (1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 0, 1.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "evaluation"}, ("'split'", "'evaluation'", "dev")),
        ({"emotion": "happy"}, ("'emotion'", "'happy'", "joy")),
        ({"emotion": ""}, ("'emotion'", "empty")),
        ({"text": "  "}, ("'text'", "empty")),
        ({"speaker": ""}, ("'speaker'", "empty")),
        ({"dialogue": ""}, ("'dialogue'", "empty")),
        ({"turn": "x"}, ("'turn'", "'x'", "whole number")),
        ({"turn": "-1"}, ("'turn'", "'-1'", "whole number")),
        ({"turn": "9" * 5000}, ("'turn'", "whole number")),
        ({"turn": "2"}, ("'a'", "turn 2", "twice")),
        ({"dialogue": "b", "turn": "7"}, ("'b'", "validation", "train")),
        ({"avg_pitch": "loud"}, ("'avg_pitch'", "'loud'", "empty")),
        ({"avg_pitch": "nan"}, ("'avg_pitch'", "'nan'", "finite")),
        ({"mean_hnr": "-inf"}, ("'mean_hnr'", "'-inf'", "finite")),
        ({"duration": "1e999"}, ("'duration'", "'1e999'", "finite")),
        ({"duration": ""}, ("'duration'", "empty")),
        ({"avg_pitch": "", "pitch_std": "0"}, ("'avg_pitch'", "empty")),
    ],
)
def test_a_wrong_cell_is_named_with_its_line_and_column(
    made: Callable[[Rows], Table], change: dict[str, str], said: tuple[str, ...]
) -> None:
    rows = whole()
    # The fourth row of the file, the header counted, comes after dialogue b.
    rows[1], rows[2] = rows[2], rows[1] | change
    message = refused(lambda: made(rows))
    for part in ("meld.csv", "line 4", *said):
        assert part in message


@pytest.mark.parametrize("column", ["split", "dialogue", "emotion", "mean_hnr"])
def test_a_missing_column_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    columns = [name for name in whole()[0] if name != column]
    write(whole(), tmp_path / "erc" / "meld.csv", columns)
    assert f"no column {column!r}" in refused(lambda: load_table("meld"))


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_an_empty_split_is_refused(made: Callable[[Rows], Table], split: str) -> None:
    rows = [one for one in whole() if one["split"] != split]
    ours = "validation" if split == "dev" else split
    assert f"{ours!r} is empty" in refused(lambda: made(rows))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column"),
        (b"\xff\xfe\x00s\x00p", "not a comma-separated UTF-8 file"),
        (b'split,"dialogue\n', "not a comma-separated UTF-8 file"),
        (b"split,split,dialogue\n", "more than one column 'split'"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    (tmp_path / "erc").mkdir()
    (tmp_path / "erc" / "meld.csv").write_bytes(content)
    assert said in refused(lambda: load_table("meld"))


@pytest.mark.parametrize("cells", ["train", "x,y,z" * 9])
def test_a_row_with_too_few_or_too_many_cells_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: str
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    path = tmp_path / "erc" / "meld.csv"
    write(whole(), path)
    with path.open("a") as file:
        file.write(cells + "\n")
    message = refused(lambda: load_table("meld"))
    assert "line 6" in message
    assert "the header has 14" in message


def test_an_absent_or_unknown_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    assert "erc/iemocap.csv" in refused(lambda: load_table("iemocap"))
    assert "iemocap, meld, emorynlp" in refused(lambda: load_table("dailydialog"))


@pytest.mark.parametrize("speaker", ["Monica", "[]", "['a', 1]", "[" * 5000, "__import__('os')"])
def test_a_wrong_list_of_speakers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaker: str
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    columns = ["Season", "Episode", "Scene_ID", "Utterance_ID", "Utterance", "Emotion", "Speaker"]
    values = ["1", "2", "3", "4", "So it is.", "Mad", speaker]
    rows = [dict(zip(["split", *columns], ["train", *values], strict=True))]
    write(rows, tmp_path / "erc" / "emorynlp.csv")
    message = refused(lambda: load_table("emorynlp"))
    assert "line 2" in message
    assert "'Speaker'" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"emotions": "joy|envy"}, "'envy'"),
        ({"emotions": ""}, "'emotions' is empty"),
        ({"text": ""}, "'text' is empty"),
        ({"split": "train2"}, "'train2'"),
        ({"split": "dev"}, "'test' is empty"),
    ],
)
def test_a_wrong_sentence_of_goemotions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    rows = [
        {"split": split, "text": "So it is.", "emotions": "joy|anger"}
        for split in ("train", "dev", "test")
    ]
    path = tmp_path / "text" / "goemotions_ekman.csv.gz"
    write(rows, path)
    assert goemotions.load()["test"] == (goemotions.Sentence("So it is.", (4, 6)),)
    write([*rows[:2], rows[2] | change], path)
    assert said in refused(goemotions.load)


def test_a_broken_gzip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    path = tmp_path / "text" / "goemotions_ekman.csv.gz"
    rows = [{"split": "train", "text": f"So it is {n}.", "emotions": "joy"} for n in range(99)]
    write(rows, path)
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:-40])
    shutil.move(cut, path)
    assert "goemotions_ekman.csv.gz" in refused(goemotions.load)


# Which dialogues tell the same scene.


def dialogue(*texts: str) -> Dialogue:
    return Dialogue("one", tuple(Utterance("Ann", text, 0) for text in texts))


SCENE = dialogue("Hey!", "You’re not going to believe what happened!", "It’s... a café, Joey")


@pytest.mark.parametrize(
    ("other", "shares"),
    [
        (dialogue("you're not going to believe what happened"), True),
        # Cut elsewhere, with six words in a row left.
        (dialogue("Hey! You're not going to believe what", "happened?"), True),
        (dialogue("not going to believe what"), False),
        (dialogue("its a cafe joey"), False),
        (dialogue("Its a cafe, Joey, a cafe"), False),
        (dialogue("Hey!"), False),
        (dialogue("Hey, you", "not believe", "what happened"), False),
    ],
)
def test_scenes_are_the_same_by_whole_utterances_or_by_runs_of_words(
    other: Dialogue, shares: bool
) -> None:
    assert bool(overlap.overlapping([other], [SCENE])) is shares
    assert bool(overlap.overlapping([SCENE], [other])) is shares
    assert len(overlap.disjoint([other], [SCENE])) == 1 - shares


WORD = st.sampled_from(["oh", "no", "Joey", "it’s", "the", "sofa!"])
SCENES = st.lists(
    st.lists(st.lists(WORD, max_size=9).map(" ".join), min_size=1, max_size=3).map(
        lambda texts: dialogue(*texts)
    ),
    max_size=4,
)


@given(SCENES, SCENES, st.integers(1, 6), st.integers(1, 7))
def test_dialogues_either_overlap_or_are_disjoint(
    some: list[Dialogue], held_out: list[Dialogue], words: int, run: int
) -> None:
    def spoken(one: Dialogue) -> list[list[str]]:
        return [u.text.lower().replace("’", "").replace("!", "").split() for u in one.utterances]

    def shares(left: Dialogue, right: Dialogue) -> bool:
        return any(
            (a == b and len(a) >= words)
            or any(
                a[i : i + run] == b[j : j + run]
                for i in range(len(a) - run + 1)
                for j in range(len(b) - run + 1)
            )
            for a in spoken(left)
            for b in spoken(right)
        )

    expected = [any(shares(one, other) for other in held_out) for one in some]
    overlapping = overlap.overlapping(some, held_out, words, run)
    assert list(overlapping) == [one for one, yes in zip(some, expected, strict=True) if yes]
    kept = overlap.disjoint(some, held_out, words, run)
    assert list(kept) == [one for one, yes in zip(some, expected, strict=True) if not yes]


@needs_data
def test_a_tenth_or_more_of_emorynlp_tells_scenes_of_melds_held_out_splits() -> None:
    theirs, ours = load_table("emorynlp").splits, load_table("meld").splits
    every = [one for there in theirs.values() for one in there]
    held_out = ours["validation"] + ours["test"]
    assert len(every) == 827
    assert len(overlap.overlapping(every, held_out)) == 151
    kept = overlap.disjoint(every, held_out)
    long = {
        words
        for one in held_out
        for u in one.utterances
        if len(words := overlap.words_of(u.text)) >= 5
    }
    assert not any(overlap.words_of(u.text) in long for one in kept for u in one.utterances)
