"""A report as tables, for the terminal and for docs/optimize.md: one a task, all targets in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpr_edge import isa, markdown
from alpr_edge.cpu import BUSY
from alpr_edge.errors import OutputError
from alpr_edge.manifest import TASKS
from optimize.networks import Kind
from optimize.picking import front
from optimize.report import Measured, Variant, drop, speed_up
from optimize.steps import read_json

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "optimize.md"
RESULTS = ROOT / "docs" / "results"
BLOCKS = {"variants": RESULTS / "optimize.json", "shipped": RESULTS / "optimize-shipped.json"}
"""The generated parts of the document and the report of each."""
NOTHING = "Not measured yet."
_TARGETS = (*isa.CAPS, isa.NATIVE)
"""The order of the columns; the first target with accuracies is what the rest is told at."""


def tables(report: Mapping[str, Any] | None) -> str:
    """The tables of a report, one a task, then the picks; :data:`NOTHING` without."""
    if not report or not report["measured"]:
        return NOTHING
    found = [Measured.from_json(entry) for entry in report["measured"]]
    found.sort(key=lambda measured: _TARGETS.index(measured.target))
    of_tasks = [[m for m in found if m.task == task] for task in TASKS]
    parts = [table(of_task, report["split"], report["picks"]) for of_task in of_tasks if of_task]
    return "\n\n".join([*parts, *(_pick(pick) for pick in report["picks"])])


def table(
    found: Sequence[Measured], split: str, picks: Sequence[Mapping[str, Any]] = ()
) -> str:
    """One task at its targets, a row a variant of the main target: the first with accuracies."""
    main = next((m for m in found if m.root.accuracy is not None), found[0])
    others = [m for m in found if m is not main and m.root.accuracy is not None]
    picked = {pick["variant"] for pick in picks
              if (pick["task"], pick["target"]) == (main.task, main.target)}
    head = [
        "variant", "made by", "runs in", "input", "parameters", "MB", "GMAC",
        *(f"{m.target} {what}" for m in found for what in ("p50", "p90")), "faster",
        f"accuracy at {main.target}", "drop", "of AP", *(f"drop at {m.target}" for m in others),
        "front",
    ]
    rows = [
        [*_facts(variant), *(cell for m in found for cell in _times(_same(m, variant))),
         f"{speed_up(main.root, variant):.2f}x", *_accuracy(main, variant),
         *(_drop(m, _same(m, variant)) for m in others), _front(main, variant, picked)]
        for variant in sorted(main.variants, key=lambda variant: list(Kind).index(variant.kind))
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([_caption(found, main, split), "", lines[0], "|---" * len(head) + "|",
                      *lines[1:]])


def _caption(found: Sequence[Measured], main: Measured, split: str) -> str:
    what = "plates found, IoU 0.5" if main.task == "detector" else "cut-outs read exactly"
    uncapped = any(v.kind == Kind.ONNX for v in main.variants) and main.target != isa.NATIVE
    return (
        f"**{main.task}**, p50 and p90 in ms. {' '.join(_conditions(m) for m in found)} Accuracy "
        f"is {what} on {split} at {main.target}, with 95 % intervals; drop in points against "
        f"{main.root.name}, paired; faster: p50 of {main.root.name} by the variant's at "
        f"{main.target}."
        + " ONNX Runtime knows no cap: its figures are this CPU's at every target." * uncapped
    )


def _conditions(measured: Measured) -> str:
    load = measured.load_before
    busy = f" The load average was {load:.1f} before: the times are unreliable." * (load > BUSY)
    threads = f"{measured.threads} thread{'s' * (measured.threads > 1)}"
    return (
        f"{measured.target}: {measured.cpu}, oneDNN {measured.onednn}, OpenVINO "
        f"{measured.openvino}, {threads}, {measured.runs} runs taking turns.{busy}"
    )


def _same(measured: Measured, variant: Variant) -> Variant | None:
    """The same model at another target; None where it was not measured there."""
    return next((v for v in measured.variants if v.model == variant.model), None)


def _facts(variant: Variant) -> list[str]:
    zeros = f" ({variant.zeros / variant.parameters:.0%} zero)" if variant.parameters else ""
    return [
        variant.name, " → ".join(variant.steps[1:]) or variant.steps[0], variant.kind,
        f"{variant.height}x{variant.width}", f"{variant.parameters / 1e6:.2f} M{zeros}",
        f"{variant.bytes / 1e6:.2f}", f"{variant.macs / 1e9:.3f}",
    ]


def _times(variant: Variant | None) -> list[str]:
    if variant is None:
        return ["-", "-"]
    return [f"{variant.latency.p50:.2f}", f"{variant.latency.p90:.2f}"]


def _accuracy(measured: Measured, variant: Variant) -> list[str]:
    rate, lost = variant.rate, drop(measured.root, variant)
    if rate is None or lost is None:
        return ["not measured" if variant.trained else "not trained", "-", "-"]
    low, high = rate.interval()
    weak = "".join(f", {name} -{count}" for name, count in measured.weak_sets(variant).items())
    return [
        f"{rate.k}/{rate.n} = {rate.value:.1%} ({low:.1%} to {high:.1%})",
        f"{lost.hits:+.2f} ({lost.low:+.2f} to {lost.high:+.2f}){weak}",
        "-" if lost.average_precision is None else f"{lost.average_precision:+.2f}",
    ]


def _drop(measured: Measured, variant: Variant | None) -> str:
    lost = None if variant is None else drop(measured.root, variant)
    return "-" if lost is None else f"{lost.worst:+.2f}"


def _front(measured: Measured, variant: Variant, picked: set[str]) -> str:
    on_front = variant.name in {other.name for other in front(measured)}
    if variant.name in picked:
        return "yes, pick" if on_front else "pick, **not on the front**"
    return "yes" if on_front else ""


def _pick(pick: Mapping[str, Any]) -> str:
    predicted = f" (predicted from {pick['measured_at']})" * pick["predicted"]
    beaten = ", not on the front" * (pick["variant"] not in pick["front"])
    return (
        f"Pick for {pick['task']} on {pick['target']}{predicted}: **{pick['variant']}**, "
        f"{pick['speed_up']:.2f} times as fast, drop {pick['drop']:+.2f} of at most "
        f"{pick['max_drop']:g} points{beaten}."
    )


def document(text: str) -> str:
    """docs/optimize.md with the tables of the committed reports.

    Raises:
        DataError: its markers are missing.
    """
    for block, committed in BLOCKS.items():
        text = markdown.replace_block(text, block, tables(read_json(committed)))
    return text


def write_document() -> Path:
    """Write docs/optimize.md anew.

    Raises:
        DataError: its markers are missing. OutputError: it cannot be written.
    """
    try:
        DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")
    except OSError as error:
        raise OutputError(f"{DOCUMENT} cannot be written: {error.strerror}") from error
    return DOCUMENT
