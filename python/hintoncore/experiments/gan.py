"""Generative adversarial nets on MNIST: which digits the generator makes, and its Parzen-window likelihood.

The generator, a net of two rectified layers, turns 100 uniform numbers into an image; the discriminator, of two maxout
layers with dropout as in the paper, tells images from data. With rectified layers in the discriminator, or less
dropout, it soon is too sure of itself, and after five epochs the generator makes few digits or one. Two things are
measured on 10,000 samples that nobody has chosen:

- How many of the ten digits the generator makes. A classifier trained apart, on the labelled training images, judges:
  a digit counts as made when at least 2 % of all samples are it with a probability of at least 0.9. The classifier's
  own test error, and the shares that it gives to the real test images, are among the details.
- The log-likelihood of the 10,000 test images under Gaussian kernels on the samples, the paper's figure, with the width
  of the kernels chosen on the last 5000 training images. The paper says that the measure is poor; so real training
  images in place of samples, as many of them, are measured beside it.

A quick run makes 8x8 digits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._supervised import curves, images, train

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.datasets import Dataset
    from hintoncore.models import GAN

__all__ = ["EXPERIMENT", "FULL", "QUICK", "Settings"]

CONFIDENCE, LEAST_SHARE = 0.9, 0.02
_WIDTHS = tuple(float(width) for width in np.round(np.geomspace(0.1, 0.4, 13), 4))


@dataclass(frozen=True)
class Settings:
    """Both nets, the judge, and how long they are trained.

    Attributes
    ----------
    n_noise : int
    generator_hidden, discriminator_hidden : tuple of int
    pieces : int
        Of a maxout unit of the discriminator.
    dropout : (float, float)
        Of the discriminator's inputs and hidden units.
    epochs, batch_size : int
    learning_rate : float
        Of both optimisers (Adam with ``beta1 = 0.5``), falling to a tenth.
    samples : int
    validation_rows, test_rows : int
        Of the Parzen-window estimate.
    judge_hidden : int
        Width of the classifier's two layers.
    judge_epochs : int
    """

    n_noise: int = 100
    generator_hidden: tuple[int, ...] = (256, 512)
    discriminator_hidden: tuple[int, ...] = (120, 120)
    pieces: int = 5
    dropout: tuple[float, float] = (0.2, 0.5)
    epochs: int = 150
    batch_size: int = 100
    learning_rate: float = 0.0002
    samples: int = 10_000
    validation_rows: int = 5000
    test_rows: int = 10_000
    judge_hidden: int = 400
    judge_epochs: int = 10


FULL = Settings()
"""All of MNIST; one update of the discriminator to one of the generator."""

QUICK = Settings(
    n_noise=20,
    generator_hidden=(128,),
    discriminator_hidden=(64,),
    pieces=3,
    dropout=(0.0, 0.3),
    epochs=120,
    batch_size=50,
    learning_rate=0.001,
    samples=2000,
    validation_rows=300,
    test_rows=297,
    judge_hidden=128,
    judge_epochs=60,
)
"""For the test suite."""


def run(run: Run) -> dict[str, float]:
    """Train both players and the judge, then measure."""
    settings = QUICK if run.quick else FULL
    data = images(run)
    model, history = _play(run, data, settings)
    samples = model.sample(settings.samples, rng=run.seed)
    judge, judge_error = _train_judge(run, data, settings)

    share, test_share = _shares(judge, samples), _shares(judge, data.test)
    parzen, parzen_details = _parzen(samples, data, settings)
    run.details.update(
        settings=asdict(settings),
        thresholds={"confidence": CONFIDENCE, "least_share": LEAST_SHARE},
        judge_test_error_percent=100 * judge_error,
        share_of_class=share.tolist(),
        share_of_class_among_test_images=test_share.tolist(),
        judged_with_confidence=float(share.sum()),
        **parzen_details,
        discriminator_loss=[record["discriminator_loss"] for record in history],
        generator_loss=[record["generator_loss"] for record in history],
    )
    if run.pictures:
        _draw(run, data, samples, judge, history)
    return {
        "classes": float((share >= LEAST_SHARE).sum()),
        "smallest_share": 100 * float(share.min()),
        "parzen": parzen,
    }


def _play(run: Run, data: Dataset, settings: Settings) -> tuple[GAN, list[dict[str, Any]]]:
    from hintoncore import nn
    from hintoncore.models import GAN
    from hintoncore.train import AdversarialLearning, Checkpoint, Linear, Trainer

    model = GAN(
        data.train.shape[1],
        settings.n_noise,
        settings.generator_hidden,
        settings.discriminator_hidden,
        pieces=settings.pieces,
        dropout=settings.dropout,
        seed=run.seed,
    )
    rate = Linear(settings.learning_rate, settings.learning_rate / 10, settings.epochs)
    task = AdversarialLearning(
        model,
        data.train,
        generator_optimiser=nn.Adam(rate, beta1=0.5),
        discriminator_optimiser=nn.Adam(rate, beta1=0.5),
        seed=run.seed,
    )
    saving = Checkpoint(run.out / "checkpoint.safetensors", every_epochs=5)
    trainer = Trainer(task, batch_size=settings.batch_size, callbacks=[*run.callbacks(), saving])
    checkpoint = run.checkpoint("checkpoint.safetensors")
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(settings.epochs)
    model.save(run.out / "model.safetensors")
    return model, trainer.history


def _train_judge(run: Run, data: Dataset, settings: Settings) -> tuple[nn.Sequential, float]:
    """A classifier that has never seen a sample, and its share of errors on the test images."""
    import hintoncore as hc
    from hintoncore import nn
    from hintoncore.train import Linear

    rng, width = hc.Generator(run.seed + 1000), settings.judge_hidden
    judge = nn.Sequential(
        [
            nn.Dropout(0.2, rng=rng),
            nn.Linear(data.train.shape[1], width, activation="relu", rng=rng),
            nn.Dropout(0.5, rng=rng),
            nn.Linear(width, width, activation="relu", rng=rng),
            nn.Dropout(0.5, rng=rng),
            nn.Linear(width, 10, rng=rng),
        ]
    )
    rate = Linear(0.002, 0.0, settings.judge_epochs)
    history = train(
        run, "judge", judge, nn.Adam(rate), data, epochs=settings.judge_epochs, batch_size=settings.batch_size
    )
    return judge, float(history[-1]["validation_error"])


def _shares(judge: nn.Layer, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of the rows that the judge takes for each class with enough confidence."""
    from hintoncore import ops

    probabilities = np.concatenate(
        [ops.softmax(judge.forward(rows[first : first + 1000])) for first in range(0, len(rows), 1000)]
    )
    sure = probabilities.max(axis=1) >= CONFIDENCE
    return np.bincount(probabilities.argmax(axis=1)[sure], minlength=10) / len(rows)


def _parzen(samples: NDArray[np.float32], data: Dataset, settings: Settings) -> tuple[float, dict[str, Any]]:
    """The test images' log-likelihood under kernels on samples, and under kernels on as many training images."""
    from hintoncore.likelihood import best_bandwidth, parzen_log_likelihood

    test = data.test[: settings.test_rows]
    validation, others = np.split(data.train[::-1], [settings.validation_rows])
    found = {}
    for name, centres in (("samples", samples), ("training_images", others[: settings.samples])):
        width = best_bandwidth(centres, validation[:1000], _WIDTHS)
        by_row = parzen_log_likelihood(centres, test, width)
        found[name] = {
            "log_likelihood": float(by_row.mean()),
            "std_error": float(by_row.std(ddof=1) / np.sqrt(len(by_row))),
            "width": width,
            "kernels": len(centres),
        }
    return found["samples"]["log_likelihood"], {"parzen": found}


def _draw(
    run: Run, data: Dataset, samples: NDArray[np.float32], judge: nn.Layer, history: list[dict[str, Any]]
) -> None:
    from hintoncore import plots

    grid = plots.image_grid(samples[:100], data.image_shape, "Samples, not chosen")
    plots.save(grid, run.out / "samples.png")
    some = samples[:1000]
    classes = judge.forward(some).argmax(axis=1)
    order = [index for digit in range(10) for index in np.flatnonzero(classes == digit)[:10]]
    grid = plots.image_grid(some[order], data.image_shape, "The first ten samples of each class that the judge names")
    plots.save(grid, run.out / "samples-by-class.png")
    series = {
        "discriminator": [record["discriminator_loss"] for record in history],
        "generator": [record["generator_loss"] for record in history],
    }
    curves(run, "losses.png", "The two players' losses", "nats", series, log=False)


EXPERIMENT = Experiment(
    name="gan",
    title="Generative adversarial nets on MNIST",
    source="Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio 2014, table 1",
    figures=(
        Figure(
            "classes",
            "digits of which at least 2 % of 10,000 samples are, by a separate classifier sure to 0.9",
            unit="of 10",
            better="higher",
            target=10.0,
            quick_bound=7.0,
        ),
        Figure(
            "parzen",
            "Parzen-window log-likelihood of the MNIST test images, 10,000 samples",
            unit="nats",
            better="higher",
            target=223.0,
            paper=225.0,
        ),
        Figure(
            "smallest_share",
            "share of samples of the rarest digit",
            unit="%",
            better="higher",
            target=2.0,
        ),
    ),
    run=run,
    seeds=1,
    data=("mnist",),
    quick_data=("digits",),
)
