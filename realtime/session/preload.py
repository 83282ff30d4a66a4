"""Imported once by the process from which workers are forked, so that they start at once."""

import contextlib

import cv2

# isort: split
# OpenCV first: on Linux its windows hang where PyAV's libraries were loaded before its own.
import av
import faster_whisper
import msgspec
import zmq

# After the model's own modules, which see to it that torchaudio can be imported. These classes are
# what loading a text encoder imports, which is most of the time that it takes.
with contextlib.suppress(ImportError):
    from transformers import AutoModel, AutoTokenizer, BertModel, BertTokenizerFast


__all__ = [
    "AutoModel",
    "AutoTokenizer",
    "BertModel",
    "BertTokenizerFast",
    "av",
    "cv2",
    "faster_whisper",
    "msgspec",
    "zmq",
]
