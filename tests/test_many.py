"""Many networks at once: what one of them computes depends on its seed only, never on threads, order or neighbours."""

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same, data

import minigrad as keras
from minigrad import Ensemble, config, layers
from minigrad.callbacks import Callback, EarlyStopping
from minigrad.many import own_world, run, workers
from minigrad.parallel import lanes, threads

X, Y = data(90)
QUIET = {"verbose": 0}


class Noise(layers.Layer):
    """Draws from the global stream in each step."""

    def call(self, inputs, training=False):
        return inputs + 0.1 * keras.random.normal(inputs.shape) if training else inputs


def build(units=4, rate=0.01, depth=1):
    """Its initial weights, dropout and noise are drawn from the generator and the stream of all."""
    model = keras.Sequential([keras.Input((5,))])
    for _ in range(depth):
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dropout(0.2))
    model.add(Noise())
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
    return model


GRID = [{"units": units, "depth": depth} for units in (3, 6) for depth in (1, 2)]


def fitted(n_jobs, **options):
    ensemble = Ensemble(build, GRID, seed=5, n_jobs=n_jobs)
    return ensemble.fit(X, Y, **{"batch_size": 16, "epochs": 3, "validation_split": 0.2, **QUIET, **options})


def test_results_depend_on_the_seeds_only():
    one = fitted(1)
    for n_jobs in (2, 3):
        other = fitted(n_jobs)
        for a, b in zip(one.models, other.models, strict=True):
            assert_same(a.get_weights(), b.get_weights())
            assert a.history.history == b.history.history
        assert_same(one.predict(X), other.predict(X))
        assert [*one.results] == [*other.results]
    i = 2
    keras.utils.set_random_seed(one.results["seed"][i])
    keras.utils.clear_session()
    alone = build(**GRID[i])
    history = alone.fit(X, Y, batch_size=16, epochs=3, validation_split=0.2, **QUIET).history
    assert_same(alone.get_weights(), one.models[i].get_weights())
    assert history == one.models[i].history.history
    assert [v.path for v in alone.weights] == [v.path for v in one.models[i].weights]


def test_the_first_seed_comes_from_the_global_generator_and_nothing_else_does():
    def seeds(networks):
        keras.utils.set_random_seed(3)
        ensemble = Ensemble(build, networks, n_jobs=2).fit(X, Y, **QUIET)
        return ensemble.results["seed"], config.generator().random()

    (few, after), (many, also_after) = seeds(2), seeds(4)
    assert many[:2] == few and len(set(many)) == 4 and after == also_after


def test_the_table(capsys):
    pandas = pytest.importorskip("pandas")
    ensemble = fitted(2, verbose=1)
    assert ensemble.results["params"] == GRID and ensemble.results["param_depth"] == [1, 2, 1, 2]
    table = pandas.DataFrame(ensemble.results)
    assert table.columns.tolist() == [
        "params", "param_units", "param_depth", "seed", "epochs", "accuracy", "auc", "loss", "val_accuracy", "val_auc",
        "val_loss", "fit_time", "error",
    ]
    assert table.seed.tolist() == [5, 6, 7, 8] and (table.epochs == 3).all() and table.error.isna().all()
    loss, accuracy, auc = ensemble.models[3].evaluate(X[72:], Y[72:], **QUIET)
    assert table.val_loss[3] == pytest.approx(loss) and table.val_auc[3] == pytest.approx(auc)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("4/4 ━") and "/network - best val_loss: 0." in line


def test_each_network_stops_by_itself():
    stopping = EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    ensemble = fitted(2, epochs=60, callbacks=[stopping])
    assert not hasattr(stopping, "best_epoch") or stopping.best is None  # each had a copy
    for i, model in enumerate(ensemble.models):
        values = model.history.history["val_loss"]
        assert ensemble.results["epochs"][i] == len(values)
        assert ensemble.results["val_loss"][i] == min(values) == pytest.approx(
            model.evaluate(X[72:], Y[72:], **QUIET)[0], rel=1e-5
        )


def test_callbacks_by_number(tmp_path):
    fitted(2, callbacks=lambda i: [keras.callbacks.CSVLogger(tmp_path / f"{i}.csv")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.csv", "1.csv", "2.csv", "3.csv"]


def test_data_is_shared():
    seen = []

    class See(Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model.fitting.source.rows.arrays)

        def __deepcopy__(self, memo):
            return See()

    for x in (X, X.astype("float64")):
        fitted(2, callbacks=[See()])
        Ensemble(build, 3, n_jobs=2).fit(x, Y, callbacks=[See()], **QUIET)
        last = seen[-3:]
        assert all(np.shares_memory(a["x"], last[0]["x"]) and np.shares_memory(a["y"], Y) for a in last)
        assert np.shares_memory(last[0]["x"], X) == (x is X)


def failing(units):
    if units == 2:
        raise KeyError("no such units")
    if units == 3:
        return keras.Sequential([layers.Dense(1)])
    return build(units)


def test_a_failure_is_named_and_the_others_are_kept():
    ensemble = Ensemble(failing, [{"units": units} for units in (1, 2, 3, 4)], seed=0, n_jobs=2)
    with pytest.warns(UserWarning, match=r"2 of 4 networks failed: 1, 2\. Number 1, params {'units': 2}, seed 1:\n(?s:.*)"
                                         r"in failing\n(?s:.*)KeyError: 'no such units'"):
        ensemble.fit(X, Y, epochs=2, **QUIET)
    assert [model is None for model in ensemble.models] == [False, True, True, False]
    assert ensemble.results["error"][1] == "KeyError: 'no such units'"
    assert "must return a compiled model" in ensemble.results["error"][2]
    assert np.isnan(ensemble.results["loss"][1]) and ensemble.results["loss"][3] > 0
    assert ensemble.predict(X).shape == (90, 1)


def test_what_fails_for_all_is_raised():
    with pytest.raises(ValueError, match="expects input of shape"):
        Ensemble(build, 3, n_jobs=2).fit(X[:, :2], Y, **QUIET)
    with pytest.raises(SystemExit):
        run(lambda case: sys.exit("over"), range(3), n_jobs=2, **QUIET)
    with pytest.raises(ValueError, match="no network is trained"):
        Ensemble(build).predict(X)


@pytest.mark.parametrize("make, message", [
    (lambda: Ensemble(3), "build must be a function"),
    (lambda: Ensemble(build, 0), "networks must be a number, or a dict"),
    (lambda: Ensemble(build, [3, 4]), "networks must be a number, or a dict"),
    (lambda: Ensemble(build, n_jobs=0).fit(X, Y), "n_jobs must be"),
    (lambda: Ensemble(build, seed=-1).fit(X, Y), "seed must be"),
    (lambda: Ensemble(build).fit(iter([(X, Y)])), "x must be arrays, which networks can share; got list_iterator"),
    (lambda: Ensemble(build).fit(X, Y, validation_data=iter([(X, Y)])), "validation_data must be arrays"),
])  # fmt: skip
def test_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("rows", [1, 90, 40_000])
def test_predictions_are_averaged(rows):
    ensemble, x = fitted(2), np.resize(X, (rows, 5))
    each = np.stack([model.predict(x, **QUIET) for model in ensemble.models]).astype("float64")
    mean, spread = ensemble.predict(x, return_std=True)
    assert mean.dtype == spread.dtype == np.float32 and mean.shape == (rows, 1)
    np.testing.assert_allclose(mean, each.mean(0), rtol=1e-6)
    np.testing.assert_allclose(spread, each.std(0), rtol=1e-5, atol=1e-7)


def test_several_inputs_and_outputs():
    def two():
        left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
        h = layers.Concatenate()([left, right])
        model = keras.Model([left, right], {"a": layers.Dense(1, name="a")(h), "b": layers.Dense(2, name="b")(h)})
        model.compile("adam", {"a": "mse", "b": "mse"})
        return model

    x, y = [X[:, :2], X[:, 2:].astype("float64")], {"a": Y, "b": X[:, :2]}
    ensemble = Ensemble(two, 3, seed=0, n_jobs=2).fit(x, y, validation_data=(x, y), **QUIET)
    mean, spread = ensemble.predict(x, return_std=True)
    each = [model.predict(x, **QUIET) for model in ensemble.models]
    np.testing.assert_allclose(mean["b"], np.mean([one["b"] for one in each], 0), rtol=1e-5)
    assert spread["a"].shape == (90, 1) and "val_b_loss" in ensemble.results


# ------------------------------------------------------------------------------------------------------------ run


def score(case):
    seed, rows = case
    model = build(units=2 + seed % 3)
    model.fit(X[rows:], Y[rows:], batch_size=30, epochs=2, **QUIET)
    return model.evaluate(X[:rows], Y[:rows], **QUIET)


def test_run_takes_any_function_and_any_iterable():
    scores = run(score, ((i, 20 + i) for i in range(5)), seed=0, n_jobs=2, **QUIET)
    assert scores == run(score, [(i, 20 + i) for i in range(5)], seed=0, n_jobs=1, **QUIET)
    assert len({tuple(one) for one in scores}) == 5
    assert run(score, [], **QUIET) == []


def test_networks_within_a_network_are_trained_by_its_thread():
    def outer(case):
        me = threading.get_ident()
        return run(lambda _: (threading.get_ident() == me, float(config.generator().random())), range(3), **QUIET)

    first, second = run(outer, range(2), seed=1, n_jobs=2, **QUIET)
    assert all(is_mine for is_mine, _ in first + second) and len({draw for _, draw in first + second}) == 6
    assert (first, second) == tuple(run(outer, range(2), seed=1, n_jobs=1, **QUIET))


def test_a_seed_set_by_a_network_is_its_own():
    def drawn(case):
        keras.utils.set_random_seed(case)
        return config.draw_seed()

    before = np.random.get_state()[1].tolist(), config.generator().bit_generator.state
    assert run(drawn, [7, 7, 8], seed=0, n_jobs=2, **QUIET) == [own(drawn, 7), own(drawn, 7), own(drawn, 8)]
    assert before == (np.random.get_state()[1].tolist(), config.generator().bit_generator.state)


def own(function, case):
    with own_world(0):
        return function(case)


def test_each_network_computes_on_one_core(monkeypatch):
    """Large products are divided, but nobody else computes the parts; and BLAS gets its threads back."""
    ran = []
    monkeypatch.setattr(lanes._Crew, "run", lambda *arguments: ran.append(arguments))
    monkeypatch.setattr(lanes.Pace, "plan", lambda self, steps: [(steps, True)])
    x = np.ones((256, 256), "float32")

    def wide(case):
        model = keras.Sequential([keras.Input((256,)), layers.Dense(512), layers.Dense(256)])
        model.compile("sgd", "mse")
        model.fit(x, x, batch_size=256, epochs=3, **QUIET)

    run(wide, range(3), seed=0, n_jobs=2, **QUIET)
    assert not ran and not threads._busy


def test_threads_take_turns_in_python(monkeypatch):
    """The lock is free during a long replay and after the turn; who has waited for long goes on without it."""
    lock, seen = threading.Lock(), []

    def free():
        """Whether another thread gets the lock."""
        got = lock.acquire(timeout=0)
        if got:
            lock.release()
        seen.append(got)

    with threads.in_turn(lock):
        free()
        threads.out_of_turn(free)
        with threads.in_turn(threading.Lock()):  # it is within a turn
            free()
        free()
    free()
    monkeypatch.setattr(threads, "PATIENCE", 0.001)
    with lock, threads.in_turn(lock):
        threads.out_of_turn(free)
    free()
    assert seen == [False, True, False, False, True, False, True]


def test_networks_that_wait_for_each_other_do_not_stand_still():
    barrier = threading.Barrier(2, timeout=60)
    assert run(lambda case: barrier.wait() < 2, range(4), seed=0, n_jobs=2, **QUIET) == [True] * 4


def test_workers():
    cores = workers(-1)
    assert cores >= 1 and workers(None) == cores and workers(3) == 3 and workers(-1000) == 1
    assert workers(-2) == max(1, cores - 1)


# -------------------------------------------------------------------------------------------- memory and Ctrl-C


def memory():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell")
def test_memory_does_not_grow_with_the_number_of_networks():
    cases = [(i, 20) for i in range(60)]
    run(score, cases, seed=0, n_jobs=2, **QUIET)
    before = memory()
    run(score, cases, seed=0, n_jobs=2, **QUIET)
    assert memory() - before < 60 * 8_000  # a network's objects and arrays alone take more


INTERRUPTED = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = {path!r}
from helpers import data, network
from minigrad import Ensemble
from minigrad.callbacks import LambdaCallback
x, y = data(2000)
before = threading.enumerate()
ready = lambda epoch, logs: os.write(1, b"ready\\n") if epoch == 1 else None
try:
    Ensemble(network, 10, n_jobs=2).fit(x, y, epochs=10**6, callbacks=lambda i: [LambdaCallback(on_epoch_end=ready)])
except KeyboardInterrupt:
    assert threading.enumerate() == before
    Ensemble(network, 2, n_jobs=2).fit(x, y, verbose=0)
    print("usable")
"""


def test_ctrl_c_ends_all_networks():
    here = Path(__file__).parent
    code = INTERRUPTED.format(path=[str(here), str(here.parent)])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        try:
            assert it.stdout.readline() == "ready\n" == it.stdout.readline()
            it.send_signal(signal.SIGINT)
            assert it.communicate(timeout=60)[0].endswith("usable\n")
        finally:
            it.kill()
