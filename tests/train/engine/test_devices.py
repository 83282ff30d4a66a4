"""Where mixed precision is fast it is taken, if `auto` leaves the choice."""

import pytest
import torch

from gscon_live.common.errors import InputError
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
    ("torchrun", "remedy"),
    [(False, "give devices=1 or fewer"), (True, "give torchrun --nproc-per-node=1 or fewer")],
)
def test_more_devices_than_there_are_is_refused(
    monkeypatch: pytest.MonkeyPatch, torchrun: bool, remedy: str
) -> None:
    # No machine of ours has just one GPU.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    if torchrun:
        for name, value in (("TORCHELASTIC_RUN_ID", "1"), ("WORLD_SIZE", "2")):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(InputError) as error:
        launch_fabric("auto", 1 if torchrun else 2)
    assert str(error.value) == f"devices 2: the number of GPUs is 1; {remedy}"


@pytest.mark.parametrize(
    ("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)]
)
def test_a_block_calculates_in_its_precision(precision: Precision, dtype: torch.dtype) -> None:
    row = torch.ones(1, 2)
    with autocast(chosen(precision, cuda=False), cuda=False):
        assert (row @ row.T).dtype == dtype
    assert (row @ row.T).dtype == torch.float32
