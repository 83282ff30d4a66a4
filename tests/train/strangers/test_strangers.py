"""All measures on strangers, on small corpora in the layout of the real ones."""

import json
from collections.abc import Sequence
from pathlib import Path

import made_faces
import msgspec
import numpy as np
import pytest
import small_corpora
import yaml
from made_faces import EMOTION_NAMES, Face
from progress import quiet

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.train import evaluate, fit
from gscon_live.train.corpora import ferplus
from gscon_live.train.corpora.labelled_faces import FaceCorpus, label_shares
from gscon_live.train.scoring.encoder_scores import face_corpus
from gscon_live.train.scoring.stranger_scores import at_prior, stranger_scores
from gscon_live.train.strangers import words
from gscon_live.train.strangers.composed import CORPORA, SUBSETS
from gscon_live.train.strangers.faces import face_features, face_strangers, unmet_faces
from gscon_live.train.strangers.measure import Strangers, measure
from gscon_live.train.strangers.parts import PARTS, Part
from gscon_live.train.strangers.tables import tables
from gscon_live.train.strangers.words import MARKS


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    small_corpora.write(folder)
    return folder


@pytest.fixture
def model(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A live model that was trained on the small corpora."""
    monkeypatch.setenv("GSCON_DATA", str(data))
    monkeypatch.chdir(tmp_path)
    words = tmp_path / "words.yaml"
    words.write_text("kind: text\nname: w\ncorpora: [meld]\nprosody: false\nepochs: 1\nparts: 2\n")
    assert run(fit.main, ["live", "epochs=1", f"text={words}", "name=small"]) == 0
    return "runs/small/small.safetensors"


def test_every_measure_is_there_and_is_the_same_each_time(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Encoding all of them in all ways takes a minute.
    few = {kind: lines[:4] for kind, lines in words.sentences().items()}
    (tmp_path / "sentences.yaml").write_text(yaml.safe_dump(few))
    monkeypatch.setattr(words, "SENTENCES", tmp_path / "sentences.yaml")

    def measured(parts: Sequence[Part]) -> Strangers:
        return measure(model, parts, quiet, conversations=3)

    everything = measured(PARTS)
    sections = everything.sections
    for name in ("ravdess", "emodb", "nemo", "urdu"):
        rows = sections[f"voice: {name}"]
        assert rows["first utterances"].count > 0
        assert "first utterances, at the corpus' prior" in rows
    readers = sections["voice: neutral readers (librispeech)"]
    assert {"first utterances", "first utterances, at the prior of conversations"} <= set(readers)
    assert all(set(scores.recall) == {"neutral"} for scores in readers.values())
    faces = sections["face: FER+ test"]
    # Three of each emotion, of which one is a copy of a training picture.
    assert faces["majority of votes, with near-copies"].count == 21
    assert faces["majority of votes"].count == 20
    for name in ("plain sentences", "facts", "MELD test", "IEMOCAP"):
        rows = sections[f"words: {name}"]
        assert {f"head, {change}" for change in MARKS} < set(rows)
        assert {"answer, 12% of words wrong", "answer, 30% of words wrong"} < set(rows)
    assert sections["words: plain sentences"]["head, as written"].count == 28
    assert set(sections["words: IEMOCAP"]["answer, as written"].recall) == {"joy", "anger"}
    for kind in ("all agree", "neutral words", "emotional words"):
        rows = sections[f"composed: {kind}"]
        assert len(rows) == len(MODALITIES) + len(SUBSETS) + len(CORPORA)
        assert len(sections[f"composed: {kind}, at a flat prior"]) == len(SUBSETS)
    assert all(0 <= value <= 1 for value in everything.figures.values())
    again = measured(("face", "words", "composed"))
    for name, rows in again.sections.items():
        assert rows == sections[name]
    titles = [table.title for table in tables(everything)]
    assert titles == [*sections, "Shares and confidences"]
    encoded = msgspec.json.encode(everything)
    assert msgspec.json.decode(encoded, type=Strangers) == everything
    assert json.loads(encoded)["model"] == "small"


def test_parts_need_only_their_own_corpora(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "face").symlink_to(data / "face")
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    assert [*measure("live", ("face",), quiet).sections] == ["face: FER+ test"]
    for part in ("voice", "words", "composed"):
        with pytest.raises(InputError, match="GSCON_DATA"):
            measure("live", (part,), quiet)


def test_an_unmet_face_is_no_copy(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSCON_DATA", str(data))
    test, unmet = unmet_faces()
    assert len(test.labels) == 3 * len(EMOTIONS)
    assert (~unmet).sum() == 1
    assert ferplus.copies(test.pixels[~unmet], ferplus.load("train").pixels).all()


def test_the_prior_is_that_of_the_labels_that_the_face_encoder_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each emotion once, and three faces that are fear by FER2013's labels, by votes rather joy."""
    random = np.random.default_rng(6)
    labelled = [(label, {vote: 10}) for label, vote in EMOTION_NAMES.items()]
    labelled += [("fear", {"happiness": 6, "sadness": 3, "NF": 1})] * 3
    faces = [
        Face(split, label, random.integers(0, 256, (48, 48)).astype(np.uint8), votes)
        for split in ("Training", "PrivateTest")
        for label, votes in labelled
    ]
    made_faces.write(tmp_path / "face", faces)
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    by_corpus: dict[FaceCorpus, dict[str, float]] = {
        "fer2013": {"fear": 0.4},
        "ferplus": {"joy": 0.3, "sadness": 0.2},
    }
    for corpus, shares in by_corpus.items():
        expected_shares = [shares.get(emotion, 0.1) for emotion in EMOTIONS]
        assert label_shares(corpus) == pytest.approx(expected_shares)
    learned = np.array([by_corpus[face_corpus()].get(emotion, 0.1) for emotion in EMOTIONS])
    rows = face_strangers(quiet)["face: FER+ test"]
    test = ferplus.load("test")
    features = face_features(test.pixels, FaceEncoder(), quiet)
    answers = np.exp(features[:, -len(EMOTIONS) :].astype(float))
    flat = np.full(len(EMOTIONS), 1 / len(EMOTIONS))
    expected = stranger_scores(at_prior(answers, learned, flat), test.votes.argmax(1))
    measured = rows["majority of votes, at a flat prior"]
    assert measured.count == 10
    assert measured.accuracy == expected.accuracy
    assert measured.ece == pytest.approx(expected.ece, abs=1e-6)


def test_the_command_prints_tables_or_json(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GSCON_DATA", str(data))
    page = tmp_path / "strangers.md"
    arguments = ["strangers", "--only", "face", "--json", "--markdown", str(page)]
    assert run(evaluate.main, arguments) == 0
    printed = msgspec.json.decode(capsys.readouterr().out, type=Strangers)
    assert [*printed.sections] == ["face: FER+ test"]
    assert run(evaluate.main, ["strangers", "--only", "face"]) == 0
    shown = capsys.readouterr().out
    for row, scores in printed.sections["face: FER+ test"].items():
        assert row in shown
        assert f"| {row} | {scores.count} | {scores.accuracy:.3f} |" in page.read_text()
    assert all(note.split(":")[0] in " ".join(shown.split()) for note in printed.notes)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["live", "--only", "face"], "--only goes with `evaluate strangers` alone"),
        (["live", "--live-model", "live"], "--live-model goes with `evaluate strangers` alone"),
        (["live", "--markdown", "page.md"], "--markdown goes with `evaluate strangers` alone"),
        (["strangers", "--live-model", "nobody"], "nobody"),
        (["strangers", "--markdown", "no/page.md"], "its folder does not exist"),
        (["strangers", "--only", "smell"], "invalid choice: 'smell'"),
    ],
)
def test_a_wrong_request_is_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(evaluate.main, arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert expected in line
