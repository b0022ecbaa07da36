"""`hintoncore train`: from a data set to a model, samples, pictures and curves, in one resumable run."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hintoncore.cli._shared import integer, npy_bytes, print_json, real, seed

if TYPE_CHECKING:
    from hintoncore.datasets import Dataset
    from hintoncore.models import RBM

NAME = "train"
HELP = "train a model on a data set; resumable to the same bytes"
DESCRIPTION = """\
Trains a model and leaves in DIR: model.safetensors, checkpoint.safetensors, metrics.jsonl (one line an epoch),
samples.npy, run.json (the settings) and pictures: receptive_fields.png, reconstructions.png, samples.png, curves.png.

Pixels above --threshold are on, the others off. The model is a function of seed, data and settings alone: threads,
Ctrl-C, kill -9 and --resume do not change a byte of it.
"""
EPILOG = """\
examples:
  hintoncore train rbm --out digits
      64 hidden units on scikit-learn's 8x8 handwritten digits, in seconds
  hintoncore train rbm --data mnist --hidden 500 --epochs 30 --out mnist500
      MNIST, found in $HINTONCORE_DATA or in the caches of torchvision and Keras
  hintoncore train rbm --data mnist --hidden 16 --persistent --epochs 50 --learning-rate 0.02 --out mnist16
      at most 25 hidden units: the curve shows the exact log-likelihood of the test images
  hintoncore train rbm --rule fpcd --centred --out fast
      fast persistent chains, centred gradient
  hintoncore train rbm --out mnist500 --resume
      go on after an interruption, with the settings of that run
  hintoncore train rbm --out mnist500 --resume --epochs 60
      train a finished run further
"""

_SETTINGS = "run.json"
_CHECKPOINT = "checkpoint.safetensors"
_MODEL = "model.safetensors"
_METRICS = "metrics.jsonl"
_BRACKET_CHAINS, _BRACKET_TEMPERATURES = 500, 1000
_SAMPLES, _SAMPLING_STEPS, _RECONSTRUCTED = 100, 1000, 30

#: Settings of a run, all kept in run.json: (default, what it means).
_DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "epochs": 50,
    "hidden": 64,
    "k": 1,
    "persistent": False,
    "rule": None,
    "centred": False,
    "batch_size": 50,
    "learning_rate": 0.05,
    "momentum": None,
    "weight_decay": 0.0002,
    "threshold": 0.5,
    "seed": 0,
}
#: Settings that runs of older versions do not name.
_LATER: dict[str, Any] = {"rule": None, "centred": False}
_MODELS = ("rbm",)
_RULES = ("cd", "pcd", "fpcd", "pt")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Those left out come from run.json with --resume, else from _DEFAULTS."""
    parser.add_argument("model", choices=_MODELS, metavar="MODEL", help=f"what to train: {', '.join(_MODELS)}")

    def setting(group: Any, flag: str, text: str, **kwargs: Any) -> None:
        default = _DEFAULTS[flag.removeprefix("--").replace("-", "_")]
        shown = f" (default: {default})" if default not in (None, False) else ""
        group.add_argument(flag, default=argparse.SUPPRESS, help=text + shown, **kwargs)

    data = parser.add_argument_group("data")
    setting(data, "--data", "data set: digits, mnist, fashion-mnist", metavar="NAME")
    setting(data, "--threshold", "grey value in [0, 1) above which a pixel is on", type=real(0, 1), metavar="T")
    data.add_argument("--data-root", default=None, metavar="DIR", help="look for the data set in this folder first")
    learning = parser.add_argument_group("learning (defaults after Hinton's practical guide, UTML TR 2010-003)")
    setting(learning, "--hidden", "hidden units", type=integer(1), metavar="H")
    setting(learning, "--epochs", "passes over the data, in all", type=integer(0), metavar="E")
    setting(learning, "--k", "Gibbs steps of each update (CD-k)", type=integer(1), metavar="K")
    setting(learning, "--persistent", "keep the chains from update to update, as --rule pcd", action="store_true")
    setting(
        learning,
        "--rule",
        "negative phase: cd, pcd, fpcd (PCD with fast weights) or pt (parallel tempering) (default: cd)",
        choices=_RULES,
        metavar="RULE",
    )
    setting(learning, "--centred", "follow the centred gradient", action="store_true")
    setting(learning, "--batch-size", "images of an update", type=integer(1), metavar="B")
    setting(learning, "--learning-rate", "step size", type=real(0, open_low=True), metavar="R")
    setting(
        learning,
        "--momentum",
        "in [0, 1) (default: 0.5 for five epochs, then 0.9; 0.5 with --persistent)",
        type=real(0, 1),
        metavar="M",
    )
    setting(learning, "--weight-decay", "decay of the weights", type=real(0), metavar="D")
    setting(learning, "--seed", "of weights, data order and draws", type=seed)
    how = parser.add_argument_group("run")
    how.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    how.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    how.add_argument(
        "--checkpoint-every",
        type=integer(1),
        default=None,
        metavar="N",
        help="also save a checkpoint every N updates, not only after epochs",
    )
    how.add_argument("--threads", type=integer(1), default=None, metavar="N", help="threads (default: all cores)")
    how.add_argument("--json", action="store_true", help="print a summary as JSON at the end")


def run(args: argparse.Namespace) -> int:
    """Train; on Ctrl-C leave a checkpoint and say how to go on."""
    import hintoncore
    from hintoncore import datasets, plots
    from hintoncore.files import write_atomic

    settings = _settings(args)
    if settings["data"] not in datasets.NAMES:
        known = ", ".join(datasets.NAMES)
        raise ValueError(f"--data: there is no {settings['data']!r}; known are {known} (see hintoncore info)")
    data = datasets.load(settings["data"], root=args.data_root)
    if args.threads is not None:
        hintoncore.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out / _SETTINGS, (json.dumps(settings, indent=2) + "\n").encode())
    if not plots.available():
        print(f"note: training without pictures, {plots.INSTALL_HINT}", file=sys.stderr)
    if not args.json:
        _announce(settings, data)

    train, test = (datasets.binarize(part, settings["threshold"]) for part in (data.train, data.test))
    model = hintoncore.models.RBM(data.train.shape[1], settings["hidden"], seed=settings["seed"])
    try:
        _fit(model, train, test, settings, args)
    except KeyboardInterrupt:
        done = f"interrupted after {model.epochs_trained} epochs and {model.steps_trained} updates"
        raise KeyboardInterrupt(f"{done}; go on with\n  {_resume_command(args)}") from None
    model.save(args.out / _MODEL)
    records = _records(args.out)
    written = _products(model, test, data, records, args.out)
    _conclude(args, settings, model, records, written, None if _is_small(model) else _bracket(model, train, test))
    return 0


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings given on the command line, else those of the run to resume, else the defaults."""
    given = {name: getattr(args, name) for name in _DEFAULTS if hasattr(args, name)}
    path = args.out / _SETTINGS
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"--out: {args.out} is a file, expected a folder")
    if not args.resume:
        if args.out.is_dir() and any(args.out.iterdir()):
            raise ValueError(
                f"--out: {args.out} is not empty; choose another folder"
                + (f", or go on with the run in it:\n  {_resume_command(args)}" if path.is_file() else "")
            )
        return {"model": args.model, **_DEFAULTS, **given}
    if not path.is_file():
        raise ValueError(f"--resume: there is no run in {args.out} (no {_SETTINGS}); start one without --resume")
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        saved = {**_LATER, **saved}
        saved = {name: saved[name] for name in ("model", *_DEFAULTS)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"--resume: {path} is damaged ({error})") from None
    changed = [
        f"{name} {saved[name]!r}, not {value!r}"
        for name, value in {"model": args.model, **given}.items()
        if name != "epochs" and saved[name] != value
    ]
    if changed:
        raise ValueError(f"--resume: the run in {args.out} has {', '.join(changed)}; only --epochs can change")
    return {**saved, **given}


def _resume_command(args: argparse.Namespace) -> str:
    """The command that goes on with this run; the settings are in run.json."""
    words = ["hintoncore", "train", args.model, "--out", str(args.out), "--resume"]
    for flag, value in (
        ("--data-root", args.data_root),
        ("--threads", args.threads),
        ("--checkpoint-every", args.checkpoint_every),
    ):
        if value is not None:
            words += [flag, str(value)]
    return shlex.join(words + (["--json"] if args.json else []))


def _announce(settings: Mapping[str, Any], data: Dataset) -> None:
    rule = settings["rule"] or ("pcd" if settings["persistent"] else "cd")
    method = f"{'centred ' if settings['centred'] else ''}{rule.upper()}-{settings['k']}"
    rows, columns = data.image_shape
    print(
        f"{settings['data']}: {len(data.train)} training and {len(data.test)} test images of {rows}x{columns} "
        f"({data.source})\n{settings['model']} {rows * columns}-{settings['hidden']}, {method}, batches of "
        f"{settings['batch_size']}, {settings['epochs']} epochs, seed {settings['seed']}",
        flush=True,
    )


def _fit(model: RBM, train: Any, test: Any, settings: Mapping[str, Any], args: argparse.Namespace) -> None:
    from hintoncore import train as training
    from hintoncore.cli._progress import EpochLines

    checkpoint = args.out / _CHECKPOINT
    progress = training.ProgressBar() if sys.stderr.isatty() else EpochLines()
    callbacks: list[Any] = [
        training.MetricsWriter(args.out / _METRICS),
        progress,
        training.Checkpoint(checkpoint, every_steps=args.checkpoint_every),
    ]
    if _is_small(model):
        callbacks.insert(0, training.LogLikelihood(test))
    optional = {} if settings["momentum"] is None else {"momentum": settings["momentum"]}
    model.fit(
        train,
        settings["epochs"],
        k=settings["k"],
        persistent=settings["persistent"],
        rule=settings["rule"],
        centred=settings["centred"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        validation=test,
        callbacks=callbacks,
        resume=checkpoint if args.resume and checkpoint.is_file() else None,
        **optional,
    )


def _is_small(model: RBM) -> bool:
    """Whether exact log Z takes seconds at most, so that every epoch can report the likelihood itself."""
    return min(model.n_visible, model.n_hidden) <= 25


def _bracket(model: RBM, train: Any, test: Any) -> dict[str, Any]:
    """The likelihood of the test images between annealing from the base rates and annealing back from the images."""
    import warnings

    from hintoncore.likelihood import LikelihoodWarning, bracket

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LikelihoodWarning)  # said in the summary's own words
        found = bracket(model, test, _BRACKET_CHAINS, _BRACKET_TEMPERATURES, base=train)
    return {
        "lower": found.lower,
        "upper": found.upper,
        "lower_std_error": found.lower_std_error,
        "upper_std_error": found.upper_std_error,
        "open": found.open,
    }


def _records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / _METRICS).read_text(encoding="utf-8").splitlines()]


def _products(model: RBM, test: Any, data: Dataset, records: list[dict[str, Any]], out: Path) -> list[Path]:
    """Samples, and the pictures where matplotlib is there; returns the files."""
    import numpy as np

    from hintoncore import plots
    from hintoncore.files import write_atomic

    states, probabilities = model.sample(_SAMPLES, _SAMPLING_STEPS, rng=model.seed, return_probs=True)
    write_atomic(out / "samples.npy", npy_bytes(np.asarray(states, dtype=np.uint8)))
    if not plots.available():
        return [out / "samples.npy"]
    shape = data.image_shape
    originals = test.to_dense()[_spread(len(data.test), _RECONSTRUCTED)]
    pictures: dict[str, Callable[[], Any]] = {
        "receptive_fields.png": lambda: plots.receptive_fields(model.w, shape),
        "reconstructions.png": lambda: plots.reconstructions(originals, model.reconstruct(originals), shape),
        "samples.png": lambda: plots.image_grid(
            probabilities, shape, f"{_SAMPLES} fantasies after {_SAMPLING_STEPS} Gibbs steps"
        ),
        "curves.png": lambda: plots.training_curves(records),
    }
    return [out / "samples.npy", *(plots.save(draw(), out / name) for name, draw in pictures.items())]


def _spread(rows: int, wanted: int) -> list[int]:
    """Up to `wanted` row numbers, evenly spread."""
    count = min(rows, wanted)
    return [index * rows // count for index in range(count)]


def _conclude(
    args: argparse.Namespace,
    settings: Mapping[str, Any],
    model: RBM,
    records: list[dict[str, Any]],
    written: list[Path],
    bracket: dict[str, Any] | None,
) -> None:
    """Say what came out, for people or as JSON."""
    files = [args.out / _MODEL, args.out / _CHECKPOINT, args.out / _METRICS, *written]
    last = records[-1] if records else {}
    if args.json:
        print_json(
            {
                **settings,
                "epochs_trained": model.epochs_trained,
                "updates": model.steps_trained,
                "metrics": last,
                "test_log_likelihood_bracket": bracket,
                "files": [str(path) for path in files],
            }
        )
        return
    if bracket is not None:
        note = ", too wide to trust: the chains mix badly" if bracket["open"] else ""
        print(
            f"log-likelihood of the test images: between {bracket['lower']:.2f} and {bracket['upper']:.2f} nats "
            f"(annealed importance sampling from both sides{note})"
        )
    for name, label in (
        ("test_log_likelihood", "exact log-likelihood of the test images"),
        ("pseudo_log_likelihood", "pseudo-log-likelihood of training images"),
        ("validation_pseudo_log_likelihood", "pseudo-log-likelihood of test images"),
        ("free_energy_gap", "free energy, test minus training"),
    ):
        if name in last:
            print(f"{label}: {last[name]:.2f} nats")
    print(f"wrote {args.out}: {', '.join(path.name for path in files)}")
    model_file = shlex.quote(str(args.out / _MODEL))
    print(f"next: hintoncore sample --model {model_file} --out more.png")
