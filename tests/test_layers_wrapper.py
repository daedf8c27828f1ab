"""Wrapper: a layer of one's own around another one."""

import numpy as np
import pytest
from helpers import assert_same, random_input

import minigrad as keras
from minigrad.layers import Dense, Wrapper

X, Y = random_input((24, 4), dtype="float32"), random_input((24, 3), 1, "float32")


class Scaled(Wrapper):
    def __init__(self, layer, by=2.0, **kwargs):
        super().__init__(layer, **kwargs)
        self.by = by

    def call(self, inputs):
        return self.layer(inputs) * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def test_the_inner_layer_is_built_trained_and_saved(tmp_path):
    found = []
    for run_eagerly in (False, True):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), Scaled(Dense(3, name="inner"), by=3.0)])
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        found.append([model.fit(X, Y, batch_size=10, epochs=2, verbose=0).history, model.get_weights()])
    assert_same(*found)
    inner = model.layers[0].layer
    np.testing.assert_allclose(model.predict(X, verbose=0), 3 * inner(X).numpy(), 1e-6, 1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Scaled": Scaled})
    assert_same(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.layers[0].by == 3.0 and again.layers[0].layer.name == "inner"


def test_what_is_no_layer_is_refused():
    with pytest.raises(ValueError, match="layer must be a layer"):
        Wrapper("dense")
