"""Cross tables of networks and balancing methods, from a grid of runs."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

from gscon_live.model.checkpoint import modality_set_name
from gscon_live.train.leaderboard.comparisons import (
    ABLATION_FIELDS,
    NETWORK_FIELDS,
    NO_BALANCE,
    balance_name,
    comparable_groups,
)
from gscon_live.train.scoring.evaluation import Evaluation, Spread, figure, spread


class CrossTable(msgspec.Struct, frozen=True):
    """Weighted F1 on test by network and balance, with the named modalities only; the runs have
    everything else in common.

    `cells[network][balance]` has the scores of all runs with both, which may differ in settings; it
    may be empty. `gains` are by balance: the mean difference from the same networks without
    balancing, and its standard deviation over networks; None where no network has both.
    """

    corpus: str
    context: str
    modalities: str
    balances: list[str]
    networks: list[str]
    cells: list[list[list[Spread]]]
    gains: list[Spread | None]


def cross_tables(evaluations: Sequence[Evaluation]) -> list[CrossTable]:
    """The tables of each group of runs with several networks and several balances: with all
    modalities, then with each alone. Networks and balances are in the order of the runs."""
    tables = []
    for group in comparable_groups(evaluations, (*ABLATION_FIELDS, *NETWORK_FIELDS)):
        networks = list(dict.fromkeys(evaluation.network for evaluation in group))
        balances = list(dict.fromkeys(balance_name(evaluation) for evaluation in group))
        if len(networks) < 2 or len(balances) < 2:
            continue
        first = group[0]
        all_modalities = modality_set_name(first.modalities)
        scores = [
            {all_modalities: spread(evaluation.test.weighted_f1), **evaluation.unimodal}
            for evaluation in group
        ]
        for subset in scores[0]:
            cells: dict[tuple[str, str], list[Spread]] = {}
            for evaluation, score in zip(group, scores, strict=True):
                place = evaluation.network, balance_name(evaluation)
                cells.setdefault(place, []).append(score[subset])
            rows = [[cells.get((n, b), []) for b in balances] for n in networks]
            gains = [_gain(cells, networks, b) for b in balances]
            title = (first.corpus, first.context_description, subset)
            tables.append(CrossTable(*title, balances, networks, rows, gains))
    return tables


def _gain(
    cells: Mapping[tuple[str, str], Sequence[Spread]], networks: Sequence[str], balance: str
) -> Spread | None:
    """The gain of a balance over none, over the networks that have both."""
    if balance == NO_BALANCE:
        return None
    gains = [
        _mean(cells[network, balance]) - _mean(cells[network, NO_BALANCE])
        for network in networks
        if (network, balance) in cells and (network, NO_BALANCE) in cells
    ]
    return spread(figure(gains)) if gains else None


def _mean(cell: Sequence[Spread]) -> float:
    return fmean(spread.mean for spread in cell)
