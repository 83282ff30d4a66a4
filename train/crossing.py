"""Networks by what balances them: the cells of a grid of runs."""

from collections.abc import Sequence

import msgspec

from model.checkpoint import presence
from train.ablations import ABLATED, NETWORK, alike, balance
from train.figures import Evaluation, Spread, spread


class Crossing(msgspec.Struct, frozen=True):
    """Weighted F1 on test of networks (rows) by what balanced them (columns), of runs that have all
    else in common, with the modalities that are named and no others.

    A cell holds every run of its network and balance, which may differ in settings; it is empty
    where there is none.
    """

    corpus: str
    context: str
    modalities: str
    balances: list[str]
    networks: list[str]
    cells: list[list[list[Spread]]]


def crossings(evaluations: Sequence[Evaluation]) -> list[Crossing]:
    """A crossing for each group of runs with several networks and several balances, by the
    modalities: all, then each alone. Networks and balances are in the order of the runs."""
    made = []
    for group in alike(evaluations, (*ABLATED, *NETWORK, "alone")):
        networks = list(dict.fromkeys(one.network for one in group))
        balances = list(dict.fromkeys(balance(one) for one in group))
        if len(networks) < 2 or len(balances) < 2:
            continue
        first = group[0]
        whole = presence(first.modalities)
        scores = [{whole: spread(one.test.weighted_f1), **one.alone} for one in group]
        for there in scores[0]:
            cells: dict[tuple[str, str], list[Spread]] = {}
            for one, score in zip(group, scores, strict=True):
                cells.setdefault((one.network, balance(one)), []).append(score[there])
            rows = [[cells.get((n, b), []) for b in balances] for n in networks]
            made.append(Crossing(first.corpus, first.seen, there, balances, networks, rows))
    return made
