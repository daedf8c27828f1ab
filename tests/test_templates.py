"""Templates: what the next network of a structure does not record again is, to the bit, what it would have recorded."""

import gc
import weakref

import numpy as np
import pytest
from helpers import assert_same, data

import minigrad as keras
from minigrad import layers as L
from minigrad import ops
from minigrad.many import own_world
from minigrad.trainer import templates
from minigrad.trees import leaves

X, Y = data(45)
QUIET = {"verbose": 0}
MASKED = L.Masking()(ops.ones((1, 2, 3)))  # that somewhere a tensor has a mask is no reason to record again


def network(hidden=(), optimizer="adam", loss="binary_crossentropy", metrics=("accuracy",), **options):
    model = keras.Sequential([keras.Input((5,)), *hidden, L.Dense(1, activation="sigmoid")])
    model.compile(optimizer, loss, metrics=list(metrics), **options)
    return model


def two_inputs():
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    shared = L.Dense(3, activation="tanh")
    y = L.Dense(1, name="y")(L.Concatenate()([shared(a), shared(b)]))
    model = keras.Model([a, b], [y, L.Dense(1, name="z")(a)])
    model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 0.5])
    return model


def frozen():
    model = network([L.Dense(4), L.BatchNormalization(), L.Dense(4)])
    model.layers[0].trainable = False
    return model


def excluding():
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.3)
    model = network([L.Dense(4)], optimizer)
    optimizer.exclude_from_weight_decay([model.weights[0]])
    return model


# Each beside another one that differs from it in one thing, which no shape tells.
NETWORKS = {
    "dense": lambda: network([L.Dense(4, activation="relu")]),
    "tanh": lambda: network([L.Dense(4, activation="tanh")]),
    "slope": lambda: network([L.Dense(4), L.LeakyReLU(0.3)]),
    "another slope": lambda: network([L.Dense(4), L.LeakyReLU(0.1)]),
    "no slope": lambda: network([L.Dense(4), L.LeakyReLU(-0.0)]),
    "dropout": lambda: network([L.Dense(4), L.Dropout(0.2)]),
    "more dropout": lambda: network([L.Dense(4), L.Dropout(0.4)]),
    "a seed": lambda: network([L.Dense(4), L.Dropout(0.4, seed=3)]),
    "noise": lambda: network([L.GaussianNoise(0.1), L.Dense(4)]),
    "norm": lambda: network([L.Dense(4), L.BatchNormalization(), L.ReLU()]),
    "another norm": lambda: network([L.Dense(4), L.BatchNormalization(momentum=0.5), L.ReLU()]),
    "no center": lambda: network([L.Dense(4), L.BatchNormalization(center=False), L.ReLU()]),
    "l2": lambda: network([L.Dense(4, kernel_regularizer=keras.regularizers.L2(0.01))]),
    "more l2": lambda: network([L.Dense(4, kernel_regularizer=keras.regularizers.L2(0.1))]),
    "activity": lambda: network([L.Dense(4, activity_regularizer="l2")]),
    "constraint": lambda: network([L.Dense(4, kernel_constraint=keras.constraints.MaxNorm(0.5))]),
    "another constraint": lambda: network([L.Dense(4, kernel_constraint=keras.constraints.MaxNorm(0.7))]),
    "a rate": lambda: network([L.Dense(4)], keras.optimizers.Adam(0.1)),
    "momenta": lambda: network([L.Dense(4)], keras.optimizers.Adam(0.1, beta_1=0.5)),
    "clipping": lambda: network([L.Dense(4)], keras.optimizers.Adam(0.1, clipnorm=0.1)),
    "average": lambda: network([L.Dense(4)], keras.optimizers.Adam(0.1, use_ema=True)),
    "schedule": lambda: network(
        [L.Dense(4)], keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))
    ),
    "excluding": excluding,
    "decay": lambda: network([L.Dense(4)], keras.optimizers.AdamW(0.1, weight_decay=0.3)),
    "frozen": frozen,
    "smoothing": lambda: network([L.Dense(4)], loss=keras.losses.BinaryCrossentropy(label_smoothing=0.2)),
    "weights": lambda: network([L.Dense(4)], loss_weights=[0.3]),
    "threshold": lambda: network([L.Dense(4)], metrics=[keras.metrics.BinaryAccuracy(threshold=0.3)]),
    "auc": lambda: network([L.Dense(4)], metrics=[keras.metrics.AUC(), keras.metrics.Precision(0.7)]),
    "recurrent": lambda: network([L.Reshape((5, 1)), L.GRU(3)]),
    "convolution": lambda: network([L.Reshape((5, 1)), L.Conv1D(3, 2), L.Flatten()]),
    "masking": lambda: network([L.Reshape((5, 1)), L.Masking(0.5), L.GlobalAveragePooling1D(), L.Dense(4)]),
    "more masking": lambda: network([L.Reshape((5, 1)), L.Masking(0.0), L.GlobalAveragePooling1D(), L.Dense(4)]),
    "two inputs": two_inputs,
}


def trained(name, seed):
    """All that comes out of a network, and what it leaves behind."""
    with own_world(seed):
        model = NETWORKS[name]()
        x, y = ([X, X[::-1].copy()], [Y, Y]) if name == "two inputs" else (X, Y)
        weights = None if name == "two inputs" else np.linspace(0.5, 1, len(X), dtype="float32")
        history = model.fit(x, y, epochs=2, batch_size=16, sample_weight=weights, **QUIET).history
        found = [model.evaluate(x, y, batch_size=16, **QUIET), model.predict(x, batch_size=16, **QUIET)]
        model.optimizer.learning_rate = 0.05 if name != "schedule" else model.optimizer._learning_rate
        model.fit(x, y, batch_size=16, **QUIET)
        found += [model.get_weights(), [v.grad for v in model.trainable_variables], list(map(float, model.losses))]
        return [history, *map(leaves, found)]


@pytest.fixture
def reused(monkeypatch):
    """The list of the templates that were taken; none is there at the beginning."""
    monkeypatch.setattr(templates, "_kept", {})
    fill, taken = templates.Template.fill, []

    def spied(self, *args):
        taken.append(self)
        fill(self, *args)

    monkeypatch.setattr(templates.Template, "fill", spied)
    return taken


def test_no_bit_changes(reused, monkeypatch):
    with monkeypatch.context() as without:
        without.setattr(templates, "look", lambda model, key, *arrays: (False, None, key))
        expected = {name: trained(name, 3) for name in NETWORKS}
    for name in NETWORKS:
        trained(name, 2)
    assert not reused  # no two of them take the same launches
    counts = {}
    for name in NETWORKS:
        before = len(reused)
        for one, other in zip(expected[name], trained(name, 3), strict=True):
            if isinstance(one, dict):
                assert one == other, name
            else:
                assert_same(one, other)
        counts[name] = len(reused) - before
    # In some steps of these, an operand has another origin, or a layer keeps a penalty.
    recorded = {"activity", "constraint", "another constraint", "clipping", "schedule", "weights", "auc", "recurrent"}
    recorded |= {"masking", "more masking", "two inputs"}
    assert {name for name, count in counts.items() if count < 8} == recorded, counts


def test_what_is_changed_in_place_is_not_taken_from_before(reused):
    """A loss, a regularizer: no structure tells of it, and the next step that is recorded has the new value."""
    penalty = keras.regularizers.L2(0.01)
    for change in (lambda model: setattr(model.loss, "label_smoothing", 0.3), lambda model: setattr(penalty, "l2", 0.5)):
        found = []
        for is_changed in (False, True):
            with own_world(1):
                loss = keras.losses.BinaryCrossentropy()
                model = network([L.Dense(4, kernel_regularizer=penalty)], loss=loss)
                if is_changed:
                    change(model)
                found.append(model.evaluate(X, Y, **QUIET)[0])
        assert found[0] != found[1]


class Counting(L.Layer):
    """Reads a number of Python's that changes with each call."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * float(self.calls)


def test_code_of_users_is_recorded_twice_and_kept_by_nobody(reused):
    def users(one):
        return ops.relu(one)

    def hidden():
        penalty = {"kernel_regularizer": lambda w: ops.sum(w)}
        return [L.Activation(users)], [L.Lambda(users)], [L.Dense(2, **penalty)], [L.Dense(2, activation=users)]

    nameless = {}
    exec("def function(one): return one * 2.0", nameless)
    nameless["function"].__module__ = None
    for some in (*hidden(), *hidden(), [L.Activation(nameless["function"])]):
        network(some).predict(X, **QUIET)
    assert not reused and not any(templates._kept.values())
    with pytest.warns(UserWarning, match="a value that Python computed changed"):
        network([Counting()]).predict(X, **QUIET)


def test_templates_keep_no_network_alive(reused):
    with own_world(0):
        model = network([L.Dense(4), L.Dropout(0.2)])
        model.fit(X, Y, **QUIET)
        gone = [weakref.ref(model), *(weakref.ref(v._data.base) for v in model.trainable_variables)]
    assert sum(map(len, templates._kept.values())) == 2
    del model
    gc.collect()
    assert [one() for one in gone] == [None] * len(gone)
