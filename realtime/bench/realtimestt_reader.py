"""RealtimeSTT reads a recording that is played in real time.

`realtime.bench.realtimestt` runs this file with the Python that has RealtimeSTT, so it imports
nothing of this project. Arguments: a WAV file (16 kHz, 16 bit, mono), a model's directory, and the
type of its numbers. It prints a line of JSON for each final text: `until`, how many seconds of the
recording had been played when the end of the utterance was noticed, and `at`, when the text came.
"""

import json
import sys
import threading
import time
import wave

#: Samples that are given at once.
CHUNK = 512
#: Seconds to wait for the last texts.
PATIENCE = 30.0


def main(recording: str, model: str, numbers: str) -> None:
    """Reads a recording."""
    from RealtimeSTT import AudioToTextRecorder  # type: ignore[import-not-found]

    with wave.open(recording) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    out = sys.stdout
    sys.stdout = sys.stderr
    began: list[float] = []
    ends: list[float] = []

    def elapsed() -> float:
        return time.monotonic() - began[0]

    recorder = AudioToTextRecorder(
        model=model,
        language="en",
        device="cpu",
        compute_type=numbers,
        use_microphone=False,
        spinner=False,
        no_log_file=True,
        enable_realtime_transcription=True,
        use_main_model_for_realtime=True,
        on_recording_stop=lambda: ends.append(elapsed()),
    )

    def listen() -> None:
        while True:
            text = recorder.text()
            if ends:
                final = {"until": ends.pop(0), "at": elapsed(), "text": text}
                print(json.dumps(final), file=out, flush=True)

    # `text` waits for ever once the recording is over.
    threading.Thread(target=listen, daemon=True).start()
    time.sleep(1.0)
    began.append(time.monotonic())
    for place in range(0, len(samples), 2 * CHUNK):
        wait = place / (2 * rate) - elapsed()
        if wait > 0:
            time.sleep(wait)
        recorder.feed_audio(samples[place : place + 2 * CHUNK], rate)
    over = elapsed()
    while ends and elapsed() < over + PATIENCE:
        time.sleep(0.1)
    recorder.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
