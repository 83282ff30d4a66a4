"""Where the words come from is decided once, and what is missing is said with its remedy."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.realtime.listen import transcription_source, whisper_models
from gscon_live.realtime.listen.transcription_source import Words, choose
from gscon_live.realtime.pipeline.settings import Settings, Transcription


class Hub:
    """The model hub as faster-whisper's client shows it: what is cached, and whether it answers.

    The one thing here that stands in for something real, as that would need a network.
    """

    def __init__(self, cached: str | None = None, reachable: bool = False) -> None:
        self.cached = cached
        self.reachable = reachable
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, name: str, local_files_only: bool = False) -> str:
        self.asked.append((name, local_files_only))
        if name == self.cached or (self.reachable and not local_files_only):
            return f"/cache/{name}"
        raise LocalEntryNotFoundError("no\nsuch entry")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with nothing cached that cannot be reached; tests may change it."""
    made = Hub()
    monkeypatch.setattr(transcription_source, "download_model", made)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.bin", "config.json"):
        (folder / name).write_bytes(b"x")
    return folder


def refusal(transcription: Transcription, has_captions: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        choose(transcription, has_captions)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("wanted", ["auto", "off", "auto:tiny", "auto:/nowhere"])
def test_captions_are_taken_where_there_are_any(wanted: str, hub: Hub) -> None:
    assert choose(Transcription(transcriber=wanted), True) == Words(captions=True)
    assert hub.asked == []


def test_off_is_off(hub: Hub) -> None:
    assert choose(Transcription(transcriber="off"), False) == Words()
    assert hub.asked == []


def test_a_model_that_is_asked_for_goes_before_captions(hub: Hub, model: Path) -> None:
    hub.cached = "tiny"
    assert choose(Transcription(transcriber=str(model)), True) == Words(model=str(model))
    assert choose(Transcription(transcriber="tiny"), True) == Words(model="/cache/tiny")


def test_auto_takes_the_directory_that_is_given_with_it(hub: Hub, model: Path) -> None:
    hub.cached = "small"
    assert choose(Transcription(transcriber=f"auto:{model}"), False) == Words(model=str(model))
    assert hub.asked == []


def test_auto_takes_the_cached_model_of_that_name_without_the_network(hub: Hub) -> None:
    hub.cached = "base"
    assert choose(Transcription(transcriber="auto:base"), False) == Words(model="/cache/base")
    hub.cached = "small"
    assert choose(Transcription(), False) == Words(model="/cache/small")
    assert hub.asked == [("base", True), ("small", True)]


def test_auto_takes_the_largest_that_is_there_and_downloads_nothing(hub: Hub) -> None:
    hub.reachable = True
    assert choose(Transcription(), False).model is None
    hub.cached = "tiny.en"
    assert choose(Transcription(), False) == Words(model="/cache/tiny.en")
    assert all(local_files_only for _, local_files_only in hub.asked)


def test_auto_without_anything_goes_on_without_words_and_says_so(hub: Hub) -> None:
    made = choose(Transcription(), False)
    assert (made.captions, made.model) == (False, None)
    assert made.notice is not None
    assert "\n" not in made.notice
    for part in ("no Whisper model", "gscon-live setup", "--transcriber", "--captions"):
        assert part in made.notice


def test_a_download_is_announced_first(hub: Hub) -> None:
    hub.reachable = True
    said: list[str] = []
    assert choose(Transcription(transcriber="tiny"), False, said.append).model == "/cache/tiny"
    assert len(said) == 1
    assert "downloading" in said[0]
    assert "'tiny'" in said[0]


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_offline_by_wish_nothing_is_downloaded(
    value: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    hub.reachable = True
    message = refusal(Transcription(transcriber="tiny"))
    assert "HF_HUB_OFFLINE" in message
    assert "--transcriber off" in message
    assert hub.asked == [("tiny", True)]
    assert choose(Transcription(), False).notice is not None


def test_a_model_that_cannot_be_had_is_refused_by_name(hub: Hub) -> None:
    message = refusal(Transcription(transcriber="tiny"))
    for part in ("'tiny'", "could not be downloaded", "--transcriber off"):
        assert part in message


def test_the_real_client_is_asked_the_way_it_wants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = transcription_source.download_model

    def elsewhere(name: str, **options: object) -> object:
        return real(name, cache_dir=str(tmp_path), **options)

    monkeypatch.setattr(transcription_source, "download_model", elsewhere)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in refusal(Transcription(transcriber="tiny.en"))
    notice = choose(Transcription(transcriber="auto:tiny.en"), False).notice
    assert notice is not None
    assert "'tiny.en'" in notice


def test_an_unknown_name_is_refused_with_those_there_are(hub: Hub) -> None:
    for wanted in ("smal", "auto:smal"):
        message = refusal(Transcription(transcriber=wanted))
        assert "'smal'" in message
        assert "small, " in message
    assert hub.asked == []


@pytest.mark.parametrize("path", ["./nowhere", "~/nowhere", "/nowhere/at/all", "a/b"])
def test_a_directory_that_is_not_there_is_refused(path: str, hub: Hub) -> None:
    for transcription in (
        Transcription(transcriber=path),
        Transcription(transcriber=f"auto:{path}"),
    ):
        message = refusal(transcription)
        assert path in message
        assert "no such directory" in message
    assert hub.asked == []


@pytest.mark.parametrize("missing", ["model.bin", "config.json"])
def test_a_directory_without_a_model_names_what_it_lacks(
    missing: str, hub: Hub, model: Path
) -> None:
    (model / missing).unlink()
    for transcription in (
        Transcription(transcriber=str(model)),
        Transcription(transcriber=f"auto:{model}"),
    ):
        message = refusal(transcription)
        assert f"no {missing}" in message
        assert str(model) in message


@pytest.mark.parametrize(
    ("old", "now"),
    [
        (["name=base"], "auto:base"),
        (["directory=/models/mine"], "auto:/models/mine"),
        (["directory=null"], "auto"),
        (["name=base", "directory=/models/mine"], "auto:/models/mine"),
        (["transcriber=tiny", "name=base"], "tiny"),
        (["transcriber=off", "directory=/models/mine"], "off"),
    ],
)
@pytest.mark.parametrize("place", ["file", "command line"])
def test_the_old_settings_of_the_model_mean_what_they_meant(
    old: list[str], now: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    lines = [f"  {setting.replace('=', ': ')}" for setting in old] if place == "file" else []
    path.write_text("\n".join(["transcription:", *lines]), encoding="utf-8")
    overrides = [] if lines else [f"transcription.{setting}" for setting in old]
    made = loader.load(path, Settings, overrides)
    assert made.transcription.transcriber == now
    notices = capsys.readouterr().err.splitlines()
    assert len(notices) == sum("transcriber" not in setting for setting in old)
    for notice in notices:
        assert "deprecated" in notice
    assert notices[-1].endswith(f"use transcription.transcriber={now}")


class Answers:
    """A user who answers, and a display that keeps what it shows."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.questions: list[tuple[str, int]] = []
        self.displayed: list[tuple[str, int | None]] = []

    def allowed(self, what: str, megabytes: int) -> bool:
        self.questions.append((what, megabytes))
        return self.answer

    @contextlib.contextmanager
    def shown(self, what: str, megabytes: int | None) -> Iterator[None]:
        self.displayed.append((what, megabytes))
        yield


@pytest.mark.fault
def test_a_model_that_nobody_named_is_fetched_only_with_consent(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No captions and no model: the size is said and the user is asked; no: without words."""
    hub.reachable = True
    fetched: list[str] = []

    def fetch(name: str, say: Callable[[str], None]) -> Path:
        fetched.append(name)
        return Path("/data") / name

    monkeypatch.setattr(whisper_models, "fetch", fetch)
    refused = Answers(False)
    words = choose(Transcription(), False, downloads=refused)
    assert words.model is None
    assert words.notice is not None
    assert "without words" in words.notice
    assert refused.questions == [("Whisper base", 150)]
    assert fetched == []
    agreed = Answers(True)
    assert choose(Transcription(), False, downloads=agreed).model == "/data/base"
    assert agreed.displayed == agreed.questions
    assert fetched == ["base"]
    assert all(local_files_only for _, local_files_only in hub.asked)


@pytest.mark.fault
@pytest.mark.parametrize("wanted", ["tiny", "auto:tiny"])
def test_a_model_that_is_named_is_downloaded_without_a_question(wanted: str, hub: Hub) -> None:
    """`--transcriber tiny`: no question, since it was asked for; its progress is shown."""
    hub.reachable = True
    answers = Answers(False)
    words = choose(Transcription(transcriber=wanted), False, downloads=answers)
    assert words.model == "/cache/tiny"
    assert answers.questions == []
    assert answers.displayed == [("the faster-whisper model 'tiny'", None)]
