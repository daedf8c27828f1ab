"""Which network for this table? 200 networks by cross-validation, and twenty that vote.

    python examples/many/search.py

The table: 569 tumors, 30 measurements of each, benign or malignant. 40 kinds of networks, of one or two hidden layers,
4 to 64 units and five learning rates, are each trained on four fifths of the rows and tested on the rest, five times.
Each training ends by itself when it no longer gets better. Then twenty networks of the best kind, which differ in
their random numbers only, are trained on one half of the rows, and asked about the other: how far do they agree?
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import minigrad as keras
from minigrad import Ensemble
from minigrad.callbacks import EarlyStopping
from minigrad.model_selection import GridSearchCV
from minigrad.wrappers import SKLearnClassifier

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
SHADES = ("#A3DDCA", "#4DBF9B", "#00855F", "#003F2D")  # the more units, the darker
STOPPING = EarlyStopping("val_loss", patience=5, restore_best_weights=True)
FIT = {"epochs": 60, "batch_size": 32, "validation_split": 0.15, "verbose": 0, "callbacks": [STOPPING]}


def build(X, y, layers=1, units=16, rate=0.001):
    """A compiled network for rows X and targets y, a column per class."""
    model = keras.Sequential([keras.Input(X.shape[1:])])
    for _ in range(layers):
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(y.shape[1], activation="softmax"))
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def search(x, y, seed, quick):
    """All kinds of networks, each trained five times; those of a run with `quick` are fewer."""
    kinds = {"layers": [1, 2], "units": [4, 16] if quick else [4, 8, 16, 64], "rate": RATES[::2] if quick else RATES}
    keras.utils.set_random_seed(seed)
    network = make_pipeline(StandardScaler(), SKLearnClassifier(build, fit_kwargs=FIT))
    grid = {"sklearnclassifier__model_kwargs": list(ParameterGrid(kinds))}
    folds = StratifiedKFold(3 if quick else 5, shuffle=True, random_state=seed)
    return GridSearchCV(network, grid, scoring="neg_log_loss", cv=folds, verbose=1).fit(x, y)


def vote(x, y, best, seed, networks):
    """Twenty networks of one kind: what they say about rows that they have not seen, and how much they disagree."""
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[: len(x) // 2], order[len(x) // 2 :]
    x = (x - x[train].mean(0)) / x[train].std(0)
    targets = keras.utils.to_categorical(y)
    ensemble = Ensemble(lambda: build(x, targets, **best), networks, seed=seed)
    ensemble.fit(x[train], targets[train], **{name: value for name, value in FIT.items() if name != "verbose"})
    mean, spread = ensemble.predict(x[test], return_std=True)
    alone = [np.mean(model.predict(x[test], verbose=0).argmax(1) == y[test]) for model in ensemble.models]
    return mean[:, 1], spread[:, 1], y[test], np.array(alone)


def main(argv=None):
    """Search, then vote, then draw both."""
    with course.Script(__file__, __doc__, argv) as script:
        x, y = load_breast_cancer(return_X_y=True)
        began = time.perf_counter()
        found = search(x, y, script.seed, script.quick)
        seconds, results = time.perf_counter() - began, found.cv_results_
        kinds = [params["sklearnclassifier__model_kwargs"] for params in results["params"]]
        losses = -np.array([results[f"split{i}_test_score"] for i in range(found.n_splits_)])  # (folds, kinds)
        print(f"{losses.size} networks in {seconds:.1f} s\n")
        order = np.argsort(results["rank_test_score"])
        script.table(("layers", "units", "rate", "loss", "from", "to"), [
            (*(kinds[i][name] for name in ("layers", "units", "rate")), losses[:, i].mean(), losses[:, i].min(),
             losses[:, i].max()) for i in (*order[:5], order[-1])
        ], title="The five best kinds, and the last: loss on rows left out, mean and range over the folds")  # fmt: skip
        few = min(10, len(order) // 2)
        best, tenth, last = (losses[:, order[i]] for i in (0, few - 1, -1))
        script.claim((best < last).all(), "the best kind is better than the last one in every fold")
        script.claim(best.max() - best.min() > tenth.mean() - best.mean(),
                     f"it matters more which rows are left out ({best.min():.3f} to {best.max():.3f}) than which of "
                     f"the {few} best kinds it is ({best.mean():.3f} to {tenth.mean():.3f})")
        mean, spread, target, alone = vote(x, y, kinds[order[0]], script.seed, 8 if script.quick else 20)
        is_right = (mean > 0.5) == target
        script.claim(is_right.mean() >= np.median(alone),
                     f"together, {len(alone)} networks are right on {is_right.mean():.1%} of new rows; alone, the "
                     f"middle one is on {np.median(alone):.1%}")
        script.claim(spread[~is_right].mean() > 3 * spread[is_right].mean(),
                     f"where they are wrong, they disagree more: {spread[~is_right].mean():.3f} against "
                     f"{spread[is_right].mean():.3f}")

        figure, (left, right) = script.figure(1, 2, size=(8.4, 3.2))
        pairs = sorted({(kind["layers"], kind["units"]) for kind in kinds})
        rates = sorted({kind["rate"] for kind in kinds})
        for layers, units in pairs:
            at = [i for rate in rates for i, kind in enumerate(kinds)
                  if kind == {"layers": layers, "units": units, "rate": rate}]
            color = SHADES[sorted({units for _, units in pairs}).index(units)]
            left.plot(rates, losses[:, at].mean(0), color=color, marker="o", linestyle="-" if layers == 1 else "--",
                      label=f"{units} units" if layers == 1 else None)
        course.log_scale(left, x=rates, y=(0.05, 0.1, 0.2, 0.5))
        left.set(title="Loss on rows left out, mean of the folds", xlabel="learning rate")
        left.legend(title="one layer (two: dashed)")
        for mask, color, size, label in ((is_right, course.GREY, 4, "right"), (~is_right, course.PINK, 6, "wrong")):
            course.dots(right, mean[mask], spread[mask], color, size)
            right.plot([], [], "o", color=color, markersize=size, label=label)
        right.set(title="Rows that are new to all networks", xlabel="probability of benign, mean of the networks",
                  ylabel="standard deviation over the networks")
        right.legend(loc="upper left")
        script.save(figure)


if __name__ == "__main__":
    main()
