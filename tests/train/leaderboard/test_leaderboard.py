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
from gscon_live.train.leaderboard.comparisons import comparisons
from gscon_live.train.leaderboard.grid import cross_tables
from gscon_live.train.leaderboard.published import Published, published
from gscon_live.train.networks import evaluate_run
from gscon_live.train.scoring.evaluation import Evaluation, Spread
from gscon_live.train.scoring.metrics import Bin

GIVEN = dataclasses.replace(corpus(), name="meld")


def material(recipe: object, seed: int, report: object):
    return GIVEN


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An ablation, over three and two seeds, and another network."""
    place = tmp_path_factory.mktemp("runs")
    made = [
        run_folder(place / "plain", GIVEN, seeds=3, steps=4, gdc=0.0, ssc=0.0),
        run_folder(place / "consistent", GIVEN, seeds=2, steps=9),
        run_folder(place / "window", GIVEN, seeds=1, steps=4, context="buffer", window=4),
    ]
    for folder in made:
        evaluate_run.evaluate(folder, quiet, material, ("as_trained", 4, 16))
    return made


@pytest.fixture(scope="module")
def evaluations(folders: list[Path]) -> list[Evaluation]:
    def refuse(*_: object):
        raise AssertionError("measured without need")

    return [evaluate_run.of_run(folder, quiet, refuse) for folder in folders]


def say(words: list[object], **options: object) -> int:
    return run(lambda given: leaderboard.main(given, **options), [str(word) for word in words])


def test_runs_are_rows_with_all_that_was_measured(evaluations: list[Evaluation]) -> None:
    rows = {row.model: row for row in board(evaluations, []).rows}
    assert set(rows) == {"plain", "consistent", "window"}
    for one in evaluations:
        row, test = rows[one.run], one.test
        assert (row.corpus, row.selection, row.seeds) == ("meld", "validation", len(one.seeds))
        assert row.modalities == "text+audio"
        assert (row.weighted_f1.mean, row.weighted_f1.sd) == (
            test.weighted_f1.mean,
            test.weighted_f1.sd,
        )
        assert row.interval == test.interval
        assert row.accuracy is not None
        assert row.accuracy.mean == test.accuracy.mean
        assert row.best_on_test is not None
        assert row.best_on_test.mean == pytest.approx(0.6 + (1 + len(one.seeds)) / 200)
        assert row.parameters == one.parameters
    assert rows["window"].context == "past-only, last 4"
    assert rows["plain"].context == "past-only"
    assert rows["window"].weighted_f1.sd is None


def test_runs_stand_in_the_order_of_validation_and_test_has_no_say(
    evaluations: list[Evaluation],
) -> None:
    rows = [row.model for row in board(evaluations, []).rows]
    scores = {one.run: one.validation.weighted_f1.mean for one in evaluations}
    assert rows == sorted(rows, key=lambda name: -scores[name])
    assert rows == [row.model for row in board(evaluations[::-1], []).rows]

    def with_test(one: Evaluation, mean: float) -> Evaluation:
        changed = json.loads(msgspec.json.encode(one))
        changed["splits"]["test"]["as_trained"]["text+audio"]["weighted_f1"]["mean"] = mean
        return msgspec.convert(changed, Evaluation)

    moved = [with_test(one, 1 - one.test.weighted_f1.mean) for one in evaluations]
    assert rows == [row.model for row in board(moved, []).rows]


def test_published_figures_have_their_flags_and_are_on_the_same_corpus(
    evaluations: list[Evaluation],
) -> None:
    rows = [row for row in board(evaluations, published()).rows if row.origin == "published"]
    assert {row.corpus for row in rows} == {"meld"}
    assert len(rows) == sum("meld" in one.scores for one in published())
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
    told = published()
    assert len({one.model for one in told}) == len(told)
    for one in told:
        assert one.source
        assert set(one.scores) <= {"iemocap", "meld"}
        assert set(one.modalities.split("+")) <= {*MODALITIES, "unknown", "none"}
        for score in one.scores.values():
            assert 30 < score.weighted_f1 < 80


def test_ablations_are_compared_over_equal_seeds(evaluations: list[Evaluation]) -> None:
    plain, consistent, _ = evaluations
    (found,) = comparisons(evaluations)
    assert (found.first, found.second) == ("plain", "consistent")
    assert found.changed == "gdc 0 → 0.5, ssc 0 → 1"
    assert found.seeds == [1, 2]
    before, after = plain.test.weighted_f1.values[:2], consistent.test.weighted_f1.values
    assert found.over_seeds.n == 2
    assert found.over_seeds.mean == pytest.approx(np.mean(after) - np.mean(before))
    assert found.over_seeds.p == pytest.approx(stats.ttest_rel(after, before).pvalue)
    assert found.over_dialogues.mean == pytest.approx(found.over_seeds.mean)
    assert (
        found.over_dialogues.interval.low
        < found.over_dialogues.mean
        < found.over_dialogues.interval.high
    )
    # Of one comparison, nothing is to be corrected: a difference is one over seeds and dialogues.
    assert found.over_seeds.p is not None
    assert found.q == max(found.over_seeds.p, found.over_dialogues.p)
    assert comparisons(evaluations[::-1]) == [found]


@pytest.mark.parametrize("change", [{"epochs": 3}, {"context": "full"}, {"corpus": "other"}])
def test_runs_that_differ_in_more_are_no_ablation(
    evaluations: list[Evaluation], change: dict[str, object]
) -> None:
    plain, consistent, _ = evaluations
    other = msgspec.structs.replace(consistent, recipe={**consistent.recipe, **change})
    assert comparisons([plain, other]) == []
    unlike = msgspec.structs.replace(consistent, seeds=[5, 6])
    assert comparisons([plain, unlike]) == []


def variant(given: Evaluation, run: str, network: str = "gscon", **recipe: object) -> Evaluation:
    """A run with other words in its recipe."""
    made = {**given.recipe, "model": network, **recipe}
    return msgspec.structs.replace(given, run=run, network=network, recipe=made)


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
    found = {(one.first, one.second): one.changed for one in comparisons(runs)}
    assert found == {
        ("plain", "fagm"): "+ fagm",
        ("plain", "slow"): "+ fagm (updates)",
        ("plain", "both"): "+ fagm, + hvd",
        ("fagm", "both"): "+ hvd",
        ("plain", "other"): "+ fagm, + hvd",
        ("plain", "alone"): "alone 0 → 0.5",
    }
    rows = {row.model: row for row in board(runs, []).rows}
    assert list(rows["plain"].alone) == ["text", "audio"]
    told = plain.splits["test"]["as_trained"]["audio"].weighted_f1
    assert rows["plain"].alone["audio"].mean == told.mean
    assert (rows["plain"].network, rows["plain"].balance) == ("gscon", "none")
    assert rows["slow"].balance == "fagm (updates)"
    assert rows["both"].balance == "fagm + hvd"


def modern(given: Evaluation) -> Evaluation:
    """The same run as if its recipe had been written with GDC and SSC among the plug-ins."""
    recipe = {key: value for key, value in given.recipe.items() if key not in ("gdc", "ssc")}
    plugins = dict(recipe.get("plugins", {}))
    if given.recipe["gdc"]:
        plugins["gdc"] = {"weight": given.recipe["gdc"]}
    if given.recipe["ssc"]:
        plugins["ssc"] = {"weight": given.recipe["ssc"], "rows": 32, "tau": 0.07}
    nothing = dict.fromkeys(("gdc", "ssc", "rows", "tau"))
    return msgspec.structs.replace(given, recipe={**recipe, **nothing, "plugins": plugins})


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
    found = {(one.first, one.second): one.changed for one in shown.comparisons}
    assert found["plain", "gdc"] == "gdc 0 → 0.5"
    assert found["gdc", "both"] == "ssc 0 → 1"
    assert found["gdc", "more"] == "+ fagm"
    assert found["gdc", "slow"] == "+ fagm (updates)"
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
    found = [one for one in comparisons(runs) if "→ " in one.changed]
    assert [(one.first, one.second, one.changed) for one in found] == [
        ("consistent", "cmath", "gscon → cmath"),
        ("consistent", "mmgcn", "gscon → mmgcn"),
    ]
    assert found[0].seeds == [1, 2]


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
    every, text, audio = cross_tables(runs)
    assert (every.corpus, every.context, every.modalities) == ("meld", "past-only", "text+audio")
    assert [text.modalities, audio.modalities] == ["text", "audio"]
    assert every.networks == ["gscon", "mmgcn"]
    assert every.balances == ["none", "gdc + ssc", "alone"]

    def told(one: Evaluation, there: str) -> Spread:
        figure = one.splits["test"]["as_trained"][there].weighted_f1
        return Spread(figure.mean, figure.sd)

    for found, there in ((every, "text+audio"), (audio, "audio")):
        p, c = told(plain, there), told(consistent, there)
        assert found.cells == [[[p], [c], []], [[p, p], [c], [p]]]
        gain = c.mean - p.mean
        assert found.gains == [None, Spread(pytest.approx(gain), pytest.approx(0)), Spread(0.0)]
    table = board_view.cross_table_text(every)
    assert table.title == "meld, past-only: text and audio"
    assert table.columns == ("balance", "gscon", "mmgcn", "mean gain")
    first, second, third = (row.cells for row in table.rows)
    g, better = (row_of(runs, name)[8] for name in ("g", "g+"))
    assert first == ("none", g, f"{g} / {g}", "–")
    gain = every.gains[1]
    assert gain is not None
    assert second == ("gdc + ssc", better, better, f"{100 * gain.mean:+.2f} ± 0.00")
    assert third == ("alone", "–", g, "+0.00")
    made = board(runs, [])
    assert made.crossings == [every, text, audio]
    for where in (board_view.markdown(made), board_view.page(made, runs[:2])):
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
    made = plots.bars(rows)
    assert [bar.label for bar in made.bars] == [row.model for row in rows]
    means = [row.weighted_f1.mean for row in rows]
    ticks = {float(tick.label): tick.at for tick in made.ticks}
    (low, at_low), (high, at_high) = min(ticks.items()), max(ticks.items())
    for bar, mean, row in zip(made.bars, means, rows, strict=True):
        expected = at_low + (100 * mean - low) / (high - low) * (at_high - at_low)
        assert bar.x == pytest.approx(expected, abs=0.1)
        assert at_low <= bar.x <= at_high
        assert (bar.sd is None) == (row.weighted_f1.sd is None)
        if bar.interval:
            assert at_low <= bar.interval[0] <= bar.x <= bar.interval[1] <= at_high
    chart = plots.by_context(evaluations)
    assert [parts for _, parts in chart.categories] == [["last 4"], ["last 16"], ["as trained"]]
    assert [one.name for one in chart.series] == ["plain", "consistent", "window"]
    for one, series in zip(evaluations, chart.series, strict=True):
        means = [
            one.splits["test"][name]["text+audio"].weighted_f1.mean
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
    made = evaluations[0]
    changed = msgspec.structs.replace(
        made.test, reliability_before=[Bin(0, 0, 0), Bin(25, 0.25, 1.0), Bin(75, 0.5, 0.0)]
    )
    splits = {**made.splits, "test": {"as_trained": {"text+audio": changed}}}
    found = plots.reliability(msgspec.structs.replace(made, splits=splits))
    (x1, y1, r1), (x2, y2, r2) = found.before
    assert (x1, y1) == pytest.approx((found.size / 4, 0), abs=0.1)
    assert (x2, y2) == pytest.approx((found.size / 2, found.size), abs=0.1)
    assert r2 > r1


def test_the_command_writes_a_table_a_page_and_json(
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    html, text = tmp_path / "board.html", tmp_path / "board.md"
    words = [*folders, "--html", html, "--markdown", text]
    assert say(words) == 0
    said = capsys.readouterr().out
    assert say([*folders, "--json"]) == 0
    made = msgspec.json.decode(capsys.readouterr().out.encode(), type=Board)
    assert {row.model for row in made.rows} > {"plain", "consistent", "window", "SDT"}
    page, table = html.read_text(), text.read_text()
    for row in made.rows:
        shown = plots.percent(row.weighted_f1.mean, row.weighted_f1.sd)
        for where in (said, page, table):
            assert row.model in where
            assert shown in where
    for where in (page, table):
        assert "not for comparison" in where
        assert "gdc 0 → 0.5" in where
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    columns = {line.count(" | ") for line in lines[: len(made.rows) + 2]}
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
    assert say([folder, "--json"], material=material) == 0
    made = msgspec.json.decode(capsys.readouterr().out.encode(), type=Board)
    assert made.rows[0].model == "fresh"
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
        ([fresh, "--html", tmp_path / "none" / "board.html"], "no such folder"),
        ([fresh, "--markdown", tmp_path], "no such folder"),
    ):
        assert say(words, material=refuse) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1
        assert mention in said[0]
    assert not list(tmp_path.glob("*.html"))
