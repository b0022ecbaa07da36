"""A 500-unit RBM on binarised MNIST by CD-25, its test log-likelihood bracketed by AIS from both sides.

Salakhutdinov and Murray (2008, table 1) train 500 hidden units by contrastive divergence whose number of steps grows
from 1 to 25, and report a mean test log-probability of about -86.3 nats by AIS. AIS alone errs towards too high a
likelihood, so the figure here is the lower end of a bracket whose other end comes from reverse annealing (Burda, Grosse
and Salakhutdinov 2015).

Run ``python -m hintoncore.experiments.mnist_rbm500 --out results/mnist-rbm500-cd25.json``. Training saves a checkpoint
after each epoch and goes on from it when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hintoncore as hc
from hintoncore.bitmatrix import BitMatrix
from hintoncore.datasets import binarize_stochastic, load
from hintoncore.experiments._machine import cpu_name
from hintoncore.files import write_atomic
from hintoncore.models import RBM
from hintoncore.train import Callback, Checkpoint, Linear, MetricsWriter, ProgressBar, Step

__all__ = ["main", "run"]

N_HIDDEN = 500
TARGET = -86.3
WIDTH = 2.0
LEARNING_RATE = 0.1
SETTINGS: dict[str, Any] = {"batch_size": 100, "momentum": 0.5, "weight_decay": 0.0}
# CD-k from which share of the epochs on.
STEPS = ((0.0, 1), (0.1, 5), (0.3, 10), (0.6, 25))
# Samples of each training image: from one alone the model learns the noise too, some three nats of it.
BINARIZATIONS = 5


def run(
    work: Path,
    *,
    seed: int = 0,
    epochs: int = 30,
    chains: int = 1000,
    temperatures: int = 10000,
    progress: bool = False,
) -> dict[str, Any]:
    """Train, or go on training, then bracket the test log-likelihood and return the report.

    Parameters
    ----------
    work : Path
        Directory of the checkpoint and the metrics; a run that finds a checkpoint of the same settings continues it.
    seed, epochs : int
        Epochs pass over five samples of each image.
    chains, temperatures : int
        Of each annealing run.
    progress : bool

    Returns
    -------
    dict
        ``ours`` is the lower end of the bracket in nats, ``upper`` the other.

    Raises
    ------
    DatasetNotFoundError
        If MNIST is not on this machine.
    """
    from hintoncore.likelihood import bracket

    work.mkdir(parents=True, exist_ok=True)
    dataset = load("mnist")
    test = binarize_stochastic(dataset.test, rng=0)
    draws = [binarize_stochastic(dataset.train, rng=1 + i).transpose().words for i in range(BINARIZATIONS)]
    train = BitMatrix(np.concatenate(draws), dataset.train.shape[1]).transpose()
    checkpoint = work / "checkpoint.safetensors"
    callbacks: list[Callback] = [Checkpoint(checkpoint), MetricsWriter(work / "metrics.jsonl")]
    if progress:
        callbacks.append(ProgressBar())
    steps = Step(tuple((share * epochs, float(k)) for share, k in STEPS))
    start = time.perf_counter()
    rbm = RBM(dataset.train.shape[1], N_HIDDEN, seed=seed)
    rbm.fit(
        train,
        epochs,
        k=steps,
        learning_rate=Linear(LEARNING_RATE, 0.0, epochs),
        validation=test,
        callbacks=callbacks,
        resume=checkpoint if checkpoint.exists() else None,
        **SETTINGS,
    )
    trained = time.perf_counter()
    found = bracket(rbm, test, chains=chains, temperatures=temperatures, rng=seed, progress=progress)
    return {
        "name": "mnist-rbm500-cd25",
        "figure": "mean test log-likelihood, MNIST binarised by sampling, 500 hidden units: lower end of the bracket",
        "unit": "nats",
        "better": "higher",
        "target": TARGET,
        "ours": found.lower,
        "upper": found.upper,
        "lower_std_error": found.lower_std_error,
        "upper_std_error": found.upper_std_error,
        "open": found.open,
        "seed": seed,
        "epochs": rbm.epochs_trained,
        "training_seconds_of_this_run": trained - start,
        "likelihood_seconds": time.perf_counter() - trained,
        "reached": found.lower >= TARGET and not found.open,
        "settings": {
            **SETTINGS,
            "k": steps.describe(),
            "learning_rate": f"{LEARNING_RATE} falling linearly to 0",
            "binarizations": BINARIZATIONS,
            "chains": chains,
            "temperatures": temperatures,
        },
        "cpu": cpu_name(),
        "threads": hc.get_num_threads(),
        "version": hc.__version__,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status: 0 if the target was reached."""
    parser = argparse.ArgumentParser(prog="python -m hintoncore.experiments.mnist_rbm500", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--chains", type=int, default=1000)
    parser.add_argument("--temperatures", type=int, default=10000)
    parser.add_argument("--work", type=Path, default=Path("mnist-rbm500"), help="directory of the checkpoint")
    parser.add_argument("--out", type=Path, help="JSON file to write; standard output when left out")
    parser.add_argument("--progress", action="store_true")
    options = parser.parse_args(arguments)
    report = run(
        options.work,
        seed=options.seed,
        epochs=options.epochs,
        chains=options.chains,
        temperatures=options.temperatures,
        progress=options.progress,
    )
    given = sys.argv[1:] if arguments is None else list(arguments)
    report["command"] = f"{parser.prog} {shlex.join(given)}".strip()
    text = json.dumps(report, indent=2) + "\n"
    if options.out is None:
        print(text, end="")
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(options.out, text.encode())
    return 0 if report["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
