"""Training of the face encoder on FER2013."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.encoders.face.face_encoder import FaceNet, read
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import fer2013
from gscon_live.train.engine.descent import Descent, threads
from gscon_live.train.engine.trainer import Precision, copied, fabric
from gscon_live.train.scoring.metrics import Scores, score

Positive = Annotated[int, msgspec.Meta(ge=1)]


class FaceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the face encoder is trained.

    Faces are shown as a webcam and a detector's box might give them: mirrored; turned by up to
    `rotation` degrees, moved and scaled by up to `shift` and `scale` of the picture; with the
    probability `blur` out of focus or seen from afar; lit from a side and with another gamma, as
    much as `light`; with the probability `noise` in bad light; and with `erase` half hidden.
    `average` is the decay, in a step, of the weights' moving average, which is scored and kept.
    `limit` keeps that many training faces (None: all). `ship` installs the encoder.
    """

    kind: Literal["face"] = "face"
    name: str = "face"
    seed: int = 1
    epochs: Positive = 170
    batch: Positive = 256
    learning_rate: float = 0.15
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.08
    label_smoothing: float = 0.1
    dropout: float = 0.3
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.997
    rotation: float = 15.0
    shift: float = 0.1
    scale: float = 0.2
    blur: float = 0.25
    light: float = 0.4
    noise: float = 0.25
    erase: float = 0.4
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "32-true"
    threads: Positive = 2
    limit: int | None = None
    ship: bool = False


@dataclass(frozen=True)
class Fitted:
    """The network of the best epoch, and its scores on validation and test."""

    net: FaceNet
    best_epoch: int
    validation: Scores
    test: Scores


def fit(recipe: FaceRecipe, report: Callable[[int, int, str], None]) -> Fitted:
    """Trains, selects the epoch on PublicTest, and scores PrivateTest once.

    Args:
        recipe: see there.
        report: told (steps done, steps in all, a line for the eyes).
    """
    with threads(recipe.threads):
        return _fit(recipe, report)


def _fit(recipe: FaceRecipe, report: Callable[[int, int, str], None]) -> Fitted:
    on = fabric(recipe.accelerator, precision=recipe.precision)
    torch.manual_seed(recipe.seed)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    train, validation = fer2013.load("train"), fer2013.load("validation")
    chosen = torch.randperm(len(train.labels), generator=shuffle)[: recipe.limit]
    pixels = on.to_device(torch.from_numpy(train.pixels)[chosen])
    labels = on.to_device(torch.from_numpy(train.labels)[chosen])
    net = FaceNet(recipe.dropout)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = torch.optim.SGD(
        _groups(net, recipe.weight_decay),
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )
    total = -(-len(labels) // recipe.batch) * recipe.epochs
    descent = Descent(on, net, plain, total, recipe.warm_up, recipe.average)
    best: tuple[float, int, dict[str, Tensor]] | None = None
    line = ""
    for epoch in range(1, recipe.epochs + 1):
        descent.module.train()
        order = on.to_device(torch.randperm(len(labels), generator=shuffle))
        for rows in torch.split(order, recipe.batch):
            _, logits = descent.module(augment(_scaled(pixels[rows]), recipe))
            loss = functional.cross_entropy(
                logits, labels[rows], label_smoothing=recipe.label_smoothing
            )
            descent.step(loss)
            report(descent.done, total, line)
        with descent.average.in_place():
            accuracy = evaluate(net, validation).accuracy
            if best is None or accuracy > best[0]:
                best = (accuracy, epoch, copied(net))
        line = f"epoch {epoch}: validation accuracy {accuracy:.3f}"
    assert best is not None
    net.load_state_dict(best[2])
    net.cpu()
    return Fitted(net, best[1], evaluate(net, validation), evaluate(net, fer2013.load("test")))


def _groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """The parameters, of which biases and those of normalisations are not decayed."""
    every = [*net.parameters()]
    return [
        {"params": [one for one in every if one.dim() > 1], "weight_decay": decay},
        {"params": [one for one in every if one.dim() < 2], "weight_decay": 0.0},
    ]


def augment(faces: Tensor, recipe: FaceRecipe) -> Tensor:
    """Faces [n, 1, 48, 48] as they might also look, see `FaceRecipe`."""

    def up_to(most: float) -> Tensor:
        return (torch.rand(len(faces), 1, 1, device=faces.device) * 2 - 1) * most

    def share(most: float) -> Tensor:
        return torch.rand(len(faces), 1, 1, 1, device=faces.device) * most

    def chosen(probability: float) -> Tensor:
        return torch.rand(len(faces), 1, 1, 1, device=faces.device) < probability

    size = faces.shape[-1]
    side = (torch.arange(size, device=faces.device) * 2 + 1) / size - 1
    across, down = side[None, None, :], side[None, :, None]
    angle, zoom = up_to(recipe.rotation * math.pi / 180), 1 + up_to(recipe.scale)
    cosine, sine = angle.cos() * zoom, angle.sin() * zoom
    mirrored = torch.where(chosen(0.5)[:, 0], -across, across)
    x = cosine * mirrored - sine * down + up_to(2 * recipe.shift)
    y = sine * mirrored + cosine * down + up_to(2 * recipe.shift)
    seen = functional.grid_sample(
        faces, torch.stack([x, y], -1), padding_mode="border", align_corners=False
    )
    smooth = functional.avg_pool2d(
        functional.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )
    seen = torch.lerp(seen, smooth, share(1.0) * chosen(recipe.blur))
    small = functional.interpolate(
        functional.avg_pool2d(seen, 2), size=(size, size), mode="bilinear", align_corners=False
    )
    seen = torch.where(chosen(recipe.blur / 3), small, seen)
    from_where = up_to(math.pi)
    gamma = up_to(recipe.light).exp()[:, None]
    slope = (from_where.cos() * across + from_where.sin() * down)[:, None]
    seen = seen.clamp(1e-4, 1.0) ** gamma * (1 + slope * share(recipe.light))
    seen = seen + torch.randn_like(seen) * share(0.06) * chosen(recipe.noise)
    return torch.where(_hidden(faces) & chosen(recipe.erase), share(1.0), seen.clamp(0, 1))


def _hidden(faces: Tensor) -> Tensor:
    """For each face a rectangle of an eighth to a half of its width and height, bool
    [n, 1, size, size]."""

    def span() -> Tensor:
        length = 0.125 + 0.375 * torch.rand(len(faces), 1, device=faces.device)
        start = torch.rand(len(faces), 1, device=faces.device) * (1 - length)
        at = torch.arange(faces.shape[-1], device=faces.device) / faces.shape[-1]
        return (at >= start) & (at < start + length)

    return (span()[:, :, None] & span()[:, None, :])[:, None]


def evaluate(net: FaceNet, faces: fer2013.Faces) -> Scores:
    """Scores of the network on faces, each read as it is live."""
    net.eval()
    device = next(net.parameters()).device
    parts = torch.split(torch.from_numpy(faces.pixels), 512)
    with torch.inference_mode():
        found = [read(net, _scaled(part.to(device)))[1].cpu() for part in parts]
    return score(torch.cat(found).double().numpy(), faces.labels, EMOTIONS)


def _scaled(pixels: Tensor) -> Tensor:
    """Faces uint8 [n, 48, 48] as the network takes them."""
    return pixels[:, None].float() / 255
