"""A deep belief net small enough to enumerate, and its exact distributions."""

from __future__ import annotations

import numpy as np

from hintoncore import reference as ref
from hintoncore.models import DBN

Float64 = np.ndarray


def random_net(sizes: tuple[int, ...], n_labels: int = 0, *, seed: int = 3, scale: float = 0.8) -> DBN:
    """A net with random parameters of its own for each direction."""
    net = DBN(sizes, n_labels)
    rng = np.random.default_rng(seed)
    for array in net.parameters().values():
        array[...] = rng.normal(0, scale, array.shape)
    net.layers_trained = len(sizes) - 1
    return net


def conditional(means: Float64, states: Float64) -> Float64:
    """p(state | means) of independent units, shape [len(means), len(states)]."""
    return np.asarray(np.prod(np.where(states[None] == 1, means[:, None], 1 - means[:, None]), axis=2))


def memory_states(net: DBN) -> Float64:
    """All states of the memory's visible layer: features by labels, labels the faster."""
    features = ref.all_states(net.top.n_features)
    if not net.n_labels:
        return features
    labels = np.eye(net.n_labels)
    return np.hstack([features.repeat(len(labels), axis=0), np.tile(labels, (len(features), 1))])


def memory_log_weights(net: DBN) -> Float64:
    """Log of the unnormalised marginal of each of :func:`memory_states`."""
    w, b_vis, b_hid = (a.astype(float) for a in net.top.parameters().values())
    return -ref.free_energy(memory_states(net), w, b_vis, b_hid)


def memory_transition(net: DBN) -> Float64:
    """p(visible' | visible) of one Gibbs step of the memory over :func:`memory_states`."""
    states, hidden = memory_states(net), ref.all_states(net.top.n_hidden)
    w, b_vis, b_hid = (a.astype(float) for a in net.top.parameters().values())
    n = net.top.n_features
    down = hidden @ w.T + b_vis
    features = conditional(ref.sigmoid(down[:, :n]), states[:, :n])
    if net.n_labels:
        labels = np.exp(down[:, n:])
        features = features * ((labels / labels.sum(axis=1, keepdims=True)) @ states[:, n:].T)
    return np.asarray(conditional(ref.sigmoid(states @ w + b_hid), hidden) @ features)


def generation(net: DBN, number: int) -> Float64:
    """p(below | above) of a directed layer over all states, shape [above, below]."""
    layer = net.layers[number]
    above, below = ref.all_states(layer.up_b.size), ref.all_states(layer.down_b.size)
    return conditional(ref.sigmoid(above @ layer.down_w.astype(float) + layer.down_b), below)


def recognition(net: DBN, number: int) -> Float64:
    """q(above | below) of a directed layer over all states, shape [below, above]."""
    layer = net.layers[number]
    above, below = ref.all_states(layer.up_b.size), ref.all_states(layer.down_b.size)
    return conditional(ref.sigmoid(below @ layer.up_w.astype(float) + layer.up_b), above)


def visible_distribution(net: DBN, label: int | None = None) -> Float64:
    """Exact p(v), or p(v | label), over all visible states."""
    weights = np.exp(memory_log_weights(net)).reshape(2**net.top.n_features, -1)
    features = weights.sum(axis=1) if label is None else weights[:, label]
    p = features / features.sum()
    for number in reversed(range(len(net.layers))):
        p = p @ generation(net, number)
    return np.asarray(p)
