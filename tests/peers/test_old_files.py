"""`.h5` files between minigrad, the real Keras, and Keras 2 (`tf_keras`, where it is installed)."""

import warnings

import h5py
import numpy as np
import pytest
from test_saving import LAYERS, OPTIMIZERS, data, network

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("without_graphs")]
NOT_THERE = {  # (library, layer): why it can't be compared
    ("keras", "RandomBrightness"): "Keras 3 can't write it into an .h5 file",
    ("tf_keras", "RMSNormalization"): "Keras 2 does not have it",
    ("tf_keras", "RandomContrast"): "Keras 2 does not have its value_range",
}


@pytest.fixture(scope="module")
def tf_keras():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tf_keras")


@pytest.fixture(params=["keras", "tf_keras"])
def peer(request):
    return request.getfixturevalue(request.param)


def outputs(model, x):
    return np.asarray(model(x))


def is_random(name):
    """Whether a layer of the table changes the images at random when it is called without `training`."""
    return name.startswith("Random")


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, peer, tmp_path):
    arguments, shape = LAYERS[name]
    if (peer.__name__, name) in NOT_THERE:
        pytest.skip(NOT_THERE[peer.__name__, name])
    path, x = str(tmp_path / "m.h5"), data(shape)[0]
    for here, there in ((minigrad, peer), (peer, minigrad)):
        if here.__name__ == "tf_keras" and name == "LeakyReLU":
            arguments = {"alpha": arguments["negative_slope"]}
        model = here.Sequential([here.Input(shape), getattr(here.layers, name)(**arguments)])
        for i, w in enumerate(model.weights):
            w.assign(np.linspace(0.2 + i, 1.0 + i, w.numpy().size).reshape(w.shape))
        model.save(path)
        again = there.models.load_model(path)
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        if not is_random(name):
            np.testing.assert_allclose(outputs(again, x), outputs(model, x), rtol=1e-5, atol=1e-6)


def test_ours_is_opened_and_evaluated_alike(peer, tmp_path):
    """Keras 3 can't train what it has loaded from any .h5 file, and Keras 2 begins with a new optimizer."""
    x, y = data()
    path = str(tmp_path / "m.hdf5")
    for metrics in (["accuracy", "mae"], [minigrad.metrics.AUC(num_thresholds=50)]):
        for loss in ("binary_crossentropy", "mse", minigrad.losses.Huber(delta=0.5)):
            model = network(minigrad, OPTIMIZERS["Adam"], loss=loss, metrics=metrics)
            model.fit(x, y, verbose=0)
            model.save(path)
            again = peer.models.load_model(path)
            np.testing.assert_allclose(again.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-4)
            assert float(again.optimizer.learning_rate) == pytest.approx(0.02)


def of_tf_keras(library):
    o, old = library.optimizers, library.optimizers.legacy
    return [o.SGD(0.1), o.RMSprop(0.01, momentum=0.5), o.Adagrad(0.1), o.Adadelta(1.0), o.Adamax(0.01), o.Ftrl(0.1),
            o.AdamW(0.02, weight_decay=0.1), old.SGD(0.1, decay=0.1), old.RMSprop(0.01, centered=True), old.Adadelta(1.0),
            old.Adamax(0.01)]  # fmt: skip


def test_theirs_goes_on_training_here(peer, tmp_path):
    x, y = data()
    options = {"batch_size": 8, "verbose": 0, "shuffle": False}
    makes = list(OPTIMIZERS.values())[1::4] if peer.__name__ == "keras" else [
        lambda o, one=one: one for one in of_tf_keras(peer)]  # fmt: skip
    for make in makes:
        model = network(peer, make)
        model.fit(x, y, **options)
        model.save(path := str(tmp_path / "m.h5"))
        again = minigrad.models.load_model(path)
        histories = [one.fit(x, y, epochs=2, **options).history for one in (model, again)]
        for key in histories[0]:
            np.testing.assert_allclose(histories[1][key], histories[0][key], rtol=2e-4, err_msg=f"{make}: {key}")


def test_weights(peer, tmp_path):
    ours, theirs = (network(library, OPTIMIZERS["SGD"]) for library in (minigrad, peer))
    ours.save_weights(path := str(tmp_path / "w.h5"))
    theirs.load_weights(path)
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    theirs.set_weights([w + 1 for w in theirs.get_weights()])
    theirs.save(path)
    ours.load_weights(path)
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_of_cudnn_layers(kind, tf_keras, tmp_path):
    """Keras 2 cannot run them on a CPU, but it makes them, and gives their weights to a plain layer."""
    from tf_keras.src.layers.rnn import cudnn_gru, cudnn_lstm

    made = {"LSTM": cudnn_lstm.CuDNNLSTM, "GRU": cudnn_gru.CuDNNGRU}[kind](3, bias_initializer="uniform", name="cell")
    made.build((None, 5, 2))
    plain = [k.Sequential([k.Input((5, 2)), getattr(k.layers, kind)(3, name="cell")]) for k in (minigrad, tf_keras)]
    plain[1].save_weights(path := str(tmp_path / "w.h5"))
    with h5py.File(path, "r+") as file:
        names = file["cell"].attrs["weight_names"]
        for name, value in zip(names, made.get_weights(), strict=True):
            del file["cell"][name]
            file["cell"][name] = value
    for model in plain:
        model.load_weights(path)
    for a, b in zip(*(model.get_weights() for model in plain), strict=True):
        np.testing.assert_array_equal(a, b)
