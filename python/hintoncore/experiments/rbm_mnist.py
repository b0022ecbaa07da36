"""Restricted Boltzmann machines of MNIST, judged by likelihoods that can be trusted.

The large machine has 500 hidden units, as CD25(500) of Salakhutdinov and Murray (2008, table 1), who report a mean test
log-probability of about -86.3 nats by AIS on images whose pixels are sampled from their grey values. AIS alone errs
towards too high a likelihood, so the figure here is the lower end of a bracket whose other end comes from reverse
annealing (Burda, Grosse and Salakhutdinov 2015), from test images and from samples of the model.

It learns as that one did, by contrastive divergence whose number of steps grows to 25. What CD alone leaves undone is
far from the data: its chains start there and never see modes that look like no digit. Without weight decay such modes
grow: AIS of 2000 temperatures then says -83.8 nats; of 20,000, slow enough to find them, -93.0; and reverse annealing
from the machine's own samples says -139. So the bracket's lower end is that of test images or of samples, whichever is
lower. Weight decay keeps those modes down, for some nats that the machine could have had near the data.

A second machine of the same size learns by CD and then, for a short time, by PCD, whose persistent chains meet such
modes while they learn. It needs no decay, and has those nats.

The small machines have 16 hidden units, few enough to enumerate, so their figure is exact; they learn by PCD-1 with the
centred gradient (Melchior, Fischer and Wiskott 2016) on images cut at grey value 1/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.datasets import Dataset
    from hintoncore.models import RBM

__all__ = ["EXPERIMENT", "learn_large", "run", "training_images"]

IMAGE = (28, 28)
BATCH = 100

SMALL_HIDDEN = 16
SMALL_MACHINES = 5
SMALL_EPOCHS, QUICK_SMALL_EPOCHS = 30, 4
SMALL_RATE = 0.1

LARGE_HIDDEN = 500
# Samples of each training image: from one alone the model learns the noise too, some three nats of it.
BINARIZATIONS = 5
# CD-k from which epoch on; an epoch is one of all the samples.
CD25_STEPS = ((0.0, 1.0), (10.0, 5.0), (20.0, 10.0), (30.0, 25.0))
CD25_EPOCHS, CD25_RATE, CD25_DECAY = 40, 0.1, 0.001
# Of the machine that learns by CD and then by PCD.
STEPS = ((0.0, 1.0), (8.0, 5.0), (24.0, 10.0))
CD_EPOCHS, CD_RATE, CD_RATE_REACHES_ZERO = 48, 0.1, 80.0
PCD_EPOCHS, PCD_STEPS, PCD_CHAINS, PCD_RATE = 2, 5, 512, 0.03
MOMENTUM = 0.5
CHAINS, TEMPERATURES = 500, 15000
QUICK_ROWS = 5000


def run(run: Run) -> dict[str, float]:
    """Train both machines and measure their likelihood."""
    from hintoncore.datasets import load

    mnist = load("mnist")
    return {**_large(run, mnist), "exact_16": _small(run, mnist)}


def _small(run: Run, mnist: Dataset) -> float:
    """Exact test log-likelihood, the mean over test images and small machines."""
    from hintoncore.datasets import binarize
    from hintoncore.models import RBM
    from hintoncore.train import Linear, LogLikelihood

    epochs, machines = (QUICK_SMALL_EPOCHS, 1) if run.quick else (SMALL_EPOCHS, SMALL_MACHINES)
    images, test = binarize(mnist.train), binarize(mnist.test)
    found = {}
    for seed in range(machines * run.seed, machines * (run.seed + 1)):
        name = f"16-{seed}"
        rbm = RBM(images.shape[1], SMALL_HIDDEN, seed=seed)
        rbm.fit(
            images,
            epochs,
            rule="pcd",
            centred=True,
            batch_size=BATCH,
            learning_rate=Linear(SMALL_RATE, 0.0, epochs),
            momentum=0.0,
            weight_decay=0.0,
            callbacks=[*run.callbacks(), *_records(run, name), LogLikelihood(test, every_epochs=2)],
            resume=run.checkpoint(f"checkpoint-{name}.safetensors"),
        )
        found[seed] = rbm.log_likelihood(test)
        _keep(run, rbm, name, name)
    run.details["16 hidden units"] = {
        "rule": f"PCD-1, {BATCH} chains, centred gradient, no momentum, no decay",
        "epochs": epochs,
        "learning_rate": f"{SMALL_RATE} falling linearly to 0",
        "by_seed_of_the_machine": found,
    }
    return sum(found.values()) / len(found)


def _large(run: Run, mnist: Dataset) -> dict[str, float]:
    """Brackets of the mean test log-likelihood of the large machines."""
    from hintoncore.datasets import binarize_stochastic

    images = training_images(mnist.train[:QUICK_ROWS] if run.quick else mnist.train)
    test = binarize_stochastic(mnist.test, rng=0)
    by_cd = _learn_by_cd(run, images, test)
    _keep(run, by_cd, "500", "500-cd25")
    figures = _bracket(run, by_cd, test, "500", "500 hidden units")
    epochs = (1, 1) if run.quick else (CD_EPOCHS, PCD_EPOCHS)
    by_pcd = learn_large(run, images, test, epochs=epochs)
    _keep(run, by_pcd, "500-pcd", "500-cd", "500-pcd")
    figures |= _bracket(run, by_pcd, test, "500_pcd", "500 hidden units, CD then PCD")
    run.details["500 hidden units"] |= {
        "k": {f"from epoch {start:g}": int(k) for start, k in CD25_STEPS},
        "epochs": 1 if run.quick else CD25_EPOCHS,
        "learning_rate": f"{CD25_RATE} falling linearly to 0",
        "weight_decay": CD25_DECAY,
    }
    run.details["500 hidden units, CD then PCD"] |= {
        "cd": {
            "k": {f"from epoch {start:g}": int(k) for start, k in STEPS},
            "epochs": epochs[0],
            "learning_rate": f"{CD_RATE}, falling by 1/{CD_RATE_REACHES_ZERO:g} of it an epoch",
        },
        "pcd": {
            "k": PCD_STEPS,
            "chains": PCD_CHAINS,
            "epochs": epochs[1],
            "learning_rate": f"{PCD_RATE} falling linearly to 0",
        },
        "weight_decay": 0.0,
    }
    return figures


def _bracket(run: Run, rbm: RBM, test: BitMatrix, name: str, title: str) -> dict[str, float]:
    """The bracket's lower end and its width, and the rest of it among the details."""
    chains, temperatures = (40, 200) if run.quick else (CHAINS, TEMPERATURES)
    found = rbm.log_likelihood(test, method="bracket", chains=chains, temperatures=temperatures, rng=run.seed)
    run.details[title] = {
        "upper": found.upper,
        "upper_std_error": found.upper_std_error,
        "lower_std_error": found.lower_std_error,
        "lower_from_samples": found.upper + found.forward.log_z - found.reverse_samples.log_z,
        "chains": chains,
        "temperatures": temperatures,
        "momentum": MOMENTUM,
        "samples_of_each_image": BINARIZATIONS,
    }
    return {f"lower_{name}": found.lower, f"width_{name}": found.width}


def _learn_by_cd(run: Run, images: BitMatrix, test: BitMatrix) -> RBM:
    """Train a machine by CD-k, k up to 25, or go on training it."""
    from hintoncore.models import RBM
    from hintoncore.train import Linear, Step

    rbm = RBM(images.shape[1], LARGE_HIDDEN, seed=run.seed)
    epochs = 1 if run.quick else CD25_EPOCHS
    _fit(
        run,
        rbm,
        images,
        test,
        "500-cd25",
        epochs=epochs,
        k=Step(CD25_STEPS),
        learning_rate=Linear(CD25_RATE, 0.0, epochs),
        weight_decay=CD25_DECAY,
    )
    return rbm


def learn_large(
    run: Run,
    images: BitMatrix,
    test: BitMatrix,
    *,
    n_hidden: int = LARGE_HIDDEN,
    epochs: tuple[int, int] = (CD_EPOCHS, PCD_EPOCHS),
) -> RBM:
    """Train a large machine, or go on training it: by CD-k and then by PCD, for so many epochs each."""
    from hintoncore.models import RBM
    from hintoncore.train import Linear, Step

    rbm = RBM(images.shape[1], n_hidden, seed=run.seed)
    learning: dict[str, dict[str, Any]] = {
        f"{n_hidden}-cd": {
            "epochs": epochs[0],
            "k": Step(STEPS),
            "learning_rate": Linear(CD_RATE, 0.0, CD_RATE_REACHES_ZERO),
        },
        f"{n_hidden}-pcd": {
            "epochs": epochs[1],
            "k": PCD_STEPS,
            "learning_rate": Linear(PCD_RATE, 0.0, epochs[1]),
            "persistent": True,
            "n_chains": PCD_CHAINS,
        },
    }
    for name, options in learning.items():
        _fit(run, rbm, images, test, name, weight_decay=0.0, **options)
    return rbm


def _fit(run: Run, rbm: RBM, images: BitMatrix, test: BitMatrix, name: str, **options: Any) -> None:
    """Train, with a bracket of the test likelihood every few epochs."""
    from hintoncore.train import LogLikelihood

    every = min(8, options["epochs"])
    rbm.fit(
        images,
        batch_size=BATCH,
        momentum=MOMENTUM,
        validation=test,
        callbacks=[
            *run.callbacks(),
            *_records(run, name),
            LogLikelihood(test, name="bracket", every_epochs=every, method="bracket", chains=100, temperatures=1000),
        ],
        resume=run.checkpoint(f"checkpoint-{name}.safetensors"),
        **options,
    )


def training_images(images: Any) -> BitMatrix:
    """Several samples of each image's pixels, one set after the other."""
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.datasets import binarize_stochastic

    draws = [binarize_stochastic(images, rng=1 + i).transpose().words for i in range(BINARIZATIONS)]
    return BitMatrix(np.concatenate(draws), images.shape[1]).transpose()


def _records(run: Run, name: str) -> list[Any]:
    from hintoncore.train import Checkpoint, MetricsWriter

    checkpoint, metrics = run.out / f"checkpoint-{name}.safetensors", run.out / f"metrics-{name}.jsonl"
    return [Checkpoint(checkpoint), MetricsWriter(metrics)]


def _keep(run: Run, rbm: RBM, name: str, *metrics: str) -> None:
    """The model, and its pictures: receptive fields, fantasies, curves of the named metrics, one after the other."""
    rbm.save(run.out / f"model-{name}.safetensors")
    if not run.pictures:
        return
    import json

    from hintoncore import plots

    lines = [x for part in metrics for x in (run.out / f"metrics-{part}.jsonl").read_text("utf-8").splitlines()]
    records = [{**json.loads(line), "epoch": epoch} for epoch, line in enumerate(lines, start=1)]
    plots.save(plots.training_curves(records), run.out / f"curves-{name}.png")
    plots.save(plots.receptive_fields(rbm.w, IMAGE), run.out / f"receptive-fields-{name}.png")
    _, fantasies = rbm.sample(100, 200 if run.quick else 5000, rng=run.seed, return_probs=True)
    title = f"Fantasies of a machine with {rbm.n_hidden} hidden units"
    plots.save(plots.image_grid(fantasies, IMAGE, title), run.out / f"fantasies-{name}.png")


EXPERIMENT = Experiment(
    name="rbm-mnist",
    title="Restricted Boltzmann machines of MNIST: likelihood bracketed by AIS from both sides, and exact",
    source="Salakhutdinov and Murray 2008, table 1; Melchior, Fischer and Wiskott 2016",
    figures=(
        Figure(
            "lower_500",
            "mean test log-likelihood, 500 hidden units, CD-25, sampled pixels: lower end of the bracket",
            unit="nats",
            better="higher",
            target=-86.3,
            paper=-86.34,
            paper_approximate=True,
            quick_bound=-260.0,
        ),
        Figure(
            "width_500",
            "width of that bracket, two standard errors at either end included",
            unit="nats",
            better="lower",
            target=2.0,
        ),
        Figure(
            "lower_500_pcd",
            "the same of a machine that learns by CD and then by PCD",
            unit="nats",
            better="higher",
            target=-86.3,
            quick_bound=-260.0,
        ),
        Figure(
            "width_500_pcd",
            "width of its bracket",
            unit="nats",
            better="lower",
            target=2.0,
        ),
        Figure(
            "exact_16",
            "exact mean test log-likelihood of 5 machines, 16 hidden units, centred PCD-1, pixels cut at 1/2",
            unit="nats",
            better="higher",
            target=-142.6,
            quick_bound=-160.0,
        ),
    ),
    run=run,
    seeds=1,
    data=("mnist",),
)
