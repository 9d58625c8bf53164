"""MaskOCR (Lyu et al. 2022): a ViT over vertical patches, character queries, one linear layer.

Legend: N batch, L tokens (bands x columns), S steps of CTC (L x ``ctc_steps``), D width, T slots,
C classes (0 = pad = CTC blank).

Two departures from the paper, both for small networks and two-row plates: patches may be half the
plate's height (``bands=2``, the upper band's tokens first, so token order is text order on plates
of one and of two rows), and a small convolutional stem may embed them. One linear layer on the
encoder's tokens learns CTC beside: it speeds learning up and gives a second opinion of the text.
A token may tell two steps of it, its left and its right half: CTC needs a blank between two equal
characters, and nine narrow ones with ``000`` among them do not fit into 24 steps.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from alpr_edge.alphabet import CLASSES, PAD, SLOTS
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from training.dropout import Dropout

IGNORE = -1
"""Row label of a plate whose number of rows is unknown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """Size of a reader; see the named variants below."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    mlp_ratio: int = 4
    activation: Literal["gelu", "hardswish"] = "gelu"
    """Between the two layers of each block's MLP."""
    dropout: float = 0.1
    bands: int = 2
    patch_width: int = 8
    stem: tuple[int, ...] = ()
    """Channels of the convolutional stem's halving stages; () means linear patches."""
    stem_depth: int = 2
    """Convolutions of each of the stem's stages after the first, which has one."""
    stem_widths: tuple[int, ...] = ()
    """Channels of each of the stem's convolutions; () means those of ``stem``."""
    head_counts: tuple[int, ...] = ()
    """Heads of each attention, the encoder's first, a decoder block's own before that on tokens;
    () means ``heads`` everywhere. A head is ``width // heads`` wide."""
    mlp_widths: tuple[int, ...] = ()
    """Hidden units of each block, the encoder's first; () means ``mlp_ratio * width``."""
    ctc_steps: int = 1
    """Steps of CTC that each token tells, from left to right."""
    ctc_weight: float = 1.0
    rows_weight: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.stem and 2 ** len(self.stem) != self.patch_width:
            raise ValueError(f"{len(self.stem)} stem stages make patches {2 ** len(self.stem)} "
                             f"pixels wide, patch_width is {self.patch_width}")
        blocks = self.encoder_layers + self.decoder_layers
        convolutions = 1 + self.stem_depth * (len(self.stem) - 1) if self.stem else 0
        for name, count in (("stem_widths", convolutions), ("mlp_widths", blocks),
                            ("head_counts", blocks + self.decoder_layers)):
            if getattr(self, name) and len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries, needed: {count}")

    @property
    def convolutions(self) -> tuple[int, ...]:
        """Channels of each of the stem's convolutions."""
        return self.stem_widths or (
            *self.stem[:1], *(c for c in self.stem[1:] for _ in range(self.stem_depth))
        )

    @property
    def attentions(self) -> tuple[int, ...]:
        """Heads of each attention, in the order of ``head_counts``."""
        return self.head_counts or (self.heads,) * (self.encoder_layers + 2 * self.decoder_layers)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Hidden units of each block."""
        blocks = self.encoder_layers + self.decoder_layers
        return self.mlp_widths or (self.mlp_ratio * self.width,) * blocks

    @property
    def columns(self) -> int:
        """Tokens along a band."""
        return PLATE_WIDTH // self.patch_width

    @property
    def tokens(self) -> int:
        """L, all tokens."""
        return self.bands * self.columns


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int] = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class PatchEmbedding(nn.Module):
    """Plate (N, 3, 48, 192) to tokens (N, L, D), upper band first, left to right."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        patch = PLATE_HEIGHT // config.bands, config.patch_width
        layers: list[nn.Module] = []
        inputs = 3
        for index, channels in enumerate(config.convolutions):
            halving = index == 0 or (index - 1) % config.stem_depth == 0
            layers.append(ConvBlock(inputs, channels, 2 if halving else 1))
            inputs = channels
        reduction = 2 ** len(config.stem)
        patch = patch[0] // reduction, patch[1] // reduction
        layers.append(nn.Conv2d(inputs, config.width, patch, patch))
        self.layers = nn.Sequential(*layers)
        self.position = nn.Parameter(torch.randn(1, config.tokens, config.width) * 0.02)

    def forward(self, plates: Tensor) -> Tensor:
        features = self.layers(plates)  # (N, D, bands, columns)
        return features.flatten(2).transpose(1, 2) + self.position  # (N, L, D)


class Attention(nn.Module):
    """Multi-head attention of queries (N, Q, D) on a context (N, L, D).

    Written out: on CPUs the fused kernel's backward pass is several times slower at these sizes.
    """

    def __init__(self, config: ReaderConfig, heads: int) -> None:
        super().__init__()
        width, head_width = config.width, config.width // config.heads
        self.heads = heads
        self.scale = head_width**-0.5
        self.query = nn.Linear(width, heads * head_width)
        self.key_value = nn.Linear(width, 2 * heads * head_width)
        self.out = nn.Linear(heads * head_width, width)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, heads, length, D / heads)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        key, value = self.key_value(context).chunk(2, dim=-1)
        query = self.split(self.query(queries)) * self.scale
        weights = (query @ self.split(key).transpose(-1, -2)).softmax(dim=-1)  # (N, heads, Q, L)
        mixed = weights.to(value.dtype) @ self.split(value)
        return self.out(mixed.transpose(1, 2).flatten(2))


def mlp(config: ReaderConfig, hidden: int) -> nn.Sequential:
    """The two-layer network of a transformer block."""
    return nn.Sequential(
        nn.Linear(config.width, hidden),
        nn.GELU() if config.activation == "gelu" else nn.Hardswish(),
        Dropout(config.dropout),
        nn.Linear(hidden, config.width),
    )


class EncoderBlock(nn.Module):
    """Pre-norm transformer block (ViT)."""

    def __init__(self, config: ReaderConfig, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config, heads)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = mlp(config, hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.dropout(self.attention(y, y))
        return x + self.dropout(self.mlp(self.norm2(x)))


class DecoderBlock(nn.Module):
    """Queries look at each other, then at the encoder's tokens."""

    def __init__(self, config: ReaderConfig, heads: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.self_attention = Attention(config, heads[0])
        self.norm2 = nn.LayerNorm(config.width)
        self.cross_attention = Attention(config, heads[1])
        self.norm3 = nn.LayerNorm(config.width)
        self.mlp = mlp(config, hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        y = self.norm1(queries)
        queries = queries + self.dropout(self.self_attention(y, y))
        y = self.norm2(queries)
        queries = queries + self.dropout(self.cross_attention(y, tokens))
        return queries + self.dropout(self.mlp(self.norm3(queries)))


def normalize(image: Tensor) -> Tensor:
    """Plates (N, 48, 192, 3) uint8 BGR to (N, 3, 48, 192) in -1..1."""
    return image.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0


class Encoder(nn.Module):
    """Plates (N, 3, 48, 192) in about -1..1 to normalised tokens (N, L, D)."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.embed = PatchEmbedding(config)
        self.blocks = nn.ModuleList(
            EncoderBlock(config, config.attentions[i], config.hidden[i])
            for i in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, plates: Tensor) -> Tensor:
        return self.mix(self.embed(plates))

    def mix(self, tokens: Tensor) -> Tensor:
        """Embedded tokens (N, L, D) through the transformer."""
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class Reader(nn.Module):
    """The whole reader. ``forward`` is the exported graph."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.queries = nn.Parameter(torch.randn(1, SLOTS, config.width) * 0.02)
        heads = config.attentions[config.encoder_layers:]
        self.decoder = nn.ModuleList(
            DecoderBlock(config, heads[2 * i : 2 * i + 2], config.hidden[config.encoder_layers + i])
            for i in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, CLASSES)
        self.rows = nn.Linear(config.width, 2)
        self.ctc = nn.Linear(config.width, config.ctc_steps * CLASSES)
        self.apply(initialize)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Plates (N, 48, 192, 3) uint8 BGR to ``logits`` (N, T, C) of the slots, ``ctc`` (N, S, C)
        of the tokens, and ``rows`` (N, 2)."""
        return self.answer(self.encode(image))

    def answer(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (N, L, D) to the outputs of :meth:`forward`."""
        logits, rows = self.decode(tokens)
        steps = self.ctc(tokens).reshape(tokens.shape[0], -1, CLASSES)  # (N, L * ctc_steps, C)
        return logits, steps, rows

    def encode(self, image: Tensor) -> Tensor:
        """Plates (N, 48, 192, 3) uint8 BGR to tokens (N, L, D)."""
        return self.encoder(normalize(image))

    def decode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (N, L, D) to ``logits`` (N, T, C) and ``rows`` (N, 2)."""
        queries = self.queries  # one for all plates, until they have seen the tokens
        for block in self.decoder:
            queries = block(queries, tokens)
        return self.head(self.norm(queries)), self.rows(tokens.mean(dim=1))

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Losses of a batch: ``image`` (N, 48, 192, 3) uint8, ``text`` (N, T) class indices,
        ``rows`` (N,) 0 = one row, 1 = two rows, IGNORE = unknown."""
        return self.losses(self(batch["image"]), batch)

    def inside(self, image: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Of plates what :mod:`training.distill` compares: features, then :meth:`forward`'s
        outputs."""
        tokens = self.encode(image)
        return (tokens,), self.answer(tokens)

    def deployed(self, outputs: tuple[Tensor, ...], image: Tensor) -> tuple[Tensor, ...]:
        """The outputs of :meth:`inside` to those of :meth:`forward`: the same."""
        return outputs

    def losses(self, outputs: tuple[Tensor, ...], batch: dict[str, Any]) -> dict[str, Tensor]:
        """:meth:`loss` of the outputs of :meth:`forward`."""
        logits, tokens, rows = outputs
        losses = {
            "slots": slots_loss(logits.float(), batch["text"]),
            "ctc": ctc_loss(tokens.float(), batch["text"]),
            "rows": rows_loss(rows.float(), batch["rows"]),
        }
        total = (
            losses["slots"]
            + self.config.ctc_weight * losses["ctc"]
            + self.config.rows_weight * losses["rows"]
        )
        return {"loss": total, **{name: value.detach() for name, value in losses.items()}}


def slots_loss(logits: Tensor, text: Tensor) -> Tensor:
    """Cross entropy of slot logits (N, T, C) against padded texts (N, T), pads included."""
    return functional.cross_entropy(logits.flatten(0, 1), text.flatten())


def ctc_loss(logits: Tensor, text: Tensor) -> Tensor:
    """CTC of token logits (N, S, C) against padded texts (N, T), a mean per character; no text
    counts as a full one."""
    lengths = (text != PAD).sum(dim=1)
    steps = torch.full_like(lengths, logits.shape[1])
    losses = functional.ctc_loss(
        logits.log_softmax(dim=-1).transpose(0, 1), text, steps, lengths,
        blank=PAD, reduction="none", zero_infinity=True,
    )
    return (losses / torch.where(lengths > 0, lengths, text.shape[1])).mean()


def rows_loss(logits: Tensor, rows: Tensor) -> Tensor:
    """Cross entropy where the number of rows is known; 0 where it nowhere is."""
    known = (rows != IGNORE).sum().clamp(min=1)
    return functional.cross_entropy(logits, rows, ignore_index=IGNORE, reduction="sum") / known


def initialize(module: nn.Module) -> None:
    """ViT initialisation: linear layers Xavier, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def reader_edge() -> Reader:
    """What we ship: convolutional stem, width 192, 4 + 2 layers, two bands of 24 tokens with two
    steps of CTC each."""
    return Reader(
        ReaderConfig(
            width=192, heads=6, encoder_layers=4, decoder_layers=2, stem=(32, 64, 128),
            dropout=0.1, ctc_steps=2,
        )
    )


def reader_deep() -> Reader:
    """The edge reader with a layer and two convolutions more: a third more arithmetic. To begin
    with what the edge reader has learned, see :mod:`training.reader.grow`."""
    edge = reader_edge().config
    return Reader(dataclasses.replace(edge, encoder_layers=5, stem_depth=3))


def reader_small() -> Reader:
    """About 40 % of the edge reader's arithmetic: what pruning is compared with."""
    return Reader(
        ReaderConfig(
            width=128, heads=4, encoder_layers=3, decoder_layers=2, stem=(24, 48, 96), dropout=0.1
        )
    )


def reader_seed() -> Reader:
    """The origin's size: linear patches, width 624, 8 + 6 layers, 12 heads, dropout 0.25."""
    return Reader(
        ReaderConfig(
            width=624, heads=12, encoder_layers=8, decoder_layers=6, dropout=0.25,
            bands=1, patch_width=4,
        )
    )


def reader_tiny() -> Reader:
    """For tests: seconds to train, reads nothing useful."""
    return Reader(
        ReaderConfig(
            width=32, heads=2, encoder_layers=1, decoder_layers=1, stem=(8, 8, 16), dropout=0.0
        )
    )


VARIANTS = {
    "edge": reader_edge, "deep": reader_deep, "small": reader_small, "seed": reader_seed,
    "tiny": reader_tiny,
}
