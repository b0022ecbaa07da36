"""A variational autoencoder on binarised MNIST: its bound, and its likelihood by 5000 importance samples.

Images are binarised by chance, each grey value the probability of its pixel: the training images anew whenever they are
met, the test images once, with a fixed seed (Burda, Grosse and Salakhutdinov 2016, appendix D; the binarisation of the
86.76 nats that they report for one stochastic layer). The encoder is 784-300-300-50 and the decoder its mirror image,
with rectified hidden units, trained by Adam at a rate that falls to 0 in a straight line. No setting is chosen by the
test images, which are only watched while it trains. The figures take all 10,000 of them; the likelihood errs low, so
that the negative log-likelihood is an upper bound in expectation.

A quick run trains a small net on 5000 images and takes 20 importance samples.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.bitmatrix import BitMatrix
    from hintoncore.models import VAE

__all__ = ["EXPERIMENT", "FULL", "QUICK", "Settings"]

_TEST_SEED = 2016  # of the test images' bits, the same for every seed of the experiment


@dataclass(frozen=True)
class Settings:
    """The model and how long it is trained.

    Attributes
    ----------
    hidden : tuple of int
    n_latent : int
    train_rows, test_rows : int
    epochs, batch_size : int
    learning_rate : float
        At the start.
    importance_samples : int
        Of each test image.
    """

    hidden: tuple[int, ...] = (300, 300)
    n_latent: int = 50
    train_rows: int = 60_000
    test_rows: int = 10_000
    epochs: int = 600
    batch_size: int = 100
    learning_rate: float = 0.001
    importance_samples: int = 5000


FULL = Settings()
"""All of MNIST, 50 latent variables."""

QUICK = Settings(
    hidden=(100,), n_latent=10, train_rows=5000, test_rows=500, epochs=15, learning_rate=0.003, importance_samples=20
)
"""For the test suite."""


def run(run: Run) -> dict[str, float]:
    """Train, then bound and likelihood of the test images."""
    from hintoncore import datasets, nn
    from hintoncore.experiments._binarized import binarizations
    from hintoncore.models import VAE
    from hintoncore.train import Checkpoint, Linear, Trainer, VariationalLearning

    settings = QUICK if run.quick else FULL
    data = datasets.load("mnist")
    test = binarizations(data.test[: settings.test_rows], 1, first=_TEST_SEED)
    model = VAE(data.train.shape[1], settings.n_latent, settings.hidden, activation="relu", seed=run.seed)
    task = VariationalLearning(
        model,
        data.train[: settings.train_rows],
        optimiser=nn.Adam(Linear(settings.learning_rate, 0.0, settings.epochs)),
        seed=run.seed,
        validation=test,
    )
    saving = Checkpoint(run.out / "checkpoint.safetensors", every_epochs=5)
    trainer = Trainer(task, batch_size=settings.batch_size, callbacks=[*run.callbacks(), saving])
    checkpoint = run.checkpoint("checkpoint.safetensors")
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(settings.epochs)
    model.save(run.out / "model.safetensors")

    measured, details = _measure(run, model, test, settings.importance_samples)
    run.details.update(
        settings=asdict(settings),
        binarisation="by chance, grey value = probability: training images anew when met, test images once",
        **details,
        bound_by_epoch=[record["validation_bound"] for record in trainer.history],
        train_bound_by_epoch=[-record["loss"] for record in trainer.history],
    )
    if run.pictures:
        _draw(run, model, test, data.image_shape, trainer.history)
    return measured


def _measure(run: Run, model: VAE, test: BitMatrix, samples: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures from all test images, in parts of 100 under a progress bar."""
    from hintoncore.generator import Generator

    rows, rng = test.to_dense(), Generator(run.seed)
    starts = range(0, len(rows), 100)
    parts = [
        model.importance_log_likelihood(rows[first : first + 100], samples, rng=rng)
        for first in run.bar(starts, "importance samples")
    ]
    sizes = np.array([len(part.by_row) for part in parts])
    by_row = np.concatenate([part.by_row for part in parts])
    sampling_error = math.sqrt(float(sum((part.std_error * n) ** 2 for part, n in zip(parts, sizes, strict=True))))
    code, _ = model.encode(test)
    details = {
        "test_images": len(rows),
        "importance_samples": samples,
        "nll_std_error_of_sampling": sampling_error / len(rows),
        "nll_std_error_of_images": float(by_row.std(ddof=1)) / math.sqrt(len(rows)),
        "effective_samples": float(np.average([part.ess for part in parts], weights=sizes)),
        "latents_in_use": int((code.var(axis=0) > 0.01).sum()),
    }
    bound = float(np.average([part.bound for part in parts], weights=sizes))
    return {"bound": bound, "nll": -float(by_row.mean())}, details


def _draw(run: Run, model: VAE, test: BitMatrix, image_shape: tuple[int, int], history: list[dict[str, Any]]) -> None:
    from hintoncore import plots
    from hintoncore.experiments._supervised import curves

    some = test.to_dense()[:30]
    title = "Pixel probabilities for codes drawn from the prior"
    plots.save(plots.image_grid(model.sample(100, rng=run.seed), image_shape, title), run.out / "samples.png")
    plots.save(plots.reconstructions(some, model.reconstruct(some), image_shape), run.out / "reconstructions.png")
    plots.save(plots.image_grid(_walks(model, some), image_shape, "From one code to another"), run.out / "walks.png")
    series = {
        "training": [-record["loss"] for record in history],
        "test": [record["validation_bound"] for record in history],
    }
    curves(run, "bound.png", "Variational bound on binarised MNIST", "nats per image", series, log=False)


def _walks(model: VAE, images: Any, steps: int = 10) -> Any:
    """Straight lines between the codes of pairs of images, decoded."""
    mean, _ = model.encode(images[:20])
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    pairs = zip(mean[::2], mean[1::2], strict=True)
    return np.concatenate([model.decode((1 - share) * one + share * other) for one, other in pairs])


EXPERIMENT = Experiment(
    name="vae",
    title="A variational autoencoder on binarised MNIST, 50 latent variables",
    source="Kingma and Welling 2014; Burda, Grosse and Salakhutdinov 2016, table 1",
    figures=(
        Figure(
            "nll",
            "negative log-likelihood of binarised MNIST test images by 5000 importance samples",
            unit="nats",
            better="lower",
            target=88.0,
            paper=86.76,
            best_public=87.8,
            quick_bound=145.0,
        ),
        Figure(
            "bound",
            "variational bound of binarised MNIST test images",
            unit="nats",
            better="higher",
            target=-95.0,
            quick_bound=-155.0,
        ),
    ),
    run=run,
    seeds=1,
    data=("mnist",),
)
