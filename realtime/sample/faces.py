"""A portrait whose expression changes and whose mouth moves.

Landmarks of the portrait are moved, and thin-plate splines move the skin between them (Bookstein,
"Principal warps", IEEE PAMI 11, 1989). Upper and lower lip are moved apart by a spline each;
between them one sees the teeth, which stay where they are in the head.

Points are (x, y) in pixels of the portrait; changes that an expression makes are in these pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Picture = NDArray[np.float32]
Lips = tuple[Points, Points, Points, Points]

LEFT, TOP, SIDE = 70, 0, 300  # the square of the portrait that moves
DETAIL = 2  # pixels of the drawing for each pixel of the portrait
GRID = 10  # the splines are computed at each such pixel of the drawing


def points(*numbers: float) -> Points:
    return np.array(numbers, np.float64).reshape(-1, 2)


# The lips of the smile: their inner edges from corner to corner, and their outer edges.
UPPER_INNER = points(203, 140, 207, 141.2, 212, 142.6, 218, 143.7, 224, 144.1, 230, 143.9,
                     236, 142.9, 240.5, 141.8, 245, 141)  # fmt: skip
LOWER_INNER = points(203, 140, 206, 143.2, 210.5, 147, 216, 149.2, 222, 149.9, 228, 149.4,
                     234, 148, 240, 144.6, 245, 141)  # fmt: skip
UPPER_OUTER = points(207, 139.6, 212, 139.4, 218, 139.4, 224, 140, 230, 139.9, 236, 140.2,
                     241, 140.6)  # fmt: skip
LOWER_OUTER = points(208, 148.5, 213, 152, 218, 154.2, 223, 154.8, 229, 154.3, 234, 152.4,
                     239, 149)  # fmt: skip
BROWS = points(190, 90.8, 195, 89, 199, 88.8, 204, 90.2, 209, 91.5, 213.5, 92.8,
               262.5, 96, 258, 93.6, 253, 92.4, 248, 92.4, 243, 93, 238, 93.8)  # fmt: skip
UPPER_LIDS = points(196, 98.2, 201, 96.6, 206, 97.2, 210.5, 99.8,
                    255, 102, 250, 99.6, 244.5, 99.2, 240, 101.6)  # fmt: skip
LOWER_LIDS = points(197, 102.2, 203, 104.6, 209, 104.4, 253, 105.4, 246, 107, 239.5, 105.6)
FOLDS = points(203, 131.5, 197, 136.5, 246, 133.5, 250, 139.5)
CHEEKS = points(198, 118, 190, 130, 250, 122, 258, 134)
CHIN = points(193, 164, 201, 171, 210, 176.5, 222, 178.6, 234, 177, 246, 171.5, 254, 164, 222, 160)
# What no expression moves: corners of the eyes, nose, outline of the head, neck, background.
STILL = points(192.5, 101.5, 214.5, 103.2, 235.8, 104.8, 259, 103.8, 212, 128, 217, 131.3,
               224.5, 134, 232, 131.8, 238, 129, 225, 118, 225, 104, 225, 92, 184, 100, 183, 120,
               184, 140, 186, 152, 268, 92, 268, 110, 267, 127, 263, 146, 260, 155, 200, 80,
               224, 76, 250, 82, 195, 182, 222, 192, 250, 186, 120, 60, 330, 60, 120, 240,
               330, 240, 220, 20, 220, 280, 150, 140, 300, 140)  # fmt: skip

# How much of a movement each point of a group takes part in.
INNER = np.tile([0, 0.15, 0.35, 0.6, 0.85, 1], 2)
LIDS = np.tile([0.7, 1, 1, 0.7], 2)
JAW = np.array([0.45, 0.7, 0.9, 1, 0.9, 0.7, 0.45, 0.9])
GAP = np.array([0, 0.45, 0.75, 0.92, 1, 0.92, 0.75, 0.45, 0])
LIP = np.array([0.6, 0.8, 0.95, 1, 0.95, 0.8, 0.6])
TOWARDS_NOSE = np.repeat([1, -1], 6)
CUPIDS_BOW = np.array([0, 0, 0.3, -0.4, 0.3, 0, 0])

MIDDLE = (224.0, 147.0)  # of the closed mouth
TILT = 1.3 / 36  # of the head

# Where the smile folds the skin, and where it bulges beside the mouth.
CREASES_OF_THE_SMILE = (
    points(209, 125, 204, 131, 198, 135, 196.3, 139, 197, 144),
    points(239, 126, 246, 133, 250, 138, 250.3, 142, 248, 147),
)
BULGES = (
    points(207, 124, 203, 133, 203.5, 139, 208, 148, 212, 155, 206, 163, 196, 158, 190, 146,
           190, 134, 198, 126),
    points(240, 125, 244, 134, 244.5, 140, 240, 148, 236, 154, 242, 164, 252, 160, 257, 148,
           257, 136, 249, 127),
)  # fmt: skip
SHINE = ((199, 121, 11), (251, 124, 10))  # circles of the cheeks
# A frown: lines with their width, blur and depth. Creases above the nose, shadows over the eyes.
FROWN = (
    (points(221.5, 88, 221.8, 93.5), 2, 1.8, 0.16), (points(228.2, 88, 228.6, 94), 2, 1.8, 0.16),
    (points(209, 95, 216, 99), 8, 4.0, 0.30), (points(241, 96, 234, 100), 8, 4.0, 0.30),
    (points(197, 92.5, 209, 94.5), 3, 2.2, 0.25), (points(254, 95.5, 242, 96.3), 3, 2.2, 0.25),
)  # fmt: skip
SKIN, UPPER_LIP, LOWER_LIP = (226, 187, 163), (152, 98, 90), (176, 112, 104)
BETWEEN_LIPS, MOUTH = (140, 88, 82), (58, 22, 20)


class Expression(NamedTuple):
    """How an expression differs from the portrait, in pixels of it.

    Mouth: `width`, `middle` (how far below its usual place), `corner` (how far its corners hang),
    thickness of the `upper` and `lower` lip, `gap` between them, `opens` (more of it for the
    loudest sound), `teeth` (share of them that is seen). Eyes: how far the brows rise at their
    `inner` and `outer` end, `pinch` together, the upper `lid` rises and the lower one (`squint`).
    `cheek` and `jaw`: how far they sink. `frown`: 0 to 1. `smile`: the lips of the portrait.
    """

    width: float = 42.0
    middle: float = 0.0
    corner: float = 0.0
    upper: float = 4.0
    lower: float = 5.0
    gap: float = 0.0
    opens: float = 3.5
    teeth: float = 1.0
    inner: float = 0.0
    outer: float = 0.0
    pinch: float = 0.0
    lid: float = 0.0
    squint: float = 0.0
    cheek: float = 0.0
    jaw: float = 0.0
    frown: float = 0.0
    smile: bool = False


EXPRESSIONS = {
    "neutral": Expression(width=35, corner=0.7, upper=4.4, lower=4.8, cheek=3.5, jaw=-0.8,
                          middle=0.8, teeth=0.5),
    "surprise": Expression(width=25, corner=0.3, upper=4.4, lower=4.6, gap=9, middle=1.5, cheek=4.5,
                           inner=5, outer=4.6, lid=2, squint=-0.8, jaw=6, teeth=0.25),
    "fear": Expression(width=37, corner=2.4, upper=3.4, lower=4, gap=1.2, opens=2.5, cheek=3.5,
                       middle=1, inner=4.8, outer=1.4, pinch=2, lid=1.8, squint=-0.3, jaw=0.5,
                       teeth=0.6),
    "sadness": Expression(width=34, corner=2.6, upper=3.6, lower=5, middle=1, opens=2.5, cheek=4,
                          inner=4, outer=-1.8, pinch=1.5, lid=-1.6, jaw=-1.2, teeth=0.4),
    "joy": Expression(smile=True, opens=4),
    "anger": Expression(width=34, corner=2.2, upper=2.6, lower=3.4, middle=0.6, opens=4.5,
                        cheek=2.5, inner=-5, outer=-1, pinch=3.5, lid=-0.6, squint=0.9, jaw=-1,
                        frown=1),
}  # fmt: skip


class Pose(NamedTuple):
    """Where the landmarks are; `looks` are the shares of relaxed skin, frown and teeth."""

    face: Points
    upper_inner: Points
    lower_inner: Points
    upper_outer: Points
    lower_outer: Points
    looks: NDArray[np.float64]


def pose(expression: Expression, loudness: float = 0.0) -> Pose:
    """The face with this expression; the mouth opens with the loudness (0 to 1) of its voice."""
    opening = expression.opens * loudness
    jaw = expression.jaw + opening * (1.0 if expression.smile else 0.7)
    brows, upper_lids, lower_lids = BROWS.copy(), UPPER_LIDS.copy(), LOWER_LIDS.copy()
    brows[:, 1] -= expression.inner * INNER + expression.outer * (1 - INNER)
    brows[:, 0] += expression.pinch * INNER * TOWARDS_NOSE
    upper_lids[:, 1] -= expression.lid * LIDS
    lower_lids[:, 1] -= expression.squint
    folds, cheeks, chin = FOLDS.copy(), CHEEKS.copy(), CHIN.copy()
    folds += expression.cheek * np.array([[0.5, 1], [0.5, 1], [-0.5, 1], [-0.5, 1]])
    cheeks[:, 1] += 0.6 * expression.cheek
    chin[:, 1] += jaw * JAW
    face = np.vstack([STILL, brows, upper_lids, lower_lids, folds, cheeks, chin])
    lips = _smile(opening) if expression.smile else _lips(expression, opening)
    looks = np.array([not expression.smile, expression.frown, expression.teeth], np.float64)
    return Pose(face, *lips, looks)


def _smile(opening: float) -> Lips:
    down = np.array([0.0, opening])
    return (
        UPPER_INNER - 0.1 * down * GAP[:, None], LOWER_INNER + down * GAP[:, None],
        UPPER_OUTER, LOWER_OUTER + down * LIP[:, None],
    )  # fmt: skip


def _lips(expression: Expression, opening: float) -> Lips:
    width, gap = expression.width - 0.7 * opening, expression.gap + opening

    def line(across: NDArray[np.float64], below: NDArray[np.float64]) -> Points:
        """Points `below` the line where the lips meet; `across` is -1 and 1 at the corners."""
        x = MIDDLE[0] + across * width / 2
        hanging = expression.corner * np.abs(across) ** 1.8
        y = MIDDLE[1] + expression.middle + hanging + TILT * across * width / 2
        return np.stack([x, y + below], axis=1)

    inner, outer = np.linspace(-1, 1, 9), np.linspace(-0.8, 0.8, 7)
    round_inner, round_outer = ((1 - np.abs(x) ** 2.4) ** 0.65 for x in (inner, outer))
    thick = 1 - 0.75 * outer**2
    upper, lower = (expression.upper + CUPIDS_BOW) * thick, expression.lower * thick
    return (
        line(inner, -0.22 * gap * round_inner), line(inner, 0.78 * gap * round_inner),
        line(outer, -upper - 0.22 * gap * round_outer),
        line(outer, lower + 0.78 * gap * round_outer),
    )  # fmt: skip


def between(first: Pose, second: Pose, share: float) -> Pose:
    """The pose on the way from the first (share 0) to the second (share 1)."""
    return Pose(*((1 - share) * a + share * b for a, b in zip(first, second, strict=True)))


class Portrait:
    """Draws NASA's portrait of Eileen Collins, which scikit-image contains, in other poses."""

    side = SIDE * DETAIL

    def __init__(self) -> None:
        from skimage import data

        portrait = data.astronaut()[TOP : TOP + SIDE]
        self._picture: Pixels = np.asarray(
            cv2.resize(portrait, None, fx=DETAIL, fy=DETAIL, interpolation=cv2.INTER_CUBIC)
        )
        self._moving = slice(LEFT * DETAIL, (LEFT + SIDE) * DETAIL)
        self._smiling = self._picture[:, self._moving].astype(np.float32)
        self._relaxed = _without_smile(self._smiling)
        self._frown = _furrows(self.side)
        teeth = _area(np.vstack([UPPER_INNER - [0, 2], LOWER_INNER[::-1]]), 1.2)
        self._teeth = _mixed(_plain(MOUTH), self._smiling, teeth)
        self._y, self._x = np.mgrid[: self.side, : self.side].astype(np.float32)

    def draw(self, pose: Pose) -> Pixels:
        """The portrait in this pose: RGB [600, 1024, 3], twice the size that scikit-image has."""
        relaxed, frown, teeth = pose.looks.tolist()
        skin = _mixed(self._smiling, self._relaxed, relaxed)
        skin = skin * (1 - frown * self._frown)
        upper = self._moved(skin, (UPPER_INNER, UPPER_OUTER), pose, pose[1], pose[3])
        lower = self._moved(skin, (LOWER_INNER, LOWER_OUTER), pose, pose[2], pose[4])
        above, below = _drawn(pose.upper_inner), _drawn(pose.lower_inner)
        columns = np.arange(self.side)
        edge = np.interp(columns, above[:, 0], above[:, 1])
        meeting = (edge + np.interp(columns, below[:, 0], below[:, 1])) / 2
        drawn = _mixed(upper, lower, np.clip((self._y - meeting) / 2 + 0.5, 0, 1)[..., None])

        across = (columns - above[4, 0]) / (above[-1, 0] - above[0, 0]) * 2
        shadow = np.exp(-np.square((self._y - meeting) / 1.6)) * np.clip(1 - across**4, 0, 1)
        drawn = drawn * (1 - 0.5 * relaxed * shadow[..., None])
        inside = _mixed(_plain(MOUTH), self._teeth, teeth)
        inside = inside * np.clip(0.45 + 0.55 * (self._y - edge) / 4, 0.45, 1)[..., None]
        opening = _area(np.vstack([pose.upper_inner, pose.lower_inner[::-1]]), 0.9)
        picture = self._picture.copy()
        picture[:, self._moving] = np.clip(_mixed(drawn, inside, opening), 0, 255)
        return picture

    def _moved(
        self, skin: Picture, lip: Sequence[Points], pose: Pose, inner: Points, outer: Points
    ) -> Picture:
        from scipy.interpolate import RBFInterpolator

        face = np.vstack([STILL, BROWS, UPPER_LIDS, LOWER_LIDS, FOLDS, CHEEKS, CHIN])
        source, target = (
            _drawn(np.vstack([face, *lip])),
            _drawn(np.vstack([pose.face, inner, outer])),
        )
        count = self.side // GRID
        x, y = np.meshgrid(np.arange(count) * GRID, np.arange(count) * GRID)
        where = np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)
        spline = RBFInterpolator(target, source - target, kernel="thin_plate_spline")
        coarse = spline(where).reshape(count, count, 2).astype(np.float32)
        enlarge = np.array([[GRID, 0, 0], [0, GRID, 0]], np.float64)
        moves = cv2.warpAffine(coarse, enlarge, (self.side, self.side),
                               borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        moved = cv2.remap(skin.astype(np.float32), self._x + moves[..., 0], self._y + moves[..., 1],
                          cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        return np.asarray(moved, np.float32)


def _without_smile(smiling: Picture) -> Picture:
    """The skin without what a smile does to it: folds, bulges and shine; the lips are not tight."""
    side = len(smiling)
    around_lips = np.vstack([[201, 139.5], UPPER_OUTER - [0, 1], [247, 140.5],
                             LOWER_OUTER[::-1] - [0, -1]])  # fmt: skip
    folds = np.zeros((side, side), np.uint8)
    for crease in CREASES_OF_THE_SMILE:
        cv2.polylines(folds, [np.round(_drawn(crease)).astype(np.int32)], False, 255, 15)
    folds[_area(around_lips, 0)[..., 0] > 0] = 0
    filled = cv2.inpaint(smiling.astype(np.uint8), folds, 8, cv2.INPAINT_TELEA)
    skin = _mixed(smiling, _blurred(filled, 4), _share(folds, 4, 0.95))
    for bulge in BULGES:
        known = 1 - _area(around_lips, 2)
        smooth = _blurred(skin * known, 9) / (_blurred(known, 9)[..., None] + 1e-3)
        skin = _mixed(skin, smooth, _area(bulge, 5))
    for x, y, radius in SHINE:
        circle = np.zeros((side, side), np.uint8)
        (centre,) = np.round(_drawn(points(x, y))).astype(int).tolist()
        cv2.circle(circle, centre, radius * DETAIL, 255, -1)
        skin = _mixed(skin, np.minimum(skin, SKIN), _share(circle, 7))
    for outer, inner, colour, blur in (
        (LOWER_OUTER, LOWER_INNER, LOWER_LIP, 1.6),
        (UPPER_OUTER, UPPER_INNER, UPPER_LIP, 1.2),
    ):
        lip = _area(np.vstack([inner, outer[::-1]]), blur)
        skin = _mixed(skin, _blurred(np.minimum(skin, colour), 0.8), lip)
    gap = _area(np.vstack([UPPER_INNER, LOWER_INNER[::-1]]), 0.7)
    return _mixed(skin, _plain(BETWEEN_LIPS), gap)


def _furrows(side: int) -> Picture:
    """The share of each colour that a frown takes away."""
    kept = np.ones((side, side, 3), np.float32)
    for line, width, blur, depth in FROWN:
        drawn = np.zeros((side, side), np.uint8)
        begin, end = np.round(_drawn(line)).astype(int).tolist()
        cv2.line(drawn, begin, end, 255, width)
        soft = _blurred(drawn, blur)
        kept *= 1 - depth * soft[..., None] / soft.max() * np.array([0.7, 0.95, 1], np.float32)
    return np.asarray(1 - kept, np.float32)


def _drawn(place: Points) -> Points:
    """Points of NASA's picture as points of the drawing."""
    return (place - [LEFT, TOP] + 0.5) * DETAIL - 0.5


def _area(outline: Points, blur: float) -> Picture:
    """1 inside the outline and 0 outside, [side, side, 1], with a soft edge."""
    mask = np.zeros((SIDE * DETAIL, SIDE * DETAIL), np.uint8)
    corners = np.round(_drawn(outline) * 8).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, lineType=cv2.LINE_AA, shift=3)
    return _share(mask, blur)


def _share(mask: Pixels, blur: float, most: float = 1.0) -> Picture:
    return np.asarray(_blurred(mask, blur)[..., None] * (most / 255), np.float32)


def _blurred(picture: NDArray[np.generic], blur: float) -> Picture:
    given = np.asarray(picture, np.float32)
    return np.asarray(cv2.GaussianBlur(given, (0, 0), blur), np.float32) if blur else given


def _plain(colour: tuple[int, int, int]) -> Picture:
    return np.full((SIDE * DETAIL, SIDE * DETAIL, 3), colour, np.float32)


def _mixed(first: Picture, second: Picture, share: Picture | float) -> Picture:
    return np.asarray(first * (1 - share) + second * share, np.float32)
