"""FAGM: fine-grained adaptive gradient modulation (Unlocking the Power of Multimodal Learning for
Emotion Recognition in Conversation, ACM Multimedia 2023, doi 10.1145/3581783.3613846).

Modules that depend on a single modality learn slower the more that modality dominates. In modules
that depend on several, this is decided neuron by neuron. The dominance of a modality is the rise of
the loss when it is erased. The paper is not open, so the equations are those of the released code.

Intended differences from that code:

- Losses and activations, with and without a modality, are those of evaluation, without dropout.
- The loss is the plain cross-entropy of the final logits: no class weights, label smoothing or soft
  labels.
- The activations of every call of a module count.
- The input matrices of recurrent networks are modulated too.
- A modality is erased by marking it as missing.
- Parameters outside of leaf modules, and embeddings, follow the encoder that they belong to.
- Modules that evaluation never calls are not modulated: CMATH's sampling and reconstruction, DMD's
  decoders, Ada2I's mapping networks. Nor are GSCon's shared convolutions, which are read without a
  call.
- The classifier is not modulated; a direct head is.

Shapes: J inputs of a module; "tokens" are all other dimensions of its input.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple, cast

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.model.networks.layers.blocks import Standardise
from gscon_live.model.networks.network import Conversations, Network
from gscon_live.train.balance.plugin import Plugin, StepContext
from gscon_live.train.bounds import Positive, UpTo1
from gscon_live.train.engine.gradient_scaling import Scaling

#: Prefixes of the names of input matrices, in recurrent and in other modules.
_INPUT_WEIGHTS = ("weight_ih", "weight")
#: Activations that differ by less count as equal.
_TOLERANCE = 1e-7


class FAGMSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gamma` is the power of a modality's lead (published: 0.5 to 0.0001); small values freeze all
    modalities but the weakest. `beta` is the share of a modality's endemic neurons that are
    modulated. `every` is the interval, in steps of an epoch, at which the factors are computed."""

    gamma: Annotated[float, msgspec.Meta(gt=0, le=100)] = 0.5
    beta: UpTo1 = 0.5
    every: Positive = 1


@dataclass(frozen=True)
class ModuleTypes:
    """The parameters of modules that depend on one modality (`specific`, by modality), and the
    modules that depend on several (`general`)."""

    specific: dict[str, list[nn.Parameter]]
    general: list[nn.Module]


class FAGM(Plugin):
    """The plug-in. In a step it runs the network once with all modalities, and once more without
    each of them."""

    SETTINGS = FAGMSettings
    settings: FAGMSettings
    SCALES = True

    def __init__(self, network: Network, settings: msgspec.Struct) -> None:
        super().__init__(network, settings)
        self._types: ModuleTypes | None = None
        self._current: Scaling | None = None
        self._epoch, self._steps = -1, 0

    def scaling(self, step: Sequence[StepContext], epoch: int) -> Scaling | None:
        if epoch != self._epoch:
            self._epoch, self._steps = epoch, 0
        if self._current is None or self._steps % self.settings.every == 0:
            if self._types is None:
                self._types = module_types(self.network)
            self._current = self._scaling(step, self._types)
        self._steps += 1
        return self._current

    def _scaling(self, step: Sequence[StepContext], types: ModuleTypes) -> Scaling:
        present = [
            m
            for place, m in enumerate(self.modalities)
            if any(bool(context.targets.present[:, place].any()) for context in step)
        ]
        losses = dict.fromkeys(present, 0.0)
        differences: dict[nn.Module, dict[str, list[InputDifference]]] = {
            module: {m: [] for m in present} for module in types.general
        }
        full_loss = 0.0
        for context in step:
            inputs = context.conversations, context.last
            final, before = _forward(self.network, *inputs, self.modalities, types.general)
            full_loss += _cross_entropy(context, final)
            for m in present:
                others = [other for other in self.modalities if other != m]
                final, after = _forward(self.network, *inputs, others, types.general)
                losses[m] += _cross_entropy(context, final)
                for module in types.general:
                    differences[module][m] += input_differences(
                        before[module], after[module], inputs[0].valid
                    )
        leads = lead({m: losses[m] - full_loss for m in present}, self.settings.gamma)
        factors = []
        for m, parameters in types.specific.items():
            slower = torch.tensor(1 - leads.get(m, 0.0))
            factors += [(p, slower.to(p)) for p in parameters]
        for module, by_modality in differences.items():
            sensitive = {m: sensitivity(calls) for m, calls in by_modality.items() if calls}
            if sensitive:
                scale = column_factors(sensitive, leads, self.settings.beta)
                factors += [(p, scale) for p in _input_matrices(module, len(scale))]
        figures = {f"factor_{m}": 1 - x for m, x in leads.items()}
        return Scaling(factors, figures=figures)


def lead(gaps: Mapping[str, float], gamma: float) -> dict[str, float]:
    """The lead I_m of each modality, in [0, 1): (r_m - min r) ** gamma, where r is the softmax of
    a tenth of the gaps. A gap is the rise of the loss when the modality is erased. The weakest
    modality has lead 0."""
    if not gaps:
        return {}
    names, values = list(gaps), torch.tensor(list(gaps.values()), dtype=torch.float64)
    shares = (0.1 * values).softmax(0)
    return dict(zip(names, ((shares - shares.min()) ** gamma).tolist(), strict=True))


def column_factors(
    sensitive: Mapping[str, Tensor], leads: Mapping[str, float], beta: float
) -> Tensor:
    """The factors of the columns of a general module's input matrices, [J].

    A neuron is endemic to a modality by as much as it is more sensitive to it than to any other.
    Of the neurons with a positive value, the share `beta` with the highest values is slowed by the
    modality's lead. As in the released code, only values above the last one of that share count, so
    it is one neuron fewer.

    Args:
        sensitive: the sensitivity of the inputs to each modality, [J] each.
        leads: see `lead`.
        beta: from 0 to 1.
    """
    scale = torch.ones_like(next(iter(sensitive.values())))
    for m, own in sensitive.items():
        others = [x for other, x in sensitive.items() if other != m]
        if not others:
            continue
        endemic = own - torch.stack(others).amax(0)
        positive = int((endemic > 0).sum())
        place = max(int(positive * beta) - 1, 0)
        threshold = endemic.sort(descending=True).values[place]
        scale = scale - (endemic > threshold) * leads.get(m, 0.0)
    return scale


class InputDifference(NamedTuple):
    """The absolute differences of a module's inputs in a call, summed over tokens, [J], and the
    number of tokens."""

    total: Tensor
    tokens: float


def sensitivity(calls: Sequence[InputDifference]) -> Tensor:
    """The mean absolute difference of a module's inputs over the tokens of all calls of a step,
    [J]. It does not depend on how the step is split."""
    total = sum((call.total for call in calls[1:]), calls[0].total)
    return total / max(sum(call.tokens for call in calls), 1.0)


def input_differences(
    before: Sequence[Tensor], after: Sequence[Tensor], valid: Tensor
) -> list[InputDifference]:
    """The differences of a module's inputs in each call. Where the tokens are utterances of the
    conversations, padding does not count."""
    calls = []
    for first, second in zip(before, after, strict=True):
        difference = (first - second).abs()
        tokens = float(difference[..., 0].numel())
        if difference.shape[-3:-1] == valid.shape:
            difference = difference * valid[..., None]
            tokens = float(valid.sum()) * (tokens / valid.numel())
        calls.append(InputDifference(difference.flatten(0, -2).sum(0), tokens))
    return calls


def module_types(network: Network) -> ModuleTypes:
    """Sorts modules by their inputs: those of a modality-specific module do not change when the
    other modalities are erased. The classifier is in neither group. Modules that are never called,
    and embeddings, belong to a modality where they are part of its encoder.

    The conversations are random, with the mean and deviation of the training features and with no
    modality missing. So the result depends neither on a batch nor on where a training resumes.
    """
    modules, conversations = list(_modules(network)), _random_conversations(network)
    with_all = _forward(network, conversations, False, network.modalities, modules)[1]
    alone = {
        m: _forward(network, conversations, False, [m], modules)[1] for m in network.modalities
    }
    specific: dict[str, list[nn.Parameter]] = {m: [] for m in network.modalities}
    general = []
    assigned = {id(p) for p in network.classifier.parameters()}
    for module in modules:
        if not with_all[module]:
            continue
        own = list(module.parameters(recurse=False))
        unchanged = [m for m in network.modalities if _equal(with_all[module], alone[m][module])]
        assigned |= {id(p) for p in own}
        if len(unchanged) == 1:
            specific[unchanged[0]] += own
        elif not unchanged:
            general.append(module)
    for m in network.modalities:
        specific[m] += [p for p in network.groups()[f"enc.{m}"] if id(p) not in assigned]
    return ModuleTypes(specific, general)


def _modules(network: Network) -> Iterator[nn.Module]:
    """The leaf modules that have parameters, without embeddings and the classifier."""
    classifier = {id(module) for module in network.classifier.modules()}
    for module in network.modules():
        leaf = not any(True for _ in module.children())
        has = any(True for _ in module.parameters(recurse=False))
        if leaf and has and id(module) not in classifier and not isinstance(module, nn.Embedding):
            yield module


def _equal(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    return all(
        float((a - b).abs().amax()) < _TOLERANCE
        for a, b in zip(first, second, strict=True)
        if a.numel()
    )


def _input_matrices(module: nn.Module, width: int) -> list[nn.Parameter]:
    """The matrices of a module that are multiplied with an input of that width."""
    recurrent = isinstance(module, nn.RNNBase | nn.RNNCellBase)
    return [
        p
        for name, p in module.named_parameters(recurse=False)
        if name.startswith(_INPUT_WEIGHTS[0] if recurrent else _INPUT_WEIGHTS[1])
        and p.dim() > 1
        and p.shape[1] == width
    ]


def _random_conversations(network: Network) -> Conversations:
    random, places = torch.Generator().manual_seed(0), (2, 8)
    like = next(network.parameters())
    features = {}
    for m in network.modalities:
        layer = cast(Standardise, network.standardise[m])
        drawn = torch.randn(*places, network.architecture.dims[m], generator=random).to(like)
        features[m] = layer.mean + layer.deviation * drawn
    return Conversations(
        features,
        torch.ones(*places, len(features), dtype=torch.bool, device=like.device),
        torch.randint(2, places, generator=random).to(like.device),
        torch.ones(*places, dtype=torch.bool, device=like.device),
    )


def _cross_entropy(context: StepContext, final: Tensor) -> float:
    """The cross-entropy of the final logits [B, N, C], divided by the number of all utterances of
    the step."""
    logits, labels = context.rows(final), context.targets.labels
    return float(functional.cross_entropy(logits, labels, reduction="sum")) / context.step.count


def _forward(
    network: Network,
    conversations: Conversations,
    last: bool,
    keep: Sequence[str],
    modules: Sequence[nn.Module],
) -> tuple[Tensor, dict[nn.Module, list[Tensor]]]:
    """The final logits in evaluation with the modalities in `keep`, and the modules' inputs."""
    kept = torch.tensor([m in keep for m in network.modalities], device=conversations.valid.device)
    conversations = replace(conversations, present=conversations.present & kept)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), _recorded_inputs(modules) as inputs:
            return network(conversations, last).final, inputs
    finally:
        network.train(was_training)


@contextmanager
def _recorded_inputs(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, list[Tensor]]]:
    """Records the inputs of these modules, in all calls within the block."""
    inputs_of: dict[nn.Module, list[Tensor]] = {module: [] for module in modules}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        inputs_of[module].append(inputs[0].detach())

    hooks = [module.register_forward_pre_hook(keep) for module in modules]
    try:
        yield inputs_of
    finally:
        for hook in hooks:
            hook.remove()
