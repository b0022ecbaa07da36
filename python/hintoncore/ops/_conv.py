"""Convolution of images. Import it from :mod:`hintoncore.ops`."""

from __future__ import annotations

from .. import _core
from .._validate import Array, as_float32, as_int, given, in_place, like
from ._dense import _activation, _result

__all__ = ["conv2d", "conv2d_backward"]

_LIMIT = 2**29 - 1  # of a stride or padding


def _pair(value: object, name: str, low: int) -> tuple[int, int]:
    """Of rows and of columns."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name}: expected an integer or a pair of them, got {value!r}")
        return as_int(value[0], name, low, _LIMIT), as_int(value[1], name, low, _LIMIT)
    number = as_int(value, name, low, _LIMIT)
    return number, number


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    activation: str = "none",
    out: Array | None = None,
) -> Array:
    """Two-dimensional convolution of a batch of images, bias and activation fused.

    ``y[n, o, i, j] = f(b[o] + sum over c, p, q of w[o, c, p, q] x[n, c, i sy + p - py, j sx + q - px])``, with zeros
    around the images. The kernel is not flipped.

    One matrix product of the weights with the patches that the output pixels look at. The matrix of patches (im2col),
    kh kw / (sy sx) times as large as `x`, is never stored: panels of it are packed from the images, 4 MB at a time.
    Beside the result, memory is these panels, the padded rows of the images that they come from, and a block of packed
    weights for each thread. Every element is summed in an order that depends on C, kh and kw alone: an image has
    the same bits alone as in a batch, for any number of threads, and at every ISA level with fused multiply-add.

    Parameters
    ----------
    x : array, shape (B, C, H, W)
    w : array, shape (O, C, kh, kw)
    b : array, shape (O,), optional
    stride : int or pair of int, >= 1
        Pixels from one patch to the next, along columns of pixels (sy) and along rows (sx).
    padding : int or pair of int, >= 0
        Rows (py) and columns (px) of zeros added on each side.
    activation : {"none", "relu", "sigmoid", "tanh"}
    out : float32 array, shape (B, O, OH, OW), optional
        Written and returned; C-contiguous, writeable, sharing no memory with the inputs.

    Returns
    -------
    array of float32, shape (B, O, OH, OW)
        With OH = (H + 2 py - kh) // sy + 1 and OW likewise; of the kind `x` is.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not agree, a kernel larger than the padded image, empty arrays, strides below 1, negative
        padding, an unknown activation, an `out` that cannot be written in place.

    References
    ----------
    LeCun et al. (1989), Backpropagation applied to handwritten zip code recognition, Neural Computation 1; Chetlur et
    al. (2014), cuDNN: efficient primitives for deep learning, section 3.1, on patches that are never stored.
    """
    code = _activation(activation)
    strides, paddings = _pair(stride, "stride", 1), _pair(padding, "padding", 0)
    bias = None if b is None else as_float32(b, "b", 1)
    target = None if out is None else in_place(out, "out", 4)
    y = _core.conv2d(as_float32(x, "x", 4), as_float32(w, "w", 4), bias, strides, paddings, code, target)
    return _result(x, out, y)


def conv2d_backward(
    x: Array,
    w: Array,
    y: Array,
    dy: Array,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    activation: str = "none",
    out: tuple[Array | None, Array | None, Array | None] | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`conv2d`.

    With ``g = f'(pre) * dy``, the derivative written in the output as in :func:`linear_backward`: ``dw`` is g times the
    patches, ``db`` the sum of g over images and pixels, and ``dx`` the sum over the taps of ``w[:, :, p, q].T @ g``,
    each added where that tap of a pixel lies. So `dx` takes no more multiplications than the forward pass, whatever the
    stride, and so does `dw`. As there, patches are not stored; beside the results, memory is as for :func:`conv2d`, and
    with an activation g itself.

    Parameters
    ----------
    x : array, shape (B, C, H, W)
    w : array, shape (O, C, kh, kw)
    y : array, shape (B, O, OH, OW)
        Output of :func:`conv2d` for these arguments.
    dy : array, shape (B, O, OH, OW)
        Gradient of the loss with respect to `y`.
    stride, padding, activation
        As given to :func:`conv2d`.
    out : tuple of three float32 arrays or None, optional
        Where to write dx, dw and db; C-contiguous, writeable, sharing no memory with anything else. What is None is not
        computed: the first layer of a network needs no dx.

    Returns
    -------
    dx : array of float32, shape (B, C, H, W)
    dw : array of float32, shape (O, C, kh, kw)
    db : array of float32, shape (O,)
        Of the kind `x` is. The same bits for any number of threads; dx of an image also in any batch.

    Raises
    ------
    ValueError, TypeError
        As :func:`conv2d`.

    References
    ----------
    LeCun et al. (1989), Backpropagation applied to handwritten zip code recognition, Neural Computation 1.
    """
    code = _activation(activation)
    strides, paddings = _pair(stride, "stride", 1), _pair(padding, "padding", 0)
    arrays = as_float32(x, "x", 4), as_float32(w, "w", 4), as_float32(y, "y", 4), as_float32(dy, "dy", 4)
    targets = None
    if out is not None:
        if not isinstance(out, tuple) or len(out) != 3:
            raise TypeError(f"out: expected a tuple of three arrays or None: for dx, dw and db, got {given(out)}")
        dims = (("out[0]", 4), ("out[1]", 4), ("out[2]", 1))
        found = [None if o is None else in_place(o, *dim) for o, dim in zip(out, dims, strict=True)]
        targets = found[0], found[1], found[2]
    gradients = _core.conv2d_backward(*arrays, strides, paddings, code, targets)
    if out is not None:
        return out
    dx, dw, db = (like(x, gradient) for gradient in gradients)
    return dx, dw, db
