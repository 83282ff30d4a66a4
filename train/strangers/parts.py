"""What is measured on strangers."""

from typing import Literal, get_args

Part = Literal["voice", "face", "words", "composed"]
PARTS: tuple[Part, ...] = get_args(Part)
