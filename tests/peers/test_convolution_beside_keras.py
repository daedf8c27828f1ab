"""Random convolutional networks, each trained by the real Keras on TensorFlow and by minigrad; files go both ways."""

import numpy as np
import pytest

import minigrad

pytestmark = pytest.mark.peers


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
        )

    def layers(self):
        shape = (*(int(n) for n in self.random.integers(9, 14, self.rank)), int(self.pick(1, 2, 3)))
        found = [f"Input({shape})"]
        for _ in range(int(self.random.integers(2, 6))):
            found.append(self.layer())
        found.append(f"Global{self.pick('Max', 'Average')}Pooling{self.rank}D()")
        return shape, [*found, "Dense(3, activation='softmax')"]


def built(keras, lines):
    made = [keras.Input(eval(lines[0][5:]))]
    return keras.Sequential([*made, *(eval(f"keras.layers.{line}", {"keras": keras}) for line in lines[1:])])


@pytest.mark.parametrize("seed", range(40))
def test_trained_alike(seed, keras, tmp_path):
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
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()], lines
    assert [tuple(layer.output.shape) for layer in ours.layers] == [tuple(layer.output.shape) for layer in theirs.layers]
    ours.set_weights(theirs.get_weights())
    x = author.random.standard_normal((40, *shape)).astype("f4")
    y = author.random.integers(0, 3, 40)
    histories = []
    for library, model in ((keras, theirs), (minigrad, ours)):
        model.compile(library.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
        histories.append(model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=2e-4, err_msg=str(lines))
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-4, err_msg=str(lines))
    if seed < 10:
        theirs.save(tmp_path / "theirs.keras")
        ours.save(tmp_path / "ours.keras")
        again = minigrad.models.load_model(tmp_path / "theirs.keras")
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, atol=1e-5)
        there = keras.models.load_model(tmp_path / "ours.keras")
        np.testing.assert_allclose(there.predict(x, verbose=0), expected, atol=1e-4)
