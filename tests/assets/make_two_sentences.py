"""Makes `two_sentences`, the recogniser that the tests use: Whisper's architecture, two sentences.

    python tests/assets/make_two_sentences.py

It trains a very small Whisper network from random weights on the RAVDESS recordings ("Kids are
talking by the door.", "Dogs are sitting by the door.") of actors 1 to 18, stops by the validation
loss on actors 19 and 20, converts the result for faster-whisper, and measures the word error rate
on actors 21 to 24, who took no part in anything before. Needs the recordings
(`$GSCON_DATA/voice/ravdess_speech_16k.zip`), one core and about a quarter of an hour.
"""

import copy
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from two_sentences_measure import describe
from two_sentences_network import SPECIAL, convert, hear, make_network, make_tokenizer, say
from two_sentences_sound import (
    ALL_POSITIONS,
    SENTENCES,
    Clip,
    Features,
    no_speech,
    read,
    vary,
)

from gscon_live.common import cli
from gscon_live.model.torchaudio_import import torchaudio  # noqa: F401  (before transformers)

from transformers import WhisperForConditionalGeneration  # isort: skip

TRAINING, VALIDATION, HELD_OUT = range(1, 19), range(19, 21), range(21, 25)
BATCH, EVERY, PATIENCE = 16, 50, 10


class Batch(msgspec.Struct, frozen=True):
    """Features; what the decoder is given and shall answer (-100: anything); the words alone."""

    mel: Tensor
    given: Tensor
    wanted: Tensor
    words: Tensor
    lengths: Tensor


class Lessons:
    """What the decoder is given and shall answer, for each sentence and for no speech (None)."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        special = {token: tokenizer.token_to_id(token) for token in SPECIAL}
        begin = [special["<|startoftranscript|>"], special["<|notimestamps|>"]]
        self._end = special["<|endoftext|>"]
        #: One more than the tokens of text: what CTC calls the blank.
        self.blank = self._end
        self._words: dict[int | None, list[int]] = {None: []}
        self._given: dict[int | None, list[int]] = {None: begin}
        self._wanted: dict[int | None, list[int]] = {None: [special["<|nospeech|>"], self._end]}
        for number, sentence in enumerate(SENTENCES):
            words = tokenizer.encode(" " + sentence, add_special_tokens=False).ids
            self._words[number] = words
            self._given[number] = begin + words
            self._wanted[number] = [special["<|notimestamps|>"], *words, self._end]
        self._length = max(map(len, self._given.values()))

    def batch(self, mels: Sequence[NDArray[np.float32]], keys: Sequence[int | None]) -> Batch:
        """Features and the keys of what is said in them."""

        def table(rows: list[list[int]], filler: int) -> Tensor:
            return torch.tensor([row + [filler] * (self._length - len(row)) for row in rows])

        words = [self._words[key] for key in keys]
        return Batch(
            torch.from_numpy(np.stack(mels)),
            table([self._given[key] for key in keys], self._end),
            table([self._wanted[key] for key in keys], -100),
            table(words, self._end),
            torch.tensor([len(row) for row in words]),
        )


def _answer_loss(answer: Tensor, wanted: Tensor) -> Tensor:
    return nn.functional.cross_entropy(answer.flatten(0, 1), wanted.flatten(), ignore_index=-100)


def _order_loss(scores: Tensor, batch: Batch, blank: int) -> Tensor:
    """CTC: the encoder alone shall say which words come in which order."""
    return nn.functional.ctc_loss(
        scores.log_softmax(-1).transpose(0, 1),
        batch.words,
        torch.full((len(scores),), scores.shape[1]),
        batch.lengths,
        blank=blank,
        zero_infinity=True,
    )


def lessons(clips: Sequence[Clip], lesson: Lessons, rng: np.random.Generator) -> Iterator[Batch]:
    """Batches without end; one in seven examples has no speech, bands and moments are masked."""
    features = Features()
    queue: list[int] = []
    while True:
        mels: list[NDArray[np.float32]] = []
        keys: list[int | None] = []
        while len(mels) < BATCH:
            if not queue:
                queue = [int(index) for index in rng.permutation(len(clips))]
            if rng.random() < 1 / 7:
                clip = clips[int(rng.integers(len(clips)))]
                mels.append(features(no_speech(clip, rng)))
                keys.append(None)
                continue
            clip = clips[queue.pop()]
            mel = features(vary(clip, rng))
            band, moment = int(rng.integers(0, 70)), int(rng.integers(0, 300))
            mel[band : band + int(rng.integers(0, 11))] = 0
            mel[:, moment : moment + int(rng.integers(0, 11))] = 0
            mels.append(mel)
            keys.append(clip.sentence)
        yield lesson.batch(mels, keys)


def train(
    network: WhisperForConditionalGeneration,
    clips: Sequence[Clip],
    lesson: Lessons,
    steps: int,
    seed: int,
) -> int:
    """Trains in place, keeps the weights of the lowest validation loss, returns their step."""
    rng = np.random.default_rng(seed)
    batches = lessons([clip for clip in clips if clip.actor in TRAINING], lesson, rng)
    validation = [clip for clip in clips if clip.actor in VALIDATION]
    features = Features()
    # Unchanged recordings, and the same as a segmenter would cut them.
    cut = [clip.cut(0.1) for clip in validation]
    checks = [
        lesson.batch([features(one) for one in sounds], [clip.sentence for clip in validation])
        for sounds in ([clip.samples for clip in validation], cut)
    ]
    # Helps the encoder along in training and is thrown away afterwards.
    words = nn.Linear(network.config.d_model, lesson.blank + 1)
    parameters = [*network.parameters(), *words.parameters()]
    optimiser = torch.optim.AdamW(parameters, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=2e-3, total_steps=steps, pct_start=0.1
    )
    best, best_step, kept = math.inf, 0, copy.deepcopy(network.state_dict())
    began = time.monotonic()
    for step in range(1, steps + 1):
        network.train()
        batch = next(batches)
        heard = hear(network, batch.mel)
        order = _order_loss(words(heard), batch, lesson.blank)
        loss = _answer_loss(say(network, heard, batch.given), batch.wanted) + 0.3 * order
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % EVERY:
            continue
        checked, right = _check(network, checks)
        spent = time.monotonic() - began
        print(
            f"step {step}/{steps}  training loss {loss.item():.3f} (order {order.item():.3f})"
            f"  validation loss {checked:.4f}  sentences right {right:.1%}  {spent:.0f} s",
            flush=True,
        )
        if checked < best:
            best, best_step, kept = checked, step, copy.deepcopy(network.state_dict())
        elif step - best_step >= PATIENCE * EVERY and right > 0.9:
            break
    network.load_state_dict(kept)
    return best_step


def _check(
    network: WhisperForConditionalGeneration, checks: Sequence[Batch]
) -> tuple[float, float]:
    network.eval()
    losses, right = [], []
    with torch.no_grad():
        for batch in checks:
            answer = say(network, hear(network, batch.mel), batch.given)
            losses.append(_answer_loss(answer, batch.wanted).item())
            good = (answer.argmax(-1) == batch.wanted) | (batch.wanted == -100)
            right.append(good.all(1).float().mean().item())
    return float(np.mean(losses)), float(np.mean(right))


def check_window(network: WhisperForConditionalGeneration, clip: Clip, lesson: Lessons) -> None:
    """Training's short cut must give what the whole 30 s window gives."""
    network.eval()
    batch = lesson.batch([Features()(clip.samples)], [clip.sentence])
    window = torch.zeros(1, 80, 2 * ALL_POSITIONS)
    window[..., : batch.mel.shape[2]] = batch.mel
    with torch.no_grad():
        short = say(network, hear(network, batch.mel), batch.given)
        whole = network(input_features=window, decoder_input_ids=batch.given).logits
    difference = float((short - whole).abs().max())
    if difference > 1e-3:
        raise AssertionError(f"short and whole window differ by {difference}")


def main(arguments: Sequence[str]) -> int:
    """Trains, converts, measures and writes the folder."""
    parser = cli.parser(
        "python tests/assets/make_two_sentences.py",
        "Makes the test recogniser of two sentences.",
        "python tests/assets/make_two_sentences.py\n"
        "python tests/assets/make_two_sentences.py --seed 1 --out /tmp/two_sentences",
    )
    here = Path(__file__).resolve().parent
    data = Path(os.environ.get("GSCON_DATA", here.parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="data folder")
    parser.add_argument("--out", type=Path, default=here / "two_sentences", help="result")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000, help="training steps at most")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = time.monotonic()
    clips = read(chosen.data / "voice" / "ravdess_speech_16k.zip")
    print(f"{len(clips)} recordings read in {time.monotonic() - began:.0f} s", flush=True)
    tokenizer = make_tokenizer()
    lesson = Lessons(tokenizer)
    network = make_network(tokenizer, chosen.seed)
    check_window(network, clips[0], lesson)
    step = train(network, clips, lesson, chosen.steps, chosen.seed)
    check_window(network, clips[0], lesson)
    convert(network, tokenizer, chosen.out)
    minutes = (time.monotonic() - began) / 60
    describe(
        chosen.out,
        [clip for clip in clips if clip.actor in HELD_OUT],
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        line=" ".join(["python tests/assets/make_two_sentences.py", *arguments]),
        training=f"seed {chosen.seed}, best at step {step} of at most {chosen.steps}, "
        f"{minutes:.0f} minutes on one core",
    )
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
