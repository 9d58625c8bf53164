"""A fresh process of ``python -m benchmarks cold``: MODELS THREADS PICTURE [CACHE].

Prints one JSON object: the milliseconds of each step.
"""

import time

_BEGIN = time.perf_counter()  # before anything of the runtime is imported

import functools  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402

from alpr_edge.detector import PlateDetector  # noqa: E402
from alpr_edge.engine import Engine  # noqa: E402
from alpr_edge.pipeline import ALPR  # noqa: E402
from alpr_edge.reader import PlateReader  # noqa: E402
from alpr_edge.tuning import Chooser  # noqa: E402

_IMPORTED = time.perf_counter()


def main(models: str, threads: str, picture: str, cache: str | None = None) -> None:
    """Load the networks and read one picture."""
    load = functools.partial(Engine, cache_dir=cache)
    chooser = Chooser(models=models)
    detector = PlateDetector(
        chooser.setting("detector").folder, threads=int(threads), load=load
    )
    setting = chooser.setting("reader")
    reader = PlateReader(setting.folder, threads=setting.threads, load=load)
    alpr = ALPR(detector=detector, reader=reader)
    begin = time.perf_counter()
    alpr.predict(picture)
    first = time.perf_counter() - begin
    engines = *detector.engines.values(), reader.engine
    steps = {
        "import": 1e3 * (_IMPORTED - _BEGIN),
        "load": sum(engine.load_ms for engine in engines),
        "compile": sum(engine.compile_ms for engine in engines),
        "first_result": 1e3 * first,
    }
    print(json.dumps({name: round(ms, 3) for name, ms in steps.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
