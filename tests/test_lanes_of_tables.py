"""Lanes that share the sums of what a batch adds to the rows of a table: see test_lanes.py."""

import numpy as np
import pytest
from test_lanes import PART, RANDOM, big, call, divide, on

import minigrad
from minigrad import kernels as K
from minigrad import launch
from minigrad import layers as L

__all__ = ["on"]  # a fixture


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("m", [8, 16, 40, 100])
@pytest.mark.parametrize("asked", [(), (0,), (1,), (0, 1)])
def test_parts_of_sums_of_rows_own_each_number_once(asked, m, count, on):
    on(count)
    more = [(299, m) if i in asked else (1, 0) for i in range(2)]
    given = [big(20_000, m), RANDOM.integers(-1, 300, (1, 20_000))]
    whole = [np.zeros(shape, "f4") for shape in ((299, m), *more)]
    launch(K.put_add_rows, *given, *whole)
    written = [np.zeros(o.shape, int) for o in whole]
    for part in divide(K.put_add_rows, (*given, *whole), 10 * count * PART)[1]:
        outs = [np.full(o.shape, np.nan, "f4") for o in whole]
        call(K.put_add_rows, [*given, *outs, part[-1]])
        for found, expected, times in zip(outs, whole, written):
            own = ~np.isnan(found)
            np.testing.assert_array_equal(found[own], expected[own])
            times += own
    assert all((times == 1).all() for times in written)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_no_bit_of_a_table_depends_on_the_number_of_threads(optimizer, on):
    x = RANDOM.integers(0, 300, (128, 100))

    def weights(count):
        on(count)
        minigrad.utils.set_random_seed(1)
        model = minigrad.Sequential([L.Embedding(300, 40), L.GlobalAveragePooling1D(), L.Dense(1)])
        model.compile(optimizer, "mse")
        model.fit(x, x.mean(1), epochs=2, batch_size=64, verbose=0)
        (row,) = [i for i, (k, *_) in enumerate(model.train_program.instructions) if k is K.put_add_rows]
        assert len(model.train_program.plan.rows_of[row]) == count
        return model.get_weights()

    alone = weights(1)
    for count in (2, 3):
        for a, b in zip(alone, weights(count), strict=True):
            np.testing.assert_array_equal(a, b)
