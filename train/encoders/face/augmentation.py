"""Faces as a webcam and a detector's box might also give them."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from gscon_live.train.encoders.face.recipe import FaceRecipe


def augment(faces: Tensor, recipe: FaceRecipe) -> Tensor:
    """Faces [n, 1, 48, 48], 0 to 1, as they might also look, as often and as much as the recipe
    says."""

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
