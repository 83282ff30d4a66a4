"""Where mixed precision is fast it is taken, if `auto` leaves the choice."""

import pytest
import torch

from gscon_live.train.engine.devices import (
    Precision,
    autocast,
    chosen,
    launch_fabric,
    precision_of,
)


@pytest.mark.parametrize(("amx", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_mixed_precision_on_a_cpu_with_amx(
    monkeypatch: pytest.MonkeyPatch, amx: bool, expected: str
) -> None:
    # No machine has and has not AMX.
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    assert precision_of(launch_fabric("cpu", precision="auto")) == expected


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_stated_precision_is_taken(precision: str) -> None:
    assert precision_of(launch_fabric("cpu", precision=precision)) == precision


@pytest.mark.parametrize(
    ("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)]
)
def test_a_block_calculates_in_its_precision(precision: Precision, dtype: torch.dtype) -> None:
    row = torch.ones(1, 2)
    with autocast(chosen(precision, cuda=False), cuda=False):
        assert (row @ row.T).dtype == dtype
    assert (row @ row.T).dtype == torch.float32
