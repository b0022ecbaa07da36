"""Features that change predictably, not slowly: latent linear dynamics against slow feature analysis.

Two kinds of sequences:

- **made**: five hidden variables, a slow rotation, a quick one and a decay, are seen through eight channels with noise,
  and a fifth of all observations is missing. EM must find the eigenvalues of the dynamics. Then complete sequences that
  it was not trained on are predicted three steps on, by a model of the same size trained on complete sequences, and by
  slow features.
- **Frey faces**: the film of one face, 1765 frames to train and the last 200 to test, predicted three frames on, with
  20 latent variables against 20 slow features.

Slow features are not told what time does: the idea behind them is that they stay. Each is predicted by the factor that
predicts it best on the training sequences, its autocorrelation at that lag, which is better than that it stays. The
details also have slow features with linear dynamics fitted to them, which is half way to the other model, and the
prediction that nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.models import LinearDynamics

__all__ = ["EXPERIMENT", "FULL", "QUICK", "Settings", "eigenvalue_error", "made_dynamics"]

Array = NDArray[Any]

_MODES = ((0.99, 0.25), (0.97, 0.9))  # modulus and angle in radians a step of the rotations
_DECAY = 0.95
_CHANNELS, _MISSING, _HORIZON = 8, 0.2, 3


@dataclass(frozen=True)
class Settings:
    """Sizes of the data and steps of EM.

    Attributes
    ----------
    sequences, length : int
        Of the made data; as many complete ones for the predictions, and ten to test them on.
    steps : int
        Of EM.
    frames_a_sequence : int
        The training frames of the faces are cut into sequences of this length, to be smoothed side by side; 0 leaves
        the faces out.
    face_latents, face_steps : int
    """

    sequences: int = 40
    length: int = 500
    steps: int = 50
    frames_a_sequence: int = 353
    face_latents: int = 20
    face_steps: int = 30


FULL = Settings()
"""What the figures are measured with."""

QUICK = Settings(sequences=10, length=200, steps=25, frames_a_sequence=0)
"""For the test suite: made sequences only."""


def made_dynamics(seed: int) -> LinearDynamics:
    """The model that makes the data: known eigenvalues, an emission drawn by the seed."""
    from hintoncore.models import LinearDynamics

    model = LinearDynamics(_CHANNELS, 5, seed=seed)
    model.transition = np.zeros((5, 5))
    for i, (modulus, angle) in enumerate(_MODES):
        c, s = modulus * np.cos(angle), modulus * np.sin(angle)
        model.transition[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
    model.transition[4, 4] = _DECAY
    model.transition_covariance = 0.1 * np.eye(5)
    model.emission = np.random.default_rng(seed).standard_normal((_CHANNELS, 5))
    model.noise = np.full(_CHANNELS, 0.5)
    return model


def eigenvalue_error(found: Array, true: Array) -> float:
    """Largest relative distance of a true eigenvalue from the found one that stands for it, at the best pairing."""
    distance = np.abs(found[:, None] - true) / np.abs(true)
    columns = np.arange(len(true))
    return min(float(distance[list(order), columns].max()) for order in permutations(range(len(found))))


def run(run: Run) -> dict[str, float]:
    """Eigenvalues and predictions on made sequences, then predictions of the faces."""
    settings = QUICK if run.quick else FULL
    run.details.update(settings=asdict(settings))
    measured = _made(run, settings)
    if settings.frames_a_sequence:
        measured["ratio_faces"] = _faces(run, settings)
    return measured


def _made(run: Run, settings: Settings) -> dict[str, float]:
    from hintoncore.generator import Generator
    from hintoncore.models import LinearDynamics

    truth, rng = made_dynamics(run.seed), Generator(run.seed)
    sequences, _ = truth.sample(settings.sequences, settings.length, rng=rng)
    gaps = np.where(rng.random(sequences.shape) < _MISSING, np.nan, sequences)
    model = LinearDynamics(_CHANNELS, 5, seed=run.seed)
    likelihood = _fit(run, model, gaps, settings.steps, "made")
    per_number = np.isfinite(gaps).sum()
    run.details["made"] = {
        "log_likelihood_by_step": likelihood,
        "log_likelihood_found": model.log_likelihood(gaps) / per_number,
        "log_likelihood_of_the_truth": truth.log_likelihood(gaps) / per_number,
        "eigenvalues_found": [[value.real, value.imag] for value in model.eigenvalues],
        "eigenvalues_true": [[value.real, value.imag] for value in truth.eigenvalues],
    }
    complete, _ = truth.sample(settings.sequences, settings.length, rng=rng)
    test, _ = truth.sample(10, settings.length, rng=rng)
    predictor = LinearDynamics(_CHANNELS, 5, seed=run.seed)
    _fit(run, predictor, complete, settings.steps, "made-complete")
    errors = _prediction_errors(predictor, 5, list(complete), list(test))
    errors["latent dynamics, true parameters"] = _error(truth.predict(test, _HORIZON), test)
    run.details["made"]["prediction_errors"] = errors
    if run.pictures:
        _draw_eigenvalues(run, model, truth)
        _draw_predictions(run, predictor, complete, test[:1])
    return {
        "eigenvalue_error": 100 * eigenvalue_error(model.eigenvalues, truth.eigenvalues),
        "ratio_made": errors["latent dynamics"] / errors["slow features"],
        "steps_down": float((np.diff(likelihood) < 0).sum()),
    }


def _faces(run: Run, settings: Settings) -> float:
    from hintoncore import datasets
    from hintoncore.models import LinearDynamics

    data = datasets.load("frey")
    train = [
        data.train[first : first + settings.frames_a_sequence]
        for first in range(0, len(data.train), settings.frames_a_sequence)
    ]
    model = LinearDynamics(data.train.shape[1], settings.face_latents, seed=run.seed)
    likelihood = _fit(run, model, train, settings.face_steps, "faces")
    errors = _prediction_errors(model, settings.face_latents, train, [data.test])
    run.details["faces"] = {"log_likelihood_by_step": likelihood, "prediction_errors": errors}
    if run.pictures:
        from hintoncore import plots

        frames = np.arange(20, 170, 10)
        predicted = model.predict(data.test, _HORIZON)[0, frames - _HORIZON]
        title = f"Held-out frames, each above what was expected of it {_HORIZON} frames before"
        ink = 1 - data.test[frames], 1 - np.clip(predicted, 0, 1)  # pictures show 1 as black
        picture = plots.reconstructions(*ink, data.image_shape, title)
        plots.save(picture, run.out / "faces-predicted.png")
    return errors["latent dynamics"] / errors["slow features"]


def _fit(run: Run, model: LinearDynamics, data: Any, steps: int, name: str) -> list[float]:
    """EM with a checkpoint; the log-likelihood before each step, which the task holds to never falling."""
    from hintoncore.train import Checkpoint, KalmanEM, Trainer

    task = KalmanEM(model, data)
    file = f"{name}.safetensors"
    callbacks = [*run.callbacks(), Checkpoint(run.out / file, every_epochs=10)]
    trainer = Trainer(task, batch_size=task.n_rows, callbacks=callbacks)
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(steps)
    return [record["log_likelihood"] for record in trainer.history]


def _prediction_errors(
    model: LinearDynamics, n_features: int, train: Sequence[Array], test: Sequence[Array]
) -> dict[str, float]:
    """Mean squared error some steps on, over the test observations' variance, of each way to predict."""
    from hintoncore.models import SlowFeatures

    slow = SlowFeatures(n_features).fit(train)
    factors = slow.autocorrelation(train, _HORIZON)
    features = [slow.transform([part])[0] for part in train]
    early, late = (np.concatenate([part[cut] for part in features]) for cut in (np.s_[:-1], np.s_[1:]))
    dynamics = np.linalg.lstsq(early, late, rcond=None)[0]
    moved = slow.transform(test) @ np.linalg.matrix_power(dynamics, _HORIZON) @ slow.loading + slow.mean
    observed = np.stack(test)
    return {
        "latent dynamics": _error(model.predict(test, _HORIZON), observed),
        "slow features": _error(slow.predict(test, factors), observed),
        "slow features, each stays": _error(slow.predict(test, np.ones(n_features)), observed),
        "slow features with linear dynamics": _error(moved, observed),
        "nothing changes": _error(observed, observed),
        "mean": _error(np.broadcast_to(slow.mean, observed.shape), observed),
    }


def _error(predicted: Array, observed: Array) -> float:
    """Of predictions at t about t + horizon."""
    late = observed[:, _HORIZON:].astype(np.float64)
    return float(np.square(predicted[:, :-_HORIZON] - late).mean() / late.var(axis=(0, 1)).mean())


def _draw_eigenvalues(run: Run, model: LinearDynamics, truth: LinearDynamics) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    canvas = Canvas(figsize=(4.6, 4.4), layout="constrained")
    axes = canvas.subplots()
    turn = np.exp(2j * np.pi * np.linspace(0, 1, 200))
    axes.plot(turn.real, turn.imag, color="#999999", linewidth=0.8)
    axes.plot(truth.eigenvalues.real, truth.eigenvalues.imag, "o", markersize=9, fillstyle="none", label="true")
    axes.plot(model.eigenvalues.real, model.eigenvalues.imag, "+", markersize=9, label="found by EM")
    axes.set(aspect="equal", xlabel="real part", ylabel="imaginary part", title="Eigenvalues of the dynamics")
    axes.legend(frameon=False)
    plots.save(canvas, run.out / "eigenvalues.png")


def _draw_predictions(run: Run, model: LinearDynamics, train: Array, test: Array, channel: int = 0) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots
    from hintoncore.models import SlowFeatures

    slow = SlowFeatures(5).fit(list(train))
    by_slow = slow.predict(test, slow.autocorrelation(list(train), _HORIZON))
    canvas = Canvas(figsize=(9, 3.2), layout="constrained")
    axes = canvas.subplots()
    shown = np.arange(50, 150)
    axes.plot(shown, test[0, shown, channel], ".", color="#666666", label="observed")
    axes.plot(shown, model.predict(test, _HORIZON)[0, shown - _HORIZON, channel], label="latent dynamics")
    axes.plot(shown, by_slow[0, shown - _HORIZON, channel], label="slow features", linewidth=1)
    axes.set(xlabel="time", title=f"A channel of a held-out sequence, predicted {_HORIZON} steps before")
    axes.legend(frameon=False, fontsize=8, ncols=3)
    plots.save(canvas, run.out / "predictions.png")


EXPERIMENT = Experiment(
    name="linear-dynamics",
    title="Features that change predictably: latent linear dynamics against slow feature analysis",
    source="Ghahramani and Hinton 1996; Wiskott and Sejnowski 2002 for slow features",
    figures=(
        Figure(
            "eigenvalue_error",
            "largest relative error of an eigenvalue of known dynamics, a fifth of the observations missing",
            unit="%",
            better="lower",
            target=1.0,
            quick_bound=4.0,
            aggregate="worst",
        ),
        Figure(
            "ratio_made",
            "squared error 3 steps on, latent dynamics over slow features, held-out made sequences",
            unit="ratio",
            better="lower",
            target=0.999,
            quick_bound=0.9,
        ),
        Figure(
            "ratio_faces",
            "squared error 3 frames on, latent dynamics over slow features, Frey's last 200 frames",
            unit="ratio",
            better="lower",
            target=0.999,
        ),
        Figure(
            "steps_down",
            "steps of EM that lowered the likelihood",
            unit="steps",
            better="lower",
            target=0.0,
            quick_bound=0.0,
            aggregate="sum",
        ),
    ),
    run=run,
    seeds=3,
    data=("frey",),
    quick_data=(),
)
