"""recompute_batch_statistics and fold_batchnorm: what comes out is what the formulas say, and nothing else changes."""

import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import layers as L
from minigrad import ops
from minigrad.models import inference
from minigrad.utils import fold_batchnorm, recompute_batch_statistics


def trained(*stack, width=5, dtype="float32", rows=60, **fit):
    """A model of these layers over rows of `width`, with weights and statistics that are all different from 0 and 1."""
    model = keras.Sequential([keras.Input((width,), dtype=dtype), *stack])
    generator = np.random.default_rng(3)
    for weight in model.weights:
        noise = generator.uniform(0.3, 1.2, weight.shape)
        weight.assign(noise if "variance" in weight.path or "stddev" in weight.path else weight.numpy() + noise - 0.5)
    return model


def rows(n=300, width=5, dtype="float32", seed=0):
    return (np.random.default_rng(seed).standard_normal((n, width)) * 2 + 1).astype(dtype)


def moments(x):
    x = x.astype("float64").reshape(-1, x.shape[-1])
    return x.mean(0), x.var(0)


# ------------------------------------------------------------------------------------------------ statistics


@pytest.mark.parametrize("batch_size", [7, 64, 1000])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("float64", 1e-13)])
def test_statistics_are_those_of_all_rows_layer_by_layer(dtype, tolerance, batch_size):
    options = {"dtype": dtype}
    norms = [L.BatchNormalization(**options) for _ in range(3)]
    model = trained(
        L.Dense(4, **options), norms[0], L.Activation("relu", **options), L.Dropout(0.5, **options),
        L.Dense(3, activation="tanh", **options), norms[1], L.Dense(2, use_bias=False, **options), norms[2], dtype=dtype,
    )  # fmt: skip
    x = rows(dtype=dtype)
    recompute_batch_statistics(model, x, batch_size=batch_size)
    for i, norm in enumerate(norms):
        before = keras.Sequential(model.layers[: model.layers.index(norm)])  # with the statistics of those in front
        mean, variance = moments(before.predict(x, verbose=0))
        np.testing.assert_allclose(norm.moving_mean.numpy(), mean, rtol=tolerance, atol=tolerance, err_msg=i)
        np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batch_size, calls", [(40, 1), (39, 6)])
def test_rows_that_are_one_batch_take_one_pass(batch_size, calls):
    class Counts(L.Layer):
        seen = 0

        def call(self, inputs):
            Counts.seen += 1
            return inputs

    model = trained(Counts(), *(L.BatchNormalization() for _ in range(3)))
    Counts.seen = 0
    recompute_batch_statistics(model, rows(40), batch_size=batch_size)
    assert Counts.seen == calls


def test_inference_then_equals_training_on_all_rows_at_once():
    model = trained(L.Dense(6), L.BatchNormalization(), L.Activation("relu"), L.Dense(4), L.BatchNormalization(), L.Dense(1))
    x = rows(200)
    expected = model(x, training=True).numpy()
    assert np.abs(model.predict(x, verbose=0) - expected).max() > 0.1
    recompute_batch_statistics(model, x, batch_size=33)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_it_cures_a_validation_loss_that_lags_behind():
    x, y = data(200)
    x = x + 20
    model = network()
    model.layers[1].momentum = 0.999
    model.fit(x, y, epochs=20, verbose=0)
    wild = model.evaluate(x, y, verbose=0)[0]
    recompute_batch_statistics(model, x)
    assert model.evaluate(x, y, verbose=0)[0] < 0.2 < 2 < wild


@pytest.mark.parametrize("axis, shape", [(1, (3, 4)), (-1, (3, 4)), (2, (3, 4)), (1, (4,))])
def test_any_axis_and_rank(axis, shape):
    norm = L.BatchNormalization(axis=axis)
    model = keras.Sequential([keras.Input(shape), norm])
    x = np.random.default_rng(1).normal(3, 2, (50, *shape)).astype("float32")
    recompute_batch_statistics(model, x, batch_size=8)
    mean, variance = moments(np.moveaxis(x, axis, -1))
    np.testing.assert_allclose(norm.moving_mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [50, 120])
def test_nested_and_subclassed_models_and_shared_layers(batch_size):
    class Residual(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm = L.BatchNormalization()  # before `inner` among the attributes, after it in the call
            self.inner = keras.Sequential([L.Dense(5), L.BatchNormalization(), L.Activation("tanh")])

        def call(self, x, training=False):
            return self.norm(x + self.inner(x, training=training), training=training)

    model = Residual()
    x = rows(120)
    model(x)
    recompute_batch_statistics(model, x, batch_size=batch_size)
    np.testing.assert_allclose(model.inner.layers[1].moving_mean.numpy(), moments(model.inner.layers[0](x).numpy())[0], atol=1e-5)
    y = x + model.inner(x).numpy()
    np.testing.assert_allclose(model.norm.moving_variance.numpy(), moments(y)[1], rtol=1e-5)


def test_frozen_layers_and_everything_else_stay():
    x, y = data(60)
    model = network(dropout=0.3)
    model.fit(x, y, epochs=2, verbose=0)
    model.add(L.BatchNormalization())
    model.layers[-1].trainable = False
    before = state(model)
    recompute_batch_statistics(model, x)
    after = state(model)
    moved = [key for key in before if not np.array_equal(before[key], after[key])]
    assert [key.split("/")[1] for key in moved] == ["moving_mean", "moving_variance"]
    assert not model.run_eagerly and "normalize" not in vars(model.layers[1])
    assert model.predict(x, verbose=0).shape == (60, 1)


def test_renormalization_has_more_of_them():
    norm = L.BatchNormalization(renorm=True)
    model = trained(L.Dense(3), norm)
    x = rows()
    recompute_batch_statistics(model, x)
    mean, variance = moments(model.layers[0](x).numpy())
    np.testing.assert_allclose(norm.renorm_mean.numpy(), mean, rtol=1e-4, atol=1e-5)
    for v in (norm.renorm_stddev, norm.moving_stddev):
        np.testing.assert_allclose(v.numpy(), np.sqrt(variance + norm.epsilon), rtol=1e-5)


def test_large_means_cost_no_digits():
    norm = L.BatchNormalization()
    x = rows(1000) + 1e4
    recompute_batch_statistics(keras.Sequential([keras.Input((5,)), norm]), x, batch_size=10)
    np.testing.assert_allclose(norm.moving_variance.numpy(), moments(x)[1], rtol=1e-6)


def test_a_nan_in_the_data_shows():
    model = trained(L.BatchNormalization())
    x = rows()
    x[17, 2] = np.nan
    recompute_batch_statistics(model, x)
    assert np.isnan(model.layers[0].moving_mean.numpy()).tolist() == [False, False, True, False, False]


def test_what_can_not_be_computed_changes_nothing():
    class Fails(keras.Layer):
        def call(self, inputs):
            if float(ops.max(inputs)) > 10:  # normalised with all rows, the last one stands above 15
                raise RuntimeError("too large")
            return inputs

        def compute_output_shape(self, input_shape):
            return input_shape

    model = trained(L.BatchNormalization(), Fails(), L.BatchNormalization())
    model.run_eagerly = True
    x = rows()
    x[-1] = 1e9
    before = state(model)
    with pytest.raises(RuntimeError, match="too large"):
        recompute_batch_statistics(model, x, batch_size=10)
    assert_same(state(model), before)


@pytest.mark.parametrize("f", [recompute_batch_statistics, lambda model, x: fold_batchnorm(model)])
def test_what_is_no_built_model(f):
    with pytest.raises(ValueError, match="'lazy' is not built"):
        f(keras.Sequential([L.Dense(1)], name="lazy"), rows())
    with pytest.raises(ValueError, match="expects a model"):
        f(L.Dense(1), rows())


@pytest.mark.parametrize("x, words", [(rows(width=4), r"\(None, 5\)"), (np.zeros((0, 5)), "empty"), ("text", "numbers")])
def test_rows_that_do_not_fit(x, words):
    model = trained(L.BatchNormalization())
    with pytest.raises(ValueError, match=words):
        recompute_batch_statistics(model, x)


# --------------------------------------------------------------------------------------------------- folding

STACKS = {
    "after": lambda o: ([L.Dense(4, **o), L.BatchNormalization(**o), L.Activation("relu", **o), L.Dense(2, **o)], 3),
    "after, without bias, gamma, beta": lambda o: (
        [L.Dense(4, use_bias=False, **o), L.BatchNormalization(scale=False, center=False, **o)], 1,
    ),
    "before": lambda o: ([L.Dense(4, activation="relu", **o), L.BatchNormalization(**o), L.Dense(2, **o)], 2),
    "before, without bias": lambda o: ([L.BatchNormalization(**o), L.Dense(2, use_bias=False, **o)], 1),
    "twice after": lambda o: ([L.Dense(4, **o), L.BatchNormalization(**o), L.BatchNormalization(**o)], 1),
    "twice before": lambda o: ([L.BatchNormalization(**o), L.BatchNormalization(**o), L.Dense(3, **o)], 2),
    "both": lambda o: (
        [L.BatchNormalization(**o), L.Dense(4, **o), L.BatchNormalization(**o), L.Dense(3, **o), L.BatchNormalization(**o)], 2,
    ),
    "across dropout": lambda o: (
        [L.Dense(4, **o), L.Dropout(0.5, **o), L.BatchNormalization(**o), L.ReLU(**o), L.BatchNormalization(**o),
         L.Dropout(0.2, **o), L.Dense(3, **o)], 3,
    ),
    "nowhere": lambda o: ([L.Activation("tanh", **o), L.BatchNormalization(**o), L.Activation("relu", **o)], 3),
    "nested": lambda o: (
        [keras.Sequential([L.Dense(4, **o), L.BatchNormalization(**o)]), L.BatchNormalization(**o), L.Dense(2, **o)], 2,
    ),
    "renormalized": lambda o: ([L.Dense(4, **o), L.BatchNormalization(renorm=True, **o)], 1),
    "nothing but dropout": lambda o: ([L.Dropout(0.5, **o)], 1),
}  # fmt: skip


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("stack", STACKS)
def test_the_folded_model_has_the_same_outputs(stack, dtype, tolerance):
    layers, count = STACKS[stack]({"dtype": dtype})
    model = trained(*layers, dtype=dtype)
    before, x = state(model), rows(dtype=dtype)
    folded = fold_batchnorm(model)
    expected = model.predict(x, verbose=0)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(folded.predict(x, verbose=0), expected, rtol=0, atol=tolerance * scale)
    assert len(folded.layers) == count and folded.name == f"{model.name}_folded"
    assert_same(state(model), before)
    for weight in folded.weights:
        weight.assign(weight.numpy() * 0.0)  # nothing is shared
    assert_same(model.predict(x, verbose=0), expected)


def test_nothing_is_left_of_the_article_s_normalizations():
    model = network()
    x, y = data(60)
    model.fit(x, y, epochs=3, verbose=0)
    folded = fold_batchnorm(model)
    assert [layer.name for layer in folded.layers] == ["dense", "activation", "dense_1"]
    assert folded.count_params() == model.count_params() - 4 * 4
    np.testing.assert_allclose(folded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(folded(x, training=True).numpy(), model.predict(x, verbose=0), atol=1e-6)
    assert not folded.compiled


@pytest.mark.parametrize("axis, count", [(1, 2), (2, 1), (-1, 1)])
def test_higher_rank(axis, count):
    model = keras.Sequential([keras.Input((3, 4)), L.Dense(5), L.BatchNormalization(axis=axis)])
    x = np.random.default_rng(0).normal(size=(6, 3, 4)).astype("float32")
    recompute_batch_statistics(model, x)
    folded = fold_batchnorm(model)
    assert len(folded.layers) == count
    np.testing.assert_allclose(folded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)


def test_dtypes_that_differ_are_not_mixed():
    model = trained(L.Dense(3), L.BatchNormalization(dtype="float64"))
    assert len(fold_batchnorm(model).layers) == 2


def test_layers_of_one_s_own_are_copied_if_they_can_be():
    class Applied(keras.Layer):
        def __init__(self, function, **kwargs):
            super().__init__(**kwargs)
            self.function = function

        def call(self, inputs):
            return self.function(inputs)

    class Described(Applied):
        def get_config(self):
            return {"name": self.name, "function": self.function}

    x = rows()
    model = trained(L.Dense(3), L.BatchNormalization(), Described(ops.tanh))
    np.testing.assert_allclose(fold_batchnorm(model).predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
    with pytest.raises(ValueError, match="'mine'.*get_config"):
        fold_batchnorm(trained(L.Dense(3), Applied(ops.tanh, name="mine")))


def graph_with_everything():
    """A residual sum, a shared Dense, a nested model, an operation, two inputs and outputs."""
    a, b = keras.Input((5,), name="a"), keras.Input((3,), name="b")
    h = L.BatchNormalization(name="folded_1")(L.Dense(4)(a))
    h = L.Dropout(0.5)(L.Activation("relu")(h))
    inner = keras.Input((4,))
    nested = keras.Model(inner, L.BatchNormalization(name="folded_2")(L.Dense(4)(inner)), name="nested")
    h = h + nested(h)
    kept = L.Dense(4)(L.Concatenate()([h, b]))
    normalized = L.BatchNormalization(name="kept_1")(kept)  # what is before it is used beside it
    shared = L.Dense(4, name="shared")
    both = ops.tanh(L.Add()([shared(normalized), shared(kept)]))
    last = L.Dense(1)(L.Dropout(0.1)(L.BatchNormalization(name="folded_3")(both)))
    return keras.Model([a, b], {"last": last, "twice": L.BatchNormalization(name="kept_2")(shared(both))})


def test_a_graph_is_folded_and_its_statistics_are_recomputed():
    keras.utils.set_random_seed(0)
    model = graph_with_everything()
    x = [rows(), rows(width=3)]
    for layer in model._all_layers():
        if isinstance(layer, L.BatchNormalization):
            layer.gamma.assign(np.random.default_rng(1).uniform(0.5, 2, layer.gamma.shape))
    recompute_batch_statistics(model, x)
    expected = model.predict(x, verbose=0)
    model_2 = graph_with_everything()
    model_2.set_weights(model.get_weights())
    folded = fold_batchnorm(model)
    found = folded.predict(x, verbose=0)
    for name in ("last", "twice"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    names = [layer.name for layer in folded._all_layers() if isinstance(layer, L.BatchNormalization)]
    assert sorted(names) == ["kept_1", "kept_2"] and not [one for one in folded.layers if isinstance(one, L.Dropout)]
    folded.set_weights([0 * w for w in folded.get_weights()])
    for name in ("last", "twice"):
        assert_same(model_2.predict(x, verbose=0)[name], expected[name])


def test_a_subclassed_model_is_refused():
    class Mine(keras.Model):
        def call(self, x):
            return x

    model = Mine(name="mine")
    model(rows())
    with pytest.raises(ValueError, match="expects a Sequential or a Model.*'mine'"):
        fold_batchnorm(model)


def test_the_model_may_be_used_while_statistics_are_computed(monkeypatch):
    """By other threads, for instance: they find it as it was, also where a step must be recorded for them."""
    x, y = data(64)
    model = network()
    model.fit(x, y, epochs=2, verbose=0)
    expected, found = model.predict(x[:7], batch_size=7, verbose=0), []
    moments = inference.moments_of_both

    def meanwhile(*both):
        found.append(model.predict(x[:7], batch_size=6 - len(found), verbose=0))
        return moments(*both)

    monkeypatch.setattr(inference, "moments_of_both", meanwhile)
    recompute_batch_statistics(model, x)
    assert found
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-6)
    assert not np.allclose(model.predict(x[:7], verbose=0), expected, rtol=1e-6)
