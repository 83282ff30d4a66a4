"""What the README says of a sixth network and of another plug-in: one file and one line each."""

import importlib
import re
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from made_corpus import corpus

from model.network import NETWORKS, build
from train.balance import PLUGINS
from train.conversation import ConversationRecipe, architecture, plan, resolved
from train.course import ConversationCourse
from train.engine import fabric, train
from train.featured import batch

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's two files where it puts them, and its two lines."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    lines = re.findall(r'`"(\w+)": "([\w.]+)",`', README)
    assert len(lines) == 2
    for (name, where), table in zip(lines, (NETWORKS, PLUGINS), strict=True):
        module, _, made = where.rpartition(".")
        (source,) = [one for one in blocks if f"class {made}(" in one]
        path = tmp_path / f"{module.rpartition('.')[2]}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(module, path)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, module, loaded)
        spec.loader.exec_module(loaded)
        monkeypatch.setitem(table, name, where)


@pytest.mark.usefixtures("registered")
def test_the_readmes_network_and_plugin_are_trained_by_their_names() -> None:
    asked = ConversationRecipe(model="sum", plugins={"agree": {}}, epochs=4, batch=4, width=8,
                               heads=2, learning_rate=0.02)  # fmt: skip
    made = resolved(asked)
    history = train(
        ConversationCourse(made, corpus(), 1, fabric("cpu")), plan(made, 1), fabric("cpu")
    ).history
    assert history[-1]["loss_final"] < history[0]["loss_final"]
    assert 0 < history[-1]["loss_agree"] < 1


@pytest.mark.usefixtures("registered")
def test_the_readmes_network_keeps_the_contract() -> None:
    a = architecture(resolved(ConversationRecipe(model="sum", width=8, heads=2)), corpus())
    model = build(msgspec.structs.replace(a, mode="causal")).eval()
    groups = model.groups()
    assert sum(map(len, groups.values())) == len(list(model.parameters()))
    state = model.start()
    whole, _ = batch(corpus().splits["test"][:1])
    answers = []
    for place in range(whole.valid.shape[1]):
        turn = whole.each(lambda x, place=place: x[:, place : place + 1])
        answer, state = model.step(state, turn)
        answers.append(answer.final)
    torch.testing.assert_close(torch.cat(answers, 1), model(whole).final)
