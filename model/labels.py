"""Constants of the whole project: emotions, modalities and the sample rate."""

#: The seven emotions of MELD, in the order of every probability vector.
EMOTIONS: tuple[str, ...] = (
    "neutral",
    "surprise",
    "fear",
    "sadness",
    "joy",
    "disgust",
    "anger",
)

#: The modalities, in the order of every mask.
MODALITIES: tuple[str, ...] = ("text", "audio", "visual")

#: Sample rate in Hz of all audio inside the project (mono, float32, -1 to 1).
SAMPLE_RATE = 16_000
