"""The kernels on NVIDIA GPUs. Importing this needs neither a GPU nor a driver nor a build with CUDA.

:func:`status` says what is there. :func:`gibbs_step` is what :func:`hintoncore.ops.gibbs_step` calls for arrays on a
CUDA device; :func:`gibbs_step_packed` runs on memory of the caller's, bit-packed, without an allocation.

Work is enqueued on the caller's stream and nothing waits for it. So values are not looked at: NaN in the weights or
states other than 0 and 1 are the caller's to keep out.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

from ._errors import HintonCoreError
from ._validate import as_int, as_number, given

__all__ = ["gibbs_step", "gibbs_step_packed", "is_cuda_array", "status"]

_DLPACK_CUDA = 2
_UINT64_MAX = 2**64 - 1
_MAX_SAMPLES = 2**34


def status() -> dict[str, Any]:
    """What the build and the machine offer. Never raises for a missing build, driver or device.

    Returns
    -------
    dict
        ``built``: the CUDA extension is part of this installation and loads. ``available``: it can run here.
        ``reason``: why not, or "". ``devices``: list of dicts with name, compute_capability, multiprocessors and
        memory_bytes. ``driver_version`` and ``runtime_version``: 1000 * major + 10 * minor, or 0.
    """
    try:
        module = _load()
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return {
            "built": False,
            "available": False,
            "reason": "built without CUDA" if missing else f"the CUDA extension does not load: {error}",
            "devices": [],
            "driver_version": 0,
            "runtime_version": 0,
        }
    result: dict[str, Any] = module.status()
    return result


def is_cuda_array(x: object) -> bool:
    """Whether `x` offers DLPack and lives on a CUDA device."""
    device = getattr(x, "__dlpack_device__", None)
    return device is not None and int(device()[0]) == _DLPACK_CUDA


def gibbs_step(
    v: Any,
    w: Any,
    b: Any,
    *,
    seed: int,
    offset: int,
    transpose: bool = False,
    temperature: float = 1.0,
    return_probs: bool = False,
    first_sample: int = 0,
) -> Any:
    """Sample one layer of a Bernoulli RBM given the other, on the GPU that `v` is on.

    As :func:`hintoncore.ops.gibbs_step`, with the same draws, except that values are not checked: any value of `v` but
    0 counts as 1. Memory comes from torch, which must be installed. Work goes to torch's current stream.

    Parameters
    ----------
    v : array on a CUDA device, shape (B, V), or (B, H) when `transpose`
        torch tensor, or anything with ``__dlpack__`` whose library has an array API namespace.
    w : array on the same device, shape (V, H)
    b : array on the same device, shape (H,), or (V,) when `transpose`
    seed, offset : int in [0, 2**64)
        Name the draws.
    temperature : float > 0
    return_probs : bool
    first_sample : int
        Index of the first row in a larger batch, a multiple of 64.

    Returns
    -------
    sample : float32 array of 0/1, shape (B, H) or (B, V), of the kind of `v`
    probs : float32 array of the same shape
        Only with `return_probs`.

    Raises
    ------
    ValueError, TypeError
        For arrays that do not fit together or are not on one CUDA device.
    HintonCoreError
        Without CUDA in the build, a driver, a device or torch, and for what CUDA refuses.
    """
    states_name = "h" if transpose else "v"
    for name, x in ((states_name, v), ("w", w), ("b", b)):
        if not is_cuda_array(x):
            raise TypeError(f"{name}: expected an array on a CUDA device, got {given(x)}")
    module = _require()
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise HintonCoreError(
            "gibbs_step on CUDA arrays allocates through torch, which is not installed; "
            "hintoncore.cuda.gibbs_step_packed works on memory of yours"
        ) from None

    def tensor(x: Any) -> Any:
        t = x.detach() if isinstance(x, torch.Tensor) else torch.from_dlpack(x)
        return t.to(torch.float32).contiguous()

    states, weights, bias = tensor(v), tensor(w), tensor(b)
    if states.ndim != 2 or weights.ndim != 2:
        raise ValueError(f"{states_name}, w: expected 2 dimensions each, got {given(v)} and {given(w)}")
    batch, n_in = states.shape
    n_out = weights.shape[0 if transpose else 1]
    n_words = (batch + 63) // 64
    device = states.device
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream
        words = torch.empty((n_in, n_words), dtype=torch.int64, device=device)
        drawn = torch.empty((n_out, n_words), dtype=torch.int64, device=device)
        sample = torch.empty((batch, n_out), dtype=torch.float32, device=device)
        probs = torch.empty((batch, n_out), dtype=torch.float32, device=device) if return_probs else None
        packing = {"batch": batch, "stream": stream}
        module.pack_bits(_capsule(states, stream), _capsule(words, stream), units=n_in, **packing)
        gibbs_step_packed(
            words,
            weights,
            bias,
            drawn,
            batch=batch,
            seed=seed,
            offset=offset,
            transpose=transpose,
            temperature=temperature,
            probs=probs,
            first_sample=first_sample,
            stream=stream,
        )
        module.unpack_bits(_capsule(drawn, stream), _capsule(sample, stream), units=n_out, **packing)

    def back(t: Any) -> Any:
        return t if isinstance(v, torch.Tensor) else v.__array_namespace__().from_dlpack(t)

    return (back(sample), back(probs)) if return_probs else back(sample)


def gibbs_step_packed(
    words: Any,
    w: Any,
    b: Any,
    out: Any,
    *,
    batch: int,
    seed: int,
    offset: int,
    transpose: bool = False,
    temperature: float = 1.0,
    probs: Any = None,
    first_sample: int = 0,
    stream: int = 0,
) -> None:
    """The half-step on bit-packed states and memory of the caller's: no allocation, no copy, no waiting.

    Parameters
    ----------
    words : int64 or uint64 array, shape (V, ceil(batch / 64)), or (H, ...) when `transpose`
        States as in :class:`hintoncore.BitMatrix`: bit i of word j of row u is sample 64*j + i of unit u; padding bits
        are 0.
    w, b : float32 arrays, shapes (V, H) and (H,), or (V,) when `transpose`
    out : array like `words`, for the sampled layer
        Written. Must not overlap `words`.
    batch : int >= 1
    seed, offset : int in [0, 2**64)
    temperature : float > 0
    probs : float32 array, shape (batch, H) or (batch, V), optional
        Written.
    first_sample : int
        Index of the first sample in a larger batch, a multiple of 64.
    stream : int
        Address of the CUDA stream that the work is enqueued on; 0 is the default stream.

    All arrays offer ``__dlpack__``, are C-contiguous, and live on one CUDA device.

    Raises
    ------
    ValueError, TypeError
        For arrays of another shape, dtype, layout or device.
    HintonCoreError
        Without CUDA in the build, a driver or a device, and for what CUDA refuses.
    """
    module = _require()
    batch = as_int(batch, "batch", 1, _MAX_SAMPLES)
    stream = as_int(stream, "stream", 0, _UINT64_MAX)
    arrays: dict[str, Any] = {"words": words, "w": w, "b": b, "out": out}
    if probs is not None:
        arrays["probs"] = probs
    capsules = {name: _capsule(x, stream, name) for name, x in arrays.items()}
    module.gibbs_step(
        capsules["words"],
        capsules["w"],
        capsules["b"],
        capsules["out"],
        capsules.get("probs"),
        batch=batch,
        n_in=_extent(words, "words"),
        n_out=_extent(out, "out"),
        transpose=bool(transpose),
        temperature=as_number(temperature, "temperature"),
        seed=as_int(seed, "seed", 0, _UINT64_MAX),
        offset=as_int(offset, "offset", 0, _UINT64_MAX),
        first_sample=as_int(first_sample, "first_sample", 0, _MAX_SAMPLES),
        stream=stream,
    )


def _load() -> ModuleType:
    return importlib.import_module("hintoncore._cuda")


@functools.cache  # failures raise, and are looked into again
def _require() -> ModuleType:
    facts = status()
    if not facts["available"]:
        raise HintonCoreError(f"CUDA is not available: {facts['reason']}")
    return _load()


def _capsule(x: Any, stream: int, name: str = "array") -> Any:
    """A DLPack capsule of `x`, whose producer makes `stream` wait for what it still has under way on other streams."""
    if not is_cuda_array(x):
        raise TypeError(f"{name}: expected an array on a CUDA device, got {given(x)}")
    return x.__dlpack__(stream=stream or 1)  # DLPack calls the default stream 1


def _extent(x: Any, name: str) -> int:
    if len(x.shape) != 2:
        raise ValueError(f"{name}: expected 2 dimensions, got {given(x)}")
    return int(x.shape[0])
