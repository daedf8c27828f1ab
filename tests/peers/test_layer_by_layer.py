"""Every layer, regularizer and constraint in the real Keras on TensorFlow and in minigrad, from the same weights.

Compared are weights, outputs and configs, and what a short training makes of both; for random layers, moments.
"""

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]


LAYERS = [  # class, arguments, shape of one row
    ("Dense", {"units": 3, "activation": "tanh"}, (5,)),
    ("Dense", {"units": 3, "kernel_regularizer": "l2", "bias_regularizer": "l1",
               "activity_regularizer": "l2"}, (4, 5)),
    ("Dense", {"units": 3, "kernel_constraint": "unit_norm", "bias_constraint": "non_neg"}, (5,)),
    ("Dense", {"units": 3, "kernel_constraint": "max_norm", "kernel_regularizer": "orthogonal_regularizer"}, (5,)),
    ("Dense", {"units": 3, "kernel_constraint": "min_max_norm"}, (5,)),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (4, 2, 3), "bias_axes": "be", "activation": "tanh"}, (4, 5)),
    ("EinsumDense", {"equation": "...b,bc->...c", "output_shape": 3, "kernel_constraint": "unit_norm"}, (4, 5)),
    ("EinsumDense", {"equation": "ab...,bc->ac...", "output_shape": 3, "bias_axes": "c", "kernel_regularizer": "l2"}, (4, 5)),
    ("BatchNormalization", {}, (5,)),
    ("BatchNormalization", {"axis": 1, "momentum": 0.5, "scale": False}, (3, 4)),
    ("BatchNormalization", {"gamma_regularizer": "l2", "beta_constraint": "non_neg"}, (5,)),
    ("BatchNormalization", {"renorm": True, "renorm_momentum": 0.9}, (5,)),
    ("LayerNormalization", {}, (5,)),
    ("LayerNormalization", {"axis": 1, "epsilon": 0.1}, (3, 4)),
    ("LayerNormalization", {"axis": [1, 2], "center": False}, (3, 4)),
    ("LayerNormalization", {"axis": (-2, -1), "scale": False, "beta_regularizer": "l1"}, (2, 3, 4)),
    ("RMSNormalization", {}, (5,)),
    ("RMSNormalization", {"epsilon": 0.1}, (3, 4)),
    ("UnitNormalization", {}, (5,)),
    ("UnitNormalization", {"axis": [1, 2]}, (3, 4)),
    ("Activation", {"activation": "gelu"}, (5,)),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, (5,)),
    ("LeakyReLU", {}, (5,)),
    ("ELU", {"alpha": 0.7}, (5,)),
    ("PReLU", {"alpha_initializer": "ones", "alpha_regularizer": "l2"}, (5,)),
    ("PReLU", {"shared_axes": [1], "alpha_constraint": "non_neg"}, (3, 4)),
    ("Softmax", {"axis": 1}, (3, 4)),
    ("Flatten", {}, (3, 4)),
    ("Flatten", {"data_format": "channels_first"}, (3, 4, 2)),
    ("Reshape", {"target_shape": (-1, 3)}, (2, 6)),
    ("Permute", {"dims": (2, 1)}, (3, 4)),
    ("RepeatVector", {"n": 3}, (5,)),
    ("Identity", {}, (5,)),
    ("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (5,)),
    ("Rescaling", {"scale": 0.5, "offset": 1.0}, (5,)),
    ("Rescaling", {"scale": [1.0, 2.0, 3.0], "offset": [0.0, 1.0, 2.0]}, (3,)),
    ("Normalization", {}, (5,)),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 0.0]}, (3,)),
    ("Normalization", {"mean": 1.0, "variance": 0.25, "invert": True}, (3,)),  # a larger one diverges
    ("Normalization", {"axis": [1, 2]}, (3, 4)),
    ("Normalization", {"axis": None}, (3, 4)),
    ("Dropout", {"rate": 0.0}, (5,)),
    ("AlphaDropout", {"rate": 0.0}, (5,)),
    ("GaussianDropout", {"rate": 0.0}, (5,)),
    ("GaussianNoise", {"stddev": 0.0}, (5,)),
]
every_layer = pytest.mark.parametrize("name, arguments, shape", LAYERS, ids=[f"{n} {a}" for n, a, _ in LAYERS])


def inputs(shape, rows=24):
    return np.random.default_rng(3).normal(0.5, 1.5, (rows, *shape)).astype("float32")


def prepared(library, name, arguments, shape):
    """A model of a Dense that keeps the shape, the layer and a head, with weights that hide nothing."""
    layer = getattr(library.layers, name)(**arguments)
    if name == "Normalization" and "mean" not in arguments:
        layer.adapt(inputs(shape) * 2 + 1)
    model = library.Sequential([
        library.Input(shape), library.layers.Dense(shape[-1]), layer, library.layers.Flatten(),
        library.layers.Dense(2),
    ])
    rng = np.random.default_rng(5)
    kernels = {id(w) for w in model.weights if w.name == "kernel"}
    model.set_weights([
        rng.normal(0, 0.7, w.shape) if id(w) in kernels else
        np.asarray(w) + (rng.uniform(0.1, 0.6, w.shape) if w.name != "count" else 0) for w in model.weights])
    if name == "Normalization":
        layer.finalize_state() if hasattr(layer, "finalize_state") else None
    model.compile(library.optimizers.SGD(0.05), "mse")
    return model, layer


def close(actual, expected, rtol=2e-5, atol=2e-5):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol)


def same(mine, theirs):
    """Whether two parts of configs mean the same: Keras keeps some numbers in float32, and knows lists and tuples."""
    if isinstance(theirs, dict) and mine:
        return set(mine) == set(theirs) and all(same(mine[key], theirs[key]) for key in theirs)
    if isinstance(theirs, (list, tuple, float)):
        return np.allclose(mine, theirs, rtol=1e-6)
    return mine == theirs or not (mine or theirs)


@every_layer
def test_a_layer_computes_learns_and_is_saved_as_in_keras(name, arguments, shape, keras):
    (theirs, their_layer), (ours, our_layer) = (prepared(lib, name, arguments, shape) for lib in (keras, minigrad))
    assert [tuple(w.shape) for w in theirs.weights] == [w.shape for w in ours.weights]
    assert [w.name for w in their_layer.weights] == [w.name for w in our_layer.weights]
    assert len(their_layer.trainable_weights) == len(our_layer.trainable_weights)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        close(a, b, 1e-6)
    assert tuple(their_layer.compute_output_shape((None, *shape))) == our_layer.compute_output_shape((None, *shape))
    x = inputs(shape)
    close(ours(x), theirs(x))
    close(sum(map(float, ours.losses)), sum(map(float, theirs.losses)))
    y = np.random.default_rng(6).normal(size=(24, 2)).astype("float32")
    close(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0))
    histories = [m.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0).history for m in (ours, theirs)]
    close(histories[0]["loss"], histories[1]["loss"], 1e-4)
    for a, b, w in zip(ours.get_weights(), theirs.get_weights(), ours.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4, err_msg=w.path)
    config = {k: v for k, v in their_layer.get_config().items() if k != "dtype"}
    mine = {k: v for k, v in our_layer.get_config().items() if k != "dtype"}
    assert set(mine) == set(config)
    for key in set(config) - {"name"}:
        assert same(mine[key], config[key]), key
    getattr(keras.layers, name).from_config(mine)
    getattr(minigrad.layers, name).from_config(config)


NOISES = [
    ("Dropout", {"rate": 0.3}), ("Dropout", {"rate": 0.3, "noise_shape": (None, 1)}),
    ("AlphaDropout", {"rate": 0.3}), ("GaussianDropout", {"rate": 0.3}), ("GaussianNoise", {"stddev": 0.4}),
]


@pytest.mark.parametrize("name, arguments", NOISES)
def test_noise_has_the_moments_of_keras(name, arguments, keras):
    x = np.full((4000, 50), 1.5, "float32")
    moments = []
    for library in (keras, minigrad):
        y = np.asarray(getattr(library.layers, name)(seed=1, **arguments)(x, training=True), "float64")
        moments.append([y.mean(), y.std(), ((y - y.mean()) ** 3).mean(), y.mean(1).std(), len(np.unique(y)) > 2])
    close(moments[1], moments[0], 0.05, 0.02)


@pytest.mark.parametrize("call", [
    lambda r: r.normal((400, 500), 1.0, 2.0, seed=1), lambda r: r.uniform((400, 500), -1, 3, seed=1),
    lambda r: r.truncated_normal((400, 500), 1.0, 2.0, seed=1), lambda r: r.randint((400, 500), -3, 4, seed=1),
    lambda r: r.categorical(np.array([[0.0, 1.0, 2.0]] * 3, "float32"), 60_000, seed=1),
    lambda r: r.dropout(np.ones((400, 500), "float32"), 0.3, seed=1),
])
def test_random_numbers_have_the_moments_of_keras(call, keras):
    theirs, ours = (np.asarray(call(library.random), "float64") for library in (keras, minigrad))
    assert ours.shape == theirs.shape
    for f in (np.mean, np.std, lambda y: ((y - y.mean()) ** 3).mean(), lambda y: np.quantile(y, [0.01, 0.4, 0.9])):
        close(f(ours), f(theirs), 0.02, 0.04)
