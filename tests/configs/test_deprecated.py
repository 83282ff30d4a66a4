"""Keys that were renamed are read for a version, and whoever uses them is told the new name."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.configs.loader import Renamed
from gscon_live.realtime.pipeline.settings import Settings


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deprecated: ClassVar[Mapping[str, str | Renamed]] = {
        "big": "size",
        "percent": Renamed("share", lambda old, new: (new or 0) + old / 100),
        "half": Renamed("share", lambda old, _: old / 2, exclusive=True),
    }

    size: int = 1
    share: float = 0.5


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deprecated: ClassVar[Mapping[str, str]] = {"name": "word"}

    word: str = "here"
    inner: Inner = Inner()


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_old_names_are_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "name: there\ninner: {big: 3}\n")
    assert loader.load(path, Outer) == Outer("there", Inner(3))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "name is deprecated and will be removed; use word=there"
    assert second == "inner.big is deprecated and will be removed; use inner.size=3"


def test_old_names_are_read_on_the_command_line_where_the_last_one_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "inner: {size: 2}\n")
    assert loader.load(path, Outer, ["inner.big=3"]).inner.size == 3
    assert loader.load(path, Outer, ["inner.big=3", "inner.size=4"]).inner.size == 4
    assert loader.load(path, Outer, ["inner.size=4", "inner.big=3"]).inner.size == 3
    assert capsys.readouterr().err.count("inner.size=3") == 3


def test_a_notice_comes_once_however_often_the_name_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "name: there\n")
    assert loader.load(path, Outer, ["name=a", "name=b"]).word == "b"
    assert capsys.readouterr().err == "name is deprecated and will be removed; use word=b\n"


def test_of_two_names_in_a_file_the_new_one_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert loader.load(written(tmp_path, "name: old\nword: new\n"), Outer).word == "new"
    assert "use word=new" in capsys.readouterr().err


class Special(Inner, frozen=True, forbid_unknown_fields=True):
    more: int = 0


class Tells(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deprecated: bool = False


def test_old_names_are_inherited_and_a_field_may_have_the_tables_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert loader.build({"big": 3}, Special, ["more=1"], "here") == Special(size=3, more=1)
    assert "use size=3" in capsys.readouterr().err
    assert loader.build({}, Tells, ["deprecated=true"], "here") == Tells(True)
    assert capsys.readouterr().err == ""


def test_a_value_may_change_with_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "inner: {percent: 25, share: 0.5}\n")
    assert loader.load(path, Outer).inner.share == 0.75
    assert "use inner.share=0.75" in capsys.readouterr().err
    assert loader.build({}, Outer, ["inner.percent=25"], "here").inner.share == 0.25


def test_a_plain_tree_is_read_the_same_and_left_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tree = {"inner": {"big": 3}}
    assert loader.convert(tree, Outer, "here").inner.size == 3
    assert tree == {"inner": {"big": 3}}
    assert capsys.readouterr().err.count("\n") == 1


def test_old_names_are_not_offered_and_wrong_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as unknown:
        loader.load(written(tmp_path, "inner: {bigg: 3}"), Outer)
    assert "size, share" in str(unknown.value)
    assert "big," not in str(unknown.value)
    with pytest.raises(InputError, match=r"inner\.size"):
        loader.load(written(tmp_path, "inner: {big: many}"), Outer)


def test_who_uses_no_old_name_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    loader.load("live", Settings, ["speakers.max_speakers=2"])
    assert capsys.readouterr().err == ""


def test_the_number_of_speakers_has_its_old_name_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert loader.load("live", Settings, ["speakers.most=2"]).speakers.max_speakers == 2
    assert "use speakers.max_speakers=2" in capsys.readouterr().err


def test_names_that_exclude_each_other_are_refused_in_one_place_and_else_the_later_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tree, overrides in (
        ({"inner": {"half": 1, "share": 0.5}}, []),
        ({}, ["inner.half=1", "inner.share=0.5"]),
        ({}, ["inner.share=0.5", "inner.half=1"]),
        ({}, ["inner={half: 1, share: 0.5}"]),
    ):
        with pytest.raises(
            InputError, match=r"inner\.half and inner\.share .*; leave out inner\.half"
        ):
            loader.build(tree, Outer, overrides, "here")
        assert capsys.readouterr().err == ""
    assert loader.build({"inner": {"half": 1}}, Outer, ["inner.share=0.1"], "").inner.share == 0.1
    assert loader.build({"inner": {"share": 1}}, Outer, ["inner.half=0.1"], "").inner.share == 0.05


@pytest.mark.parametrize(
    ("old", "new", "prior", "limit"),
    [
        ("neutral_prior=0.8", "prior=neutral:0.8", "neutral:0.8", 0.65),
        ("neutral_prior=null", "prior=model", "model", 0.65),
        ("abstain_below=0.9", "abstain_above=0.1", "model", 0.1),
        ("abstain_below=0", "abstain_above=1.0", "model", 1.0),
    ],
)
def test_the_prior_and_the_limit_of_abstention_have_their_old_names_too(
    old: str, new: str, prior: str, limit: float, capsys: pytest.CaptureFixture[str]
) -> None:
    recognition = loader.load("live", Settings, [f"recognition.{old}"]).recognition
    assert (recognition.prior, recognition.abstain_above) == (prior, limit)
    assert f"use recognition.{new}\n" in capsys.readouterr().err
