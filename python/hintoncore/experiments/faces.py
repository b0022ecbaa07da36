"""Faces as short vectors: deep autoencoders against principal components, and arithmetic on the codes.

Portraits: the Olivetti faces as in Hinton and Salakhutdinov (2006), 25x25 patches of the 64x64 pictures, turned by up
to 90 degrees, scaled, cropped and subsampled; pixels have zero mean, and a mean variance of 1. The test set is ten
people of whom the net has seen nothing; five others choose the epoch and chose the weight decay, without which the net
learns its 25 people by heart. Principal components are fitted to all thirty. The paper has 165,600 patches, layers of
2000, 1000 and 500 units and errors of 126 and 135. Here there are fewer of both, and hidden units of -1 and +1: the
same family of machines, but their means have no bias of a half, which makes fine-tuning much faster.

Film: Brendan Frey's face, 28x20, the last 200 of 1965 frames held out. No labels come with it, so attributes are
measured on the pixels: a smile, teeth brighter than the upper lip, and the turn of the head, the centre of brightness.
Their directions are the mean code of the fifth of the training frames that has most of it less that of the fifth that
has least; added to the codes of held-out frames, they must bring the attribute into the decoded picture. A quick run
has a smaller net and the film alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._autoencoder import fine_tune
from hintoncore.experiments._face_patches import PATCH, face_patches
from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._greedy import Greedy, greedy_layers
from hintoncore.experiments._principal_components import PrincipalComponents

if TYPE_CHECKING:
    from hintoncore.models import DeepAutoencoder

__all__ = ["ATTRIBUTES", "EXPERIMENT", "FILM", "PORTRAITS", "QUICK_FILM", "Settings"]

Float32Array = NDArray[np.float32]

_PEOPLE, _TRAINING_PEOPLE, _CHOOSING_PEOPLE = 40, 25, 5
_FRAME = (28, 20)
_EXTREME = 5  # one frame in so many makes an end of an attribute


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths of one autoencoder.

    Attributes
    ----------
    hidden : tuple of int
    code : int
    greedy_epochs, epochs : int
        Of each RBM by CD-1, and of fine-tuning.
    batch_size : int
    pixel_rate, binary_rate, code_rate : float
        Of the RBMs with Gaussian visible, with binary and with Gaussian hidden units.
    learning_rate : float
        Of Adam, falling to 0 in a straight line.
    weight_decay : float
        Of Adam, times the learning rate; decoupled.
    units : str
        Type of the hidden units below the code.
    patches_per_picture : int
    """

    hidden: tuple[int, ...]
    code: int
    greedy_epochs: int
    epochs: int
    batch_size: int
    pixel_rate: float
    learning_rate: float = 0.001
    weight_decay: float = 0.0
    binary_rate: float = 0.05
    code_rate: float = 0.002
    units: str = "bernoulli"
    patches_per_picture: int = 0


PORTRAITS = Settings(
    hidden=(1000, 500, 250),
    code=30,
    greedy_epochs=12,
    epochs=40,
    batch_size=100,
    pixel_rate=0.003,
    weight_decay=0.3,
    units="spin",
    patches_per_picture=300,
)
FILM = Settings(hidden=(500, 250, 100), code=10, greedy_epochs=50, epochs=100, batch_size=50, pixel_rate=0.002)
QUICK_FILM = Settings(hidden=(200, 100), code=10, greedy_epochs=30, epochs=40, batch_size=50, pixel_rate=0.002)


@dataclass(frozen=True)
class _Standard:
    """Pixels less their mean over the training set, divided by one number that makes their mean variance 1."""

    mean: Float32Array
    scale: float

    @classmethod
    def of(cls, rows: Float32Array) -> _Standard:
        mean = rows.mean(axis=0, dtype=np.float64)
        return cls(mean.astype(np.float32), float(np.sqrt(rows.var(axis=0, dtype=np.float64).mean())))

    def apply(self, rows: Float32Array) -> Float32Array:
        return np.ascontiguousarray((rows - self.mean) / np.float32(self.scale))

    def undo(self, rows: Float32Array) -> Float32Array:
        return np.asarray(rows * np.float32(self.scale) + self.mean)


def smile(frames: Float32Array) -> NDArray[np.float64]:
    """Brightness of the teeth less that of the upper lip, of frames [N, 560]."""
    pixels = frames.reshape(-1, *_FRAME).astype(np.float64)
    return np.asarray(pixels[:, 20:23, 7:13].mean(axis=(1, 2)) - pixels[:, 17:19, 5:15].mean(axis=(1, 2)))


def turn(frames: Float32Array) -> NDArray[np.float64]:
    """Column of the centre of brightness, of frames [N, 560]."""
    columns = frames.reshape(-1, *_FRAME).astype(np.float64).sum(axis=1)
    return np.asarray(columns @ np.arange(_FRAME[1]) / columns.sum(axis=1))


ATTRIBUTES: dict[str, Callable[[Float32Array], NDArray[np.float64]]] = {"smile": smile, "turn": turn}


def run(run: Run) -> dict[str, float]:
    """Test squared errors as shares of those of as many principal components; how far arithmetic moves attributes."""
    measured = _film(run)
    return measured if run.quick else {**_portraits(run), **measured}


def _autoencoder(
    run: Run, name: str, settings: Settings, train: Float32Array, choosing: Float32Array | None
) -> DeepAutoencoder:
    """RBMs with Gaussian pixels, unrolled and fine-tuned; with rows to choose by, the best epoch's parameters."""
    from hintoncore import nn
    from hintoncore.models import DeepAutoencoder
    from hintoncore.train import KeepBest, Linear

    rates = [settings.pixel_rate, *[settings.binary_rate] * (len(settings.hidden) - 1)]
    stack = [
        Greedy(n, settings.greedy_epochs, rate, settings.units) for n, rate in zip(settings.hidden, rates, strict=True)
    ]
    stack.append(Greedy(settings.code, settings.greedy_epochs, settings.code_rate, hidden="gaussian:unit"))
    model = DeepAutoencoder.from_rbms(greedy_layers(run, name, train, "gaussian:unit", stack), seed=run.seed)
    best = run.out / f"{name}-best.safetensors"
    history = fine_tune(
        run,
        name,
        model,
        train,
        choosing,
        optimiser=nn.Adam(Linear(settings.learning_rate, 0.0, settings.epochs), weight_decay=settings.weight_decay),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        callbacks=[] if choosing is None else [KeepBest(best)],
    )
    if choosing is not None:
        nn.load(model.network, best)
        losses = [record["validation_loss"] for record in history]
        run.details[f"{name}_validation_loss_by_epoch"] = losses
        run.details[f"{name}_best_epoch"] = 1 + int(np.argmin(losses))
    model.save(run.out / f"{name}-model.safetensors")
    return model


def _portraits(run: Run) -> dict[str, float]:
    """Patches of people of whom nothing was seen."""
    from hintoncore import Generator, datasets

    data = datasets.load("olivetti")
    pictures, people = np.concatenate([data.train, data.test]), np.concatenate([data.train_labels, data.test_labels])
    pictures = pictures.reshape(-1, *data.image_shape)
    rng, per_picture = Generator(run.seed), PORTRAITS.patches_per_picture

    def patches(first: int, stop: int) -> Float32Array:
        return face_patches(pictures[(people >= first) & (people < stop)], per_picture, rng)

    seen = _TRAINING_PEOPLE + _CHOOSING_PEOPLE
    train, choosing, test = patches(0, _TRAINING_PEOPLE), patches(_TRAINING_PEOPLE, seen), patches(seen, _PEOPLE)
    standard = _Standard.of(train)
    train, choosing, test = (standard.apply(rows) for rows in (train, choosing, test))
    components = PrincipalComponents.of(np.concatenate([train, choosing]), PORTRAITS.code)
    model = _autoencoder(run, "portraits", PORTRAITS, train, choosing)
    ours, pca = model.squared_error(test), components.squared_error(test)
    run.details["portraits"] = {
        "settings": asdict(PORTRAITS),
        "patches": {"training": len(train), "choosing the epoch": len(choosing), "test": len(test)},
        "test_squared_error": {"autoencoder": ours, "principal components": pca},
        "train_squared_error": {
            "autoencoder": model.squared_error(train),
            "principal components": components.squared_error(train),
        },
    }
    if run.pictures:
        shown = test[:: len(test) // 12][:12]
        rows = [shown, model.reconstruct(shown), components.decode(components.encode(shown))]
        title = "Patches of people never seen, by the deep autoencoder, by as many principal components"
        _draw(run, "portraits.png", title, (PATCH, PATCH), [standard.undo(row) for row in rows])
    return {"share_of_pca": ours / pca}


def _film(run: Run) -> dict[str, float]:
    """Frames of one face: error, arithmetic, interpolation."""
    from hintoncore import datasets

    settings = QUICK_FILM if run.quick else FILM
    data = datasets.load("frey")
    standard = _Standard.of(data.train)
    train, test = standard.apply(data.train), standard.apply(data.test)
    components = PrincipalComponents.of(train, settings.code)
    model = _autoencoder(run, "film", settings, train, None)
    ours, pca = model.squared_error(test), components.squared_error(test)
    codes, held_out = model.encode(train), model.encode(test)
    directions = {name: _direction(codes, measure(data.train)) for name, measure in ATTRIBUTES.items()}
    moved = {name: _moved(model, standard, held_out, data.train, name, directions[name]) for name in ATTRIBUTES}
    run.details["film"] = {
        "settings": asdict(settings),
        "test_squared_error": {"autoencoder": ours, "principal components": pca},
        "train_squared_error": {
            "autoencoder": model.squared_error(train),
            "principal components": components.squared_error(train),
        },
        "attribute_moved": moved,
    }
    if run.pictures:
        _draw_film(run, model, standard, test, held_out, directions)
    return {"film_share_of_pca": ours / pca, "attribute_moved": min(moved.values())}


def _ends(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which frames have most and least of an attribute."""
    order, count = np.argsort(values, kind="stable"), len(values) // _EXTREME
    return order[-count:], order[:count]


def _direction(codes: Float32Array, values: NDArray[np.float64]) -> Float32Array:
    most, least = _ends(values)
    return np.asarray(codes[most].mean(axis=0) - codes[least].mean(axis=0))


def _moved(
    model: DeepAutoencoder,
    standard: _Standard,
    codes: Float32Array,
    frames: Float32Array,
    name: str,
    direction: Float32Array,
) -> float:
    """Change of the attribute in decoded held-out frames when its direction is added, over that between the ends."""
    measure = ATTRIBUTES[name]
    most, least = _ends(measure(frames))
    between = measure(frames[most]).mean() - measure(frames[least]).mean()
    half = direction / np.float32(2)
    after, before = (measure(standard.undo(model.decode(codes + sign * half))) for sign in (1, -1))
    return float((after - before).mean() / between)


def _draw_film(
    run: Run,
    model: DeepAutoencoder,
    standard: _Standard,
    test: Float32Array,
    codes: Float32Array,
    directions: dict[str, Float32Array],
) -> None:
    """Reconstructions; walks along the attributes; from one held-out frame to another, by codes and by pixels."""
    chosen = np.linspace(0, len(test) - 1, 6).astype(int)
    steps = np.linspace(-1, 1, 9, dtype=np.float32)[:, None]
    for name, direction in directions.items():
        rows = [standard.undo(model.decode(codes[i] + steps * direction)) for i in chosen[:4]]
        _draw(run, f"{name}.png", f"Held-out frames: {name} taken away and added", _FRAME, rows)
    rows, share = [], np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    for a, b in zip(chosen[:3], chosen[3:], strict=True):
        rows.append(standard.undo(model.decode((1 - share) * codes[a] + share * codes[b])))
        rows.append(standard.undo((1 - share) * test[a] + share * test[b]))
    _draw(run, "interpolation.png", "From frame to frame: by codes, and below by pixels", _FRAME, rows)
    shown = np.linspace(0, len(test) - 1, 12).astype(int)
    rows = [standard.undo(test[shown]), standard.undo(model.reconstruct(test[shown]))]
    _draw(run, "film.png", "Held-out frames above their reconstructions", _FRAME, rows)


def _draw(run: Run, file: str, title: str, shape: tuple[int, int], rows: Sequence[Any]) -> None:
    """Lines of faces, light as in the photographs."""
    from hintoncore import plots

    faces = np.clip(1 - np.concatenate(rows), 0, 1)
    plots.save(plots.image_grid(faces, shape, title, columns=len(rows[0])), run.out / file)


EXPERIMENT = Experiment(
    name="faces",
    title="Faces as short vectors: deep autoencoders against principal components, and arithmetic on the codes",
    source="Hinton and Salakhutdinov 2006, Reducing the dimensionality of data with neural networks, Science 313",
    figures=(
        Figure(
            "share_of_pca",
            "squared error on patches of Olivetti people never seen, code of 30, over that of 30 principal components",
            unit="",
            better="lower",
            target=1.0,
            paper=0.933,
        ),
        Figure(
            "film_share_of_pca",
            "the same on held-out frames of Frey's face, code of 10",
            unit="",
            better="lower",
            target=1.0,
            quick_bound=1.0,
        ),
        Figure(
            "attribute_moved",
            "change of smile or turn that arithmetic brings into held-out frames, over that between frames; the lesser",
            unit="",
            better="higher",
            target=0.5,
            quick_bound=0.3,
        ),
    ),
    run=run,
    seeds=1,
    data=("olivetti", "frey"),
    quick_data=("frey",),
)
