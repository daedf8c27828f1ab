"""The optimizers in plain NumPy, one variable at a time in float64, as Keras orders what they do."""

import math

import numpy as np
import pytest

from minigrad import Variable
from minigrad import optimizers as O

RATE = 0.0625  # exact in float32, in which a learning rate is kept until the weights' dtype is known
SHAPES = {"kernel": (3, 5), "bias": (5,), "scalar": (), "gamma": (33,)}  # no multiples of a cache line


def hooked(base, ops):
    """`base` with every method overridden that Keras' own step calls; `ops` are those of its library."""

    class Hooked(base):
        def add_variable(self, shape, initializer="zeros", dtype=None, **options):
            initializer = "ones" if initializer == "zeros" and dtype == "float32" else initializer
            return super().add_variable(shape, initializer, dtype, **options)

        def apply_gradients(self, grads_and_vars):
            return super().apply_gradients([(g - ops.mean(g, axis=-1, keepdims=True) if len(v.shape) > 1 else g, v)
                                            for g, v in grads_and_vars])

        def apply(self, grads, trainable_variables=None):
            norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in grads))
            super().apply([g * ops.minimum(1.0, 2.0 / norm) for g in grads], trainable_variables)

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient * 0.5, variable, learning_rate * 0.75)

        def assign(self, variable, value):
            is_weight = variable.trainable and base.__name__ != "Nadam"  # whose product is trainable in Keras
            super().assign(variable, value * (0.875 if is_weight else 1.0))

        def assign_add(self, variable, value):
            super().assign_add(variable, value * (0.75 if variable.trainable else 1.0))

        def assign_sub(self, variable, value):
            super().assign_sub(variable, value * (0.625 if variable.trainable else 1.0))

    return Hooked


class Reference:
    """The same arithmetic in plain NumPy: one step of several variables, as Keras orders it."""

    def __init__(self, rule, values, excluded=(), constraints=None, **options):
        self.rule, self.values, self.excluded = rule, [v.copy() for v in values], excluded
        self.constraints = constraints or {}
        self.options = {
            "learning_rate": 0.01,
            "weight_decay": None,
            "clipnorm": None,
            "clipvalue": None,
            "global_clipnorm": None,
            "use_ema": False,
            "ema_momentum": 0.99,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
            **options,
        }
        self.slots = [{} for _ in values]
        self.sums = [np.zeros_like(v) for v in values]
        self.averages = [v.copy() for v in values]
        self.calls = self.updates = 0

    def step(self, grads):
        o = self.options
        every = o["gradient_accumulation_steps"]
        done = self.updates  # what the moving average goes by, in every call
        self.calls += 1
        if not every:
            self._update(grads)
        else:
            self.sums = [s + g for s, g in zip(self.sums, grads, strict=True)]
            if self.calls % every == 0:
                grads, self.sums = [s / every for s in self.sums], [np.zeros_like(s) for s in self.sums]
                self._update(grads)
        k = o["ema_momentum"] if done else 0
        overwrites = (
            o["use_ema"] and o["ema_overwrite_frequency"] and (done + 1) % o["ema_overwrite_frequency"] == 0
        )
        for i, w in enumerate(self.values):
            self.averages[i] = k * self.averages[i] + (1 - k) * w
            w = self.averages[i].copy() if overwrites else w
            self.values[i] = self.constraints.get(i, lambda w: w)(w)

    def _update(self, grads):
        o = self.options
        if o["loss_scale_factor"]:
            grads = [g / o["loss_scale_factor"] for g in grads]
        if o["clipnorm"]:
            grads = [g * o["clipnorm"] / max(np.linalg.norm(g), o["clipnorm"]) for g in grads]
        if o["clipvalue"]:
            grads = [np.clip(g, -o["clipvalue"], o["clipvalue"]) for g in grads]
        if o["global_clipnorm"]:
            norm = math.sqrt(sum((g**2).sum() for g in grads))
            grads = [g * o["global_clipnorm"] / max(norm, o["global_clipnorm"]) for g in grads]
        self.updates += 1
        for i, g in enumerate(grads):
            w = self.values[i]
            if o["weight_decay"] and i not in self.excluded:
                w = w - w * o["weight_decay"] * o["learning_rate"]
            self.values[i] = self.rule(w, g, self.slots[i], o["learning_rate"], self.updates)


def descend(w, g, slots, lr, t):
    return w - lr * g


def with_momentum(mu, nesterov=False):
    def rule(w, g, slots, lr, t):
        m = slots["m"] = mu * slots.get("m", 0) - lr * g
        return w + (mu * m - lr * g if nesterov else m)

    return rule


def adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    def rule(w, g, slots, lr, t):
        m = slots["m"] = slots.get("m", 0) + (g - slots.get("m", 0)) * (1 - beta_1)
        v = slots["v"] = slots.get("v", 0) + (g * g - slots.get("v", 0)) * (1 - beta_2)
        if amsgrad:
            v = slots["top"] = np.maximum(slots.get("top", 0), v)
        return w - lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)

    return rule


def rmsprop(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def rule(w, g, slots, lr, t):
        s = slots["s"] = rho * slots.get("s", 0) + (1 - rho) * g * g
        a = slots["a"] = rho * slots.get("a", 0) + (1 - rho) * g if centered else 0.0
        m = slots["m"] = momentum * slots.get("m", 0) + lr * g / np.sqrt(s - a * a + epsilon)
        return w - m

    return rule


def adamax(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    def rule(w, g, slots, lr, t):
        m = slots["m"] = slots.get("m", 0) + (g - slots.get("m", 0)) * (1 - beta_1)
        u = slots["u"] = np.maximum(beta_2 * slots.get("u", 0), abs(g))
        return w - lr * m / ((1 - beta_1**t) * (u + epsilon))

    return rule


def nadam(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    def momentum(t):
        return beta_1 * (1 - 0.5 * 0.96**t)

    def rule(w, g, slots, lr, t):
        m = slots["m"] = slots.get("m", 0) + (g - slots.get("m", 0)) * (1 - beta_1)
        v = slots["v"] = slots.get("v", 0) + (g * g - slots.get("v", 0)) * (1 - beta_2)
        product = math.prod(momentum(i) for i in range(1, t + 1))
        ahead = momentum(t + 1) * m / (1 - product * momentum(t + 1)) + (1 - momentum(t)) * g / (1 - product)
        return w - lr * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)

    return rule


def adagrad(initial=0.1, epsilon=1e-7):
    def rule(w, g, slots, lr, t):
        s = slots["s"] = slots.get("s", initial) + g * g
        return w - lr * g / np.sqrt(s + epsilon)

    return rule


def adadelta(rho=0.95, epsilon=1e-7):
    def rule(w, g, slots, lr, t):
        s = slots["s"] = rho * slots.get("s", 0) + (1 - rho) * g * g
        d = g * np.sqrt(slots.get("x", 0) + epsilon) / np.sqrt(s + epsilon)
        slots["x"] = rho * slots.get("x", 0) + (1 - rho) * d * d
        return w - lr * d

    return rule


def lion(beta_1=0.9, beta_2=0.99):
    def rule(w, g, slots, lr, t):
        m = slots.get("m", 0)
        slots["m"] = beta_2 * m + (1 - beta_2) * g
        return w - lr * np.sign(beta_1 * m + (1 - beta_1) * g)

    return rule


def ftrl(power=-0.5, initial=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    def rule(w, g, slots, lr, t):
        s = slots.get("s", initial)
        after = slots["s"] = s + g * g
        sigma = (after**-power - s**-power) / lr
        z = slots["z"] = slots.get("z", 0) + g + 2 * shrinkage * w - sigma * w
        return (np.clip(z, -l1, l1) - z) / (after**-power / lr + 2 * (l2 + beta / (2 * lr)))

    return rule


def adafactor(decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, threshold=1.0):
    def rms(x):
        return np.sqrt((x * x).mean())

    def rule(w, g, slots, lr, t):
        b, s = 1 - t**decay, g * g + epsilon_1
        if w.ndim < 2:
            v = slots["v"] = b * slots.get("v", 0) + (1 - b) * s
        else:
            r = slots["r"] = b * slots.get("r", 0) + (1 - b) * s.mean(-1)
            c = slots["c"] = b * slots.get("c", 0) + (1 - b) * s.mean(-2)
            v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
        u = g / np.sqrt(v)
        return w - max(epsilon_2, rms(w)) * min(lr, t**-0.5) * u / max(1, rms(u) / threshold)

    return rule


RULES = {
    "SGD": (O.SGD, {}, descend),
    "SGD momentum": (O.SGD, {"momentum": 0.9}, with_momentum(0.9)),
    "SGD nesterov": (O.SGD, {"momentum": 0.7, "nesterov": True}, with_momentum(0.7, True)),
    "SGD nesterov alone": (O.SGD, {"nesterov": True}, descend),
    "Adam": (O.Adam, {}, adam()),
    "Adam settings": (O.Adam, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}, adam(0.5, 0.9, 0.1)),
    "Adam without memory": (O.Adam, {"beta_1": 0.0, "beta_2": 0.0}, adam(0.0, 0.0)),
    "Adam amsgrad": (O.Adam, {"amsgrad": True, "beta_2": 0.5}, adam(beta_2=0.5, amsgrad=True)),
    "AdamW": (O.AdamW, {"weight_decay": 0.0}, adam()),
    "RMSprop": (O.RMSprop, {}, rmsprop()),
    "RMSprop momentum": (O.RMSprop, {"momentum": 0.5, "rho": 0.8}, rmsprop(0.8, 0.5)),
    "RMSprop centered": (O.RMSprop, {"centered": True, "epsilon": 1e-3}, rmsprop(0.9, 0.0, 1e-3, True)),
    "RMSprop in full": (
        O.RMSprop,
        {"momentum": 0.9, "centered": True, "epsilon": 1e-3},
        rmsprop(0.9, 0.9, 1e-3, True),
    ),
    "Adagrad": (O.Adagrad, {}, adagrad()),
    "Adagrad settings": (O.Adagrad, {"initial_accumulator_value": 0.0, "epsilon": 0.01}, adagrad(0.0, 0.01)),
    "Adadelta": (O.Adadelta, {}, adadelta()),
    "Adadelta settings": (O.Adadelta, {"rho": 0.5, "epsilon": 0.01}, adadelta(0.5, 0.01)),
    "Adamax": (O.Adamax, {}, adamax()),
    "Adamax settings": (O.Adamax, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.1}, adamax(0.5, 0.8, 0.1)),
    "Nadam": (O.Nadam, {}, nadam()),
    "Nadam settings": (O.Nadam, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.1}, nadam(0.5, 0.8, 0.1)),
    "Lion": (O.Lion, {}, lion()),
    "Lion settings": (O.Lion, {"beta_1": 0.5, "beta_2": 0.7}, lion(0.5, 0.7)),
    "Ftrl": (O.Ftrl, {}, ftrl()),
    "Ftrl settings": (
        O.Ftrl,
        {
            "learning_rate_power": -0.7,
            "initial_accumulator_value": 0.3,
            "l1_regularization_strength": 0.2,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.05,
            "beta": 0.4,
        },
        ftrl(-0.7, 0.3, 0.2, 0.1, 0.05, 0.4),
    ),
    "Adafactor": (O.Adafactor, {}, adafactor()),
    "Adafactor settings": (
        O.Adafactor,
        {"beta_2_decay": -0.5, "epsilon_1": 1e-6, "epsilon_2": 0.1, "clip_threshold": 0.5},
        adafactor(-0.5, 1e-6, 0.1, 0.5),
    ),
}

OPTIONS = {
    "plain": {},
    "clipnorm": {"clipnorm": 1.5},
    "clipnorm, never reached": {"clipnorm": 1e6},
    "clipvalue": {"clipvalue": 0.5},
    "global_clipnorm": {"global_clipnorm": 2.0},
    "weight_decay": {"weight_decay": 0.3},
    "weight_decay 0": {"weight_decay": 0.0},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema overwrites": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "loss scale": {"loss_scale_factor": 64.0},
    "everything": {
        "global_clipnorm": 1.0,
        "weight_decay": 0.1,
        "use_ema": True,
        "ema_momentum": 0.9,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
        "loss_scale_factor": 8.0,
    },
}


def pairs(rules, with_all):
    """(rule, options) of a test: every rule plainly and with everything, some rules with each option.

    An option is the business of `Optimizer`, not of the rule below it: what meets is the rule's slots and the option's.
    """
    return pytest.mark.parametrize("rule, options", [
        pytest.param(rule, options, id=f"{rule}-{name}")
        for rule in rules
        for name, options in OPTIONS.items()
        if rule in with_all or name in ("plain", "everything")
    ])


def variables(dtype="float64", seed=0):
    generator = np.random.default_rng(seed)
    made = [
        Variable(generator.standard_normal(shape), dtype=dtype, name=name) for name, shape in SHAPES.items()
    ]
    for v in made:
        v.path = f"layer/{v.name}"
    return made


def gradients(step, dtype="float64"):
    """Some of them small, some large."""
    generator = np.random.default_rng(100 + step)
    return [
        np.asarray(10 ** generator.uniform(-2, 1) * generator.standard_normal(shape).astype(dtype), dtype)
        for shape in SHAPES.values()
    ]
