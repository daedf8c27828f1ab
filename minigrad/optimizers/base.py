"""What all optimizers have in common: their settings, their state, and the order of things within a step.

All trainable variables of a model are parts of one flat row, and so are their gradients and the optimizer's slots:
a step is one launch over each, where no option asks for single variables. Learning rate and step count live in
memory, so they can change under a recorded Program.
"""

import inspect
import itertools
import operator
import re

import numpy as np

from minigrad import config, older
from minigrad import kernels as K
from minigrad.checks import is_int, warn
from minigrad.declared import Number
from minigrad.names import auto_name, snake_case
from minigrad.optimizers import schedules
from minigrad.optimizers.memory import Memory
from minigrad.program import RecordingError, compare, is_recording, launch, trace, when
from minigrad.registry import Registry, custom_object, custom_object_scope
from minigrad.spelling import rejected_keywords
from minigrad.tensor import (
    Structure,
    Tensor,
    Variable,
    as_tensor,
    common_row,
    constant,
    flat,
    launch_copy,
    no_grad,
)

registry = Registry("optimizer", "keras.optimizers", ignore_case=True)
serialize, deserialize = registry.serialize, registry.deserialize

_CUT = "Is the loss computed from them by functions of minigrad.ops? NumPy's cut the gradient."
_HOOKS = "apply_gradients", "apply", "update_step", "assign", "assign_add", "assign_sub"  # which may be overridden
_CHANGING = "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor", "gradient_accumulation_steps"  # gradients
_RANGES = {  # of the settings that all optimizers have
    "weight_decay": "[0, inf)",
    "clipnorm": "(0, inf)",
    "clipvalue": "(0, inf)",
    "global_clipnorm": "(0, inf)",
    "ema_momentum": "[0, 1]",
    "loss_scale_factor": "(0, inf)",
}


def get(identifier):
    """The Optimizer that `identifier` (a name in any case, a config, or an Optimizer) stands for; None for None."""
    if identifier is None:
        return None
    if isinstance(identifier, type):
        raise ValueError(f"Expected an optimizer's name or instance, got the class {identifier.__name__}: call it.")
    found = registry.get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"{identifier!r} is no optimizer: pass a name such as 'adam', or an instance.")
    return found


class Optimizer(Memory):
    """Base class. A subclass defines `slots`, the names of the rows kept beside the weights, and `update`.

    Or it defines what one of Keras does: `build`, which adds variables, and `update_step`. One step is, in this order:
    clipping; weight decay, w -= w weight_decay lr; the rule; the moving average; constraints; the step count.
    A table of `arguments` (see `Declared`) makes the constructor and the config, as the rules show.

    Args:
        learning_rate: a float; a schedule; or a function without arguments. See the property of this name.
        weight_decay: a float, or None for no decay. See `exclude_from_weight_decay`.
        clipnorm: the largest norm of a variable's gradient; clipvalue: the largest |element| of one;
            global_clipnorm: the largest norm of all gradients together. At most one of the three.
        use_ema: keep an exponential moving average of the weights (of momentum `ema_momentum`), which replaces
            them every `ema_overwrite_frequency` steps and at the end of `fit`.
        loss_scale_factor: the loss is multiplied, and gradients are divided, by this number.
        gradient_accumulation_steps: update only every so many steps, with the mean of their gradients.
    """

    kernel = None
    writes = {}  # how Keras' rule changes a slot, if not by assign, and the "weights", if not by assign_sub

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
        owner, given = type(self).__name__, {k: v for k, v in locals().items() if k in Optimizer.common}
        if kwargs:
            known = [name for name in inspect.signature(type(self)).parameters if name != "kwargs"]
            raise rejected_keywords(owner, kwargs, known)
        clips = {what: given[what] for what in ("clipnorm", "clipvalue", "global_clipnorm")}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(f"{owner}: only one of clipnorm, clipvalue and global_clipnorm can be set; got {clips}.")
        for what, interval in _RANGES.items():
            if given[what] is not None:
                Number(interval=interval).check(owner, what, given[what])
        for what, least in (("ema_overwrite_frequency", 1), ("gradient_accumulation_steps", 2)):
            value = given[what]
            if value is not None and not is_int(value, least):
                raise ValueError(f"{owner}: {what} must be an int >= {least} or None, got {value!r}.")
        rate = _learning_rate(owner, learning_rate)
        self.name = given["name"] = name or auto_name(snake_case(owner))
        super()._set_up({k: v for k, v in given.items() if k != "learning_rate"})
        self._excluded_variables, self._excluded_names = [], None
        self._row_before = None
        self._begin(rate)

    common = tuple(inspect.signature(__init__).parameters)[1:-1]
    more = dict(list(inspect.signature(__init__).parameters.items())[2:])

    def _set_up(self, given):
        own = {name: given.pop(name) for name in self.arguments if name not in Optimizer.common}
        Optimizer.__init__(self, **given.pop("kwargs"), **given)
        super()._set_up(own)

    def __getattr__(self, name):
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property: raises what it raised before
        return older.attribute(self, name)

    # ---- settings

    @property
    def learning_rate(self):
        """The learning rate: a Variable, which assignment changes at any time; with a schedule, its present value.

        A function without arguments is called in each step. Where it returns a Variable, or what `minigrad.ops`
        compute from Variables, it becomes part of the Program; where it returns a number, `fit` runs eagerly.

        Raises:
            TypeError: if a number is assigned to an optimizer that was made with a schedule or a function.
        """
        rate = getattr(self._learning_rate, "base", self._learning_rate)  # of older Keras' decay
        if isinstance(rate, Variable):
            return rate
        value = self._present_rate()
        return value if isinstance(value, Tensor) else as_tensor(value, config.floatx())

    @learning_rate.setter
    def learning_rate(self, value):
        value = _learning_rate(type(self).__name__, value, strict=False)
        rate = getattr(self._learning_rate, "base", self._learning_rate)
        if not isinstance(value, float):
            self._learning_rate = value
            self._move_out()
        elif isinstance(rate, Variable):
            rate.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__}: its learning rate comes from {self._learning_rate!r} and can't be assigned; "
                "make the optimizer with a float to assign another one later."
            )

    lr = learning_rate

    def _present_rate(self):
        """What the schedule or the function returns in this step."""
        if not isinstance(self._learning_rate, schedules.LearningRateSchedule):
            return self._learning_rate()
        step = np.empty((), self._rate.dtype if self.built else config.floatx())
        launch(K.cast_int64, self._calls, flat(step))
        return self._learning_rate(as_tensor(step))

    @property
    def iterations(self):
        """How many updates there have been, an int64 Variable (a tensor, with gradient_accumulation_steps)."""
        if not self.gradient_accumulation_steps:
            return self._iterations
        return Variable.over(self._count_updates().reshape(()), "iterations", f"{self.name}/iterations")

    @property
    def _calls(self):
        return self._iterations._data.reshape(1, 1)

    def _count_updates(self):
        if not self.gradient_accumulation_steps:
            return self._calls
        updates = np.empty((1, 1), np.int64)
        launch(K.quotient, self._calls, constant(np.int64, self.gradient_accumulation_steps), updates)
        return updates

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
        """The arguments from which `from_config` makes an equal optimizer (without its state), JSON-able."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            rate = float(rate)
        elif isinstance(rate, schedules.LearningRateSchedule):
            rate = schedules.serialize(rate)
        else:
            name = getattr(rate, "__name__", type(rate).__name__)
            rate = {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
        names = dict.fromkeys([*Optimizer.common, *self.arguments])
        return {name: rate if name == "learning_rate" else getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """An optimizer made from what `get_config` returned; `custom_objects` are classes and functions by name."""
        config, rate, objects = dict(config), config.get("learning_rate"), custom_objects or {}
        if isinstance(rate, dict) and rate["class_name"] == "function":
            name = rate["config"]
            config["learning_rate"] = objects.get(name) or custom_object(name)
            if config["learning_rate"] is None:
                raise ValueError(f"{cls.__name__}: its learning rate is a function, {name!r}: pass custom_objects.")
        elif isinstance(rate, dict):
            with custom_object_scope(objects):
                config["learning_rate"] = schedules.deserialize(rate)
        return cls(**config)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if not name.startswith("_"):
            self._launches = None  # a setting has changed: eager steps follow at once
            settings = {*Optimizer.common, *self.arguments, *_HOOKS} - {"learning_rate", "name"}
            if self.__dict__.get("built") and name in settings:
                self._move_out()

    def _overrides(self, *names):
        """Whether a method of one of these names is another than that of all optimizers."""
        methods_of = operator.attrgetter(*names)
        return methods_of(type(self)) != methods_of(Optimizer) or not vars(self).keys().isdisjoint(names)

    # ---- one step

    def apply_gradients(self, grads_and_vars):
        """One step from pairs of (gradient, variable). Returns the step count."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads, trainable_variables=None):
        """One step from gradients (arrays or tensors; None for a variable that gets none) of the variables.

        The first step, or `build`, tells which variables there are; later ones may name some of them, in any order.

        Raises:
            ValueError: before a variable is changed, for a gradient of another shape than its variable, variables that
                the optimizer was not built for, gradients and variables of different number, or no gradient at all.
        """
        grads = list(grads)
        if trainable_variables is None and not self.built:
            raise ValueError(f"{self.name}: say whose gradients these are, here or before, with build(variables).")
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{self.name}: got {len(grads)} gradients for {len(variables)} variables.")
        if not grads:
            return
        known = set(map(id, self._trainable))
        unknown = [v.path for v in variables if id(v) not in known]
        if self.built and unknown:
            raise ValueError(
                f"{self.name} was built for other variables and does not know {unknown}: make an optimizer for each "
                "model, or call build(variables) with all of them."
            )
        self.build(self._trainable if self.built else variables)
        row = common_row(grads, variables, self._gradients)
        if row is not None:
            self._apply_row(row, grads, variables)
            return
        sources = [None if g is None else self._source(g, v) for g, v in zip(grads, variables, strict=True)]
        for source, v in zip(sources, variables, strict=True):
            if source is not None and source.shape != v.shape:
                raise ValueError(f"{self.name}: the gradient of {v.path} has shape {source.shape}, not {v.shape}.")
        for v in self._trainable:
            v._grad = None
        for source, v in zip(sources, variables, strict=True):
            if source is not None:
                v._grad = v._gradient
                if source is not v._grad:
                    launch_copy(source, v._grad)
        self._step(variables)

    def _apply_row(self, row, grads, variables):
        """One step from gradients that are the parts of a row, which a GradientTape has laid out as ours."""
        own = self._gradients
        for v in self._trainable:
            v._grad = None
        is_kept = self._overrides(*_HOOKS) or any(getattr(self, name) is not None for name in _CHANGING)
        if is_recording() and not is_kept:
            for gradient, v in zip(grads, variables, strict=True):
                v._grad = None if gradient is None else gradient._data
            try:
                self._gradients = row
                self._step(variables)
            finally:
                self._gradients = own
            return
        launch(K.copy, row, own)
        for gradient, v in zip(grads, variables, strict=True):
            v._grad = None if gradient is None else v._gradient
        self._step(variables)

    def _source(self, gradient, variable):
        """The array to take a gradient from, which writing those of other variables does not change."""
        data = as_tensor(gradient, variable.dtype)._data
        if data is not variable._gradient and np.may_share_memory(data, self._gradients):
            source, data = data, np.empty_like(data)
            launch_copy(source, data)
        return data

    def step(self, variables=None):
        """One step from the gradients in `grad` of the variables (by default all), parts of the flat row.

        Where `apply_gradients` or `apply` are overridden, it goes through them, as Keras' `fit` does.
        """
        if not self._overrides("apply_gradients", "apply"):
            self._step(variables)
            return
        pairs = [(None if v._grad is None else as_tensor(v._grad), v) for v in variables or self._trainable]
        with no_grad():
            self.apply_gradients(pairs)

    def _step(self, variables):
        present = [v._grad is not None for v in self._trainable]
        if not present or not all(present):
            missing = [v.path for v in variables or self._trainable if v._grad is None]
            if len(missing) == len(variables or self._trainable):
                raise ValueError(f"{self.name}: no variable has a gradient. {_CUT}")
            if missing:
                warn(f"{self.name}: no gradient for {missing}; they are left as they are. {_CUT}")
        if is_recording():
            self._launch_step()
            return
        # The launches of a step are always the same ones: written down once, then repeated.
        made_for = Structure.version, present
        if self._launches is None or self._launches[0] != made_for:
            self._launches = made_for, self._repeatable_launches()
        if self._launches[1] is None:
            self._launch_step()
            return
        for kernel, operands, flag in self._launches[1]:
            if flag is None or flag[0, 0]:
                launch(kernel, *operands)

    def _repeatable_launches(self):
        """The launches of a step; None where something of the user's (a constraint, a schedule) reads values."""
        try:
            launches = trace(self._launch_step)
            compare(launches, trace(self._launch_step))
        except RecordingError:
            return None
        return launches

    def _launch_step(self):
        dtype, every, one = self._rate.dtype, self.gradient_accumulation_steps, constant(np.int64, 1)
        present = [v._grad is not None for v in self._trainable]
        runs = self._layout.runs(present)
        scale = constant(dtype, 1.0 / (self.loss_scale_factor or 1.0))
        self._updates = self._count_updates()
        with no_grad():
            if every:
                sums = self._rows["gradient_accumulator"]
                for a, b in runs:
                    launch(K.add_scaled, self._gradients[:, a:b], scale, sums[:, a:b])
                with self._every(every, self._calls):
                    launch(K.scale, sums, constant(dtype, 1.0 / every), self._gradients)
                    launch(K.fill, constant(dtype, 0.0), sums)
                    self._change_weights(present, runs)
            else:
                if self.loss_scale_factor:
                    launch(K.scale, self._gradients, scale, self._gradients)
                self._change_weights(present, runs)
            if self.use_ema:
                self._average()
            for v in self._trainable:
                if v.constraint is not None and v._grad is not None:
                    v.assign(v.constraint(v.value))
        launch(K.increment, one, self._calls)

    def _change_weights(self, present, runs):
        dtype = self._rate.dtype
        if not isinstance(self._learning_rate, Variable):
            self._launch_rate()
        self._clip(present)
        if self.weight_decay is not None:
            decays = [p and not self._is_excluded(v) for p, v in zip(present, self._trainable, strict=True)]
            for a, b in self._layout.runs(decays):
                launch(K.decay, self._rate, constant(dtype, self.weight_decay), self._weights[:, a:b])
        self.prepare()
        if self._overrides(*_HOOKS[2:]):
            rate = as_tensor(self._rate.reshape(()))
            for v in self._trainable:
                if v._grad is not None:
                    self.update_step(as_tensor(v._grad), v, rate)
            return
        for a, b in runs:
            self.update(self._gradients[:, a:b], *self._stretches(a, b))

    def _stretches(self, first, last):
        """What the rule changes of these columns: those of its slots (none of one that is left out), and weights."""
        absent, slots = np.empty((1, 0), self._rate.dtype), itertools.chain.from_iterable(self._own_groups())
        rows = [self._rows.get(s.name, absent) for s in slots]
        return [row[:, first:last] for row in (*rows, self._weights)]

    def _launch_rate(self):
        value = self._present_rate()
        if isinstance(value, Tensor):
            if value.size != 1:
                raise ValueError(f"{self.name}: the learning rate must be one number, got shape {value.shape}.")
            launch_copy(value._data, self._rate)
        elif is_recording():
            raise RecordingError(
                f"The learning rate comes from {self._learning_rate!r}, which returns a number made by Python. Return "
                "a Variable or what minigrad.ops compute, or use one of optimizers.schedules."
            )
        else:
            self._rate[...] = value

    def _clip(self, present):
        limits = (self.clipvalue, self.clipnorm, self.global_clipnorm)
        if limits == (None, None, None):
            return
        limit = constant(self._rate.dtype, next(limit for limit in limits if limit is not None))
        if self.clipvalue is not None:
            launch(K.clip_values, limit, self._gradients)
            return
        places = [place for place, p in zip(self._layout.places, present, strict=True) if p]
        kernel = K.clip_norms if self.clipnorm is not None else K.clip_global_norm
        launch(kernel, limit, np.array(places, np.int64), self._gradients)

    def _average(self):
        momentum, average = constant(self._rate.dtype, self.ema_momentum), self._rows["average"]
        launch(K.average, self._weights, momentum, self._updates, average)
        if self.ema_overwrite_frequency:
            with self._every(self.ema_overwrite_frequency, self._updates):
                launch(K.copy, average, self._weights)

    @staticmethod
    def _every(number, count):
        """Launches inside happen only once in `number` steps, which the array `count` counts."""
        due = np.empty((1, 1), np.int64)
        launch(K.is_multiple, count, constant(np.int64, number), due)
        return when(due)

    # ---- the rule, which subclasses define

    def prepare(self):
        """Launch what is computed once a step, before `update`."""

    def update(self, gradients, *slots_and_weights):
        """Launch the update of a stretch of weights: gradients, this class' slots, and the weights, one row each.

        By default `kernel`, which takes those it names of `g`, `learning_rate`, `settings`, `step` and `scalars`.
        """
        if self.kernel is None:
            raise TypeError(
                f"{type(self).__name__} must define update(self, gradients, *slots, weights), or "
                "update_step(self, gradient, variable, learning_rate)."
            )
        known = {"g": gradients, "learning_rate": self._rate, "settings": self._settings_row(), "step": self._updates}
        known |= {name: flat(v._data) for name, v in self._scalars.items()}
        operands = [known[p] for p in self.kernel.parameters if p in known]
        launch(self.kernel, *operands, *slots_and_weights)

    def _settings_row(self):
        """The rule's own settings, and 1 minus each: rounded from the exact difference, as in Keras."""
        values = np.array(self._settings(Optimizer.common))
        row = np.array([values, 1 - values], self._rate.dtype)
        if self._row_before is None or not np.array_equal(row, self._row_before) or row.dtype != self._row_before.dtype:
            self._row_before = row
        return self._row_before  # the same array while nothing changes: listings call it by name

    def update_step(self, gradient, variable, learning_rate):
        """Keras' way: change `variable`, by `assign` of what `minigrad.ops` compute from tensors.

        By default the rule of `update` for this variable alone; overridden, it may call this one with a gradient or a
        learning rate of its own. Where `assign`, `assign_add` or `assign_sub` is overridden, the changes go through it.
        """
        gradient = as_tensor(gradient, variable.dtype)
        if gradient.shape != variable.shape:
            raise ValueError(
                f"{self.name}: the gradient of {variable.path} has shape {gradient.shape}, not {variable.shape}."
            )
        # With the gap behind it, as in a step over the whole row: a loop's last columns may round in another way.
        place = self._layout.padded[self._get_variable_index(variable)]
        parts, usual = self._stretches(*place), self._rate
        row, rate = np.zeros_like(parts[-1]), np.empty((1, 1), variable.dtype)
        launch_copy(flat(gradient._data), row[:, : variable.size])
        launch_copy(as_tensor(learning_rate, variable.dtype)._data.reshape(1, 1), rate)
        is_direct = not self._overrides(*_HOOKS[3:])
        new = parts if is_direct else [np.empty_like(part) for part in parts]
        self._rate = rate
        try:
            if not is_direct:
                for part, copy in zip(parts, new, strict=True):
                    launch_copy(part, copy)
            self.update(row, *new)
        finally:
            self._rate = usual
        if not is_direct:
            self._write(variable, parts, new)

    def _write(self, variable, parts, new):
        """Change the parts of `_stretches` to the new values by the methods that Keras' rule calls for it."""
        names = [slot.name for slot in itertools.chain.from_iterable(self._own_groups())]
        for name, part, value in zip([*names, "weights"], parts, new, strict=True):
            if not part.size:
                continue
            part, value = (row[0, : variable.size].reshape(variable.shape) for row in (part, value))
            target = variable if name == "weights" else self._slot_variable(variable, name, part)
            how = self.writes.get(name, "assign_sub" if name == "weights" else "assign")
            value = as_tensor(value)
            if how != "assign":
                value = value - target.detach() if how == "assign_add" else target.detach() - value
            getattr(self, how)(target, value)

    # ---- for training loops

    def scale_loss(self, loss):
        """The loss times `loss_scale_factor`, whose gradients `apply` expects."""
        return loss if self.loss_scale_factor is None else loss * float(self.loss_scale_factor)

    def finalize_variable_values(self, variables=None):
        """At the end of training: let the moving averages replace the weights, if they are kept."""
        if self.use_ema and self.built:
            self._weights[...] = self._rows["average"]


def _learning_rate(owner, value, strict=True):
    """A learning rate as a float, or the schedule or function that makes it; refused where Keras refuses it."""
    if isinstance(value, schedules.LearningRateSchedule) or (callable(value) and not isinstance(value, type)):
        return value
    if not strict and isinstance(value, Tensor):
        return float(value)
    if not isinstance(value, float) and (strict or isinstance(value, (bool, str, type)) or value is None):
        raise ValueError(
            f"{owner}: learning_rate must be a float, a LearningRateSchedule, or a function without arguments; "
            f"got {value!r} ({type(value).__name__})."
        )
    value = float(value)
    if not value >= 0:
        raise ValueError(f"{owner}: learning_rate must be a number >= 0, got {value!r}.")
    return value
