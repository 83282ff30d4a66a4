"""What a text recipe holds out, nothing that it learns from has met; wrong recipes are refused
before anything is trained."""

import re
from pathlib import Path

import msgspec
import pytest
from progress import quiet
from test_encoder_of_recipe import write_encoder

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.model.encoders.text.context_encoder import ContextSettings, fresh
from gscon_live.train import fit
from gscon_live.train.encoders.text import text_cache, text_data
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_features import MeldTextFeatures

TEXT_RECIPES = [name for name in loader.names("train") if name.startswith("text-")]


def written(folder: Path, name: str, keys: str) -> Path:
    """A text recipe as a file."""
    path = folder / f"{name}.yaml"
    lines = [line.strip() for line in keys.split(";")]
    path.write_text("\n".join(["kind: text", f"name: {name}", *lines, ""]), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """The line with which a recipe is refused."""
    with pytest.raises(InputError) as error:
        text_cache.recipe(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", TEXT_RECIPES)
def test_a_text_recipe_that_ships_is_right(name: str) -> None:
    assert text_cache.recipe(name).name == name


def test_all_text_recipes_that_ship_are_tried() -> None:
    texts = [name for name in loader.names("train") if fit.recipe(name, []).kind == "text"]
    assert texts == TEXT_RECIPES
    assert texts


@pytest.mark.parametrize(
    ("start", "keys", "mention"),
    [
        ("corpora: [iemocap]", "left_out_session: 2", "with all sessions"),
        ("corpora: [iemocap]", "left_out_session: each", "with all sessions"),
        ("left_out_session: 1", "left_out_session: each", "without session 1"),
        ("left_out_session: each", "left_out_session: each", "without session 1"),
        ("left_out_session: each", "left_out_session: 2", "without session 1"),
        # Without a session the recipe's own validation is held out, which the start learned.
        ("left_out_session: 3", "left_out_session: 0", "without session 3"),
        ("left_out_session: each", "left_out_session: 1", None),
        ("left_out_session: 3", "left_out_session: 3", None),
        ("corpora: [iemocap]", "left_out_session: 0", None),
        ("corpora: [meld]", "left_out_session: each", None),
    ],
)
def test_no_start_has_met_the_session_that_is_left_out(
    tmp_path: Path, start: str, keys: str, mention: str | None
) -> None:
    base = written(tmp_path, "base", start)
    mine = written(tmp_path, "mine", f"{keys}; start: {base}")
    if mention is None:
        assert text_cache.recipe(str(mine)).name == "mine"
    else:
        line = refusal(mine)
        assert re.match(rf"recipe 'mine': left_out_session .*'base'.*{mention}; give ", line)


@pytest.mark.parametrize("way", ["start", "teacher"])
@pytest.mark.parametrize(
    ("source", "keys", "fits"),
    [
        ("corpora: [meld]", "corpora: [meld]; left_out: 1", False),
        ("corpora: [meld]; left_out: 2", "corpora: [meld]; left_out: 1", False),
        ("corpora: [meld]; left_out: 1; parts: 4", "corpora: [meld]; left_out: 1", False),
        # Other scenes are left out before the dialogues are cut into folds.
        ("corpora: [meld, goemotions]; left_out: 1", "corpora: [meld]; left_out: 1", False),
        ("corpora: [meld]; left_out: 1; apart: [iemocap]", "corpora: [meld]; left_out: 1", False),
        # The scenes of a fold of MELD are in EmoryNLP, too.
        ("corpora: [emorynlp, goemotions]", "corpora: [meld]; left_out: 1", False),
        ("corpora: [emorynlp, goemotions]; apart: [meld]", "corpora: [meld]; left_out: 1", True),
        ("corpora: [meld]; left_out: 1", "corpora: [meld]; left_out: 1", True),
        ("corpora: [meld]; left_out: 1", "corpora: [meld]", True),
        ("corpora: [iemocap]", "corpora: [meld]; left_out: 1", True),
        ("corpora: [written_lines]", "corpora: [written_lines]; left_out: 1", True),
    ],
)
def test_nothing_behind_a_recipe_has_met_the_fold_that_is_left_out(
    tmp_path: Path, way: str, source: str, keys: str, fits: bool
) -> None:
    base = written(tmp_path, "base", source)
    mine = written(tmp_path, "mine", f"{keys}; {way}: {base}")
    if fits:
        assert text_cache.recipe(str(mine)).name == "mine"
    else:
        assert re.match(r"recipe 'mine': .*'base', which was trained on .*; give ", refusal(mine))


@pytest.mark.parametrize("way", ["start", "teacher"])
@pytest.mark.parametrize(
    "source",
    [
        "corpora: [emorynlp]",
        "corpora: [emorynlp]; apart: [iemocap]",
        "corpora: [emorynlp]; apart: [meld]",
        "corpora: [emorynlp, written_lines]",
        "corpora: [emorynlp, meld]",
    ],
)
def test_what_was_trained_on_scenes_that_are_held_out_is_no_start_and_no_teacher(
    show: Path, way: str, source: str
) -> None:
    (show / "data" / "erc" / "iemocap.csv").write_text(
        (show / "data" / "erc" / "meld.csv").read_text().replace("meld", "iemo")
        .replace("this very line is told in both of them", "nobody else says these six words")
        .replace("joy", "happy").replace("anger", "sad")
    )  # fmt: skip
    base = written(show, "base", source)
    mine = written(show, "mine", f"corpora: [meld]; {way}: {base}")
    alone = text_data.corpora(TextRecipe(corpora=("meld",)))["meld"]
    held_out = {tuple(ids) for row in alone.validation for ids in row.ids[:1]}
    learned = text_data.corpora(text_cache.recipe(str(base)))["emorynlp"].train
    met = any(tuple(ids) in held_out for row in learned for ids in row.ids)
    assert met == (source in ("corpora: [emorynlp]", "corpora: [emorynlp]; apart: [iemocap]"))
    if met:
        assert refusal(mine) == (
            "recipe 'mine': it learns from 'base', which was trained on emorynlp with scenes of "
            "meld that are held out; give 'base' apart: [meld], or give another start or teacher"
        )
    else:
        assert text_cache.recipe(str(mine)).name == "mine"


def test_what_is_behind_a_start_or_a_teacher_counts_too(tmp_path: Path) -> None:
    base = written(tmp_path, "base", "corpora: [meld]; left_out: 1")
    taught = written(tmp_path, "taught", f"corpora: [goemotions]; keep: last; teacher: {base}")
    mine = written(tmp_path, "mine", f"corpora: [emorynlp]; start: {taught}")
    assert "'base'" in refusal(mine)
    started = written(tmp_path, "started", f"corpora: [iemocap, meld]; start: {base}")
    mine = written(tmp_path, "mine", f"corpora: [iemocap]; left_out_session: 1; start: {started}")
    assert "'started'" in refusal(mine)


def test_a_fold_that_its_start_knows_is_refused_before_anything_is_trained(
    show: Path, cache: Path
) -> None:
    base = written(show, "base", "corpora: [meld]; epochs: 1")
    mine = written(show, "mine", f"corpora: [meld]; epochs: 1; start: {base}")
    fold = msgspec.structs.replace(text_cache.recipe(str(mine)), left_out=1)
    with pytest.raises(InputError, match=r"'mine': left_out 1, .*'base'"):
        text_cache.with_head(fold, 1, "meld", quiet)
    assert not [*cache.rglob("*.safetensors")]


@pytest.mark.parametrize(
    ("keys", "fits"),
    [
        ("corpora: [goemotions]", False),
        ("corpora: [goemotions]; keep: best; epochs: 1", False),
        ("corpora: [goemotions]; keep: last", True),
        ("corpora: [goemotions, written_lines]", True),
    ],
)
def test_the_best_epoch_is_kept_only_where_there_is_validation(
    tmp_path: Path, keys: str, fits: bool
) -> None:
    mine = written(tmp_path, "mine", keys)
    if fits:
        assert text_cache.recipe(str(mine)).name == "mine"
    else:
        assert refusal(mine) == (
            "recipe 'mine': keep best, but goemotions has no validation; give keep=last"
        )


@pytest.mark.parametrize(
    "keys", ["left_out_session: 2", "left_out_session: each", "speaker_names: true"]
)
def test_a_teacher_of_other_splits_or_words_is_refused(tmp_path: Path, keys: str) -> None:
    teacher = written(tmp_path, "wise", f"corpora: [meld, iemocap]; prosody: false; {keys}")
    line = refusal(written(tmp_path, "mine", f"corpora: [meld]; teacher: {teacher}"))
    assert line.startswith(f"recipe 'mine': its teacher 'wise' has {keys.partition(':')[0]}")
    assert line.endswith("; give a teacher without it")


def test_a_start_has_the_same_reach_and_may_have_another_window(tmp_path: Path) -> None:
    base = written(tmp_path, "base", "corpora: [meld]")
    mine = written(tmp_path, "mine", f"corpora: [meld]; start: {base}; context: {{reach: 4}}")
    assert refusal(mine) == (
        "recipe 'base': context.reach 8, but 'mine' starts from it with context.reach 4; give both "
        "the same"
    )
    other = written(tmp_path, "other", f"corpora: [meld]; start: {mine}")
    mine = written(tmp_path, "mine", "corpora: [meld]; context: {reach: 4}")
    assert "'mine': context.reach 4" in refusal(other)
    longer = "context: {window: 3, tokens: 9}"
    mine = written(tmp_path, "mine", f"corpora: [meld]; start: {base}; {longer}")
    context = text_cache.recipe(str(mine)).context
    fresh(context).load_state_dict(fresh(ContextSettings()).state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        fresh(ContextSettings(reach=4)).load_state_dict(fresh(ContextSettings()).state_dict())


@pytest.mark.parametrize(
    ("encoder", "frozen", "trained"),
    [(None, -1, 6), (None, 0, 6), (None, 2, 4), (None, 9, 0), ("tiny-mpnet", 0, 2)],
)
def test_more_fresh_layers_than_are_trained_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str | None, frozen: int, trained: int
) -> None:
    monkeypatch.setenv("GSCON_MODELS", str(tmp_path))
    write_encoder(tmp_path / "tiny-mpnet", "mpnet")
    keys = f"corpora: [meld]; encoder: {encoder or 'null'}; frozen: {frozen}; fine_tuning: "
    mine = written(tmp_path, "mine", f"{keys} {{fresh_layers: {trained + 1}}}")
    assert refusal(mine) == (
        f"recipe 'mine': fine_tuning.fresh_layers {trained + 1}, but {trained} layers are trained; "
        f"give at most {trained}"
    )
    mine = written(tmp_path, "mine", f"{keys} {{fresh_layers: {trained}}}")
    assert text_cache.recipe(str(mine)).name == "mine"


def test_an_encoder_that_is_not_fetched_yet_does_not_tell_its_layers(tmp_path: Path) -> None:
    keys = "corpora: [meld]; encoder: nonesuch; fine_tuning: {fresh_layers: 99}"
    assert text_cache.recipe(str(written(tmp_path, "mine", keys))).encoder == "nonesuch"


def test_a_fold_is_not_left_out_where_a_corpus_of_the_same_show_is_learned(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, "mine", "corpora: [meld, emorynlp]; left_out: 1"))
    assert "have the same scenes" in said


def test_features_of_dialogues_that_the_teacher_knows_are_refused_at_once() -> None:
    recipe = TextRecipe(corpora=("meld",), teacher="text-meld", prosody=False)
    with pytest.raises(InputError, match="trained on this fold of meld"):
        MeldTextFeatures(recipe, quiet)


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        ("corpora: [meld]", {"meld"}),
        # Scenes that EmoryNLP holds out are left out of MELD.
        ("corpora: [meld, written_lines]", {"meld", "written_lines", "emorynlp"}),
        (
            "corpora: [meld, written_lines]; apart: [emorynlp]",
            {"meld", "written_lines", "emorynlp"},
        ),
        ("corpora: [iemocap, goemotions]", {"iemocap", "goemotions"}),
    ],
)
def test_another_file_of_any_corpus_that_is_read_makes_another_encoder(
    keys: str, read: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("meld", "emorynlp", "iemocap", "goemotions", "written_lines")
    files = {name: tmp_path / f"{name}.csv" for name in names}
    for path in files.values():
        path.write_text("before")
    monkeypatch.setattr(text_cache, "_files", lambda name: [files[name]])
    recipe = text_cache.recipe(str(written(tmp_path, "mine", keys)))
    before = text_cache.key(recipe, 1)
    for name, path in files.items():
        path.write_text("after")
        assert (text_cache.key(recipe, 1) != before) == (name in read), name
        path.write_text("before")
