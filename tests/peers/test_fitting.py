"""The real Keras on TensorFlow and minigrad, side by side: which hooks are called, in which order, with what; what
EarlyStopping, ReduceLROnPlateau, CSVLogger and TensorBoard make of it; what both take as data."""
import functools
import warnings

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]
HOOKS = [f"on_{kind}_{rest}" for kind in ("train", "test", "predict")
         for rest in ("begin", "end", "batch_begin", "batch_end")] + ["on_epoch_begin", "on_epoch_end"]


def rows(n=20, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype("float32")
    return x, (x.sum(1, keepdims=True) > 0).astype("float32")


def model_of(library, rate=0.1, **settings):
    """The same weights in both libraries."""
    model = library.Sequential([library.Input((4,)), library.layers.Dense(3, activation="tanh"),
                                library.layers.Dense(1, activation="sigmoid")])
    rng = np.random.default_rng(5)
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    model.compile(library.optimizers.SGD(rate), "binary_crossentropy", metrics=["accuracy", "mae"], **settings)
    return model


def recorder(library, calls):
    """A callback of that library which writes down every call it gets."""
    def writer(hook):
        def write(self, *args, **kwargs):
            *index, logs = *args, *kwargs.values()
            if hook == "on_predict_batch_end":
                logs = {"outputs": np.asarray(logs["outputs"]).ravel()}
            calls.append((hook, index, dict(logs or {})))
        return write

    kind = type("Recorder", (library.callbacks.Callback,), {hook: writer(hook) for hook in HOOKS})
    return kind()


def same_calls(ours, theirs):
    assert [call[:2] for call in ours] == [call[:2] for call in theirs]
    for (hook, _, our_logs), (_, _, their_logs) in zip(ours, theirs, strict=True):
        assert list(our_logs) == list(their_logs), hook
        for key, value in our_logs.items():
            np.testing.assert_allclose(value, their_logs[key], rtol=2e-5, atol=1e-6, err_msg=f"{hook} {key}")


FITS = {
    "plain": {"epochs": 2, "batch_size": 8},
    "validated": {"epochs": 3, "batch_size": 8, "validation_split": 0.25, "validation_freq": 2},
    "batches of their own": {"epochs": 1, "batch_size": 8, "validation_split": 0.4, "validation_batch_size": 3},
    "initial_epoch": {"epochs": 4, "initial_epoch": 2, "batch_size": 10},
    "steps": {"epochs": 3, "batch_size": 5, "steps_per_epoch": 2},
    "class_weight": {"epochs": 2, "class_weight": {0: 3.0}},
    "nothing": {"epochs": 0},
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_hooks(fit, keras):
    seen = []
    for library in (minigrad, keras):
        calls = []
        model = model_of(library)
        spy = recorder(library, calls)
        history = model.fit(*rows(), shuffle=False, verbose=0, callbacks=[spy], **fit)
        model.evaluate(*rows(), batch_size=8, verbose=0, callbacks=[spy])
        model.predict(rows()[0], batch_size=8, verbose=0, callbacks=[spy])
        seen.append((calls, list(history.history), history.epoch, history.params))
    same_calls(seen[0][0], seen[1][0])
    assert seen[0][1:] == seen[1][1:]


def test_hooks_of_grouped_steps(keras):
    seen = []
    for library in (minigrad, keras):
        calls = []
        model = model_of(library, steps_per_execution=2)
        model.fit(*rows(24), batch_size=6, shuffle=False, verbose=0, callbacks=[recorder(library, calls)])
        seen.append([call for call in calls if "train_batch" in call[0]])
    same_calls(*seen)


def test_hooks_when_a_batch_hook_stops_the_training(keras):
    seen = []
    for library in (minigrad, keras):
        calls = []
        model = model_of(library)

        class Stop(library.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                self.model.stop_training = batch == 1

        history = model.fit(*rows(), batch_size=4, epochs=3, shuffle=False, verbose=0, validation_data=rows(8),
                            callbacks=[Stop(), recorder(library, calls)])
        seen.append((calls, history.epoch))
    same_calls(seen[0][0], seen[1][0])
    assert seen[0][1] == seen[1][1]


@functools.cache
def model_to_feed(library):
    """One for all of `fed`: Keras takes longer to trace it than to train it."""
    model = model_of(library, 1.0)
    return model, model.get_weights()


def fed(library, values, key, *others):
    """A fit whose logs hold `values` under `key`, and what came of it."""
    class Feed(library.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs[key] = values[epoch]

    model, start = model_to_feed(library)
    model.set_weights(start)
    model.optimizer.learning_rate = 1.0
    weights = []
    spy = library.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(
        (float(np.asarray(model.optimizer.learning_rate)), model.get_weights()[0])))
    history = model.fit(*rows(), epochs=len(values), shuffle=False, verbose=0,
                        callbacks=[Feed(), *[make(library.callbacks) for make in others], spy])
    return history.epoch, [rate for rate, _ in weights], [
        bool(np.array_equal(w, model.get_weights()[0])) for _, w in weights], history.history


def sequences(seed):
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_normal(12).cumsum() * 0.5 + 5, 1).tolist()
    if seed % 4 == 0:
        values[int(rng.integers(1, 12))] = float("nan")
    return rng, values


@pytest.mark.parametrize("seed", range(16))
def test_early_stopping(seed, keras):
    rng, values = sequences(seed)
    settings = {
        "monitor": "val_loss", "patience": int(rng.integers(0, 5)), "min_delta": [0, 0.25, -0.5][rng.integers(3)],
        "mode": ["auto", "min", "max"][rng.integers(3)], "baseline": [None, None, 4.0][rng.integers(3)],
        "restore_best_weights": bool(rng.integers(2)), "start_from_epoch": int(rng.integers(0, 3)),
    }
    ours, theirs = (fed(library, values, "val_loss", lambda c: c.EarlyStopping(**settings))
                    for library in (minigrad, keras))
    assert ours[0] == theirs[0] and ours[2] == theirs[2], (values, settings)


@pytest.mark.parametrize("seed", range(100, 116))
def test_reduce_lr_on_plateau(seed, keras):
    rng, values = sequences(seed)
    settings = {
        "monitor": "val_loss", "patience": int(rng.integers(0, 4)), "factor": [0.1, 0.5][rng.integers(2)],
        "cooldown": int(rng.integers(0, 3)), "min_lr": [0.0, 0.2][rng.integers(2)], "min_delta": [1e-4, 0.3][rng.integers(2)],
        "mode": ["auto", "max"][rng.integers(2)],
    }
    ours, theirs = (fed(library, values, "val_loss", lambda c: c.ReduceLROnPlateau(**settings))
                    for library in (minigrad, keras))
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)
    np.testing.assert_allclose(ours[3]["learning_rate"], theirs[3]["learning_rate"], rtol=1e-6)
    assert list(ours[3]) == list(theirs[3])


@pytest.mark.parametrize("fit", [{}, {"validation_split": 0.25}, {"validation_split": 0.25, "validation_freq": 2}])
def test_csv_logger(fit, keras, tmp_path):
    texts = []
    for library in (minigrad, keras):
        path = tmp_path / library.__name__
        for append in (False, True):
            model_of(library).fit(*rows(), epochs=3, shuffle=False, verbose=0, **fit, callbacks=[
                library.callbacks.CSVLogger(str(path), append=append),
                library.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)])
        texts.append([line.split(b",") for line in path.read_bytes().split(b"\r\n")])
    ours, theirs = texts
    assert [len(line) for line in ours] == [len(line) for line in theirs] and ours[0] == theirs[0]
    for our_line, their_line in zip(ours[1:-1], theirs[1:-1], strict=True):
        for a, b in zip(our_line, their_line, strict=True):
            assert a == b or float(a) == pytest.approx(float(b), rel=1e-5)


def test_terminate_on_nan(keras, capsys):
    x, y = rows(40)
    x[17, 2] = np.nan
    seen = []
    for library in (minigrad, keras):
        history = model_of(library).fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0,
                                        callbacks=[library.callbacks.TerminateOnNaN()])
        seen.append((history.epoch, capsys.readouterr().out))
    assert seen[0] == seen[1]


def test_tensorboard(keras, tmp_path):
    """The same folders, tags and steps, read by TensorBoard."""
    tf = pytest.importorskip("tensorflow")
    pytest.importorskip("tensorboardX")
    seen = []
    for library in (minigrad, keras):
        folder = tmp_path / library.__name__
        model_of(library).fit(*rows(), batch_size=4, epochs=3, shuffle=False, verbose=0, validation_split=0.25, callbacks=[
            library.callbacks.TensorBoard(str(folder), histogram_freq=2, update_freq=2, write_graph=False)])
        found = {}
        for path in sorted(folder.rglob("*tfevents*")):
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                for value in event.summary.value:
                    is_histogram = value.tag.endswith("histogram")
                    number = None if is_histogram else (
                        tf.make_ndarray(value.tensor) if value.HasField("tensor") else value.simple_value)
                    tag = value.tag.rsplit("/", 3)[-2:] if is_histogram else value.tag
                    found.setdefault((path.parent.name, str(tag)), []).append((event.step, number))
        seen.append(found)
    ours, theirs = seen
    assert set(ours) == set(theirs)
    for key, entries in ours.items():
        assert [step for step, _ in entries] == [step for step, _ in theirs[key]], key
        if entries[0][1] is not None:
            np.testing.assert_allclose([v for _, v in entries], [v for _, v in theirs[key]], rtol=1e-5, err_msg=str(key))


def loaders(keras, x, y):
    """The same batches of five rows, from several libraries."""
    tf, torch = pytest.importorskip("tensorflow"), pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    table = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)
    return {
        "torch": torch.utils.data.DataLoader(data, batch_size=5),
        "tf.data": table,
        "tf.data without a length": table.filter(lambda x, y: True),
        "as_numpy_iterator": table.as_numpy_iterator(),
    }


@pytest.mark.parametrize("kind", ["torch", "tf.data", "tf.data without a length", "as_numpy_iterator"])
def test_loaders_of_other_libraries(kind, keras):
    x, y = rows()
    expected = model_of(minigrad).fit(x, y, batch_size=5, shuffle=False, verbose=0).history
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert model_of(minigrad).fit(loaders(keras, x, y)[kind], verbose=0).history == expected
        held = model_of(minigrad).fit(x, y, batch_size=5, shuffle=False, verbose=0, epochs=2,
                                      validation_data=loaders(keras, x, y)[kind]).history
    assert len(held["val_loss"]) == 2


def test_tensors_of_other_libraries(keras):
    tf, torch = pytest.importorskip("tensorflow"), pytest.importorskip("torch")
    x, y = rows()
    expected = model_of(minigrad).fit(x, y, shuffle=False, verbose=0).history
    for convert in (torch.tensor, tf.constant):
        assert model_of(minigrad).fit(convert(x), convert(y), shuffle=False, verbose=0).history == expected
    with pytest.raises(ValueError, match="x can't be made an array"):
        model_of(minigrad).predict(torch.tensor(x, requires_grad=True), verbose=0)
