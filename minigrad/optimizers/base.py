"""What all optimizers share: settings, and the order of operations in a step.

All trainable variables of a model are parts of one flat row, and so are their gradients and each slot of the optimizer.
So a step is one launch over whole rows, unless a setting needs single variables. The learning rate and the step count
are arrays, so that they can change under a recorded Program.
"""

import itertools
import operator
import re

import numpy as np

from minigrad import config
from minigrad import kernels as K
from minigrad.checks import is_own, warn
from minigrad.configurable import REQUIRED, Number, numbers_among
from minigrad.exchange import average
from minigrad.names import auto_name, snake_case
from minigrad.optimizers import lookups, schedules
from minigrad.optimizers.memory import Memory
from minigrad.optimizers.rows import common_row
from minigrad.program import RecordingError, compare, empty, is_recording, launch, trace, when
from minigrad.registry import Registry, custom_object, custom_object_scope
from minigrad.spelling import argument_names, rejected_keywords
from minigrad.tensor import Structure, Tensor, Variable, as_tensor, constant, flat, launch_copy, no_grad

registry = Registry("optimizer", "keras.optimizers", ignore_case=True)
serialize, deserialize = registry.serialize, registry.deserialize

_CUT = "Is the loss computed from them by functions of minigrad.ops? NumPy's cut the gradient."
_HOOKS = "apply_gradients", "apply", "update_step", "assign", "assign_add", "assign_sub"  # users may override these
# The settings with which a step changes gradients.
_CHANGING = "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor", "gradient_accumulation_steps"


def get(identifier):
    """The Optimizer that `identifier` means: a name in any case, a config, or an Optimizer; None for None."""
    if identifier is None:
        return None
    if isinstance(identifier, type):
        raise ValueError(f"Expected an optimizer's name or instance, got the class {identifier.__name__}: call it.")
    found = registry.get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"{identifier!r} is no optimizer: pass a name such as 'adam', or an instance.")
    return found


class Optimizer(Memory, is_member=False):
    """Base class. A subclass defines `slots`, the names of the rows that it keeps beside the weights, and `update`.

    Or it defines the same methods as in Keras: `build`, which adds variables, and `update_step`. One step does, in this
    order: clipping; weight decay, w -= w weight_decay lr; the rule; the moving average; constraints; the step count.
    A table of `arguments` (see `Configurable._declare`) makes the constructor, as the rules show.

    Args:
        learning_rate: a number, a schedule, or a function without arguments. See the property of this name.
        weight_decay: a float, or None for no decay. See `exclude_from_weight_decay`.
        clipnorm, clipvalue, global_clipnorm: the largest norm of a variable's gradient, the largest |element| of one,
            or the largest norm of all gradients together. At most one of the three can be set.
        use_ema: whether to keep an exponential moving average of the weights (with momentum `ema_momentum`). It
            replaces the weights every `ema_overwrite_frequency` steps and at the end of `fit`.
        loss_scale_factor: a number by which the loss is multiplied and gradients are divided.
        gradient_accumulation_steps: after how many steps there is an update, with the mean of their gradients.
    """

    _registry = registry
    _keywords = "kwargs"
    arguments = {}
    kernel = None
    writes = {}  # slot, or "weights" -> the method by which Keras' rule changes it, if not assign, or assign_sub

    common = {  # the arguments that all optimizers have, behind their own
        "learning_rate": REQUIRED,
        "weight_decay": Number(None, "[0, inf)"),
        "clipnorm": Number(None, "(0, inf)"),
        "clipvalue": Number(None, "(0, inf)"),
        "global_clipnorm": Number(None, "(0, inf)"),
        "use_ema": False,
        "ema_momentum": Number(0.99, "[0, 1]"),
        "ema_overwrite_frequency": Number(None, "[1, inf)", int),
        "loss_scale_factor": Number(None, "(0, inf)"),
        "gradient_accumulation_steps": Number(None, "[2, inf)", int),
        "name": None,
    }

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "arguments" in vars(cls) and not is_own(cls):
            cls._declare(cls.arguments)

    @classmethod
    def _declare(cls, arguments):
        super()._declare({**arguments, **{n: v for n, v in cls.common.items() if n not in arguments}})

    def _set_up(self, given):
        owner, unknown = type(self).__name__, given.pop("kwargs")
        if unknown:
            known = dict.fromkeys([*argument_names(type(self).__init__), *self._argument_names])
            raise rejected_keywords(owner, unknown, known)
        clips = {what: given[what] for what in ("clipnorm", "clipvalue", "global_clipnorm")}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(f"{owner}: only one of clipnorm, clipvalue and global_clipnorm can be set; got {clips}.")
        rate = _learning_rate(owner, given.pop("learning_rate"))
        given["name"] = given["name"] or auto_name(snake_case(owner))
        self._keep(given)
        self._excluded_variables, self._excluded_names = [], None
        self._row_before = None
        self._begin(rate)

    # ---- settings

    @property
    def learning_rate(self):
        """The learning rate: a Variable, which can be assigned at any time. With a schedule, its present value.

        A function without arguments is called in each step. If it returns a Variable, or what `minigrad.ops` compute
        from Variables, it becomes part of the Program. If it returns a number, `fit` runs eagerly.

        Raises:
            TypeError: a number is assigned to an optimizer that was made with a schedule or a function.
        """
        rate = getattr(self._learning_rate, "base", self._learning_rate)  # of older Keras' decay
        if isinstance(rate, Variable):
            return rate
        value = self._present_rate()
        return value if isinstance(value, Tensor) else as_tensor(value, config.floatx())

    @learning_rate.setter
    def learning_rate(self, value):
        value = _learning_rate(type(self).__name__, float(value) if isinstance(value, Tensor) else value)
        rate = getattr(self._learning_rate, "base", self._learning_rate)
        if not isinstance(value, float):
            self._learning_rate = value
            self._move_out()
        elif isinstance(rate, Variable):
            rate.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__}: its learning rate comes from {self._learning_rate!r} and can't be assigned; "
                "make the optimizer with a number to assign another one later."
            )

    lr = learning_rate

    def _present_rate(self):
        """The value of the schedule or the function in this step."""
        if not isinstance(self._learning_rate, schedules.LearningRateSchedule):
            return self._learning_rate()
        step = empty((), self._rate.dtype if self.built else config.floatx())
        launch(K.cast_int64, self._calls, flat(step))
        return self._learning_rate(as_tensor(step))

    @property
    def iterations(self):
        """The number of updates so far, an int64 Variable."""
        if not self.gradient_accumulation_steps:
            return self._iterations
        return Variable.over(self._count_updates().reshape(()), "iterations", f"{self.name}/iterations")

    @property
    def _calls(self):
        return self._iterations._data.reshape(1, 1)

    def _count_updates(self):
        if not self.gradient_accumulation_steps:
            return self._calls
        updates = empty((1, 1), np.int64)
        launch(K.quotient, self._calls, constant(np.int64, self.gradient_accumulation_steps), updates)
        return updates

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Exclude variables from weight decay.

        Args:
            var_list: variables.
            var_names: regular expressions, which exclude the variables in whose paths they are found.
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
        return {"learning_rate": rate, **super().get_config()}

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
            self._launches = None  # a setting has changed, so eager steps trace their launches again
            settings = {*Optimizer.common, *self.arguments, *_HOOKS} - {"learning_rate", "name"}
            if self.__dict__.get("built") and name in settings:
                self._move_out()

    @property
    def _takes(self):
        """What the rule takes of the parts of a table's gradient: "squares", "sizes" or, a user's rule, nothing."""
        if not hasattr(self.kernel, "full") or self._overrides("update", *_HOOKS[2:]):
            return ()
        return [p for p in ("squares", "sizes") if p in self.kernel.full.parameters]

    def _overrides(self, *names):
        """Whether a method of one of these names is overridden."""
        methods_of = operator.attrgetter(*names)
        return methods_of(type(self)) != methods_of(Optimizer) or not vars(self).keys().isdisjoint(names)

    # ---- one step

    def apply_gradients(self, grads_and_vars):
        """One step from pairs of (gradient, variable). Returns the step count."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads, trainable_variables=None):
        """One step from the gradients of variables: arrays or tensors, or None for a variable without a gradient.

        The first step, or `build`, tells which variables there are. Later steps can have some of them, in any order.

        Raises:
            ValueError: a gradient has another shape than its variable, the optimizer was not built for a variable,
                there are not as many gradients as variables, or no gradient at all. Then no variable is changed.
        """
        grads = list(grads)
        if trainable_variables is None and not self.built:
            raise ValueError(f"{self.name}: say whose gradients these are, here or before, with build(variables).")
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{self.name}: got {len(grads)} gradients for {len(variables)} variables.")
        if not grads:
            return
        if not self.built:
            self.build(variables)
        elif self._known_at != Structure.version:  # else nothing has moved
            self.build(self._trainable)
            self._known_at = Structure.version
        row = common_row(grads, variables)
        if row is not None and row.home.data is self._gradients:
            self._apply_row(row.data, grads, variables)
            return
        known = set(map(id, self._trainable))
        unknown = [v.path for v in variables if id(v) not in known]
        if unknown:
            raise ValueError(
                f"{self.name} was built for other variables and does not know {unknown}: make an optimizer for each "
                "model, or call build(variables) with all of them."
            )
        sources = [None if g is None else self._source(g, v) for g, v in zip(grads, variables, strict=True)]
        for source, v in zip(sources, variables, strict=True):
            if source is not None and source.shape != v.shape:
                raise ValueError(f"{self.name}: the gradient of {v.path} has shape {source.shape}, not {v.shape}.")
        for v in self._trainable:
            v._grad = None
        for source, gradient, v in zip(sources, grads, variables, strict=True):
            if source is not None:
                v._grad = v._gradient
                if source is not v._grad:
                    launch_copy(source, v._grad)
                    v._parts = getattr(gradient, "_parts", [None])
        self._step(variables)

    def _apply_row(self, row, grads, variables):
        """One step from gradients that are the parts of `row`, which has the layout of the optimizer's own row."""
        own = self._gradients
        for v in self._trainable:
            v._grad = None
        changing = (getattr(self, name) for name in _CHANGING)
        if is_recording() and not self._overrides(*_HOOKS) and all(value is None for value in changing):
            for gradient, v in zip(grads, variables, strict=True):
                if gradient is not None:
                    v._grad, v._parts = gradient._data, gradient._parts
            try:
                self._gradients = row
                self._step(variables)
            finally:
                self._gradients = own
            return
        launch(K.copy, row, own)
        for gradient, v in zip(grads, variables, strict=True):
            if gradient is not None:
                v._grad, v._parts = v._gradient, gradient._parts
        self._step(variables)

    def _source(self, gradient, variable):
        """The array of a gradient. It is a copy if it shares memory with the row that gradients are written to."""
        data = as_tensor(gradient, variable.dtype)._data
        if data is not variable._gradient and np.may_share_memory(data, self._gradients):
            source, data = data, np.empty_like(data)
            launch_copy(source, data)
        return data

    def step(self, variables=None):
        """One step from the gradients in `grad` of the variables (by default all), which are parts of the flat row.

        If `apply_gradients` or `apply` is overridden, the step calls it, as Keras' `fit` does.
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
        self._summed = lookups.sums(self)
        if is_recording() or self._summed:
            try:
                self._launch_step()
            finally:
                self._summed = {}
            return
        # The launches of a step are always the same: they are traced once, and then repeated.
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
        """The launches of a step; None if a user's constraint, schedule or rule reads values."""
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
        average(self._gradients)
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
        own = self._summed if self._takes else {}
        for a, b in self._layout.runs([p and i not in own for i, p in enumerate(present)]) if own else runs:
            self.update(self._gradients[:, a:b], *self._stretches(a, b))
        for i, summed in own.items():
            a, b = self._layout.places[i]
            self.update(self._gradients[:, a:b], *self._stretches(a, b), summed=summed)

    def _stretches(self, first, last):
        """These columns of the rows that the rule changes: its slots (none of an absent slot) and the weights."""
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
            runs = self._layout.runs([p and i not in self._summed for i, p in enumerate(present)])
            for a, b in runs if self._summed else [(0, None)]:
                launch(K.clip_values, limit, self._gradients[:, a:b])
            return
        every = {i: self._layout.places[i] for i, p in enumerate(present) if p}
        others = [place for i, place in every.items() if i not in self._summed]
        every, others = np.array([*every.values()], np.int64), np.array(others, np.int64).reshape(-1, 2)
        if self.clipnorm is not None:
            launch(K.clip_norms, limit, others, self._gradients)
            lookups.clip_norms(self, limit)
        elif self._summed:
            lookups.clip_global_norm(self, limit, others, every)
        else:
            launch(K.clip_global_norm, limit, every, self._gradients)

    def _average(self):
        momentum, average = constant(self._rate.dtype, self.ema_momentum), self._rows["average"]
        launch(K.average, self._weights, momentum, self._updates, average)
        if self.ema_overwrite_frequency:
            with self._every(self.ema_overwrite_frequency, self._updates):
                launch(K.copy, average, self._weights)

    @staticmethod
    def _every(number, count):
        """Context manager: launches inside run only in every `number`-th step, which the array `count` counts."""
        due = empty((1, 1), np.int64)
        launch(K.is_multiple, count, constant(np.int64, number), due)
        return when(due)

    # ---- the rule, which subclasses define

    def prepare(self):
        """Launch what is computed once per step, before `update`."""

    def update(self, gradients, *slots_and_weights, summed=None):
        """Launch the update of some columns of the rows: of gradients, slots and weights, one row (1, n) each.

        By default it launches `kernel` with those of `g`, `learning_rate`, `settings`, `step` and `scalars` that are
        among the parameters of the kernel, and with the slots and weights. `summed` are the sums of the squares and of
        the absolute values of a gradient's parts (see `lookups`); then it launches `kernel.full`, which takes one.
        """
        if self.kernel is None:
            raise TypeError(
                f"{type(self).__name__} must define update(self, gradients, *slots, weights), or "
                "update_step(self, gradient, variable, learning_rate)."
            )
        known = {"g": gradients, "learning_rate": self._rate, "settings": self._settings_row(), "step": self._updates}
        known |= {name: flat(v._data) for name, v in self._scalars.items()}
        operands = [known[p] for p in self.kernel.parameters if p in known]
        if summed is None:
            launch(self.kernel, *operands, *slots_and_weights)
            return
        known = {"squares": summed[0], "sizes": summed[1]}
        more = [flat(known[name]) for name in self._takes]
        launch(self.kernel.full, *operands, *slots_and_weights, *more)

    def _settings_row(self):
        """The rule's own settings, and in a second row 1 minus each, rounded from the exact difference as in Keras."""
        values = np.array(numbers_among(self, [name for name in self.arguments if name not in Optimizer.common]))
        row = np.array([values, 1 - values], self._rate.dtype)
        if self._row_before is None or not np.array_equal(row, self._row_before) or row.dtype != self._row_before.dtype:
            self._row_before = row
        return self._row_before  # the same array until a setting changes, so that listings of Programs know its name

    def update_step(self, gradient, variable, learning_rate):
        """Update a single variable, as in Keras: `assign` to it what `minigrad.ops` compute from tensors.

        By default this is the rule of `update`. An override may call this method with another gradient or learning
        rate. If `assign`, `assign_add` or `assign_sub` is overridden, it is called for each change.
        """
        gradient = as_tensor(gradient, variable.dtype)
        if gradient.shape != variable.shape:
            raise ValueError(
                f"{self.name}: the gradient of {variable.path} has shape {gradient.shape}, not {variable.shape}."
            )
        # With the padding behind it, as in a step over the whole row: the last columns of a loop may round differently.
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
        """Change the parts of `_stretches` to new values, by the methods that Keras' rule calls for that."""
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
        """The loss times `loss_scale_factor`. `apply` expects its gradients."""
        return loss if self.loss_scale_factor is None else loss * float(self.loss_scale_factor)

    def finalize_variable_values(self, variables=None):
        """At the end of training, with `use_ema`: the moving averages replace the weights."""
        if self.use_ema and self.built:
            self._weights[...] = self._rows["average"]


def _learning_rate(owner, value):
    """A learning rate as a float, or the schedule or function that makes it; a ValueError if it is none of these."""
    if isinstance(value, schedules.LearningRateSchedule) or (callable(value) and not isinstance(value, type)):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and value.shape == ():
        value = value.item()
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(
            f"{owner}: learning_rate must be a number, a LearningRateSchedule, or a function without arguments; "
            f"got {value!r} ({type(value).__name__})."
        )
    value = float(value)
    if not value >= 0:
        raise ValueError(f"{owner}: learning_rate must be a number >= 0, got {value!r}.")
    return value
