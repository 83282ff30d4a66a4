"""How long a network takes for an answer."""

import statistics
import time
from collections.abc import Sequence
from operator import itemgetter

import torch

from gscon_live.model.networks.network import Network
from gscon_live.train.corpora.dataset import FeaturedDialogue, batch

#: Utterances after which the time is known well enough.
_ANSWERS = 400


def answer_ms(network: Network, dialogues: Sequence[FeaturedDialogue]) -> float:
    """The median processor time of an answer in ms: see `train.scoring.evaluation.Evaluation`.
    Stops after some hundreds of utterances."""
    network.eval()
    device, times, count = next(network.parameters()).device, list[float](), 0
    with torch.inference_mode():
        for dialogue in dialogues:
            conversation = batch([dialogue])[0].map_tensors(lambda x: x.to(device))
            length = conversation.valid.shape[1]
            if network.architecture.mode == "full":
                start = time.thread_time()
                network(conversation)
                times.append((time.thread_time() - start) / length)
            else:
                state = network.start()
                for position in range(length):
                    turn = conversation.map_tensors(
                        itemgetter((slice(None), slice(position, position + 1)))
                    )
                    start = time.thread_time()
                    _, state = network.step(state, turn)
                    times.append(time.thread_time() - start)
            count += length
            if count >= _ANSWERS:
                break
    return 1000 * statistics.median(times)
