"""Training of the face encoder on FER2013."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model.face import FaceNet
from model.labels import EMOTIONS
from train.corpora import fer2013
from train.metrics import Scores, score

Positive = Annotated[int, msgspec.Meta(ge=1)]


class FaceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the face encoder is trained.

    Rotation is in degrees, shift and scale are fractions of the picture, `erase` the probability
    that a rectangle of the face is hidden. `limit` keeps that many training faces (None: all).
    """

    kind: Literal["face"] = "face"
    name: str = "face"
    seed: int = 1
    epochs: Positive = 22
    batch: Positive = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    dropout: float = 0.3
    rotation: float = 12.0
    shift: float = 0.1
    scale: float = 0.12
    erase: float = 0.3
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
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    train, validation = fer2013.load("train"), fer2013.load("validation")
    count = min(len(train.labels), recipe.limit or len(train.labels))
    chosen = random.permutation(len(train.labels))[:count]
    pixels, labels = train.pixels[chosen], train.labels[chosen]
    net = FaceNet(recipe.dropout)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = -(-count // recipe.batch)
    total = steps * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=total, pct_start=0.2
    )
    best: tuple[float, int, dict[str, Tensor]] | None = None
    line = ""
    for epoch in range(recipe.epochs):
        net.train()
        order = random.permutation(count)
        for step in range(steps):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            faces = augment(_scaled(pixels[rows]), recipe).to(memory_format=torch.channels_last)
            _, logits = net(faces)
            loss = functional.cross_entropy(
                logits, torch.from_numpy(labels[rows]), label_smoothing=recipe.label_smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            report(epoch * steps + step + 1, total, line)
        scores = evaluate(net, validation)
        line = f"epoch {epoch + 1}: validation accuracy {scores.accuracy:.3f}"
        report((epoch + 1) * steps, total, line)
        if best is None or scores.accuracy > best[0]:
            state = {key: value.detach().clone() for key, value in net.state_dict().items()}
            best = (scores.accuracy, epoch + 1, state)
    assert best is not None
    net.load_state_dict(best[2])
    return Fitted(net, best[1], evaluate(net, validation), evaluate(net, fer2013.load("test")))


def augment(faces: Tensor, recipe: FaceRecipe) -> Tensor:
    """Faces [n, 1, 48, 48] as they might also look: mirrored, turned, moved, half hidden."""
    count = len(faces)
    angle = (torch.rand(count) * 2 - 1) * (recipe.rotation * np.pi / 180)
    size = 1 + (torch.rand(count) * 2 - 1) * recipe.scale
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    move = (torch.rand(count, 2) * 2 - 1) * (2 * recipe.shift)
    cosine, sine = angle.cos() * size, angle.sin() * size
    top = torch.stack([cosine * mirror, -sine, move[:, 0]], dim=1)
    bottom = torch.stack([sine * mirror, cosine, move[:, 1]], dim=1)
    grid = functional.affine_grid(
        torch.stack([top, bottom], dim=1), list(faces.shape), align_corners=False
    )
    moved = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    gamma = torch.exp((torch.rand(count, 1, 1, 1) * 2 - 1) * 0.4)
    moved = moved.clamp(1e-4, 1.0) ** gamma
    hidden = (torch.rand(count) < recipe.erase).nonzero()[:, 0]
    for index in hidden.tolist():
        height, width = (int(side) for side in torch.randint(6, 20, (2,)))
        top_row = int(torch.randint(0, 48 - height, (1,)))
        left_column = int(torch.randint(0, 48 - width, (1,)))
        moved[index, :, top_row : top_row + height, left_column : left_column + width] = moved[
            index
        ].mean()
    return moved


def evaluate(net: FaceNet, faces: fer2013.Faces) -> Scores:
    """Scores of the network on faces."""
    net.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(faces.labels), 256):
            _, logits = net(_scaled(faces.pixels[start : start + 256]))
            found.append(logits.softmax(-1))
    return score(torch.cat(found).numpy(), faces.labels, EMOTIONS)


def _scaled(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255.0)[:, None]
