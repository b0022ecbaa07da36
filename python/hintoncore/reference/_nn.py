"""Readable NumPy versions of the kernels of layers, losses and optimisers; :mod:`hintoncore.reference` has them all.

Float64 inside, nothing compiled, no argument changed: an update returns the new parameter and state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "adam_update",
    "dropout",
    "embedding",
    "embedding_add",
    "layer_norm",
    "layer_norm_backward",
    "max_norm",
    "rmsprop_update",
    "sgd_update",
    "softmax",
    "softmax_cross_entropy",
]

Float64Array = NDArray[np.float64]


def _float64(x: ArrayLike) -> Float64Array:
    return np.asarray(x, dtype=np.float64)


def softmax(x: ArrayLike) -> Float64Array:
    """Softmax of each row (Bridle 1990, eq. 7).

    Parameters
    ----------
    x : array, shape [B, N]
    """
    x = _float64(x)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def softmax_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> tuple[float, Float64Array]:
    """Mean over rows of ``-sum_j t_j log softmax(logits)_j`` and its gradient (Bridle 1990, eq. 13).

    Parameters
    ----------
    logits : array, shape [B, N]
    targets : integers, shape [B], or weights of the classes, shape [B, N]
    """
    x = _float64(logits)
    t = np.asarray(targets)
    t = np.eye(x.shape[1])[t] if t.ndim == 1 else _float64(t)
    below = x - x.max(axis=1, keepdims=True)
    log_p = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    loss = -np.sum(np.where(t == 0, 0.0, t * log_p)) / len(x)
    return float(loss), np.asarray((np.exp(log_p) * t.sum(axis=1, keepdims=True) - t) / len(x))


def layer_norm(
    x: ArrayLike, gain: ArrayLike | None = None, shift: ArrayLike | None = None, *, epsilon: float = 1e-5
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Layer normalisation of each row (Ba, Kiros and Hinton 2016, eq. 3-4); returns it, the means and 1 / std.

    Parameters
    ----------
    x : array, shape [B, N]
    gain, shift : arrays, shape [N], optional
    epsilon : float
    """
    x = _float64(x)
    mean = x.mean(axis=1)
    inverse_std = 1.0 / np.sqrt(x.var(axis=1) + epsilon)
    y = (x - mean[:, None]) * inverse_std[:, None]
    if gain is not None:
        y = y * _float64(gain)
    if shift is not None:
        y = y + _float64(shift)
    return y, mean, inverse_std


def layer_norm_backward(
    x: ArrayLike, mean: ArrayLike, inverse_std: ArrayLike, dy: ArrayLike, gain: ArrayLike | None = None
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Gradients of :func:`layer_norm` with respect to x, gain and shift.

    Parameters
    ----------
    x, dy : arrays, shape [B, N]
    mean, inverse_std : arrays, shape [B]
    gain : array, shape [N], optional
    """
    d, inverse = _float64(dy), _float64(inverse_std)[:, None]
    normal = (_float64(x) - _float64(mean)[:, None]) * inverse
    g = d if gain is None else d * _float64(gain)
    dx = inverse * (g - g.mean(axis=1, keepdims=True) - normal * (g * normal).mean(axis=1, keepdims=True))
    return dx, (d * normal).sum(axis=0), d.sum(axis=0)


def dropout(x: ArrayLike, *, rate: float, seed: int, offset: int, first_sample: int = 0) -> Float64Array:
    """``x / (1 - rate)`` where the draw of (unit, sample) is below ``1 - rate``, else 0 (Hinton et al. 2012).

    Parameters
    ----------
    x : array, shape [B, N]
    rate : float
    seed, offset : int
        Of the draws.
    first_sample : int
        Sample index of row 0.
    """
    from hintoncore.reference import layer_uniforms  # which re-exports this module

    x = _float64(x)
    keep = float(np.float32(1) - np.float32(rate))
    draws = layer_uniforms(seed, offset, first_sample + x.shape[0], x.shape[1])[first_sample:]
    return np.where(draws < keep, x / keep, 0.0)


def embedding(table: ArrayLike, index: ArrayLike) -> Float64Array:
    """``table[index]``."""
    return np.asarray(_float64(table)[np.asarray(index)])


def embedding_add(table: ArrayLike, index: ArrayLike, dy: ArrayLike, *, scale: float = 1.0) -> Float64Array:
    """``table`` with ``scale * dy[i]`` added to each row ``index[i]``."""
    result = np.array(table, dtype=np.float64)
    np.add.at(result, np.asarray(index), scale * _float64(dy))
    return result


def sgd_update(
    w: ArrayLike,
    grad: ArrayLike,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    velocity: ArrayLike | None = None,
    weight_decay: float = 0.0,
    grad_scale: float = 1.0,
) -> tuple[Float64Array, ...]:
    """Gradient descent; with a velocity, momentum (Polyak 1964) or Nesterov's form of it (Sutskever et al. 2013).

    Returns the new w and, where there is one, the new velocity.
    """
    w = _float64(w)
    step = lr * (grad_scale * _float64(grad) + weight_decay * w)
    if velocity is None:
        return (w - step,)
    new = momentum * _float64(velocity) - step
    return (w + momentum * new - step, new) if nesterov else (w + new, new)


def rmsprop_update(
    w: ArrayLike,
    grad: ArrayLike,
    square: ArrayLike,
    *,
    lr: float,
    decay: float = 0.9,
    epsilon: float = 1e-8,
    momentum: float = 0.0,
    velocity: ArrayLike | None = None,
    weight_decay: float = 0.0,
    grad_scale: float = 1.0,
) -> tuple[Float64Array, ...]:
    """RMSprop (Tieleman and Hinton 2012); returns the new w, square and, where there is one, velocity."""
    w = _float64(w)
    g = grad_scale * _float64(grad) + weight_decay * w
    new = decay * _float64(square) + (1 - decay) * g**2
    step = lr * g / (np.sqrt(new) + epsilon)
    if velocity is None:
        return w - step, new
    moved = momentum * _float64(velocity) - step
    return w + moved, new, moved


def adam_update(
    w: ArrayLike,
    grad: ArrayLike,
    mean: ArrayLike,
    square: ArrayLike,
    *,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = True,
    grad_scale: float = 1.0,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Adam (Kingma and Ba 2015, algorithm 1) or AdamW; returns the new w, mean and square."""
    w = _float64(w)
    g = grad_scale * _float64(grad)
    if decoupled:
        w = w * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * w
    m = beta1 * _float64(mean) + (1 - beta1) * g
    s = beta2 * _float64(square) + (1 - beta2) * g**2
    return w - lr * (m / (1 - beta1**step)) / (np.sqrt(s / (1 - beta2**step)) + epsilon), m, s


def max_norm(w: ArrayLike, limit: float) -> NDArray[np.float64]:
    """``w`` with the columns longer than ``limit`` scaled back to it (Srivastava et al. 2014, section 5.1)."""
    w = _float64(w)
    norm = np.sqrt((w**2).sum(axis=0))
    return w * np.where(norm > limit, limit / np.maximum(norm, limit), 1.0)
