"""Masked autoencoder of the reader's encoder: ``python -m training pretrain``, phase 1 of MaskOCR.

Three phases as in the paper (Lyu et al. 2022), each a run of its own folder, resumable by the same
command; in its second one the paper masks synthetic plates, here nothing is masked:

1. ``pretrain --run A``: the encoder learns to complete plates, with and without a text (this file);
2. ``reader --run B --encoder A/best.safetensors --freeze-encoder``: the rest learns to read;
3. ``reader --run C --start B/best.safetensors``: everything learns.

MAE (He et al. 2022), but a convolutional stem sees over the edges of its patch, so masked patches
stay in the picture as grey and in the sequence as a learned token, which the encoder sees (as in
SimMIM, Xie et al. 2022). Positions are learned, and the decoder is as wide as the encoder.

Legend: N batch, L tokens (bands x columns), D width, V values of a patch (height x width x 3).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from alpr_edge.data import read
from alpr_edge.data.sample import Split
from alpr_edge.errors import DataError, ModelError
from alpr_edge.geometry import PLATE_HEIGHT, PLATE_WIDTH
from alpr_edge.types import Image
from training.checkpoint import begin_with, data_hash, load_weights
from training.loop import Evaluate, LoopConfig, begin, train
from training.networks import variant_of
from training.options import DEFAULTS, MEMORY, RunOptions, device_of
from training.reader.data import (
    Plate,
    PlateStream,
    ReaderDataConfig,
    batches,
    load_plates,
    plain,
)
from training.reader.model import (
    Encoder,
    EncoderBlock,
    Reader,
    ReaderConfig,
    initialize,
    normalize,
)
from training.render import RenderMaterial
from training.selection import trained_on, without_sets

TASK = "pretrain"
ENCODER = "encoder."
"""Prefix of the encoder's weights, in an autoencoder as in a reader."""
GREY_LEVEL = 1 / 127.5
"""One step of a pixel: flatter patches are not stretched to unit variance."""
SHEET_PLATES = 16
SHEET_GAP = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """What is pre-trained, and how."""

    reader: ReaderConfig
    mask_ratio: float = 0.7
    decoder_layers: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.masked < self.reader.tokens:
            raise ValueError(f"mask_ratio {self.mask_ratio} masks {self.masked} of "
                             f"{self.reader.tokens} patches; some must be masked, some seen")

    @property
    def masked(self) -> int:
        """Masked patches of every plate."""
        return round(self.mask_ratio * self.reader.tokens)


def patches(plates: Tensor, config: ReaderConfig) -> Tensor:
    """Plates (N, 3, 48, 192) to patches (N, L, V), in the order of the encoder's tokens."""
    split = plates.unflatten(3, (config.columns, -1)).unflatten(2, (config.bands, -1))
    return split.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatch(values: Tensor, config: ReaderConfig) -> Tensor:
    """Patches (N, L, V) to plates (N, 3, 48, 192): the inverse of :func:`patches`."""
    shape = config.bands, config.columns, PLATE_HEIGHT // config.bands, config.patch_width, 3
    split = values.unflatten(2, shape[2:]).unflatten(1, shape[:2])
    return split.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def random_masks(
    count: int, config: AutoencoderConfig, generator: torch.Generator | None = None
) -> Tensor:
    """(N, L) bool, True where masked: exactly ``config.masked`` a plate."""
    noise = torch.rand(count, config.reader.tokens, generator=generator)
    chosen = noise.argsort(dim=1)[:, : config.masked]
    return torch.zeros(noise.shape, dtype=torch.bool).scatter_(1, chosen, True)


def spread_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each patch: both (N, L, 1)."""
    variance, mean = torch.var_mean(values, dim=-1, keepdim=True, correction=0)
    return mean, (variance + GREY_LEVEL**2).sqrt()


def masked_loss(predicted: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error against each patch's normalised pixels, over the masked patches only.

    ``predicted`` and ``values`` are (N, L, V), ``mask`` (N, L) bool (MAE, section 3).
    """
    mean, deviation = spread_of(values)
    errors = (predicted - (values - mean) / deviation).square().mean(dim=-1)  # (N, L)
    return errors[mask].mean()


class MaskedAutoencoder(nn.Module):
    """The reader's encoder with a light decoder that completes masked patches."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        reader = config.reader
        self.encoder = Encoder(reader)
        self.mask_token = nn.Parameter(torch.randn(1, 1, reader.width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, reader.tokens, reader.width) * 0.02)
        self.decoder = nn.ModuleList(
            EncoderBlock(reader, reader.heads, reader.mlp_ratio * reader.width)
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(reader.width)
        self.head = nn.Linear(
            reader.width, 3 * PLATE_HEIGHT // reader.bands * reader.patch_width
        )
        self.apply(initialize)

    def forward(self, plates: Tensor, mask: Tensor) -> Tensor:
        """Plates (N, 3, 48, 192) and mask (N, L) to normalised patches (N, L, V)."""
        hidden = mask[..., None]  # (N, L, 1)
        grey = patches(plates, self.config.reader).masked_fill(hidden, 0.0)
        tokens = self.encoder.embed(unpatch(grey, self.config.reader))  # (N, L, D)
        unseen = self.mask_token + self.encoder.embed.position
        tokens = self.encoder.mix(torch.where(hidden, unseen.to(tokens.dtype), tokens))
        tokens = tokens + self.position
        for block in self.decoder:
            tokens = block(tokens)
        return self.head(self.norm(tokens))

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Loss of a batch with ``image`` (N, 48, 192, 3) uint8, masked at random."""
        plates = normalize(batch["image"])
        mask = random_masks(len(plates), self.config).to(plates.device)
        predicted = self(plates, mask).float()
        return {"loss": masked_loss(predicted, patches(plates, self.config.reader), mask)}


class FrozenEncoder(Encoder):
    """An encoder that learns nothing: no gradients, and always in evaluation mode, so that its
    batch norms keep the statistics under which it saw visible patches."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__(config)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenEncoder:
        """Stays in evaluation mode."""
        super().train(False)
        return self


def freeze_encoder(reader: Reader) -> None:
    """Replace the reader's encoder by the same one frozen (phase 2)."""
    frozen = FrozenEncoder(reader.config)
    frozen.load_state_dict(reader.encoder.state_dict())
    reader.encoder = frozen


def load_encoder(reader: Reader, path: Path) -> None:
    """Load the encoder of pre-trained weights (or of another reader) into ``reader``.

    Raises:
        ModelError: no such file, or no encoder of this reader's size in it.
    """
    state = load_weights(path).state
    encoder = {k.removeprefix(ENCODER): v for k, v in state.items() if k.startswith(ENCODER)}
    try:
        reader.encoder.load_state_dict(encoder)
    except RuntimeError as error:
        raise ModelError(
            f"{path} holds no encoder of this reader ({error}); pre-train the same --variant"
        ) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """Everything that shapes the pre-training."""

    data: ReaderDataConfig
    loop: LoopConfig
    batch_size: int
    narrowest: float
    """Plates less wide, in pixels of their picture, show no strokes to learn and are left out."""
    dev_plates: int = 512
    leave_out: tuple[str, ...] = ()
    """Sets whose plates are not seen."""


def pretrain_recipe(
    minutes: float | None = None, leave_out: tuple[str, ...] = ()
) -> PretrainRecipe:
    """Light augmentation: the mask is the hard part."""
    return PretrainRecipe(
        data=ReaderDataConfig(strength=0.3),
        loop=LoopConfig(steps=30_000, minutes=minutes, lr=1e-3, choose="explained"),
        batch_size=64,
        narrowest=48,
        leave_out=leave_out,
    )


def load_all_plates(
    data: Path, split: Split, narrowest: float, leave_out: tuple[str, ...] = (),
    memory: int = MEMORY,
) -> list[Plate]:
    """Every plate of a split, with and without a text, but those of the sets ``leave_out``.

    Raises:
        DataError: there is none. UsageError: no such set.
    """
    samples = without_sets(list(read(data)), leave_out)
    items, _ = load_plates(samples, split, untexted=True, memory=memory)
    wide = [item for item in items if np.ptp(item.quads[0][:, 0]) >= narrowest]
    if not wide:
        raise DataError(f"{data} has no plate at least {narrowest:g} pixels wide in split {split}; "
                        "needed to pre-train")
    return wide


def evaluator(items: list[Plate], run_dir: Path, batch_size: int = 64) -> Evaluate:
    """A function that completes ``items``, always under the same masks.

    It returns ``loss`` and ``explained`` (1 - loss: about the share of the masked patches'
    variance) and adds a contact sheet ``reconstruction_NNN.png`` to ``run_dir``.
    """
    plates = normalize(torch.from_numpy(np.stack([plain(item) for item in items])))
    shown = torch.linspace(0, len(plates) - 1, min(SHEET_PLATES, len(plates))).long()

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, MaskedAutoencoder)
        model.eval()
        device = device_of(model)
        masks = random_masks(len(plates), model.config, torch.Generator().manual_seed(0))
        total = 0.0
        for part, mask in zip(plates.split(batch_size), masks.split(batch_size), strict=True):
            part, mask = part.to(device), mask.to(device)
            values = patches(part, model.config.reader)
            total += masked_loss(model(part, mask), values, mask).item() * len(part)
        number = len(list(run_dir.glob("reconstruction_*.png")))
        picture = reconstruction_sheet(model, plates[shown].to(device), masks[shown].to(device))
        cv2.imwrite(str(run_dir / f"reconstruction_{number:03}.png"), picture)
        loss = total / len(plates)
        return {"loss": loss, "explained": 1 - loss}

    return evaluate


def reconstruction_sheet(model: MaskedAutoencoder, plates: Tensor, mask: Tensor) -> Image:
    """One row a plate: original, masked, completed; BGR uint8. A completed patch has the
    predicted pixels with the mean and contrast of the true ones, which are not predicted."""
    config = model.config.reader
    values, hidden = patches(plates, config), mask[..., None]
    mean, deviation = spread_of(values)
    completed = torch.where(hidden, model(plates, mask).float() * deviation + mean, values)
    views = [plates, *(unpatch(v, config) for v in (values.masked_fill(hidden, 0.0), completed))]
    pixels = torch.cat(views, dim=3).add(1).mul(127.5).round().clamp(0, 255)
    rows = pixels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()  # (N, 48, 3 * 192, 3)
    sheet = np.full((len(rows), PLATE_HEIGHT + SHEET_GAP, 3, PLATE_WIDTH + SHEET_GAP, 3), 255,
                    np.uint8)
    sheet[:, :PLATE_HEIGHT, :, :PLATE_WIDTH] = rows.reshape(-1, PLATE_HEIGHT, 3, PLATE_WIDTH, 3)
    return sheet.reshape(-1, 3 * (PLATE_WIDTH + SHEET_GAP), 3)


def run(
    data: Path, run_dir: Path, recipe: PretrainRecipe, *, variant: str = "edge",
    start: Path | None = None, options: RunOptions = DEFAULTS,
) -> dict[str, float]:
    """Pre-train and return the last dev figures. ``start``: weights of ours to continue from.

    Raises:
        UsageError: no such variant or set. DataError: the data cannot be read or has no
            plates.
    """
    seed = begin(run_dir, recipe.loop.seed, options)
    model = MaskedAutoencoder(AutoencoderConfig(reader=variant_of(variant).config))
    if start is not None:
        begin_with(model, start)
    items = load_all_plates(
        data, Split.TRAIN, recipe.narrowest, recipe.leave_out, recipe.data.memory
    )
    dev = load_all_plates(data, Split.DEV, recipe.narrowest)
    stream = PlateStream(items, RenderMaterial.load(data), recipe.data, seed)
    return train(
        model,
        batches(stream, recipe.batch_size, options.workers),
        recipe.loop,
        run_dir,
        evaluator(dev[:: max(1, len(dev) // recipe.dev_plates)], run_dir),
        task=TASK,
        options=options,
        notes={
            "variant": variant, "plates": len(items), "data_hash": data_hash(data),
            "data_recipe": dataclasses.asdict(recipe.data), "left_out": list(recipe.leave_out),
            "trained_on": trained_on(
                {f"{item.dataset} (pictures, pre-training)" for item in items},
                rendered=recipe.data.rendered > 0, earlier=(start,),
            ),
        },
    )
