"""Figures of whole programs: an epoch of MNIST-sized training, its peak memory, import time, size of the wheel.

These have limits instead of peers, and each is measured in fresh processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .harness.libraries import environment

Limit = dict[str, Any]

NAMES = ("epoch", "import", "wheel")
_PACKAGE = __name__.rpartition(".")[0]
_IMAGES, _PIXELS, _HIDDEN, _BATCH = 60000, 784, 500, 100
_MEGABYTE = 1e6


def _limit(case: str, unit: str, value: float | None, limit: float | None, note: str, **more: Any) -> Limit:
    """One line of the table; `limit` None only reports."""
    reached = None if value is None or limit is None else value <= limit
    return {
        "family": "system",
        "case": case,
        "unit": unit,
        "value": value,
        "limit": limit,
        "reached": reached,
        "note": note,
        **more,
    }


def peak_memory() -> int:
    """Bytes of the largest resident set of this process so far.

    /proc counts from exec; getrusage also counts what the parent had in memory when it started this process.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _images() -> tuple[Any, str]:
    """The MNIST training images, or noise of the same shape and ink, as float32."""
    import numpy as np

    from hintoncore import datasets

    try:
        data = datasets.load("mnist")
    except FileNotFoundError:
        draw = np.random.Generator(np.random.SFC64(0))
        images = draw.random((_IMAGES, _PIXELS), dtype=np.float32)
        np.less(images, np.float32(0.13), out=images)
        return images, "synthetic images of MNIST's shape (no MNIST found)"
    return data.train, "MNIST"


def train_epoch() -> None:
    """Body of the child process: one epoch of CD-1 from the float32 images, with its cost printed as JSON."""
    import hintoncore

    base = peak_memory()
    images, what = _images()
    loaded = peak_memory()
    packed = hintoncore.datasets.binarize(images)
    visible = images.shape[1]
    size = images.nbytes + 4 * (visible * _HIDDEN + visible + _HIDDEN)
    del images
    model = hintoncore.models.RBM(visible, _HIDDEN, seed=0)
    start = perf_counter()
    model.fit(packed, epochs=1, k=1, batch_size=_BATCH)
    seconds = perf_counter() - start
    print(
        json.dumps(
            {
                "seconds": seconds,
                "rows": packed.shape[0],
                "base": base,
                "loaded": loaded,
                "peak": peak_memory(),
                "size": size,
                "data": what,
            }
        )
    )


def _child(code: str, threads: int, isa: str | None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(isa, threads),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        raise RuntimeError(words[-1][:300] if words else f"exit status {done.returncode}")
    return done.stdout


def epoch(threads: int, isa: str, rounds: int) -> list[Limit]:
    """Seconds of an epoch of 60,000 images with 500 hidden units, CD-1, B=100, and the peak memory of that process."""
    name = f"epoch of {_IMAGES} images, {_PIXELS}-{_HIDDEN}, CD-1, B={_BATCH}"
    memory = "peak memory of that epoch"
    try:
        code = f"from {_PACKAGE}.system import train_epoch; train_epoch()"
        runs = [json.loads(_child(code, threads, isa)) for _ in range(rounds)]
    except RuntimeError as error:
        return [_limit(name, "s", None, None, str(error)), _limit(memory, "MB", None, None, str(error))]
    seconds = [run["seconds"] for run in runs]
    peak = median(run["peak"] for run in runs)
    first = runs[0]
    note = (
        f"limit 1.3 x (data as float32 + model); interpreter and libraries alone {first['base'] / _MEGABYTE:.0f} MB, "
        f"after loading the data {first['loaded'] / _MEGABYTE:.0f} MB"
    )
    return [
        _limit(name, "s", median(seconds), None, f"{first['data']}, {threads} threads, {isa}", rounds=seconds),
        _limit(memory, "MB", peak / _MEGABYTE, 1.3 * first["size"] / _MEGABYTE, note),
    ]


def import_time(rounds: int) -> list[Limit]:
    """Milliseconds that `import hintoncore` takes beyond `import numpy`, each in its own process, interleaved."""
    code = "from time import perf_counter as t; s = t(); import {}; print(t() - s)"
    times: dict[str, list[float]] = {"numpy": [], "hintoncore": []}
    try:
        for _ in range(rounds + 1):
            for name, values in times.items():
                values.append(1e3 * float(_child(code.format(name), 1, None)))
    except RuntimeError as error:
        return [_limit("import beyond numpy's", "ms", None, None, str(error))]
    numpy, ours = (median(values[1:]) for values in (times["numpy"], times["hintoncore"]))  # first: cold caches
    note = f"import numpy {numpy:.0f} ms, import hintoncore {ours:.0f} ms"
    return [_limit("import beyond numpy's", "ms", ours - numpy, 150.0, note)]


def wheel_size(path: str | None) -> list[Limit]:
    """Megabytes of the wheel given with --wheel."""
    if path is None:
        return []
    return [_limit("wheel", "MB", Path(path).stat().st_size / _MEGABYTE, 10.0, Path(path).name)]


def measure(name: str, threads: int, isa: str, rounds: int, wheel: str | None) -> list[Limit]:
    """The lines of one of NAMES."""
    if name == "epoch":
        return epoch(threads, isa, max(1, rounds // 2))
    if name == "import":
        return import_time(rounds)
    return wheel_size(wheel)
