"""What a user may name as a recording: files of any name, folders, patterns, streams, URLs."""

import os
from pathlib import Path

import pytest
from made_media import click, make

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.capture.media_file import open_media
from gscon_live.realtime.capture.recording_inputs import (
    RecordingInput,
    expand,
    names_recording,
    shown_address,
)

GROUPS = ("segmentation", "recording")


def names(words: list[str], allow_url: bool = False) -> list[str]:
    return [given.name for given in expand(words, allow_url)[0]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.mkv", "a.WAV", "a.vtt", "notes.txt", ".hidden.mp4", "plan.docx", "c.mp4"):
        (tmp_path / "talks" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "talks" / name).write_bytes(b"x")
    (tmp_path / "talks" / "more.mkv").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "talks"


@pytest.mark.fault
@pytest.mark.parametrize("word", ["talks", "talks/", "talks/*", "t*/*.*"])
def test_folders_and_patterns_give_their_recordings_in_order(word: str, folder: Path) -> None:
    """A folder or a pattern as a recording: its recordings, sorted; others are named once."""
    inputs, notices = expand([word], False)
    assert [given.name for given in inputs] == ["a.WAV", "b.mkv", "c.mp4"]
    (notice,) = notices
    assert "3 recordings" in notice
    for left in ("notes.txt", "plan.docx", "more.mkv"):
        assert left in notice
    assert "a.vtt" not in notice
    assert ".hidden" not in notice


@pytest.mark.fault
@pytest.mark.parametrize("word", ["empty", "empty/*.mkv", "talks/*.avi"])
def test_a_folder_without_recordings_is_refused(word: str, folder: Path) -> None:
    """A folder without a recording, a pattern without a file: one line, exit code 2."""
    Path("empty").mkdir()
    with pytest.raises(InputError, match="give the path of a video or audio file"):
        expand([word], False)


def test_the_order_of_the_command_line_is_kept_and_a_missing_file_is_left_to_others(
    folder: Path,
) -> None:
    assert names(["talks/c.mp4", "talks/a.WAV", "nowhere.mkv"]) == ["c.mp4", "a.WAV", "nowhere.mkv"]


@pytest.mark.fault
def test_a_file_with_signs_of_a_pattern_is_that_file(folder: Path) -> None:
    """A file named `talk [1].mp4` or `what?.mp4`: that file, no pattern."""
    for name in ("talk [1].mp4", "what?.mp4", "a*.mp4"):
        (folder / name).write_bytes(b"x")
        assert names([f"talks/{name}"]) == [name]


@pytest.mark.fault
def test_a_file_with_an_equals_sign_is_a_recording_and_a_setting_a_setting(folder: Path) -> None:
    """A file named `take=1.mp4`: a recording if it is there; settings stay settings."""
    os.chdir(folder)
    Path("take=1.mp4").write_bytes(b"x")
    Path("recording.max_width=64").write_bytes(b"x")
    assert names_recording("take=1.mp4", GROUPS)
    assert names_recording("take=*.mp4", GROUPS)
    assert names_recording("take=2.mp4", GROUPS)  # there is none, and this can be said
    assert not names_recording("take=2", GROUPS)
    assert not names_recording("recording.max_width=64", GROUPS)


@pytest.mark.fault
def test_a_name_that_is_no_utf8_can_be_opened_and_has_a_name_that_is(tmp_path: Path) -> None:
    """A file name in Latin-1: it is read, and events call it by valid UTF-8."""
    plain = make(tmp_path / "plain.wav", audio=[click(0.5)])
    odd = os.path.join(os.fsencode(tmp_path), b"gr\xfc\xdfe.wav")
    try:
        os.rename(plain, odd)
    except OSError:
        pytest.skip("this file system has no such names")
    (given,) = expand([os.fsdecode(odd)], False)[0]
    assert given.name == "gr\ufffd\ufffde.wav"
    assert given.path is not None
    open_media(given.path).close()


@pytest.mark.fault
@pytest.mark.parametrize(
    "address", ["https://host/talk.mp4", "rtsp://cam:554/live", "http://h?a=b"]
)
def test_urls_are_opened_only_on_request(address: str) -> None:
    """A URL without `--allow-url`: refused in one line that names the option; not mangled."""
    with pytest.raises(InputError, match="--allow-url") as caught:
        expand([address], False)
    assert address.partition("?")[0] in str(caught.value)
    (given,) = expand([address], True)[0]
    assert given == RecordingInput(None, address.partition("?")[0], address)


@pytest.mark.fault
def test_the_secrets_of_a_url_are_in_no_name() -> None:
    """A password or a key in a URL: neither in events nor in messages."""
    assert shown_address("rtsp://me:secret@cam:554/a?token=secret") == "rtsp://cam:554/a"


def test_a_file_url_is_the_file(tmp_path: Path) -> None:
    (given,) = expand([f"file://{tmp_path}/a%20b.mkv"], False)[0]
    assert given.path == tmp_path / "a b.mkv"


@pytest.mark.fault
def test_standard_input_can_be_given_once() -> None:
    """`-` for standard input: read once; given twice, it is refused."""
    assert names(["-"]) == ["standard input"]
    with pytest.raises(InputError, match="once"):
        expand(["-", "-"], False)


@pytest.mark.fault
def test_captions_beside_the_file_that_a_link_points_to_are_read(tmp_path: Path) -> None:
    """A link to a recording: captions beside the link come first, then those beside the file."""
    for name in ("store", "links"):
        (tmp_path / name).mkdir()
    target = tmp_path / "store" / "9f2c.mkv"
    target.write_bytes(b"x")
    captions = tmp_path / "store" / "9f2c.vtt"
    captions.write_text("WEBVTT\n", encoding="utf-8")
    link = tmp_path / "links" / "talk.mkv"
    link.symlink_to(target)
    assert names([str(link)]) == ["talk.mkv"]
    assert caption_files.sidecars(link) == [captions]
    beside = tmp_path / "links" / "talk.vtt"
    beside.write_text("WEBVTT\n", encoding="utf-8")
    assert caption_files.sidecars(link) == [beside, captions]
    assert caption_files.is_sidecar(tmp_path / "store" / "9f2c.srt", link)
    assert caption_files.is_sidecar(tmp_path / "links" / "talk.srt", link)
    assert not caption_files.is_sidecar(tmp_path / "links" / "9f2c.srt", link)
