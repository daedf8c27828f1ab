"""Makes recurrent.npz: outputs and gradients of recurrent layers, computed by the real Keras on TensorFlow.

    KERAS_BACKEND=tensorflow python tests/golden/make_recurrent.py

test_recurrent.py computes the same with minigrad.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("recurrent.npz")
N, STEPS, FEATURES = 3, 4, 2
MASK = np.array([[1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
ALL = {"return_sequences": True, "return_state": True}
CASES = {  # name -> (layer, arguments, whether some steps are masked)
    "SimpleRNN": ("SimpleRNN", {}, False),
    "SimpleRNN masked": ("SimpleRNN", {**ALL, "activation": "relu"}, True),
    "LSTM": ("LSTM", {}, False),
    "LSTM masked": ("LSTM", {**ALL}, True),
    "LSTM zeros, backwards": ("LSTM", {**ALL, "zero_output_for_mask": True, "go_backwards": True}, True),
    "LSTM hard": ("LSTM", {"recurrent_activation": "hard_sigmoid", "use_bias": False, **ALL}, True),
    "GRU": ("GRU", {}, False),
    "GRU masked": ("GRU", {**ALL, "go_backwards": True}, True),
    "GRU before": ("GRU", {**ALL, "reset_after": False}, True),
}


def numbers(shape, seed):
    """Numbers that any library makes alike."""
    return np.sin(np.arange(1, 1 + np.prod(shape)) * (1.7 + seed)).reshape(shape)


def inputs(layer):
    """The input and the first states."""
    states = 2 if layer == "LSTM" else 1
    return [numbers((N, STEPS, FEATURES), 0), *(numbers((N, 5), 1 + k) for k in range(states))]


def made(keras, name):
    """The layer, its weights no zeros."""
    kind, options, _ = CASES[name]
    layer = getattr(keras.layers, kind)(5, dtype="float64", **options)
    layer.build((N, STEPS, FEATURES))
    layer.set_weights([numbers(w.shape, i) for i, w in enumerate(layer.get_weights())])
    return layer


def main():
    import keras
    import tensorflow as tf

    found = {}
    for name, (kind, _, masked) in CASES.items():
        layer = made(keras, name)
        variables = [tf.Variable(x) for x in inputs(kind)]
        with tf.GradientTape() as tape:
            x, *states = map(tf.convert_to_tensor, variables)
            ys = layer(x, initial_state=states, mask=MASK if masked else None)
            ys = list(ys) if isinstance(ys, (list, tuple)) else [ys]
            loss = sum(tf.reduce_sum(y * numbers(y.shape, k)) for k, y in enumerate(ys))
        weights = [v.value for v in layer.trainable_weights]
        gradients = tape.gradient(loss, [*variables, *weights])
        for k, value in enumerate([*ys, *gradients]):
            found[f"{name}|{k}"] = np.asarray(value)
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
