"""Memory of a Program: temporaries share it, no result shows it, and what others hold stays where it is."""

import numpy as np
import pytest

import minigrad
from minigrad import Program, Tensor, ops
from minigrad import layers as L
from minigrad.parallel import packing
from minigrad.program import address, memory_of

NETWORKS = {
    "dense": (lambda: [L.Dense(256, "tanh"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(128, "gelu")], (90,)),
    "images": (
        lambda: [
            L.Conv2D(16, 3, padding="same"), L.BatchNormalization(), L.ReLU(), L.Conv2D(16, 3, strides=2),
            L.Activation("tanh"), L.MaxPooling2D(), L.Conv2D(24, 3, padding="same", activation="relu"), L.Flatten(),
        ],
        (24, 24, 3),
    ),
    "series": (lambda: [L.LSTM(24, return_sequences=True), L.LayerNormalization(), L.GRU(16)], (30, 7)),
}  # fmt: skip


def trained(kind):
    layers, shape = NETWORKS[kind]
    minigrad.utils.set_random_seed(1)
    model = minigrad.Sequential([*layers(), L.Dense(1)])
    x = np.random.default_rng(0).standard_normal((128, *shape)).astype("float32")
    model.compile("adam", "mse", metrics=["mae"])
    return model, x, x.reshape(128, -1)[:, :1]


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(packing, "LEAST", 0)


@pytest.mark.parametrize("kind", NETWORKS)
def test_no_result_shows_it(kind, monkeypatch):
    found = []
    for least in (0, 2**60):
        monkeypatch.setattr(packing, "LEAST", least)
        model, x, y = trained(kind)
        model.fit(x, y, batch_size=32, verbose=0)
        arenas = {id(m): m for _, operands, _ in model.train_program.instructions for m in map(memory_of, operands)}
        for arena in filter(lambda m: m is not None and least == 0, arenas.values()):
            arena[...] = 255  # NaN in every float
        model.fit(x, y, batch_size=32, verbose=0)
        found.append((model.train_program.nbytes, model.get_weights(), model.predict(x, verbose=0)))
    (packed, weights, outputs), (loose, expected, like) = found
    assert packed < 0.8 * loose
    np.testing.assert_array_equal(outputs, like)
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_with_images_takes_little_more_than_its_activations_and_their_gradients():
    model, x, y = trained("images")
    model.fit(x, y, batch_size=64, verbose=0)
    outputs = sum(64 * int(np.prod(layer.output.shape[1:])) for layer in model.layers)
    assert model.train_program.nbytes < 1.3 * 2 * 4 * outputs


def test_what_others_hold_stays(always):
    x, held = np.ones((50, 20), "float32"), []

    def step():
        first = ops.exp(Tensor(x))
        held[:] = [ops.tanh(first)]  # its own operand may go
        ops.square(ops.sqrt(held[0]))

    program = Program(step)
    kept = address(held[0].numpy())
    program.replay()
    np.testing.assert_allclose(held[0].numpy(), np.tanh(np.exp(x)), rtol=1e-6)
    *_, (_, (root, square), _) = program.instructions
    assert kept not in (address(root), address(square))
    assert address(root) == address(program.instructions[0][1][1])  # where exp(x) was: nobody needs it any more


def test_a_listing_calls_each_temporary_by_a_name_of_its_own(always):
    x = np.ones((50, 20), "float32")

    def step():
        y = Tensor(x)
        for _ in range(4):
            y = ops.exp(y)

    names = [line.split(" -> ")[1].split()[0] for line in str(Program(step)).splitlines()[1:]]
    assert len(set(names)) == 4
