"""The examples of the documentation do what the pages say."""

import ast
import io
import json
import re
import sys
from importlib import import_module
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from made_events import conversation
from pages import ROOT, Block, blocks, example, module
from sessions import Play, cut, plan_for

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.model.labels import EMOTIONS, SAMPLE_RATE
from gscon_live.realtime.events import corrections, schema
from gscon_live.realtime.events.schema import UtteranceEvent
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.control import Status
from gscon_live.realtime.pipeline.services import Service
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.service_table import SERVICES
from gscon_live.realtime.session.session_plan import Plan
from gscon_live.train import fit
from gscon_live.train.corpora.schema import PROSODY
from gscon_live.train.trainables import TRAINABLES


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.name)
def test_what_python_examples_import_is_there(block: Block) -> None:
    tree = ast.parse(block.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            names = {alias.name for alias in node.names}
            package = import_module(node.module)
            for name in names:
                assert hasattr(package, name) or import_module(f"{node.module}.{name}")


def test_the_readmes_five_lines_print_who_said_what_and_the_emotion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(example("README.md").splitlines()) == 5
    clip = cut(tmp_path / "clip.mkv", 9.0)
    code = example("README.md").replace('"interview.mp4"', repr(str(clip)))
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Ada", "Ben"]
    assert "The post comes at nine." in lines[0]
    assert {line.split()[-1] for line in lines} <= set(EMOTIONS)


def test_the_labels_of_a_file_of_events_are_read(tmp_path: Path) -> None:
    events = list(conversation())
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(schema.encode(event) + b"\n" for event in events))
    (code,) = [block.code for block in blocks("python") if "def labels" in block.code]
    names: dict[str, object] = {}
    exec(compile(code, "docs/python.md", "exec"), names)
    labels = names["labels"](path)  # type: ignore[operator]
    assert labels == [e.emotion.label for e in events if isinstance(e, UtteranceEvent)]


def test_the_model_alone_answers_for_words(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [block.code for block in blocks("python") if "EmotionRecogniser(" in block.code]
    exec(compile(code, "docs/python.md", "exec"), {})
    assert capsys.readouterr().out.split() == ["joy", "joy"]


def test_the_documented_sink_writes_a_line_for_each_utterance(tmp_path: Path) -> None:
    sink = module("docs/extend/sink.md").Markdown
    events = list(conversation())
    into_file, stream = sink(tmp_path / "events.md"), io.StringIO()
    into_stream = sink(stream)
    for event in events:
        into_file.write(event)
        into_stream.write(event)
    into_file.close()
    into_stream.close()
    lines = stream.getvalue().splitlines()
    utterances = [event for event in events if isinstance(event, UtteranceEvent)]
    assert len(lines) == len(utterances)
    for line, event in zip(lines, utterances, strict=True):
        assert line.startswith(f"- **{event.utterance.speaker}** {event.utterance.text} (")
        assert event.emotion.label in line
    assert (tmp_path / "events.md").read_text() == stream.getvalue()


def test_the_documented_stage_reads_the_share_of_clipped_samples() -> None:
    stage = module("docs/extend/stage.md").Clipping()
    assert stage.gauges() == {"clipped": 0.0}
    quiet, loud = np.zeros(300, np.float32), np.ones(100, np.float32)
    for place, samples in enumerate((quiet, -loud)):
        assert list(stage.process(messages.AudioChunk(0.02 * place, samples.tobytes()))) == []
    assert list(stage.process(messages.End("recording", 0.04))) == []
    assert stage.gauges() == {"clipped": 0.25}
    assert list(stage.flush()) == []
    stage.reset()
    assert stage.gauges() == {"clipped": 0.0}


def test_the_documented_record_adds_the_stage_to_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = example("docs/extend/stage.md") + example("docs/extend/stage.md", 1)
    # At this limit every sample counts as clipped.
    (tmp_path / "documented_stage.py").write_text(code.replace("LIMIT = 0.99", "LIMIT = 0.0"))
    monkeypatch.syspath_prepend(tmp_path)
    record: Service[Plan] = module("docs/extend/stage.md", 3).CLIPPING
    record = msgspec.structs.replace(record, build="documented_stage:build")
    readings: list[float] = []

    def note(status: Status) -> None:
        if status.service == "clipping":
            readings.append(float(status.gauges["clipped"]))

    play = Play(
        plan_for(cut(tmp_path / "clip.mkv", 5.0)),
        services=(*SERVICES, record), on_status=note,
    )  # fmt: skip
    assert play.go()
    assert "clipping" in play.last_pids
    assert readings[0] == 0
    assert readings[-1] == 1


def test_the_documented_corpus_is_read_from_the_documented_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = [block.code for block in blocks("text") if block.page.name.endswith("corpus.md")]
    (tmp_path / "talks.csv").write_text(file)
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    load = module("docs/extend/corpus.md").load
    table = load()
    assert table.labels == ("happy", "sad")
    assert {split: [d.name for d in dialogues] for split, dialogues in table.splits.items()} == {
        "train": ["1"], "validation": ["2"], "test": ["3"],
    }  # fmt: skip
    utterances = table.splits["train"][0].utterances
    assert [(u.speaker, u.text, u.label) for u in utterances] == [
        ("Ada", "They said yes!", 0), ("Ben", "I will miss you.", 1),
    ]  # fmt: skip
    (tmp_path / "talks.csv").write_text(file.replace("gone.,sad", "gone.,glad"))
    with pytest.raises(InputError, match=r"talks\.csv, line 5: .*'glad'"):
        load()


def test_the_documented_training_is_done_by_its_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "documented", module("docs/extend/trainable.md"))
    monkeypatch.setitem(TRAINABLES, "frequency", "documented.FrequencyTrainable")
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "erc").mkdir()
    columns = ("split", "dialogue", "turn", "speaker", "emotion", "text", *PROSODY)
    lines = [",".join(columns)]
    for number, (split, emotion) in enumerate(
        [("train", "joy"), ("train", "joy"), ("train", "joy"), ("train", "anger"),
         ("dev", "anger"), ("test", "anger")]
    ):  # fmt: skip
        lines.append(f"{split},{number},0,Ada,{emotion},Well." + "," * len(PROSODY))
    (tmp_path / "erc/meld.csv").write_text("\n".join(lines))
    (recipe,) = [block.code for block in blocks("text") if block.page.name.endswith("trainable.md")]
    (tmp_path / "frequency.yaml").write_text(recipe)
    fit.main(["frequency.yaml", "name=shares"])
    shares = msgspec.json.decode((tmp_path / "runs/shares/frequency.json").read_bytes())
    assert tuple(shares) == EMOTIONS
    assert {label: share for label, share in shares.items() if share} == {
        "joy": 0.75, "anger": 0.25,
    }  # fmt: skip


def test_the_documented_encoder_keeps_what_encoders_promise() -> None:
    encoder = module("docs/extend/encoder.md").LoudnessEncoder()
    tone = np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) / 10)
    vector = encoder.encode(tone)
    assert vector.dtype == np.float32
    assert vector.shape == (encoder.dim,)
    encoder.encode(np.zeros(7, np.float32))
    assert np.array_equal(encoder.encode(tone), vector)
    # Half as loud is six decibels less, in mean and maximum.
    assert encoder.encode(tone / 2) - vector == pytest.approx([-6.02, 0, -6.02], abs=0.01)


def test_the_model_that_ships_refuses_the_documented_encoder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = module("docs/extend/encoder.md").LoudnessEncoder
    code = example("docs/extend/encoder.md", 1)
    assert encoder.identity in code
    exec(compile(code, "docs/extend/encoder.md", "exec"), {})
    (line,) = capsys.readouterr().out.splitlines()
    assert "not with 'loudness/1'" in line


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.name)
def test_events_and_corrections_that_are_shown_are_such(block: Block, tmp_path: Path) -> None:
    if corrections.SCHEMA in block.code:
        (tmp_path / "shown.json").write_text(block.code)
        assert corrections.read(tmp_path / "shown.json").sessions
        return
    if schema.SCHEMA not in block.code:
        assert all(json.loads(line)["type"] for line in block.code.splitlines())
        return
    event = schema.decode(block.code)
    if isinstance(event, schema.FaceEvent):
        shown = [face.probabilities for face in event.faces if face.probabilities]
        assert [tuple(probabilities) for probabilities in shown] == [EMOTIONS] * len(shown)
        return
    assert isinstance(event, UtteranceEvent)
    assert tuple(event.emotion.probabilities) == EMOTIONS
    assert sum(event.emotion.probabilities.values()) == pytest.approx(1, abs=0.001)
    assert event.emotion.abstained == (1 - event.emotion.confidence > 0.65)


def test_every_field_of_an_event_is_on_its_page() -> None:
    page = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    for kind in (schema.Gap, schema.Health, schema.SessionStarted, schema.SessionEnded,
                 schema.SpeechStarted, schema.UtteranceInfo, schema.Emotion, schema.Modality,
                 schema.Latency):  # fmt: skip
        for field in kind.__struct_fields__:
            assert re.search(rf"[`.]{field}`", page), f"{kind.__name__}.{field}"


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_set_ups_that_are_shown_are_accepted(block: Block) -> None:
    loader.build(yaml.safe_load(block.code), Settings, (), block.name)
