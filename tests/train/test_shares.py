"""What a modality contributes: what its erasure costs, over the training."""

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from gscon_live.common.cli import run
from gscon_live.train import shares
from gscon_live.train.scoring.composed_scores import SUBSETS


def epoch(everything: float, **lost: float) -> dict[str, float]:
    """Weighted F1 by subset, of which some lack what one modality is worth."""
    scores = dict.fromkeys(SUBSETS, 0.3)
    scores["text+audio+visual"] = everything
    names = {"text": "audio+visual", "audio": "text+visual", "visual": "text+audio"}
    return scores | {names[m]: everything - value for m, value in lost.items()}


HISTORY = {
    "1": [epoch(0.3, text=0, audio=0, visual=0), epoch(0.6, text=0.2, audio=0.04, visual=0.05)],
    "2": [epoch(0.3, text=0, audio=0, visual=0), epoch(0.6, text=0.1, audio=0.04, visual=0.05)],
}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("live", "plain"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "history.json").write_bytes(msgspec.json.encode(HISTORY))
    return tmp_path


def test_contributions_are_what_erasing_costs_in_points() -> None:
    contributions = shares.modality_contributions(HISTORY)
    np.testing.assert_allclose(contributions["text"].mean, [0, 15])
    np.testing.assert_allclose(contributions["text"].sd, [0, 10 / 2**0.5])
    np.testing.assert_allclose(contributions["audio"].mean, [0, 4])
    np.testing.assert_allclose(contributions["visual"].sd, [0, 0], atol=1e-12)
    alone = shares.modality_contributions({"1": HISTORY["1"]})
    np.testing.assert_allclose(alone["text"].mean, [0, 20])
    np.testing.assert_allclose(alone["text"].sd, [0, 0])


def test_the_command_prints_and_draws_runs_side_by_side(
    runs: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(shares.main, ["runs/live", "runs/plain", "--svg", "out.svg", "--json"]) == 0
    printed = msgspec.json.decode(capsysbinary.readouterr().out)
    assert printed["plain"]["text"]["mean"] == pytest.approx([0, 15])
    drawn = ElementTree.fromstring((runs / "out.svg").read_text())
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"live", "plain", "text", "audio", "visual"} <= set(texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 6
    # Names whose lines end near each other are still apart.
    ends = [float(element.attrib["y"]) for element in drawn.iter("{http://www.w3.org/2000/svg}text")
            if element.text in ("text", "audio", "visual")][:3]  # fmt: skip
    assert min(abs(a - b) for a in ends for b in ends if a is not b) >= 12
    assert run(shares.main, ["runs/live"]) == 0
    assert "15.0 ± 7.1" in capsysbinary.readouterr().out.decode()


@pytest.mark.parametrize("content", [None, b"{", b"{}", b'{"1": [{"text": 0.4}]}'])
def test_what_is_no_history_is_refused_in_a_line(
    runs: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs / "runs" / "live" / "history.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert run(shares.main, ["runs/live", "--svg", "out.svg"]) == 2
    error = capsys.readouterr().err
    assert "history.json" in error
    assert len(error.strip().splitlines()) == 1
    assert not (runs / "out.svg").exists()
