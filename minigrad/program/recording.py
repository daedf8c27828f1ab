"""A Program: what one step launches, recorded, checked, replayed and printed."""

import html
import itertools
import time

import numpy as np

from minigrad.program.launching import LINE, Plan, RecordingError, address, memory_of, trace
from minigrad.program.replaying import HEAD, MAX_OPERANDS, PER_OPERAND, replay_entry


class Program:
    """The launches of one step, recorded once and replayed without Python.

    `step` is a function without arguments. It is run twice while every launch is written down and none is carried out,
    so no array changes. If the two recordings differ (by a Python counter, a random number, a branch on a changing
    value), or if the step reads a value, it is refused with a RecordingError. Whatever else Python computes is computed
    while recording, and frozen. A step that `is_sure` to do the same each time is recorded once. `names` maps the names
    that a listing shows to arrays. The arrays in `inputs` may be exchanged later with `bind`.

    >>> program = Program(step)
    >>> program.replay(1000)          # a thousand steps, the GIL released
    >>> print(program)                # one line per instruction
    """

    def __init__(self, step, inputs=None, names=None, title="program", is_sure=False):
        self.title, self.inputs, self._names = title, dict(inputs or {}), dict(names or {})
        launches = trace(step) if is_sure else self._recorded_twice(step)
        for kernel, operands, _ in launches:
            _check(kernel, operands)
        kernel = operands = None  # which would hold memory
        # They keep every operand alive: addresses in the table never move.
        self.instructions, self._before = Plan.chosen.packed(launches)
        self._missing, self._run = set(), replay_entry()  # names of released inputs; what runs the table
        self._lay_out()
        places = {address(array): (name, []) for name, array in self.inputs.items()}
        if len(places) < len(self.inputs):
            raise ValueError(f"Two of the inputs {', '.join(self.inputs)} are the same array: pass a copy of one.")
        starts = self._table[:, HEAD::PER_OPERAND].tolist()
        for i, ((_, operands, _), rows) in enumerate(zip(self.instructions, self.plan.rows_of)):
            for k, start in enumerate(starts[rows[0]][: len(operands)]):  # the first part begins where the operand does
                if start in places:
                    places[start][1].append((i, k))
        self._places = dict(places.values())
        self._least = {name: self._rows_needed(name) for name in self.inputs}

    def _recorded_twice(self, step):
        """The second of two recordings, which must be equal: what the step leaves in Python belongs to this run."""
        first = trace(step)
        small = [(o, o.tobytes()) for _, operands, _ in first for o in operands if o.size <= 16]
        launches = trace(step)
        compare(first, launches)
        changed = {address(operand) for operand, before in small if operand.tobytes() != before}
        if changed - set(map(address, self._names.values())):  # another thread may be training the named arrays
            raise RecordingError("The step changes an operand in Python, not by a launch. A replay would not do that.")
        return launches

    def _lay_out(self):
        """Write the table: a row for each row of the plan."""
        self.plan = Plan.chosen(self.instructions)
        width = HEAD + PER_OPERAND * max((len(operands) for _, operands, _ in self.plan.rows), default=0)
        self._table = np.zeros((len(self.plan.rows), width), np.int64)
        for i, row in enumerate(self.plan.rows):
            self._write(i, *row)

    def _write(self, i, kernel, operands, flag):
        dtype = operands[kernel.generic].dtype
        if dtype not in kernel.address:
            kernel.compile(dtype)
        row = [len(operands), 0 if flag is None else address(flag), kernel.address[dtype]]
        for operand in operands:
            row += address(operand), *operand.shape, operand.itemsize
        self._table[i, : len(row)] = row

    def _rows_needed(self, name):
        """The least number of rows of an input: as when it was recorded, but 1 if kernels only pick rows from it."""
        picked = [self.instructions[i][0].is_picked[k] for i, k in self._places[name]]
        return min(1, len(self.inputs[name])) if all(picked) else len(self.inputs[name])

    def bind(self, **arrays):
        """Exchange the named inputs for other arrays of the same dtype and number of columns.

        Raises:
            ValueError: an array does not fit, or has fewer rows than the step reads. (A step of `fit` picks those rows
                of x, y and w whose numbers stand in `order` from `cursor` on: bind all of them at once.)
        """
        arrays = {name: a for name, a in arrays.items() if self.inputs.get(name) is not a or name in self._missing}
        for name, array in arrays.items():
            if name not in self.inputs:
                raise ValueError(f"This Program has no input {name!r}; it has {', '.join(self.inputs)}.")
            old = self.inputs[name]
            if (array.dtype, array.shape[1:]) != (old.dtype, old.shape[1:]) or not array.flags.c_contiguous:
                raise ValueError(
                    f"Input {name!r} of this Program is a C-contiguous array of {old.dtype} with {old.shape[1]} "
                    f"columns; got {array.dtype} {array.shape}. Record a new Program for it."
                )
            if len(array) < self._least[name]:
                raise ValueError(f"The step reads {self._least[name]} rows of input {name!r}, got {len(array)}.")
        if arrays:
            self._check_values(arrays)
            self._exchange(arrays)
            self._missing -= set(arrays)

    def _check_values(self, arrays):
        """Raise a ValueError if the values of new arrays would lead a kernel outside of its operands."""
        places = {place: array for name, array in arrays.items() for place in self._places[name]}
        for i in {i for i, _ in places if self.instructions[i][0].check is not None}:
            kernel, operands, _ = self.instructions[i]
            bound = [places.get((i, k), operand) for k, operand in enumerate(operands)]
            if any(new is not old for new, old in zip(bound, operands)):
                kernel.check(*bound)

    def _exchange(self, arrays):
        for name, array in arrays.items():
            for i, k in self._places[name]:
                kernel, operands, flag = self.instructions[i]
                self.instructions[i] = kernel, (*operands[:k], array, *operands[k + 1 :]), flag
            self.inputs[name] = array
        changed = {i for name in arrays for i, _ in self._places[name]}
        if any(self.instructions[i][0].cost is not None or len(self.plan.rows_of[i]) > 1 for i in changed):
            self._lay_out()
        else:
            for i in changed:
                (row,) = self.plan.rows_of[i]
                self.plan.rows[row] = self.instructions[i]
                self._write(row, *self.instructions[i])

    def release(self):
        """Release the inputs: the Program keeps a few rows of zeros of the same dtype and columns instead of each."""
        self._exchange({name: np.zeros((self._least[name], a.shape[1]), a.dtype) for name, a in self.inputs.items()})
        self._missing = set(self.inputs)

    def _require_inputs(self):
        if self._missing:
            raise RuntimeError(
                f"This Program ({self.title}) has let go of its data, as `fit` does at its end: bind arrays for "
                f"{', '.join(name for name in self.inputs if name in self._missing)} before it is replayed."
            )

    def replay(self, steps=1):
        """Run the recorded step `steps` times in one call of compiled code, with the GIL released."""
        if self._missing:
            self._require_inputs()
        self.plan.replay(self._run, self._table, steps)

    def profile(self, repeats=1000):
        """Seconds that each instruction takes when it is repeated alone, a list of (kernel name, seconds).

        Repeating them trains the model on one batch: profile a model that you don't need any more.
        """
        self._require_inputs()
        seconds = []
        for (kernel, operands, _), rows in zip(self.instructions, self.plan.rows_of):
            written = [o for o, is_out in zip(operands, kernel.is_out) if is_out]
            counters = [(o, o.copy()) for o in written if o.dtype.kind in "iu" and o.size == 1]
            began = time.perf_counter()
            self._run(self._table, rows, repeats)
            seconds.append((kernel.name, (time.perf_counter() - began) / repeats))
            for counter, before in counters:
                counter[...] = before
        return seconds

    @property
    def nbytes(self):
        """Bytes of the Program's own memory: of all operands except the inputs and the named arrays."""
        shared = {address(array) for array in (*self._names.values(), *self.inputs.values())}
        every = [operand for _, operands, _ in self.instructions for operand in operands]
        own = [(o, memory_of(o)) for o in every if address(o) not in shared]
        pieces = {address(o): o.nbytes for o, memory in own if memory is None}
        whole = {address(memory): len(memory) - LINE for _, memory in own if memory is not None}
        return sum((pieces | whole).values())

    def reads(self, addresses):
        """Whether any operand begins at one of the addresses."""
        every = (operand for _, operands, _ in self.instructions for operand in operands)
        return bool(addresses) and any(address(operand) in addresses for operand in every)

    def __len__(self):
        return len(self.instructions)

    def _repr_html_(self):
        """For notebooks, in which long lines shall be scrolled and not wrapped."""
        return f'<pre style="white-space: pre; overflow-x: auto">{html.escape(repr(self))}</pre>'

    def __repr__(self):
        # A flat buffer and its first part have one address: the size tells them apart.
        names = {(address(a), a.size): name for name, a in (self._names | self.inputs).items()}
        written, temporaries = set(), itertools.count(1)

        def show(operand):
            if getattr(operand, "words", None):  # a table that says what it is
                return f"[{operand.words}]"
            key = self._before.get(id(operand)) or address(operand), operand.size
            if key not in names and key[0] not in written and operand.size <= 4:
                return "[" + " ".join(f"{value:g}" for value in operand.flat) + "]"  # a constant
            if key not in names:
                names[key] = f"t{next(temporaries)}"
            rows = "n" if any(operand is array for array in self.inputs.values()) else operand.shape[0]
            return f"{names[key]} {rows}x{operand.shape[1]}"

        lines = [f"{self.title}: {len(self)} instructions"]
        for i, ((kernel, operands, condition), rows) in enumerate(zip(self.instructions, self.plan.rows_of), 1):
            ins = [show(o) for o, out in zip(operands, kernel.is_out, strict=True) if not out]
            outs = [o for o, out in zip(operands, kernel.is_out, strict=True) if out]
            written.update(self._before.get(id(o)) or address(o) for o in outs)
            clause = "" if condition is None else f"  if {show(condition)}"
            clause += f"  in {len(rows)} parts" if len(rows) > 1 else ""
            lines.append(f"{i:4}  {kernel.name:<24} {', '.join(ins)} -> {', '.join(map(show, outs))}{clause}")
        return "\n".join(lines)


def _check(kernel, operands):
    """Raise a ValueError if `kernel` was not written for such operands."""
    dtype = operands[kernel.generic].dtype
    if len(operands) + kernel.takes_part > MAX_OPERANDS:
        raise ValueError(f"{kernel} has {len(operands)} operands; a replay can pass at most {MAX_OPERANDS}.")
    for name, fixed, operand in zip(kernel.parameters, kernel.dtypes, operands, strict=True):
        if operand.dtype != (fixed or dtype) or operand.ndim != 2 or not operand.flags.c_contiguous:
            raise ValueError(
                f"{kernel} expects {name} as a C-contiguous 2-D array of {fixed or dtype}; "
                f"got {operand.dtype} {operand.shape}."
            )
    outs = [o for o, is_out in zip(operands, kernel.is_out) if is_out] if kernel.is_disjoint else ()
    if any(a is not b and np.may_share_memory(a, b) for a in outs for b in operands):
        raise ValueError(f"{kernel} was given operands that overlap, of which it writes one: pass a copy.")


def compare(first, second):
    """Raise a RecordingError if two recordings of one step differ in more than the addresses of their temporaries."""
    # A note in one of them only is no part of the step: a signal came just then.
    for note in first.asides:
        if note in second.asides:
            raise RecordingError(note)
    if len(first) != len(second):
        raise RecordingError(
            f"Two recordings of the same step differ: one has {len(first)} launches, the other {len(second)}. If it "
            "adds to gradients of before, set `v.grad = None` at its beginning."
        )
    twins = {}  # address of a temporary in the first -> address of the same temporary in the second
    taken = set()  # the addresses in the second
    first, second = (
        [(kernel, operands if flag is None else (*operands, flag)) for kernel, operands, flag in launches]
        for launches in (first, second)
    )
    for i, ((kernel, ours), (other, theirs)) in enumerate(zip(first, second, strict=True), 1):
        if kernel is not other or [(o.shape, o.dtype) for o in ours] != [(o.shape, o.dtype) for o in theirs]:
            raise RecordingError(f"Two recordings of the same step differ at launch {i}: {kernel}, then {other}.")
        for a, b, out in zip(ours, theirs, [*kernel.is_out, False]):
            here, there = address(a), address(b)
            if here == there or twins.get(here) == there:
                continue
            if here in twins or there in taken:
                raise RecordingError(
                    f"Two recordings of the same step differ at launch {i}, {kernel}: Python chose another array."
                )
            if out:
                twins[here] = there
                taken.add(there)
            elif not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                raise RecordingError(
                    f"Two recordings of the same step differ at launch {i}, {kernel}: a value that Python computed "
                    f"changed from {a.flat[0]} to {b.flat[0]}. In a Program it would be frozen."
                )
