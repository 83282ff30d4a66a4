"""Devices, precision and threads of a training."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric

from gscon_live.common.errors import InputError

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
#: A precision when it is known what the machine has.
Chosen = Literal["32-true", "bf16-mixed", "16-mixed"]

Accelerator = Literal["auto", "cpu", "cuda"]


def launch_fabric(
    accelerator: str = "auto", devices: int = 1, precision: Precision = "32-true"
) -> Fabric:
    """The devices to train on. Under `torchrun`, every process has one device.

    The precision `auto` is bf16-mixed where that is fast: on a GPU that has it, and on a CPU with
    AMX; else 32-true. `precision_of` tells which it is.

    Raises:
        InputError: there are no such devices, or they do not support this precision.
    """
    nodes, setting = 1, "devices"
    if "TORCHELASTIC_RUN_ID" in os.environ:
        setting = "torchrun --nproc-per-node"
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    cuda = on_gpu(accelerator)
    if accelerator == "cuda" and not cuda:
        raise InputError("accelerator 'cuda': no GPU was found; leave it at auto, or take cpu")
    if cuda and devices > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(
            f"devices {devices}: the number of GPUs is {count}; give {setting}={count} or fewer"
        )
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=devices,
        num_nodes=nodes,
        precision=chosen(precision, cuda),
    )
    fabric.launch()
    return fabric


def on_gpu(accelerator: str) -> bool:
    """Whether a GPU is taken: there is one, and the `accelerator` of the recipe is not `cpu`."""
    return torch.cuda.is_available() and accelerator != "cpu"


def chosen(precision: Precision, cuda: bool) -> Chosen:
    """The precision that `auto` stands for on a GPU or a CPU; any other is itself. Raises
    `InputError` for one that needs a GPU, on a CPU."""
    if precision == "auto":
        return "bf16-mixed" if _fast_bf16(cuda) else "32-true"
    if precision == "16-mixed" and not cuda:
        raise InputError("precision '16-mixed' needs a GPU; take bf16-mixed or 32-true")
    return precision


def autocast(precision: Chosen, cuda: bool) -> torch.autocast:
    """A block in which a GPU or a CPU calculates in a `chosen` precision."""
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    return torch.autocast("cuda" if cuda else "cpu", dtype, enabled=dtype is not None)


def _fast_bf16(cuda: bool) -> bool:
    if cuda:
        return bool(torch.cuda.is_bf16_supported())
    # Older versions of torch do not tell; they train in full precision.
    read: Callable[[], Mapping[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    return bool(read().get("amx_bf16"))


def precision_of(fabric: Fabric) -> str:
    """The numerical precision of a training's devices."""
    return str(fabric.strategy.precision.precision)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Sets the number of torch's threads within a block."""
    previous = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(previous)
