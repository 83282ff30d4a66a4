"""`train.leaderboard`: runs and published figures in one table, told apart by their
protocols."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from made_runs import corpus, run_folder
from progress import quiet
from scipy import stats

from gscon_live.common.cli import run
from gscon_live.model.labels import MODALITIES
from gscon_live.train.leaderboard import __main__ as leaderboard
from gscon_live.train.leaderboard import board_view, plots
from gscon_live.train.leaderboard.board import Board, board
from gscon_live.train.leaderboard.board_view import comparison_cells
from gscon_live.train.leaderboard.comparisons import Comparison, comparisons
from gscon_live.train.leaderboard.grid import cross_tables
from gscon_live.train.leaderboard.published import Published, published
from gscon_live.train.networks import evaluate_run
from gscon_live.train.scoring.evaluation import Evaluation, Spread
from gscon_live.train.scoring.metrics import Bin

CORPUS = dataclasses.replace(corpus(), name="meld")


def material(recipe: object, seed: int, report: object):
    return CORPUS


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An ablation, over three and two seeds, and another network."""
    place = tmp_path_factory.mktemp("runs")
    runs = [
        run_folder(place / "plain", CORPUS, seeds=3, steps=4, gdc=0.0, ssc=0.0),
        run_folder(place / "consistent", CORPUS, seeds=2, steps=9),
        run_folder(place / "window", CORPUS, seeds=1, steps=4, context="buffer", window=4),
    ]
    for folder in runs:
        evaluate_run.evaluate(folder, quiet, material, ("as_trained", 4, 16))
    return runs


@pytest.fixture(scope="module")
def evaluations(folders: list[Path]) -> list[Evaluation]:
    def refuse(*_: object):
        raise AssertionError("measured without need")

    return [evaluate_run.of_run(folder, quiet, refuse) for folder in folders]


def call(words: list[object], **options: object) -> int:
    return run(
        lambda arguments: leaderboard.main(arguments, **options), [str(word) for word in words]
    )


def test_runs_are_rows_with_all_that_was_measured(evaluations: list[Evaluation]) -> None:
    rows = {row.model: row for row in board(evaluations, []).rows if row.origin == "run"}
    assert set(rows) == {"plain", "consistent", "window"}
    for evaluation in evaluations:
        row, test = rows[evaluation.run], evaluation.test
        assert (row.corpus, row.selection, row.seeds) == (
            "meld",
            "validation",
            len(evaluation.seeds),
        )
        assert row.modalities == "text+audio"
        assert (row.weighted_f1.mean, row.weighted_f1.sd) == (
            test.weighted_f1.mean,
            test.weighted_f1.sd,
        )
        assert row.interval == test.interval
        assert row.accuracy is not None
        assert row.accuracy.mean == test.accuracy.mean
        assert row.best_on_test is not None
        assert row.best_on_test.mean == pytest.approx(0.6 + (1 + len(evaluation.seeds)) / 200)
        assert row.parameters == evaluation.parameters
    assert rows["window"].context == "past-only, last 4"
    assert rows["plain"].context == "past-only"
    assert rows["window"].weighted_f1.sd is None


def test_runs_stand_in_the_order_of_validation_and_test_has_no_say(
    evaluations: list[Evaluation],
) -> None:
    def order(measured: list[Evaluation]) -> list[str]:
        return [row.model for row in board(measured, []).rows if row.origin == "run"]

    rows = order(evaluations)
    scores = {evaluation.run: evaluation.validation.weighted_f1.mean for evaluation in evaluations}
    assert rows == sorted(rows, key=lambda name: -scores[name])
    assert rows == order(evaluations[::-1])

    def with_test(evaluation: Evaluation, mean: float) -> Evaluation:
        changed = json.loads(msgspec.json.encode(evaluation))
        changed["splits"]["test"]["as_trained"]["text+audio"]["weighted_f1"]["mean"] = mean
        return msgspec.convert(changed, Evaluation)

    moved = [
        with_test(evaluation, 1 - evaluation.test.weighted_f1.mean) for evaluation in evaluations
    ]
    assert rows == order(moved)


def test_the_seeds_of_a_run_together_are_a_row_below_it(evaluations: list[Evaluation]) -> None:
    rows = board(evaluations, []).rows
    ensembles = [place for place, row in enumerate(rows) if row.origin == "ensemble"]
    assert [rows[place].model for place in ensembles] == [
        f"{rows[place - 1].model}, {rows[place - 1].seeds} seeds together" for place in ensembles
    ]
    assert {rows[place - 1].model for place in ensembles} == {"plain", "consistent"}
    for place in ensembles:
        run_row, together = rows[place - 1], rows[place]
        assert run_row.parameters is not None
        assert together.parameters == run_row.parameters * together.seeds
        assert together.weighted_f1.sd is None
        assert together.best_on_test is None


def test_published_figures_have_their_flags_and_are_on_the_same_corpus(
    evaluations: list[Evaluation],
) -> None:
    rows = [row for row in board(evaluations, published()).rows if row.origin == "published"]
    assert {row.corpus for row in rows} == {"meld"}
    assert len(rows) == sum("meld" in model.scores for model in published())
    by_name = {row.model: row for row in rows}
    past = by_name["EmoBERTa, past only"]
    assert (past.selection, past.context, past.modalities, past.seeds) == (
        "validation", "past-only", "text", 5,
    )  # fmt: skip
    assert past.weighted_f1.mean == pytest.approx(0.6455)
    assert past.weighted_f1.sd == pytest.approx(0.0094)
    assert by_name["SDT"].selection == "test"
    assert by_name["ECERC"].context == "leaking"
    order = [row.selection for row in rows]
    assert order == sorted(order, key=["validation", "unknown", "test", "none"].index)


def test_what_is_published_is_whole() -> None:
    models = published()
    assert len({model.model for model in models}) == len(models)
    for model in models:
        assert model.source
        assert set(model.scores) <= {"iemocap", "meld"}
        assert set(model.modalities.split("+")) <= {*MODALITIES, "unknown", "none"}
        for score in model.scores.values():
            assert 30 < score.weighted_f1 < 80


def test_ablations_are_compared_over_equal_seeds(evaluations: list[Evaluation]) -> None:
    plain, consistent, _ = evaluations
    (comparison,) = comparisons(evaluations)
    assert (comparison.first, comparison.second) == ("plain", "consistent")
    assert comparison.changed == "gdc 0 → 0.5, ssc 0 → 1"
    assert comparison.seeds == [1, 2]
    before, after = plain.test.weighted_f1.values[:2], consistent.test.weighted_f1.values
    assert comparison.over_seeds.n == 2
    assert comparison.over_seeds.mean == pytest.approx(np.mean(after) - np.mean(before))
    assert comparison.over_seeds.p == pytest.approx(stats.ttest_rel(after, before).pvalue)
    assert comparison.over_dialogues.mean == pytest.approx(comparison.over_seeds.mean)
    assert (
        comparison.over_dialogues.interval.low
        < comparison.over_dialogues.mean
        < comparison.over_dialogues.interval.high
    )
    # Of one comparison, nothing is to be corrected: a difference is one over seeds and dialogues.
    assert comparison.over_seeds.p is not None
    assert comparison.q == max(comparison.over_seeds.p, comparison.over_dialogues.p)
    assert comparisons(evaluations[::-1]) == [comparison]


@pytest.mark.parametrize("change", [{"epochs": 3}, {"context": "full"}, {"corpus": "other"}])
def test_runs_that_differ_in_more_are_no_ablation(
    evaluations: list[Evaluation], change: dict[str, object]
) -> None:
    plain, consistent, _ = evaluations
    other = msgspec.structs.replace(consistent, recipe={**consistent.recipe, **change})
    assert comparisons([plain, other]) == []
    unlike = msgspec.structs.replace(consistent, seeds=[5, 6])
    assert comparisons([plain, unlike]) == []


def variant(
    evaluation: Evaluation, run: str, network: str = "gscon", **recipe: object
) -> Evaluation:
    """A run with other words in its recipe."""
    new_recipe = {**evaluation.recipe, "model": network, **recipe}
    return msgspec.structs.replace(evaluation, run=run, network=network, recipe=new_recipe)


def test_a_plugin_is_compared_with_what_is_without_it_and_not_with_another(
    evaluations: list[Evaluation],
) -> None:
    plain = variant(evaluations[0], "plain")
    runs = [
        plain,
        variant(plain, "fagm", plugins={"fagm": {"gamma": 0.5}}),
        variant(plain, "slow", plugins={"fagm": {"gamma": 0.5}}, scaled="update"),
        variant(plain, "both", plugins={"fagm": {"gamma": 0.5}, "hvd": {}}),
        variant(plain, "other", plugins={"fagm": {"gamma": 0.1}, "hvd": {}}),
        variant(plain, "alone", alone=0.5),
    ]
    changes = {
        (comparison.first, comparison.second): comparison.changed
        for comparison in comparisons(runs)
    }
    assert changes == {
        ("plain", "fagm"): "+ fagm",
        ("plain", "slow"): "+ fagm (updates)",
        ("plain", "both"): "+ fagm, + hvd",
        ("fagm", "both"): "+ hvd",
        ("plain", "other"): "+ fagm, + hvd",
        ("plain", "alone"): "alone 0 → 0.5",
    }
    rows = {row.model: row for row in board(runs, []).rows}
    assert list(rows["plain"].alone) == ["text", "audio"]
    figure = plain.splits["test"]["as_trained"]["audio"].weighted_f1
    assert rows["plain"].alone["audio"].mean == figure.mean
    assert (rows["plain"].network, rows["plain"].balance) == ("gscon", "none")
    assert rows["slow"].balance == "fagm (updates)"
    assert rows["both"].balance == "fagm + hvd"


def modern(evaluation: Evaluation) -> Evaluation:
    """The same run as if its recipe had been written with GDC and SSC among the plug-ins."""
    recipe = {key: value for key, value in evaluation.recipe.items() if key not in ("gdc", "ssc")}
    plugins = dict(recipe.get("plugins", {}))
    if evaluation.recipe["gdc"]:
        plugins["gdc"] = {"weight": evaluation.recipe["gdc"]}
    if evaluation.recipe["ssc"]:
        plugins["ssc"] = {"weight": evaluation.recipe["ssc"], "rows": 32, "tau": 0.07}
    nothing = dict.fromkeys(("gdc", "ssc", "rows", "tau"))
    return msgspec.structs.replace(evaluation, recipe={**recipe, **nothing, "plugins": plugins})


def test_runs_with_the_old_settings_of_gdc_and_ssc_are_shown_like_those_with_plugins(
    evaluations: list[Evaluation],
) -> None:
    plain, consistent, _ = evaluations
    old = {"rows": 32, "tau": 0.07}
    runs = [
        variant(plain, "plain", **old),
        variant(consistent, "both", **old),
        variant(plain, "gdc", **old, gdc=0.5),
        variant(plain, "more", **old, gdc=0.5, plugins={"fagm": {}}),
        variant(plain, "slow", **old, gdc=0.5, plugins={"fagm": {}}, scaled="update"),
        variant(plain, "mmgcn", "mmgcn", **old),
        variant(consistent, "mmgcn both", "mmgcn", **old),
    ]
    shown = board(runs, [])
    assert msgspec.json.encode(shown) == msgspec.json.encode(board(list(map(modern, runs)), []))
    mixed = [modern(run) if place % 2 else run for place, run in enumerate(runs)]
    assert msgspec.json.encode(shown) == msgspec.json.encode(board(mixed, []))
    changes = {
        (comparison.first, comparison.second): comparison.changed
        for comparison in shown.comparisons
    }
    assert changes["plain", "gdc"] == "gdc 0 → 0.5"
    assert changes["gdc", "both"] == "ssc 0 → 1"
    assert changes["gdc", "more"] == "+ fagm"
    assert changes["gdc", "slow"] == "+ fagm (updates)"
    balances = {row.model: row.balance for row in shown.rows}
    assert balances["both"] == "gdc + ssc"
    assert balances["slow"] == "gdc + fagm (updates)"


def test_networks_are_compared_with_gscon_each_as_it_was_published(
    evaluations: list[Evaluation],
) -> None:
    plain, consistent, _ = evaluations
    off = {"gdc": 0.0, "ssc": 0.0}
    runs = [
        variant(consistent, "consistent"),
        variant(plain, "cmath", "cmath", **off, plugins={"hvd": {}}, options={"kernel": 3}),
        variant(plain, "cmath alone", "cmath", **off, plugins={}, options={"kernel": 3}),
        variant(plain, "mmgcn", "mmgcn", **off),
        variant(plain, "mmgcn and fagm", "mmgcn", **off, plugins={"fagm": {}}),
        variant(plain, "other size", "dmd", **off, plugins={"graph": {}, "margin": {}}, width=9),
    ]
    against_gscon = [comparison for comparison in comparisons(runs) if "→ " in comparison.changed]
    assert [
        (comparison.first, comparison.second, comparison.changed) for comparison in against_gscon
    ] == [
        ("consistent", "cmath", "gscon → cmath"),
        ("consistent", "mmgcn", "gscon → mmgcn"),
    ]
    assert against_gscon[0].seeds == [1, 2]


def test_every_run_of_a_network_is_compared_with_gscon(evaluations: list[Evaluation]) -> None:
    plain, consistent, _ = evaluations
    off = {"gdc": 0.0, "ssc": 0.0}
    runs = [
        variant(consistent, "consistent"),
        variant(plain, "first", "cmath", **off, plugins={"hvd": {"high": 1.8}}),
        variant(plain, "second", "cmath", **off, plugins={"hvd": {"high": 1.2}}),
    ]
    found = [(pair.first, pair.second) for pair in comparisons(runs) if "→ c" in pair.changed]
    assert found == [("consistent", "first"), ("consistent", "second")]


def test_seeds_that_share_a_text_encoder_are_tested_as_one(evaluations: list[Evaluation]) -> None:
    plain, consistent, _ = evaluations

    def of(text: str, **recipe: object) -> Comparison:
        runs = [
            msgspec.structs.replace(run, recipe={**run.recipe, "text": text, **recipe})
            for run in (plain, consistent)
        ]
        (comparison,) = comparisons(runs)
        return comparison

    apart, shared = of("text-meld", text_seeds=5), of("text-meld", text_seeds=1)
    assert (apart.over_seeds.n, shared.over_seeds.n) == (2, 1)
    assert shared.over_seeds.p is None
    assert shared.over_seeds.mean == pytest.approx(apart.over_seeds.mean)
    assert comparison_cells(shared)[4] == "2, 1 encoder"
    assert comparison_cells(apart)[4] == "2"
    assert of("frozen", text_seeds=1).over_seeds.n == 2


def test_a_renamed_run_has_its_new_name(folders: list[Path], tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folders[0], tmp_path / "renamed"))
    assert evaluate_run.of_run(moved, quiet, material).run == "renamed"


def test_a_grid_is_crossed_by_network_and_balance(evaluations: list[Evaluation]) -> None:
    off = {"gdc": 0.0, "ssc": 0.0}
    plain, consistent, window = evaluations
    runs = [
        variant(plain, "g", **off),
        variant(consistent, "g+"),
        variant(consistent, "m+", "mmgcn"),
        variant(plain, "m", "mmgcn", **off),
        variant(plain, "m alone", "mmgcn", **off, alone=0.5),
        variant(plain, "once more", "mmgcn", **off, options={"theta": 1}),
        variant(plain, "other", "dmd", **off, epochs=99),
        window,
    ]
    multimodal, text, audio = cross_tables(runs)
    assert (multimodal.corpus, multimodal.context, multimodal.modalities) == (
        "meld",
        "past-only",
        "text+audio",
    )
    assert [text.modalities, audio.modalities] == ["text", "audio"]
    assert multimodal.networks == ["gscon", "mmgcn"]
    assert multimodal.balances == ["none", "gdc + ssc", "alone"]

    def spread_of(evaluation: Evaluation, subset: str) -> Spread:
        figure = evaluation.splits["test"]["as_trained"][subset].weighted_f1
        return Spread(figure.mean, figure.sd)

    for cross_table, subset in ((multimodal, "text+audio"), (audio, "audio")):
        p, c = spread_of(plain, subset), spread_of(consistent, subset)
        assert cross_table.cells == [[[p], [c], []], [[p, p], [c], [p]]]
        gain = c.mean - p.mean
        assert cross_table.gains == [
            None,
            Spread(pytest.approx(gain), pytest.approx(0)),
            Spread(0.0),
        ]
    table = board_view.cross_table_text(multimodal)
    assert table.title == "meld, past-only: text and audio"
    assert table.columns == ("balance", "gscon", "mmgcn", "mean gain")
    first, second, third = (row.cells for row in table.rows)
    g, better = (row_of(runs, name)[8] for name in ("g", "g+"))
    assert first == ("none", g, f"{g} / {g}", "–")
    gain = multimodal.gains[1]
    assert gain is not None
    assert second == ("gdc + ssc", better, better, f"{100 * gain.mean:+.2f} ± 0.00")
    assert third == ("alone", "–", g, "+0.00")
    content = board(runs, [])
    assert content.crossings == [multimodal, text, audio]
    for where in (board_view.markdown(content), board_view.page(content, runs[:2])):
        assert "Networks by what balances them" in where
        assert table.title in where
    # Rates and windows are no balance, and one network alone is no grid.
    assert cross_tables([runs[0], runs[1], runs[6], window]) == []


def row_of(runs: list[Evaluation], name: str) -> tuple[str, ...]:
    """The cells of a run in the long table."""
    (row,) = (row for row in board(runs, []).rows if row.model == name)
    return board_view.cells(row)


def test_places_on_the_plots_are_in_the_order_of_the_figures(
    evaluations: list[Evaluation],
) -> None:
    rows = board(evaluations, published()).rows
    plot = plots.bars(rows)
    assert [bar.label for bar in plot.bars] == [row.model for row in rows]
    means = [row.weighted_f1.mean for row in rows]
    ticks = {float(tick.label): tick.at for tick in plot.ticks}
    (low, at_low), (high, at_high) = min(ticks.items()), max(ticks.items())
    for bar, mean, row in zip(plot.bars, means, rows, strict=True):
        expected = at_low + (100 * mean - low) / (high - low) * (at_high - at_low)
        assert bar.x == pytest.approx(expected, abs=0.1)
        assert at_low <= bar.x <= at_high
        assert (bar.sd is None) == (row.weighted_f1.sd is None)
        if bar.interval:
            assert at_low <= bar.interval[0] <= bar.x <= bar.interval[1] <= at_high
    chart = plots.by_context(evaluations)
    assert [parts for _, parts in chart.categories] == [["last 4"], ["last 16"], ["as trained"]]
    assert [series.name for series in chart.series] == ["plain", "consistent", "window"]
    for evaluation, series in zip(evaluations, chart.series, strict=True):
        means = [
            evaluation.splits["test"][name]["text+audio"].weighted_f1.mean
            for name in ("buffer_4", "buffer_16", "as_trained")
        ]
        for one_mean, dot in zip(means, series.dots, strict=True):
            for other_mean, other in zip(means, series.dots, strict=True):
                if one_mean > other_mean + 1e-3:
                    # Upwards on a picture is less.
                    assert dot.y < other.y
        assert all(dot.top <= dot.y <= dot.bottom for dot in series.dots)
    assert len(plots.by_modalities(evaluations).categories) == 3


def test_a_reliability_diagram_has_confidence_sidewards_and_accuracy_upwards(
    evaluations: list[Evaluation],
) -> None:
    evaluation = evaluations[0]
    changed = msgspec.structs.replace(
        evaluation.test, reliability_before=[Bin(0, 0, 0), Bin(25, 0.25, 1.0), Bin(75, 0.5, 0.0)]
    )
    splits = {**evaluation.splits, "test": {"as_trained": {"text+audio": changed}}}
    diagram = plots.reliability(msgspec.structs.replace(evaluation, splits=splits))
    (x1, y1, r1), (x2, y2, r2) = diagram.before
    assert (x1, y1) == pytest.approx((diagram.size / 4, 0), abs=0.1)
    assert (x2, y2) == pytest.approx((diagram.size / 2, diagram.size), abs=0.1)
    assert r2 > r1


def test_the_command_writes_a_table_a_page_and_json(
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    html, text = tmp_path / "board.html", tmp_path / "board.md"
    words = [*folders, "--html", html, "--markdown", text]
    assert call(words) == 0
    output = capsys.readouterr().out
    assert call([*folders, "--json"]) == 0
    content = msgspec.json.decode(capsys.readouterr().out.encode(), type=Board)
    assert {row.model for row in content.rows} > {"plain", "consistent", "window", "SDT"}
    page, table = html.read_text(), text.read_text()
    for row in content.rows:
        shown = plots.percent(row.weighted_f1.mean, row.weighted_f1.sd)
        for where in (output, page, table):
            assert row.model in where
            assert shown in where
    for where in (page, table):
        assert "not for comparison" in where
        assert "gdc 0 → 0.5" in where
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    columns = {line.count(" | ") for line in lines[: len(content.rows) + 2]}
    assert columns == {len(board_view.COLUMNS) - 1}


def test_the_page_is_well_formed_and_loads_nothing(
    folders: list[Path], evaluations: list[Evaluation]
) -> None:
    strange = Published(
        model="<script>alert(1)</script>", selection="test", context="full",
        modalities="text", source="a & b", scores=published()[0].scores,
    )  # fmt: skip
    page = board_view.page(board(evaluations, [strange]), evaluations)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import|http", page.replace("http-equiv", ""))
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 3 + len(evaluations)
    for picture in pictures:
        numbers = [
            float(value)
            for element in ElementTree.fromstring(picture).iter()
            for name, value in element.attrib.items()
            if name in ("x", "y", "cx", "cy", "x1", "x2", "y1", "y2", "r")
        ]
        assert len(numbers) > 4
        assert np.isfinite(numbers).all()


def test_the_page_plots_as_many_runs_as_colours_tell_apart(evaluations: list[Evaluation]) -> None:
    runs = [variant(evaluations[0], f"run {number}") for number in range(plots.COLOURS + 2)]
    page = board_view.page(board(runs, []), runs)
    assert page.count("2 more are in the tables") == 2
    assert page.count("Reliability of run") == plots.COLOURS
    assert page.count('colour0"><i>') == 1
    some = board_view.page(board(runs[: plots.COLOURS], []), runs[: plots.COLOURS])
    assert "more are in the tables" not in some


def test_runs_are_evaluated_where_they_have_not_been(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(folders[2], tmp_path / "fresh")
    (folder / "evaluation.json").unlink()
    assert call([folder, "--json"], material=material) == 0
    content = msgspec.json.decode(capsys.readouterr().out.encode(), type=Board)
    assert content.rows[0].model == "fresh"
    assert (folder / "evaluation.json").is_file()


def test_wrong_requests_are_one_line_and_exit_2(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object):
        raise AssertionError("measured before the request was checked")

    twin = shutil.copytree(folders[0], tmp_path / "plain")
    unfinished = shutil.copytree(folders[0], tmp_path / "unfinished")
    (unfinished / "seed-1" / "model.json").unlink()
    fresh = shutil.copytree(folders[2], tmp_path / "fresh")
    (fresh / "evaluation.json").unlink()
    for words, mention in (
        (["nonesuch"], "nonesuch"),
        (["live"], "checkpoint"),
        ([fresh, unfinished], "unfinished"),
        ([tmp_path], "recipe.json"),
        ([unfinished], "unfinished"),
        ([folders[0], twin], "two runs"),
        ([fresh, "--html", tmp_path / "none" / "board.html"], "folder does not exist"),
        ([fresh, "--markdown", tmp_path], "is a folder"),
    ):
        assert call(words, material=refuse) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert mention in lines[0]
    assert not list(tmp_path.glob("*.html"))
