"""What each part of the reader's recipe brings: short runs with one thing changed at a time.

    python -m training ablate --data DATA --runs DIR --out docs/results/ablations.json

The base is the fast recipe with the small reader; every variant is one change away from it and is
compared with the base of the same seed, on dev. The runs come one after the other; the same command
again goes on where it was stopped, on another machine too: what the report in ``out`` has of the
same recipe and data is not run again. All runs take as many steps, so that it does not matter how
busy the machine was.
The table in docs/training.md is made from the committed report.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alpr_edge.data.sample import Split
from alpr_edge.errors import UsageError
from alpr_edge.files import replace_file
from alpr_edge.markdown import replace_block
from training.checkpoint import BEST, LAST, commit, data_hash, load_weights
from training.options import DEFAULTS, RunOptions
from training.plateau import Plateau
from training.reader import pretrain
from training.reader import train as reader
from training.reader.data import evaluation_plates
from training.reader.model import VARIANTS
from training.reader.train import ReaderRecipe

ROOT = Path(__file__).parent.parent
REPORT, DOCUMENT = ROOT / "docs" / "results" / "ablations.json", ROOT / "docs" / "training.md"
BLOCK = "ablations"
SCHEMA = 4
VARIANT = "small"
"""The reader's size: it learns in half the time of the shipped one."""
STEPS = 1500
"""Of each run: about 10 minutes of one core."""
BASE, PRETRAINED, PSEUDO = "base", "pretrained", "pseudo"
ENCODER, BEGUN, RESULT = "encoder", "begun.json", "result.json"
"""The pre-training's folder among the runs; the files of a run that has begun, and of a finished
one."""
PATIENCE = 150
"""Of the plateau detection: a short run has no 2000 steps to wait."""
Figures = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """One change of the base, in words and as a recipe."""

    what: str
    recipe: ReaderRecipe


def variants(base: ReaderRecipe, encoder: Path, pseudo: Path | None) -> dict[str, Variant]:
    """All variants by name, the base first; the one with pseudo-labels where there are some."""
    network, data, loop = VARIANTS[VARIANT]().config, base.data, base.loop
    dropout = 0.0 if network.dropout else 0.1
    found = {
        BASE: ("the fast recipe", base),
        PRETRAINED: ("encoder from masked pre-training as long", replace(base, encoder=encoder)),
        "no-ctc": ("no CTC help", replace(base, network=replace(network, ctc_weight=0.0))),
        "no-rendered": ("no rendered plates", replace(base, data=replace(data, rendered=0.0))),
        "no-shear": ("no leaning plates", replace(base, data=replace(data, shear=0.0))),
        "one-cycle": ("one-cycle", replace(base, loop=replace(loop, schedule="one_cycle"))),
        "plateau": (
            f"plateau detection, patience {PATIENCE}",
            replace(base, loop=replace(
                loop, schedule="plateau", plateau=Plateau(patience=PATIENCE)
            )),
        ),
        "no-ema": ("no averaged weights", replace(base, loop=replace(loop, ema=0.0))),
        f"dropout-{dropout:g}": (
            f"dropout {dropout:g} instead of {network.dropout:g}",
            replace(base, network=replace(network, dropout=dropout)),
        ),
    }
    for strength in (0.0, 0.5, 1.5):
        found[f"augment-{strength:g}"] = (
            f"augmentation strength {strength:g} instead of {data.strength:g}",
            replace(base, data=replace(data, strength=strength)),
        )
    if pseudo is not None:
        selection = replace(base.selection, pseudo=pseudo)
        found[PSEUDO] = ("with pseudo-labels", replace(base, selection=selection))
    return {name: Variant(what=what, recipe=recipe) for name, (what, recipe) in found.items()}


def ablate(
    data: Path, runs: Path, out: Path, *, steps: int = STEPS,
    seeds: Sequence[int] = (0, 1), only: Sequence[str] = (), pseudo: Path | None = None,
    options: RunOptions = DEFAULTS,
) -> dict[str, Any]:
    """Run what is not yet finished under ``runs``, of the variants ``only`` (all) and the base;
    returns the report of all that is finished, with what the one in ``out`` had besides; it is
    there after every run.

    Raises:
        UsageError: no such variant, or a finished run had another recipe.
    """
    base = reader.fast_recipe()
    base = replace(base, loop=replace(base.loop, minutes=None, steps=steps))
    every = variants(base, runs / ENCODER / BEST, pseudo)
    for name in only:
        if name not in every:
            raise UsageError(f"--only {name}: there are {', '.join(every)}"
                             + ("" if pseudo else f"; {PSEUDO} with --pseudo FILE"))
    plates = Counter(plate.dataset for plate in evaluation_plates(data, Split.DEV))
    about = {
        "schema": SCHEMA, "variant": VARIANT, "steps": steps, "threads": options.threads,
        "commit": commit(), "data_hash": data_hash(data),
        "plates": {"exact": plates.total(), **dict(sorted(plates.items()))},
    }
    report: dict[str, Any] = {}
    found = earlier(out, about)
    recall(runs, every, found)
    others = {name: values for name, values in found.items() if name not in every}
    compared = sorted({*seeds, *(int(s) for values in found.values() for s in values["seeds"])})
    for seed in seeds:
        for name in [name for name in every if name in {BASE, *(only or every)}]:
            finish(data, runs, name, seed, every[name].recipe, options)
            report = about | {"variants": compare(runs, every, compared) | others}
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(report, indent=1) + "\n")
    if out.resolve() == REPORT:
        DOCUMENT.write_text(replace_block(DOCUMENT.read_text("utf-8"), BLOCK, table(report)))
    return report


def finish(
    data: Path, runs: Path, name: str, seed: int, recipe: ReaderRecipe, options: RunOptions
) -> None:
    """One run with its result file, unless it has that already.

    Raises:
        UsageError: that is the result of another recipe.
    """
    folder = runs / f"{name}-{seed}"
    recipe = replace(recipe, loop=replace(recipe.loop, seed=seed))
    facts = facts_of(recipe)
    for path in (folder / BEGUN, folder / RESULT):
        if path.exists() and json.loads(path.read_text())["recipe"] != facts:
            raise UsageError(f"{folder} was run with another recipe or other --steps; give "
                             "another folder for --runs, or take this one away")
    if (folder / RESULT).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / BEGUN, json.dumps({"recipe": facts}, indent=1).encode())
    if name == PRETRAINED:
        first = pretrain.pretrain_recipe()
        first = replace(first, loop=replace(first.loop, steps=recipe.loop.steps))
        pretrain.run(data, runs / ENCODER, first, variant=VARIANT, options=options)
    reader.run(data, folder, recipe, variant=VARIANT, options=options)
    figures = load_weights(folder / LAST).notes["dev"]
    told = json.dumps({"recipe": facts, "figures": figures}, indent=1)
    replace_file(folder / RESULT, told.encode())


def facts_of(recipe: ReaderRecipe) -> dict[str, Any]:
    """What a result must have been run with to count, as JSON gives it back; of a pre-trained
    encoder the recipe that :func:`finish` makes it by."""
    network = recipe.network or VARIANTS[VARIANT]().config
    first = pretrain.pretrain_recipe() if recipe.encoder else None
    facts: dict[str, Any] = json.loads(json.dumps({
        "loop": dataclasses.asdict(recipe.loop), "data": dataclasses.asdict(recipe.data),
        "network": dataclasses.asdict(network), "batch_size": recipe.batch_size,
        "selection": {"limit": recipe.selection.limit, **recipe.selection.hashes()},
        "encoder": first and dataclasses.asdict(first),
    }))
    return facts


def earlier(out: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """The variants of the report in ``out``, where it is of the same data and length; else none."""
    if not out.exists():
        return {}
    report: dict[str, Any] = json.loads(out.read_text())
    same = all(report.get(key) == about[key] for key in ("schema", "variant", "steps", "data_hash"))
    return report["variants"] if same else {}


def recall(runs: Path, every: Mapping[str, Variant], found: Mapping[str, Any]) -> None:
    """Write the result files of an earlier report's runs that are not under ``runs``, where their
    recipe is still the variant's."""
    for name, variant in every.items():
        for seed, figures in found.get(name, {}).get("seeds", {}).items():
            recipe = replace(variant.recipe, loop=replace(variant.recipe.loop, seed=int(seed)))
            facts, path = facts_of(recipe), runs / f"{name}-{seed}" / RESULT
            if found[name]["recipe"] == digest(facts) and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"recipe": facts, "figures": figures}, indent=1))


def digest(facts: Mapping[str, Any]) -> str:
    """Of a recipe, its seed left out."""
    seedless = {**facts, "loop": {**facts["loop"], "seed": None}}
    return hashlib.sha256(json.dumps(seedless, sort_keys=True).encode()).hexdigest()[:16]


def compare(
    runs: Path, every: Mapping[str, Variant], seeds: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """The figures of every finished variant by seed, and less the base's of the same seed."""
    found = {}
    for name, variant in every.items():
        figures = {
            str(seed): json.loads(path.read_text())["figures"]
            for seed in seeds if (path := runs / f"{name}-{seed}" / RESULT).exists()
        }
        if not figures:
            continue
        found[name] = {
            "what": variant.what, "recipe": digest(facts_of(variant.recipe)), "seeds": figures,
        }
        if name != BASE:
            bases = found[BASE]["seeds"]
            found[name]["difference"] = {
                seed: less(values, bases[seed]) for seed, values in figures.items()
                if seed in bases
            }
    return found


def less(figures: Figures, base: Figures) -> Figures:
    """Each figure less the base's."""
    return {name: value - base[name] for name, value in figures.items()}


def table(report: Mapping[str, Any] | None) -> str:
    """The Markdown table of a report; that nothing was run where there is none."""
    if not report:
        return "Not run yet."
    seeds = list(report["variants"][BASE]["seeds"])
    lines = [
        f"Read exactly of {report['plates']['exact']} dev plates by the {report['variant']} reader "
        f"after {report['steps']} steps, for each seed; the difference is in points.",
        "",
        f"| variant | {' | '.join(f'seed {seed}' for seed in seeds)} | less the base |",
        "|---" * (len(seeds) + 2) + "|",
    ]
    for variant in report["variants"].values():
        values = [variant["seeds"].get(seed) for seed in seeds]
        cells = ["-" if value is None else f"{value['exact']:.1%}" for value in values]
        points = [100 * d["exact"] for d in variant.get("difference", {}).values()]
        cells.append(", ".join(f"{value:+.1f}" for value in points) or "-")
        lines.append(f"| {variant['what']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def committed() -> dict[str, Any] | None:
    """The report in the repository, None where there is none."""
    report: dict[str, Any] | None = json.loads(REPORT.read_text()) if REPORT.exists() else None
    return report
