"""Voice activity detection with Silero VAD, window by window."""

from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.utils import get_assets_path
from numpy.typing import NDArray

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE

#: Samples of a window (32 ms), and of the sound before it that the network also gets.
WINDOW, CONTEXT = 512, 64
WINDOW_SECONDS = WINDOW / SAMPLE_RATE
_STATE = 128


class VoiceActivity:
    """Probability of voice in windows of 512 samples (Silero VAD v6, ONNX, one thread).

    The network is recurrent: give the windows in order, and `reset` it after a gap in the sound.
    """

    def __init__(self) -> None:
        path = Path(get_assets_path()) / "silero_vad_v6.onnx"
        if not path.is_file():
            raise InputError(
                f"voice activity model {path.name} is not in faster-whisper's assets; "
                "reinstall faster-whisper 1.2 or later"
            )
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"], sess_options=options
        )
        self.reset()

    def reset(self) -> None:
        """Forgets all sound."""
        self._hidden = np.zeros((1, 1, _STATE), np.float32)
        self._cell = np.zeros((1, 1, _STATE), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The voice probability, 0 to 1, of each window.

        Args:
            samples: float32 [n * 512], the sound that follows on the last call's.

        Returns:
            float32 [n].
        """
        windows = samples.reshape(-1, WINDOW)
        if not len(windows):
            return np.zeros(0, np.float32)
        before = np.vstack([self._context, windows[:-1, -CONTEXT:]])
        self._context = windows[-1, -CONTEXT:].copy()
        output, self._hidden, self._cell = self._session.run(
            None,
            {
                "input": np.hstack([before, windows]).astype(np.float32, copy=False),
                "h": self._hidden,
                "c": self._cell,
            },
        )
        return np.asarray(output, np.float32).reshape(-1)
