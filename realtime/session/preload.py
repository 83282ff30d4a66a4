"""The imports of the process from which workers are forked, so that they start fast."""

import contextlib

import cv2

# isort: split
# OpenCV first: on Linux its windows hang if PyAV's libraries are loaded before its own.
import av
import faster_whisper
import msgspec
import zmq

import gscon_live.model.checkpoint
import gscon_live.model.encoders.face.face_detector
import gscon_live.model.encoders.speaker.speaker_clustering
import gscon_live.model.encoders.text.text_encoder
import gscon_live.model.encoders.voice.audio_encoder
import gscon_live.model.recogniser

# After the model's modules, which make torchaudio importable. Loading a text encoder imports these
# classes, which takes most of its time.
with contextlib.suppress(ImportError):
    from transformers import AutoModel, AutoTokenizer, BertModel, BertTokenizerFast

import gscon_live.realtime.listen.segmenter
import gscon_live.realtime.session.assembly
import gscon_live.realtime.session.worker

__all__ = [
    "AutoModel",
    "AutoTokenizer",
    "BertModel",
    "BertTokenizerFast",
    "av",
    "cv2",
    "faster_whisper",
    "gscon_live",
    "msgspec",
    "zmq",
]
