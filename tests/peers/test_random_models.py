"""Two hundred random Keras programs, each run by the real Keras on TensorFlow and by minigrad.

A program is a text: what fails can be read, and run by hand. Both libraries start from the same weights; all that
training shows is compared: history (keys, order and values), weights, `evaluate`, `predict`. The tolerance is what a
nudge of the initial weights by 1e-6 does to Keras itself.
"""
import os
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_golden as golden

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:.*no gradient for", "ignore:.*ran out of data")]

PROGRAMS = 200
SLACK = golden.SLACK
COUNTED = ("acc", "auc", "coarse", "f1", "fbeta", "false_", "io_u", "pr", "recall", "sensitiv", "specific", "true_", "two")

# --------------------------------------------------------------------------------------- the random programs

ACTIVATIONS = ["tanh", "elu", "selu", "silu", "gelu", "softplus", "softsign", "sigmoid", "mish", "celu", "squareplus",
               "log_sigmoid", "exponential", "linear", "hard_sigmoid", "leaky_relu", "relu", "relu6", "hard_silu",
               "hard_tanh", "tanh_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "softmax", "log_softmax"]
CURVED = ["tanh", "silu", "gelu", "softplus", "softsign", "sigmoid", "mish", "squareplus", "log_sigmoid", "tanh_shrink",
          "softmax", "log_softmax"]  # everywhere; the others are linear, as far as the data may go
CENTERED = ["BatchNormalization", "LayerNormalization"]
HEADS = {  # target: (units, last activation), losses, metrics
    "binary": [(1, "sigmoid"), ["'binary_crossentropy'", "'mse'", "losses.BinaryCrossentropy(label_smoothing=0.1)",
                                "'hinge'", "losses.BinaryFocalCrossentropy()", "'squared_hinge'", "losses.Tversky(0.3)",
                                "losses.BinaryFocalCrossentropy(True, alpha=0.3, gamma=1.0)", "'poisson'"],
               ["'accuracy'", "'mae'", "metrics.AUC()", "metrics.Precision()", "metrics.Recall()",
                "metrics.BinaryAccuracy(threshold=0.4)", "metrics.AUC(curve='PR', name='pr')", "'mse'",
                "metrics.TruePositives()", "metrics.FalseNegatives()", "metrics.TrueNegatives(0.6)",
                "metrics.PrecisionAtRecall(0.6)", "metrics.SpecificityAtSensitivity(0.5)", "metrics.FalsePositives()",
                "metrics.RecallAtPrecision(0.5)", "metrics.SensitivityAtSpecificity(0.5)", "'squared_hinge'",
                "metrics.AUC(20, summation_method='majoring', name='coarse')", "metrics.BinaryIoU()",
                "metrics.BinaryCrossentropy(label_smoothing=0.1)", "metrics.Precision([0.4, 0.6], name='two')"]],
    "binary (n,)": [(1, "linear"), ["losses.BinaryCrossentropy(from_logits=True)",
                                    "losses.BinaryFocalCrossentropy(from_logits=True)", "'hinge'"],
                    ["'accuracy'", "'mse'", "metrics.AUC(from_logits=True)",
                     "metrics.BinaryAccuracy(threshold=0.0)"]],
    "multilabel": [(4, "sigmoid"), ["'binary_crossentropy'", "'mse'", "'mae'", "losses.Dice()", "'dice'",
                                    "losses.Tversky(0.3, 0.7, axis=(1,))"],
                   ["'binary_accuracy'", "metrics.F1Score(threshold=0.5)", "metrics.AUC(multi_label=True)",
                    "metrics.Precision(class_id=1)", "metrics.Recall(top_k=2)", "'accuracy'",
                    "metrics.FBetaScore(average='micro', beta=2.0, threshold=0.4)"]],
    "one-hot": [(4, "softmax"), ["'categorical_crossentropy'", "'mse'", "'kl_divergence'", "'poisson'",
                                 "losses.CategoricalCrossentropy(label_smoothing=0.1)", "'categorical_hinge'",
                                 "losses.CategoricalFocalCrossentropy()", "'mae'",
                                 "losses.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.3, 0.4], gamma=1.0)"],
                ["'accuracy'", "metrics.TopKCategoricalAccuracy(k=2)", "metrics.F1Score(average='macro')",
                 "'kl_divergence'", "metrics.CategoricalCrossentropy()", "metrics.AUC()", "metrics.CategoricalHinge()",
                 "metrics.OneHotMeanIoU(4)", "metrics.OneHotIoU(4, [0, 2])", "metrics.FBetaScore(average='weighted')",
                 "metrics.Precision(top_k=1)", "metrics.Poisson()"]],
    "labels": [(4, "softmax"), ["'sparse_categorical_crossentropy'",
                                "losses.SparseCategoricalCrossentropy(ignore_class=2)",
                                "losses.CategoricalGeneralizedCrossEntropy()"],
               ["'accuracy'", "metrics.SparseTopKCategoricalAccuracy(k=2)",
                "metrics.SparseCategoricalCrossentropy()", "metrics.MeanIoU(4, sparse_y_pred=False)"]],
    "labels (n,1)": [(4, "linear"), ["losses.SparseCategoricalCrossentropy(from_logits=True)"],
                     ["'acc'", "metrics.SparseCategoricalCrossentropy(from_logits=True)"]],
    "regression": [(1, "linear"), ["'mse'", "'mae'", "losses.Huber(delta=0.5)", "'log_cosh'",
                                   "losses.MeanSquaredError(reduction='sum')"],
                   ["'mae'", "'mse'", "metrics.RootMeanSquaredError()", "metrics.R2Score()",
                    "metrics.MeanAbsolutePercentageError()", "metrics.LogCoshError()"]],
    "regression of 3": [(3, "linear"), ["'mse'", "losses.CosineSimilarity()", "'huber'", "'log_cosh'",
                                        "losses.MeanSquaredError(reduction='mean_with_sample_weight')",
                                        "losses.MeanAbsoluteError(reduction='sum')"],
                        ["'mae'", "metrics.CosineSimilarity()", "metrics.R2Score()", "metrics.LogCoshError()",
                         "metrics.R2Score(class_aggregation='variance_weighted_average', name='r2')"]],
}
PENALTIES = ["regularizers.L2(0.01)", "regularizers.L1(0.002)", "'l2'", "regularizers.L1L2(0.001, 0.01)"]
CONSTRAINTS = ["constraints.MaxNorm(1.0)", "constraints.UnitNorm()", "'non_neg'",
               "constraints.MinMaxNorm(0.3, 0.9, rate=0.5)", "constraints.MaxNorm(0.8, axis=1)"]
OPTIMIZERS = {  # options of each, one of which is chosen
    "SGD": ["0.02", "0.02, momentum=0.9", "0.02, momentum=0.9, nesterov=True"],
    "Adam": ["0.005", "0.005, beta_2=0.95", "0.005, amsgrad=True", "0.005, epsilon=0.001"],
    "AdamW": ["0.005", "0.005, weight_decay=0.05"],
    "RMSprop": ["0.003", "0.003, momentum=0.8", "0.003, centered=True", "0.003, rho=0.8, momentum=0.5, centered=True"],
    "Adagrad": ["0.05", "0.05, initial_accumulator_value=0.5"],
    "Adadelta": ["1.0", "1.0, rho=0.8, epsilon=0.001"],
    "Nadam": ["0.005", "0.005, beta_1=0.8"],
    "Adamax": ["0.005", "0.005, beta_2=0.9"],
    "Ftrl": ["0.05", "0.05, l1_regularization_strength=0.01, l2_regularization_strength=0.01, beta=0.1",
             "0.05, learning_rate_power=-0.4, l2_shrinkage_regularization_strength=0.01"],
    "Adafactor": ["0.01", "0.01, relative_step=False, clip_threshold=0.5", "0.01, beta_2_decay=-0.6"],
    "Lion": ["0.001", "0.001, beta_2=0.9"],
}
SCHEDULES = ["ExponentialDecay({}, 5, 0.8)", "PiecewiseConstantDecay([4, 9], [{}, 0.003, 0.001])",
             "PolynomialDecay({}, 12, 0.0005, power=2.0)", "CosineDecay({}, 15, alpha=0.1)",
             "CosineDecay(0.0001, 15, warmup_target={}, warmup_steps=5)", "InverseTimeDecay({}, 5, 0.5)",
             "CosineDecayRestarts({}, 6)", "ExponentialDecay({}, 4, 0.5, staircase=True)",
             "PolynomialDecay({}, 4, 0.0005, cycle=True)"]
TAILS = ["clipnorm=0.3", "clipvalue=0.02", "global_clipnorm=0.5", "use_ema=True, ema_momentum=0.9",
         "use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=4", "gradient_accumulation_steps=2",
         "weight_decay=0.02", "loss_scale_factor=8.0"]
CALLBACKS = ["callbacks.ReduceLROnPlateau(monitor='loss', patience=1, factor=0.5, min_delta=1.0)",
             "callbacks.LearningRateScheduler(lambda epoch, rate: 0.7 * rate)",
             "callbacks.EarlyStopping(monitor='loss', patience=1, min_delta=10.0, restore_best_weights=True)",
             "callbacks.TerminateOnNaN()"]
EXTRAS = ["layers.Dropout(0.0)", "layers.GaussianNoise(0.0)", "layers.GaussianDropout(0.0)", "layers.AlphaDropout(0.0)",
          "layers.Rescaling(0.5, offset=0.1)", "layers.Identity()", "layers.ActivityRegularization(l2=0.001)",
          "layers.ReLU(max_value=3.0, negative_slope=0.1)", "layers.ReLU(threshold=0.1, negative_slope=0.2)",
          "layers.LeakyReLU()", "layers.PReLU()", "layers.PReLU(alpha_regularizer='l2', alpha_constraint='non_neg')",
          "layers.ELU(alpha=0.5)", "layers.Activation('tanh')", "layers.Softmax()", "layers.UnitNormalization()",
          "layers.RepeatVector(2), layers.Flatten()", "layers.Reshape((-1, 1)), layers.Flatten()",
          "layers.Activation(activations.softsign)"]
RANK_3 = ["layers.Permute((2, 1))", "layers.Reshape((4, 3))", "layers.Reshape((2, -1))", "layers.Softmax(axis=1)",
          "layers.BatchNormalization(axis=1)", "layers.LayerNormalization(axis=1)", "layers.BatchNormalization()",
          "layers.LayerNormalization(axis=[1, 2])", "layers.RMSNormalization()", "layers.PReLU(shared_axes=[1])",
          "layers.UnitNormalization(axis=1)", "layers.UnitNormalization(axis=[1, 2])", "layers.Activation('softmax')",
          "layers.BatchNormalization(axis=1, momentum=0.8, scale=False)", "layers.Dropout(0.0, noise_shape=(None, 1, 4))"]


def without_idle_shifts(layers):
    """No bias, no beta where all that follows is linear, up to a BatchNormalization which takes it away again."""
    idle, kept = False, []
    for line in reversed(layers):
        kind = line.removeprefix("layers.").partition("(")[0]
        curve = re.search(rf"['.]({'|'.join(CURVED)})['),]", line)
        shift = "use_bias" if kind == "Dense" and not curve else "center" if kind in CENTERED else None
        if idle and shift and shift not in line:
            line = f"{line[:-1]}, {shift}=False)".replace("(, ", "(")
        curved = curve or kind in ("LayerNormalization", "RMSNormalization", "UnitNormalization", "Softmax")
        idle = kind == "BatchNormalization" or idle and not curved
        kept.insert(0, line)
    return kept


class Author:
    """Writes one random program.

    Left out is what no two implementations share: shifts before BatchNormalization, whose gradient is rounding noise,
    which Adam turns into steps of full length; activations that jump (hard_shrink, threshold); correlations, which
    magnify the rounding of an output that is nearly constant. And where minigrad is not to be like Keras: targets (n,)
    beside outputs (n, 1) in metrics which Keras then refuses or broadcasts to (n, n); IoU with fractional weights,
    which Keras cuts off; counts at several thresholds, whose history Keras on TensorFlow overwrites in validation;
    a number of steps which is no multiple of `steps_per_execution`, where Keras takes further steps.
    """

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.target = list(HEADS)[seed % len(HEADS)]

    def pick(self, values):
        return values[self.random.integers(len(values))]

    def maybe(self, text, values, chance=0.25):
        """`, name=value` now and then."""
        return f", {text}={self.pick(values)}" if self.random.random() < chance else ""

    def dense(self):
        return (f"layers.Dense({self.pick(range(3, 14))}, '{self.pick(ACTIVATIONS)}'" +
                self.maybe("use_bias", ["False"]) + self.maybe("kernel_regularizer", PENALTIES) +
                self.maybe("bias_regularizer", PENALTIES, 0.1) + self.maybe("kernel_constraint", CONSTRAINTS, 0.15) +
                self.maybe("activity_regularizer", ["'l2'", "regularizers.L1(0.001)"], 0.1) +
                self.maybe("trainable", ["False"], 0.05) + ")")

    def normalization(self):
        epsilon = self.maybe("epsilon", ["0.01", "0.1"])
        common = (self.maybe("center", ["False"]) + self.maybe("scale", ["False"]) + epsilon +
                  self.maybe("gamma_regularizer", PENALTIES, 0.1) + self.maybe("beta_constraint", ["'non_neg'"], 0.1))
        name = self.pick(["Batch", "Batch", "Batch", "Layer", "RMS"])
        options = {"Batch": common + self.maybe("momentum", ["0.9", "0.5"]) + self.maybe("trainable", ["False"], 0.1),
                   "Layer": common, "RMS": epsilon}[name]
        return f"layers.{name}Normalization({options[2:]})"

    def block(self):
        dense, norm = self.dense(), self.normalization()
        return [dense] if self.pick([True, False, False]) else [dense, norm]

    def optimizer(self):
        name = self.pick(list(OPTIMIZERS))
        rate, *rest = self.pick(OPTIMIZERS[name]).split(", ")
        if self.random.random() < 0.25:
            rate = f"optimizers.schedules.{self.pick(SCHEDULES)}".format(rate)
        tail = [self.pick(TAILS)] if self.random.random() < 0.5 else []
        if name == "AdamW" and "weight_decay" in "".join(tail):
            tail = []
        return f"optimizers.{name}({', '.join([rate, *rest, *tail])})"

    def layers(self, shape):
        if len(shape) == 3:
            yield self.pick(["layers.BatchNormalization(axis=2)", "layers.Permute((3, 1, 2))",
                             "layers.PReLU(shared_axes=[1, 3])", "layers.LayerNormalization(axis=[1, 3])"])
            yield self.dense()
        if len(shape) == 2:
            for _ in range(self.pick([0, 1, 2])):
                yield self.pick([self.dense(), self.pick(RANK_3)])
        if len(shape) > 1:
            yield "layers.Flatten()"
        elif self.pick([True, False, False, False]):
            yield "layers.Normalization(mean=0.5, variance=2.0)"
        for _ in range(self.pick([1, 2, 2])):
            yield from self.block()
            if self.pick([True, False]):
                yield self.pick(EXTRAS)

    def fit(self, weighted):
        yield f"batch_size={self.pick([16, 30, 50])}, epochs={self.pick([2, 3])}, shuffle=False"
        if weighted == "sample_weight":
            yield "sample_weight=weights"
        if weighted == "class_weight" and not self.target.startswith(("regression", "multilabel")):
            yield "class_weight={0: 0.5, 1: 2.0}"
        yield from self.pick([[], [], ["validation_split=0.2"], ["validation_data=(x[:40], y[:40])"],
                              ["validation_data=(x[:40], y[:40])", "validation_batch_size=25", "validation_steps=1"],
                              ["validation_data=(x[:40], y[:40], weights[:40])", "validation_freq=2"]])
        yield from self.pick([[]] * 8 + [["initial_epoch=1"], ["steps_per_epoch=2"]])

    def program(self):
        """(text, shape of a row): it defines `model` and `fit`, the arguments of fit, out of x, y and weights."""
        (units, last), losses, metrics = HEADS[self.target]
        shape = self.pick([(12,), (7,), (3, 4), (2, 3, 2)])
        lines = [*without_idle_shifts([*self.layers(shape)]), f"layers.Dense({units}, '{last}')"]
        weighted = self.pick([None, None, "sample_weight", "class_weight"])
        arguments = [*self.fit(weighted)]
        optimizer = self.optimizer()
        if self.random.random() < 0.3 and "schedules" not in optimizer:
            arguments.append(f"callbacks=[{self.pick(CALLBACKS)}]")
        own = sorted({self.pick(metrics) for _ in range(3)})
        whole = [metric for metric in metrics if "IoU" not in metric]
        beside = [self.pick(whole)] if weighted and self.target != "labels (n,1)" else []
        loss = self.pick(losses)
        options = ", loss_weights=[0.02]" if "'sum'" in loss else self.maybe("loss_weights", ["[0.5]"], 0.1) + self.maybe("steps_per_execution", ["2"], 0.05)
        if "validation_steps=1" in arguments:
            options = options.replace(", steps_per_execution=2", "")
        text = [f"model = keras.Sequential([layers.Input({shape}),", *[f"    {line}," for line in lines], "])",
                f"model.compile({optimizer}, loss={loss}{options},",
                f"    metrics=[{', '.join(own)}], weighted_metrics=[{', '.join(beside)}])",
                f"fit = dict({', '.join(arguments)})"]
        return "\n".join(text), shape


# ---------------------------------------------------------------------------------------------- the two sides

MODULES = ["activations", "layers", "optimizers", "losses", "metrics", "regularizers", "constraints", "callbacks"]


class Run:
    """A program in one library; `train` may be called again with other initial weights."""

    def __init__(self, keras, text, shape, target):
        self.x, self.y, self.weights = golden.dataset(shape, target, rows=150)
        names = {"keras": keras, "x": self.x, "y": self.y, "weights": self.weights}
        names |= {module: getattr(keras, module) for module in MODULES}
        keras.utils.clear_session(free_memory=False)
        exec(text, names)
        self.text, self.names, self.model = text, names, names["model"]
        self.model.jit_compile = False  # XLA would compile longer than such a network trains
        self.model.optimizer.build(self.model.trainable_variables)
        self.start = golden.start_weights(self.model)
        self.fresh = [np.array(v.numpy()) for v in self.model.optimizer.variables]

    def train(self, start):
        model = self.model
        model.set_weights(start)
        for variable, value in zip(model.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)
        exec(self.text.splitlines()[-1], self.names)  # `fit` anew: callbacks in their first state
        history = model.fit(self.x, self.y, verbose=0, **self.names["fit"]).history
        seen = {f"history/{key}": values for key, values in history.items()}
        seen |= {f"weights/{i} {v.path}": v.numpy() for i, v in enumerate(model.weights)}
        seen |= {f"evaluate/{k}": v for k, v in
                 model.evaluate(self.x, self.y, batch_size=50, verbose=0, return_dict=True).items()}
        seen["predict"] = model.predict(self.x[:40], batch_size=32, verbose=0)
        return {key: np.asarray(value, "float32") for key, value in seen.items()}


def flipped(key):
    """The share of a metric that counts rows which is allowed for one on the edge of a threshold, pushed over it."""
    kind, _, name = key.partition("/")
    if kind not in ("history", "evaluate") or not re.sub(r"^(val_)?(o\d_)?(weighted_)?", "", name).startswith(COUNTED):
        return 0
    return 0.04 if name.startswith("val_") else 0.015


def problems(actual, expected, nudged):
    """What strays further from `expected` than SLACK times the nudged run of Keras does, or a nudge near 1."""
    found = []
    names = [key.split()[0] for key in expected]
    if [key.split()[0] for key in actual] != names:
        found.append(f"{list(actual)} instead of {list(expected)}")
    ours = {key.split()[0]: value for key, value in actual.items()}
    for key, reference in expected.items():
        value = ours.get(key.split()[0])
        if value is None or value.shape != reference.shape:
            found.append(f"{key}: shape {None if value is None else value.shape} instead of {reference.shape}")
            continue
        spread = float(np.max(abs(nudged[key] - reference), initial=0))
        size = max(1.0, float(np.max(abs(reference), initial=0)))
        allowed = SLACK * max(spread, golden.NUDGE * size) + flipped(key) * size
        excess = float(np.max(abs(value - reference), initial=0)) / allowed
        if not excess <= 1:
            found.append(f"{key}: {excess:.3g} times the tolerance, which is {allowed:.2g}")
    return found


@pytest.fixture
def keras():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras")
        yield keras
        keras.utils.clear_session(free_memory=False)


def run_keras(keras, program):
    """What Keras shows, as it is and nudged."""
    theirs = Run(keras, *program)
    expected, nudged = theirs.train(theirs.start), theirs.train(golden.nudged(theirs.start, seed=1))
    assert all(np.isfinite(value).all() for value in expected.values()), f"{program[0]}\ndiverges: nothing to compare"
    return expected, nudged


def run_ours(program):
    ours = Run(minigrad, *program)
    return ours.train(ours.start)


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_random_program(seed, keras):
    author = Author(seed)
    program = (*author.program(), author.target)
    found = problems(run_ours(program), *run_keras(keras, program))
    assert not found, f"\n{program[0]}\n" + "\n".join(found)


# ---------------------------------------------------------------------- what the comparison sees: altered programs

ALTERED = [
    ("""model = keras.Sequential([layers.Input((12,)),
    layers.Dense(8, 'tanh', kernel_regularizer=regularizers.L2(0.01)), layers.BatchNormalization(momentum=0.9),
    layers.Dense(6, 'elu'), layers.BatchNormalization(), layers.Dense(1, 'sigmoid')])
model.compile(optimizers.Adam(0.005, epsilon=0.001, weight_decay=0.02),
    losses.BinaryCrossentropy(label_smoothing=0.1), metrics=['mae'])
fit = dict(batch_size=30, epochs=2, shuffle=False, sample_weight=weights, validation_split=0.2)""",
     (12,), "binary", [
         ("momentum=0.9)", "momentum=0.901)"), ("Normalization()", "Normalization(epsilon=0.0011)"),
         ("Normalization()", "Normalization(momentum=0.9901)"), ("0.005", "0.00501"), ("epsilon=0.001", "epsilon=0.00101"),
         ("weight_decay=0.02", "weight_decay=0.021"), ("weight_decay", "beta_2=0.9991, weight_decay"),
         ("weight_decay", "beta_1=0.901, weight_decay"), ("L2(0.01)", "L2(0.0101)"), ("smoothing=0.1", "smoothing=0.101"),
         ("=weights", "=1.001 * weights"), ("split=0.2", "split=0.21"), ("'tanh'", "lambda x: 1.0001 * activations.tanh(x)"),
     ]),
    ("""model = keras.Sequential([layers.Input((7,)), layers.Dense(9, 'silu', kernel_constraint=constraints.MaxNorm(0.8)),
    layers.LayerNormalization(), layers.Dense(4, 'softmax', use_bias=True)])
model.compile(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.05, 5, 0.8), momentum=0.9, nesterov=True,
    global_clipnorm=0.2, use_ema=True, ema_momentum=0.9), 'categorical_crossentropy', metrics=['kl_divergence'])
fit = dict(batch_size=50, epochs=3, shuffle=False, class_weight={0: 0.5, 1: 2.0})""",
     (7,), "one-hot", [
         ("momentum=0.9, n", "momentum=0.901, n"), ("nesterov=True", "nesterov=False"), ("0.05, 5", "0.05, 5.01"),
         ("clipnorm=0.2", "clipnorm=0.2002"), ("ema_momentum=0.9", "ema_momentum=0.901"), ("1: 2.0", "1: 2.002"),
         ("MaxNorm(0.8)", "MaxNorm(0.8008)"), ("Normalization()", "Normalization(epsilon=0.00101)"),
         ("global_clip", "clip"), ("use_bias=True", "use_bias=True, bias_regularizer=regularizers.L1(1e-4)"),
     ]),
]


@pytest.mark.parametrize("text, shape, target, alterations", ALTERED)
def test_slight_alterations_are_seen(text, shape, target, alterations, keras):
    seen = run_keras(keras, (text, shape, target))
    assert not problems(run_ours((text, shape, target)), *seen)
    assert all(text.count(old) == 1 for old, _ in alterations)
    unseen = [(old, new) for old, new in alterations
              if not problems(run_ours((text.replace(old, new), shape, target)), *seen)]
    assert not unseen
