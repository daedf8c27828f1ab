"""Steps of one's own beside the real Keras on TensorFlow: the same classes, weights and data, the same numbers."""

import numpy as np
import own_steps
import pytest
from own_steps import X, Y

import minigrad
from minigrad.compat.tensorflow import tensorflow

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]


@pytest.fixture
def tf(keras):
    return pytest.importorskip("tensorflow")


def assert_near(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", own_steps.MODELS)
def test_a_step_of_ones_own(name, keras, tf):
    ours, logs = own_steps.trained(name, minigrad, tensorflow())
    theirs, their_logs = own_steps.trained(name, keras, tf)
    assert_near(ours.get_weights(), theirs.get_weights())
    if name not in ("sam", "accumulating"):  # Keras shows 0, the tracker that compile made and nobody told
        assert logs.keys() == their_logs.keys()
        assert_near([logs[key] for key in logs], [their_logs[key] for key in logs])


def loop(keras, tf, is_compiled):
    """What the guide to training loops is about: a tape, an optimizer, metrics, with and without tf.function."""
    model = own_steps.network(keras, (8, 16, 8, 1))
    optimizer, loss_fn = keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy(from_logits=True)
    train_metric, val_metric = keras.metrics.BinaryAccuracy(threshold=0.0), keras.metrics.Mean()

    def train_step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss_value = loss_fn(y, logits)
            loss_value += sum(model.losses)
        grads = tape.gradient(loss_value, model.trainable_weights)
        optimizer.apply(grads, model.trainable_weights)
        train_metric.update_state(y, logits)
        return loss_value

    def test_step(x, y):
        val_metric.update_state(loss_fn(y, model(x, training=False)))

    if is_compiled:
        train_step, test_step = tf.function(train_step), tf.function(test_step)
    found = []
    for _ in range(4):
        for start in range(0, len(X), 32):
            found.append(float(train_step(X[start : start + 32], Y[start : start + 32])))
        test_step(X, Y)
        found += [float(train_metric.result()), float(val_metric.result())]
        train_metric.reset_state()
        val_metric.reset_state()
    return found, model.get_weights()


def test_a_loop_of_ones_own(keras, tf):
    eager, weights = loop(minigrad, tensorflow(), False)
    replayed, same = loop(minigrad, tensorflow(), True)
    theirs, their_weights = loop(keras, tf, True)
    assert eager == replayed and all(map(np.array_equal, weights, same))
    assert_near([replayed, *weights], [theirs, *their_weights])


@pytest.mark.parametrize("unconnected", ["none", "zero"])
def test_gradients(keras, tf, unconnected):
    found = []
    for module, start in ((tensorflow(), tensorflow().constant), (tf, tf.constant)):
        a, b = module.Variable([1.0, -2.0]), module.Variable([0.5, 3.0])
        x = start([[1.0, 2.0], [3.0, 4.0]])
        with module.GradientTape(persistent=True) as tape:
            tape.watch(x)
            h = x * a
            y = module.reduce_sum(module.square(h), axis=0)
            z = module.reduce_max(h, axis=1)
        sources = {"x": x, "a": a, "b": [b], "h": h}
        for target in (y, z, [y, z]):
            got = tape.gradient(target, sources, unconnected_gradients=unconnected)
            found.append([got["x"], got["a"], *got["b"], got["h"]])
        found.append([tape.gradient(y, a, output_gradients=start([1.0, 10.0]))])
    half = len(found) // 2
    for ours, theirs in zip(found[:half], found[half:], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)
