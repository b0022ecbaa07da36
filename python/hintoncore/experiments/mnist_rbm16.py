"""A 16-unit RBM on binarised MNIST by PCD-1, judged by its exact likelihood.

Sixteen hidden units are few enough to enumerate, so the figure is the true mean log-likelihood of the 10,000 test
images and not an estimate. Training is plain persistent contrastive divergence (Tieleman 2008): minibatches of 100
images and as many chains, one Gibbs step an update, and a learning rate that falls to 0 in a straight line.

Run ``python -m hintoncore.experiments.mnist_rbm16 --out results/mnist-rbm16-pcd.json``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hintoncore as hc
from hintoncore.datasets import Dataset, binarize, load
from hintoncore.experiments._machine import cpu_name
from hintoncore.files import write_atomic
from hintoncore.models import RBM
from hintoncore.train import Callback, Linear, LogLikelihood, ProgressBar

__all__ = ["main", "run", "train_one"]

N_HIDDEN = 16
TARGET = -150.0
SETTINGS: dict[str, Any] = {
    "batch_size": 100,
    "k": 1,
    "learning_rate": 0.1,
    "momentum": 0.0,
    "weight_decay": 0.0,
}


def train_one(dataset: Dataset, *, seed: int, epochs: int, callbacks: Sequence[Callback] = ()) -> RBM:
    """Train on the binarised training images of ``dataset``; ``learning_rate`` falls to 0 over ``epochs``."""
    settings = {**SETTINGS, "learning_rate": Linear(SETTINGS["learning_rate"], 0.0, epochs)}
    rbm = RBM(dataset.train.shape[1], N_HIDDEN, seed=seed)
    return rbm.fit(binarize(dataset.train), epochs, persistent=True, callbacks=callbacks, **settings)


def run(seeds: Sequence[int] = (0, 1, 2, 3, 4), epochs: int = 50, *, progress: bool = False) -> dict[str, Any]:
    """Train once for each seed and return the report.

    Parameters
    ----------
    seeds : sequence of int
    epochs : int
    progress : bool
        Show a progress bar with the exact test log-likelihood.

    Returns
    -------
    dict
        ``ours`` is the mean over seeds of the exact mean test log-likelihood in nats, ``spread`` the standard deviation
        over seeds, ``worst`` the lowest.

    Raises
    ------
    DatasetNotFoundError
        If MNIST is not on this machine.
    """
    dataset = load("mnist")
    test = binarize(dataset.test)
    figures, seconds = [], []
    for seed in seeds:
        callbacks = [ProgressBar(), LogLikelihood(test)] if progress else []
        start = time.perf_counter()
        rbm = train_one(dataset, seed=seed, epochs=epochs, callbacks=callbacks)
        seconds.append(time.perf_counter() - start)
        figures.append(rbm.log_likelihood(test))
    ours = statistics.fmean(figures)
    return {
        "name": "mnist-rbm16-pcd",
        "figure": "exact mean test log-likelihood, MNIST binarised by threshold 0.5, 16 hidden units",
        "unit": "nats",
        "better": "higher",
        "target": TARGET,
        "ours": ours,
        "spread": statistics.stdev(figures) if len(figures) > 1 else 0.0,
        "worst": min(figures),
        "by_seed": dict(zip(map(str, seeds), figures, strict=True)),
        "seeds": list(seeds),
        "seconds": sum(seconds),
        "seconds_by_seed": seconds,
        "reached": min(figures) >= TARGET,
        "settings": {
            **SETTINGS,
            "epochs": epochs,
            "learning_rate": f"{SETTINGS['learning_rate']} falling linearly to 0",
            "n_chains": SETTINGS["batch_size"],
            "persistent": True,
        },
        "cpu": cpu_name(),
        "threads": hc.get_num_threads(),
        "version": hc.__version__,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status: 0 if every seed reached the target."""
    parser = argparse.ArgumentParser(prog="python -m hintoncore.experiments.mnist_rbm16", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--out", type=Path, help="JSON file to write; standard output when left out")
    parser.add_argument("--progress", action="store_true", help="show a progress bar with the exact likelihood")
    options = parser.parse_args(arguments)
    report = run(options.seeds, options.epochs, progress=options.progress)
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
