"""What the real Keras computes, as small fixtures: training runs, values with gradients, metrics, optimizers.

The cases are plain data and every function takes the library it runs as an argument, so Keras and minigrad
run the same code; only `main` needs Keras. To write the fixtures again: python tests/golden/make_golden.py
"""
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent
NUDGE = 1e-6  # relative change of the initial weights
SLACK = 5  # a nudge disturbs once, other rounding every step: Keras' own PyTorch backend needs nearly 4


def create(namespace, spec):
    """("Dense", {"units": 3}) becomes namespace.Dense(units=3); a string stays one, as `compile` takes it."""
    return spec if isinstance(spec, str) else getattr(namespace, spec[0])(**spec[1])


# ----------------------------------------------------------------------------------------- training: the data

def dataset(shape=(20,), target="binary", rows=210):
    """Inputs (rows, *shape), the targets of that kind, and a weight per row, some of them 0."""
    rng = np.random.default_rng(7)
    width = int(np.prod(shape))
    unit = 2 * rng.random((rows, width)) - 1
    scores = unit @ (2 * rng.random((width, 4)) - 1) + 0.3 * (rng.random((rows, 4)) - 0.5)
    x = unit * np.linspace(0.5, 3, width) + np.linspace(-1, 2, width)
    labels = scores.argmax(axis=1)
    y = {
        "binary": scores[:, :1] > 0,
        "binary (n,)": scores[:, 0] > 0,
        "multilabel": scores > 0,
        "labels": labels,
        "labels (n,1)": labels[:, None],
        "one-hot": np.eye(4)[labels],
        "regression": scores[:, :1],
        "regression of 3": scores[:, :3],
    }[target]
    weights = np.where(rng.random(rows) < 0.1, 0, 2 * rng.random(rows))
    y = y if target.startswith("labels") else y.astype("float32")
    return x.reshape(rows, *shape).astype("float32"), y, weights.astype("float32")


# ---------------------------------------------------------------------------------------- training: the cases

def hidden(*units, activation="tanh", use_bias=False, **batch_norm):
    """Dense, BatchNormalization, Activation for each width. Smooth, unless a case is about relu, which turns
    rounding errors into jumps where it crosses 0."""
    return [layer for n in units for layer in (
        ("Dense", {"units": n, "use_bias": use_bias}),
        ("BatchNormalization", batch_norm),
        ("Activation", {"activation": activation}))]


SIGMOID = [("Dense", {"units": 1, "activation": "sigmoid"})]
SOFTMAX = [("Dense", {"units": 4, "activation": "softmax"})]
LOGITS = [("Dense", {"units": 4})]
NET = [*hidden(16, 8), *SIGMOID]


def case(layers=NET, optimizer=("Adam", {"learning_rate": 0.01}), shape=(20,),
         target="binary", weighted=False, loss="binary_crossentropy", metrics=("accuracy",),
         weighted_metrics=(), **fit):
    """One training run: 29 epochs of 6 batches of 32 rows and one of 18 make 203 steps."""
    return {"layers": list(layers), "optimizer": optimizer, "shape": shape, "target": target,
            "weighted": weighted, "loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics,
            "fit": {"epochs": 29, "batch_size": 32, **fit}}


def sgd(**options):
    return case(optimizer=("SGD", {"learning_rate": 0.05, **options}))


def adam(**options):
    return case(optimizer=("Adam", {"learning_rate": 0.01, **options}))


def plain(*activations):
    """Dense layers of 12 units with these activations, no BatchNormalization."""
    return [("Dense", {"units": 12, "activation": name}) for name in activations]


CASES = {
    "article": case([*hidden(64, 32, activation="relu", use_bias=True), *SIGMOID], optimizer="adam"),
    "article without the idle biases": case([*hidden(64, 32, activation="relu"), *SIGMOID], optimizer="adam"),
    "adam": adam(),
    "adam, amsgrad": adam(amsgrad=True),
    "adam, weight decay": adam(weight_decay=0.1),
    "adam, other betas": adam(beta_1=0.8, beta_2=0.95, epsilon=1e-3),
    "adam, clipnorm": adam(clipnorm=0.5),
    "adam, ema": adam(use_ema=True, ema_momentum=0.9),
    "adam, accumulation": adam(gradient_accumulation_steps=3),
    "sgd": sgd(),
    "sgd, momentum": sgd(momentum=0.9, learning_rate=0.02),
    "sgd, nesterov": sgd(momentum=0.9, nesterov=True),
    "sgd, momentum, weight decay": sgd(momentum=0.9, weight_decay=0.01),
    "sgd, clipnorm": sgd(clipnorm=0.1),
    "sgd, clipvalue": sgd(clipvalue=0.01),
    "sgd, global clipnorm": sgd(global_clipnorm=0.1),
    "sgd, ema every 5 steps": sgd(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
    "sgd, accumulation, clipvalue": sgd(gradient_accumulation_steps=2, clipvalue=0.02, momentum=0.5),
    "sgd, idle biases": case([*hidden(16, 8, use_bias=True), *SIGMOID], optimizer=("SGD", {"momentum": 0.9})),
    "categorical": case([*hidden(16), *SOFTMAX], target="one-hot", loss="categorical_crossentropy"),
    "categorical, label smoothing": case([*plain("tanh"), *SOFTMAX], target="one-hot",
                                         loss=("CategoricalCrossentropy", {"label_smoothing": 0.1})),
    "categorical, logits": case([*plain("softplus"), *LOGITS], target="one-hot",
                                loss=("CategoricalCrossentropy", {"from_logits": True})),
    "categorical, Softmax layer": case([*plain("silu"), *LOGITS, ("Softmax", {})], target="one-hot",
                                       loss="categorical_crossentropy"),
    "sparse": case([*hidden(16), *SOFTMAX], target="labels", loss="sparse_categorical_crossentropy"),
    "sparse, logits": case([*hidden(16, activation="elu"), *LOGITS], target="labels (n,1)",
                           loss=("SparseCategoricalCrossentropy", {"from_logits": True})),
    "binary, logits": case([*hidden(16), ("Dense", {"units": 1})],
                           loss=("BinaryCrossentropy", {"from_logits": True}),
                           metrics=(("BinaryAccuracy", {"threshold": 0.0}),)),
    "binary, label smoothing": case(target="binary (n,)",
                                    loss=("BinaryCrossentropy", {"label_smoothing": 0.2})),
    "binary, Activation sigmoid": case([*hidden(16), ("Dense", {"units": 1}),
                                        ("Activation", {"activation": "sigmoid"})]),
    "binary, probabilities": case([*hidden(16), *SIGMOID, ("Flatten", {})]),
    "multilabel": case([*hidden(16), ("Dense", {"units": 4, "activation": "sigmoid"})], target="multilabel",
                       metrics=("accuracy", "binary_accuracy")),
    "regression": case([*plain("elu", "softsign"), ("Dense", {"units": 1})], target="regression",
                       loss="mse", metrics=("mae", "mse")),
    "regression of 3": case([*hidden(16, activation="leaky_relu"), ("Dense", {"units": 3})],
                            target="regression of 3", loss=("MeanSquaredError", {}),
                            metrics=(("MeanAbsoluteError", {}),)),
    "sample weights": case(weighted=True, weighted_metrics=("accuracy", "mse")),
    "sample weights, sum": case(weighted=True, loss=("BinaryCrossentropy", {"reduction": "sum"}),
                                optimizer=("SGD", {"learning_rate": 0.002})),
    "sample weights, mean": case(weighted=True, metrics=("mae",),
                                 loss=("BinaryCrossentropy", {"reduction": "mean_with_sample_weight"})),
    "class weights": case(class_weight={0: 0.5, 1: 2.0}, weighted_metrics=("accuracy",)),
    "class weights, one-hot": case([*hidden(16), *SOFTMAX], target="one-hot", loss="categorical_crossentropy",
                                   class_weight={0: 0.5, 2: 3.0}),
    "validation split": case(validation_split=0.25, epochs=40),
    "validation split, weighted": case(validation_split=0.2, epochs=34, weighted=True,
                                       weighted_metrics=("mae",)),
    "batch norm options": case([*hidden(16, momentum=0.8, epsilon=0.01), *hidden(8, center=False),
                                *hidden(8, scale=False), *SIGMOID]),
    "batch norm, frozen": case([*hidden(16, trainable=False), *hidden(8), *SIGMOID]),
    "rank 3": case([("BatchNormalization", {}), ("Dense", {"units": 6, "activation": "elu"}),
                    ("BatchNormalization", {"axis": 1}), ("Flatten", {}), ("Dense", {"units": 8}),
                    ("Activation", {"activation": "gelu"}), ("Dropout", {"rate": 0.0}), *SIGMOID],
                   shape=(5, 4)),
    "piecewise linear layers": case([("Dense", {"units": 12}), ("ReLU", {"max_value": 1.5}),
                                     ("Dense", {"units": 8}), ("LeakyReLU", {}), *SIGMOID], epochs=2),
}


# ------------------------------------------------------------------------------------------ training: the run

def build(keras, case):
    layers = [create(keras.layers, spec) for spec in case["layers"]]
    model = keras.Sequential([keras.Input(case["shape"]), *layers])
    model.compile(optimizer=create(keras.optimizers, case["optimizer"]),
                  loss=create(keras.losses, case["loss"]),
                  metrics=[create(keras.metrics, spec) for spec in case["metrics"]],
                  weighted_metrics=[create(keras.metrics, spec) for spec in case["weighted_metrics"]])
    return model


def start_weights(owner, spread=0.1, seed=3):
    """Glorot uniform matrices; around their initial values: biases, gamma, beta and moving statistics."""
    rng = np.random.default_rng(seed)

    def start(w):
        limit = np.sqrt(6 / sum(w.shape)) if w.ndim == 2 else spread
        return ((w if w.ndim == 1 else 0) + limit * (2 * rng.random(w.shape) - 1)).astype("float32")

    return [start(w) for w in owner.get_weights()]


def nudged(arrays, seed):
    rng = np.random.default_rng(seed)
    return [(w * (1 + NUDGE * rng.choice([-1, 1], w.shape))).astype("float32") for w in arrays]


def runs(keras, case, work, nudges=(None,)):
    """What `work(model, case)` gives for the model of a case with its start weights nudged by each of `nudges`, None for
    not at all. It is one model started anew, since Keras takes longer to trace a model than to train it."""
    model = build(keras, case)
    start = start_weights(model)
    model.optimizer.build(model.trainable_variables)
    state = [(variable, variable.numpy().copy()) for variable in model.optimizer.variables]
    found = []
    for nudge in nudges:
        model.set_weights(start if nudge is None else nudged(start, nudge))
        model.reset_metrics()
        for variable, value in state:
            variable.assign(value)
        found.append({key: np.asarray(value, "float32") for key, value in work(model, case).items()})
    return found


def trained(model, case):
    """All that a run shows, by name: history, weights in get_weights() order, evaluate, predict."""
    x, y, weights = dataset(case["shape"], case["target"])
    history = model.fit(x, y, sample_weight=weights if case["weighted"] else None, shuffle=False, verbose=0,
                        **case["fit"]).history
    seen = {f"history/{key}": values for key, values in history.items()}
    seen |= {f"weights/{i}": w for i, w in enumerate(model.get_weights())}
    evaluated = model.evaluate(x, y, batch_size=50, verbose=0, return_dict=True)
    seen |= {f"evaluate/{key}": value for key, value in evaluated.items()}
    return seen | {"predict": model.predict(x[:40], batch_size=32, verbose=0)}


def train(keras, case):
    """The one run of a case, with the start weights as they are."""
    return runs(keras, case, trained)[0]


def unmatchable(case):
    """Names of weights that no two implementations share.

    A Dense bias right before BatchNormalization has gradient 0 but for rounding noise. Adam turns the noise
    into steps of full length, and the moving mean goes where the bias goes."""
    names, position, idle = [], 0, False
    for kind, options in case["layers"]:
        if kind == "BatchNormalization":
            count = 2 + options.get("center", True) + options.get("scale", True)
            if idle and options.get("axis", -1) == -1 and options.get("trainable", True):
                names += [f"weights/{position - 1}", f"weights/{position + count - 2}"]
            position += count
        if kind == "Dense":
            position += 1 + options.get("use_bias", True)
        idle = kind == "Dense" and options.get("use_bias", True) and "activation" not in options
    return [] if case["optimizer"][0] == "SGD" else names


def deviation(runs, reference):
    """How far the runs stray from the reference at most, by name; in a history, up to each epoch."""
    far = {key: np.max([abs(run[key] - value) for run in runs], axis=0) for key, value in reference.items()}
    return {key: np.maximum.accumulate(d) if key.startswith("history") else d.max() for key, d in far.items()}


def problems(case, actual, expected, nudged):
    """What strays further from `expected` than SLACK times nudged runs of Keras do, or a nudge near 1."""
    found = [] if list(actual) == list(expected) else [f"{list(actual)} instead of {list(expected)}"]
    for key in [key for key in expected if key in actual and key not in unmatchable(case)]:
        value, reference = actual[key], expected[key]
        if value.shape != reference.shape:
            found.append(f"{key}: shape {value.shape} instead of {reference.shape}")
            continue
        tolerance = SLACK * np.maximum(nudged[key], NUDGE * max(1, float(abs(reference).max())))
        excess = float(np.max(abs(value - reference) / tolerance))
        if not excess <= 1:
            found.append(f"{key}: {excess:.3g} times the tolerance, which is {np.max(tolerance):.2g}")
    return found


# -------------------------------------------------------------------------------------- values with gradients

class Probe(NamedTuple):
    """A function of some arrays; with a layer, its weights are differentiated and read back as well."""
    call: Callable
    inputs: list
    layer: object = None


SMOOTH = [-1e6, -1000, -90, -50, -20.5, -12, -8.1, -5.5, -4.2, -2.3, -1.7, -0.7, -0.3, -0.1, -1e-4]
GRID = np.array(SMOOTH + [-v for v in reversed(SMOOTH)], "float32")
KINKS = np.array([-3, -1, -0.5, 0, 0.5, 1, 3, 6], "float32")
ROWS = np.array([[-20, 1.5, 0.3, 80], [0.1, 0.2, -0.4, 0], [-3, -2.5, -2.6, -9], [1e4, 0.7, -1e4, 5]],
                "float32")

ACTIVATIONS = [
    *((name, {}) for name in (
        "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "softplus", "softsign", "sigmoid",
        "log_sigmoid", "tanh", "silu", "swish", "gelu", "mish", "exponential", "hard_sigmoid", "hard_silu",
        "hard_swish", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus",
        "sparse_sigmoid", "squareplus", "linear")),
    ("relu", {"negative_slope": 0.1, "max_value": 5.0, "threshold": 0.5}),
    ("relu", {"threshold": -0.6}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 2.0}),
    ("gelu", {"approximate": True}),
    ("threshold", {"threshold": 0.6, "default_value": -2.0}),
]
ROW_ACTIVATIONS = [("softmax", {}), ("softmax", {"axis": 0}), ("log_softmax", {}), ("glu", {})]

TRUE = np.array([[0], [1], [1], [0], [0], [1], [0.3]], "float32")
PROBABILITY = np.array([[0.1], [0.9], [1], [1], [0], [1e-8], [0.5]], "float32")
LOGIT = np.array([[-3], [50], [-50], [100], [0.2], [-0.7], [2]], "float32")
TRUES = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [0.2, 0.5, 0.3]], "float32")
ONE_HOT = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0.2, 0.5, 0.3]], "float32")
LABELS = np.array([2, 1, 0, 1])
SHARES = np.array([[0.2, 0.3, 0.6], [1, 0, 0], [0.7, 0.2, 0.1], [1e-9, 2, 3]], "float32")
SCORES = np.array([[0.2, 0.3, 0.6], [100, 0, -20], [-5, 3, 2], [1e4, -1e4, 0]], "float32")

LOSSES = [
    ("BinaryCrossentropy", {}, TRUE, PROBABILITY),
    ("BinaryCrossentropy", {}, TRUES, ONE_HOT * 0.8 + 0.1),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, TRUE, PROBABILITY),
    ("BinaryCrossentropy", {"from_logits": True}, TRUE, LOGIT),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, TRUES, SCORES),
    ("CategoricalCrossentropy", {}, ONE_HOT, SHARES),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}, ONE_HOT, SHARES),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, SCORES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.3}, ONE_HOT, SCORES),
    ("SparseCategoricalCrossentropy", {}, LABELS, SHARES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, SCORES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[:, None], SCORES),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS, SHARES),
    ("MeanSquaredError", {}, TRUES, SCORES),
    ("MeanSquaredError", {}, TRUE[:, 0], LOGIT),
    ("MeanAbsoluteError", {}, TRUES, SCORES),
]
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none"]
ROW_WEIGHTS = np.array([1, 0, 2.5, 0.5, 3, 0, 1], "float32")

BATCH_NORMS = [  # options, shape, keyword arguments of the call
    ({}, (7, 3), {}),
    ({"center": False}, (7, 3), {}),
    ({"scale": False}, (7, 3), {}),
    ({"center": False, "scale": False}, (7, 3), {}),
    ({"momentum": 0.5, "epsilon": 0.1}, (7, 3), {}),
    ({"trainable": False}, (7, 3), {}),
    ({}, (4, 5, 3), {}),
    ({"axis": 1}, (4, 5, 3), {}),
    ({"axis": -2, "momentum": 0.9}, (4, 5, 3), {}),
    ({}, (3, 4, 2, 5), {}),
    ({"axis": 1}, (3, 4, 2, 5), {}),
    ({"axis": 2, "scale": False}, (3, 4, 2, 5), {}),
    ({}, (7, 3), {"mask": np.array([1, 1, 0, 1, 0, 1, 1], bool)}),
    ({"momentum": 0.7}, (4, 5, 3), {"mask": np.arange(20).reshape(4, 5) % 3 > 0}),
]
LAYERS = [
    ("Dense", {"units": 4}, (5, 3)),
    ("Dense", {"units": 4, "use_bias": False, "activation": "tanh"}, (2, 5, 3)),
    ("Dense", {"units": 2, "activation": "relu"}, (2, 3, 2, 4)),
    ("Flatten", {}, (2, 3, 4)),
    ("Flatten", {}, (5,)),
    ("Activation", {"activation": "gelu"}, (5, 3)),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.3, "threshold": 0.2}, (5, 3)),
    ("LeakyReLU", {}, (5, 3)),
    ("LeakyReLU", {"negative_slope": 0.05}, (5, 3)),
    ("Softmax", {}, (5, 3)),
    ("Softmax", {"axis": 1}, (2, 5, 3)),
    ("Dropout", {"rate": 0.4}, (5, 3)),
]


def title(name, options):
    return name + "".join(f" {key}={value}" for key, value in options.items())


def input_of(shape):
    """Columns of different scale and mean, never twice the same number."""
    x = np.random.default_rng(11).random(shape) * np.linspace(1, 4, shape[-1]) + np.linspace(-3, 1, shape[-1])
    return x.astype("float32")


def loss_of(loss, true, weights, predicted):
    return loss(true, predicted, sample_weight=weights)


def layer_probe(keras, dtype, kind, options, shape, **call):
    layer = getattr(keras.layers, kind)(dtype=dtype, **options)
    layer.build(shape)
    layer.set_weights(start_weights(layer, spread=0.5))
    return Probe(partial(layer, **call), [input_of(shape).astype(dtype)], layer)


def probes(keras, layer_dtype="float32"):
    """Every function whose value and gradients are compared, by name. Layers are recorded in float64, lest
    the rounding of Keras blur them."""
    found = {}
    for name, options in ACTIVATIONS:
        call = partial(keras.activations.get(name), **options)
        found[f"activation {title(name, options)}"] = Probe(call, [GRID])
    for name, options in ROW_ACTIVATIONS:
        call = partial(keras.activations.get(name), **options)
        found[f"activation {title(name, options)}"] = Probe(call, [ROWS])
        found[f"activation {title(name, options)} of rank 3"] = Probe(call, [input_of((2, 3, 4))])
    for i, (name, options, true, predicted) in enumerate(LOSSES):
        for reduction in REDUCTIONS:
            loss = getattr(keras.losses, name)(reduction=reduction, **options)
            weights = ROW_WEIGHTS[:len(true)]
            base = f"loss {i} {title(name, options)} {reduction}"
            for kind, w in ("", None), (" weights (n,)", weights), (" weights (n,1)", weights[:, None]):
                found[base + kind] = Probe(partial(loss_of, loss, true, w), [predicted])
    for i, (options, shape, call) in enumerate(BATCH_NORMS):
        for training in True, False:
            name = f"batch norm {i} {title('', options)} {shape}{' mask' * len(call)} training={training}"
            found[name] = layer_probe(keras, layer_dtype, "BatchNormalization", options, shape,
                                      training=training, **call)
    for i, (kind, options, shape) in enumerate(LAYERS):
        name = f"layer {i} {title(kind, options)} {shape}"
        found[name] = layer_probe(keras, layer_dtype, kind, options, shape, training=False)
    return found


def upstream_of(output):
    """The gradient that flows in: fixed, and not ones."""
    shape = np.shape(output)
    return np.cos(1 + np.arange(np.prod(shape, dtype=int))).reshape(shape).astype("float32")


# ------------------------------------------------------------------------------------- metrics and optimizers

HALF = np.array([[0.5], [0.5001], [0.2], [0.1], [0.5], [0.9], [0.6]], "float32")
TIES = np.array([[0.2, 0.4, 0.4], [0.1, 0.1, 0.1], [0.7, 0.2, 0.1], [0, 1, 2]], "float32")
SERIES = input_of((4, 5, 3))

METRICS = [  # class, options, the arguments of one update; weights come on top
    ("BinaryAccuracy", {}, (TRUE, HALF)),
    ("BinaryAccuracy", {}, (TRUE[:, 0], HALF)),
    ("BinaryAccuracy", {}, (TRUE, HALF[:, 0])),
    ("BinaryAccuracy", {"threshold": 0.15}, (TRUE, HALF)),
    ("BinaryAccuracy", {}, (TRUES, TIES)),
    ("Accuracy", {}, (LABELS, np.array([2, 0, 0, 1]))),
    ("Accuracy", {}, (TRUES, np.round(TIES))),
    ("CategoricalAccuracy", {}, (ONE_HOT, TIES)),
    ("CategoricalAccuracy", {}, (SERIES, SERIES[::-1])),
    ("SparseCategoricalAccuracy", {}, (LABELS, TIES)),
    ("SparseCategoricalAccuracy", {}, (LABELS[:, None], TIES)),
    ("SparseCategoricalAccuracy", {}, (np.arange(20).reshape(4, 5) % 3, SERIES)),
    ("Mean", {}, (TRUE,)),
    ("Mean", {}, (TRUES,)),
    ("Mean", {}, (SERIES,)),
    ("MeanSquaredError", {}, (TRUE, HALF)),
    ("MeanSquaredError", {}, (TRUE[:, 0], HALF)),
    ("MeanSquaredError", {}, (TRUES, TIES)),
    ("MeanAbsoluteError", {}, (TRUES, TIES)),
    ("MeanAbsoluteError", {}, (SERIES, SERIES[::-1])),
]


def metric_trace(keras, name, options, arguments):
    """Results after an update, one weighted by (n,), one by (n,1), one with fewer rows, and after a reset."""
    metric = getattr(keras.metrics, name)(**options)
    weights = ROW_WEIGHTS[:len(arguments[0])]
    results = []
    for w in None, weights, weights[:, None]:
        metric.update_state(*arguments, sample_weight=w)
        results.append(float(metric.result()))
    results.append(float(metric(*(a[1:] for a in arguments))))
    metric.reset_state()
    return np.array([*results, float(metric.result())], "float32")


OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"learning_rate": 0.1, "clipnorm": 0.5, "weight_decay": 0.3}),
    ("SGD", {"learning_rate": 0.1, "clipvalue": 0.5, "momentum": 0.3}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.1, "loss_scale_factor": 4.0, "clipvalue": 0.2}),
    ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3}),
    ("SGD", {"learning_rate": 0.1, "gradient_accumulation_steps": 3, "clipnorm": 0.5, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 0.01}),
    ("Adam", {"learning_rate": 0.1, "amsgrad": True, "beta_2": 0.5}),
    ("Adam", {"learning_rate": 0.1, "weight_decay": 0.2, "global_clipnorm": 1.0}),
    ("Adam", {"learning_rate": 0.1, "use_ema": True, "ema_overwrite_frequency": 4, "clipvalue": 0.3}),
    ("Adam", {"learning_rate": 0.1, "gradient_accumulation_steps": 2, "amsgrad": True}),
    ("Adam", {"learning_rate": 0.1, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.7,
              "ema_overwrite_frequency": 2}),
]


def optimizer_trace(keras, tensor, name, options, steps=12):
    """A (3,2) and a (2,) variable side by side after each step; gradients shrink a thousandfold meanwhile."""
    rng = np.random.default_rng(5)
    variables = [keras.Variable(rng.random(shape).astype("float32")) for shape in ((3, 2), (2,))]
    optimizer = getattr(keras.optimizers, name)(**options)
    trace = []
    for scale in np.geomspace(3, 0.003, steps):
        gradients = [tensor((scale * (2 * rng.random(v.shape) - 1)).astype("float32")) for v in variables]
        optimizer.apply_gradients(list(zip(gradients, variables)))
        trace.append(np.concatenate([np.ravel(v.numpy()) for v in variables]))
    return np.array(trace)


# --------------------------------------------------------------------------------------------- the real Keras

def record_values(keras, tf):
    def evaluate(probe):
        inputs = [tf.constant(a) for a in probe.inputs]
        sources = inputs + ([w.value for w in probe.layer.trainable_weights] if probe.layer else [])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = probe.call(*inputs)
        gradients = tape.gradient(y, sources, output_gradients=tf.cast(upstream_of(y), y.dtype),
                                  unconnected_gradients="zero")
        return [y, *gradients, *(probe.layer.get_weights() if probe.layer else [])]

    values = {}
    for name, probe in probes(keras, layer_dtype="float64").items():
        values |= {f"{name}|{i}": np.asarray(a, "float32") for i, a in enumerate(evaluate(probe))}
    for i, (name, options) in enumerate(ACTIVATIONS):
        values[f"kinks {i}"] = np.asarray(keras.activations.get(name)(tf.constant(KINKS), **options))
    for i, spec in enumerate(METRICS):
        values[f"metric {i}"] = metric_trace(keras, *spec)
    for i, spec in enumerate(OPTIMIZERS):
        values[f"optimizer {i}"] = optimizer_trace(keras, tf.constant, *spec)
    return values


def record_training(keras):
    training = {}
    for name, case in CASES.items():
        run, *others = runs(keras, case, trained, (None, *range(1, 6)))
        nudges = deviation(others, run)
        training |= {f"{name}|{key}": value for key, value in run.items()}
        training |= {f"{name}|{key}|nudged": np.float32(nudges[key]) for key in run}
        print(f"{name}: nudged, predict differs by {nudges['predict']:.1e}", flush=True)
        keras.utils.clear_session()
    return training


def main():
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    about = np.array(f"keras {keras.__version__}, tensorflow {tf.__version__}, numpy {np.__version__}")
    np.savez_compressed(FOLDER / "values.npz", about=about, **record_values(keras, tf))
    np.savez_compressed(FOLDER / "training.npz", about=about, **record_training(keras))


if __name__ == "__main__":
    main()
