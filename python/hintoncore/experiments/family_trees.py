"""Family trees learned by backpropagation: vectors of persons with nationality, generation and branch in them.

Two families of twelve, one English, one Italian, with trees of one shape, make 104 questions such as "Colin
has-uncle": 112 facts, since a person may have two uncles or aunts. The net answers from two local codes, 24 persons and
12 relations, through 6 + 6 units, a layer of 12, a layer of 6 and 24 persons again (Hinton 1986; Rumelhart, Hinton and
Williams 1986, figures 2-4). It learns 100 questions and is asked the other 4.

On the architecture of the paper, three things help it generalise: weight decay, as in the paper; a softmax over the 24
persons; and Gaussian noise on the total input of every hidden unit while learning, which pushes the codes towards few
well separated values (as in Salakhutdinov and Hinton 2009, Semantic hashing). Eight nets learn, different in initial
weights and noise alone; the four with the lowest penalised loss on what they learned answer together, by the product of
their probabilities, and the lowest of all is reported beside them. A question counts as answered when the persons with
the highest probabilities, as many as there are right ones, are the right ones. The held-out questions are used in no
way before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._family_trees import PERSONS, RELATIONS, Questions, questions
from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.nn.layers import Layer

if TYPE_CHECKING:
    from hintoncore import nn
    from hintoncore.generator import Generator

__all__ = ["EXPERIMENT", "NoisySigmoid", "network"]

CODE, MIDDLE, LAST = 6, 12, 6
HELD_OUT = 4


@dataclass(frozen=True)
class Settings:
    """How a net learns: full-batch Adam, whose rate is constant for a start and then falls to almost 0."""

    sweeps: int = 6000
    nets: int = 8
    voters: int = 4
    learning_rate: float = 0.03
    weight_decay: float = 0.006
    noise: float = 1.0


class NoisySigmoid(Layer):
    """``sigmoid(x + noise)`` with Gaussian noise of a standard deviation while training, none otherwise."""

    def __init__(self, std: float, *, rng: Generator) -> None:
        from hintoncore._streams import Stream, derive_seed

        super().__init__()
        self.std = std
        self._seed = derive_seed(rng.seed, Stream.TRAINING, rng.advance(1))
        self._offset = 0
        self._y: NDArray[Any] | None = None

    def forward(self, x: NDArray[Any], *, training: bool = False) -> NDArray[Any]:
        """Outputs for x [B, N]."""
        from hintoncore.generator import Generator
        from hintoncore.nn import _arithmetic

        if training and self.std > 0:
            draws = Generator(self._seed, self._offset)
            x = x + draws.normal(x.shape, std=self.std).astype(x.dtype)
            self._offset = draws.offset
        self._y = _arithmetic.sigmoid(x)
        return self._y

    def backward(self, dy: NDArray[Any], *, input_gradient: bool = True) -> NDArray[Any] | None:  # noqa: ARG002
        """``y (1 - y) dy``."""
        y: NDArray[Any] = self._kept("_y")
        dx: NDArray[Any] = dy * y * (1 - y)
        return dx

    def counters(self) -> dict[str, int]:
        """Where the noise goes on."""
        return {"offset": self._offset}

    def set_counters(self, counters: Mapping[str, int]) -> None:
        """Go to an offset."""
        self._offset = counters["offset"]


def network(noise: float, rng: Generator) -> nn.Sequential:
    """24 + 12 -> 6 + 6 -> 12 -> 6 -> 24, logistic."""
    from hintoncore import nn

    small = nn.init.gaussian(0.3)
    codes = [nn.Linear(n, CODE, rng=rng, weights=small) for n in (len(PERSONS), len(RELATIONS))]
    return nn.Sequential(
        [
            nn.Parallel(codes, (len(PERSONS), len(RELATIONS))),
            NoisySigmoid(noise, rng=rng),
            nn.Linear(2 * CODE, MIDDLE, rng=rng, weights=small),
            NoisySigmoid(noise, rng=rng),
            nn.Linear(MIDDLE, LAST, rng=rng, weights=small),
            NoisySigmoid(noise, rng=rng),
            nn.Linear(LAST, len(PERSONS), rng=rng, weights=small),
        ]
    )


def _learn(model: nn.Sequential, x: NDArray[Any], target: NDArray[Any], settings: Settings) -> float:
    """Sweep through all the questions; return the penalised loss, without noise, that is reached.

    The decay is on the sum of the losses, so their mean has an Nth of it.
    """
    from hintoncore import nn, ops
    from hintoncore.train import Linear

    # The time of the schedule is the share of the sweeps that is done.
    schedule = Linear(2 * settings.learning_rate, 0.02 * settings.learning_rate, 1.0)
    loss = nn.SoftmaxCrossEntropy()
    optimiser = nn.Adam(schedule, weight_decay=settings.weight_decay / len(x), decoupled=False)
    for sweep in range(settings.sweeps):
        _, dy = loss(model.forward(x, training=True), target)
        model.backward(dy, input_gradient=False)
        optimiser.step(model, sweep / settings.sweeps)
    penalty = sum(ops.sum_of_squares(value) for value in model.parameters().values() if value.ndim > 1)
    return len(x) * loss(model.forward(x), target)[0] + settings.weight_decay / 2 * penalty


def _answered(probabilities: NDArray[Any], known: Questions) -> NDArray[np.bool_]:
    """Which questions have exactly their right persons on top."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    right = known.answers.sum(axis=1).astype(int)
    return np.array([known.answers[i, order[i, : right[i]]].all() for i in range(len(order))])


def _probe(codes: NDArray[Any], classes: NDArray[np.intp]) -> float:
    """Accuracy in % of a linear classifier of the persons' vectors, learned and tested on all that have a class."""
    import hintoncore as hc
    from hintoncore import nn

    codes, classes = codes[classes >= 0], classes[classes >= 0]
    x = ((codes - codes.mean(axis=0)) / codes.std(axis=0).clip(1e-6)).astype(np.float32)
    model = nn.Linear(CODE, int(classes.max()) + 1, rng=hc.Generator(0))
    loss, optimiser = nn.SoftmaxCrossEntropy(), nn.Adam(0.1)
    for _ in range(300):
        _, dy = loss(model.forward(x), classes)
        model.backward(dy, input_gradient=False)
        optimiser.step(model)
    return float(100 * np.mean(model.forward(x).argmax(axis=1) == classes))


def run(run: Run) -> dict[str, float]:
    """One random split: the committee's answers to the four held-out questions, and what is in the vectors."""
    import hintoncore as hc
    from hintoncore import ops

    known = questions()
    settings = Settings(sweeps=5000, nets=1, voters=1) if run.quick else Settings()
    rng = hc.Generator(run.seed)
    held_out = np.sort(rng.permutation(len(known.answers))[:HELD_OUT])
    learned = np.setdiff1d(np.arange(len(known.answers)), held_out)
    target = (known.answers / known.answers.sum(axis=1, keepdims=True)).astype(np.float32)
    losses, models = [], []
    for _ in run.bar(range(settings.nets), "nets"):
        model = network(settings.noise, rng)
        losses.append(_learn(model, known.x[learned], target[learned], settings))
        models.append(model)
    voters = [models[i] for i in np.argsort(losses, kind="stable")[: settings.voters]]
    log_probabilities = [np.log(ops.softmax(model.forward(known.x)).clip(1e-30)) for model in voters]
    committee = _answered(np.mean(log_probabilities, axis=0), known)
    single = [_answered(logs, known) for logs in log_probabilities]
    persons = [model.layers[0].layers[0] for model in voters]
    codes = [ops.sigmoid(person.w + person.b) for person in persons]
    probes = [[_probe(code, classes) for classes in known.features.values()] for code in codes]
    run.details.update(
        {
            "settings": vars(settings),
            "held_out": [f"{known.text(i)} {'right' if committee[i] else 'wrong'}" for i in held_out],
            "penalised_losses": losses,
            "held_out_by_voter": [float(answered[held_out].sum()) for answered in single],
            "learned_by_voter_percent": [float(100 * answered[learned].mean()) for answered in single],
        }
    )
    if run.pictures:
        _picture(run, persons[0].w)
    return {
        "held_out": float(committee[held_out].sum()),
        "held_out_single": float(single[0][held_out].sum()),
        "learned": float(100 * committee[learned].mean()),
        **{f"probe_{name}": float(value) for name, value in zip(known.features, np.mean(probes, axis=0), strict=True)},
    }


def _picture(run: Run, w: NDArray[Any]) -> None:
    """Weights from the 24 persons to the six units of their code: English above, Italian below, as in the paper."""
    from hintoncore import plots
    from hintoncore.experiments._hinton_diagram import unit_panels

    panels = [w[:, unit].reshape(2, -1) for unit in range(w.shape[1])]
    title = "weights from persons (English above, Italian below) to each unit of their code"
    plots.save(unit_panels(panels, columns=2, title=title), run.out / "persons.png")


EXPERIMENT = Experiment(
    name="family-trees",
    title="Backpropagation finds nationality, generation and branch in two family trees, and answers new questions",
    source="Rumelhart, Hinton and Williams 1986, Nature 323; Hinton 1986, Distributed representations of concepts",
    figures=(
        Figure(
            "held_out",
            "held-out questions of 4 answered by four nets, a random split a seed",
            unit="of 4",
            better="higher",
            target=3.5,
            paper=3.5,
            best_public=1.9,
            quick_bound=1.0,
        ),
        Figure(
            "held_out_single",
            "the same by the net with the lowest loss in training",
            unit="of 4",
            better="higher",
            target=3.5,
            paper=3.5,
            best_public=1.9,
        ),
        *(
            Figure(
                f"probe_{name}",
                f"linear probe of {name} in the six units of a person",
                unit="%",
                better="higher",
                target=95.0,
                quick_bound=60.0,
            )
            for name in ("nationality", "generation", "branch")
        ),
        Figure(
            "learned",
            "questions of 100 answered that were learned",
            unit="%",
            better="higher",
            target=99.0,
            quick_bound=80.0,
        ),
    ),
    run=run,
    seeds=20,
)
