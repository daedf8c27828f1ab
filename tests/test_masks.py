"""Masks: who makes them, how they travel from layer to layer and into losses and metrics; replay equals eager.

Beside the real Keras: peers/test_masks.py.
"""

import gc
import warnings

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad import Tensor, layers, ops
from minigrad.layers import BatchNormalization, Concatenate, Dense, Embedding, Flatten, Masking
from minigrad.ops.masks import MASKS, mask_of
from minigrad.utils import gradcheck

QUIET = {"verbose": 0}
RANDOM = np.random.default_rng(3)
X = RANDOM.integers(0, 6, (48, 5))
Y, FLAT = random_input((48, 5, 1), dtype="float32"), random_input((48, 1), 1, "float32")
WEIGHTS = RANDOM.uniform(0.5, 2, (48, 5)).astype("float32")


def table(**options):
    return Embedding(6, 3, mask_zero=True, **options)


def tokens():
    return keras.Input((5,), dtype="int32")


class Pool(layers.Layer):
    """The mean over the steps that count."""

    supports_masking = True

    def call(self, x, mask=None):
        assert mask is not None  # also while the graph is made
        mask = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return ops.sum(x * mask, axis=1) / (ops.sum(mask, axis=1) + 1e-7)

    def compute_mask(self, x, mask=None):
        return None


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.table, self.inner, self.pool = table(), keras.Sequential([Dense(4), layers.ReLU()]), Pool()

    def call(self, x):
        return self.pool(self.inner(self.table(x)))


def steps():
    return keras.Sequential([tokens(), table(), Dense(4, "relu"), layers.Dropout(0.5), layers.LayerNormalization(), Dense(1)])


def pooled():
    x = tokens()
    return keras.Model(x, Dense(1)(Pool()(Dense(4)(table()(x)))))


def normalized():
    return keras.Sequential([tokens(), table(), Dense(4), BatchNormalization(), layers.ReLU(), Dense(1)])


def nested():
    x = tokens()
    y = keras.Sequential([tokens(), table(), Dense(3)])(x)
    return keras.Model(x, Dense(1)(layers.Add()([y, Dense(3)(y)])))


def subclassed():
    model = Subclassed()
    model(X[:2])
    return model


MODELS = {"steps": (steps, Y), "pooled": (pooled, FLAT), "normalized": (normalized, Y), "nested": (nested, Y),
          "subclassed": (subclassed, np.repeat(FLAT, 4, 1))}  # fmt: skip
every_model = pytest.mark.parametrize("make, y", MODELS.values(), ids=MODELS)


@every_model
def test_replay_equals_eager(make, y):
    found = []
    for run_eagerly in (False, True):
        keras.utils.set_random_seed(1)
        model = make()
        model.compile("adam", "mse", metrics=["mae"], weighted_metrics=["mse"], run_eagerly=run_eagerly)
        weights = WEIGHTS if y.ndim == 3 else WEIGHTS[:, 0]
        history = model.fit(X, y, 20, epochs=2, sample_weight=weights, **QUIET).history
        found.append([history, model.get_weights(), model.evaluate(X, y, **QUIET), model.predict(X, **QUIET)])
        assert run_eagerly or model.train_program is not None
    assert_same(*found)


def test_what_is_masked_counts_nowhere():
    model = keras.Sequential([tokens(), table(), Dense(1)])
    for loss, metric in (("mse", "mse"), (keras.losses.MeanSquaredError("mean_with_sample_weight"), "mse")):
        model.compile("sgd", loss, metrics=[metric], weighted_metrics=["mae"])
        errors, kept = model.predict(X, **QUIET) - Y, X != 0
        told = model.evaluate(X, Y, batch_size=48, sample_weight=WEIGHTS, **QUIET)
        squares, weights = np.square(errors[..., 0]), WEIGHTS * kept
        count = weights.sum() if loss != "mse" else kept.sum()
        assert told[0] == pytest.approx((squares * weights).sum() / count, rel=1e-5)
        # As in Keras, the steps of a row are averaged with those that do not count, the rows' weights likewise.
        assert told[1] == pytest.approx((squares * kept).mean(1).sum() / kept.mean(1).sum(), rel=1e-5)
        assert told[2] == pytest.approx((abs(errors[..., 0]) * weights).mean(1).sum() / weights.mean(1).sum(), rel=1e-5)
    before = model.layers[0].get_weights()[0][0]
    model.fit(X, Y, **QUIET)
    assert_same(model.layers[0].get_weights()[0][0], before)  # the row of 0 learns nothing


def test_a_mask_and_ignored_labels_count_together():
    y, labels = Tensor(RANDOM.dirichlet(np.ones(3), (4, 5))), RANDOM.integers(0, 3, (4, 5))
    kept = RANDOM.random((4, 5)) < 0.6
    y._keras_mask = Tensor(kept)
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=1)(labels, y)
    both = kept & (labels != 1)
    each = -np.log(np.take_along_axis(y.numpy(), labels[..., None], -1))[..., 0]
    assert float(loss) == pytest.approx(each[both].mean(), rel=1e-6)
    y._keras_mask = Tensor(np.zeros((4, 5), bool))
    assert float(keras.losses.MeanSquaredError()(np.zeros((4, 5, 3)), y)) == 0.0


def test_a_row_weight_holds_for_all_its_steps():
    y, mask = random_input((3, 4, 2)), np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)

    def loss(y):
        y = y * 1.0
        y._keras_mask = Tensor(mask)
        return keras.losses.MeanSquaredError()(np.zeros((3, 4, 2)), y, sample_weight=[1.0, 2.0, 3.0])

    errors = np.square(y).mean(-1) * mask * np.array([[1.0], [2], [3]])
    assert float(loss(Tensor(y))) == pytest.approx(errors.sum() / 3)
    assert gradcheck(loss, Tensor(y, requires_grad=True))


def test_who_makes_one_who_keeps_it_and_who_loses_it():
    x = table()(X)
    assert_same(x._keras_mask.numpy(), X != 0)
    assert_same(table().compute_mask(X).numpy(), X != 0)
    assert Embedding(6, 3)(X)._keras_mask is None
    for keeping in (
        Dense(2), layers.Activation("relu"), layers.ReLU(), layers.LeakyReLU(), layers.ELU(), layers.PReLU(),
        layers.Dropout(0.5), layers.GaussianNoise(0.1), BatchNormalization(), layers.LayerNormalization(),
        layers.UnitNormalization(), layers.Identity(), layers.Rescaling(2.0), layers.Lambda(ops.tanh, mask=lambda x, mask: mask),
    ):  # fmt: skip
        assert keeping.supports_masking and keeping(x)._keras_mask is not None
        assert keeping(np.ones((2, 5, 3), "float32"))._keras_mask is None
    for losing in (Flatten(), layers.Reshape((15,)), layers.RMSNormalization(), layers.Lambda(ops.tanh)):
        with pytest.warns(UserWarning, match=rf"{losing.name!r}.* does not support masking"):
            assert not losing.supports_masking and losing(x)._keras_mask is None
        losing(x)  # it is told once
    assert ops.tanh(x)._keras_mask is None and layers.Dot(1)([x, x])._keras_mask is None
    rows = random_input((2, 5, 3), dtype="float32")
    rows[0, 2] = rows[1, 1, :2] = -1
    y = Masking(-1.0)(rows)
    assert_same(y._keras_mask.numpy(), (rows != -1).any(-1))
    assert (y.numpy() == rows * (rows != -1).any(-1, keepdims=True)).all()


@pytest.mark.parametrize("layer, wanted", [
    (layers.Add(), lambda a, b: a | b), (layers.Maximum(), lambda a, b: a | b), (Concatenate(), lambda a, b: a | b),
    (Concatenate(axis=1), lambda a, b: np.concatenate([a, b], 1)),
])  # fmt: skip
def test_masks_of_several_inputs(layer, wanted):
    rows = [random_input((4, 3, 2), seed, "float32") for seed in (0, 1)]
    masks = [RANDOM.random((4, 3)) < 0.5 for _ in rows]
    inputs = [Tensor(row) for row in rows]
    for x, mask in zip(inputs, masks):
        x._keras_mask = Tensor(mask)
    assert_same(layer(inputs)._keras_mask.numpy(), wanted(*masks))
    found = layer([inputs[0], Tensor(rows[1])])._keras_mask
    if isinstance(layer, Concatenate):
        assert_same(found.numpy(), wanted(masks[0], np.ones_like(masks[1])))
    else:
        assert found is None
    assert layer([Tensor(row) for row in rows])._keras_mask is None
    with pytest.raises(ValueError, match="a mask .*for each of its inputs"):
        layer.compute_mask(inputs, masks[0])


def test_only_rows_that_count_are_normalized_by():
    norm = BatchNormalization(momentum=0.0)
    model = keras.Sequential([keras.Input((3, 2)), Masking(), norm, layers.ReLU()])
    rows = random_input((4, 3, 2), dtype="float32")
    rows[1, 1:] = 0
    y = model(rows, training=True)
    np.testing.assert_allclose(norm.moving_mean.numpy(), rows[rows.any(-1)].mean(0), 1e-5, 1e-6)
    assert_same(y._keras_mask.numpy(), rows.any(-1))  # through the fused step
    norm.moving_mean.assign([9.0, 9.0])
    keras.utils.recompute_batch_statistics(model, rows)
    np.testing.assert_allclose(norm.moving_mean.numpy(), rows[rows.any(-1)].mean(0), 1e-5, 1e-6)


def test_layers_of_ones_own():
    class Weighed(layers.Layer):
        def build(self, a_shape, b_shape):
            self.built = True

        def call(self, a, b, a_mask=None, b_mask=None):
            self.told = [mask is not None for mask in (a_mask, b_mask)]
            return a + b

    class Shifted(layers.Layer):
        def compute_mask(self, inputs, mask=None):
            return None if mask is None else ops.logical_not(mask)

        def call(self, inputs, mask=None):
            self.told = mask
            return inputs * 1.0

    x, plain = table()(X), Tensor(random_input((48, 5, 3), dtype="float32"))
    shifted = Shifted()
    assert shifted.supports_masking and not layers.Layer().supports_masking
    assert_same(shifted(x)._keras_mask.numpy(), X == 0)
    assert_same(shifted.told.numpy(), X != 0)
    assert_same(shifted(plain, mask=X == 1)._keras_mask.numpy(), X != 1)  # one that is given by hand
    assert shifted(plain)._keras_mask is None and shifted.told is None


def test_the_mask_that_a_model_is_given_and_the_one_it_returns():
    class Kept(layers.Layer):
        supports_masking = True

        def call(self, x, mask=None):
            return x if mask is None else x * ops.expand_dims(ops.cast(mask, x.dtype), -1)

    x = keras.Input((5, 3))
    model = keras.Model(x, Kept()(Dense(3)(x)))
    rows = random_input((48, 5, 3), dtype="float32")
    y = model(rows, mask=X != 0)
    assert (y.numpy()[X == 0] == 0).all() and (y.numpy()[X != 0] != 0).all()
    assert_same(y._keras_mask, X != 0)
    assert_same(model(table()(X))._keras_mask.numpy(), X != 0)
    assert model(rows)._keras_mask is None
    model = keras.Sequential([tokens(), table(), Dense(1)])
    assert_same(model(X)._keras_mask.numpy(), X != 0)  # replayed
    symbol = Dense(2)(table()(tokens()))
    assert mask_of(symbol).shape == (None, 5) and mask_of(symbol).dtype == "bool"


def test_without_masks_nothing_is_left_of_them():
    gc.collect()
    before = set(MASKS)  # of tensors that other tests keep
    model = pooled()
    model.compile("sgd", "mse")
    model.fit(X, FLAT, **QUIET)
    model.predict(X, **QUIET)
    model(X)
    gc.collect()
    assert set(MASKS) <= before


def test_files(tmp_path):
    for make, y in (MODELS["pooled"], MODELS["normalized"]):
        model = make()
        model.compile("sgd", "mse")
        model.fit(X, y, **QUIET)
        with keras.saving.custom_object_scope({"Pool": Pool}):
            for name in ("model.keras", "model.h5"):
                model.save(tmp_path / name)
                again = keras.saving.load_model(tmp_path / name)
                assert_same(again.predict(X, **QUIET), model.predict(X, **QUIET))
                assert again.evaluate(X, y, **QUIET) == model.evaluate(X, y, **QUIET)
            assert_same(keras.models.clone_model(model).count_params(), model.count_params())
    layer = Masking(0.5, dtype="float64")
    assert Masking.from_config(layer.get_config()).mask_value == 0.5 and layer.built
    assert layer.compute_output_shape((None, 4, 2)) == (None, 4, 2) and not layer.weights
    assert gradcheck(layer, Tensor(random_input((3, 4, 2)), requires_grad=True))


def test_a_loss_says_where_a_mask_does_not_fit():
    y = Tensor(np.ones((4, 3)))
    y._keras_mask = Tensor(np.ones((4, 3), bool))
    with pytest.raises(ValueError, match=r"\(4, 3\) does not fit"):
        keras.losses.MeanSquaredError()(np.ones((4, 3)), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Dense(1)(table()(X))  # no word where nothing is lost
