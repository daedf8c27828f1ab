"""Layers of several inputs beside the real Keras on TensorFlow: shapes, errors, values, gradients, configs, training."""

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]

CASES = [  # class, arguments, shapes of the rows
    ("Add", {}, [(4,), (4,), (4,)]),
    ("Add", {}, [(3,), (2, 3)]),
    ("Subtract", {}, [(2, 3), (1, 3)]),
    ("Multiply", {}, [(4,), (1,), (4,)]),
    ("Average", {}, [(4,), (4,), (4,)]),
    ("Maximum", {}, [(2, 3), (3,), (2, 3)]),
    ("Minimum", {}, [(4,), (4,)]),
    ("Concatenate", {}, [(2, 3), (2, 1)]),
    ("Concatenate", {"axis": 1}, [(2, 3), (4, 3)]),
    ("Dot", {"axes": 1}, [(4,), (4,)]),
    ("Dot", {"axes": (2, 1)}, [(2, 3), (3, 4)]),
    ("Dot", {"axes": -1, "normalize": True}, [(2, 3), (4, 3)]),
    ("Dot", {"axes": [3, 1]}, [(2, 3, 4), (4, 5)]),
    ("Dot", {"axes": (1, 2)}, [(3,), (4, 3)]),
]


def trained(library, name, arguments, shapes):
    """What a model learns whose Dense layers are merged, from weights that depend on the shapes alone."""
    x = library.Input((5,))
    dense = [library.layers.Dense(int(np.prod(shape))) for shape in shapes]
    parts = [library.layers.Reshape(shape)(layer(x)) for layer, shape in zip(dense, shapes, strict=True)]
    merge = getattr(library.layers, name)(**arguments)
    dense.append(library.layers.Dense(2))
    model = library.Model(x, dense[-1](library.layers.Flatten()(merge(parts))))
    rng = np.random.default_rng(5)
    for layer in dense:
        layer.set_weights([rng.normal(0, 0.4, w.shape).astype("float32") for w in layer.get_weights()])
    model.compile(library.optimizers.Adam(0.01), "mse")
    rows, targets = (rng.normal(size=(24, n)).astype("float32") for n in (5, 2))
    history = model.fit(rows, targets, batch_size=8, epochs=4, shuffle=False, verbose=0).history["loss"]
    return merge.get_config(), [history, model.predict(rows, verbose=0), *(w for one in dense for w in one.get_weights())]


@pytest.mark.parametrize("name, arguments, shapes", CASES)
def test_a_merging_layer_is_keras_s(name, arguments, shapes, keras):
    their_layer, our_layer = (getattr(library.layers, name)(**arguments) for library in (keras, minigrad))
    xs = [np.random.default_rng(i).normal(size=(3, *shape)).astype("float32") for i, shape in enumerate(shapes)]
    np.testing.assert_allclose(our_layer(xs).numpy(), np.asarray(their_layer(xs)), 1e-5, 1e-6)
    unknown = [(None, *shape) for shape in shapes]
    assert our_layer.compute_output_shape(unknown) == tuple(their_layer.compute_output_shape(unknown))
    (config, ours), (their_config, theirs) = (trained(library, name, arguments, shapes) for library in (minigrad, keras))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, 2e-4, 2e-4)
    assert {**config, "name": 0, "dtype": 0} == {**their_config, "name": 0, "dtype": 0}
    getattr(keras.layers, name).from_config(config)
    getattr(minigrad.layers, name).from_config(their_config)


@pytest.mark.parametrize("name, arguments, shapes", [
    ("Add", {}, [(2, 4), (2, 3)]),
    ("Add", {}, [(2, 4), (3, 4)]),
    ("Subtract", {}, [(2, 4)]),
    ("Concatenate", {}, [(2, 4), (2, 3, 4)]),
    ("Concatenate", {"axis": 1}, [(2, 4, 3), (2, 3, 4)]),
    ("Dot", {"axes": 1.5}, []),
    ("Dot", {"axes": (1, 2, 3)}, []),
    ("Dot", {"axes": 0}, [(2, 4), (2, 4)]),
    ("Dot", {"axes": 1}, [(2, 4), (2, 3)]),
    ("Dot", {"axes": 1}, [(2, 4), (2, 4), (2, 4)]),
])  # fmt: skip
def test_what_keras_refuses_is_refused_with_the_same_kind_of_error(name, arguments, shapes, keras):
    kinds = []
    for library in (minigrad, keras):
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(library.layers, name)(**arguments)([np.ones(shape, "float32") for shape in shapes])
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
