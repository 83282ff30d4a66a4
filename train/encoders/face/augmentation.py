"""Augmentation of faces: variations of webcams and of detected boxes."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.train.encoders.face.recipe import FaceRecipe


def augment(faces: Tensor, recipe: FaceRecipe) -> Tensor:
    """Augmented faces [n, 1, 48, 48], 0 to 1, with the recipe's probabilities and strengths."""

    def up_to(most: float) -> Tensor:
        return (torch.rand(len(faces), 1, 1, device=faces.device) * 2 - 1) * most

    def share(most: float) -> Tensor:
        return torch.rand(len(faces), 1, 1, 1, device=faces.device) * most

    def selected(probability: float) -> Tensor:
        return torch.rand(len(faces), 1, 1, 1, device=faces.device) < probability

    size = faces.shape[-1]
    side = (torch.arange(size, device=faces.device) * 2 + 1) / size - 1
    across, down = side[None, None, :], side[None, :, None]
    angle, zoom = up_to(recipe.rotation * math.pi / 180), 1 + up_to(recipe.scale)
    cosine, sine = angle.cos() * zoom, angle.sin() * zoom
    mirrored = torch.where(selected(0.5)[:, 0], -across, across)
    x = cosine * mirrored - sine * down + up_to(2 * recipe.shift)
    y = sine * mirrored + cosine * down + up_to(2 * recipe.shift)
    augmented = functional.grid_sample(
        faces, torch.stack([x, y], -1), padding_mode="border", align_corners=False
    )
    smooth = functional.avg_pool2d(
        functional.pad(augmented, (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )
    augmented = torch.lerp(augmented, smooth, share(1.0) * selected(recipe.blur))
    small = functional.interpolate(
        functional.avg_pool2d(augmented, 2), size=(size, size), mode="bilinear", align_corners=False
    )
    augmented = torch.where(selected(recipe.blur / 3), small, augmented)
    direction = up_to(math.pi)
    gamma = up_to(recipe.light).exp()[:, None]
    slope = (direction.cos() * across + direction.sin() * down)[:, None]
    augmented = augmented.clamp(1e-4, 1.0) ** gamma * (1 + slope * share(recipe.light))
    augmented = augmented + torch.randn_like(augmented) * share(0.06) * selected(recipe.noise)
    return torch.where(_hidden(faces) & selected(recipe.erase), share(1.0), augmented.clamp(0, 1))


def _hidden(faces: Tensor) -> Tensor:
    """A random rectangle in each face, of an eighth to a half of its width and height, bool
    [n, 1, size, size]."""

    def span() -> Tensor:
        length = 0.125 + 0.375 * torch.rand(len(faces), 1, device=faces.device)
        start = torch.rand(len(faces), 1, device=faces.device) * (1 - length)
        at = torch.arange(faces.shape[-1], device=faces.device) / faces.shape[-1]
        return (at >= start) & (at < start + length)

    return (span()[:, :, None] & span()[:, None, :])[:, None]
