"""A report of four variants that were never measured."""

from __future__ import annotations

from optimize.evaluate import Accuracy, Latency
from optimize.networks import Kind
from optimize.report import Measured, Variant


def variant(name: str, hits: str, p50: float, size: int, **changes) -> Variant:
    facts = {
        "name": name, "task": "reader", "kind": Kind.OPENVINO, "model": name,
        "steps": ("train", "export", "convert"),
        "precision": "FP32", "height": 48, "width": 192, "parameters": 1_500_000, "zeros": 15_000,
        "macs": 120_000_000, "bytes": size, "parent": None,
        "accuracy": Accuracy(hits=hits), "latency": Latency(p50=p50, p90=p50 + 1),
    }
    return Variant(**(facts | changes))


def measured(*variants: Variant, target: str = "zen2") -> Measured:
    return Measured(
        target=target, task=variants[0].task, onednn="Intel AVX2", cpu="A CPU", openvino="1",
        threads=2, runs=9, load_before=0.1, load_after=0.2, pictures="digest", variants=variants,
        sets=(("eu", 5), ("us", 5)),
    )


ROOT = variant("fp32", "1111110000", 8.0, 4_000_000)
LOSSY = variant("lossy", "1111000000", 2.0, 1_000_000, parent="fp32")
GOOD = variant("good", "1111101000", 4.0, 2_000_000, parent="fp32")
SLOW = variant("slow", "1111100000", 9.0, 5_000_000)
