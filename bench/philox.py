"""Filling arrays with random numbers: uniform and normal float32, in draws per second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, within

_SHAPES = ((65536,), (1 << 20,))


def cases(request: Request) -> list[Case]:
    """Uniform and normal fills of N numbers for each thread count."""
    rows = []
    for threads in request.threads:
        for (count,) in request.shapes(1, _SHAPES):
            for normal in (0, 1):
                rows.append(
                    Case(
                        "philox",
                        f"{'normal' if normal else 'uniform'} {count}",
                        {"count": count, "normal": normal},
                        threads,
                        count,
                        "Gdraw/s",
                        (OURS, "numpy", "numpy (Philox)", "torch"),
                        "copy",
                        4.0 * count,
                    )
                )
    return rows


def _moments(sample: Any, normal: bool) -> float:
    """Largest deviation of the first two moments from the distribution's, in standard errors."""
    x = np.asarray(sample, dtype=np.float64).ravel()
    mean, variance, kurtosis = (0.0, 1.0, 3.0) if normal else (0.5, 1 / 12, 1.8)
    first = abs(x.mean() - mean) / np.sqrt(variance / x.size)
    second = abs(x.var() - variance) / (variance * np.sqrt((kurtosis - 1) / x.size))
    return within(float(max(first, second)), 6.0, "moments, in standard errors")


def _prepared(call: Callable[[], Any], setup: Setup) -> Prepared:
    return Prepared(call, lambda: _moments(call(), bool(setup.params["normal"])))


def ours(setup: Setup) -> Prepared:
    """`hintoncore.Generator`."""
    from hintoncore import Generator

    rng, shape = Generator(setup.seed), (setup.params["count"],)
    return _prepared((lambda: rng.normal(shape)) if setup.params["normal"] else (lambda: rng.random(shape)), setup)


def _with_numpy(bits: Any, setup: Setup) -> Prepared:
    rng, count = np.random.Generator(bits), setup.params["count"]
    if setup.params["normal"]:
        return _prepared(lambda: rng.standard_normal(count, dtype=np.float32), setup)
    return _prepared(lambda: rng.random(count, dtype=np.float32), setup)


def with_numpy(setup: Setup) -> Prepared:
    """NumPy's fastest generator, SFC64."""
    return _with_numpy(np.random.SFC64(setup.seed), setup)


def with_numpy_philox(setup: Setup) -> Prepared:
    """NumPy's Philox4x64: also counter-based."""
    return _with_numpy(np.random.Philox(setup.seed), setup)


def with_torch(setup: Setup) -> Prepared:
    """`torch.rand` and `torch.randn`."""
    import torch

    torch.manual_seed(setup.seed)
    draw, count = torch.randn if setup.params["normal"] else torch.rand, setup.params["count"]
    return _prepared(lambda: draw(count), setup)


CONTESTANTS = {OURS: ours, "numpy": with_numpy, "numpy (Philox)": with_numpy_philox, "torch": with_torch}
