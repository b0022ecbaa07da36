"""`hintoncore sample`: draw from a trained model."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from hintoncore.cli._shared import image_shape, integer, npy_bytes, print_json, real, seed

NAME = "sample"
HELP = "draw samples from a trained model"
DESCRIPTION = """\
Draws visible states from a trained model by block Gibbs sampling: one independent chain for each sample, started from
independent units. More steps forget the start better; the same seed gives the same samples.
"""
EPILOG = """\
examples:
  hintoncore sample --model digits/model.safetensors --out fantasies.png
  hintoncore sample --model digits/model.safetensors --n 1000 --steps 5000 --seed 7 --out samples.npy samples.png
  hintoncore sample --model chain.safetensors --temperature 1.5 --out warm.safetensors

files by ending: .npy uint8 array [N, V]; .safetensors the same as tensor `samples`, with how it was drawn;
.png a grid of p(v | h) of the last step (needs matplotlib, and --image-shape where the visible units are no square)
"""

_KIND = "samples"
_ENDINGS = (".npy", ".safetensors", ".png")
_PICTURED = 400


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="model.safetensors that train wrote")
    parser.add_argument("--out", type=Path, required=True, nargs="+", metavar="FILE", help="files to write, see below")
    parser.add_argument("--n", type=integer(1), default=100, help="samples (default: 100)")
    parser.add_argument("--steps", type=integer(1), default=1000, help="Gibbs steps of each chain (default: 1000)")
    parser.add_argument(
        "--temperature",
        type=real(0, open_low=True),
        default=1.0,
        metavar="T",
        help="sample from exp(-E/T) (default: 1)",
    )
    parser.add_argument(
        "--image-shape",
        type=image_shape,
        default=None,
        metavar="RxC",
        help="rows x columns of a picture (default: a square)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of the chains (default: 0)")
    parser.add_argument(
        "--threads",
        type=integer(1),
        default=None,
        metavar="N",
        help="threads (default: all cores); samples do not depend on it",
    )
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Sample, and write every file asked for."""
    import numpy as np

    import hintoncore
    from hintoncore import files, plots

    _check_outputs(args.out)
    model = hintoncore.models.RBM.load(args.model)
    shape = args.image_shape
    if any(path.suffix == ".png" for path in args.out):
        shape = _shape(shape, model.n_visible)
    if args.threads is not None:
        hintoncore.set_num_threads(args.threads)
    states, probabilities = model.sample(
        args.n, args.steps, rng=args.seed, temperature=args.temperature, return_probs=True
    )
    samples = np.asarray(states, dtype=np.uint8)
    facts: dict[str, Any] = {
        "model": str(args.model),
        "n": args.n,
        "steps": args.steps,
        "temperature": args.temperature,
        "seed": args.seed,
    }
    for path in args.out:
        if path.suffix == ".npy":
            files.write_atomic(path, npy_bytes(samples))
        elif path.suffix == ".safetensors":
            files.save_tensors(path, {"samples": samples}, kind=_KIND, metadata=facts)
        else:
            title = f"{min(args.n, _PICTURED)} samples after {args.steps} Gibbs steps"
            plots.save(plots.image_grid(probabilities[:_PICTURED], shape, title), path)
    facts["files"] = [str(path) for path in args.out]
    facts["mean_activity"] = float(samples.mean())
    if args.json:
        print_json(facts)
    else:
        print(f"{args.n} samples of {model.n_visible} units: {', '.join(facts['files'])}")
    return 0


def _check_outputs(paths: list[Path]) -> None:
    from hintoncore import plots

    for path in paths:
        if path.suffix not in _ENDINGS:
            raise ValueError(f"--out: expected a name ending in {', '.join(_ENDINGS)}, given {str(path)!r}")
        if not path.parent.is_dir():
            raise ValueError(f"--out: there is no folder {str(path.parent)!r}")
        if path.suffix == ".png" and not plots.available():
            raise ValueError(f"--out {path}: {plots.INSTALL_HINT}")


def _shape(given: tuple[int, int] | None, n_visible: int) -> tuple[int, int]:
    side = math.isqrt(n_visible)
    shape = given or (side, side)
    if math.prod(shape) != n_visible:
        raise ValueError(
            f"--image-shape: the model has {n_visible} visible units, "
            + (f"not {shape[0]} x {shape[1]}" if given else "no square; give ROWSxCOLUMNS")
        )
    return shape
