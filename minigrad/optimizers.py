"""Optimizers: how gradients change weights.

All trainable variables of a model are parts of one flat buffer, and so are their gradients and the optimizer's slots:
a step is one launch over each, where no option asks for single variables. Learning rate and step count live in
memory, so they can change under a recorded Program.
"""

import re
import warnings

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.program import RecordingError, _compare, is_recording, launch, trace, when
from minigrad.registry import Configurable, Registry, auto_name, rejected_keywords, snake_case
from minigrad.tensor import Tensor, Variable, as_tensor, constant, flat

registry = Registry("optimizer", "keras.optimizers", ignore_case=True)
serialize, deserialize = registry.serialize, registry.deserialize

_CUT = "Is the loss computed from them by functions of minigrad.ops? NumPy's cut the gradient."
_ALIGNMENT = 16  # floats: every variable starts on a cache line


def get(identifier):
    """The Optimizer that `identifier` (a name in any case, a config, or an Optimizer) stands for."""
    if isinstance(identifier, type):
        raise ValueError(f"Expected an optimizer's name or instance, got the class {identifier.__name__}: call it.")
    found = registry.get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"{identifier!r} is no optimizer: pass a name such as 'adam', or an instance.")
    return found


class Optimizer(Configurable):
    """Base class: define `slots`, the names of the buffers kept beside the weights, and `update`.

    One step is, in this order: clipping; weight decay, w -= w weight_decay lr; `update`; the moving average of the
    weights; constraints; the step count.

    Args:
        learning_rate: a float. Read and assign it at any time: `optimizer.learning_rate = 0.01`.
        weight_decay: a float, or None for no decay. See `exclude_from_weight_decay`.
        clipnorm: the largest norm of a variable's gradient; clipvalue: the largest |element| of one;
            global_clipnorm: the largest norm of all gradients together. At most one of the three.
        use_ema: keep an exponential moving average of the weights (of momentum `ema_momentum`), which replaces
            them every `ema_overwrite_frequency` steps and at the end of `fit`.
        loss_scale_factor: the loss is multiplied, and gradients are divided, by this number.
        gradient_accumulation_steps: update only every so many steps, with the mean of their gradients.
    """

    slots = ()
    paired = ()  # the slots that Keras' files hold variable by variable

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        owner = type(self).__name__
        if kwargs.pop("decay", None) is not None:
            warnings.warn(f"{owner}: `decay` is ignored; use a learning-rate schedule.", stacklevel=3)
        if kwargs:
            known = [k for k in self.get_arguments() if k != "kwargs"]
            raise rejected_keywords(owner, kwargs, known)
        given = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(value is not None for value in given.values()) > 1:
            raise ValueError(f"{owner}: only one of clipnorm, clipvalue and global_clipnorm can be set; got {given}.")
        for what, value in {**given, "loss_scale_factor": loss_scale_factor}.items():
            if value is not None:
                _check(owner, what, value, lambda v: v > 0, "> 0")
        if weight_decay is not None:
            _check(owner, "weight_decay", weight_decay, lambda v: v >= 0, ">= 0")
        _check(owner, "ema_momentum", ema_momentum, lambda v: 0 <= v <= 1, "in [0, 1]")
        for what, value, least in (
            ("ema_overwrite_frequency", ema_overwrite_frequency, 1),
            ("gradient_accumulation_steps", gradient_accumulation_steps, 2),
        ):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ValueError(f"{owner}: {what} must be an int >= {least} or None, got {value!r}.")
        self.name = name or auto_name(snake_case(owner))
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._calls = np.zeros((1, 1), np.int64)  # how often it was called
        self._updates = np.zeros((1, 1), np.int64)  # how often it changed the weights
        self._learning_rate = Variable(_rate(owner, learning_rate), trainable=False, name="learning_rate")
        self._excluded_variables, self._excluded_names = [], None
        self._trainable = []
        self._buffers = {}
        self.built = False

    @classmethod
    def get_arguments(cls):
        """The names of the arguments of `__init__`, those common to all optimizers included."""
        names = cls.__init__.__code__.co_varnames[1 : cls.__init__.__code__.co_argcount]
        common = Optimizer.__init__.__code__
        return [*names, *(n for n in common.co_varnames[1 : common.co_argcount] if n not in names)]

    # ---- settings

    @property
    def learning_rate(self):
        """The learning rate, a Variable: `float(optimizer.learning_rate)` reads it, assignment changes it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._learning_rate.assign(_rate(type(self).__name__, value, strict=False))

    lr = learning_rate

    @property
    def iterations(self):
        """How many updates there have been, an int."""
        return int(self._updates[0, 0])

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Keep weight decay away from some variables.

        Args:
            var_list: variables; var_names: regular expressions, searched for in the variables' paths.
        """
        if self.built:
            raise ValueError("exclude_from_weight_decay must be called before the optimizer is used.")
        self._excluded_variables = list(var_list or ())
        self._excluded_names = re.compile("|".join(var_names)) if var_names else None

    def _is_excluded(self, variable):
        is_named = self._excluded_names is not None and self._excluded_names.search(variable.path)
        return bool(is_named) or any(variable is v for v in self._excluded_variables)

    def get_config(self):
        return {
            "name": self.name,
            "learning_rate": float(self._learning_rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    # ---- memory

    @property
    def variables(self):
        """Everything that training goes on from, in the order of Keras' files: step count, learning rate, averages,
        accumulators, slots (slot by slot, but the `paired` ones variable by variable)."""
        own = [_view(self._calls.reshape(()), "iteration"), self._learning_rate]
        single = [name for name in self._state_names() if name not in self.slots]
        own += [v for name in single for v in self._slot(name)]
        own += [v for of_one in zip(*map(self._slot, self.paired), strict=True) for v in of_one]
        return own + [v for name in self.slots if name not in self.paired for v in self._slot(name)]

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if not name.startswith("_"):
            self._launches = None  # a setting has changed: eager steps follow at once, Programs from the next compile

    def __getstate__(self):
        # In a copy, variables are no longer parts of the buffers: `build` shall put them together again.
        return {**self.__dict__, "_homes": [None] * len(self._trainable), "_launches": None}

    def named_buffers(self):
        """What a listing of a Program calls the optimizer's memory."""
        names = {f"{self.name}/{name}": data for name, data in self._buffers.items()}
        own = {"weights": self._weights, "gradients": self._gradients, "learning_rate": self._rate}
        counts = {"iteration": self._calls, "updates": self._updates}
        return names | {f"{self.name}/{name}": data for name, data in (own | counts).items()}

    def _state_names(self):
        average = ["average"] if self.use_ema else []
        sums = ["gradient_accumulator"] if self.gradient_accumulation_steps else []
        return average + sums + list(self.slots)

    def _slot(self, name):
        if name not in self._buffers:
            return []
        data = self._buffers[name]
        return [
            _view(data[0, a:b].reshape(v.shape), f"{v.path.replace('/', '_')}_{name}")
            for v, (a, b) in zip(self._trainable, self._places, strict=True)
        ]

    def build(self, variables):
        """Move the variables into one flat buffer, their gradients into another, and make the slots beside them.

        Slots of variables that it knows already are kept.
        """
        variables = list(variables)
        if self.built and self._is_home_to(variables):
            return
        dtypes = {v.dtype for v in variables}
        if len(dtypes) > 1:
            raise ValueError(f"{self.name}: trainable variables must have one dtype; got {sorted(map(str, dtypes))}.")
        dtype = dtypes.pop() if dtypes else np.dtype(config.floatx())
        known = {id(v): place for v, place in zip(self._trainable, self._places, strict=True)} if self.built else {}
        previous, self._buffers = self._buffers, {}
        self._places, end = [], 0
        for v in variables:
            self._places.append((end, end + v.size))
            end += -(-v.size // _ALIGNMENT) * _ALIGNMENT
        weights, gradients = _aligned_zeros(end, dtype), _aligned_zeros(end, dtype)
        self._weights, self._gradients = weights, gradients
        self._homes = []
        for v, (a, b) in zip(variables, self._places, strict=True):
            v.move_to(weights[0, a:b].reshape(v.shape), gradients[0, a:b].reshape(v.shape))
            self._homes.append(v._data)
        for name in self._state_names():
            self._buffers[name] = _aligned_zeros(end, dtype)
            if name == "average":
                self._buffers[name][...] = weights
            for v, (a, b) in zip(variables, self._places, strict=True):
                if id(v) in known and name in previous:
                    first, last = known[id(v)]
                    self._buffers[name][0, a:b] = previous[name][0, first:last]
        if self._learning_rate.dtype != dtype:
            self._learning_rate._data = self._learning_rate._data.astype(dtype)
        self._rate = self._learning_rate._data.reshape(1, 1)
        self._trainable = variables
        self._launches = None
        self.built = True

    def _is_home_to(self, variables):
        """Whether these are the variables it was built for, and still live in its buffer."""
        if len(variables) != len(self._trainable):
            return False
        own = zip(variables, self._trainable, self._homes, strict=True)
        return all(a is b and a._data is home for a, b, home in own)

    # ---- one step

    def apply_gradients(self, grads_and_vars):
        """One step from pairs of (gradient, variable)."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def apply(self, grads, trainable_variables=None):
        """One step from gradients (arrays or tensors; None for a variable that gets none) of the variables."""
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        grads = list(grads)
        if len(grads) != len(variables):
            raise ValueError(f"{self.name}: got {len(grads)} gradients for {len(variables)} variables.")
        known = {id(v) for v in self._trainable}
        # Some of the variables, or in another order: the slots of all stay.
        self.build(self._trainable if known.issuperset(map(id, variables)) else variables)
        sources = [None if g is None else as_tensor(g, v.dtype) for g, v in zip(grads, variables, strict=True)]
        for source, v in zip(sources, variables, strict=True):
            if source is not None and source.shape != v.shape:
                raise ValueError(f"{self.name}: the gradient of {v.path} has shape {source.shape}, not {v.shape}.")
        for v in self._trainable:
            v._grad = None
        for source, v in zip(sources, variables, strict=True):
            if source is not None:
                v._grad = v._gradient
                launch(K.copy, flat(np.asarray(source._data, v.dtype)), flat(v._grad))
        self.step(variables)

    def step(self, variables=None):
        """One step from the gradients in `grad` of the variables (by default all), parts of the flat buffer."""
        missing = [v.path for v in variables or self._trainable if v._grad is None]
        if len(missing) == len(variables or self._trainable):
            raise ValueError(f"{self.name}: no variable has a gradient. {_CUT}")
        if missing:
            warnings.warn(f"{self.name}: no gradient for {missing}; they are left as they are. {_CUT}", stacklevel=2)
        if is_recording():
            self._launch_step()
            return
        # The launches of a step are always the same ones: written down once, then repeated.
        present = [v._grad is not None for v in self._trainable]
        if self._launches is None or self._launches[0] != present:
            self._launches = present, self._repeatable_launches()
        if self._launches[1] is None:
            self._launch_step()
            return
        for kernel, operands, flag in self._launches[1]:
            if flag is None or flag[0, 0]:
                launch(kernel, *operands)

    def _repeatable_launches(self):
        """The launches of a step; None where a constraint or an `update` of the user's reads or changes values."""
        try:
            launches = trace(self._launch_step)
            _compare(launches, trace(self._launch_step))
        except RecordingError:
            return None
        return launches

    def _launch_step(self):
        dtype, every, one = self._rate.dtype, self.gradient_accumulation_steps, constant(np.int64, 1)
        if every is None:
            self._update(dtype)
        else:
            due, sums = np.zeros((1, 1), np.int64), self._buffers["gradient_accumulator"]
            launch(K.add_scaled, self._gradients, constant(dtype, 1.0), sums)
            launch(K.is_multiple, self._calls, constant(np.int64, every), due)
            with when(due):
                launch(K.scale, sums, constant(dtype, 1.0 / every), self._gradients)
                launch(K.fill, constant(dtype, 0.0), sums)
                self._update(dtype)
        if self.use_ema:
            average = self._buffers["average"]
            launch(K.average, self._weights, constant(dtype, self.ema_momentum), self._updates, average)
            if self.ema_overwrite_frequency:
                frequency = constant(np.int64, self.ema_overwrite_frequency)
                launch(K.copy_every, average, self._updates, frequency, self._weights)
        for v in self._trainable:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))
        launch(K.increment, one, self._calls)
        if every is None:
            launch(K.increment, one, self._updates)
        else:
            with when(due):
                launch(K.increment, one, self._updates)

    def _update(self, dtype):
        if self.loss_scale_factor is not None:
            launch(K.scale, self._gradients, constant(dtype, 1.0 / self.loss_scale_factor), self._gradients)
        self._clip(dtype)
        if self.weight_decay is not None:
            for a, b in self._runs(lambda v: v._grad is not None and not self._is_excluded(v)):
                launch(K.decay, self._rate, constant(dtype, self.weight_decay), self._weights[:, a:b])
        self.prepare()
        for a, b in self._runs(lambda v: v._grad is not None):
            parts = [self._buffers[name][:, a:b] for name in self.slots]
            self.update(self._gradients[:, a:b], *parts, self._weights[:, a:b])

    def _clip(self, dtype):
        if self.clipvalue is not None:
            launch(K.clip_values, constant(dtype, self.clipvalue), self._gradients)
        elif self.global_clipnorm is not None:
            for v in self._trainable:
                if v._grad is None:
                    launch(K.fill, constant(dtype, 0.0), flat(v._gradient))
            launch(K.clip_norm, constant(dtype, self.global_clipnorm), self._gradients)
        elif self.clipnorm is not None:
            for v in self._trainable:
                if v._grad is not None:
                    launch(K.clip_norm, constant(dtype, self.clipnorm), flat(v._grad))

    def _runs(self, wanted):
        """The stretches (first, last) of the flat buffer that hold the wanted variables, as few as possible."""
        if all(map(wanted, self._trainable)):
            return [(0, self._weights.shape[1])]
        runs = []
        for i, (v, (a, _)) in enumerate(zip(self._trainable, self._places, strict=True)):
            last = self._places[i + 1][0] if i + 1 < len(self._places) else self._weights.shape[1]
            if not wanted(v):
                continue
            if runs and runs[-1][1] == a:
                runs[-1][1] = last
            else:
                runs.append([a, last])
        return runs

    def prepare(self):
        """Launch what is computed once a step, before `update`."""

    def update(self, gradients, *slots_and_weights):
        """Launch the update of a stretch of weights: gradients, this class' slots, and the weights, one row each."""
        raise TypeError(f"{type(self).__name__} must define update(self, gradients, *slots, weights).")

    def finalize_variable_values(self, variables=None):
        """At the end of training: let the moving averages replace the weights, if they are kept."""
        if self.use_ema and self.built:
            self._weights[...] = self._buffers["average"]


def _aligned_zeros(size, dtype):
    """A (1, size) row of zeros that starts on a cache line."""
    spare = 64 // dtype.itemsize
    memory = np.zeros(size + spare, dtype)
    skip = -memory.ctypes.data % 64 // dtype.itemsize
    return memory[skip : skip + size].reshape(1, size)


def _view(data, name):
    """A Variable whose values are those of `data`, not a copy."""
    variable = Variable(np.zeros(()), dtype=data.dtype, trainable=False, name=name)
    variable._data = data
    return variable


def _check(owner, what, value, is_right, expected):
    """Raise a ValueError unless a setting is a number for which `is_right` holds."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not is_right(value):
        raise ValueError(f"{owner}: {what} must be a number {expected}, got {value!r}.")


def _rate(owner, value, strict=True):
    """A learning rate as a number, refused where Keras refuses it."""
    if isinstance(value, Tensor):
        return float(value)
    if isinstance(value, (bool, str)) or value is None or (strict and not isinstance(value, float)):
        raise ValueError(
            f"{owner}: learning_rate must be a float, got {value!r} ({type(value).__name__})."
        )
    value = float(value)
    if not value >= 0:
        raise ValueError(f"{owner}: learning_rate must be a number >= 0, got {value!r}.")
    return value


@registry.register()
class SGD(Optimizer):
    """Gradient descent: w -= lr g.

    With `momentum` mu: m = mu m - lr g, w += m; with `nesterov` w += mu m - lr g instead (the new m).
    """

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **common):
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be a float in [0, 1], got {momentum!r}.")
        super().__init__(learning_rate, **common)
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("momentum",) if momentum else ()

    def update(self, g, *rest):
        *slots, w = rest
        if not self.momentum:
            launch(K.descend, g, self._rate, w)
        else:
            kernel = K.nesterov if self.nesterov else K.momentum
            launch(kernel, g, self._rate, constant(w.dtype, self.momentum), *slots, w)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


@registry.register()
class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2014), in the form with epsilon outside of the bias correction.

        m += (g - m)(1 - beta_1),   v += (g^2 - v)(1 - beta_2)
        w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon),   t = 1, 2, ...

    `amsgrad`: under the root, the largest v so far (Reddi et al. 2018).
    """

    paired = ("momentum", "velocity")

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False, **common
    ):
        super().__init__(learning_rate, **common)
        for what, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            _check(type(self).__name__, what, value, lambda v: 0 <= v < 1, "in [0, 1)")
        _check(type(self).__name__, "epsilon", epsilon, lambda v: v >= 0, ">= 0")
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        self.slots = ("momentum", "velocity", "velocity_hat") if amsgrad else ("momentum", "velocity")

    def prepare(self):
        dtype = self._rate.dtype
        self._rates = np.empty((1, 4), dtype)
        settings = constant(dtype, self.beta_1, self.beta_2, 1 - self.beta_1, 1 - self.beta_2, self.epsilon)
        launch(K.adam_rates, self._rate, settings, self._updates, self._rates)

    def update(self, g, *slots_and_weights):
        launch(K.amsgrad if self.amsgrad else K.adam, g, self._rates, *slots_and_weights)

    def get_config(self):
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}


@registry.register()
class RMSprop(Optimizer):
    """Gradients divided by a running average of their size (Hinton 2012).

        s = rho s + (1 - rho) g^2,   w -= lr g / sqrt(s + epsilon)

    `momentum` mu: m = mu m + lr g / sqrt(s + epsilon), w -= m. `centered`: the root of s - a^2 + epsilon, where
    a = rho a + (1 - rho) g: the variance instead of the square.
    """

    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **common):
        super().__init__(learning_rate, **common)
        for what, value in (("rho", rho), ("momentum", momentum)):
            _check(type(self).__name__, what, value, lambda v: 0 <= v <= 1, "in [0, 1]")
        _check(type(self).__name__, "epsilon", epsilon, lambda v: v >= 0, ">= 0")
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        options = (("momentum", momentum > 0), ("average_gradient", centered))
        self.slots = ("velocity", *(name for name, wanted in options if wanted))

    def update(self, g, velocity, *rest):
        *slots, w = rest
        if not slots:
            launch(K.rmsprop, g, self._rate, constant(w.dtype, self.rho, self.epsilon), velocity, w)
            return
        settings = constant(w.dtype, self.rho, self.epsilon, self.momentum, float(self.centered))
        m = slots[0] if self.momentum else np.empty_like(w)
        a = slots[-1] if self.centered else np.zeros_like(w)
        if not self.momentum:
            launch(K.fill, constant(w.dtype, 0.0), m)
        launch(K.rmsprop_full, g, self._rate, settings, velocity, m, a, w)

    def get_config(self):
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}
