"""A neural probabilistic language model: words become vectors, and sentences never seen before become likely.

A net predicts each word from the vectors of those before it, and learns the vectors on the way (Bengio, Ducharme,
Vincent and Jauvin 2003; the idea of the vectors is Hinton's of 1986). Two texts: the Brown corpus, split as in the
paper, and the sentences over 250 words of Hinton's course of 2012. The measure is the paper's: the net's perplexity on
the test part over that of an interpolated trigram, whose weights are tuned on the validation part. As in the paper, the
net is also mixed with that trigram; the weight of the mixture is tuned on the validation part. Stronger rivals are in
the details beside it: modified Kneser-Ney of the best order, and each of the two mixed with a cache of the words that
the net sees (Kuhn and De Mori 1990).

The net is the paper's without direct connections. What is newer: Adam with a rate that falls to 0 and decoupled weight
decay, dropout, contexts longer than the paper's 4 words, and on Brown, whose texts run over 2000 words each, a bag of
the hundred words before the context (Irie, Schlueter and Ney 2015). The parameters are those of the epoch that did best
on the validation part. A quick run learns some of the sentences.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hintoncore.experiments._framework import Experiment, Figure, Run
from hintoncore.experiments._language import Windows, cache, mixing_weight, rivals

if TYPE_CHECKING:
    from hintoncore.datasets import TextData
    from hintoncore.models import NPLM

__all__ = ["EXPERIMENT"]


@dataclass(frozen=True)
class Settings:
    """One text and its net.

    A case has at least ``least`` words before the one to predict, all within a sentence where the text has sentences;
    the n-grams look at these, the net at ``bag + context`` words, as far as the text or the sentence has them.
    """

    least: int
    bag: int
    context: int
    n_features: int
    n_hidden: int
    feature_dropout: float
    hidden_dropout: float
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    patience: int = 4


BROWN = Settings(4, 100, 5, 100, 300, 0.4, 0.5, epochs=6, batch_size=512, learning_rate=0.003, weight_decay=0.3)
SENTENCES = Settings(3, 0, 8, 50, 300, 0.0, 0.2, epochs=20, batch_size=200, learning_rate=0.003)
QUICK = Settings(3, 0, 6, 30, 80, 0.0, 0.0, epochs=4, batch_size=100, learning_rate=0.004)
QUICK_CASES = 40_000, 8_000

SHOWN = {
    "brown": (
        "king",
        "London",
        "blue",
        "Monday",
        "three",
        "walked",
        "mother",
        "France",
        "could",
        "music",
        "river",
        "he",
    ),
    "hinton-4gram": (
        "he",
        "could",
        "york",
        "day",
        "three",
        "said",
        "house",
        "former",
        "though",
        "school",
        "him",
        "big",
    ),
}
MAP_WORDS = 400


def run(run: Run) -> dict[str, float]:
    """Perplexities of net, trigram and both together, on each text."""
    if run.quick:
        return _text(run, "hinton-4gram", QUICK)
    return {**_text(run, "hinton-4gram", SENTENCES), **_text(run, "brown", BROWN)}


def _text(run: Run, name: Literal["brown", "hinton-4gram"], settings: Settings) -> dict[str, float]:
    from hintoncore import datasets
    from hintoncore.models.ngram import perplexity

    data = datasets.load(name)
    n_words = len(data.vocabulary)
    windows = Windows.of(data, settings.bag + settings.context, settings.least)
    if run.quick:
        windows = windows.part(*QUICK_CASES)
    counted = rivals(windows, n_words, settings.least)
    model, history = _learn(run, name, windows, n_words, settings)
    neural = tuple(np.exp(model.log_prob(part)) for part in (windows.validation, windows.test))

    found = {"net": perplexity(neural[1])}
    weights = {}
    recent = tuple(cache(part, n_words) for part in (windows.validation, windows.test))
    for rival, (validation, test) in {"trigram": counted.trigram, "Kneser-Ney": counted.kneser_ney}.items():
        weights[rival] = mixing_weight(neural[0], validation)
        found[rival] = perplexity(test)
        found[f"net and {rival}"] = perplexity(weights[rival] * neural[1] + (1 - weights[rival]) * test)
        of_cache = mixing_weight(recent[0], validation)
        found[f"cache and {rival}"] = perplexity(of_cache * recent[1] + (1 - of_cache) * test)
    run.details[name] = {
        "settings": asdict(settings),
        "words": n_words,
        "cases": {part: len(getattr(windows, part)) for part in ("train", "validation", "test")},
        "n_grams": counted.perplexities,
        "test_perplexity": found,
        "weight_of_the_net_in_the_mixture": weights,
        "test_perplexity_over_the_trigram's": {name: value / found["trigram"] for name, value in found.items()},
        "test_perplexity_over_Kneser-Ney's": {name: value / found["Kneser-Ney"] for name, value in found.items()},
        "validation_perplexity_by_epoch": [float(np.exp(record["validation_loss"])) for record in history],
        "neighbours": _neighbours(data, model, SHOWN[name]),
    }
    if run.pictures:
        _map(run, data, model)
    key = name.split("-")[0]
    return {
        f"{key}_mixed_ratio": found["net and trigram"] / found["trigram"],
        f"{key}_net_ratio": found["net"] / found["trigram"],
    }


def _learn(
    run: Run, name: str, windows: Windows, n_words: int, settings: Settings
) -> tuple[NPLM, list[dict[str, Any]]]:
    """Train a net, with the parameters of its best epoch at the end."""
    import hintoncore as hc
    from hintoncore import nn
    from hintoncore.models import NPLM
    from hintoncore.models.nplm import WordCrossEntropy
    from hintoncore.train import Checkpoint, EarlyStopping, KeepBest, Linear, Supervised, Trainer

    model = NPLM(
        n_words,
        context=settings.context,
        bag=settings.bag,
        n_features=settings.n_features,
        n_hidden=settings.n_hidden,
        feature_dropout=settings.feature_dropout,
        hidden_dropout=settings.hidden_dropout,
        rng=hc.Generator(run.seed),
    )
    task = Supervised(
        model,
        windows.train[:, :-1],
        windows.train[:, -1],
        loss=WordCrossEntropy(),
        optimiser=nn.Adam(Linear(settings.learning_rate, 0.0, settings.epochs), weight_decay=settings.weight_decay),
        seed=run.seed,
        validation=(windows.validation[:, :-1], windows.validation[:, -1]),
        evaluation_rows=settings.batch_size,
    )
    file, best = f"{name}.safetensors", KeepBest(run.out / f"{name}-best.safetensors")
    stopping = EarlyStopping("validation_loss", patience=settings.patience, mode="min")
    # The best epoch is written before the checkpoint that knows of it.
    callbacks = [*run.callbacks(), best, stopping, Checkpoint(run.out / file)]
    trainer = Trainer(task, batch_size=settings.batch_size, callbacks=callbacks)
    checkpoint = run.checkpoint(file)
    if checkpoint is not None:
        trainer.load_checkpoint(checkpoint)
    trainer.run(settings.epochs)
    best.restore(trainer)
    return model, trainer.history


def _neighbours(data: TextData, model: NPLM, words: tuple[str, ...]) -> dict[str, str]:
    """The nearest words to some, among the 5000 most frequent."""
    return {
        word: ", ".join(data.vocabulary[i] for i in model.neighbours(data.number[word], 6, among=5000))
        for word in words
    }


def _map(run: Run, data: TextData, model: NPLM) -> None:
    """The most frequent words laid out in two dimensions by t-SNE (van der Maaten and Hinton 2008), of scikit-learn."""
    from importlib.util import find_spec

    from matplotlib.figure import Figure as Picture

    from hintoncore import plots

    if find_spec("sklearn") is None:
        run.details[data.name]["map"] = "not drawn: scikit-learn is not installed"
        return
    from sklearn.manifold import TSNE

    words = data.vocabulary[:MAP_WORDS]
    vectors: NDArray[Any] = model.vectors[: len(words)]
    tsne = TSNE(metric="cosine", init="random", perplexity=10, random_state=run.seed)
    places = tsne.fit_transform(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    figure = Picture(figsize=(13, 13), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(places[:, 0].min(), places[:, 0].max()), ylim=(places[:, 1].min(), places[:, 1].max()))
    for (x, y), word in zip(places, words, strict=True):
        axes.text(x, y, word.replace("$", r"\$"), fontsize=7, ha="center", va="center")
    axes.set_axis_off()
    axes.set_title(f"{data.name}: vectors of the {len(words)} most frequent words")
    plots.save(figure, run.out / f"{data.name}-map.png")


def _ratio(name: str, text: str, paper: float | None = None, quick_bound: float | None = None) -> Figure:
    return Figure(name, text, unit="x", better="lower", target=0.80, paper=paper, quick_bound=quick_bound)


EXPERIMENT = Experiment(
    name="word-embeddings",
    title="A neural language model that learns vectors of words, against n-grams",
    source="Bengio, Ducharme, Vincent and Jauvin 2003, JMLR 3; Hinton 1986, Distributed representations of concepts",
    figures=(
        _ratio(
            "brown_mixed_ratio",
            "test perplexity of net and trigram together over the trigram's, Brown",
            paper=252 / 336,
        ),
        _ratio("brown_net_ratio", "the same of the net alone", paper=276 / 336),
        _ratio("hinton_mixed_ratio", "the same of both together, sentences over 250 words", quick_bound=0.90),
        _ratio("hinton_net_ratio", "the same of the net alone", quick_bound=0.97),
    ),
    run=run,
    seeds=1,
    data=("brown", "hinton-4gram"),
    quick_data=("hinton-4gram",),
)
