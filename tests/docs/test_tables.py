"""The tables of the documentation are those that the code gives, and figures agree everywhere."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated

import msgspec
import pytest
import yaml
from pages import DOCS, ROOT, Page, pages

from gscon_live.configs import loader
from gscon_live.model import checkpoint
from gscon_live.model.networks.network import NETWORKS
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.train.balance import PLUGINS
from gscon_live.train.leaderboard import published, run_list
from gscon_live.train.networks.recipe import ConversationRecipe
from gscon_live.train.recipes import seeds
from gscon_live.train.trainables import TRAINABLES


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables, picture = _script("tables"), _script("picture")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_pages_hold_what_the_code_gives(page: Page) -> None:
    assert tables.rendered(page.text) == page.text, "run python docs/scripts/tables.py"
    assert tables.MISSING not in page.text


def test_every_fault_is_on_the_page_of_robustness_with_what_happens(tmp_path: Path) -> None:
    page = (DOCS / "robustness.md").read_text(encoding="utf-8")
    faults = list(tables.faults(ROOT / "tests"))
    assert len(faults) > 100
    for path, words in faults:
        done, _, happens = words.partition(": ")
        assert happens, f"{path}: {words}"
        assert f"| {done} | {happens.removesuffix('.')} |" in page.replace("\\|", "|")


def test_faults_are_read_from_marks_and_docstrings(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "class Never: ...\n"
        "@pytest.mark.fault\n@pytest.mark.parametrize('a', [1])\n"
        "def test_a(a):\n    'A is done: b happens.\\n\\nMore.'\n"
        "@pytest.mark.fault\ndef test_b():\n    pass\n"
        "def test_c():\n    'C: d.'\n"
    )
    (tmp_path / "test_whole.py").write_text(
        "import pytest\npytestmark = [pytest.mark.skip, pytest.mark.fault]\n"
        "def test_d():\n    'd is done: e happens'\ndef test_f(): ...\ndef g():\n    'G: h'\n"
    )
    assert [words for _, words in tables.faults(tmp_path)] == [
        "A is done: b happens.",
        "test_b",
        "D is done: e happens",
    ]


def test_every_setting_is_on_the_page_once_with_its_meaning() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for group in msgspec.structs.fields(Settings):
        for field in msgspec.structs.fields(group.type):
            key = f"{group.name}.{field.encode_name}"
            rows = re.findall(rf"^\| `{re.escape(key)}` \|(.*)\|$", page, re.MULTILINE)
            assert len(rows) == 1, key
            kind, default, meaning = re.split(r" \| ", rows[0].strip())
            assert kind
            assert default.startswith("`")
            assert len(meaning.split()) > 1


def test_every_kind_of_recipe_is_on_its_page() -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    assert re.findall(r"generated: recipe (\w+)", page)
    assert set(re.findall(r"generated: recipe (\w+)", page)) == set(TRAINABLES)


def test_published_figures_from_the_past_alone_are_those_of_the_list() -> None:
    page = (DOCS / "results" / "corpora.md").read_text(encoding="utf-8")
    _, _, page = page.partition("<!-- generated: published -->")
    page, _, _ = page.partition("<!-- end -->")
    listed = yaml.safe_load((Path(published.__file__).with_suffix(".yaml")).read_text("utf-8"))
    for model in listed:
        rows = re.findall(rf"^\| {re.escape(model['model'])} \|(.*)\|$", page, re.MULTILINE)
        assert len(rows) == (model["context"] == "past-only")
        for row in rows:
            _, selected, _, iemocap, meld, source = row.strip().split(" | ")
            assert (selected, source) == (model["selection"], model["source"])
            for shown, corpus in ((iemocap, "iemocap"), (meld, "meld")):
                score = model["scores"].get(corpus)
                mean, _, deviation = shown.partition(" ± ")
                assert (score is None) == (shown == "–")
                if score is not None:
                    assert float(mean) == score["weighted_f1"]
                    assert (float(deviation) if deviation else None) == score.get("sd")


def test_a_list_of_runs_has_as_many_trainings_as_the_page_says() -> None:
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]*\| (\d+) \| [^|]* \|$", page, re.MULTILINE)
    assert len(rows) >= 6
    for name, count in rows:
        planned = run_list.read(name)
        assert sum(len(seeds(run.recipe)) for run in planned) == int(count), name


def test_every_recipe_that_ships_is_on_the_page_of_recipes() -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    assert [name for name in loader.names("train") if f"`{name}`" not in page] == []


def test_a_comment_in_the_code_goes_before_the_words_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "described.py"
    path.write_text(
        "import msgspec\n\n\nclass Described(msgspec.Struct):\n    first: int = 1\n"
        "    #: The second,\n    #: in two lines.\n    second: int = 2\n"
        "\n\nclass More(Described):\n    #: The third.\n    third: int = 3\n"
    )
    spec = importlib.util.spec_from_file_location("described", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "described", module)
        spec.loader.exec_module(module)
        second = {"second": "The second, in two lines."}
        assert tables.comments(module.Described) == second
        assert tables.comments(module.More) == {**second, "third": "The third."}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (str | int | None, "text or whole number or null"),
        (Annotated[float, msgspec.Meta(gt=0, lt=1)], "number above 0 below 1"),
        (Annotated[int, msgspec.Meta(ge=1, le=64)], "whole number from 1 to 64"),
        (tuple[str, ...], "list of text"),
        (dict[str, int], "mapping"),
    ],
)
def test_types_are_said_in_words(kind: object, words: str) -> None:
    assert sorted(tables.kind(msgspec.inspect.type_info(kind)).split(" or ")) == sorted(
        words.split(" or ")
    )


def test_the_readmes_figures_are_those_of_the_card_and_of_the_pages() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Results")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "][1:]
    seeds = checkpoint.read_card("live").scores["seeds"]
    of_the_card = [row for row in rows if not row[0].startswith("strangers: ")]
    assert of_the_card != rows
    for (_, _, figure, _), name in zip(
        of_the_card, ("text+audio+visual", "text", "audio", "visual"), strict=False
    ):
        score = seeds[name]["weighted_f1"]
        assert figure == f"weighted F1 {score['mean']:.3f} ± {score['sd']:.3f}"
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    for what, material, figure, command in rows:
        assert what
        assert material
        (number,) = re.findall(r"\d+\.\d+(?: ± \d+\.\d+)?", figure)
        assert number in text
        assert command == "the same" or command.startswith("`gscon-live ")


def test_the_card_is_that_of_the_model_that_ships() -> None:
    page = (DOCS / "model-card.md").read_text(encoding="utf-8")
    card = checkpoint.read_card("live")
    assert f"This is the card of `{card.name}` {card.version}," in page
    assert f"temperature {card.temperature:.3f}" in page
    assert f"seeds {', '.join(map(str, card.seeds))} |" in page


def _row(page: str, name: str) -> str:
    """The row of a table whose first cell names something."""
    rows = re.findall(rf"^\|[^|]*`{name}`.*$", page, re.MULTILINE)
    assert rows, name
    return str(rows[0])


def test_every_network_is_on_the_page_of_methods() -> None:
    page = (DOCS / "results/methods.md").read_text(encoding="utf-8")
    for name in NETWORKS:
        _row(page, name)


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_is_on_the_page_of_methods_with_its_settings(name: str) -> None:
    row = _row((DOCS / "results/methods.md").read_text(encoding="utf-8"), name)
    module, _, kind = PLUGINS[name].rpartition(".")
    settings = getattr(importlib.import_module(module), kind).SETTINGS()
    for key in settings.__struct_fields__:
        value = getattr(settings, key)
        assert f"`{key}`" in row
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert f"`{key}` {value:g}" in row


def test_the_keys_of_recipes_that_are_explained_are_keys() -> None:
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    section = page.split("### What a recipe decides")[1].split("\n#")[0]
    keys = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert keys
    assert set(keys) <= set(ConversationRecipe.__struct_fields__)


def test_results_name_the_command_that_prints_them() -> None:
    for name in ("results/index.md", "results/corpora.md", "results/methods.md", "performance.md"):
        page = (DOCS / name).read_text(encoding="utf-8")
        assert "gscon-live " in page
        assert re.search(r"\b2026-\d\d-\d\d\b", page)
        assert re.search(r"\bcores\b", page)
        assert re.search(r"\bseeds?\b", page)


def test_a_picture_is_taken_of_a_page(tmp_path: Path) -> None:
    if picture.browser() is None:
        pytest.skip("no browser")
    page, taken = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text("<!doctype html><style>body{background:#f00}</style>")
    picture.take(page, taken, (320, 240))
    assert _size(taken) == (320, 240)


def test_the_pictures_are_of_the_size_that_the_scripts_make() -> None:
    assert _size(picture.PICTURE) == picture.SIZE
    pytest.importorskip("playwright", reason="playwright is not installed")
    page = _script("page_picture")
    assert _size(page.PICTURE) == (page.SIZE["width"], page.SIZE["height"])


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its first chunk (RFC 2083, 4.1.1)."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
