"""Recipes of training on conversations: what follows from what, and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import yaml
from made_corpus import DIMS, LABELS, corpus

from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import build
from gscon_live.train import fit
from gscon_live.train.balance.old_settings import modern
from gscon_live.train.corpora.dataset import FeaturedCorpus, FeaturedDialogue, restricted
from gscon_live.train.corpora.iemocap_meld_emorynlp import TABLES
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.networks.material import check, material
from gscon_live.train.networks.recipe import (
    ConversationRecipe,
    architecture,
    resolved,
)
from gscon_live.train.networks.task import ConversationTask, class_weights, standardise

RECIPE = ConversationRecipe(width=8, heads=2)
#: GDC and SSC as published.
GDC, SSC = {"weight": 0.5}, {"weight": 1.0, "rows": 32, "tau": 0.07}
MARGIN = {"weight": 0.01, "margin": 0.2, "rows": 32}
HVD = {"low": 1.0, "high": 1.2, "stop_gradient": False}


def with_dialogue(split: str, **values: object) -> FeaturedCorpus:
    """The made corpus with one dialogue changed."""
    made = corpus()
    first, second, *rest = made.splits[split]
    splits = {**made.splits, split: (first, dataclasses.replace(second, **values), *rest)}
    return dataclasses.replace(made, splits=splits)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_a_recipe_of_its_name(name: str) -> None:
    made = fit.recipe(name, [])
    assert isinstance(made, ConversationRecipe)
    assert (made.corpus, made.name) == (name, f"{name}-gscon-causal")


def test_the_command_of_the_documentation_is_understood() -> None:
    made = fit.recipe("iemocap", ["model=gscon", "context=causal", "seeds=5"])
    assert isinstance(made, ConversationRecipe)
    assert (made.model, made.context, made.seeds) == ("gscon", "causal", 5)
    assert fit.recipe("iemocap", ["absence.window=0.5"]).absence.window == 0.5


def test_what_is_left_open_follows_from_the_rest() -> None:
    made = resolved(RECIPE)
    assert made.plugins == {"ssc": SSC, "gdc": GDC}
    assert made.batch == 8
    windows = resolved(msgspec.structs.replace(RECIPE, context="buffer", plugins={"ssc": {}}))
    assert (windows.plugins, windows.batch) == ({"ssc": SSC}, 128)
    plain = resolved(msgspec.structs.replace(RECIPE, model="mlp", name="mine", batch=3))
    assert (plain.plugins, plain.batch, plain.name) == ({}, 3, "mine")
    assert resolved(made) == made


@pytest.mark.parametrize(
    ("values", "direct"),
    [
        ({"text": "text-iemocap"}, True),
        ({"text": "text-iemocap", "direct": False}, False),
        ({"text": "text-iemocap", "direct": "own"}, "own"),
        ({"text": "text-iemocap", "modalities": ("audio",)}, False),
        ({"text": "text-iemocap", "features": "some.pkl"}, False),
        ({}, False),
    ],
)
def test_a_direct_head_is_for_a_text_encoder_that_was_trained_before(
    values: dict[str, Any], direct: bool | str
) -> None:
    made = msgspec.structs.replace(RECIPE, **values)
    assert resolved(made).direct == direct
    if not direct and "direct" not in values:
        for wanted in (True, "own"):
            refusal = rf"direct={str(wanted).lower()}.*text=<recipe>"
            with pytest.raises(InputError, match=refusal):
                resolved(msgspec.structs.replace(made, direct=wanted))


@pytest.mark.parametrize("name", ["gdc", "ssc"])
def test_consistency_losses_put_a_shared_encoder_beside_networks_that_have_none(name: str) -> None:
    for model, beside in (("mlp", True), ("ada2i", True), ("gscon", False), ("dmd", False)):
        made = resolved(msgspec.structs.replace(RECIPE, model=model, plugins={name: {}}))
        assert architecture(made, corpus()).projector is beside
    plain = resolved(msgspec.structs.replace(RECIPE, model="mlp"))
    assert plain.plugins == {}
    assert not architecture(plain, corpus()).projector


def test_networks_come_with_the_plugins_that_they_were_published_with() -> None:
    for model, wanted in (
        ("gscon", ["ssc", "gdc"]), ("mlp", []), ("ada2i", ["ratio"]), ("cmath", ["hvd"]),
        ("dmd", ["graph", "margin"]),
    ):  # fmt: skip
        made = resolved(msgspec.structs.replace(RECIPE, model=model))
        assert list(made.plugins or {}) == wanted
        alone = resolved(msgspec.structs.replace(RECIPE, model=model, modalities=("text",)))
        assert alone.plugins == {}
        none = resolved(msgspec.structs.replace(RECIPE, model=model, plugins={}))
        assert none.plugins == {}


@pytest.mark.parametrize(
    ("old", "plugins"),
    [
        ({"gdc": 0.1}, {"gdc": {"weight": 0.1}, "ssc": SSC}),
        ({"gdc": 0.0}, {"ssc": SSC}),
        ({"ssc": 0.0, "rows": 8}, {"gdc": GDC}),
        ({"gdc": 0.0, "ssc": 0.0}, {}),
        ({"rows": 8, "tau": 0.2}, {"gdc": GDC, "ssc": {"weight": 1.0, "rows": 8, "tau": 0.2}}),
        ({"gdc": 0.0, "plugins": {"margin": {}}}, {"ssc": SSC, "margin": MARGIN}),
        ({"gdc": 0.2, "ssc": 0.0, "plugins": {"gdc": {}}}, {"gdc": {"weight": 0.2}}),
        ({"model": "mlp", "gdc": 0.2}, {"gdc": {"weight": 0.2}}),
        ({"model": "cmath", "ssc": 2.0}, {"ssc": {**SSC, "weight": 2.0}, "hvd": HVD}),
        ({"modalities": ("text",), "gdc": 0.0, "ssc": 0.0}, {}),
    ],
)
def test_the_old_settings_of_gdc_and_ssc_become_plugins_and_a_line_says_so(
    old: dict[str, Any], plugins: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    made = resolved(msgspec.structs.replace(RECIPE, **old))
    assert made.plugins == plugins
    assert (made.gdc, made.ssc, made.rows, made.tau) == (None, None, None, None)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.startswith("deprecated: ")
    # The line says what can be written instead, with the same result.
    written = yaml.safe_load(said.partition("plugins=")[2].rpartition(" instead")[0])
    names = ("gdc", "ssc", "rows", "tau")
    rest = {key: value for key, value in old.items() if key not in names}
    assert resolved(msgspec.structs.replace(RECIPE, **{**rest, "plugins": written})) == made
    assert resolved(made) == made
    assert capsys.readouterr().err == ""


def test_a_recipe_that_was_kept_with_the_old_settings_is_the_same_with_the_new() -> None:
    made = resolved(RECIPE)
    old = {**msgspec.to_builtins(made), "gdc": 0.5, "ssc": 1.0, "rows": 32, "tau": 0.07}
    assert modern({**old, "plugins": {}}) == modern(msgspec.to_builtins(made))
    assert modern({**old, "gdc": 0.0, "plugins": {}})["plugins"] == {"ssc": SSC}
    assert modern({"kind": "text", "epochs": 3}) == {"kind": "text", "epochs": 3}


def test_what_a_recipe_does_not_say_of_options_and_plugins_is_in_it_when_it_is_resolved() -> None:
    made = fit.recipe("meld", ["model=ada2i", "options.rank=11", "plugins.fagm.gamma=0.1"])
    assert isinstance(made, ConversationRecipe)
    assert made.options == {"rank": 11, "residual": 0.55, "weightings": 2, "scale": 7.0}
    assert made.plugins == {"fagm": {"gamma": 0.1, "beta": 0.5, "every": 1}}
    assert resolved(made) == made
    assert architecture(made, corpus()).options["rank"] == 11


def test_consistency_losses_of_one_modality_are_refused() -> None:
    alone = corpus(modalities=("text",))
    with pytest.raises(InputError, match=r"ssc, gdc.*there is one.*plugins=\{\}"):
        ConversationTask(resolved(RECIPE), alone, 1, launch_fabric("cpu"))
    without = msgspec.structs.replace(RECIPE, plugins={})
    ConversationTask(resolved(without), alone, 1, launch_fabric("cpu"))


@pytest.mark.parametrize(
    "override",
    [
        "epochs=0", "dropout=1", "dropout=.nan", "learning_rate=0", "learning_rate=.inf",
        "tau=0", "tau=.nan", "rows=0", "plugins.ssc.tau=0", "plugins.ssc.tau=.nan",
        "plugins.ssc.rows=0", "plugins.gdc.weight=0", "plugins.gdc.weight=.inf",
        "balance=2", "context=past", "precision=8", "model=3",
        "threads=0", "first_seed=-1", "warm_up=1", "label_smoothing=-0.1", "absence.often=1",
        "absence.window=1.5", "absence.utterance=.nan", "weight_decay=.inf", "gdc=-1",
        "options.kernel=3", "options=[1]", "plugins.fagm.gama=1",
        "plugins.fagm.gamma=0", "plugins.fagm.gamma=.nan", "plugins.hvd.low=-1", "plugins=fagm",
        "plugins.graph.prior=mine", "scaled=loss",
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(override: str) -> None:
    with pytest.raises(InputError, match=override.partition("=")[0].rpartition(".")[2]) as caught:
        fit.recipe("iemocap", [override])
    assert "\n" not in str(caught.value)


def test_a_network_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="gscon, ada2i, cmath, dmd, product, mlp"):
        fit.recipe("iemocap", ["model=nonesuch"])


def test_a_good_corpus_is_let_through_whatever_stands_where_nothing_is() -> None:
    check(corpus())
    missing = corpus().splits["train"][1]
    features = {m: x.clone() for m, x in missing.features.items()}
    present = missing.present.clone()
    present[:, 0], features["text"][:] = False, float("nan")
    check(with_dialogue("train", features=features, present=present))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_features_that_are_not_finite_are_refused_with_their_place(
    split: str, value: float
) -> None:
    one = corpus().splits[split][1]
    features = {m: x.clone() for m, x in one.features.items()}
    features["audio"][-1, 2] = value
    present = torch.ones_like(one.present)
    wrong = with_dialogue(split, features=features, present=present)
    place = len(one.labels) - 1
    with pytest.raises(InputError, match=rf"{split}.*'{split} 1'.*utterance {place}.*audio"):
        check(wrong)


def test_a_dialogue_without_a_label_is_refused() -> None:
    labels = torch.full_like(corpus().splits["train"][1].labels, -1)
    with pytest.raises(InputError, match=r"'train 1'.*no utterance has a label"):
        check(with_dialogue("train", labels=labels))


def test_a_label_that_there_is_not_is_refused() -> None:
    labels = torch.full_like(corpus().splits["train"][1].labels, 3)
    with pytest.raises(InputError, match="label 3"):
        check(with_dialogue("train", labels=labels))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_refused(split: str) -> None:
    made = corpus()
    with pytest.raises(InputError, match=f"{split}.*empty"):
        check(dataclasses.replace(made, splits={**made.splits, split: ()}))


def test_a_direct_head_reads_what_the_corpus_has_for_it() -> None:
    for count in (0, 1, DIMS["text"] - 1):
        made = architecture(RECIPE, dataclasses.replace(corpus(), direct=count))
        assert made.direct == count
        assert made.dims == DIMS


def test_the_network_is_that_of_recipe_and_corpus() -> None:
    made = architecture(
        msgspec.structs.replace(RECIPE, model="mlp", context="buffer", window=5, memory=9), corpus()
    )
    assert made.dims == DIMS
    assert (made.network, made.mode, made.context, made.memory) == ("mlp", "buffer", 5, 9)
    assert (made.width, made.heads, made.classes) == (8, 2, len(LABELS))


def test_features_are_standardised_by_those_of_training_that_are_there() -> None:
    made = corpus()
    network = build(architecture(RECIPE, made))
    standardise(network, made)
    for place, m in enumerate(MODALITIES):
        rows = torch.cat([one.features[m][one.present[:, place]] for one in made.splits["train"]])
        layer = network.standardise[m]
        assert torch.allclose(layer.mean, rows.mean(0), atol=1e-6)
        assert torch.allclose(layer.deviation, rows.var(0, correction=0).sqrt(), atol=1e-5)
        assert torch.allclose(layer(rows).mean(0), torch.zeros(DIMS[m]), atol=0.1)


def test_a_modality_that_no_utterance_has_is_refused() -> None:
    made = corpus()
    gone = tuple(
        dataclasses.replace(one, present=one.present & torch.tensor([True, False, True]))
        for one in made.splits["train"]
    )
    without = dataclasses.replace(made, splits={**made.splits, "train": gone})
    with pytest.raises(InputError, match="audio"):
        standardise(build(architecture(RECIPE, made)), without)


def test_classes_weigh_as_much_as_the_balance_says() -> None:
    def dialogue(labels: list[int]) -> FeaturedDialogue:
        return dataclasses.replace(corpus().splits["train"][0], labels=torch.tensor(labels))

    made = dataclasses.replace(
        corpus(), splits={"train": (dialogue([0, 0, 0, 0, -1]), dialogue([1, 2, 2, 1, 0, 0, 0, 0]))}
    )
    assert class_weights(made, 0.0).tolist() == [1, 1, 1]
    # Eight, two and two: all classes together weigh alike.
    weight = class_weights(made, 1.0)
    assert (weight * torch.tensor([8, 2, 2])).tolist() == pytest.approx([float(weight[0]) * 8] * 3)
    assert float(weight.mean()) == pytest.approx(1)
    half = class_weights(made, 0.5)
    assert float(half[1] / half[0]) == pytest.approx(2)


def test_modalities_that_were_not_asked_for_are_left_out() -> None:
    whole_corpus = corpus()
    less = restricted(whole_corpus, ("visual", "text"))
    assert less.modalities == ("text", "visual")
    one, whole = less.splits["train"][0], whole_corpus.splits["train"][0]
    assert set(one.features) == {"text", "visual"}
    assert torch.equal(one.present, whole.present[:, [0, 2]])
    assert torch.equal(one.labels, whole.labels)
    with pytest.raises(InputError, match="audio"):
        restricted(less, ("audio",))
    with pytest.raises(InputError, match="none"):
        restricted(less, ())


def test_one_modality_alone_has_nothing_to_be_consistent_with() -> None:
    alone = resolved(ConversationRecipe(modalities=("audio",)))
    assert alone.plugins == {}


def test_networks_take_the_text_encoders_in_turn_and_the_general_one_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int]] = []

    def featured(name: str, words: str, seed: int, report: object) -> FeaturedCorpus:
        asked.append((words, seed))
        return corpus()

    monkeypatch.setattr("gscon_live.train.encoders.text.corpus_features.featured", featured)
    for changes, wanted in (
        ({"text": "mine"}, [("mine", 1), ("mine", 2), ("mine", 3), ("mine", 1), ("mine", 1)]),
        ({}, [("frozen", 1)] * 5),
        ({"general": "other"}, [("other", 1)] * 5),
        (
            {"general": "other", "text": "mine", "direct": True},
            [one for seed in (1, 2, 3, 1, 1) for one in (("mine", seed), ("other", 1))],
        ),
    ):
        asked.clear()
        recipe = msgspec.structs.replace(ConversationRecipe(text_seeds=3), **changes)
        for seed in (1, 2, 3, 4, 7):
            material(recipe, seed, lambda *_: None)
        assert asked == wanted


def test_a_session_that_is_left_out_is_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    made = corpus()
    names = iter(f"Ses{1 + place % 3:02}F_impro{place:02}" for place in range(100))
    splits = {
        split: tuple(dataclasses.replace(dialogue, name=next(names)) for dialogue in dialogues)
        for split, dialogues in made.splits.items()
    }
    monkeypatch.setattr(
        "gscon_live.train.encoders.text.corpus_features.featured",
        lambda *_: dataclasses.replace(made, splits=splits),
    )
    known = [each.name for split in ("train", "validation") for each in splits[split]]
    for which, seed, session in ((1, 1, 1), (2, 1, 2), (3, 9, 3), ("each", 3, 3), ("each", 6, 1)):
        recipe = ConversationRecipe(left_out_session=which, text_seeds=5)
        found = material(recipe, seed, lambda *_: None).splits
        assert [each.name for each in found["validation"]] == [
            name for name in known if name.startswith(f"Ses0{session}")
        ]
        assert [each.name for each in found["train"]] == [
            name for name in known if not name.startswith(f"Ses0{session}")
        ]
        assert found["test"] == splits["test"]


@pytest.mark.parametrize(
    ("values", "mention"),
    [
        ({"corpus": "meld", "left_out_session": 1}, "only the corpus iemocap has sessions"),
        ({"features": "some.pkl", "left_out_session": 1}, "only the corpus iemocap has sessions"),
        ({"text": "text-iemocap", "left_out_session": 1}, "text-iemocap leaves out 0"),
        ({"text": "text-iemocap", "left_out_session": "each"}, "text-iemocap leaves out 0"),
    ],
)
def test_network_and_text_encoder_leave_out_the_same_session(
    values: dict[str, Any], mention: str
) -> None:
    with pytest.raises(InputError, match=mention):
        resolved(msgspec.structs.replace(RECIPE, **values))


def test_what_is_behind_a_text_encoder_leaves_out_the_session_too(tmp_path: Path) -> None:
    base, path = tmp_path / "base.yaml", tmp_path / "mine.yaml"
    base.write_text("kind: text\nname: base\nleft_out_session: 2\n")
    path.write_text(f"kind: text\nname: mine\ncorpora: [written_lines]\nstart: {base}\n")
    made = msgspec.structs.replace(RECIPE, text=str(path))
    for wrong in (0, 1, "each"):
        refusal = rf"left_out_session={wrong}: .*base leaves out 2; give both the same"
        with pytest.raises(InputError, match=refusal):
            resolved(msgspec.structs.replace(made, left_out_session=wrong))
    assert resolved(msgspec.structs.replace(made, left_out_session=2)).left_out_session == 2
    # A start has seed 1.
    base.write_text("kind: text\nname: base\nleft_out_session: each\n")
    assert resolved(msgspec.structs.replace(made, left_out_session=1)).left_out_session == 1
    with pytest.raises(InputError, match="base leaves out 1"):
        resolved(msgspec.structs.replace(made, left_out_session="each"))


def test_a_text_encoder_that_never_met_the_corpus_has_no_session_to_leave_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("kind: text\nname: mine\ncorpora: [written_lines]\n")
    made = msgspec.structs.replace(RECIPE, text=str(path), left_out_session="each")
    assert resolved(made).left_out_session == "each"


def test_a_text_encoder_without_a_session_is_not_validated_on_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("kind: text\nleft_out_session: 2\n")
    with pytest.raises(InputError, match="leaves out 2; give both the same"):
        resolved(msgspec.structs.replace(RECIPE, text=str(path)))
    both = msgspec.structs.replace(RECIPE, text=str(path), left_out_session=2)
    assert resolved(both).left_out_session == 2


@pytest.mark.parametrize(
    ("corpus_name", "general", "known"),
    [
        ("iemocap", "text-iemocap-mpnet", True),
        ("iemocap", "text-spoken-teacher", False),
        ("meld", "text-spoken-teacher", True),
        ("emorynlp", "text-spoken-teacher", True),
        ("meld", "text-general-mpnet", False),  # EmoryNLP, without MELD's scenes
        ("emorynlp", "text-general-mpnet", True),
    ],
)
def test_a_general_text_encoder_has_not_met_the_corpus(
    corpus_name: str, general: str, known: bool
) -> None:
    made = msgspec.structs.replace(RECIPE, corpus=corpus_name, general=general)
    if not known:
        assert resolved(made).general == general
        return
    with pytest.raises(InputError, match=rf"general={general}: it was trained on .*{corpus_name}"):
        resolved(made)


@pytest.mark.parametrize("way", ["start", "teacher"])
def test_nothing_behind_a_general_text_encoder_has_met_the_corpus(tmp_path: Path, way: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "kind: text\nname: mine\ncorpora: [written_lines]\nprosody: false\n"
        f"encoder: all-mpnet-base-v2\n{way}: text-spoken-teacher\n"
    )
    made = msgspec.structs.replace(RECIPE, general=str(path))
    assert resolved(made).general == str(path)
    for name in ("meld", "emorynlp"):
        with pytest.raises(InputError, match=r"general=.*mine\.yaml: it was trained on .*meld"):
            resolved(msgspec.structs.replace(made, corpus=name))


def test_the_recipes_of_networks_on_corpora_that_ship_are_right() -> None:
    recipes = [fit.recipe(name, []) for name in loader.names("train")]
    conversations = [made for made in recipes if made.kind == "conversation"]
    assert len(conversations) >= 2 * len(TABLES)
    for made in conversations:
        assert isinstance(made, ConversationRecipe)
        assert resolved(made) == made


@pytest.mark.parametrize(
    ("corpus_name", "keys", "refused"),
    [
        ("meld", "corpora: [emorynlp]\n", True),
        ("meld", "corpora: [emorynlp]\napart: [meld]\n", False),
        ("meld", "corpora: [emorynlp, goemotions]\n", False),  # without scenes that MELD holds out
        ("emorynlp", "corpora: [meld]\n", True),
        ("iemocap", "corpora: [meld]\n", False),
    ],
)
def test_the_text_encoder_has_not_met_what_is_held_out_in_another_corpus(
    tmp_path: Path, corpus_name: str, keys: str, refused: bool
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"kind: text\nname: mine\n{keys}")
    made = msgspec.structs.replace(RECIPE, corpus=corpus_name, text=str(path))
    if not refused:
        assert resolved(made).text == str(path)
        return
    with pytest.raises(InputError, match=f"scenes of {corpus_name}'s validation and test"):
        resolved(made)


def test_runs_of_two_recipes_of_a_corpus_have_names_of_their_own() -> None:
    names = [fit.recipe(name, ["model=mlp"]).name for name in ("iemocap", "iemocap-small")]
    assert names == ["iemocap-mlp-causal", "iemocap-small-mlp-causal"]
    assert fit.recipe("iemocap", ["name=mine"]).name == "mine"
