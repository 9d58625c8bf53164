"""Structured pruning: channels, hidden units, heads and layers that matter least are cut out.

What a unit matters is the change of the loss that its absence causes to first order: a factor on
the unit times the loss's derivative by it (Molchanov et al. 2019, "Importance estimation for
neural network pruning"; its absolute value instead of its square), on training pictures. Units are
cut in the order of that, divided by their multiply-accumulates, until the network has few enough.
The result is an ordinary checkpoint.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alpr_edge.errors import UsageError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from optimize.prune_groups import Group, Member, State, explicit, groups_of, macs, uses
from training.checkpoint import commit, load_weights, save_weights
from training.detector.evaluate import HEIGHT, WIDTH
from training.detector.model import Detector, DetectorConfig
from training.distill import kept_notes, lessons, lineage
from training.networks import build
from training.reader.model import Reader, ReaderConfig
from training.selection import Selection

BATCHES = 16
"""Training batches that units are judged on."""
LIMIT = 200
"""Frames, or plates of each set, that these batches are drawn from."""
FLOOR = 0.25
"""Share of a group's units that stays in any case: the first order says little about the last."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pruned:
    """A network with units cut out: ``kept`` of each group's; ``macs`` of one picture before and
    after."""

    network: Detector | Reader
    kept: dict[str, Any]
    macs: tuple[int, int]


def prune(
    checkpoint: Path, ratio: float, data: Path, target: Path, *, layers: int = 0
) -> Path:
    """Write ``checkpoint`` without the units that matter least to ``target``.

    Args:
        ratio: share of the multiply-accumulates to take away, of the network that the first
            pruning began with.
        layers: of a reader's blocks so many are taken away whole before that, those whose absence
            costs least.

    Raises:
        UsageError: the ratio cannot be reached. ModelError: the checkpoint is not ours.
        DataError: the data cannot be read.
    """
    weights = load_weights(checkpoint)
    network = build(weights)
    batches = judging_batches(weights.task, data)
    for _ in range(layers):
        network = without_least_block(network, batches)
    root = int(weights.notes.get("root_macs", 0)) or count_macs(build(weights))
    pruned = cut(network, importance(network, batches), round(root * (1 - ratio)))
    save_weights(
        target, task=weights.task, config=pruned.network.config,
        state=pruned.network.state_dict(),
        notes=kept_notes(weights) | {
            "commit": commit(), "made_by": "prune", "lineage": lineage(checkpoint, weights),
            "ratio": ratio, "root_macs": root, "macs": pruned.macs[1], "kept": pruned.kept,
        },
    )
    return target


def judging_batches(task: str, data: Path) -> list[dict[str, Tensor]]:
    """The training batches that units are judged on."""
    learned = lessons(task, data, seed=0, workers=0, selection=Selection(limit=LIMIT))
    return list(itertools.islice(learned.batches, BATCHES))


def count_macs(network: Detector | Reader) -> int:
    """Multiply-accumulates of one picture, a detector's at 384 x 640."""
    return macs(_shapes(network.state_dict()), uses(network, _picture(network)))


def _picture(network: Detector | Reader) -> tuple[int, ...]:
    size = (PLATE_HEIGHT, PLATE_WIDTH) if isinstance(network, Reader) else (HEIGHT, WIDTH)
    return (1, *size, 3)


def _shapes(state: State) -> dict[str, Sequence[int]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def importance(
    network: Detector | Reader, batches: Sequence[dict[str, Tensor]]
) -> list[Tensor]:
    """For each group of :func:`groups_of` what its units matter (count,): the mean change of the
    loss over the batches, to first order."""
    groups = groups_of(network)
    sums = [torch.zeros(group.count) for group in groups]
    parameters = dict(network.named_parameters())
    network.eval()
    for batch in batches:
        network.zero_grad(set_to_none=True)
        network.loss(batch)["loss"].backward()
        for group, total in zip(groups, sums, strict=True):
            for gate in group.gates:
                total += _derivative(parameters, gate, group.count).abs()
    network.zero_grad(set_to_none=True)
    return [total / len(batches) for total in sums]


@torch.no_grad()
def _derivative(
    parameters: dict[str, nn.Parameter], gate: tuple[Member, ...], count: int
) -> Tensor:
    """Of the loss by a factor on each unit (count,)."""
    parts = []
    for member in gate:
        weight = parameters[member.name]
        if weight.grad is not None:
            parts.append(member.by_unit(weight * weight.grad, count))
    return torch.stack(parts).sum(0)


def cut(network: Detector | Reader, scores: Sequence[Tensor], most: int) -> Pruned:
    """Cut units in the order of ``scores`` per multiply-accumulate until at most ``most`` are left.

    Raises:
        UsageError: as many cannot be cut.
    """
    groups, state = groups_of(network), network.state_dict()
    used, shapes = uses(network, _picture(network)), _shapes(state)
    before = after = macs(shapes, used)
    counts = [group.count for group in groups]
    for index in _order(groups, scores, shapes, used):
        if after <= most:
            break
        counts[index] -= groups[index].pack
        after = macs(_cut_shapes(shapes, groups, counts), used)
    if after > most:
        raise UsageError(
            f"{most} multiply-accumulates are wanted, but at least {after} of {before} stay in one "
            f"pruning ({FLOOR:.0%} of every layer's units); give a lower --ratio, or another before"
        )
    return _rebuilt(network, groups, scores, counts, (before, after))


def _order(
    groups: Sequence[Group], scores: Sequence[Tensor], shapes: dict[str, Sequence[int]],
    used: dict[str, int],
) -> Iterator[int]:
    """Numbers of groups, one for each pack of units that may go, the least important first."""
    packs: list[tuple[float, int]] = []
    for index, (group, score) in enumerate(zip(groups, scores, strict=True)):
        names = {member.name for member in group.members} & used.keys()
        cost = sum(used[name] * math.prod(shapes[name]) for name in names) / group.count
        free = int(group.count * (1 - FLOOR)) // group.pack * group.pack
        ranked = score.sort().values[:free].unflatten(0, (-1, group.pack)).sum(1)
        packs += [(value / (cost * group.pack), index) for value in ranked.tolist()]
    return (index for _, index in sorted(packs))


def _cut_shapes(
    shapes: dict[str, Sequence[int]], groups: Sequence[Group], counts: Sequence[int]
) -> dict[str, Sequence[int]]:
    cut_shapes = {name: list(shape) for name, shape in shapes.items()}
    for group, count in zip(groups, counts, strict=True):
        for member in group.members:
            axis = cut_shapes[member.name]
            axis[member.dim] = axis[member.dim] // group.count * count
    return dict(cut_shapes)


def _rebuilt(
    network: Detector | Reader, groups: Sequence[Group], scores: Sequence[Tensor],
    counts: Sequence[int], macs_: tuple[int, int],
) -> Pruned:
    """The network with the ``counts`` best units of each group, in their order."""
    state = network.state_dict()
    fields: dict[str, Any] = dataclasses.asdict(explicit(network.config))
    for group, score, count in zip(groups, scores, counts, strict=True):
        best = score.topk(count).indices.sort().values
        for member in group.members:
            state[member.name] = member.cut(state[member.name], group.count, best)
        if group.index is None:
            fields[group.field] = count
        else:
            values = list(fields[group.field])
            values[group.index] = count
            fields[group.field] = tuple(values)
    kept = {group.field: fields[group.field] for group in groups}
    return Pruned(network=_network(network, fields, state), kept=kept, macs=macs_)


def _network(like: Detector | Reader, fields: dict[str, Any], state: State) -> Detector | Reader:
    """A network of the same class with other configuration and weights."""
    made = Reader(ReaderConfig(**fields)) if isinstance(like, Reader) else Detector(
        DetectorConfig(**fields)
    )
    made.load_state_dict(state)
    return made.eval()


def without_least_block(
    network: Detector | Reader, batches: Sequence[dict[str, Tensor]]
) -> Reader:
    """The reader without the transformer block whose absence raises the loss least; one of the
    encoder and one of the decoder stay.

    Raises:
        UsageError: it is a detector, or no block may go.
    """
    if not isinstance(network, Reader):
        raise UsageError("--layers takes blocks of a reader's transformer away; leave it out for a "
                         "detector")
    config = network.config
    layers = config.encoder_layers, config.decoder_layers
    stacks = [stack for stack, count in enumerate(layers) if count > 1]
    fewer = [_without(network, stack, i) for stack in stacks for i in range(layers[stack])]
    if not fewer:
        raise UsageError(f"--layers: the reader has {layers[0]} + {layers[1]} blocks, and one of "
                         "each kind stays; give fewer --layers")
    return min(fewer, key=lambda one: _mean_loss(one, batches))


@torch.no_grad()
def _mean_loss(network: Reader, batches: Sequence[dict[str, Tensor]]) -> float:
    return sum(float(network.loss(batch)["loss"]) for batch in batches) / len(batches)


def _without(network: Reader, stack: int, block: int) -> Reader:
    """Without a block of the encoder (``stack`` 0) or decoder (1)."""
    config = network.config
    heads, hidden = list(config.attentions), list(config.hidden)
    first = config.encoder_layers
    if stack == 0:
        del heads[block], hidden[block]
    else:
        del heads[first + 2 * block : first + 2 * block + 2], hidden[first + block]
    name = ("encoder_layers", "decoder_layers")[stack]
    fields = dataclasses.asdict(explicit(config)) | {
        "head_counts": tuple(heads), "mlp_widths": tuple(hidden), name: getattr(config, name) - 1,
    }
    prefix = ("encoder.blocks.", "decoder.")[stack]
    return _network(network, fields, _renumbered(network.state_dict(), prefix, block))


def _renumbered(state: State, prefix: str, gone: int) -> State:
    """The state without block ``gone``, those after it moved up."""
    made = {}
    for name, tensor in state.items():
        if name.startswith(prefix):
            number, _, rest = name.removeprefix(prefix).partition(".")
            if int(number) == gone:
                continue
            name = f"{prefix}{int(number) - (int(number) > gone)}.{rest}"
        made[name] = tensor
    return made
