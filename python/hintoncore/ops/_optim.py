"""Optimiser updates, each in one pass over the parameters. Import them from :mod:`hintoncore.ops`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validate import Array, as_float32, as_int, as_number, as_numpy, in_place

__all__ = ["adam_update", "max_norm", "rmsprop_update", "sgd_update", "sum_of_squares"]

_SGD, _MOMENTUM, _NESTEROV, _RMSPROP, _ADAM = range(5)


def _parameter(x: Array, name: str) -> NDArray[np.float32]:
    return in_place(x, name, (x if type(x) is np.ndarray else as_numpy(x, name)).ndim)


def _step(
    rule: int,
    w: Array,
    grad: Array,
    *,
    lr: float,
    weight_decay: float,
    grad_scale: float,
    velocity: Array | None = None,
    square: Array | None = None,
    momentum: float = 0.0,
    square_decay: float = 0.0,
    epsilon: float = 0.0,
    decoupled: bool = False,
    step: int = 1,
) -> None:
    parameter = _parameter(w, "w")
    _core.optimiser_step(
        rule,
        parameter,
        as_float32(grad, "grad", parameter.ndim),
        None if velocity is None else in_place(velocity, "velocity", parameter.ndim),
        None if square is None else in_place(square, "square", parameter.ndim),
        as_number(lr, "lr"),
        as_number(momentum, "momentum"),
        as_number(square_decay, "square_decay"),
        as_number(epsilon, "epsilon"),
        as_number(weight_decay, "weight_decay"),
        bool(decoupled),
        as_number(grad_scale, "grad_scale"),
        as_int(step, "step", 1, 2**62),
    )


def sgd_update(
    w: Array,
    grad: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    velocity: Array | None = None,
    weight_decay: float = 0.0,
    grad_scale: float = 1.0,
) -> None:
    """Gradient descent, with momentum when a `velocity` is given.

    With ``g = grad_scale * grad + weight_decay * w``: ``w -= lr * g``; or
    ``velocity = momentum * velocity - lr * g`` and ``w += velocity``; or, by Nesterov's rule,
    ``w += momentum * velocity - lr * g`` with the new velocity, where `w` is kept at the point that looks ahead.

    Parameters
    ----------
    w : float32 array of any shape
        Updated in place.
    grad : array, shape of `w`
        Gradient of the loss.
    lr : float >= 0
        Learning rate.
    momentum : float in [0, 1)
        Needs `velocity` when above 0.
    nesterov : bool
        Needs `velocity`.
    velocity : float32 array, shape of `w`, optional
        Updated in place.
    weight_decay : float >= 0
        L2 penalty.
    grad_scale : float
        Factor of the gradient, as for clipping: ``min(1, limit / norm)``.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, numbers out of range, arrays that cannot be written in place. Nothing is changed
        then.
    FloatingPointError
        `w` became NaN or infinite (and is left so): the learning rate is too large.

    References
    ----------
    Polyak (1964), Some methods of speeding up the convergence of iteration methods; Sutskever, Martens, Dahl and Hinton
    (2013), On the importance of initialization and momentum in deep learning, eq. 1-4.
    """
    if nesterov and velocity is None:
        raise ValueError("nesterov: needs a velocity")
    rule = _SGD if velocity is None else _NESTEROV if nesterov else _MOMENTUM
    _step(rule, w, grad, lr=lr, weight_decay=weight_decay, grad_scale=grad_scale, velocity=velocity, momentum=momentum)


def rmsprop_update(
    w: Array,
    grad: Array,
    square: Array,
    *,
    lr: float,
    decay: float = 0.9,
    epsilon: float = 1e-8,
    momentum: float = 0.0,
    velocity: Array | None = None,
    weight_decay: float = 0.0,
    grad_scale: float = 1.0,
) -> None:
    """RMSprop: the gradient divided by a running root mean square of itself.

    With ``g = grad_scale * grad + weight_decay * w``: ``square = decay * square + (1 - decay) * g^2`` and
    ``w -= lr * g / (sqrt(square) + epsilon)``; with a `velocity`, that step goes through momentum as in
    :func:`sgd_update`.

    Parameters
    ----------
    w : float32 array of any shape
        Updated in place.
    grad : array, shape of `w`
    square : float32 array, shape of `w`
        Updated in place; zeros at first.
    lr : float >= 0
    decay : float in [0, 1)
    epsilon : float > 0
    momentum, velocity, weight_decay, grad_scale
        As in :func:`sgd_update`.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As :func:`sgd_update`.

    References
    ----------
    Tieleman and Hinton (2012), Lecture 6.5, RMSprop, Coursera: Neural networks for machine learning.
    """
    _step(
        _RMSPROP,
        w,
        grad,
        lr=lr,
        weight_decay=weight_decay,
        grad_scale=grad_scale,
        velocity=velocity,
        square=square,
        momentum=momentum,
        square_decay=decay,
        epsilon=epsilon,
    )


def adam_update(
    w: Array,
    grad: Array,
    mean: Array,
    square: Array,
    *,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = True,
    grad_scale: float = 1.0,
) -> None:
    """Adam, with decoupled weight decay (AdamW) unless told otherwise.

    ``mean = beta1 * mean + (1 - beta1) * g``, ``square = beta2 * square + (1 - beta2) * g^2``,
    ``w -= lr * m / (sqrt(s) + epsilon)`` with ``m = mean / (1 - beta1^step)`` and ``s = square / (1 - beta2^step)``,
    where ``g = grad_scale * grad``. Decoupled decay first multiplies `w` by ``1 - lr * weight_decay``; otherwise
    ``weight_decay * w`` is added to ``g``.

    Parameters
    ----------
    w : float32 array of any shape
        Updated in place.
    grad : array, shape of `w`
    mean, square : float32 arrays, shape of `w`
        Updated in place; zeros at first.
    step : int >= 1
        Number of this update.
    lr : float >= 0
    beta1, beta2 : float in [0, 1)
    epsilon : float > 0
    weight_decay : float >= 0
    decoupled : bool
    grad_scale : float

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As :func:`sgd_update`.

    References
    ----------
    Kingma and Ba (2015), Adam, algorithm 1; Loshchilov and Hutter (2019), Decoupled weight decay regularization,
    algorithm 2.
    """
    _step(
        _ADAM,
        w,
        grad,
        lr=lr,
        weight_decay=weight_decay,
        grad_scale=grad_scale,
        velocity=mean,
        square=square,
        momentum=beta1,
        square_decay=beta2,
        epsilon=epsilon,
        decoupled=decoupled,
        step=step,
    )


def sum_of_squares(x: Array) -> float:
    """Sum of the squares of all elements, the same for any number of threads.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    float
        Summed in float32 over 16384 elements at a time, then in float64.

    Raises
    ------
    ValueError, TypeError
        For an empty array or one of no real numbers.
    """
    return _core.sum_of_squares(as_float32(x, "x", as_numpy(x, "x").ndim))


def max_norm(w: Array, limit: float) -> None:
    """Scale those columns of `w` that are longer than `limit` back to it: a bound on the incoming weights of each unit.

    Parameters
    ----------
    w : float32 array, shape (I, O)
        Updated in place.
    limit : float > 0

    Raises
    ------
    ValueError, TypeError
        For a limit out of range, an array that cannot be written in place.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), Dropout, JMLR 15, section 5.1.
    """
    _core.max_norm(in_place(w, "w", 2), as_number(limit, "limit"))
