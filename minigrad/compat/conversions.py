"""Conversions of old words that need more than another name: `:word` in the table `old_names.txt`.

A conversion of an argument gets its value, the other arguments (from which it may take some) and the defaults of all.
It returns today's arguments, or None if the value is one of today's. A conversion of a method gets the object first.
"""

import itertools
import math

import numpy as np

from minigrad import config, initializers, layers, ops
from minigrad.checks import is_int, is_number
from minigrad.compat.devices import Graph, Nothing, Session, Settings, within
from minigrad.graph import is_keras_tensor
from minigrad.models import Model
from minigrad.optimizers import schedules
from minigrad.preprocessing.image import Iterator
from minigrad.tensor import GradientTape, Variable
from minigrad.trees import mapped

__all__ = ["Graph", "Nothing", "Session", "Settings", "within"]

# ---------------------------------------------------------------------------------------------------- arguments


def _says(today, convert):
    """The conversion `convert`, whose warning says so."""
    convert.__doc__ = today
    return convert


def _counting(name):
    is_fraction = lambda value: isinstance(value, float) and 0 < value < math.inf  # such as len(x) / 32
    return _says("Today: an int.", lambda value, *_: {name: math.ceil(value)} if is_fraction(value) else None)


batch_input_shape = _says("Today: input_shape, without the number of rows.", lambda v, *_: {"input_shape": (*v[1:],)})
nb_row = _says("Today: kernel_size=(nb_row, nb_col).", lambda v, o, _: {"kernel_size": (v, o.pop("nb_col", v))})
dim_ordering = _says(
    'Today: data_format="channels_last" for "tf", and "channels_first" for "th".',
    lambda v, *_: {"data_format": {"tf": "channels_last", "th": "channels_first"}.get(v, v)},
)
grayscale = _says('Today: color_mode="grayscale" for True.', lambda v, *_: {"color_mode": "grayscale" if v else "rgb"})
lr = _says("Today: learning_rate.", lambda v, *_: {"learning_rate": float(v) if is_number(v) else v})
epsilon = _says(
    "None stood for keras.config.epsilon().", lambda v, *_: {"epsilon": config.epsilon()} if v is None else None
)
scale = _says("Today: minval=-scale, maxval=scale.", lambda v, *_: {"minval": -v, "maxval": v})
period = _says("Today: save_freq, which counts batches.", lambda v, *_: {} if v == 1 else {"save_freq": Every(v)})
metrics = _says(
    'A string. Today: a list, metrics=["accuracy"].', lambda v, *_: {"metrics": [v]} if isinstance(v, str) else None
)
show_accuracy = _says('Today: metrics=["accuracy"] in compile.', lambda *_: {})
steps, steps_per_epoch, validation_steps = map(_counting, ("steps", "steps_per_epoch", "validation_steps"))
steps_per_execution = _says("None stood for 1.", lambda v, *_: {"steps_per_execution": 1} if v is None else None)
verbose = _says(
    "A string of digits. Today: a number.",
    lambda v, *_: {"verbose": int(v)} if isinstance(v, str) and v.isdigit() else None,
)


def input_length(value, others, defaults):
    """Today: input_shape=(input_length, input_dim)."""
    width = others.pop("input_dim", None)
    return {"input_shape": (value, width)} if width is not None else {"input_shape": (value,)}


def weights(value, others, defaults):
    """An error: today, layer.set_weights([...]) once the layer is built."""
    raise ValueError("weights=[...]: older Keras started a layer so. Today: layer.set_weights([...]) once it is built.")


def workers(value, others, defaults):
    """Only batches of an ImageDataGenerator take it: batches.workers = 4 lets four threads prepare them."""
    _with_workers(others.get("x"), value)
    return {}


def _with_workers(batches, count):
    """The batches, prepared by so many threads if they are the same ones then."""
    if isinstance(batches, Iterator) and count > 1:
        batches.workers = count
    return batches


def forget_bias_init(value, others, defaults):
    """Today: unit_forget_bias, whether it is "one"."""
    if value not in ("one", "ones", "zero", "zeros"):
        raise ValueError(f"forget_bias_init must be 'one' or 'zero' (today: unit_forget_bias), got {value!r}.")
    return {"unit_forget_bias": value in ("one", "ones")}


def mode(value, others, defaults):
    """Mode 0 is what BatchNormalization does today; other modes are an error that says what to do instead."""
    if value == 0:
        return {}
    if value == 1:
        raise ValueError("BatchNormalization(mode=1) normalized each row: today that is LayerNormalization().")
    raise ValueError(
        f"BatchNormalization(mode={value!r}): older Keras took the batch's statistics in inference, too, which makes "
        "an output depend on the other rows. Leave mode out, or call the layer with training=True."
    )


def activation(value, others, defaults):
    """An initializer by position. Today: by name, kernel_initializer="uniform"."""
    if is_int(value):
        raise ValueError(
            f"Dense: activation must be a name or a function, got {value}. (The first Keras took the number of inputs "
            f"in front: today Dense({value}, input_dim={others.get('units')}).)"
        )
    if not isinstance(value, str) or value not in initializers.registry.members:
        return None
    is_name = isinstance(others.get("use_bias"), str)
    return {"kernel_initializer": value} | ({"activation": others.pop("use_bias")} if is_name else {})


class Decay(schedules.InverseTimeDecay, is_member=False):
    """The decay of Keras 2: `optimizer.learning_rate` is the rate before the decay, and callbacks may change it."""

    def _set_up(self, given):
        super()._set_up(given)
        self.base = Variable(self.initial_learning_rate, trainable=False, name="learning_rate")

    def __call__(self, step):
        return ops.cast(self.base, step.dtype) / (1.0 + self.decay_rate * step)

    def get_config(self):
        return {**super().get_config(), "initial_learning_rate": float(self.base)}


Decay.__name__ = "InverseTimeDecay"  # its name in files
schedules.registry.modules[Decay] = schedules.registry.module


def flag(value, others, defaults):
    """A number by position: the decay, which stood there in Keras 2; in SGD, `nesterov` stood behind it."""
    if not isinstance(value, float):
        return None
    behind = others.pop("weight_decay", False) if isinstance(others.get("weight_decay"), bool) else False
    return decay(value, others, defaults) | ({"nesterov": behind} if "nesterov" in defaults else {"amsgrad": behind})


def decay(value, others, defaults):
    """Today: a schedule of the learning rate, InverseTimeDecay: lr / (1 + decay step)."""
    if not value:
        return {}
    rate = others.pop("learning_rate", defaults["learning_rate"])
    if not is_number(rate):
        raise ValueError(f"decay={value!r} decays a learning rate that is a number; got {rate!r}. Leave decay out.")
    return {"learning_rate": Decay(float(rate), 1, value)}


class Every(str):
    """The save_freq "epoch" of a ModelCheckpoint that saves after several epochs, with their number."""

    def __new__(cls, epochs):
        new = super().__new__(cls, "epoch")
        new.epochs = epochs
        return new


def loss_weights(value, others, defaults):
    """Names of metrics by position. Today: by name, metrics=[...]; the third argument is loss_weights."""
    is_names = isinstance(value, (list, tuple)) and any(isinstance(v, str) or callable(v) for v in value)
    return {"metrics": list(value)} if is_names and "metrics" not in others else None


# ------------------------------------------------------------------------------------------------ names of things


def ThresholdedReLU(theta=1.0, **kwargs):
    """Today: ReLU(threshold=theta)."""
    return layers.ReLU(threshold=theta, **kwargs)


nothing = Nothing()


def batch_get_value(tensors):
    """Today: [K.get_value(x) for x in tensors]."""
    return [np.asarray(x) for x in tensors]


def batch_set_value(tuples):
    """Today: variable.assign(value), for each."""
    for variable, value in tuples:
        variable.assign(value)


def function(inputs, outputs, updates=None, name=None, **kwargs):
    """Today: Model(inputs, outputs), called on arrays. It takes one array or a list, and returns what outputs are.

    An input that is no symbol is the learning phase: its value tells whether layers such as Dropout train.
    """
    listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    phases = [i for i, one in enumerate(listed) if not is_keras_tensor(one)]
    symbols = [one for i, one in enumerate(inputs) if i not in phases] if phases else inputs
    model = Model(symbols[0] if phases and len(symbols) == 1 else symbols, outputs)

    def call(given):
        given = given if isinstance(given, (list, tuple)) else [given]
        phase = any(bool(given[i]) for i in phases)
        arrays = [ops.convert_to_tensor(one) for i, one in enumerate(given) if i not in phases]
        found = mapped(np.asarray, model(arrays[0] if len(arrays) == 1 else arrays, training=phase))
        return [found] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else found

    return call


def no_gpus():
    """There are no GPUs here: leave it out."""
    return []


def probas_to_classes(y_pred):
    """Today: y_pred.argmax(-1), and for one column y_pred > 0.5."""
    return y_pred.argmax(-1) if y_pred.shape[-1] > 1 else (y_pred > 0.5).astype(np.int32)


def to_float(x, name=None):
    """Today: tf.cast(x, tf.float32)."""
    return ops.cast(x, "float32")


def to_int(x, name=None):
    """Today: tf.cast(x, tf.int64)."""
    return ops.cast(x, "int64")


# ------------------------------------------------------------------------------------------------------- methods


def reset_states(model):
    """Today: layer.reset_state() of each stateful layer."""
    for layer in model._all_layers():
        if getattr(layer, "stateful", False):
            layer.reset_state()


def fit_generator(
    model, generator, steps_per_epoch=None, epochs=1, verbose=1, callbacks=None, validation_data=None,
    validation_steps=None, validation_freq=1, class_weight=None, max_queue_size=10, workers=1,
    use_multiprocessing=False, shuffle=True, initial_epoch=0, samples_per_epoch=None, nb_epoch=None,
    nb_val_samples=None, max_q_size=10, nb_worker=1, pickle_safe=False,
):
    """Today: fit(generator, ...)."""
    generator, steps = _steps(_with_workers(generator, workers), steps_per_epoch, samples_per_epoch)
    validation_data, validation_steps = _steps(validation_data, validation_steps, nb_val_samples)
    return model.fit(
        generator, steps_per_epoch=steps, epochs=epochs if nb_epoch is None else nb_epoch, verbose=verbose,
        callbacks=callbacks, validation_data=validation_data, validation_steps=validation_steps,
        validation_freq=validation_freq, class_weight=class_weight, shuffle=shuffle, initial_epoch=initial_epoch,
    )


def _over_a_generator(what):
    def method(
        model, generator, steps=None, callbacks=None, max_queue_size=10, workers=1, use_multiprocessing=False,
        verbose=0, val_samples=None, max_q_size=10, nb_worker=1, pickle_safe=False,
    ):  # fmt: skip
        generator, steps = _steps(_with_workers(generator, workers), steps, val_samples)
        return getattr(model, what)(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    return _says(f"Today: {what}(generator, ...).", method)


evaluate_generator, predict_generator = map(_over_a_generator, ("evaluate", "predict"))


def _steps(generator, steps, samples):
    """(generator, number of batches). Keras 1 got `samples` instead of `steps`; the first batch tells its length."""
    if samples is None or steps is not None or not hasattr(generator, "__next__"):
        return generator, steps
    first = next(generator)
    rows = len(first[0] if isinstance(first, (tuple, list)) else first)
    return itertools.chain([first], generator), math.ceil(samples / rows)


def predict_classes(model, x, batch_size=32, verbose=0):
    """Today: predict(x).argmax(-1), and for one output (predict(x) > 0.5).astype("int32")."""
    return probas_to_classes(model.predict(x, batch_size=batch_size, verbose=verbose))


def predict_proba(model, x, batch_size=32, verbose=0):
    """Today: predict(x)."""
    return model.predict(x, batch_size=batch_size, verbose=verbose)


def compiled_loss(model, y, y_pred, sample_weight=None, regularization_losses=None):
    """Today: compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)."""
    return model.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)


class CompiledMetrics:
    """Today: compute_metrics(x, y, y_pred, sample_weight)."""

    def __init__(self, model):
        self._model = model

    def update_state(self, y, y_pred, sample_weight=None):
        """Update the metrics with a batch."""
        self._model.compute_metrics(None, y, y_pred, sample_weight)


def minimize(optimizer, loss, var_list, tape=None):
    """Today: apply(tape.gradient(loss, var_list), var_list)."""
    if tape is None:
        with GradientTape() as tape:
            loss = loss()
    variables = var_list() if callable(var_list) else var_list
    return optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))


def to_yaml(model, **options):
    """Today: to_json()."""
    raise RuntimeError("Keras has no to_yaml any more, since YAML can hold code: use to_json and model_from_json.")
