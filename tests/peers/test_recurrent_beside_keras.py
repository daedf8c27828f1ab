"""Random recurrent networks, each trained by the real Keras on TensorFlow and by minigrad; files go both ways."""

import numpy as np
import pytest

import minigrad

pytestmark = pytest.mark.peers


class Author:
    """Writes random recurrent networks as text."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def units(self):
        return int(self.random.integers(1, 12))

    def options(self, kind, sequences, may_go_back=True):
        found = [f"return_sequences={sequences}", f"use_bias={self.pick(True, True, False)}"]
        found.append(f"activation='{self.pick('tanh', 'tanh', 'relu', 'sigmoid')}'")
        if kind != "SimpleRNN":
            found.append(f"recurrent_activation='{self.pick('sigmoid', 'sigmoid', 'sigmoid', 'hard_sigmoid')}'")
        if kind == "LSTM":
            found.append(f"unit_forget_bias={self.pick(True, False)}")
        if kind == "GRU":
            found.append(f"reset_after={self.pick(True, True, False)}")
        if may_go_back:
            found.append(f"go_backwards={self.pick(False, False, True)}")
            found.append(f"zero_output_for_mask={self.pick(False, False, True)}")
        return ", ".join(found)

    def cell(self):
        kind = self.pick("SimpleRNN", "LSTM", "GRU")
        return f"keras.layers.{kind}Cell({self.units()})"

    def recurrent(self, sequences):
        kind = self.pick("SimpleRNN", "LSTM", "GRU")
        plain = f"keras.layers.{kind}({self.units()}, {self.options(kind, sequences)})"
        forth = f"keras.layers.{kind}({self.units()}, {self.options(kind, sequences, False)})"
        merge = self.pick("'concat'", "'concat'", "'sum'", "'mul'", "'ave'")
        both = f"keras.layers.Bidirectional({forth}, merge_mode={merge})"
        cells = f"{self.cell()}, {self.cell()}"
        stacked = f"keras.layers.RNN([{cells}], return_sequences={sequences})"
        return self.pick(plain, plain, both, both, stacked)

    def network(self):
        """(x, lines of the network, whether the output has all steps)."""
        steps, features, rows = int(self.random.integers(1, 8)), self.units(), 24
        lengths = self.random.integers(0, steps + 1, rows)
        at_the_end, steps_of = self.pick(True, False), np.arange(steps)
        kept = steps_of < lengths[:, None] if at_the_end else self.random.random((rows, steps)) < 0.7
        front = self.pick("numbers", "masked", "masked", "words")
        if front == "words":
            x = np.where(kept, self.random.integers(1, 9, (rows, steps)), 0)
            masks = self.pick(True, True, False)
            lines = [f"keras.Input(({steps},), dtype='int32')", f"keras.layers.Embedding(9, {features}, mask_zero={masks})"]
        else:
            x = self.random.standard_normal((rows, steps, features)).astype("f4")
            lines = [f"keras.Input(({steps}, {features}))"]
            if front == "masked":
                x, lines = x * kept[..., None].astype("f4"), [*lines, "keras.layers.Masking()"]
        for _ in range(int(self.random.integers(0, 3))):
            lines.append(self.recurrent(True))
            lines += self.pick([], [], [f"keras.layers.TimeDistributed(keras.layers.Dense({self.units()}))"], ["keras.layers.Dropout(0)"])
        is_sequence = self.pick(True, False, False)
        return x, [*lines, self.recurrent(is_sequence), "keras.layers.Dense(2)"], is_sequence


def built(keras, lines):
    return keras.Sequential([eval(line, {"keras": keras}) for line in lines])


@pytest.mark.parametrize("seed", range(36))
def test_trained_alike(seed, keras, tmp_path):
    author = Author(seed)
    x, lines, is_sequence = author.network()
    theirs, ours = built(keras, lines), built(minigrad, lines)
    said = "\n".join(lines)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()], said
    assert [tuple(layer.output.shape) for layer in ours.layers] == [tuple(layer.output.shape) for layer in theirs.layers]
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs(x), atol=1e-5, err_msg=said)
    y = author.random.standard_normal((*x.shape[:2], 2) if is_sequence else (len(x), 2)).astype("f4")
    histories = []
    for library, model in ((keras, theirs), (minigrad, ours)):
        model.compile(library.optimizers.SGD(0.05), "mse", run_eagerly=library is keras)  # its graphs take long to make
        histories.append(model.fit(x, y, batch_size=14, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-4, err_msg=said)
    expected = np.asarray(theirs(x))
    np.testing.assert_allclose(ours(x), expected, atol=1e-4, err_msg=said)
    if seed < 8:
        for name in ("model.keras", "model.h5"):
            theirs.save(tmp_path / f"theirs_{name}")
            ours.save(tmp_path / f"ours_{name}")
            again = minigrad.models.load_model(tmp_path / f"theirs_{name}")
            np.testing.assert_allclose(again(x), expected, atol=1e-5, err_msg=said)
            there = keras.models.load_model(tmp_path / f"ours_{name}")
            np.testing.assert_allclose(there(x), expected, atol=1e-4, err_msg=said)
