"""Rectified linear units as stacks of sigmoids: the sum against softplus, and NReLU against binary RBMs of equal size.

Endlessly many copies of a logistic unit, with biases offset by -1/2, -3/2, ..., sum to log(1 + exp(x)) but for 0.011,
and max(0, x + N(0, sigmoid(x))) samples that cheaply (Nair and Hinton 2010, section 2). An RBM with such hidden units
or with binary ones is trained by contrastive divergence; its weights start a net of one hidden layer, rectified or
logistic, that is trained by backpropagation to name digits and people. The paper's figures are for jittered-cluttered
NORB with 4000 units; here both arms have 500 units, on MNIST and on jittered Olivetti faces: each picture is turned by
up to 15 degrees, scaled by up to 15 % and moved by up to 6 of its 64 pixels, 25 times for each of 5 training pictures
of a person and 10 times for each of the 5 others. Without jitter there are 200 training pictures, which any net learns
by heart, and what is left to measure is how people changed between pictures. Beside them stand the same nets without
pretraining. Rates were chosen on training pictures held back, of other splits. A quick run has 100 units on 8x8 digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore import Generator
    from hintoncore.models import RBM

__all__ = ["EXPERIMENT", "jittered", "stack_of_sigmoids"]

Float32Array = NDArray[np.float32]

_FACE_SIZE = 32
_TRAINING_FACES = 5
_COPIES_OF_A_FACE = {"train": 25, "test": 10}
_TURN, _SCALE, _SHIFT = 15.0, 0.15, 6.0  # at most: degrees, share, pixels of the original
_COPIES = 60
_INPUTS = np.linspace(-6.0, 10.0, 1601)


@dataclass(frozen=True)
class _Arm:
    """How the nets of one type of unit are trained on one data set."""

    hidden: str
    activation: str
    pretraining_rate: float
    rate: float


@dataclass(frozen=True)
class _Task:
    """Labelled images, and the settings that both arms share."""

    visible: str
    train: Float32Array
    train_labels: NDArray[np.int64]
    test: Float32Array
    test_labels: NDArray[np.int64]
    image_shape: tuple[int, int]
    classes: int
    n_hidden: int
    pretraining_epochs: int
    epochs: int
    batch_size: int
    arms: dict[str, _Arm]


def stack_of_sigmoids(x: NDArray[np.float64], copies: int = _COPIES) -> NDArray[np.float64]:
    """``sum_i sigmoid(x - i + 1/2)`` over i = 1 .. copies."""
    offsets = np.arange(1, copies + 1) - 0.5
    return np.asarray((1.0 / (1.0 + np.exp(offsets - np.asarray(x)[..., None]))).sum(axis=-1))


def run(run: Run) -> dict[str, float]:
    """Gap between the sum and softplus; test errors with and without pretraining in per cent, and margins."""
    gap = float(np.abs(stack_of_sigmoids(_INPUTS) - np.logaddexp(0.0, _INPUTS)).max())
    measured = {"stack_gap": gap}
    tasks = {"mnist": _digits(run)} if run.quick else {"mnist": _digits(run), "faces": _faces(run.seed)}
    for name, task in tasks.items():
        errors = {}
        for kind, arm in task.arms.items():
            for pretrained in (True, False):
                label = f"{name}-{kind}" if pretrained else f"{name}-{kind}-random"
                errors[label] = _test_error(run, label, task, arm, pretrained)
        measured[f"{name}_margin"] = errors[f"{name}-binary"] - errors[f"{name}-nrelu"]
        run.details.setdefault("test_error", {}).update(errors)
        if name == "mnist":
            measured["mnist_nrelu_error"] = errors["mnist-nrelu"]
    run.details["paper"] = {
        "jittered NORB, 4000 units, test error %": {
            "nrelu": 16.5,
            "binary": 18.7,
            "nrelu, random": 17.8,
            "binary, random": 23.0,
        }
    }
    if run.pictures:
        _draw_stack(run)
    return measured


def _digits(run: Run) -> _Task:
    from hintoncore import datasets

    data = datasets.load("digits" if run.quick else "mnist")
    return _Task(
        visible="bernoulli",
        train=data.train,
        train_labels=data.train_labels,
        test=data.test,
        test_labels=data.test_labels,
        image_shape=data.image_shape,
        classes=10,
        n_hidden=100 if run.quick else 500,
        pretraining_epochs=10,
        epochs=15,
        batch_size=100,
        arms={"nrelu": _Arm("nrelu", "relu", 0.005, 0.05), "binary": _Arm("bernoulli", "sigmoid", 0.05, 0.1)},
    )


def _faces(seed: int) -> _Task:
    """Jittered faces, each normalised, less the mean face; a split of every person's pictures by seed."""
    from hintoncore import Generator, datasets

    data = datasets.load("olivetti")
    pixels, people = np.concatenate([data.train, data.test]), np.concatenate([data.train_labels, data.test_labels])
    rng, train = Generator(seed), np.zeros(len(people), dtype=bool)
    for person in np.unique(people):
        pictures = np.flatnonzero(people == person)
        train[pictures[rng.permutation(len(pictures))[:_TRAINING_FACES]]] = True
    rows = {kind: np.repeat(np.flatnonzero(part), _COPIES_OF_A_FACE[kind]) for kind, part in _parts(train).items()}
    images = {}
    for kind, pictures in rows.items():
        moved = jittered(pixels.reshape(-1, *data.image_shape)[pictures], rng)
        images[kind] = (moved - moved.mean(axis=1, keepdims=True)) / moved.std(axis=1, keepdims=True)
    mean_face = images["train"].mean(axis=0)
    return _Task(
        visible="gaussian:unit",
        train=(images["train"] - mean_face).astype(np.float32),
        train_labels=people[rows["train"]],
        test=(images["test"] - mean_face).astype(np.float32),
        test_labels=people[rows["test"]],
        image_shape=(_FACE_SIZE, _FACE_SIZE),
        classes=int(people.max()) + 1,
        n_hidden=500,
        pretraining_epochs=15,
        epochs=20,
        batch_size=50,
        arms={"nrelu": _Arm("nrelu", "relu", 0.0005, 0.05), "binary": _Arm("bernoulli", "sigmoid", 0.003, 0.1)},
    )


def _parts(train: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    return {"train": train, "test": ~train}


def jittered(images: Float32Array, rng: Generator) -> NDArray[np.float64]:
    """Images [N, S, S], each turned, scaled and moved at random, at ``_FACE_SIZE`` pixels a side: [N, pixels].

    Points between pixels are interpolated; those beyond the border take the border's value.
    """
    n, size = len(images), images.shape[1]
    draws = rng.random((n, 4)).astype(np.float64) * 2.0 - 1.0
    angle, scale = np.deg2rad(_TURN * draws[:, :1]), 1.0 + _SCALE * draws[:, 1:2]
    grid = (np.arange(_FACE_SIZE) + 0.5) * size / _FACE_SIZE - size / 2.0
    y, x = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    rows = (np.cos(angle) * y - np.sin(angle) * x) / scale + _SHIFT * draws[:, 2:3] + (size - 1) / 2.0
    columns = (np.sin(angle) * y + np.cos(angle) * x) / scale + _SHIFT * draws[:, 3:] + (size - 1) / 2.0
    rows, columns = np.clip(rows, 0, size - 1), np.clip(columns, 0, size - 1)
    top, left = np.minimum(rows.astype(int), size - 2), np.minimum(columns.astype(int), size - 2)
    down, right = rows - top, columns - left
    which = np.arange(n)[:, None]
    upper = images[which, top, left] * (1 - right) + images[which, top, left + 1] * right
    lower = images[which, top + 1, left] * (1 - right) + images[which, top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def _pretrained(run: Run, label: str, task: _Task, arm: _Arm) -> RBM:
    from hintoncore.models import RBM
    from hintoncore.train import Checkpoint

    file = f"{label}-rbm.safetensors"
    model = RBM(task.train.shape[1], task.n_hidden, visible=task.visible, hidden=arm.hidden, seed=run.seed)
    return model.fit(
        task.train,
        task.pretraining_epochs,
        batch_size=task.batch_size,
        learning_rate=arm.pretraining_rate,
        momentum=0.5,
        callbacks=[*run.callbacks(), Checkpoint(run.out / file)],
        resume=run.checkpoint(file),
    )


def _test_error(run: Run, label: str, task: _Task, arm: _Arm, pretrained: bool) -> float:
    """Test error in per cent of the net of one hidden layer, fine-tuned."""
    import hintoncore as hc
    from hintoncore import nn
    from hintoncore.train import Checkpoint, Linear, Supervised, Trainer

    rng = hc.Generator(run.seed)
    hidden = nn.Linear(task.train.shape[1], task.n_hidden, activation=arm.activation, rng=rng)
    if pretrained:
        model = _pretrained(run, label, task, arm)
        hidden.parameters()["w"][:] = model.w
        hidden.parameters()["b"][:] = model.b_hid
        if run.pictures:
            from hintoncore import plots

            figure = plots.receptive_fields(model.w, task.image_shape)
            plots.save(figure, run.out / f"{label}-receptive-fields.png")
    net = nn.Sequential([hidden, nn.Linear(task.n_hidden, task.classes, rng=rng, weights=nn.init.gaussian(0.01))])
    supervised = Supervised(
        net,
        task.train,
        task.train_labels,
        loss=nn.SoftmaxCrossEntropy(),
        optimiser=nn.Momentum(Linear(arm.rate, 0.0, task.epochs), momentum=0.9),
        seed=run.seed,
        validation=(task.test, task.test_labels),
    )
    file = f"{label}-net.safetensors"
    trainer = Trainer(supervised, batch_size=task.batch_size, callbacks=[*run.callbacks(), Checkpoint(run.out / file)])
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(task.epochs)
    history: list[dict[str, Any]] = trainer.history
    run.details.setdefault("test_error_by_epoch", {})[label] = [100 * record["validation_error"] for record in history]
    return float(100 * history[-1]["validation_error"])


def _draw_stack(run: Run) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import Generator, ops, plots

    figure = Canvas(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for copies in (1, 3, 6):
        left.plot(_INPUTS, stack_of_sigmoids(_INPUTS, copies), color="#b0b0b0", linewidth=1)
    left.plot(_INPUTS, stack_of_sigmoids(_INPUTS), color="#1f4e79", linewidth=3, label="sum of sigmoids")
    left.plot(_INPUTS, np.logaddexp(0, _INPUTS), color="#c0392b", linestyle="--", label="log(1 + exp(x))")
    left.plot(_INPUTS, np.maximum(_INPUTS, 0), color="#2e7d32", linewidth=1, label="max(0, x)")
    left.set_xlabel("total input x")
    left.set_title("1, 3, 6 (grey) and all copies")
    left.legend(frameon=False)
    x = np.repeat(np.linspace(-6, 10, 33, dtype=np.float32), 1000)[None]
    for kind, colour in (("stepped-sigmoid", "#1f4e79"), ("nrelu", "#c0392b")):
        states = np.asarray(ops.sample_units(x, kind, rng=Generator(run.seed))).reshape(33, 1000)
        right.errorbar(x.reshape(33, 1000)[:, 0], states.mean(1), states.std(1), color=colour, label=kind, capsize=2)
    right.set_xlabel("total input x")
    right.set_title("samples: mean and standard deviation")
    right.legend(frameon=False)
    plots.save(figure, run.out / "stack.png")


EXPERIMENT = Experiment(
    name="relu-stack",
    title="Rectified linear units as a stack of sigmoids; NReLU against binary RBMs of equal size",
    source="Nair and Hinton 2010, Rectified linear units improve restricted Boltzmann machines, ICML",
    figures=(
        Figure(
            "mnist_margin",
            "test error of the binary net less that of the NReLU net, MNIST, 500 pretrained units, fine-tuned",
            unit="% points",
            better="higher",
            target=0.0,
            quick_bound=0.0,
        ),
        Figure(
            "mnist_nrelu_error",
            "test error of the NReLU net, MNIST, 500 pretrained units, fine-tuned",
            unit="%",
            better="lower",
            target=1.6,
            quick_bound=16.0,
        ),
        Figure(
            "faces_margin",
            "the same margin, jittered Olivetti faces, 40 people, 5 training pictures of each (paper: jittered NORB)",
            unit="% points",
            better="higher",
            target=0.0,
            paper=2.2,
        ),
        Figure(
            "stack_gap",
            "largest distance of the sum of sigmoids from log(1 + exp(x))",
            unit="",
            better="lower",
            target=0.011,
            quick_bound=0.011,
            aggregate="worst",
        ),
    ),
    run=run,
    seeds=3,
    data=("mnist", "olivetti"),
    quick_data=("digits",),
)
