"""Configurations: chosen by name or path, overridden by key, refused in one line that helps."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.configs import loader
from gscon_live.realtime.pipeline.settings import Settings

law = settings(deadline=None, derandomize=True, max_examples=100)


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int = 1
    share: float = 0.5


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    word: str = "here"
    on: bool = False
    inner: Inner = Inner()
    numbers: list[int] = []
    maybe: Inner | None = None


class Free(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: str | int | bool | None = None


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "made.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(call: Callable[[], object], *words: str) -> str:
    """The message of an `InputError`, which is one line and has all these words in it."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def test_the_set_up_that_ships_is_found_by_name_and_is_the_default() -> None:
    assert "live" in loader.names()
    assert loader.load("live", Settings) == Settings()


@pytest.mark.parametrize(
    "path", sorted(Path(loader.__file__).parent.glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_set_up_that_ships_can_be_read(path: Path) -> None:
    assert isinstance(loader.load(path, Settings), Settings)
    assert loader.find(path.stem) == path


@pytest.mark.parametrize("recipe", loader.names("train"))
def test_every_training_recipe_that_ships_is_a_mapping(recipe: str) -> None:
    assert loader.read(loader.find(recipe, "train"))


def test_a_file_is_found_by_path_and_its_values_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "word: there\ninner:\n  size: 3\n")
    assert loader.load(path, Outer) == Outer(word="there", inner=Inner(size=3))
    assert loader.load(str(path), Outer) == Outer(word="there", inner=Inner(size=3))


@pytest.mark.parametrize("text", ["", "# nothing but a remark\n", "---\n"])
def test_an_empty_file_leaves_the_defaults(tmp_path: Path, text: str) -> None:
    assert loader.load(written(tmp_path, text), Outer) == Outer()


def test_overrides_reach_into_the_tree_and_the_last_one_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "inner:\n  size: 3\n  share: 0.25\n")
    made = loader.load(
        path,
        Outer,
        ["inner.size=4", "word=a=b", "numbers=[1, 2]", "inner.size=5", "maybe.size=2"],
    )
    assert made == Outer(word="a=b", inner=Inner(5, 0.25), numbers=[1, 2], maybe=Inner(size=2))


def test_an_override_may_reach_below_null(tmp_path: Path) -> None:
    made = loader.load(written(tmp_path, "maybe: null"), Outer, ["maybe.size=2"])
    assert made == Outer(maybe=Inner(size=2))


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "On", "OFF", "y", "n"])
def test_on_and_off_are_words(tmp_path: Path, word: str) -> None:
    assert loader.load(written(tmp_path, f"word: {word}"), Outer).word == word
    assert loader.load(written(tmp_path, ""), Outer, [f"word={word}"]).word == word


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("TRUE", True)])
def test_true_and_false_are_not_words(tmp_path: Path, text: str, value: bool) -> None:
    assert loader.load(written(tmp_path, f"'on': {text}"), Outer).on is value
    assert loader.load(written(tmp_path, ""), Outer, [f"on={text}"]).on is value


@law
@given(
    word=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1).map("w".__add__),
    size=st.integers(-(2**40), 2**40),
    share=st.floats(-1e6, 1e6),
    numbers=st.lists(st.integers(-99, 99)),
)
def test_what_is_overridden_is_what_is_read(
    word: str, size: int, share: float, numbers: list[int]
) -> None:
    overrides = [f"word={word}", f"inner.size={size}", f"numbers={numbers}", f"on={size > 0}"]
    made = loader.build({}, Outer, [*overrides, f"inner.share={share:.6f}"], "here")
    assert (made.word, made.inner.size, made.numbers, made.on) == (word, size, numbers, size > 0)
    assert made.inner.share == float(f"{share:.6f}")


def test_an_unknown_key_is_named_together_with_the_known_ones(tmp_path: Path) -> None:
    for call in (
        lambda: loader.load(written(tmp_path, "wrod: a"), Outer),
        lambda: loader.load(written(tmp_path, ""), Outer, ["wrod=a"]),
    ):
        refused(call, "wrod", "word", "inner", "numbers")
    for call in (
        lambda: loader.load(written(tmp_path, "inner: {sise: 1}"), Outer),
        lambda: loader.load(written(tmp_path, ""), Outer, ["inner.sise=1"]),
    ):
        message = refused(call, "sise", "inner", "size, share")
        assert "numbers" not in message


@pytest.mark.parametrize("text", ["2e-5", "+2E-5", "2.0e-5", "0.00002"])
def test_numbers_are_read_as_people_write_them(tmp_path: Path, text: str) -> None:
    made = loader.load(written(tmp_path, f"inner: {{share: {text}}}"), Outer)
    assert made.inner.share == 0.00002
    assert loader.load(written(tmp_path, ""), Outer, [f"inner.share={text}"]) == made


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("inner: {size: big}", "inner.size"),
        ("inner: {size: 1.5}", "inner.size"),
        ("inner: 3", "inner"),
        ("word: 3", "word"),
        ("'on': on", "on"),
        ("numbers: [1, x]", "numbers"),
        ("inner:", "inner"),
    ],
)
def test_a_wrong_type_names_the_key_and_the_file(tmp_path: Path, text: str, key: str) -> None:
    path = written(tmp_path, text)
    refused(lambda: loader.load(path, Outer), key, str(path))


@pytest.mark.parametrize(
    "override",
    [
        "segmentation.hangover=0",
        "segmentation.hangover=-1",
        "segmentation.hangover=.inf",
        "segmentation.hangover=.nan",
        "segmentation.threshold=1.5",
        "segmentation.hangover=2024-99-99",
        "segmentation.hangover={",
        "segmentation.hangover.unit=s",
        "segmentation=short",
        "camera.width=3",
        "transcription.device=abacus",
    ],
)
def test_values_out_of_range_are_refused_by_key(override: str) -> None:
    refused(lambda: loader.load("live", Settings, [override]), override.split("=")[0].split(".")[0])


@pytest.mark.parametrize("override", ["", "word", "=3", "word:3"])
def test_an_override_without_key_or_value_is_shown_how(override: str) -> None:
    refused(lambda: loader.build({}, Outer, [override], "here"), repr(override), "key=value")


def test_an_override_below_a_value_says_which(tmp_path: Path) -> None:
    path = written(tmp_path, "inner: 3")
    refused(lambda: loader.load(path, Outer, ["inner.size=1"]), "inner.size=1", "'inner'")


@pytest.mark.parametrize(
    "text",
    [
        "inner: {size: 1",
        "a: b: c",
        "\tword: x",
        "word: 'x",
        "word: *nobody",
        "? [1]\n: 2",
        "when: 2024-99-99",
        "word: !!python/object/apply:os.getcwd []",
        b"\xff\xfe\x00",
        b"word: \xe9",
        "[" * 3000,
    ],
)
def test_malformed_yaml_is_refused_with_the_file(tmp_path: Path, text: str | bytes) -> None:
    path = written(tmp_path, text)
    refused(lambda: loader.load(path, Outer), str(path), "correct the YAML")


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "word", "3", "0", "[]", "false", "''"])
def test_what_is_no_mapping_is_refused_with_the_file(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    refused(lambda: loader.load(path, Outer), str(path), "mapping")


@pytest.mark.parametrize(
    "name", ["nowhere", "", "..", "/", "../configs/live", "x" * 400, "a\0b", "live.yaml"]
)
def test_a_missing_configuration_names_those_that_ship(name: str) -> None:
    refused(lambda: loader.load(name, Settings), repr(name), ", ".join(loader.names()))


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    refused(lambda: loader.load(tmp_path, Settings), str(tmp_path))


@law
@given(st.text(max_size=40))
def test_no_override_whatever_breaks_in_another_way(text: str) -> None:
    try:
        made = loader.build({}, Outer, [text], "here")
    except InputError:
        return
    assert cli.is_override(text)
    assert isinstance(made, Outer)


@law
@given(st.sampled_from(["word", "on", "inner", "inner.size", "maybe.share"]), st.text(max_size=30))
def test_no_value_whatever_breaks_in_another_way(key: str, value: str) -> None:
    try:
        made = loader.build({}, Outer, [f"{key}={value}"], "here")
    except InputError:
        return
    assert isinstance(made, Outer)


def ending(how: BaseException | int | None) -> Callable[[Sequence[str]], int | None]:
    def main(arguments: Sequence[str]) -> int | None:
        if isinstance(how, BaseException):
            raise how
        return how

    return main


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        (None, 0, ""),
        (0, 0, ""),
        (7, 7, ""),
        (InputError("no such\nfile; give another"), 2, "error: no such file; give another\n"),
        (Failure("the disk is full;\tmake room"), 1, "error: the disk is full; make room\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_the_way_a_command_ends_is_its_exit_code(
    how: BaseException | int | None,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(ending(how), []) == code
    assert capsys.readouterr().err == said


def test_a_reader_that_has_had_enough_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    assert cli.run(ending(BrokenPipeError()), []) == 0
    assert capsys.readouterr().err == ""


def test_an_unforeseen_error_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(ending(ZeroDivisionError("so\nfar")), []) == 1
    assert capsys.readouterr().err == "error: ZeroDivisionError: so far; run with --debug\n"


@pytest.mark.parametrize("error", [InputError("wrong"), Failure("failed"), ValueError("odd")])
def test_debug_shows_the_traceback_before_the_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(ending(error), ["--debug"]) in (1, 2)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.startswith("Traceback")
    assert last.startswith("error: ")


def test_a_wrong_option_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main(arguments: Sequence[str]) -> None:
        cli.parser("python -m some.where", "Does.", "one\ntwo").parse_args(arguments)

    assert cli.run(main, ["--nonsense"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--nonsense" in message
    assert "python -m some.where --help" in message


def test_help_has_the_examples_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    made = cli.parser("python -m some.where", "Does a thing.", "python -m some.where x\n")
    with pytest.raises(SystemExit) as caught:
        made.parse_args(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for part in ("Does a thing.", "examples:", "python -m some.where x", "--debug"):
        assert part in shown


@pytest.mark.parametrize("word", ["a=1", "a.b=x", "a=", "a.b.c=d=e"])
def test_overrides_are_told_from_paths(word: str) -> None:
    assert cli.is_override(word)


@pytest.mark.parametrize("word", ["a", "a/b=1.mkv", "=1", "a.=1", "1a=2", "https://x/?q=1", ""])
def test_paths_are_told_from_overrides(word: str) -> None:
    assert not cli.is_override(word)


@law
@given(st.one_of(st.text(), st.integers(-(2**63), 2**63), st.booleans(), st.none()))
def test_an_override_brings_any_value(value: str | int | bool | None) -> None:
    tree = loader.build({}, Free, [loader.override("value", value)], "test")
    assert tree.value == value


BOMBS = {
    "half a character": r'"\ud800"',
    "a hexadecimal number of 5,000 digits": "0x" + "f" * 5_000,
    "a number of 5,000 digits": "9" * 5_000,
    "lists of lists of one list": "[&a [1,1,1,1,1,1,1,1,1,1]"
    + "".join(f", &{chr(97 + n)} [{','.join([f'*{chr(96 + n)}'] * 10)}]" for n in range(1, 10))
    + "]",
    "merges of merges": "{a: &a {k: 1}"
    + "".join(
        f", {chr(97 + n)}: &{chr(97 + n)} {{<<: [{','.join([f'*{chr(96 + n)}'] * 10)}]}}"
        for n in range(1, 10)
    )
    + "}",
    "a list in a list, 5,000 times": "[" * 5_000 + "]" * 5_000,
}


@pytest.mark.fault
@pytest.mark.parametrize("name", BOMBS)
def test_a_setting_that_no_setting_is(name: str, tmp_path: Path) -> None:
    """A setting is half a character, endless or a bomb: one line, and nothing is loaded."""
    path = tmp_path / "set-up.yaml"
    path.write_text(f"key: {BOMBS[name]}\n", encoding="utf-8")
    for read in (
        lambda: loader.read(path),
        lambda: loader.build({}, Settings, [f"publish.endpoint={BOMBS[name]}"], "x"),
    ):
        with pytest.raises(InputError) as caught:
            read()
        assert "\n" not in str(caught.value)
