"""Two-dimensional convolution, forward and backward (dx, dw and db), in float32 on square images and kernels.

The floor is the products of the patches with the weights at the multiply-add ceiling, once forward and twice backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

# (B, C, O, H, K, stride, padding): the primary capsules of Sabour, Frosst and Hinton (2017) on 20 x 20 feature maps,
# which are judged, and usual layers.
_CAPSULES = (32, 256, 256, 20, 9, 2, 0)
_SHAPES = (
    _CAPSULES,
    (32, 64, 64, 28, 3, 1, 1),
    (32, 64, 128, 28, 3, 2, 1),
    (32, 32, 64, 14, 5, 1, 2),
    (32, 256, 256, 14, 1, 1, 0),
    (32, 1, 256, 28, 9, 1, 0),
)


def cases(request: Request) -> list[Case]:
    """Forward and backward for each BxCxOxHxKxS (then without padding) and thread count."""
    rows = []
    shapes = _SHAPES if not request.sizes else tuple((*size, 0) for size in request.shapes(6, ()))
    for threads in request.threads:
        for shape in shapes:
            batch, n_in, n_out, size, kernel, stride, padding = shape
            out = (size + 2 * padding - kernel) // stride + 1
            if out < 1:
                continue
            judged = shape == _CAPSULES and threads == 2 and request.best
            for backward in (0, 1):
                flop = 2.0 * batch * n_out * out * out * n_in * kernel * kernel * (1 + backward)
                what = f"{kernel}x{kernel}/{stride} {n_in}->{n_out} on {size}x{size} B={batch}"
                rows.append(
                    Case(
                        "conv",
                        f"{'backward' if backward else 'forward'} {what}",
                        {
                            "batch": batch,
                            "n_in": n_in,
                            "n_out": n_out,
                            "size": size,
                            "kernel": kernel,
                            "stride": stride,
                            "padding": padding,
                            "backward": backward,
                        },
                        threads,
                        flop,
                        "GFLOP/s",
                        (OURS, "torch"),
                        "fma",
                        flop,
                        targets=(Target(("torch",), 1.0),) if judged else (),
                    )
                )
    return rows


class _Problem:
    """Images, weights, and the gradient that comes back."""

    def __init__(self, setup: Setup) -> None:
        p = setup.params
        draw = np.random.Generator(np.random.SFC64(setup.seed))
        taps = p["n_in"] * p["kernel"] ** 2
        out = (p["size"] + 2 * p["padding"] - p["kernel"]) // p["stride"] + 1
        self.x = draw.standard_normal((p["batch"], p["n_in"], p["size"], p["size"]), dtype=np.float32)
        self.w = draw.standard_normal((p["n_out"], p["n_in"], p["kernel"], p["kernel"]), dtype=np.float32)
        self.w /= np.float32(np.sqrt(taps))
        self.b = draw.standard_normal(p["n_out"], dtype=np.float32)
        self.dy = draw.standard_normal((p["batch"], p["n_out"], out, out), dtype=np.float32)
        self.y = np.zeros_like(self.dy)  # an activation would need it
        self.stride, self.padding, self.backward = p["stride"], p["padding"], bool(p["backward"])

    def error(self, found: tuple[Any, ...]) -> float:
        """Largest relative difference of the output, or of the gradients, from float64."""
        from hintoncore import reference

        how: dict[str, Any] = {"stride": self.stride, "padding": self.padding}
        exact: tuple[Any, ...]
        if self.backward:
            exact = reference.conv2d_backward(self.x, self.w, self.y, self.dy, **how)
        else:
            exact = (reference.conv2d(self.x, self.w, self.b, **how),)
        differences = [np.abs(np.asarray(a) - e).max() / np.abs(e).max() for a, e in zip(found, exact, strict=True)]
        return within(float(max(differences)), 2e-5, "gradients" if self.backward else "output")


def _prepared(p: _Problem, forward: Callable[[], Any], backward: Callable[[], tuple[Any, ...]]) -> Prepared:
    if p.backward:
        return Prepared(backward, lambda: p.error(backward()))
    return Prepared(forward, lambda: p.error((forward(),)))


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.conv2d` and `conv2d_backward` into given arrays."""
    from hintoncore import ops

    p = _Problem(setup)
    out = np.empty_like(p.y)
    gradients = np.empty_like(p.x), np.empty_like(p.w), np.empty_like(p.b)
    return _prepared(
        p,
        lambda: ops.conv2d(p.x, p.w, p.b, stride=p.stride, padding=p.padding, out=out),
        lambda: ops.conv2d_backward(p.x, p.w, p.y, p.dy, stride=p.stride, padding=p.padding, out=gradients),
    )


def with_torch(setup: Setup) -> Prepared:
    """torch's convolution; the backward pass as autograd runs it, without its bookkeeping."""
    import torch

    p = _Problem(setup)
    x, w, b, dy = (torch.from_numpy(array) for array in (p.x, p.w, p.b, p.dy))
    strides, paddings = [p.stride] * 2, [p.padding] * 2

    def backward() -> tuple[Any, ...]:
        found: tuple[Any, ...] = torch.ops.aten.convolution_backward(
            dy, x, w, [len(p.b)], strides, paddings, [1, 1], False, [0, 0], 1, [True, True, True]
        )
        return found

    return _prepared(p, lambda: torch.nn.functional.conv2d(x, w, b, strides, paddings), backward)


CONTESTANTS = {OURS: ours, "torch": with_torch}
