"""Random convolutional networks, each trained by the real Keras on TensorFlow and by minigrad; files go both ways."""

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]


class Author:
    """Writes random layers as text, and keeps the images large enough for the next window."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.rank = int(self.random.integers(1, 3))

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def window(self):
        sizes = [int(n) for n in self.random.integers(1, 4, self.rank)]
        return sizes[0] if self.rank == 1 else self.pick(sizes[0], tuple(sizes))

    def layer(self):
        kind, padding = f"{self.rank}D", self.pick("valid", "same")
        filters, size, strides = int(self.random.integers(1, 20)), self.window(), int(self.pick(1, 1, 2))
        dilation = 1 if strides > 1 else int(self.pick(1, 1, 2))
        bias, activation = self.pick(True, False), self.pick("None", "'tanh'", "'sigmoid'")
        usual = f"strides={strides}, padding='{padding}', use_bias={bias}, activation={activation}"
        return self.pick(
            f"Conv{kind}({filters}, {size}, dilation_rate={dilation}, {usual})",
            f"Conv{kind}({filters}, {size}, dilation_rate={dilation}, {usual})",
            f"SeparableConv{kind}({filters}, {size}, depth_multiplier={self.pick(1, 2)}, {usual})",
            f"DepthwiseConv{kind}({size}, depth_multiplier={self.pick(1, 2)}, {usual})",
            f"Conv{kind}Transpose({filters}, {size}, {usual})",
            f"MaxPooling{kind}({size}, padding='{padding}')",
            f"AveragePooling{kind}({size}, strides={strides}, padding='{padding}')",
            f"ZeroPadding{kind}({self.pick(1, 2)})",
            f"UpSampling{kind}(2)",
            f"BatchNormalization(momentum={self.pick(0.5, 0.9)})",
        )

    def layers(self):
        shape = (*(int(n) for n in self.random.integers(9, 14, self.rank)), int(self.pick(1, 2, 3)))
        found = [f"Input({shape})"]
        for _ in range(int(self.random.integers(2, 6))):
            found.append(self.layer())
        found.append(f"Global{self.pick('Max', 'Average')}Pooling{self.rank}D()")
        return shape, [*found, "Dense(3, activation='softmax')"]


    def graph(self, keras):
        """Rows (text of a layer, numbers of the tensors it is called on); the same number twice if it is shared."""
        shape, tensors = (*(int(n) for n in self.random.integers(8, 12, self.rank)), 2), []
        tensors.append(keras.Input(shape))
        rows = [(f"Input({shape})", ())]
        while len(rows) < 7:
            alike = [
                (a, b)
                for b in range(1, len(tensors))
                for a in range(b)
                if tensors[a].shape[:-1] == tensors[b].shape[:-1]
            ]
            if alike and self.random.random() < 0.4:
                a, b = alike[self.random.integers(len(alike))]
                same = tensors[a].shape == tensors[b].shape
                text, on = (self.pick("Add()", "Average()", "Multiply()", "Concatenate()") if same else "Concatenate()"), (a, b)
            else:
                text, on = self.layer(), (int(self.random.integers(max(0, len(tensors) - 2), len(tensors))),)
            try:
                layer = eval(f"keras.layers.{text}", {"keras": keras})
                tensors.append(layer([tensors[i] for i in on] if len(on) > 1 else tensors[on[0]]))
            except ValueError:  # a window that is larger than what is left of the image
                continue
            rows.append((text, on))
        return shape, rows, f"Global{self.pick('Max', 'Average')}Pooling{self.rank}D()"


def built_graph(keras, rows, pooling):
    """A network of all tensors that nothing else uses."""
    tensors = [keras.Input(eval(rows[0][0][5:]))]
    for text, on in rows[1:]:
        layer = eval(f"keras.layers.{text}", {"keras": keras})
        tensors.append(layer([tensors[i] for i in on] if len(on) > 1 else tensors[on[0]]))
    used = {i for _, on in rows for i in on}
    pooled = [
        eval(f"keras.layers.{pooling}", {"keras": keras})(t) for i, t in enumerate(tensors) if i not in used
    ]
    h = keras.layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
    return keras.Model(tensors[0], keras.layers.Dense(3, activation="softmax")(h))


def built(keras, lines):
    made = [keras.Input(eval(lines[0][5:]))]
    return keras.Sequential([*made, *(eval(f"keras.layers.{line}", {"keras": keras}) for line in lines[1:])])


@pytest.mark.parametrize("seed", range(50))
def test_chains_are_trained_alike(seed, keras, tmp_path):
    author = Author(seed)
    while True:
        shape, lines = author.layers()
        try:
            theirs = built(keras, lines)
            break
        except ValueError:  # a window that is larger than what is left of the image
            with pytest.raises(ValueError):
                built(minigrad, lines)
    ours = built(minigrad, lines)
    assert [tuple(layer.output.shape) for layer in ours.layers] == [tuple(layer.output.shape) for layer in theirs.layers]
    compare(keras, theirs, ours, shape, author, lines, tmp_path)


@pytest.mark.parametrize("seed", range(100, 150))
def test_graphs_are_trained_alike(seed, keras, tmp_path):
    author = Author(seed)
    shape, *plan = author.graph(keras)
    compare(keras, built_graph(keras, *plan), built_graph(minigrad, *plan), shape, author, plan, tmp_path)


def compare(keras, theirs, ours, shape, author, said, folder):
    """Train both from the same weights, and let each library read what the other has written."""
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()], said
    ours.set_weights(theirs.get_weights())
    x = author.random.standard_normal((40, *shape)).astype("f4")
    y = author.random.integers(0, 3, 40)
    histories = []
    for library, model in ((keras, theirs), (minigrad, ours)):
        model.compile(library.optimizers.SGD(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
        histories.append(model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-3, err_msg=str(said))
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=3e-4, err_msg=str(said))
    theirs.save(folder / "theirs.keras")
    ours.save(folder / "ours.keras")
    again = minigrad.models.load_model(folder / "theirs.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, atol=1e-5)
    there = keras.models.load_model(folder / "ours.keras")
    np.testing.assert_allclose(there.predict(x, verbose=0), expected, atol=4e-4)
