"""The memory of an optimizer: one flat row with all trained variables, and rows of its slots beside it."""

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from minigrad import config
from minigrad.checks import warn
from minigrad.configurable import Configurable
from minigrad.optimizers import lookups
from minigrad.optimizers.rows import Place, Row
from minigrad.program import aligned
from minigrad.tensor import Structure, Variable, flat

_ALIGNMENT = 16  # floats: every variable starts on a cache line


@dataclass(frozen=True)
class Slot:
    """A row that an optimizer keeps beside the weights.

    Args:
        name: a part of the paths of its variables, such as "adam/dense_kernel_momentum".
        when: the name of a setting. While that is false or 0, the slot is absent.
        initial: its first values, a number or the name of a setting.
    """

    name: str
    when: str | None = None
    initial: float | str = 0.0


class Layout:
    """Which columns (first, last) of a flat row belong to each of the variables."""

    def __init__(self, variables, dtype):
        self.dtype, self.places, self.size = dtype, [], 0
        self.padded = []  # the places with the padding behind each
        self.shapes = [v.shape for v in variables]
        for v in variables:
            end = self.size + -(-v.size // _ALIGNMENT) * _ALIGNMENT
            self.places.append((self.size, self.size + v.size))
            self.padded.append((self.size, end))
            self.size = end

    def row(self, value=0.0):
        """A new row (1, size), filled with `value`, that starts on a cache line."""
        row = aligned((1, self.size), self.dtype)
        row[...] = value
        return row

    def parts(self, row):
        """The variables' columns of `row`, each in the shape of its variable."""
        return [row[0, a:b].reshape(shape) for (a, b), shape in zip(self.places, self.shapes, strict=True)]

    def runs(self, wanted):
        """The columns of the variables for which the list `wanted` is true, as few pairs (first, last) as possible."""
        runs = []
        for (first, end), is_wanted in zip(self.padded, wanted, strict=True):
            if not is_wanted:
                continue
            if runs and runs[-1][1] == first:
                runs[-1] = runs[-1][0], end
            else:
                runs.append((first, end))
        return runs


class Memory(Configurable):
    """Base class of Optimizer: the rows of its state, and what it does with variables."""

    slots = ()  # names or Slots; the variables of those in a tuple alternate in files
    moves = 0  # how often any optimizer had to make new rows
    scalars = {}  # name -> the first value of a number that is kept beside the slots

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _once(cls.build)

    def _begin(self, rate):
        """Make the state that does not depend on variables. `rate` is a float, a schedule or a function."""
        self._iterations = Variable.over(np.zeros((), np.int64), "iteration", f"{self.name}/iteration")
        self._learning_rate = rate
        if isinstance(rate, float):
            self._learning_rate = Variable(rate, trainable=False, name="learning_rate")
            self._learning_rate.path = f"{self.name}/learning_rate"
        numbers = {name: np.full((), value, config.floatx()) for name, value in self.scalars.items()}
        self._scalars = {name: Variable.over(number, name, f"{self.name}/{name}") for name, number in numbers.items()}
        self.unbuild()

    def unbuild(self):
        """Forget the variables, as if `build` had not been called. They keep their memory."""
        self._added, self._reusable = [], []
        self._trainable, self._homes, self._rows = [], [], {}
        self._summed = {}
        self._known_at = None  # the version of the structure at which `build` last saw that nothing has moved
        self.built = False

    @property
    def variables(self):
        """The whole state, in the order of Keras' files.

        It is the step count (of calls), the learning rate (unless a schedule computes it), averages, accumulators, and
        slots.
        """
        own = [self._iterations, self._learning_rate] if self._has_rate() else [self._iterations]
        return [*own, *self._slot_variables(), *self._added, *(self._scalars.values() if self.built else ())]

    def _has_rate(self):
        """Whether the learning rate is a variable of its own."""
        return isinstance(self._learning_rate, Variable)

    def _groups(self):
        """All Slots that there can be, in groups. The variables of a group alternate in files."""
        common = Slot("average", "use_ema"), Slot("gradient_accumulator", "gradient_accumulation_steps")
        return [*[[slot] for slot in common], *self._own_groups()]

    def _own_groups(self):
        groups = [entry if isinstance(entry, tuple) else (entry,) for entry in self.slots]
        return [[s if isinstance(s, Slot) else Slot(s) for s in group] for group in groups]

    def _wanted(self):
        """The Slots that are not absent, by name."""
        every = itertools.chain.from_iterable(self._groups())
        return {s.name: s for s in every if s.when is None or getattr(self, s.when)}

    def _slot_variables(self):
        for group in self._groups():
            rows = [(s.name, self._layout.parts(self._rows[s.name])) for s in group if s.name in self._rows]
            for i, v in enumerate(self._trainable):
                for slot, parts in rows:
                    yield self._slot_variable(v, slot, parts[i])

    def _slot_variable(self, variable, slot, part):
        name = f"{variable.path.replace('/', '_')}_{slot}"
        return Variable.over(part, name, f"{self.name}/{name}")

    def set_weights(self, weights):
        """Assign arrays to `variables`, in their order."""
        if len(weights) != len(self.variables):
            raise ValueError(f"{self.name} has {len(self.variables)} variables, got {len(weights)} arrays.")
        for variable, value in zip(self.variables, weights, strict=True):
            if variable.shape != np.shape(value):
                raise ValueError(f"{variable.path} has shape {variable.shape}, got an array of {np.shape(value)}.")
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)

    def save_own_variables(self, store):
        """Put the arrays of `variables` into `store`, a dict or a group of an HDF5 file, as "0", "1", ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store):
        """Take the arrays from `store`. If there are not as many as `variables`, none is taken, with a warning."""
        if len(store) != len(self.variables):
            warn(
                f"{self.name}: its state is not loaded, because there are {len(store)} arrays for "
                f"{len(self.variables)} variables."
            )
        else:
            self.set_weights([np.asarray(store[str(i)]) for i in range(len(store))])

    def named_buffers(self):
        """The optimizer's arrays by the names that they have in listings of a Program."""
        own = {"weights": self._weights, "gradients": self._gradients, "learning_rate": self._rate}
        scalars = {name: flat(v._data) for name, v in self._scalars.items()}
        found = {**self._rows, **own, "iteration": self._calls, "settings": self._settings_row(), **scalars}
        return {f"{self.name}/{name}": data for name, data in found.items()}

    def build(self, variables):
        """Move the variables into one flat row and their gradients into another, and make the rows of the slots.

        The slots of variables that the optimizer knows already are kept, since layers may be frozen, added or removed.
        """
        variables = list(variables)
        if self._is_home_to(variables):
            return
        dtypes = {v.dtype for v in variables}
        if len(dtypes) > 1:
            raise ValueError(f"{self.name}: trainable variables must have one dtype; got {sorted(map(str, dtypes))}.")
        dtype = dtypes.pop() if dtypes else np.dtype(config.floatx())
        layout = Layout(variables, dtype)
        previous = {
            (id(v), name): part
            for name, row in self._rows.items()
            for v, part in zip(self._trainable, self._layout.parts(row), strict=True)
        }
        added = list(self._added)
        self._weights, self._gradients = layout.row(), layout.row()
        asked = [lookups.asks(self, v) for v in variables]
        own = Row(self._gradients, len(variables))
        places = [
            Place(own, *columns, v.shape, told)
            for v, columns, told in zip(variables, layout.places, asked, strict=True)
        ]
        for v, *home in zip(variables, *map(layout.parts, (self._weights, self._gradients)), places, strict=True):
            v.move_to(*home)
        self._rows = {"average": self._weights.copy()} if self.use_ema else {}  # averages start as the weights
        for name, slot in self._wanted().items():
            initial = getattr(self, slot.initial) if isinstance(slot.initial, str) else slot.initial
            row = self._rows.setdefault(name, layout.row(initial))
            for v, part in zip(variables, layout.parts(row), strict=True):
                if (id(v), name) in previous:
                    part[...] = previous[id(v), name]
                elif name != "average" and self._overrides("add_variable", "add_variable_from_reference"):
                    initializer = functools.partial(_constant, initial) if slot.initial else "zeros"
                    self.add_variable_from_reference(v, name, initializer).move_to(part)
        for own in (self._learning_rate, *self._scalars.values()):
            if isinstance(own, Variable) and own.dtype != dtype:
                own._data = own._data.astype(dtype)
        self._rate = flat(self._learning_rate._data) if self._has_rate() else np.zeros((1, 1), dtype)
        self._reusable, self._added = added, []
        self._layout, self._trainable, self._homes = layout, variables, [v._data for v in variables]
        self._launches = None
        self.built = True

    def _is_home_to(self, variables):
        """Whether it was built for these variables, they still lie in its row, and they have the slots they need."""
        if not self.built or len(variables) != len(self._trainable) or self._wanted().keys() != self._rows.keys():
            return False
        own = zip(variables, self._trainable, self._homes, strict=True)
        return all(a is b and a._data is home for a, b, home in own)

    def require_some_of(self, variables, owner):
        """Raise a ValueError if it was built for none of these variables, the weights of `owner`."""
        known = set(map(id, variables))
        if self._trainable and not any(id(v) in known for v in self._trainable):
            raise ValueError(
                f"{self.name} was built for other variables than those of {owner}, such as "
                f"{self._trainable[0].path!r}: make an optimizer for each model."
            )

    def _move_out(self):
        """Let the next `build`, with which `fit` begins, make new rows. No earlier Program is used with them."""
        self._homes = [None] * len(self._trainable)
        Memory.moves += 1
        Structure.changed()

    def __getstate__(self):
        # In a copy, variables are not parts of the rows any more, until the next `build` moves them there.
        return {**self.__dict__, "_homes": [None] * len(self._trainable), "_launches": None, "_known_at": None}

    # ---- for those who define `update_step`

    def add_variable(self, shape, initializer="zeros", dtype=None, aggregation="none", layout=None, name=None):
        """A new Variable of the optimizer's state. `aggregation` and `layout` have no effect."""
        name = name or "variable"
        path = f"{self.name}/{name}"
        for i, known in enumerate(self._reusable):  # `build` was called again: the state is kept
            if known.path == path and known.shape == tuple(shape):
                self._added.append(self._reusable.pop(i))
                return known
        variable = Variable(initializer, shape, dtype or config.floatx(), trainable=False, name=name)
        variable.path = path
        self._added.append(variable)
        return variable

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        """A new Variable of the state, with the shape and dtype of `reference_variable`."""
        name = f"{reference_variable.path.replace('/', '_')}_{name or 'var'}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=name)

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """A list of new Variables like these; or, if `name` is a list of names, a tuple with a list per name."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        is_list = isinstance(initializer, (list, tuple))
        pairs = list(zip(name, initializer if is_list else [initializer] * len(name), strict=True))
        made = [[self.add_variable_from_reference(v, n, i) for n, i in pairs] for v in trainable_variables]
        return tuple(map(list, zip(*made, strict=True))) if made else tuple([] for _ in name)

    def _get_variable_index(self, variable):
        return next(i for i, v in enumerate(self._trainable) if v is variable)

    def assign(self, variable, value):
        """variable = value"""
        variable.assign(value)

    def assign_add(self, variable, value):
        """variable += value"""
        variable.assign_add(value)

    def assign_sub(self, variable, value):
        """variable -= value"""
        variable.assign_sub(value)


def _constant(value, shape, dtype=None):
    return np.full(shape, value, dtype)


def _once(build):
    """Decorate a user's `build`: it is called only if the variables are new or have moved."""

    @functools.wraps(build)
    def wrapper(self, variables):
        variables = list(variables)
        if not self._is_home_to(variables):
            self.built = False  # many of them begin with `if self.built: return`
            build(self, variables)

    return wrapper
