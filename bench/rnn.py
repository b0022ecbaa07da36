"""A rectified recurrent layer over whole sequences, forward and backward, as in an IRNN that reads a pixel a step.

h_t = max(0, x_t w_x + b + h_{t-1} w_h) for all steps, then the gradients of w_x, b and w_h from that of the last state.
The floor is three products of H x H with every state (forward, backward, weights' gradient) at the multiply-add
ceiling; ours also pays for the lanes past H, 12 % at H = 100 with 16 lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness.cases import OURS, Case, Prepared, Request, Setup, Target, within

_SHAPES = ((784, 64, 100),)
_INPUTS = 1
_PEERS = ("numpy", "torch (loop)", "torch (nn.RNN)")


def cases(request: Request) -> list[Case]:
    """A forward and backward pass for each TxBxH and thread count."""
    rows = []
    for threads in request.threads:
        for steps, batch, hidden in request.shapes(3, _SHAPES):
            flop = 2.0 * steps * batch * hidden * (3 * hidden + 2 * _INPUTS)
            judged = threads == 2 and request.best
            rows.append(
                Case(
                    "rnn",
                    f"IRNN forward + backward {steps}x{batch}x{hidden}",
                    {"steps": steps, "batch": batch, "hidden": hidden},
                    threads,
                    flop,
                    "GFLOP/s",
                    (OURS, *_PEERS),
                    "fma",
                    flop,
                    targets=(Target(("torch (loop)",), 5.0), Target(("torch (nn.RNN)",), 1.5)) if judged else (),
                )
            )
    return rows


class _Problem:
    """The IRNN near its start, a batch of pixels, and the gradient that arrives at the last state."""

    def __init__(self, setup: Setup) -> None:
        p = setup.params
        steps, batch, hidden = p["steps"], p["batch"], p["hidden"]
        draw = np.random.Generator(np.random.SFC64(setup.seed))

        def normal(*shape: int) -> Any:
            return draw.standard_normal(shape, dtype=np.float32)

        self.x = draw.random((steps, batch, _INPUTS), dtype=np.float32)
        self.w_x, self.b = np.float32(0.1) * normal(_INPUTS, hidden), np.zeros(hidden, np.float32)
        # Not the identity itself, with which a wrong order of units would go unseen.
        self.w_h = np.eye(hidden, dtype=np.float32) + np.float32(0.01 / np.sqrt(hidden)) * normal(hidden, hidden)
        self.dh = normal(batch, hidden)

    def error(self, dw_x: Any, db: Any, dw_h: Any) -> float:
        """Largest difference of a gradient from float64's, relative to its largest element."""
        from hintoncore import reference

        h = reference.rnn_inputs(self.x, self.w_x, self.b, self.w_h)
        exact = reference.rnn_inputs_backward(h, self.x, self.w_h, self.dh)
        errors = [
            float(np.abs(np.asarray(found) - right).max() / np.abs(right).max())
            for found, right in zip((dw_x, db, dw_h), exact, strict=False)
        ]
        return within(max(errors), 1e-3, "gradients")  # over some 800 steps


def ours(setup: Setup) -> Prepared:
    """`hintoncore.ops.rnn_inputs` and `rnn_inputs_backward`."""
    from hintoncore import ops

    p = _Problem(setup)
    h = np.empty((*p.x.shape[:2], p.w_h.shape[0]), np.float32)

    def call() -> Any:
        ops.rnn_inputs(p.x, p.w_x, p.b, p.w_h, out=h)
        return ops.rnn_inputs_backward(h, p.x, p.w_h, p.dh)[:3]

    return Prepared(call, lambda: p.error(*call()))


def with_numpy(setup: Setup) -> Prepared:
    """A product into a preallocated state each step; the weights' gradient as one product over all of them."""
    p = _Problem(setup)
    steps, batch, hidden = *p.x.shape[:2], p.w_h.shape[0]
    h, g = (np.empty((steps, batch, hidden), np.float32) for _ in range(2))
    zero, carried = np.zeros((batch, hidden), np.float32), np.empty((batch, hidden), np.float32)
    back = np.ascontiguousarray(p.w_h.T)

    def call() -> Any:
        state: Any = zero
        for t in range(steps):
            np.matmul(state, p.w_h, out=h[t])
            h[t] += p.x[t] * p.w_x
            h[t] += p.b
            state = np.maximum(h[t], 0, out=h[t])
        carried[...] = p.dh
        for t in range(steps - 1, -1, -1):
            np.multiply(carried, h[t] > 0, out=g[t])
            np.matmul(g[t], back, out=carried)
        rows = g.reshape(-1, hidden)
        dw_h = h[:-1].reshape(-1, hidden).T @ g[1:].reshape(-1, hidden)
        return p.x.reshape(-1, _INPUTS).T @ rows, rows.sum(0), dw_h

    return Prepared(call, lambda: p.error(*call()))


def with_torch_loop(setup: Setup) -> Prepared:
    """Eager torch as one writes it: a loop over steps, and its autograd."""
    import torch

    p = _Problem(setup)
    x, dh = torch.from_numpy(p.x), torch.from_numpy(p.dh)
    weights = [torch.from_numpy(array.copy()).requires_grad_() for array in (p.w_x, p.b, p.w_h)]
    w_x, b, w_h = weights
    zero = torch.zeros_like(dh)

    def call() -> Any:
        for weight in weights:
            weight.grad = None
        state: Any = zero
        for pixel in x:
            state = torch.relu(torch.addmm(torch.addmm(b, pixel, w_x), state, w_h))
        state.backward(dh)
        return [weight.grad for weight in weights]

    return Prepared(call, lambda: p.error(*call()))


def with_torch_rnn(setup: Setup) -> Prepared:
    """`torch.nn.RNN`, whose loop is in C++."""
    import torch

    p = _Problem(setup)
    hidden = p.w_h.shape[0]
    x, dh = torch.from_numpy(p.x), torch.from_numpy(p.dh)
    layer: Any = torch.nn.RNN(_INPUTS, hidden, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.from_numpy(p.w_x.T.copy()))
        layer.weight_hh_l0.copy_(torch.from_numpy(p.w_h.T.copy()))
        layer.bias_ih_l0.copy_(torch.from_numpy(p.b))
        layer.bias_hh_l0.zero_()

    def call() -> Any:
        layer.zero_grad()
        _, last = layer(x)
        last[0].backward(dh)
        gradients: Any = (layer.weight_ih_l0.grad, layer.bias_ih_l0.grad, layer.weight_hh_l0.grad)
        return gradients

    def check() -> float:
        dw_x, db, dw_h = call()
        return p.error(dw_x.T, db, dw_h.T)

    return Prepared(call, check)


CONTESTANTS = {
    OURS: ours,
    "numpy": with_numpy,
    "torch (loop)": with_torch_loop,
    "torch (nn.RNN)": with_torch_rnn,
}
