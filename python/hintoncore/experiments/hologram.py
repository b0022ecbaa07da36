"""Memories that survive the knife: a hologram cut in half still shows the whole picture.

Lashley cut ever more cortex out of rats and found their memories fading as a whole rather than one by one;
Longuet-Higgins showed that holograms, and then far simpler nets, do the same. Four memories hold the same handwritten
digits and lose ever more of their weights, at random:

* the correlograph of Willshaw, Buneman and Longuet-Higgins (1969): a random sparse key turns the picture's pixels on;
* a holographic reduced representation (Plate 1995): pairs of key and picture in one trace, by circular convolution;
* a Hopfield net (1982) by the projection rule, for pictures are correlated: it completes the lower half of a picture;
* a restricted Boltzmann machine trained by contrastive divergence: it completes the lower half as well.

Nothing is retrained or rescaled after the lesion. A picture counts as recalled when at least 95 % of the pixels in
question (all of them, or the missing half) are right and no other stored picture is nearer; the trace gives real
numbers, so there it counts when the clean-up finds the right picture among all that are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run

if TYPE_CHECKING:
    from hintoncore.models import RBM

__all__ = ["EXPERIMENT", "run"]

Float32Array = NDArray[np.float32]
Recall = Callable[[float, np.random.Generator], NDArray[Any]]

PICTURES, QUICK_PICTURES = 30, 10
SIDE = 28
PIXELS = SIDE * SIDE
KEY_LINES, KEY_ACTIVE = 2048, 64
TRACE = 8192
HIDDEN = 500
RBM_EPOCHS, QUICK_RBM_EPOCHS = 600, 300
LESIONS, QUICK_LESIONS = 10, 1
DESTROYED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
ENOUGH_PIXELS = 0.95
MISSING = np.arange(PIXELS) >= PIXELS // 2
NAMES = {
    "willshaw": "correlograph",
    "holographic": "holographic trace",
    "hopfield": "Hopfield net",
    "rbm": "RBM",
}


def recalled(out: Float32Array, pictures: Float32Array, pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row has enough of the pixels of its picture and is nearer to it than to any other."""
    wrong = (out[:, None, pixels] != pictures[None][:, :, pixels]).mean(axis=2)
    own = wrong.diagonal()
    others = np.where(np.eye(len(pictures), dtype=bool), np.inf, wrong).min(axis=1)
    return np.asarray((own <= 1 - ENOUGH_PIXELS) & (own < others))


def lesion(shape: tuple[int, ...], destroyed: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mask of the weights that are left."""
    return np.asarray(rng.random(shape) >= destroyed)


def willshaw(pictures: Float32Array, seed: int) -> Recall:
    """Pictures by their keys from a correlograph; its synapses are cut."""
    from hintoncore.models import WillshawNet

    rng = np.random.default_rng(seed)
    keys = np.zeros((len(pictures), KEY_LINES), dtype=np.float32)
    for key in keys:
        key[rng.choice(KEY_LINES, KEY_ACTIVE, replace=False)] = 1.0
    net = WillshawNet(KEY_LINES, PIXELS).store(keys, pictures)
    whole, active = net.w, pictures.sum(axis=1).astype(np.int64)

    def recall(destroyed: float, lesions: np.random.Generator) -> NDArray[Any]:
        net.w = whole * lesion(whole.shape, destroyed, lesions)
        return net.recall(keys, active=active)

    return recall


def holographic(pictures: Float32Array, seed: int) -> Recall:
    """Pictures by their keys from a holographic trace; its numbers are cut."""
    from hintoncore.models import HolographicMemory

    rng = np.random.default_rng(seed)
    keys = rng.normal(0.0, TRACE**-0.5, (len(pictures), TRACE))
    mean = pictures.mean(axis=0)
    values = np.zeros((len(pictures), TRACE))  # pixel i is the number at places[i]
    places = rng.choice(TRACE, PIXELS, replace=False)
    values[:, places] = pictures - mean
    memory = HolographicMemory(TRACE).store(keys, values)
    whole = memory.trace

    def recall(destroyed: float, lesions: np.random.Generator) -> NDArray[Any]:
        memory.trace = whole * lesion(whole.shape, destroyed, lesions)
        return np.asarray(memory.recall(keys)[:, places] + mean)

    return recall


def hopfield(pictures: Float32Array, seed: int) -> Recall:
    """Pictures completed by a Hopfield net from their upper halves; its couplings are cut, both ways at once."""
    from hintoncore.models import HopfieldNet

    net = HopfieldNet(PIXELS).store(pictures, rule="projection")
    whole = net.w
    cues = _upper_halves(pictures, seed)

    def recall(destroyed: float, lesions: np.random.Generator) -> NDArray[Any]:
        left = np.triu(lesion(whole.shape, destroyed, lesions), 1)
        net.w = whole * (left | left.T)
        return net.recall(cues, sweeps=30, clamp=~MISSING, rng=seed)

    return recall


def boltzmann(machine: RBM, pictures: Float32Array, seed: int) -> Recall:
    """Pictures completed by an RBM from their upper halves, annealed from T = 4 to 0.1; its weights are cut."""
    from hintoncore import Generator, ops

    cues = _upper_halves(pictures, seed)
    temperatures = np.linspace(4.0, 0.1, 100)

    def recall(destroyed: float, lesions: np.random.Generator) -> NDArray[Any]:
        w = machine.w * lesion(machine.w.shape, destroyed, lesions).astype(np.float32)
        rng, v = Generator(seed), cues.copy()
        for temperature in temperatures:
            h = ops.gibbs_step(v, w, machine.b_hid, rng=rng, temperature=temperature)
            v = ops.gibbs_step(h, w, machine.b_vis, rng=rng, temperature=temperature, transpose=True)
            v[:, ~MISSING] = cues[:, ~MISSING]
        return v

    return recall


def train(run: Run, pictures: Float32Array) -> RBM:
    """An RBM that knows the pictures by heart."""
    from hintoncore.models import RBM
    from hintoncore.train import Checkpoint, Linear

    epochs = QUICK_RBM_EPOCHS if run.quick else RBM_EPOCHS
    machine = RBM(PIXELS, HIDDEN, seed=run.seed)
    return machine.fit(
        pictures,
        epochs,
        k=5,
        batch_size=10,
        learning_rate=Linear(0.05, 0.0, epochs),
        momentum=0.5,
        weight_decay=0.001,  # many small weights: none is missed
        callbacks=[*run.callbacks(), Checkpoint(run.out / "rbm.safetensors", every_epochs=200)],
        resume=run.checkpoint("rbm.safetensors"),
    )


def run(run: Run) -> dict[str, float]:
    """Store, cut, recall; the curves of all four in one plot."""
    from hintoncore import datasets

    images = datasets.load("mnist").train
    n_pictures = QUICK_PICTURES if run.quick else PICTURES
    chosen = np.random.default_rng(run.seed).choice(len(images), n_pictures, replace=False)
    pictures = (images[np.sort(chosen)] > 0.5).astype(np.float32)
    memories: dict[str, Recall] = {
        "willshaw": willshaw(pictures, run.seed),
        "holographic": holographic(pictures, run.seed),
        "hopfield": hopfield(pictures, run.seed),
        "rbm": boltzmann(train(run, pictures), pictures, run.seed),
    }
    curves: dict[str, list[float]] = {name: [] for name in memories}
    shown: dict[str, list[NDArray[Any]]] = {name: [] for name in memories}
    for index, destroyed in enumerate(run.bar(DESTROYED, "destroyed")):
        for name, recall in memories.items():
            shares = []
            for cut in range(QUICK_LESIONS if run.quick else LESIONS):
                out = recall(destroyed, np.random.default_rng([run.seed, index, cut]))
                shares.append(_share(name, out, pictures))
                if cut == 0:
                    shown[name].append(out[:6])
            curves[name].append(100 * float(np.mean(shares)))
    half = DESTROYED.index(0.5)
    run.details.update(
        {
            "pictures": n_pictures,
            "destroyed_percent": [100 * d for d in DESTROYED],
            "recall_percent": curves,
            "lesions": QUICK_LESIONS if run.quick else LESIONS,
            "load": {
                "willshaw": f"{n_pictures} pictures in {KEY_LINES} x {PIXELS} synapses, keys of {KEY_ACTIVE} lines",
                "holographic": f"{n_pictures} pictures in a trace of {TRACE} numbers",
                "hopfield": f"{n_pictures} pictures in {PIXELS} units, {n_pictures / PIXELS:.3f} each; half is given",
                "rbm": f"{n_pictures} pictures in {PIXELS} x {HIDDEN} weights; half is given",
            },
        }
    )
    if run.pictures:
        _draw(run, curves, shown)
    at_half = {name: curve[half] for name, curve in curves.items()}
    return {"worst": min(at_half.values()), **at_half}


def _share(name: str, out: NDArray[Any], pictures: Float32Array) -> float:
    if name == "holographic":
        mean = pictures.mean(axis=0)
        items = pictures - mean
        items = items / np.linalg.norm(items, axis=1, keepdims=True)
        found = ((out - mean) @ items.T).argmax(axis=1)
        return float((found == np.arange(len(pictures))).mean())
    pixels = np.ones(PIXELS, dtype=bool) if name == "willshaw" else MISSING
    return float(recalled(out, pictures, pixels).mean())


def _upper_halves(pictures: Float32Array, seed: int) -> Float32Array:
    """Pictures with noise in place of the lower half."""
    noise = (np.random.default_rng([seed, 1]).random(pictures.shape) < 0.5).astype(np.float32)
    return np.where(MISSING, noise, pictures)


def _draw(run: Run, curves: dict[str, list[float]], shown: dict[str, list[NDArray[Any]]]) -> None:
    from matplotlib.figure import Figure as Canvas

    from hintoncore import plots

    percent = [100 * d for d in DESTROYED]
    canvas = Canvas(figsize=(6, 4), layout="constrained")
    axes = canvas.subplots()
    for name, curve in curves.items():
        axes.plot(percent, curve, marker="o", markersize=3, label=NAMES[name])
    axes.axhline(95, color="grey", linewidth=0.8, linestyle="--")
    axes.axvline(50, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xlabel("weights destroyed, %")
    axes.set_ylabel("pictures recalled, %")
    axes.legend()
    plots.save(canvas, run.out / "recall-against-lesion.png")
    columns = [DESTROYED.index(d) for d in (0.0, 0.3, 0.5, 0.7, 0.9, 0.98)]
    canvas = Canvas(figsize=(7, 5), layout="constrained")
    for row, (name, outs) in enumerate(shown.items()):
        for column, index in enumerate(columns):
            panel = canvas.add_subplot(len(shown), len(columns), row * len(columns) + column + 1)
            panel.imshow(outs[index][0].reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            if row == 0:
                panel.set_title(f"{percent[index]:g} % gone", fontsize=8)
            if column == 0:
                panel.set_ylabel(NAMES[name], fontsize=8)
    plots.save(canvas, run.out / "one-picture.png")


EXPERIMENT = Experiment(
    name="hologram",
    title="Recall against weights destroyed: correlograph, holographic trace, Hopfield net, RBM",
    source="Willshaw, Buneman and Longuet-Higgins 1969; Lashley 1950; Hopfield 1982; Plate 1995",
    figures=(
        Figure(
            "worst",
            "pictures recalled with half of the weights destroyed, worst of the four memories",
            unit="%",
            better="higher",
            target=95.0,
            quick_bound=70.0,
        ),
        *(
            Figure(name, f"the same, {NAMES[name]}", unit="%", better="higher", target=95.0, quick_bound=70.0)
            for name in NAMES
        ),
    ),
    run=run,
    seeds=5,
    data=("mnist",),
)
