"""The shared encoder of GSCon: what the modalities have in common."""

from torch import Tensor, nn
from torch.nn import functional


class SharedEncoder(nn.Module):
    """The common part: two 7x7 convolutions over the map of utterances by features.

    The only parameters that the modalities share, 98 scalars (theta_c). Unless `both_sides`, the
    map is padded on the side of the past: an utterance's common part depends on itself and the
    twelve before it.
    """

    #: How far back a common part reaches: six utterances for each convolution.
    PAST = 12

    def __init__(self, both_sides: bool) -> None:
        super().__init__()
        self.both_sides = both_sides
        self.rows = (3, 3) if both_sides else (6, 0)
        self.first = nn.Conv2d(1, 1, 7, bias=False)
        self.second = nn.Conv2d(1, 1, 7, bias=False)

    def forward(self, state: Tensor, valid: Tensor, last: bool = False) -> Tensor:
        if last:
            return self._last(state, valid)
        keep = valid[:, None, :, None]
        picture = functional.pad(state[:, None] * keep, (3, 3, *self.rows))
        picture = functional.relu(self.first(picture)) * keep
        picture = functional.pad(picture, (3, 3, *self.rows))
        out: Tensor = (self.second(picture) * keep)[:, 0]
        return out

    def _last(self, state: Tensor, valid: Tensor) -> Tensor:
        """The last row of the same, [B, 1, d]: of 13 rows the first convolution gives 7, and of
        those the second one gives 1."""
        if self.both_sides:
            raise ValueError("with both sides in view, no place is last")
        seen = min(state.shape[1], self.PAST + 1)
        before = self.PAST + 1 - seen
        keep = functional.pad(valid[:, None, -seen:, None].to(state.dtype), (0, 0, before, 0))
        picture = functional.pad(state[:, None, -seen:], (3, 3, before, 0)) * keep
        picture = functional.relu(self.first(picture)) * keep[:, :, 6:]
        out: Tensor = (self.second(functional.pad(picture, (3, 3))) * keep[:, :, -1:])[:, 0]
        return out
