"""A small run of every task of ``hintoncore.train``, and the process that test_killed_tasks.py has killed in it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hintoncore import nn, train
from hintoncore.datasets import csr_ratings
from hintoncore.models import (
    CFRBM,
    DBM,
    DBN,
    GAN,
    RBM,
    VAE,
    BoltzmannMachine,
    DeepAutoencoder,
    HelmholtzMachine,
    Mixture,
    Recirculation,
)

EPOCHS, BATCH, ROWS = 3, 20, 70  # 4 minibatches an epoch, the last of 10 rows
SAVE_EVERY, KILLED_AT = 3, 7  # in the midst of the second epoch, one update after a checkpoint

Callbacks = Sequence[train.Callback]
Go = Callable[[Callbacks, Path | None], object]

_rng = np.random.default_rng(3)
GREY = _rng.random((ROWS, 12), dtype=np.float32)
BITS = (GREY < 0.4).astype(np.float32)
LABELS = _rng.integers(0, 3, ROWS)
STARS = np.where(_rng.random((ROWS, 12)) < 0.5, _rng.integers(1, 6, (ROWS, 12)), 0)
RATE = train.Exponential(0.1, 0.9)


def _train(task: train.Task, callbacks: Callbacks, resume: Path | None) -> None:
    trainer = train.Trainer(task, batch_size=BATCH, callbacks=callbacks)
    if resume is not None:
        trainer.load_checkpoint(resume)
    trainer.run(EPOCHS)


def _contrastive(callbacks: Callbacks, resume: Path | None) -> None:
    model = RBM(12, 7, seed=1)
    model.fit(GREY, EPOCHS, batch_size=BATCH, persistent=True, k=2, momentum=0.5, callbacks=callbacks, resume=resume)


def _units(callbacks: Callbacks, resume: Path | None) -> None:
    model = RBM(12, 7, visible="gaussian", hidden="nrelu", seed=1)
    model.fit(GREY, EPOCHS, batch_size=BATCH, learning_rate=0.01, momentum=0.5, callbacks=callbacks, resume=resume)


def _associative(callbacks: Callbacks, resume: Path | None) -> None:
    net = DBN((12, 7), 3, seed=1)
    net.fit_layer(
        0, GREY, LABELS, EPOCHS, batch_size=BATCH, persistent=True, momentum=0.5, callbacks=callbacks, resume=resume
    )


def _up_down(callbacks: Callbacks, resume: Path | None) -> None:
    net = DBN((12, 7, 5), 3, seed=1)
    net.fine_tune(GREY, LABELS, EPOCHS, batch_size=BATCH, momentum=0.5, callbacks=callbacks, resume=resume)


def _doubled(callbacks: Callbacks, resume: Path | None) -> None:
    DBM((12, 7, 5), seed=1).pretrain_layer(0, BITS, EPOCHS, batch_size=BATCH, callbacks=callbacks, resume=resume)


def _mean_field(callbacks: Callbacks, resume: Path | None) -> None:
    DBM((12, 7, 5), seed=1).fit(BITS, EPOCHS, batch_size=BATCH, n_chains=11, callbacks=callbacks, resume=resume)


def _wake_sleep(callbacks: Callbacks, resume: Path | None) -> None:
    machine = HelmholtzMachine((12, 7, 5), seed=1)
    machine.fit(
        BITS, EPOCHS, batch_size=BATCH, samples=3, learning_rate=RATE, momentum=0.5, callbacks=callbacks, resume=resume
    )


def _boltzmann(callbacks: Callbacks, resume: Path | None) -> None:
    settings = train.BoltzmannSettings.create(
        rule="gradient",
        learning_rate=RATE,
        momentum=0.5,
        weight_decay=0.001,
        repeats=2,
        anneal="2@4,1@3",
        collect=2,
        noise=(0.1, 0.05),
        order="random",
    )
    _train(train.BoltzmannLearning(BoltzmannMachine(12, 4, seed=1), BITS, settings), callbacks, resume)


def _em(callbacks: Callbacks, resume: Path | None) -> None:
    mixture = Mixture(3, 12, "bernoulli", seed=1)
    mixture.fit(BITS, EPOCHS, batch_size=BATCH, sparse_threshold=0.01, full_every=2, callbacks=callbacks, resume=resume)


def _ratings(callbacks: Callbacks, resume: Path | None) -> None:
    users, items = np.nonzero(STARS)
    machine = CFRBM(12, 4, values=(1, 2, 3, 4, 5), seed=1)
    machine.fit(
        csr_ratings(users, items, STARS[users, items].astype(np.float64), n_users=ROWS),
        EPOCHS,
        rule="cd",
        batch_size=BATCH,
        learning_rate=RATE,
        callbacks=callbacks,
        resume=resume,
    )


def _recirculation(callbacks: Callbacks, resume: Path | None) -> None:
    Recirculation(12, 4, seed=1).fit(GREY, EPOCHS, batch_size=BATCH, callbacks=callbacks, resume=resume)


def _autoencoder(callbacks: Callbacks, resume: Path | None) -> None:
    model = DeepAutoencoder((12, 7, 3), seed=1)
    model.fit(GREY, EPOCHS, optimiser=nn.Adam(RATE), batch_size=BATCH, callbacks=callbacks, resume=resume)


def _supervised(callbacks: Callbacks, resume: Path | None) -> None:
    layers = [nn.Dropout(0.2, rng=1), nn.Linear(12, 7, activation="relu", rng=2), nn.Linear(7, 3, rng=3)]
    task = train.Supervised(
        nn.Sequential(layers),
        GREY,
        LABELS,
        loss=nn.SoftmaxCrossEntropy(),
        optimiser=nn.RMSprop(RATE, momentum=0.5),
        validation=(GREY[:30], LABELS[:30]),
    )
    _train(task, callbacks, resume)


def _credit(callbacks: Callbacks, resume: Path | None) -> None:
    net = nn.FeedbackNetwork([12, 7, 5, 3], activation="sigmoid", rng=1)
    rule, optimiser = train.DifferenceTargetPropagation(), nn.Momentum(RATE, 0.5)
    _train(train.CreditAssignment(net, GREY, LABELS, rule=rule, optimiser=optimiser, seed=1), callbacks, resume)


def _variational(callbacks: Callbacks, resume: Path | None) -> None:
    model = VAE(12, 3, (7,), seed=1)
    _train(train.VariationalLearning(model, GREY, optimiser=nn.Adam(0.01), seed=1), callbacks, resume)


def _adversarial(callbacks: Callbacks, resume: Path | None) -> None:
    task = train.AdversarialLearning(
        GAN(12, 4, (7,), (6,), seed=1),
        GREY,
        generator_optimiser=nn.Adam(0.01, beta1=0.5),
        discriminator_optimiser=nn.Momentum(0.05, 0.5),
        discriminator_steps=2,
        seed=1,
    )
    _train(task, callbacks, resume)


TASKS: dict[str, Go] = {
    "AdversarialLearning": _adversarial,
    "AssociativeLearning": _associative,
    "AutoencoderLearning": _autoencoder,
    "BoltzmannLearning": _boltzmann,
    "ContrastiveDivergence": _contrastive,
    "CreditAssignment": _credit,
    "DoubledRBMLearning": _doubled,
    "ExpectationMaximization": _em,
    "MeanFieldLearning": _mean_field,
    "RatingLearning": _ratings,
    "RecirculationLearning": _recirculation,
    "Supervised": _supervised,
    "UnitDivergence": _units,
    "UpDown": _up_down,
    "VariationalLearning": _variational,
    "WakeSleep": _wake_sleep,
}


class KillItself(train.Callback):
    """Ends the process as kill -9 does: nothing is cleaned up, no handler runs."""

    def on_step(self, trainer: train.Trainer) -> None:
        if trainer.step == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    checkpoint = train.Checkpoint(Path(sys.argv[2]), every_steps=SAVE_EVERY)
    TASKS[sys.argv[1]]([checkpoint, KillItself()], None)
