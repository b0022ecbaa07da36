"""Restricted Boltzmann machines for ratings, as in the Netflix competition, against matrix factorisation.

MovieLens latest-small: 610 people, 9724 films, 100836 ratings of ten levels, of which a tenth, drawn by the seed, is
held out. Both models choose their settings by a tenth of the training ratings, held out in turn; then each is fitted to
all training ratings and judged once by the held-out ones. Neither sees a held-out rating before that, nor which films
were held out. Salakhutdinov, Mnih and Hinton (2007) had 100 million ratings and weights of its own for each level of a
film. Most films here have fewer than five ratings, so levels are numbers around what user and film alone lead one to
expect, and learning follows the exact gradient of the pseudo-likelihood. The machine of the paper, with contrastive
divergence and a row of weights for each level, is in the details of each seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._biased_mf import BiasedMF, Triples, alternating_ridge, surprise_available, with_surprise
from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._rating_metrics import mae, ranking, rmse

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from hintoncore.datasets import RatingData
    from hintoncore.models import CFRBM
    from hintoncore.train import Callback

__all__ = ["EXPERIMENT", "FULL", "QUICK", "MachineSettings", "Settings", "nearest_films"]

GOOD = 4.0  # stars from which a held-out film is one to recommend
_FILMS = (
    "Toy Story (1995)",
    "Matrix, The (1999)",
    "Pulp Fiction (1994)",
    "Lord of the Rings: The Two Towers, The (2002)",
    "Silence of the Lambs, The (1991)",
    "Shawshank Redemption, The (1994)",
    "Dumb & Dumber (Dumb and Dumber) (1994)",
    "Godfather, The (1972)",
)
_NEIGHBOURS = 5
_RATINGS_OF_A_NEIGHBOUR = 40


@dataclass(frozen=True)
class MachineSettings:
    """One machine for ratings and its training."""

    n_hidden: int = 50
    weight_decay: float = 0.066
    shrinkage: float = 5.0
    epochs: int = 40
    rate: float = 0.2
    rate_decay: float = 0.93
    weights: str = "ordinal"
    rule: str = "pseudo-likelihood"
    k: int = 1

    def fit(self, ratings: Triples, data: RatingData, seed: int, **options: Any) -> CFRBM:
        """Train on ratings."""
        from hintoncore.datasets import csr_ratings
        from hintoncore.models import CFRBM
        from hintoncore.train import Exponential

        machine = CFRBM(
            data.shape[1],
            self.n_hidden,
            values=data.levels,
            weights=self.weights,
            user_shrinkage=self.shrinkage,
            item_shrinkage=self.shrinkage,
            seed=seed,
        )
        return machine.fit(
            csr_ratings(*ratings, n_users=data.shape[0]),
            self.epochs,
            rule=self.rule,
            k=self.k,
            batch_size=61,
            learning_rate=Exponential(self.rate, self.rate_decay),
            weight_decay=self.weight_decay,
            **options,
        )


@dataclass(frozen=True)
class Settings:
    """What is compared, and how long to look for settings."""

    machines: tuple[MachineSettings, ...]
    paper: MachineSettings | None
    ridges: tuple[dict[str, Any], ...]
    gradients: tuple[dict[str, Any], ...]
    ranked_users: int | None = None


FULL = Settings(
    machines=tuple(
        MachineSettings(weight_decay=decay, shrinkage=shrinkage, n_hidden=n_hidden)
        for n_hidden, decay, shrinkage in ((50, 0.066, 10.0), (100, 0.08, 10.0), (100, 0.1, 10.0), (100, 0.12, 10.0))
    ),
    paper=MachineSettings(
        n_hidden=50, weights="softmax", rule="cd", weight_decay=0.02, rate=1.0, rate_decay=0.93, shrinkage=5.0
    ),
    ridges=tuple({"factors": f, "decay": d, "epochs": 12} for f, d in ((4, 0.15), (8, 0.12), (8, 0.15))),
    gradients=tuple(
        {"factors": factors, "rate": rate, "decay": decay, "epochs": epochs}
        for factors, rate, decay, epochs in (
            (100, 0.01, 0.08, 60),
            (100, 0.005, 0.08, 100),
            (100, 0.005, 0.1, 100),
            (200, 0.005, 0.08, 100),
            (200, 0.005, 0.1, 100),
            (400, 0.005, 0.08, 100),
            (400, 0.005, 0.1, 100),
        )
    ),
)
QUICK = Settings(
    machines=(MachineSettings(n_hidden=20, epochs=7, rate_decay=0.75),),
    paper=None,
    ridges=({"factors": 4, "decay": 0.15, "epochs": 5},),
    gradients=(),
    ranked_users=40,
)


def run(run: Run) -> dict[str, float]:
    """Choose settings by validation, fit once more, judge on what was held out."""
    from hintoncore.datasets import load_ratings

    settings = QUICK if run.quick else FULL
    data = load_ratings("movielens-latest-small")
    kept, held_out = data.split(0.1, seed=run.seed)
    inner, validation = _triples(data, kept).split(run.seed)
    training, test = _triples(data, kept).ratings, _triples(data, held_out).ratings

    factorised, chosen_mf, table_mf = _factorise(run, settings, data, inner, validation, training)
    chosen, table = _choose_machine(run, settings, data, inner, validation)
    curve: list[float] = []
    machine = chosen.fit(
        training, data, run.seed, validation=test, callbacks=[*run.callbacks(), _Curve(curve)] if run.pictures else []
    )
    predicted, rival = machine.predict(test[0], test[1]), factorised.predict(test[0], test[1])
    new_users, new_films = machine.unseen(test[0], test[1])
    known = ~(new_users | new_films)
    run.details.update(
        {
            "scikit_surprise": surprise_available(),
            "test_ratings": len(test[0]),
            "films_without_training_rating": int(new_films.sum()),
            "users_without_training_rating": int(new_users.sum()),
            "machine": {**_json(chosen), "rmse": rmse(predicted, test[2]), "mae": mae(predicted, test[2])},
            "machine_validation": table,
            "biased_mf": {**chosen_mf, "rmse": rmse(rival, test[2]), "mae": mae(rival, test[2])},
            "biased_mf_validation": table_mf,
            "rmse_where_the_film_was_seen": {
                "machine": rmse(predicted[known], test[2][known]),
                "biased_mf": rmse(rival[known], test[2][known]),
            },
            "rmse_of_biases_alone": rmse(_biases(machine, test), test[2]),
            "rmse_of_the_mean_of_both": rmse((predicted + rival) / 2, test[2]),
        }
    )
    if settings.paper is not None:
        own = settings.paper.fit(training, data, run.seed).predict(test[0], test[1])
        run.details["machine_of_the_paper"] = {**_json(settings.paper), "rmse": rmse(own, test[2])}
    ranks = _rank(run, settings, data, machine, factorised, training, test)
    run.details["ranking"] = ranks
    run.details["nearest_films"] = nearest_films(machine, data)
    if run.pictures:
        _draw(curve, rmse(rival, test[2]), run.details["nearest_films"]).savefig(run.out / "netflix-rbm.png", dpi=120)
    machine.save(run.out / "machine.safetensors")
    return {
        "rmse_excess": rmse(predicted, test[2]) - rmse(rival, test[2]),
        "ndcg_excess": ranks["machine"]["ndcg_10"] - ranks["biased_mf"]["ndcg_10"],
    }


@dataclass
class _Part:
    """Ratings of a part of the data, and its own split."""

    ratings: Triples

    def split(self, seed: int) -> tuple[Triples, Triples]:
        """A tenth for validation: a permutation of its own, whatever the outer split was."""
        order = np.random.default_rng(seed).permutation(len(self.ratings[0]))
        tenth = len(order) // 10
        rest, chosen = np.sort(order[tenth:]), np.sort(order[:tenth])
        users, items, values = self.ratings
        return (users[rest], items[rest], values[rest]), (users[chosen], items[chosen], values[chosen])


def _triples(data: RatingData, which: NDArray[np.int64]) -> _Part:
    return _Part((data.users[which], data.items[which], data.values[which].astype(np.float64)))


def _factorise(
    run: Run, settings: Settings, data: RatingData, inner: Triples, validation: Triples, training: Triples
) -> tuple[BiasedMF, dict[str, Any], list[dict[str, Any]]]:
    """The factorisation that is best on the validation ratings, fitted to all training ratings."""
    fits: dict[str, Callable[..., BiasedMF]] = {"alternating ridge": alternating_ridge}
    candidates = [("alternating ridge", options) for options in settings.ridges]
    if settings.gradients and surprise_available():
        fits["scikit-surprise SVD"] = with_surprise
        candidates += [("scikit-surprise SVD", options) for options in settings.gradients]
    table = []
    for name, options in run.bar(candidates, "BiasedMF"):
        found = fits[name](inner, data.shape, seed=run.seed, **options)
        error = rmse(found.predict(validation[0], validation[1]), validation[2])
        table.append({"method": name, **options, "validation_rmse": error})
    best = min(range(len(table)), key=lambda row: table[row]["validation_rmse"])
    name, options = candidates[best]
    return fits[name](training, data.shape, seed=run.seed, **options), table[best], table


def _choose_machine(
    run: Run, settings: Settings, data: RatingData, inner: Triples, validation: Triples
) -> tuple[MachineSettings, list[dict[str, Any]]]:
    """The settings that are best on the validation ratings; of a resumed run those already measured are kept."""
    if len(settings.machines) == 1:
        return settings.machines[0], []
    path = run.checkpoint("machines.json")
    table: list[dict[str, Any]] = [] if path is None else json.loads(path.read_text(encoding="utf-8"))
    for candidate in run.bar(settings.machines[len(table) :], "machines"):
        machine = candidate.fit(inner, data, run.seed)
        error = rmse(machine.predict(validation[0], validation[1]), validation[2])
        table.append({**_json(candidate), "validation_rmse": error})
        (run.out / "machines.json").write_text(json.dumps(table), encoding="utf-8")
    best = min(range(len(table)), key=lambda row: table[row]["validation_rmse"])
    return settings.machines[best], table


def _rank(
    run: Run,
    settings: Settings,
    data: RatingData,
    machine: CFRBM,
    factorised: BiasedMF,
    training: Triples,
    test: Triples,
) -> dict[str, dict[str, float]]:
    good = test[2] >= GOOD
    popularity = np.bincount(training[1], minlength=data.shape[1]).astype(np.float64)
    scores: dict[str, Callable[[int, NDArray[np.int64]], NDArray[np.float64]]] = {
        "machine": lambda user, items: machine.predict(np.full(len(items), user), items, method="mean-field"),
        "biased_mf": lambda user, items: factorised.predict(np.full(len(items), user), items),
        "most rated": lambda _user, items: popularity[items],
    }
    users = None if settings.ranked_users is None else np.arange(settings.ranked_users)
    return {
        name: ranking(score, training[:2], (test[0][good], test[1][good]), data.shape[1], users=users)
        for name, score in run.bar(scores.items(), "rankings", total=len(scores))
    }


def _biases(machine: CFRBM, test: Triples) -> NDArray[np.float64]:
    assert machine.baseline is not None
    return machine.baseline.predict(test[0], test[1])


def nearest_films(machine: CFRBM, data: RatingData) -> dict[str, list[str]]:
    """The films whose weights have the largest cosine with those of a few known ones, among films rated often."""
    assert machine.ratings is not None
    counts = np.bincount(machine.ratings.items, minlength=machine.n_items)
    often = np.flatnonzero(counts >= _RATINGS_OF_A_NEIGHBOUR)
    rows = machine.w.reshape(machine.n_items, -1)[often].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    place = {data.titles[item]: n for n, item in enumerate(often)}
    found = {}
    for title in _FILMS:
        if title in place:
            cosines = rows @ rows[place[title]]
            best = np.argsort(-cosines, kind="stable")[1 : _NEIGHBOURS + 1]
            found[title] = [f"{data.titles[often[n]]} {cosines[n]:.2f}" for n in best]
    return found


def _json(settings: MachineSettings) -> dict[str, Any]:
    return dict(vars(settings))


def _Curve(errors: list[float]) -> Callback:  # noqa: N802
    """A callback that notes the error on the held-out ratings after each epoch, for the picture alone."""
    from hintoncore.train import Callback, Trainer

    class Curve(Callback):
        def on_epoch(self, trainer: Trainer) -> None:
            errors.append(trainer.history[-1]["validation_rmse"])

    return Curve()


def _draw(curve: list[float], rival: float, neighbours: dict[str, list[str]]) -> Canvas:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(14, 5.5), layout="constrained")
    FigureCanvasAgg(canvas)
    left, right = canvas.subplots(1, 2, width_ratios=(1, 1.5))
    left.plot(np.arange(1, len(curve) + 1), curve, label="machine for ratings")
    left.axhline(rival, color="black", linestyle="--", label="BiasedMF, tuned")
    left.set_xlabel("epoch")
    left.set_ylabel("error on held-out ratings (RMSE, stars)")
    left.legend()
    right.axis("off")
    right.set_title("Nearest films in the space of weights, with cosines")
    lines = []
    for title, nearest in neighbours.items():
        lines += [title, *(f"      {other}" for other in nearest[:3])]
    right.text(0.0, 1.0, "\n".join(lines), va="top", fontsize=8, family="sans-serif", transform=right.transAxes)
    return canvas


EXPERIMENT = Experiment(
    name="netflix-rbm",
    title="RBM for ratings: softmax visibles, shared weights, missing ratings native, against matrix factorisation",
    source="Salakhutdinov, Mnih and Hinton 2007, Restricted Boltzmann machines for collaborative filtering",
    figures=(
        Figure(
            "rmse_excess",
            "error of the machine less that of BiasedMF, both tuned on validation, MovieLens latest-small 90/10",
            unit="stars",
            better="lower",
            target=0.0,
            quick_bound=0.02,
        ),
        Figure(
            "ndcg_excess",
            "NDCG@10 of the machine less that of BiasedMF, all films without a training rating ranked",
            unit="NDCG",
            better="higher",
            target=0.0,
        ),
    ),
    run=run,
    seeds=5,
    data=("movielens-latest-small",),
)
