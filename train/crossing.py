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
        single = [(m,) for m in first.modalities] if len(first.modalities) > 1 else []
        for there in map(presence, [tuple(first.modalities), *single]):
            cells: list[list[list[Spread]]] = [[[] for _ in balances] for _ in networks]
            for one in group:
                scores = one.splits["test"]["as_trained"][there]
                place = networks.index(one.network), balances.index(balance(one))
                cells[place[0]][place[1]].append(spread(scores.weighted_f1))
            made.append(Crossing(first.corpus, first.seen, there, balances, networks, cells))
    return made
