"""Large launches are divided into parts by rows or columns, which several threads can share."""

import numpy as np

from minigrad.parallel import lanes
from minigrad.parallel.threads import enter, leave, threads
from minigrad.program import SMALL, WHOLE, Plan

PART = 300_000  # the least cost of a part of a launch, some microseconds
STEP = 32  # rows or columns: parts begin at cache lines, and at tiles of a matrix product


def divide(kernel, operands, cost):
    """(the axis along which a launch is divided, or None; the operands of each of its parts)."""
    axis, ends = _ends(kernel, operands, cost) if cost >= 2 * PART else (None, [])
    if len(ends) < 3:
        return None, [(*operands, *kernel.undivided)]
    parts = list(zip(ends, ends[1:]))
    if kernel.takes_part:
        rows = [WHOLE.copy() for _ in parts]
        for row, part in zip(rows, parts):
            row[0, 2 * axis : 2 * axis + 2] = part
        return axis, [(*operands, row) for row in rows]
    own = kernel.is_own[axis]
    if axis == 1 and any(o.shape[0] > 1 for o, is_own in zip(operands, own) if is_own):
        raise ValueError(f"{kernel} has no parameter `part`: its columns can be divided in rows (1, n) only.")
    cut = (lambda o, a, b: o[:, a:b]) if axis == 1 else (lambda o, a, b: o[a:b])
    return axis, [tuple(cut(o, *part) if is_own else o for o, is_own in zip(operands, own)) for part in parts]


def _ends(kernel, operands, cost):
    """The axis along which to divide, and the boundaries of the parts."""
    lengths = [length(kernel, operands, axis) for axis in (0, 1)]
    count = min(int(cost // PART), threads(), max(lengths) // STEP)
    # Columns, if there are enough: the next launches of a step mostly need the same ones.
    axis = 1 if lengths[1] // STEP >= count else 0
    return axis, [lengths[axis] * k // count // STEP * STEP for k in range(count)] + [lengths[axis]]


def length(kernel, operands, axis):
    """The number of rows (axis 0) or columns (axis 1) that can be divided."""
    return max((o.shape[axis] for o, is_own in zip(operands, kernel.is_own[axis]) if is_own), default=0)


class DividedPlan(Plan):
    """Each part of a launch is a row of the table. Threads run their own parts side by side, if that is faster."""

    def __init__(self, instructions):
        self.has_products, self.rows_of, self.rows, launches = False, [], [], []
        for kernel, operands, flag in instructions:
            axis, parts = None, [operands]
            if kernel.cost is not None:
                cost = kernel.cost(*operands)
                axis, parts = divide(kernel, operands, cost)
                self.has_products |= cost > SMALL
            self.rows_of.append(np.arange(len(self.rows), len(self.rows) + len(parts)))
            self.rows += [(kernel, part, flag) for part in parts]
            launches.append((kernel, operands, flag, axis, self.rows_of[-1].tolist()))
        self.walk, self.lanes, self.pace = np.arange(len(self.rows)), None, lanes.Pace()
        walks = lanes.walks(launches)
        if walks is not None:
            self.counters = np.zeros((1 + len(walks), 64), np.int64)  # each has cache lines of its own
            meeting = range(len(self.rows), len(self.rows) + len(walks))
            self.rows += [(lanes.meet, operands, None) for operands in lanes.meetings(self.counters)]
            self.lanes = [np.array([m if row is None else row for row in walk]) for m, walk in zip(meeting, walks)]

    def replay(self, run, table, steps):
        mine = [self.has_products]
        try:
            is_alone = enter(mine)
            if self.lanes is None or not is_alone or lanes.crew() is None:
                run(table, self.walk, steps)
                return
            for part, in_lanes in self.pace.plan(steps):
                with self.pace.timed(part, in_lanes):
                    if in_lanes:
                        lanes.crew().run(lambda walk, steps=part: run(table, walk, steps), self.lanes, self.counters)
                    else:
                        run(table, self.walk, part)
        finally:
            leave(mine)

    @staticmethod
    def launch(kernel, entry, operands):
        parts = divide(kernel, operands, kernel.cost(*operands))[1]
        mine = [True]
        try:
            enter(mine)
            for part in parts:
                entry(*part)
        finally:
            leave(mine)
