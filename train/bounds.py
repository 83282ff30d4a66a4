"""Bounds of the numbers in recipes."""

from typing import Annotated

import msgspec

#: A whole number from 1.
Positive = Annotated[int, msgspec.Meta(ge=1)]
#: A whole number from 0.
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
#: Numbers are at most this, so that none is infinite.
_MOST = 1e6
#: A number from 0.
AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=_MOST)]
#: A number above 0.
Above0 = Annotated[float, msgspec.Meta(gt=0, le=_MOST)]
#: A share or probability, from 0 to 1.
UpTo1 = Annotated[float, msgspec.Meta(ge=0, le=1)]
#: A share from 0, below 1.
Below1 = Annotated[float, msgspec.Meta(ge=0, lt=1)]
