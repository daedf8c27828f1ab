"""The optimizers. Each is a table of arguments, the slots that it keeps, and the kernel of its formula."""

import math

import numpy as np

from minigrad import kernels as K
from minigrad import ops
from minigrad.configurable import Number
from minigrad.optimizers.base import Optimizer
from minigrad.optimizers.memory import Slot
from minigrad.program import launch
from minigrad.tensor import as_tensor, flat

_RATE = 0.001
_MOMENTUM, _FRACTION, _LEAST = "[0, 1)", "[0, 1]", "[0, inf)"


class SGD(Optimizer):
    """Gradient descent: w -= lr g.

    With `momentum` mu: m = mu m - lr g, w += m; with `nesterov` w += mu m - lr g instead (the new m; Sutskever 2013).
    """

    arguments = {"learning_rate": 0.01, "momentum": Number(0.0, _FRACTION), "nesterov": False}
    slots = (Slot("momentum", when="momentum"),)
    kernel = K.sgd

    @property
    def writes(self):
        return {"weights": "assign_add"} if self.momentum else {}


class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2014, arXiv:1412.6980), with epsilon outside of the bias correction.

        m += (g - m)(1 - beta_1),   v += (g^2 - v)(1 - beta_2)
        w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon),   t = 1, 2, ...

    `amsgrad`: under the root, the largest v so far (Reddi et al. 2018).
    """

    arguments = {
        "learning_rate": _RATE,
        "beta_1": Number(0.9, _MOMENTUM),
        "beta_2": Number(0.999, _MOMENTUM),
        "epsilon": Number(1e-7, _LEAST),
        "amsgrad": False,
    }
    slots = (("momentum", "velocity"), Slot("velocity_hat", when="amsgrad"))
    kernel = K.adam
    writes = {"momentum": "assign_add", "velocity": "assign_add"}


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2017, arXiv:1711.05101).

    w -= w weight_decay lr, then the step of Adam.
    """

    arguments = {"learning_rate": _RATE, "weight_decay": Number(0.004, _LEAST), **Adam.arguments}


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016).

        u_t = beta_1 (1 - 0.96^t / 2),   p = u_1 u_2 ... u_t;   m and v as in Adam
        w -= lr (u_(t+1) m / (1 - p u_(t+1)) + (1 - u_t) g / (1 - p)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    """

    arguments = {name: Adam.arguments[name] for name in ("learning_rate", "beta_1", "beta_2", "epsilon")}
    slots = (("momentum", "velocity"),)
    scalars = {"product": 1.0}
    kernel = K.nadam
    writes = Adam.writes

    def prepare(self):
        launch(K.nadam_product, self._settings_row(), self._updates, flat(self._scalars["product"]._data))


class Adamax(Optimizer):
    """Adam with the largest gradient, fading out, in place of the mean square (Kingma and Ba 2014, section 7).

    m += (g - m)(1 - beta_1),   u = max(beta_2 u, |g|),   w -= lr / (1 - beta_1^t)  m / (u + epsilon)
    """

    arguments = Nadam.arguments
    slots = (("momentum", "norm"),)
    kernel = K.adamax
    writes = {"momentum": "assign_add"}


class RMSprop(Optimizer):
    """Gradients divided by a running average of their size (Hinton 2012).

        s = rho s + (1 - rho) g^2,   w -= lr g / sqrt(s + epsilon)

    `momentum` mu: m = mu m + lr g / sqrt(s + epsilon), w -= m. `centered`: the root of s - a^2 + epsilon, where
    a = rho a + (1 - rho) g: the variance instead of the square.
    """

    arguments = {
        "learning_rate": _RATE,
        "rho": Number(0.9, _FRACTION),
        "momentum": Number(0.0, _FRACTION),
        "epsilon": Number(1e-7, _LEAST),
        "centered": False,
    }
    slots = ("velocity", Slot("momentum", when="momentum"), Slot("average_gradient", when="centered"))
    kernel = K.rmsprop


class Adagrad(Optimizer):
    """Gradients divided by the size of all gradients so far (Duchi, Hazan and Singer 2011).

    s += g^2,   w -= lr g / sqrt(s + epsilon);   s begins as initial_accumulator_value
    """

    arguments = {
        "learning_rate": _RATE,
        "initial_accumulator_value": Number(0.1, _LEAST),
        "epsilon": Number(1e-7, _LEAST),
    }
    slots = (Slot("accumulator", initial="initial_accumulator_value"),)
    kernel = K.adagrad
    writes = {"accumulator": "assign_add"}


class Adadelta(Optimizer):
    """Steps as large as earlier steps, so that their unit is that of the weights (Zeiler 2012, arXiv:1212.5701).

        s = rho s + (1 - rho) g^2,   d = g sqrt(x + epsilon) / sqrt(s + epsilon)
        x = rho x + (1 - rho) d^2,   w -= lr d

    In the paper lr is 1.
    """

    arguments = {"learning_rate": _RATE, "rho": Number(0.95, _FRACTION), "epsilon": Number(1e-7, _LEAST)}
    slots = (("accumulated_grad", "accumulated_delta_var"),)
    kernel = K.adadelta
    writes = {"weights": "assign_add"}


class Lion(Optimizer):
    """Steps of a sign: all weights move equally far (Chen et al. 2023, arXiv:2302.06675).

    w -= lr sign(beta_1 m + (1 - beta_1) g),   m = beta_2 m + (1 - beta_2) g
    """

    arguments = {"learning_rate": _RATE, "beta_1": Number(0.9, "(0, 1]"), "beta_2": Number(0.99, _FRACTION)}
    slots = ("momentum",)
    kernel = K.lion


class Ftrl(Optimizer):
    """Follow the regularized leader (McMahan et al. 2013): sparse weights of linear models.

        s' = s + g^2,   z += g + 2 l2_shrinkage w - (s'^p - s^p) / lr w,   p = -learning_rate_power
        w = 0 where |z| <= l1, else (sign(z) l1 - z) / (s'^p / lr + 2 l2 + beta / lr)

    s begins as initial_accumulator_value. l1, l2 and l2_shrinkage are the arguments whose names begin like that.
    """

    arguments = {
        "learning_rate": _RATE,
        "learning_rate_power": Number(-0.5, "(-inf, 0]"),
        "initial_accumulator_value": Number(0.1, _LEAST),
        "l1_regularization_strength": Number(0.0, _LEAST),
        "l2_regularization_strength": Number(0.0, _LEAST),
        "l2_shrinkage_regularization_strength": Number(0.0, _LEAST),
        "beta": Number(0.0),
    }
    slots = ((Slot("accumulator", initial="initial_accumulator_value"), "linear"),)
    kernel = K.ftrl
    writes = {"linear": "assign_add", "weights": "assign"}


class Adafactor(Optimizer):
    """Adam whose v is kept as the means of its rows and columns (Shazeer and Stern 2018, arXiv:1804.04235).

        b = 1 - t^beta_2_decay,   s = g^2 + epsilon_1,   R = b R + (1 - b) mean of s over columns, C: over rows
        v = R C / mean R  (a vector's v = b v + (1 - b) s),   u = g / sqrt(v)
        w -= max(epsilon_2, rms w) min(lr, 1 / sqrt(t))  u / max(1, rms u / clip_threshold)

    The rule is not elementwise, so it is written as in Keras, for one variable at a time.
    """

    arguments = {
        "learning_rate": _RATE,
        "beta_2_decay": Number(-0.8),
        "epsilon_1": Number(1e-30, _LEAST),
        "epsilon_2": Number(1e-3, _LEAST),
        "clip_threshold": Number(1.0, "(0, inf)"),
        "relative_step": True,
    }

    def build(self, variables):
        super().build(variables)
        self._factors = []
        for v in variables:
            if v.ndim < 2:  # unused, so that files have as many variables as Keras'
                rows, columns = (self.add_variable((), dtype="int32", name=v.name) for _ in range(2))
            else:
                rows = self.add_variable(v.shape[:-1], dtype=v.dtype, name=v.name)
                columns = self.add_variable((*v.shape[:-2], v.shape[-1]), dtype=v.dtype, name=v.name)
            self._factors.append((rows, columns, self.add_variable_from_reference(v, "velocity")))

    @property
    def _takes(self):
        return ("squares",) if type(self) is Adafactor else ()

    def prepare(self):
        """Compute 1 / sqrt(t) and b, which depend on the step alone."""
        t = np.empty((), self._rate.dtype)
        launch(K.cast_int64, self._updates, flat(t))
        t = as_tensor(t) + 1.0
        self._limit, self._memory = t**-0.5, 1.0 - t**self.beta_2_decay

    def update_step(self, gradient, variable, learning_rate):
        number = self._get_variable_index(variable)
        rows, columns, v = self._factors[number]
        is_sum = number in self._summed
        squares = as_tensor(self._summed[number][0]) if is_sum else ops.square(gradient)
        b, s = self._memory, squares + self.epsilon_1
        if variable.ndim < 2:
            self.assign(v, b * v + (1.0 - b) * s)
        else:
            self.assign(rows, b * rows + (1.0 - b) * ops.mean(s, axis=-1))
            self.assign(columns, b * columns + (1.0 - b) * ops.mean(s, axis=-2))
            share = rows / ops.mean(rows, axis=-1, keepdims=True)
            self.assign(v, ops.expand_dims(share, -1) * ops.expand_dims(columns, -2))
        u = gradient / ops.sqrt(v)
        rate = ops.maximum(_rms(variable), self.epsilon_2) * ops.minimum(learning_rate, self._limit)
        size = ops.sqrt(ops.mean(squares / v)) if is_sum else _rms(u)
        self.assign_sub(variable, rate * u / ops.maximum(size / self.clip_threshold, 1.0))


def _rms(x):
    """The root of the mean square of x."""
    return ops.sqrt(ops.sum(ops.square(x)) * (1.0 / math.prod(x.shape)))
