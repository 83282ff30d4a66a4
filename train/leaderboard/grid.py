"""Networks by what balances them: the cells of a grid of runs."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.leaderboard.comparisons import ABLATED, NETWORK, NONE, alike, balance
from gscon_live.train.scoring.figures import Evaluation, Spread, figure, spread


class CrossTable(msgspec.Struct, frozen=True):
    """Weighted F1 on test of networks by what balanced them, of runs that have all else in common,
    with the modalities that are named and no others.

    A cell, by network and balance, holds every run of the two, which may differ in settings; it is
    empty where there is none. `gains` are by balance: what it gives on average over the networks
    that were trained with it and without any, and the deviation over these; None where there are
    none.
    """

    corpus: str
    context: str
    modalities: str
    balances: list[str]
    networks: list[str]
    cells: list[list[list[Spread]]]
    gains: list[Spread | None]


def cross_tables(evaluations: Sequence[Evaluation]) -> list[CrossTable]:
    """A crossing for each group of runs with several networks and several balances, by the
    modalities: all, then each alone. Networks and balances are in the order of the runs."""
    made = []
    for group in alike(evaluations, (*ABLATED, *NETWORK)):
        networks = list(dict.fromkeys(one.network for one in group))
        balances = list(dict.fromkeys(balance(one) for one in group))
        if len(networks) < 2 or len(balances) < 2:
            continue
        first = group[0]
        whole = modality_set_name(first.modalities)
        scores = [{whole: spread(one.test.weighted_f1), **one.alone} for one in group]
        for there in scores[0]:
            cells: dict[tuple[str, str], list[Spread]] = {}
            for one, score in zip(group, scores, strict=True):
                cells.setdefault((one.network, balance(one)), []).append(score[there])
            rows = [[cells.get((n, b), []) for b in balances] for n in networks]
            gains = [_gain(cells, networks, b) for b in balances]
            named = (first.corpus, first.seen, there)
            made.append(CrossTable(*named, balances, networks, rows, gains))
    return made


def _gain(
    cells: Mapping[tuple[str, str], Sequence[Spread]], networks: Sequence[str], balance: str
) -> Spread | None:
    """What a balance gives over none, over the networks that have both."""
    if balance == NONE:
        return None
    found = [
        _mean(cells[network, balance]) - _mean(cells[network, NONE])
        for network in networks
        if (network, balance) in cells and (network, NONE) in cells
    ]
    return spread(figure(found)) if found else None


def _mean(cell: Sequence[Spread]) -> float:
    return fmean(one.mean for one in cell)
