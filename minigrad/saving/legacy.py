"""Files of Keras 2, and `.h5` files of Keras 3: their layout, and the older names in their configs.

    /                              model_config, training_config (JSON), keras_version, backend
    model_weights/                 layer_names; in a file of weights only, this group is the file itself
        dense/                     weight_names: the paths of the arrays below, trained ones first
        top_level_model_weights/   those of the model itself
    optimizer_weights/             weight_names: step count, (Keras 3:) learning rate, slots

Both libraries go by the order of the names, not by the names.
"""

import functools

import numpy as np

from minigrad import initializers, losses, metrics, optimizers
from minigrad.layers.recurrent_cells import GRUCell, LSTMCell
from minigrad.saving import files, objects
from minigrad.trees import mapped

KERAS_VERSION = "3.15.1"  # the Keras whose formats are written
_OWN = "top_level_model_weights"
_LIMIT = 64000  # bytes of an attribute: HDF5 has no longer ones

# ------------------------------------------------------------------------------------------------------- configs

_CLASSES = {  # class in TensorFlow 1: class today
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
}
_RANDOM = [f"Random{name}" for name in ("Brightness", "Contrast", "Crop", "Flip", "Rotation", "Translation", "Zoom")]
_ARGUMENTS = {  # class: {argument in Keras 2: argument today}
    "InputLayer": {"batch_input_shape": "batch_shape"},
    "LeakyReLU": {"alpha": "negative_slope"},
}
_DROPPED = {  # class: arguments that are gone and had no effect on the result
    "BatchNormalization": {"virtual_batch_size", "fused", "adjustment"},
    "Softmax": {"robust_masking"},
    **dict.fromkeys(_RANDOM, {"rng_type"}),
}
_GONE = {"is_legacy_optimizer", "jit_compile", "schedule_decay"}  # arguments of optimizers that are gone
_ADDED = {  # arguments that Keras 2 (or its optimizers before 2.11) does not have, and their defaults
    "clipnorm": None,
    "clipvalue": None,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "from_sorted_ids": False,
    "global_clipnorm": None,
    "gradient_accumulation_steps": None,
    "input_axes": None,
    "lora_alpha": None,
    "lora_rank": None,
    "loss_scale_factor": None,
    "optional": False,
    "output_axes": None,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "rms_scaling": False,
    "use_ema": False,
    "weight_decay": None,
}
_ADDED_TO = {  # class: the same, where other classes have had such an argument from the beginning
    **dict.fromkeys([*_RANDOM, "CenterCrop"], {"data_format": "channels_last"}),
    "RandomContrast": {"data_format": "channels_last", "value_range": [0, 255]},
    "Resizing": {
        "antialias": False,
        "data_format": "channels_last",
        "fill_mode": "constant",
        "fill_value": 0.0,
        "pad_to_aspect_ratio": False,
    },
    "SparseCategoricalCrossentropy": {"axis": -1},
}


def modern(config):
    """A config that any Keras wrote, with all configs inside it, as today's Keras would write it."""
    if isinstance(config, list):
        return [modern(one) for one in config]
    if not isinstance(config, dict):
        return config
    config = {key: modern(value) for key, value in config.items()}
    name, inner = config.get("class_name"), config.get("config")
    if not isinstance(name, str):
        return config
    if name in ("Policy", "PolicyV1"):
        return inner.get("name") if isinstance(inner, dict) else config
    name = _CLASSES.get(name, name)
    if name == "Sequential" and isinstance(inner, list):
        inner = {"layers": inner}
    if isinstance(inner, dict):
        if name == "MeanMetricWrapper" and isinstance(inner.get("fn"), str) and _is_metric(inner.get("name")):
            return inner["name"]  # the string that `compile` was given
        names = _ARGUMENTS.get(name, {})
        inner = {names.get(key, key): value for key, value in inner.items() if key not in _DROPPED.get(name, ())}
        if inner.get("batch_input_shape"):
            inner["input_shape"] = inner.pop("batch_input_shape")[1:]
        if isinstance(inner.get("axis"), list) and len(inner["axis"]) == 1:
            inner["axis"] = inner["axis"][0]
        if inner.get("reduction") == "auto":
            inner["reduction"] = "sum_over_batch_size"
        if name in initializers.registry.members:
            inner.pop("dtype", None)
        if name in losses.registry.members and name != "LossFunctionWrapper":
            inner.pop("fn", None)  # the class has its function itself
        own = name.removeprefix("Custom>")
        if own in optimizers.registry.members:
            inner = _modern_optimizer(own, inner)
    return {**config, "class_name": name, "config": inner}


def _is_metric(name):
    return name in metrics.registry.members or metrics.lookup.kind_by_shape(name) is not None


def _modern_optimizer(name, inner):
    """Today's arguments of an optimizer, from those in a config that any Keras wrote."""
    inner = {key: value for key, value in inner.items() if key not in _GONE}
    if "lr" in inner:
        inner["learning_rate"] = inner.pop("lr")
    if inner.get("epsilon", 0.0) is None:
        inner["epsilon"] = 1e-7
    decay = inner.pop("decay", None)
    if decay and name != "Nadam":  # whose decay is that of the momentum
        settings = {"initial_learning_rate": inner.get("learning_rate"), "decay_steps": 1, "decay_rate": decay}
        inner["learning_rate"] = {"class_name": "InverseTimeDecay", "config": settings}
    return inner


def old(config):
    """A config that Keras 2 can read, too, as far as it has what the config describes."""
    if isinstance(config, (list, tuple)):
        return [old(one) for one in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return config["config"]["name"]
    config = {key: old(value) for key, value in config.items()}
    name, inner = config.get("class_name"), config.get("config")
    if not config.get("module") or not isinstance(inner, dict):
        return config
    earlier = {new: old for old, new in _ARGUMENTS.get(name, {}).items()}
    gone = _ADDED | _ADDED_TO.get(name, {})
    if name == "AdamW":
        del gone["weight_decay"]  # None is not what it does by default
    kept = {key: value for key, value in inner.items() if key not in gone or value != gone[key]}
    return {**config, "config": {earlier.get(key, key): value for key, value in kept.items()}}


def _described(config):
    """The config of a layer, loss, ... as files of this layout hold it: without its module."""
    if isinstance(config, (list, tuple)):
        return [_described(one) for one in config]
    if not isinstance(config, dict) or config.get("class_name") in (None, "function"):
        return config
    told = ("config", "build_config", "name", "inbound_nodes")
    kept = {key: config[key] for key in told if config.get(key) is not None}
    name = config.get("registered_name") or config["class_name"]
    kept["class_name"] = {"GroupQueryAttention": "GroupedQueryAttention"}.get(name, name)  # the class' own name
    if str(config.get("module")).startswith("keras.src.ops."):  # without it, readers take an operation for a layer
        kept["module"] = config["module"]
    if "layers" in (inner := kept["config"]):
        kept["config"] = {**inner, "layers": _described(inner["layers"])}
    return kept


# ------------------------------------------------------------------------------------------------------- writing


def pack(model, config=None, with_optimizer=True):
    """The groups (see `hdf5.build`) of a file of a model's weights or, with its config, of the whole model."""
    where = "" if config is None else "model_weights/"
    about = {"keras_version": KERAS_VERSION, "backend": "tensorflow"}
    layers = {layer.name: _weights(layer) for layer in model.layers}
    groups = {where or "/": ({**about, **_names("layer_names", layers)}, {})}
    for name, variables in [*layers.items(), (_OWN, [v for v, _ in model._own()])]:
        groups[f"{where}{name}"] = _arrays(variables)
    if config is None:
        return groups
    root = {**about, "model_config": objects.as_json(_described(old(config)))}
    compiled = config.get("compile_config")
    if with_optimizer and compiled:
        names = {"optimizer": "optimizer_config"}
        training = {names.get(key, key): _described(old(value)) for key, value in compiled.items()}
        training["loss"] = mapped(_full_name, training.get("loss"), objects.is_config)
        root["training_config"] = objects.as_json(training)
        groups["optimizer_weights"] = _arrays(model.optimizer.variables)
    return {"/": (root, {}), **groups}


def _full_name(loss):
    """The full name of a loss such as "mse", since Keras 3 looks up short names among the metrics; others stay."""
    is_known = isinstance(loss, str) and loss in losses.registry.members
    return getattr(losses.get(loss), "__name__", loss) if is_known else loss


def _weights(layer):
    """The weights of a layer and of the layers inside it, in the order of these files."""
    return [v for v in layer.weights if v.trainable] + [v for v in layer.weights if not v.trainable]


def _arrays(variables):
    arrays = {}
    for i, v in enumerate(variables):
        arrays[f"{v.path}_{i}" if v.path in arrays else v.path] = v.numpy()
    return _names("weight_names", arrays), arrays


def _names(attribute, names):
    """The attributes that hold a list of names: one attribute, or several if it would be too long."""
    whole = np.array([name.encode() for name in names] or [], dtype=bytes)
    parts = np.array_split(whole, -(-max(whole.nbytes, 1) // _LIMIT))
    return {attribute: whole} if len(parts) == 1 else {f"{attribute}{i}": part for i, part in enumerate(parts)}


# ------------------------------------------------------------------------------------------------------- reading


def is_legacy(tree):
    """Whether an HDF5 file has this layout."""
    return tree.has("model_weights") or tree.strings("", "layer_names") is not None


def config(tree):
    """The config of the model in a file, as `.keras` files hold it."""
    texts = [tree.strings("", name) for name in ("model_config", "training_config")]
    if not texts[0]:
        raise ValueError("it holds weights only: make the model, and call its load_weights")
    found, training = (files.parse(text[0]) if text else None for text in texts)
    if training:
        names = ("loss", "metrics", "weighted_metrics", "loss_weights")
        compiled = {"optimizer": training.get("optimizer_config"), **{n: training.get(n) for n in names}}
        for what in ("metrics", "weighted_metrics"):
            compiled[what] = _by_output(compiled[what], found["config"])
        found["compile_config"] = compiled
    return found


def _by_output(given, model):
    """The metrics for `compile`, from those of Keras 2: a list per output, in the order of the outputs.

    Metrics of a single output become one list. Those of several outputs lose the name of the output in front of their
    own. None stands for an output without metrics.
    """
    if not isinstance(given, list) or not given or not all(isinstance(one, list) for one in given):
        return given
    if len(given) == 1:
        return given[0]
    outputs = model.get("output_layers") if isinstance(model, dict) else None
    outputs = sorted(outputs) if isinstance(outputs, dict) else [place[:1] for place in outputs or ()]
    for name, metrics_of_one in zip(outputs, given):
        for one in metrics_of_one:
            if isinstance(one, dict) and isinstance(one.get("config"), dict) and "name" in one["config"]:
                one["config"]["name"] = str(one["config"]["name"]).removeprefix(f"{''.join(name)}_")
    return [[one for one in metrics_of_one if one is not None] for metrics_of_one in given]


def written_by(tree):
    """The version of the Keras that wrote the file, "unknown" if the file does not tell."""
    said = tree.strings("", "keras_version") or tree.strings("model_weights", "keras_version")
    return said[0][:20] if said else "unknown"


def pairs(model, tree, by_name=False):
    """Which arrays of a file belong to which layer: a list of (layer, group, variables, names of the arrays).

    Layers with weights are matched by their order or, with `by_name`, by their names.
    """
    where = "model_weights/" if tree.has("model_weights") else ""
    held = {name: tree.strings(where + name, "weight_names") or [] for name in tree.strings(where, "layer_names") or []}
    if by_name:
        matched = [(layer, layer.name) for layer in model.layers if layer.name in held]
    else:
        layers, names = [layer for layer in model.layers if layer.weights], [n for n in held if held[n]]
        if len(layers) != len(names):
            raise ValueError(
                f"model {model.name!r} has {len(layers)} layers with weights, and the file holds {len(names)}: "
                "by_name=True takes those whose names agree"
            )
        matched = list(zip(layers, names, strict=True))
    found = [(layer, where + name, _weights(layer), held[name]) for layer, name in matched]
    own = tree.strings(where + _OWN, "weight_names")
    if own or (own is not None and not by_name):
        found.append((model, where + _OWN, [v for v, _ in model._own()], own))
    return found


def of_cudnn(tree, layer, paths):
    """How the arrays of a CuDNNLSTM or CuDNNGRU become those of an LSTM or GRU, for the cells inside a layer.

    A CuDNN kernel has each gate's part transposed, in the order of its memory; and there are two biases, one after the
    other, of which an LSTM has the sum.

    Args:
        paths: {id of a variable: where its array is}.

    Returns:
        {id of a variable: (the shape of its array in the file, a function of it)}, for variables of such cells.
    """
    found = {}
    for cell in layer._all_layers():
        if not isinstance(cell, (LSTMCell, GRUCell)) or not cell.built or id(cell.bias) not in paths:
            continue
        is_lstm, two = isinstance(cell, LSTMCell), (2 * cell.gates * cell.units,)
        if tree.array(paths[id(cell.bias)]).shape == two and (is_lstm or cell.reset_after):
            for kernel in (cell.kernel, cell.recurrent_kernel):
                found[id(kernel)] = kernel.shape, functools.partial(_turned, cell.gates)
            found[id(cell.bias)] = two, functools.partial(_biases, is_lstm)
    return found


def _turned(gates, kernel):
    return np.hstack([part.reshape(part.shape[::-1]).T for part in np.hsplit(kernel, gates)])


def _biases(is_lstm, biases):
    two = biases.reshape(2, -1)
    return two.sum(0) if is_lstm else two


# {slot of an optimizer: its names in Keras 2}. tf_keras wrote `Adam/m/dense/kernel`, older ones `Adam/dense/kernel/m`.
_SLOTS = {
    "accumulated_delta_var": {"accumulated_delta_var", "accum_var"},
    "accumulated_grad": {"accumulated_grad", "accum_grad"},
    "accumulator": {"accumulator"},
    "average": {"average"},
    "average_gradient": {"average_gradient", "mg"},
    "iteration": {"iteration", "iterations", "iter"},
    "linear": {"linear"},
    "momentum": {"m", "momentum"},
    "norm": {"u", "v"},
    "product": {"momentum_cache"},
    "velocity": {"v", "velocity", "rms"},
    "velocity_hat": {"vhat"},
}
_NO_SLOTS = {"iteration", "iterations", "iter", "m_schedule", "momentum_cache"}


def of_keras_2(names, variables, weights):
    """Which array in a file of Keras 2 belongs to which variable of an optimizer; None if they don't fit.

    Args:
        names: those of the arrays. variables: those of the optimizer. weights: how many variables it trains.

    Returns:
        A list of (variable, name), without the learning rate: Keras 2 keeps it in the config only.
    """
    bare = [name.removesuffix(":0").split("/") for name in names]
    place = 1 if ["iteration"] in bare else -1
    kinds = [parts[place] if len(parts) > place else parts[0] for parts in bare]
    if not any(kind in known for kind in kinds for slot, known in _SLOTS.items() if slot != "iteration"):
        # Before TensorFlow 2 the names don't tell the slot, but the slots come one after the other.
        order = list(dict.fromkeys(slot for v in variables if (slot := _slot(v)) not in (None, "iteration", "product")))
        rest = [i for i, kind in enumerate(kinds) if kind not in _NO_SLOTS]
        for n, i in enumerate(rest):
            kinds[i] = order[n // weights] if n // weights < len(order) else ""
    waiting = {slot: [n for n, k in zip(names, kinds) if k in known or k == slot] for slot, known in _SLOTS.items()}
    found = []
    for v in variables:
        slot = _slot(v)
        if slot is not None and waiting[slot]:
            found.append((v, waiting[slot].pop(0)))
        elif v.name not in ("iteration", "learning_rate", "product"):
            return None
    return found


def _slot(variable):
    """The slot that a variable of an optimizer belongs to; None for the learning rate and unknown ones."""
    return next((slot for slot in _SLOTS if variable.name == slot or variable.name.endswith(f"_{slot}")), None)
