"""What a mistake is answered with: the name that was meant, the advice, the place. What is written, what the error says.

`test_bad_input.py` checks that an error changes nothing; this table checks that its words help.
"""

import pickle
import sys
import warnings

import numpy as np
import pytest

import minigrad as keras
from minigrad import (
    Tensor,
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
)
from minigrad.compat import missing
from minigrad.spelling import nearest

X, Y = np.linspace(-1, 1, 96, dtype="float32").reshape(32, 3), np.arange(32) % 2
IMAGES = np.zeros((32, 8, 8), "float32")


def compiled(*of_layers, loss="mse"):
    model = keras.Sequential(list(of_layers) or [keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", loss)
    return model


def fitted(x, y, loss, *of_layers):
    return compiled(*of_layers, loss=loss).fit(x, y, verbose=0)


MESSAGES = {
    # ---- arguments: the nearest, and all that there are
    "SGD(momentun=1)": (lambda: optimizers.SGD(momentun=1), "did you mean 'momentum'"),
    "Adam(eps=1)": (lambda: optimizers.Adam(eps=1), "did you mean 'epsilon'"),
    "Dense(unit=3)": (lambda: layers.Dense(unit=3), "Dense(): missing...'units'...Did you mean 'units' instead of 'unit'"),
    "Dense(3, activaton=)": (lambda: layers.Dense(3, activaton="relu"), "did you mean 'activation'"),
    "Dropout()": (lambda: layers.Dropout(), "Dropout(): missing...'rate'. Its arguments: rate, noise_shape, seed"),
    "Sequential(nam=)": (lambda: keras.Sequential(nam="a"), "Sequential(): ...'nam'. Did you mean 'name'"),
    "Input(shap=)": (lambda: keras.Input(shap=(3,)), "Input(): ...'shap'. Did you mean 'shape'"),
    "loss": (lambda: losses.BinaryCrossentropy(logits=True), "BinaryCrossentropy(): ...Did you mean 'from_logits'"),
    "metric": (lambda: metrics.Precision(treshold=1), "Precision(): ...Did you mean 'thresholds'"),
    "metric of a class": (lambda: metrics.AUC(num_treshold=9), "AUC(): ...Did you mean 'num_thresholds'"),
    "callback": (lambda: callbacks.EarlyStopping(patiance=3), "EarlyStopping(): ...Did you mean 'patience'"),
    "callback's path": (lambda: callbacks.CSVLogger(), "CSVLogger(): missing...'filename'. Its arguments: filename"),
    "initializer": (lambda: initializers.HeNormal(sed=1), "HeNormal(): ...Did you mean 'seed'"),
    "schedule": (lambda: optimizers.schedules.ExponentialDecay(1, decay_step=1, decay_rate=1), "'decay_steps' instead"),
    "constraint": (lambda: constraints.MaxNorm(maxvalue=1), "MaxNorm(): ...Did you mean 'max_value'"),
    "fit(epoch=)": (lambda: compiled().fit(X, Y, epoch=3), "fit(): ...Did you mean 'epochs'...Its arguments: x, y, batch"),
    "compile(metric=)": (lambda: compiled().compile("sgd", "mse", metric=[]), "compile(): ...Did you mean 'metrics'"),
    "evaluate": (lambda: compiled().evaluate(X, Y, batchsize=3), "evaluate(): ...Did you mean 'batch_size'"),
    # ---- strings
    "adma": (lambda: optimizers.get("adma"), "Unknown optimizer: 'adma'. Did you mean 'adam'"),
    "rmspop": (lambda: optimizers.get("rmspop"), "Did you mean 'rmsprop'"),
    "f1": (lambda: metrics.get("f1"), "Did you mean 'f1_score'"),
    "sparse_crossentropy": (lambda: losses.get("sparse_crossentropy"), "Did you mean 'sparse_categorical_crossentropy'"),
    "rleu": (lambda: activations.get("rleu"), "Did you mean 'relu'?... Known: among others"),
    "LeakyReLU": (lambda: activations.get("Leaky_ReLU"), "Did you mean 'leaky_relu'"),
    "he": (lambda: initializers.get("he"), "Did you mean 'he_normal'"),
    # ---- names of other libraries
    "RandomShear": (lambda: layers.RandomShear, "no layers.RandomShear: ...RandomRotation"),
    "image.ssim": (lambda: keras.ops.image.ssim, "no ops.image.ssim: ...NumPy"),
    "Linear": (lambda: layers.Linear, "it is called Dense"),
    "keras.nn": (lambda: keras.nn, "`layers`"),
    "layers.dense": (lambda: layers.dense, "Did you mean 'Dense'"),
    # ---- attributes
    "model.to": (lambda: compiled().to("cuda"), "Model 'sequential' (Sequential) has no attribute 'to': ...CPU"),
    "model.parameters": (lambda: compiled().parameters(), "`trainable_variables`"),
    "model.eval": (lambda: compiled().eval(), "training=False"),
    "model.state_dict": (lambda: compiled().state_dict(), "get_weights()"),
    "model.fitt": (lambda: compiled().fitt(X), "Did you mean 'fit'"),
    "layer.weight": (lambda: compiled().layers[0].weight, "Layer 'dense' (Dense) has no attribute 'weight'. Did ...'weights'"),
    "layer.forward": (lambda: layers.Dense(1).forward(X), "defines `call`"),
    "layer.kernel": (lambda: layers.Dense(1).kernel, "'dense' (Dense), which is not built yet ... has no attribute 'kernel'."),
    "optimizer.zero_grad": (lambda: optimizers.Adam().zero_grad(), "Adam has no attribute 'zero_grad': `fit` does it"),
    "optimizer.iteration": (lambda: optimizers.Adam().iteration, "Did you mean 'iterations'"),
    "tensor.cuda": (lambda: Tensor(X).cuda(), "Tensor has no attribute 'cuda': ...CPU"),
    "tensor.view": (lambda: Tensor(X).view(-1), "reshape"),
    # ---- shapes
    "no Flatten, labels": (
        lambda: fitted(IMAGES, np.arange(32) % 10, "sparse_categorical_crossentropy", layers.Dense(10)),
        "targets have shape (32,) ... output has shape (32, 8, 10). Is a Flatten() missing",
    ),
    "no Flatten, one-hot": (
        lambda: fitted(IMAGES, np.eye(10)[np.arange(32) % 10], "categorical_crossentropy", layers.Dense(10)),
        "Is a Flatten() missing",
    ),
    "no Flatten, regression": (lambda: fitted(IMAGES, Y, "mse", layers.Dense(1)), "Is a Flatten() missing"),
    "images for vectors": (
        lambda: fitted(IMAGES, Y, "mse", keras.Input((64,)), layers.Dense(1)), "x.reshape(len(x), -1)",
    ),
    # ---- what is given
    "words as labels": (lambda: fitted(X, np.array(["a", "b"] * 16), "mse"), "y must ... np.unique(y, return_inverse=True)"),
    "losses by output": (lambda: compiled().compile("sgd", {"a": "mse", "b": "mae"}), "loss must be ... one output"),
    "a class of callbacks": (lambda: compiled().fit(X, Y, callbacks=[callbacks.History]), "make one, History(...)"),
    "Sequential(layer)": (lambda: keras.Sequential(layers.Dense(1)), "a list of layers, [Dense(64), Dense(1)]"),
    "Sequential(layer, layer)": (lambda: keras.Sequential(layers.Dense(1), layers.Dense(1)), "expects a list of layers"),
    "Sequential('relu')": (lambda: keras.Sequential(["relu"]), "Activation('relu')"),
    "Sequential([[layer]])": (lambda: keras.Sequential([[layers.Dense(1)]]), "Add them one by one"),
    "Input(3)": (lambda: keras.Input(3), "write (3,)."),
    "float(tensor)": (lambda: float(Tensor(X)), "A tensor of shape (32, 3) is no single number"),
    "metric.update": (lambda: metrics.AUC().update(Y, Y), "Did you mean 'update_state'"),
}


@pytest.mark.parametrize("mistake, words", MESSAGES.values(), ids=MESSAGES)
def test_the_error_says_what_to_do(mistake, words):
    keras.utils.clear_session()
    with pytest.raises((ValueError, TypeError, AttributeError)) as error:
        mistake()
    for part in words.split("..."):
        assert part.strip() in str(error.value)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes before")
def test_an_error_in_a_call_says_in_which_layer():
    class Block(layers.Layer):
        def call(self, inputs):
            return ops.matmul(inputs, np.ones((5, 1)))

    with pytest.raises(ValueError, match="matmul") as error:
        compiled(keras.Input((3,)), layers.Dense(4), Block(name="block")).predict(X)
    assert error.value.__notes__ == ["This happened in layer 'block' (Block), called with an input of shape (2, 4)."]


def test_a_type_error_from_inside_is_left_alone():
    class Broken(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            len(epoch)

    with pytest.raises(TypeError, match="^object of type 'int' has no len"):
        compiled().fit(X, Y, callbacks=[Broken()], verbose=0)


@pytest.mark.parametrize("word, name", [
    ("adma", "adam"), ("fitt", "fit"), ("lr", "learning_rate"), ("eps", "epsilon"), ("logits", "from_logits"),
    ("metirc", "metrics"), ("x", None), ("colour", None),
])  # fmt: skip
def test_the_nearest_name(word, name):
    names = ["adam", "adamax", "fit", "fitting", "learning_rate", "epsilon", "ema", "from_logits", "label", "metrics"]
    assert nearest(word, names) == name


def test_a_property_that_fails_says_why_it_did():
    class Odd(optimizers.SGD):
        @property
        def speed(self):
            raise AttributeError("no speed before the first step")

    with pytest.raises(AttributeError, match="^no speed before"):
        Odd().speed  # noqa: B018


def test_an_attribute_error_can_be_sent_to_another_process():
    with pytest.raises(AttributeError) as error:
        layers.Dense(1, name="d").forward  # noqa: B018
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_a_warning_points_to_the_line_that_led_to_it():
    with pytest.warns(UserWarning, match="The data ran out") as caught:
        compiled().fit(X, Y, steps_per_epoch=9, verbose=0)
    assert [w.filename for w in caught] == [__file__]


# ------------------------------------------------------------------------------------------- gaps in the data


def gaps(*places, of=X):
    x = of.copy()
    for place in places:
        x[place] = np.nan
    return x


def said(x, y, **settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled().fit(x, y, batch_size=8, verbose=0, **settings)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("settings", [{}, {"epochs": 3}, {"validation_split": 0.25}])
def test_nan_in_the_data_is_told_once_with_its_column(settings):
    (message,) = said(gaps((5, 2), (7, 2)), Y, **settings)
    assert message.startswith("x holds 2 values that are NaN or infinite in column 2, the first in row 5: ")


def batches(x, y):
    """One buffer for each, again and again."""
    while True:
        for start in range(0, 32, 8):
            yield x[start : start + 8], y[start : start + 8]


def test_nan_in_a_stream_and_in_validation_data_is_told_once_with_its_column():
    y = gaps(20, of=Y.astype("float32"))
    (trained,) = said(batches(gaps((21, 2)), Y), None, steps_per_epoch=4, epochs=3)
    assert trained.startswith("In batch 3 to train on, x holds 1 values that are NaN or infinite in column 2, the first")
    for data in ((gaps((21, 1)), y), batches(gaps((21, 1)), y)):
        x, t = said(X, Y, epochs=3, validation_data=data, validation_steps=4)
        assert x.startswith("In batch 3 to evaluate, x holds 1 values that are NaN or infinite in column 1, the first")
        assert t.startswith("In batch 3 to evaluate, y holds 1 values that are NaN or infinite, the first in row 4: ")


def test_columns_of_a_data_frame_have_names():
    pandas = pytest.importorskip("pandas")
    (message,) = said(pandas.DataFrame(gaps((3, 1)), columns=["age", "size", "price"]), Y)
    assert "in column 'size', the first in row 3" in message


def test_gaps_behind_a_preparing_part_are_told_as_those_of_the_column():
    """And those of images with their place and channel."""
    inputs = [keras.Input((1,), name=name, dtype=dtype) for name, dtype in (("word", "string"), ("size", None), ("age", None))]
    words = layers.StringLookup(vocabulary=["a"], output_mode="one_hot")(inputs[0])
    joined = layers.concatenate([words, layers.Rescaling(2.0)(layers.concatenate(inputs[1:]))])
    model = keras.Model(inputs, layers.Dense(1)(joined))
    model.compile("sgd", "mse")
    x = {"word": np.array(["a"] * 32), "size": np.ones(32), "age": gaps(9, of=np.ones(32))}
    for data in ((x, Y), (iter([(x, Y)]),)):
        with pytest.warns(UserWarning, match=r"x\['age'\] holds 1 values that are NaN or infinite, the first in row 9: ") as told:
            model.fit(*data, batch_size=None if len(data) == 1 else 8, verbose=0)
        assert len(told) == 1
    model = keras.Sequential([keras.Input((4, 5, 3)), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="x holds 1 values that are NaN or infinite, the first in row 2, place 1, 4, channel 0: "):
        model.fit(gaps((2, 1, 4, 0), of=np.ones((32, 4, 5, 3))), Y, verbose=0)


def test_gaps_in_targets_and_weights():
    messages = said(X, gaps(4, of=Y.astype("float32")), sample_weight=np.where(np.arange(32) == 9, np.inf, 1.0))
    assert [m.split(", the first")[0] for m in messages] == [
        "y holds 1 values that are NaN or infinite", "sample_weight holds 1 values that are NaN or infinite",
    ]
    assert "row 4" in messages[0] and "row 9" in messages[1]


def test_a_training_that_diverges_on_good_data_is_no_fault_of_the_data():
    model = compiled()
    model.optimizer.learning_rate = 1e30
    assert not np.isfinite(model.fit(X, Y, epochs=3, verbose=0).history["loss"][-1])  # and no warning


def test_every_attribute_that_has_advice_is_missing():
    objects = [compiled(), layers.Dense(1), optimizers.Adam(), Tensor(X)]
    for name in missing.ATTRIBUTES:
        assert not all(hasattr(thing, name) for thing in objects), name
