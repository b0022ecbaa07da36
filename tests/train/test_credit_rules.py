"""Rules that do without backpropagation: what they equal where theory says so, local losses, resume, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hintoncore as hc
from hintoncore import nn
from hintoncore.models import RBM
from hintoncore.train import (
    Backpropagation,
    Callback,
    CreditAssignment,
    CreditRule,
    DifferenceTargetPropagation,
    Linear,
    ReconstructionBackprop,
    Trainer,
    rule_alignment,
)

SIZES = [6, 5, 5, 5, 3]
RULES: dict[str, Callable[[], CreditRule]] = {
    "backpropagation": Backpropagation,
    "reconstruction": ReconstructionBackprop,
    "target propagation": DifferenceTargetPropagation,
}


def network(activation: str = "sigmoid", sizes: list[int] = SIZES, std: float = 0.7) -> nn.FeedbackNetwork:
    net = nn.FeedbackNetwork(sizes, activation=activation, rng=3)
    rng = np.random.default_rng(4)
    for parameter in net.parameters().values():
        parameter[...] = rng.normal(0, std, parameter.shape)
    return net


def batch(rows: int = 7, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, SIZES[0])), rng.integers(0, SIZES[-1], rows)


def changes(rule: CreditRule, net: nn.FeedbackNetwork, x: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    rule(net, x, target)
    return {name: gradient.copy() for name, gradient in net.gradients().items()}


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "none"])
def test_backpropagation_by_central_differences(activation: str) -> None:
    x, target = batch()
    check = nn.check_gradients(network(activation), x, target)
    assert check.largest_difference <= 1e-6
    assert check.largest_kernel_error <= 1e-4


def test_backpropagation_leaves_the_downward_layers_alone() -> None:
    x, target = batch()
    net = network().astype(np.float64)
    before = changes(ReconstructionBackprop(), net, x, target)
    after = changes(Backpropagation(), net, x, target)
    for name in ("4.w", "4.b", "5.w", "5.b"):
        assert np.abs(before[name]).max() > 0
        assert not after[name].any()


def test_reconstruction_equals_backpropagation_in_a_linear_net_with_transposed_feedback() -> None:
    """At any nudge: with linear units differences of activity are exactly what the transposed weights bring down."""
    x, target = batch()
    net = network("none").astype(np.float64)
    for up, down in zip(net.up[1:], net.down, strict=True):
        down.w[...] = up.w.T
    expected = changes(Backpropagation(), net, x, target)
    for nudge in (1e-3, 1.0):
        found = changes(ReconstructionBackprop(nudge=nudge), net, x, target)
        for i in range(4):
            for name in ("w", "b"):
                assert relative(found[f"{i}.{name}"], expected[f"{i}.{name}"]) < 1e-9, (i, name)


def with_perfect_reconstruction(net: nn.FeedbackNetwork, x: np.ndarray) -> None:
    """Transposed weights, and downward biases under which the activities of the one row are reconstructed exactly."""
    h = net.activities(x)
    for i, down in enumerate(net.down):
        down.w[...] = net.up[i + 1].w.T
        h_below = h[i + 1][0]
        inverse = np.log(h_below / (1 - h_below))
        down.parameters()["b"][...] = inverse - h[i + 2][0] @ down.w


def test_where_the_stack_reconstructs_a_small_nudge_is_backpropagation() -> None:
    """The argument of 2007: the error shrinks with the nudge, so to first order it is the gradient."""
    x, target = batch(1)
    net = network().astype(np.float64)
    with_perfect_reconstruction(net, x)
    expected = changes(Backpropagation(), net, x, target)

    def error(nudge: float, i: int) -> float:
        return relative(changes(ReconstructionBackprop(nudge=nudge), net, x, target)[f"{i}.w"], expected[f"{i}.w"])

    for i in range(3):
        assert error(1e-5, i) < 1e-4, i
        assert 5 < error(1e-2, i) / error(1e-3, i) < 20, i
    assert error(1.0, 3) < 1e-12, "the delta rule"


def test_reconstruction_follows_the_equations() -> None:
    """Row by row, with explicit outer products and feedback that is no transpose."""
    x, target = batch()
    net, nudge = network().astype(np.float64), 0.3
    found = changes(ReconstructionBackprop(nudge=nudge), net, x, target)

    def sigmoid(a: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-a)))

    p = net.parameters()
    expected = {name: np.zeros_like(value) for name, value in p.items()}
    for row, label in zip(x, target, strict=True):
        h = [row]
        for i in range(3):
            h.append(sigmoid(h[-1] @ p[f"{i}.w"] + p[f"{i}.b"]))
        logits = h[3] @ p["3.w"] + p["3.b"]
        wanted = np.eye(3)[label] - np.exp(logits) / np.exp(logits).sum()
        expected["3.w"] -= np.outer(h[3], wanted) / len(x)
        r, nudged = h[3], sigmoid(h[2] @ p["2.w"] + p["2.b"] + nudge * p["3.w"] @ wanted)
        for i in (2, 1, 0):
            expected[f"{i}.w"] -= np.outer(h[i], nudged - r) / nudge / len(x)
            expected[f"{i}.b"] -= (nudged - r) / nudge / len(x)
            if i:
                w, b = p[f"{i + 3}.w"], p[f"{i + 3}.b"]
                r, nudged = sigmoid(r @ w + b), sigmoid(nudged @ w + b)
    for name in ["3.w", *(f"{i}.{kind}" for i in range(3) for kind in "wb")]:
        assert relative(found[name], expected[name]) < 1e-9, name


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("rule", [ReconstructionBackprop, DifferenceTargetPropagation])
def test_local_losses_of_the_downward_layers(activation: str, rule: type[CreditRule]) -> None:
    """Central differences of each layer's own reconstruction error, noise and all."""
    x, target = batch()
    net = network(activation).astype(np.float64)
    make = rule(feedback_rate=0.5)  # type: ignore[call-arg]
    counters = make.counters()
    found = changes(make, net, x, target)

    def loss(layer: int) -> float:
        h = net.activities(x)
        below = h[layer + 1]
        if isinstance(make, DifferenceTargetPropagation):
            make.set_counters(counters)
            below = [below + make._draw(below) for below in h[1:-1]][layer]
        above = net.up[layer + 1].forward(below)
        return 0.5 * float(((net.down[layer].forward(above) - below) ** 2).sum()) / len(x)

    for layer, down in enumerate(net.down):
        for name, parameter in down.parameters().items():
            slope = np.zeros_like(parameter)
            for index in np.ndindex(parameter.shape):
                kept, step = parameter[index], 1e-5
                parameter[index] = kept + step
                above = loss(layer)
                parameter[index] = kept - step
                slope[index] = (above - loss(layer)) / (2 * step)
                parameter[index] = kept
            assert np.abs(0.5 * slope - found[f"{layer + 4}.{name}"]).max() <= 1e-6, (layer, name)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_local_losses_of_the_upward_layers_under_target_propagation(activation: str) -> None:
    """The change of each layer is the gradient of its squared distance from a target that stays where it is."""
    x, target = batch()
    net = network(activation).astype(np.float64)
    rule = DifferenceTargetPropagation(target_rate=0.7)
    found = changes(rule, net, x, target)
    h = net.activities(x)
    _, error = nn.SoftmaxCrossEntropy()(net.output.forward(h[-1]), target)
    goal = h[-1] - 0.7 * len(x) * error @ net.output.w.T
    for i in (2, 1, 0):
        w = net.up[i].w

        def loss(i: int = i, goal: np.ndarray = goal) -> float:
            return 0.5 * float(((net.up[i].forward(h[i]) - goal) ** 2).sum()) / (0.7 * len(x))

        for index in np.ndindex(w.shape):
            kept, step = w[index], 1e-5
            w[index] = kept + step
            above = loss()
            w[index] = kept - step
            slope = (above - loss()) / (2 * step)
            w[index] = kept
            assert abs(slope - found[f"{i}.w"][index]) <= 1e-6, (i, index)
        if i:
            down = net.down[i - 1]
            goal = h[i] - down.forward(h[i + 1]) + down.forward(goal)


def linear_net_with_inverses() -> nn.FeedbackNetwork:
    net = network("none").astype(np.float64)
    for up, down in zip(net.up[1:], net.down, strict=True):
        down.w[...] = np.linalg.inv(up.w)
        down.parameters()["b"][...] = -up.parameters()["b"] @ down.w
    return net


def test_with_exact_inverses_targets_are_gauss_newton_steps() -> None:
    """In a linear net ``h_l - t_l`` is the top layer's gradient times the inverse of the layers between."""
    x, target = batch()
    net = linear_net_with_inverses()
    found = changes(DifferenceTargetPropagation(target_rate=0.4), net, x, target)
    h = net.activities(x)
    _, error = nn.SoftmaxCrossEntropy()(net.output.forward(h[-1]), target)
    step = error @ net.output.w.T  # (h_L - t_L) / (rate B)
    for i in (2, 1, 0):
        assert relative(found[f"{i}.w"], h[i].T @ step) < 1e-9, i
        assert relative(found[f"{i}.b"], step.sum(axis=0)) < 1e-9, i
        if i:
            step = step @ np.linalg.inv(net.up[i].w)


def test_with_exact_inverses_reaching_a_target_below_reaches_those_above() -> None:
    x, target = batch(1)
    net, rate = linear_net_with_inverses(), 0.4
    h = net.activities(x)
    found = changes(DifferenceTargetPropagation(target_rate=rate), net, x, target)
    goals = [h[i + 1] - rate * found[f"{i}.b"] for i in range(3)]  # of one row, a bias's change is h - t over the rate
    for i in (0, 1):
        np.testing.assert_allclose(net.up[i + 1].forward(goals[i]), goals[i + 1], rtol=1e-9, atol=1e-12)


def test_with_exact_inverses_target_propagation_descends() -> None:
    """Theorem 1: for one row, every layer's change is within 90 degrees of the gradient. 200 random nets."""
    for seed in range(200):
        x, target = batch(1, seed)
        net = nn.FeedbackNetwork(SIZES, activation="none", rng=seed, weights=nn.init.gaussian(0.5))
        net = net.astype(np.float64)
        net.output.w[...] = np.random.default_rng(seed).normal(0, 0.3, net.output.w.shape)
        for up, down in zip(net.up[1:], net.down, strict=True):
            down.w[...] = np.linalg.inv(up.w)
        found = changes(DifferenceTargetPropagation(), net, x, target)
        expected = changes(Backpropagation(), net, x, target)
        assert nn.cosine(found["2.w"], expected["2.w"]) == pytest.approx(1)
        for i in range(3):
            # <h^T d, h^T e> has the sign of d.e, and d = J^-1 s, e = J^T s: d.e = |s|^2
            above = np.sum(found[f"{i}.b"] * expected[f"{i}.b"])
            top = np.sum(expected["2.b"] ** 2)
            assert above == pytest.approx(top, rel=1e-6)
            assert nn.cosine(found[f"{i}.w"], expected[f"{i}.w"]) > 0


def test_a_layer_at_its_target_gives_one_to_the_layer_below() -> None:
    """The difference: with no error at the top there is none below, however bad the inverses."""
    x, _ = batch()
    net = network("tanh").astype(np.float64)
    net.output.w[...] = 0  # the loss does not depend on the top layer
    found = changes(DifferenceTargetPropagation(), net, x, np.zeros(len(x), int))
    for i in range(3):
        assert np.abs(found[f"{i}.w"]).max() < 1e-12


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_kernels_agree_with_the_reference(name: str, activation: str) -> None:
    x, target = batch(33)
    net = network(activation)
    x = x.astype(np.float32)
    expected = changes(RULES[name](), net.astype(np.float64), x.astype(np.float64), target)
    found = changes(RULES[name](), net, x, target)
    for key, value in expected.items():
        if np.abs(value).max() > 0:
            assert relative(found[key], value) <= 1e-4, key


def test_alignment_is_one_for_backpropagation_and_changes_nothing() -> None:
    x, target = batch()
    net, rule = network(), DifferenceTargetPropagation()
    before = rule.counters()
    cosines = rule_alignment(rule, net, x.astype(np.float32), target)
    assert rule.counters() == before
    assert len(cosines) == 4
    assert cosines[3] == pytest.approx(1, abs=1e-6)
    assert max(abs(c) for c in cosines[:2]) < 0.9, "random feedback is not aligned"
    assert rule_alignment(Backpropagation(), net, x, target) == pytest.approx([1] * 4, abs=1e-6)


def quarters(n: int = 250) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(1).standard_normal((n, 2))
    return np.repeat(points, 3, axis=1).astype(np.float32), (points[:, 0] > 0) * 2 + (points[:, 1] > 0)


def task(name: str, epochs: int = 30) -> CreditAssignment:
    x, target = quarters()
    net = nn.FeedbackNetwork([6, 20, 20, 20, 4], activation="tanh", rng=7)
    for up, down in zip(net.up[1:], net.down, strict=True):
        down.w[...] = up.w.T
    optimiser = nn.Momentum(Linear(0.1, 0.0, epochs), 0.9)
    return CreditAssignment(
        net, x[:200], target[:200], rule=RULES[name](), optimiser=optimiser, validation=(x[200:], target[200:])
    )


@pytest.mark.parametrize("name", RULES)
def test_rules_learn(name: str) -> None:
    trainer = Trainer(task(name), batch_size=20)
    trainer.run(30)
    assert trainer.history[-1]["validation_error"] <= 0.08
    assert trainer.history[-1]["cosine_1"] > 0.3


class Stop(Callback):
    def on_step(self, trainer: Trainer) -> None:
        if trainer.step == 14:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", RULES)
def test_resumed_runs_are_bit_identical(tmp_path: Path, name: str) -> None:
    whole = Trainer(task(name), batch_size=30)
    whole.run(4)
    part = Trainer(task(name), batch_size=30, callbacks=[Stop()])
    with pytest.raises(KeyboardInterrupt):
        part.run(4)
    part.save_checkpoint(tmp_path / "checkpoint.safetensors")
    rest = Trainer(task(name), batch_size=30)
    rest.load_checkpoint(tmp_path / "checkpoint.safetensors")
    rest.run(4)
    for key, parameter in whole.task.model.parameters().items():
        assert parameter.tobytes() == rest.task.model.parameters()[key].tobytes(), key
    assert [{**r, "seconds": 0} for r in whole.history] == [{**r, "seconds": 0} for r in rest.history]
    other = next(rule for rule in RULES if rule != name)
    with pytest.raises(ValueError, match=r"rule\.rule"):
        Trainer(task(other), batch_size=30).load_checkpoint(tmp_path / "checkpoint.safetensors")


@pytest.mark.parametrize("name", RULES)
def test_results_do_not_depend_on_threads(set_threads: Callable[[int], None], name: str) -> None:
    results = set()
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        trainer = Trainer(task(name), batch_size=64)
        trainer.run(1)
        results.add(b"".join(parameter.tobytes() for parameter in trainer.task.model.parameters().values()))
    assert len(results) == 1


def test_a_stack_of_rbms_goes_up_and_reconstructs_going_down() -> None:
    rng = np.random.default_rng(0)
    rbms = [RBM(6, 5, seed=1), RBM(5, 4, seed=2), RBM(4, 3, seed=3)]
    for rbm in rbms:
        for parameter in rbm.parameters().values():
            parameter[...] = rng.normal(0, 0.7, parameter.shape)
    net = nn.FeedbackNetwork.from_rbms(rbms, 2, rng=0)
    x = rng.random((9, 6), dtype=np.float32)
    h = net.activities(x)
    up = x
    for rbm, layer in zip(rbms, h[1:], strict=True):
        up = rbm.transform(up)
        np.testing.assert_allclose(layer, up, rtol=1e-5)
    np.testing.assert_allclose(net.down[1].forward(h[3]), rbms[2].reconstruct(h[2]), rtol=1e-4)
    np.testing.assert_allclose(net.down[0].forward(h[2]), rbms[1].reconstruct(h[1]), rtol=1e-4)
    assert net.describe()["hidden_layers"] == 3
    restored = nn.FeedbackNetwork([6, 5, 4, 3, 2], rng=hc.Generator(8))
    for name, parameter in restored.parameters().items():
        parameter[...] = net.parameters()[name]
    np.testing.assert_array_equal(restored.forward(x), net.forward(x))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="sizes: expected inputs"):
        nn.FeedbackNetwork([4, 2], rng=0)
    with pytest.raises(ValueError, match=r"sizes\[1\]"):
        nn.FeedbackNetwork([4, 0, 2], rng=0)
    with pytest.raises(ValueError, match="rbms: expected at least one"):
        nn.FeedbackNetwork.from_rbms([], 3, rng=0)
    with pytest.raises(ValueError, match=r"rbms\[1\]: expected 5 visible units"):
        nn.FeedbackNetwork.from_rbms([RBM(6, 5), RBM(4, 3)], 3, rng=0)
    with pytest.raises(ValueError, match=r"rbms\[0\]: expected Bernoulli"):
        nn.FeedbackNetwork.from_rbms([RBM(6, 5, hidden="spin")], 3, rng=0)
    for nudge in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="nudge"):
            ReconstructionBackprop(nudge=nudge)
    with pytest.raises(ValueError, match="feedback_rate"):
        ReconstructionBackprop(feedback_rate=-1)
    with pytest.raises(ValueError, match="target_rate"):
        DifferenceTargetPropagation(target_rate=0)
    with pytest.raises(ValueError, match="noise"):
        DifferenceTargetPropagation(noise=-0.1)
    x, target = quarters()
    diverging = CreditAssignment(
        nn.FeedbackNetwork([6, 9, 4], activation="none", rng=0),
        x,
        target,
        rule=ReconstructionBackprop(),
        optimiser=nn.SGD(1e30),
    )
    with pytest.raises(FloatingPointError):
        Trainer(diverging, batch_size=50).run(3)
