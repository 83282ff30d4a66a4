"""Faces by the votes of ten people, without near-copies of training pictures."""

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import corpus_file, ferplus
from gscon_live.train.corpora.ferplus import VotedFaces
from gscon_live.train.corpora.labelled_faces import label_shares
from gscon_live.train.data.feature_banks import augmented_face, cached, fingerprint
from gscon_live.train.progress import Report
from gscon_live.train.scoring.encoder_scores import face_corpus
from gscon_live.train.scoring.stranger_scores import StrangerScores, at_prior, stranger_scores

#: Version of the cached features.
_VERSION = 1


def unmet_faces() -> tuple[VotedFaces, NDArray[np.bool_]]:
    """FER+'s test faces, and which of them are no near-copies of training pictures, bool [n].

    There is no other corpus of faces to leave out: these are other photographs of the same
    collection.
    """
    test = ferplus.load("test")
    return test, ~ferplus.copies(test.pixels, ferplus.load("train").pixels)


def face_features(
    pixels: NDArray[np.uint8], encoder: FaceEncoder, report: Report, disturbed: bool = False
) -> NDArray[np.float32]:
    """Visual features of pictures uint8 [n, 48, 48], float32 [n, dim], computed or from the user's
    cache; `disturbed` as a webcam and a moving head might give them."""

    def make() -> dict[str, NDArray[np.generic]]:
        random = np.random.default_rng(13)
        rows = []
        for number, face in enumerate(pixels):
            shown = augmented_face(face, 1.0, random) if disturbed else face
            rows.append(encoder.encode(shown[None])[0])
            report(number + 1, len(pixels), "faces")
        return {"features": np.stack(rows)}

    source = f"{fingerprint(corpus_file('face/ferplus.zip'))} {len(pixels)}"
    key = f"{_VERSION}\n{encoder.identity}\n{source}\n{disturbed}"
    return np.asarray(cached("strangers", key, make)["features"], np.float32)


def face_strangers(report: Report) -> dict[str, dict[str, StrangerScores]]:
    """Scores of the face encoder that ships on FER+'s test faces. Raises `InputError` where a
    corpus is missing."""
    encoder = FaceEncoder()
    test, unmet = unmet_faces()
    answers, moving = (
        np.exp(face_features(test.pixels, encoder, report, disturbed)[:, -len(EMOTIONS) :])
        for disturbed in (False, True)
    )
    agreed, votes = test.agreed(), test.votes.argmax(1)
    prior = label_shares(face_corpus())
    rows = agreed & unmet
    rates = np.bincount(votes[rows], minlength=len(EMOTIONS)) / rows.sum()

    def moved(target: NDArray[np.float64]) -> StrangerScores:
        return stranger_scores(at_prior(answers[rows], prior, target), votes[rows])

    return {
        "face: FER+ test": {
            "majority of votes": stranger_scores(answers[rows], votes[rows]),
            "majority of votes, at the corpus' prior": moved(rates),
            "majority of votes, at a flat prior": moved(np.full(len(EMOTIONS), 1 / len(EMOTIONS))),
            "majority of votes, disturbed": stranger_scores(moving[rows], votes[rows]),
            "majority of votes, with near-copies": stranger_scores(answers[agreed], votes[agreed]),
            "FER2013's own labels": stranger_scores(answers[unmet], test.labels[unmet]),
        }
    }
