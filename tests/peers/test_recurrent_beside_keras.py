"""Random recurrent networks, each trained by the real Keras on TensorFlow and by minigrad; files go both ways.

A network is a text that makes `model` out of `keras`. Keras takes its steps eagerly: making its graphs takes longer.
"""

import functools

import numpy as np
import pytest

import minigrad

pytestmark = pytest.mark.peers

ROWS, BATCH = 24, 8
KINDS = "SimpleRNN", "LSTM", "GRU"


@functools.cache
def own_cell(keras):
    """A cell as users write them, with two states of different sizes."""

    @keras.saving.register_keras_serializable("recurrent")
    class Twofold(keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.output_size = units
            self.state_size = [units, 1]

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")
            self.built = True

        def call(self, inputs, states, training=False):
            h, c = states
            c = c + keras.ops.mean(inputs, axis=-1, keepdims=True)
            h = keras.ops.tanh(keras.ops.matmul(inputs, self.w) + h * c)
            return h, [h, c]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Twofold


class Author:
    """Writes random recurrent networks as text."""

    def __init__(self, seed):
        self.random, self.lines = np.random.default_rng(seed), []
        self.stateful = self.pick(*[False] * 5, True)

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def units(self):
        return int(self.random.integers(1, 10))

    def write(self, text, more=""):
        """Give what `text` computes a name, and with `more` "*" the rest of it, too. Returns the names."""
        k = len(self.lines)
        self.lines.append(f"y{k}{', *s' + str(k) if more else ''} = {text}")
        return (f"y{k}", f"s{k}") if more else f"y{k}"

    def layer(self, kind, sequences, units=None, state=False, may_turn=True):
        """A SimpleRNN, LSTM or GRU with random options. (Keras' SimpleRNN forgets its activity_regularizer.)"""
        found = [f"{units or self.units()}, return_sequences={sequences}", f"use_bias={self.pick(True, True, False)}"]
        activation, gate = self.pick(*[("tanh", "sigmoid")] * 4, ("relu", "sigmoid"), ("sigmoid", "sigmoid"), (None, "hard_sigmoid"))
        found.append(f"activation={activation!r}")
        if kind != "SimpleRNN":
            found.append(f"recurrent_activation={gate!r}")
        found += {"LSTM": [f"unit_forget_bias={self.pick(True, False)}"], "SimpleRNN": [],
                  "GRU": [f"reset_after={self.pick(True, True, False)}"]}[kind]  # fmt: skip
        found += self.pick(*[[]] * 4, ["kernel_regularizer='l2'"], ["recurrent_regularizer='l1'"], ["bias_initializer='ones'"],
                           ["recurrent_constraint='unit_norm'"], [f"activity_regularizer={None if kind == 'SimpleRNN' else 'l2'!r}"])  # fmt: skip
        found += ["stateful=True"] if self.stateful else []
        found += ["return_state=True"] if state else []
        if may_turn:  # Keras' unrolled loops leave `zero_output_for_mask` out, which Bidirectional sets
            more = self.pick("unroll=True", "", "zero_output_for_mask=True")
            found.append(f"go_backwards={self.pick(False, False, True)}, {more}")
        return f"keras.layers.{kind}({', '.join(found)})"

    # ---- recurrent parts: y is the name of a sequence; each returns the name of a result

    def plain(self, y, sequences):
        return self.write(f"{self.layer(self.pick(*KINDS), sequences)}({y})")

    def cells(self, y, sequences):
        """One cell or several, of Keras or of one's own. (Keras cannot reset the states of several.)"""
        count = 1 if self.stateful else self.pick(1, 1, 2)
        cells = [self.pick("Twofold", *(f"keras.layers.{k}Cell" for k in KINDS)) for _ in range(count)]
        cells = [f"{cell}({self.units()})" for cell in cells]
        options = f"return_sequences={sequences}, go_backwards={self.pick(False, True)}, stateful={self.stateful}"
        options += self.pick("", ", zero_output_for_mask=True")
        cells = cells[0] if len(cells) == 1 else self.pick("[{}]", "keras.layers.StackedRNNCells([{}])").format(", ".join(cells))
        return self.write(f"keras.layers.RNN({cells}, {options})({y})")

    def both(self, y, sequences):
        """Both directions; their states go on to the next two, or to the output."""
        kind, merge, units = self.pick(*KINDS), self.pick("concat", "concat", "sum", "mul", "ave", None), self.units()
        state = not self.stateful and self.pick(False, False, True)  # Keras fails where both are wanted
        options = f"{self.layer(kind, sequences, units, state, may_turn=False)}, merge_mode={merge!r}"
        if self.pick(False, False, True):
            other = kind if state else self.pick(*KINDS)
            back = self.layer(other, sequences, units, state, may_turn=False)
            options += f", backward_layer={back[:-1]}, go_backwards=True)"
        text = f"keras.layers.Bidirectional({options})({y})"
        if merge is not None and not state:
            return self.write(text)
        y, more = self.write(text, "*")
        if merge is None:
            y, more = self.write(f"keras.layers.Concatenate()([{y}, {more}[0]])"), f"{more}[1:]"
        if state and sequences:
            layer = self.layer(kind, True, units, may_turn=False)
            return self.write(f"keras.layers.Bidirectional({layer})({y}, initial_state={more})")
        return self.write(f"keras.layers.Concatenate()([{y}, *{more}])") if state else y

    def handed(self, y, sequences):
        """The last states of one layer are the first ones of the next."""
        kind, units = self.pick(*KINDS), self.units()
        _, states = self.write(f"{self.layer(kind, self.pick(True, False), units, True)}({y})", "*")
        return self.write(f"{self.layer(kind, sequences, units)}({y}, initial_state={states})")

    def recurrent(self, y, sequences):
        return self.pick(self.plain, self.plain, self.both, self.both, self.cells, self.handed)(y, sequences)

    # ---- the whole

    def between(self, y):
        """A layer that takes and returns sequences."""
        layer = self.pick(
            f"TimeDistributed(keras.layers.Dense({self.units()}, 'tanh'))", "TimeDistributed(keras.layers.LayerNormalization())",
            "TimeDistributed(keras.layers.BatchNormalization(momentum=0.5))", "Dropout(0)", "LayerNormalization()",
            "MultiHeadAttention(2, 3)", "Attention()", f"Dense({self.units()})",
        )  # fmt: skip
        inputs = {"M": f"{y}, {y}", "A": f"[{y}, {y}]"}.get(layer[0], y)
        return self.write(f"keras.layers.{layer}({inputs})")

    def network(self):
        """(text, x, shape of y)."""
        steps, features = int(self.random.integers(1, 7)), self.units()
        lengths, steps_of = self.random.integers(0, steps + 1, ROWS), np.arange(steps)
        kept = self.pick(steps_of < lengths[:, None], steps_of >= lengths[:, None], self.random.random((ROWS, steps)) < 0.7)
        front = self.pick("numbers", "masked", "masked", "words")
        shape = (steps,) if front == "words" else (steps, features)
        rows = f"batch_shape={(BATCH, *shape)}" if self.stateful else f"{shape}"
        y = x = self.write(f"keras.Input({rows}, dtype='{'int32' if front == 'words' else 'float32'}')")
        if front == "words":
            data = np.where(kept, self.random.integers(1, 9, (ROWS, steps)), 0).astype("int32")
            y = self.write(f"keras.layers.Embedding(9, {features}, mask_zero={self.pick(True, True, False)})({y})")
        else:
            data = self.random.standard_normal((ROWS, *shape)).astype("float32")
        if front == "masked":
            value = self.pick(0.0, -1.0)
            data = np.where(kept[..., None], data, value).astype("float32")
            y = self.write(f"keras.layers.Masking({value})({y})")
        for _ in range(self.pick(0, 1, 1)):
            y = self.recurrent(y, True)
            y = self.between(y) if self.pick(True, False) else y
        sequences = self.pick(True, False, False)
        pooled = not sequences and self.pick(*[False] * 5, True)
        y = self.recurrent(y, sequences or pooled)
        if pooled:
            y = self.write(f"keras.layers.Global{self.pick('Average', 'Max')}Pooling1D()({y})")
        self.lines.append(f"model = keras.Model({x}, keras.layers.Dense(2)({y}))")
        return "\n".join(self.lines), data, (ROWS, steps, 2) if sequences else (ROWS, 2)


def made(keras, text):
    scope = {"keras": keras, "Twofold": own_cell(keras)}
    exec(text, scope)
    return scope["model"]


def reset(model):
    """Forget the states of stateful layers."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states() if hasattr(layer, "reset_states") else layer.reset_state()


def outputs(model, x):
    """The outputs of all batches, from fresh states on."""
    reset(model)
    found = np.concatenate([np.asarray(model(x[k : k + BATCH])) for k in range(0, len(x), BATCH)])
    reset(model)
    return found


@pytest.mark.parametrize("seed", range(100))
def test_trained_alike(seed, keras, tmp_path):
    author = Author(seed)
    text, x, shape = author.network()
    y = author.random.standard_normal(shape).astype("float32")
    theirs, ours = (made(library, text) for library in (keras, minigrad))
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()], text
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(outputs(ours, x), outputs(theirs, x), 1e-5, 1e-5, err_msg=text)
    clip = {} if "Embedding" in text else {"clipvalue": 0.1}  # TensorFlow clips the gradient of each use of a row alone
    optimizer, loss = author.pick({}, {"momentum": 0.9}, clip), author.pick("mse", "mae")
    theirs.compile(keras.optimizers.SGD(0.1, **optimizer), loss, run_eagerly=True)
    ours.compile(minigrad.optimizers.SGD(0.1, **optimizer), loss)
    expected = np.mean([theirs.train_on_batch(x[k : k + BATCH], y[k : k + BATCH]) for k in range(0, ROWS, BATCH)])
    found = ours.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][-1]
    np.testing.assert_allclose(found, expected, 1e-4, err_msg=text)
    for ours_, theirs_ in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(ours_, theirs_, 1e-4, 1e-5, err_msg=text)
    expected = outputs(theirs, x)
    np.testing.assert_allclose(outputs(ours, x), expected, 1e-4, 1e-4, err_msg=text)
    if seed % 4 == 0:
        path = tmp_path / f"model.{author.pick('keras', 'h5')}"
        for library, model, other in ((keras, theirs, minigrad), (minigrad, ours, keras)):
            model.save(path)
            again = other.saving.load_model(path)
            np.testing.assert_allclose(outputs(again, x), expected, 1e-4, 1e-4, err_msg=f"from {library}\n{text}")


@pytest.mark.parametrize("kind, options", [
    ("SimpleRNN", {}), ("LSTM", {}), ("LSTM", {"activation": "relu", "go_backwards": True}), ("GRU", {}), ("GRU", {"reset_after": False}),
])  # fmt: skip
def test_dropped_inputs_and_states(kind, options, keras):
    """Both libraries keep the masks of a sequence in the cell: here the same ones are put there."""
    import tensorflow as tf

    rng, rates = np.random.default_rng(5), {"dropout": 0.3, "recurrent_dropout": 0.4}
    x, g = (rng.standard_normal((4, 5, n)).astype("float32") for n in (3, 6))
    mask = rng.random((4, 5)) < 0.8
    theirs, ours = (getattr(library.layers, kind)(6, return_sequences=True, **rates, **options) for library in (keras, minigrad))
    theirs.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    gates = ours.cell.gates
    masks = {name: rng.integers(0, 2, (gates, 4, n)).astype("float32") / (1 - rate) for (name, rate), n in zip(rates.items(), (3, 6))}
    kept = [tf.constant(m[0]) if gates == 1 else [tf.constant(one) for one in m] for m in masks.values()]
    theirs.cell._dropout_mask, theirs.cell._recurrent_dropout_mask = kept
    ours.cell._masks.update({name: minigrad.Tensor(m) for name, m in masks.items()})
    with tf.GradientTape() as tape:
        expected = theirs(x, mask=mask, training=True)
        loss = tf.reduce_sum(expected * g)
    gradients = tape.gradient(loss, [v.value for v in theirs.trainable_weights])
    y = ours(x, mask=mask, training=True)
    minigrad.ops.sum(y * g).backward()
    np.testing.assert_allclose(y.numpy(), expected, 1e-5, 1e-5)
    for variable, gradient in zip(ours.trainable_weights, gradients, strict=True):
        np.testing.assert_allclose(np.asarray(variable.grad), gradient, 1e-4, 1e-5)
