"""Signatures of the extension module. Arrays must be exactly what is said here: hintoncore.ops converts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# bind_library.cpp
def version() -> str: ...
def set_num_threads(threads: int) -> None: ...
def get_num_threads() -> int: ...
def set_isa(name: str | None) -> None: ...
def get_isa() -> str: ...
def isa_built(name: str) -> bool: ...
def isa_detected(name: str) -> bool: ...
def cpu_feature(name: str) -> bool: ...
def kernel_names() -> list[str]: ...

# bind_ais.cpp
def ais(
    w: NDArray[np.float32],
    b_vis: NDArray[np.float32],
    b_hid: NDArray[np.float32],
    b_base: NDArray[np.float32],
    betas: NDArray[np.float32],
    states: NDArray[np.uint64],
    n_chains: int,
    log_weights: NDArray[np.float64],
    seed: int,
    offset: int,
) -> None: ...
def exact_log_z(w: NDArray[np.float32], b_vis: NDArray[np.float32], b_hid: NDArray[np.float32]) -> float: ...

# bind_batched_matmul.cpp: arrays with unit stride along one of the last two axes
def batched_matmul(
    a: NDArray[np.float32], b: NDArray[np.float32], trans_a: bool, trans_b: bool, out: NDArray[np.float32] | None
) -> NDArray[np.float32]: ...

# bind_bits.cpp
def bits_pack(x: NDArray[np.float32]) -> NDArray[np.uint64]: ...
def bits_unpack(words: NDArray[np.uint64], batch: int) -> NDArray[np.float32]: ...
def bits_transpose(words: NDArray[np.uint64], batch: int) -> NDArray[np.uint64]: ...

# bind_cf.cpp: model, ratings and velocities are the tuples of hintoncore.ops_cf
def cf_hidden(
    model: tuple[Any, ...], ratings: tuple[Any, ...], seed: int, offset: int, draw: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]: ...
def cf_visible(
    model: tuple[Any, ...],
    ratings: tuple[Any, ...],
    hidden: NDArray[np.float32],
    seed: int,
    offset: int,
    draw: bool,
) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]: ...
def cf_conditional(
    model: tuple[Any, ...], ratings: tuple[Any, ...], x: NDArray[np.float32], leave_out: bool
) -> NDArray[np.float32]: ...
def cf_update(
    model: tuple[Any, ...],
    ratings: tuple[Any, ...],
    velocities: tuple[Any, ...],
    item_rates: NDArray[np.float32] | None,
    rates: tuple[float, ...],
    decays: tuple[float, ...],
    momentum: float,
    updates: NDArray[np.int64],
    step: int,
    k: int,
    seed: int,
    offset: int,
) -> dict[str, float | None]: ...
def cf_settle(
    model: tuple[Any, ...],
    velocities: tuple[Any, ...],
    item_rates: NDArray[np.float32] | None,
    rates: tuple[float, ...],
    decays: tuple[float, ...],
    momentum: float,
    updates: NDArray[np.int64],
    step: int,
) -> None: ...

# bind_conv.cpp: strides and paddings of rows and of columns
def conv2d(
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    b: NDArray[np.float32] | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    activation: int,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]: ...
def conv2d_backward(
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    y: NDArray[np.float32],
    dy: NDArray[np.float32],
    stride: tuple[int, int],
    padding: tuple[int, int],
    activation: int,
    out: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None, NDArray[np.float32] | None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...

# bind_pool.cpp: windows and strides of rows and of columns
def max_pool2d(
    x: NDArray[np.float32], window: tuple[int, int], stride: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]: ...
def max_pool2d_backward(
    dy: NDArray[np.float32], index: NDArray[np.int32], height: int, width: int
) -> NDArray[np.float32]: ...

# bind_random.cpp
def philox4x32_10(counters: NDArray[np.uint32], key: NDArray[np.uint32]) -> NDArray[np.uint32]: ...
def uniform(seed: int, offset: int, n: int) -> NDArray[np.float32]: ...

# bind_rbm.cpp
def gibbs_step(
    states: NDArray[np.uint64] | NDArray[np.float32],
    packed: bool,
    batch: int,
    w: NDArray[np.float32],
    bias: NDArray[np.float32],
    transpose: bool,
    temperature: float,
    seed: int,
    offset: int,
    first_sample: int,
    want_probs: bool,
) -> tuple[NDArray[Any], Any]: ...  # words when packed, else float32; probabilities, or None when not wanted
def cd_update(
    v0: NDArray[np.uint64] | NDArray[np.float32],
    packed: bool,
    batch: int,
    w: NDArray[np.float32],
    b_vis: NDArray[np.float32],
    b_hid: NDArray[np.float32],
    k: int,
    lr: float,
    momentum: float,
    weight_decay: float,
    velocity: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None,
    chains: NDArray[np.uint64] | None,
    n_chains: int,
    seed: int,
    offset: int,
) -> dict[str, float | None]: ...
def cd_gradient(
    v0: NDArray[np.uint64] | NDArray[np.float32],
    packed: bool,
    batch: int,
    w: NDArray[np.float32],
    b_vis: NDArray[np.float32],
    b_hid: NDArray[np.float32],
    k: int,
    negative: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None,
    chains: NDArray[np.uint64] | None,
    n_chains: int,
    out: NDArray[np.float32],
    seed: int,
    offset: int,
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    dict[str, float | None],
]: ...  # means of v0, p(h|v0), vk, p(h|vk); the gradient of w goes to out

# bind_weight_update.cpp
def weight_update(
    w: NDArray[np.float32],
    grad: NDArray[np.float32],
    lr: float,
    momentum: float,
    velocity: NDArray[np.float32] | None,
    weight_decay: float,
    l1: float,
    outer: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    offsets: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None: ...  # (velocity lambda, mu velocity) with offsets

# bind_graph.cpp
def graph_gibbs(
    words: NDArray[np.uint64],
    batch: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    colors: NDArray[np.int32] | None,
    clamp: NDArray[np.uint64] | None,
    spin: bool,
    temperatures: NDArray[np.float32],
    seed: int,
    offset: int,
    first_sample: int,
) -> NDArray[np.uint64]: ...
def dense_gibbs(
    words: NDArray[np.uint64],
    batch: int,
    w: NDArray[np.float32],
    b: NDArray[np.float32],
    clamp: NDArray[np.uint64] | None,
    spin: bool,
    temperatures: NDArray[np.float32],
    order: NDArray[np.int32] | None,
    asynchronous: bool,
    counted_sweeps: int,
    seed: int,
    offset: int,
    offset_step: int,
    first_sample: int,
) -> tuple[NDArray[np.uint64], NDArray[np.int64] | None]: ...

# bind_matmul.cpp
def matmul(
    a: NDArray[np.float32], b: NDArray[np.float32], trans_a: bool, trans_b: bool, out: NDArray[np.float32] | None
) -> NDArray[np.float32]: ...
def linear(
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    b: NDArray[np.float32] | None,
    activation: int,
    out: NDArray[np.float32] | None,
) -> NDArray[np.float32]: ...

# bind_outer.cpp
def outer_update(
    x: NDArray[Any],
    packed: bool,
    batch: int,
    y: NDArray[np.float32],
    w: NDArray[np.float32],
    b: NDArray[np.float32] | None,
    rate: float,
) -> None: ...

# bind_linear.cpp
def linear_backward(
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    y: NDArray[np.float32],
    dy: NDArray[np.float32],
    activation: int,
    out: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None, NDArray[np.float32] | None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...

# bind_rnn.cpp
def rnn(
    z: NDArray[np.float32] | None,
    x: NDArray[np.float32] | None,
    w_x: NDArray[np.float32] | None,
    b: NDArray[np.float32] | None,
    w_h: NDArray[np.float32],
    h0: NDArray[np.float32] | None,
    activation: int,
    out: NDArray[np.float32],
) -> None: ...  # z, or x with w_x and b; out of two dimensions: the last state alone
def rnn_backward(
    h: NDArray[np.float32],
    x: NDArray[np.float32] | None,
    w_h: NDArray[np.float32],
    dh: NDArray[np.float32],
    h0: NDArray[np.float32] | None,
    activation: int,
    out: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], ...]: ...  # dz, dw_h, dh0; with x: dw_x, db, dw_h, dh0

# bind_units.cpp
def sample_units(
    kind: int,
    x: NDArray[np.float32],
    group: int,
    std: NDArray[np.float32] | None,
    seed: int,
    offset: int,
    first_sample: int,
    return_means: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]: ...

# bind_elementwise.cpp
def exp(x: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
def log(x: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
def sigmoid(x: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
def tanh(x: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
def softplus(x: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...

# bind_layers.cpp
def softmax(
    x: NDArray[np.float32], target: NDArray[Any] | None, scale: float, out: NDArray[np.float32] | None
) -> float: ...  # the loss; target is int32 labels or float32 rows
def layer_norm(
    x: NDArray[np.float32], gain: NDArray[np.float32] | None, shift: NDArray[np.float32] | None, epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def layer_norm_backward(
    x: NDArray[np.float32],
    gain: NDArray[np.float32] | None,
    mean: NDArray[np.float32],
    inverse_std: NDArray[np.float32],
    dy: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def dropout(
    x: NDArray[np.float32], rate: float, seed: int, offset: int, first_sample: int, out: NDArray[np.float32]
) -> None: ...
def embedding(table: NDArray[np.float32], index: NDArray[np.int32]) -> NDArray[np.float32]: ...
def embedding_add(
    table: NDArray[np.float32], index: NDArray[np.int32], source: NDArray[np.float32], scale: float
) -> None: ...

# bind_optim.cpp
def optimiser_step(
    rule: int,
    w: NDArray[np.float32],
    grad: NDArray[np.float32],
    velocity: NDArray[np.float32] | None,
    square: NDArray[np.float32] | None,
    lr: float,
    momentum: float,
    square_decay: float,
    epsilon: float,
    weight_decay: float,
    decoupled: bool,
    grad_scale: float,
    step: int,
) -> None: ...
def sum_of_squares(x: NDArray[np.float32]) -> float: ...
def max_norm(w: NDArray[np.float32], limit: float) -> None: ...

# bind_bench.cpp
def bench_fma_peak(isa: str, iterations: int) -> float: ...
def bench_copy(n_bytes: int, iterations: int) -> float: ...
