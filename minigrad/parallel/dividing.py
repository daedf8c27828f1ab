"""Large launches are divided into parts: by rows or columns for several threads, or into blocks of samples.

A step that computes with images or sums over time runs in blocks: all that follows a convolution or an embedding is
computed for some samples while they are in the cache, and then for the next ones.
"""

import math
from collections import namedtuple

import numpy as np

from minigrad.parallel import lanes
from minigrad.parallel.packing import pack
from minigrad.parallel.threads import LONG, enter, here, leave, out_of_turn, threads
from minigrad.program import DIVISIBLE, GROUPS, SMALL, WHOLE, Plan

PART = DIVISIBLE // 2  # the least cost of a part of a launch, some microseconds
STEP = 32  # rows or columns: parts begin at cache lines, and at tiles of a matrix product
NEAR = 2**19  # bytes of an operand of which a block should have no more: what the nearer caches keep
FEW = 8192  # numbers: up to so many, a launch is not worth the division into blocks
ROWS = 64  # the least rows of a block of a matrix product: each packs the other matrix anew


# How a launch is divided: the operands of each part; and for each operand a key, or None if each part may touch all of
# it. The parts with one number of launches that have the same key for an array touch the same part of it, and no other.
Division = namedtuple("Division", "parts shares")


def divide(kernel, operands, cost):
    """(the axis along which a launch is divided, or None; the operands of each of its parts)."""
    axis, ends = _ends(kernel, operands, cost) if cost >= DIVISIBLE else (None, [])
    if len(ends) < 3:
        return None, [(*operands, *kernel.undivided)]
    parts = list(zip(ends, ends[1:]))
    if kernel.takes_part:
        return axis, [(*operands, _part(axis, *part)) for part in parts]
    own = kernel.is_own[axis]
    if axis == 1 and any(o.shape[0] > 1 for o, is_own in zip(operands, own) if is_own):
        raise ValueError(f"{kernel} has no parameter `part`: its columns can be divided in rows (1, n) only.")
    return axis, [tuple(_cut(o, axis, *part) if is_own else o for o, is_own in zip(operands, own)) for part in parts]


def _part(axis, first, last):
    row = WHOLE.copy()
    row[0, 2 * axis : 2 * axis + 2] = first, last
    return row


def _cut(operand, axis, first, last):
    return operand[:, first:last] if axis == 1 else operand[first:last]


def _ends(kernel, operands, cost):
    """The axis along which to divide, and the boundaries of the parts."""
    lengths = [length(kernel, operands, axis) for axis in (0, 1)]
    step = kernel.grain or STEP
    count = min(int(cost // PART), threads(), max(lengths) // step)
    # Columns, if there are enough: the next launches of a step mostly need the same ones.
    axis = 1 if lengths[1] // step >= count else 0
    return axis, [(lengths[axis] * k // count + step // 2) // step * step for k in range(count)] + [lengths[axis]]


def length(kernel, operands, axis):
    """The number of rows (axis 0) or columns (axis 1) that can be divided."""
    return max((o.shape[axis] for o, is_own in zip(operands, kernel.is_own[axis]) if is_own), default=0)


# ---------------------------------------------------------------------------------------------- blocks of samples


def blocks_of(instructions):
    """(number of samples, number of their blocks) of a step with images or sums over time; None of any other step."""
    counts = [len(operands[k.counts_samples]) for k, operands, _ in instructions if k.counts_samples is not None]
    samples = max(counts, default=1)
    most = math.gcd(samples, GROUPS)
    if most == 1:
        return None
    largest = max(_bytes(kernel, operands, samples, most) for kernel, operands, _ in instructions)
    count = 2
    while count < most and (count < threads() or largest > count * NEAR):
        count *= 2
    return samples, count


def _with_groups(kernel, operands, count):
    """The number of blocks of a launch: no more than it has groups."""
    return min([count, *(len(o) for o, is_group in zip(operands, kernel.is_of_groups) if is_group)])


def _bytes(kernel, operands, samples, count):
    """The size of the largest operand of a launch that can be divided into blocks, and is worth it; else 0."""
    count = _with_groups(kernel, operands, count)
    own = [(o, is_group) for o, is_own, is_group in zip(operands, kernel.is_of_samples, kernel.is_of_groups) if is_own]
    if not own or not all(_has_blocks(kernel, o, count if is_group else samples, count) for o, is_group in own):
        return 0
    largest = max((o for o, _ in own), key=lambda o: o.size)
    is_product = kernel.cost is not None and any(kernel.is_own[1])
    if is_product and not (kernel.is_of_samples[0] and largest.shape[0] >= ROWS * count):
        return 0
    if is_product and kernel.cost(*operands) < DIVISIBLE:
        return 0
    return largest.nbytes if largest.size > FEW else 0


def _has_blocks(kernel, operand, of, count):
    """Whether an operand is made of equal parts one after the other, as many as samples or a multiple."""
    axis = _axis(kernel, operand)
    return (axis == 0 or len(operand) == 1) and operand.shape[axis] % of == 0 and operand.shape[axis] % count == 0


def _axis(kernel, operand):
    """The axis of an operand along which samples follow each other: in a single row they stand side by side."""
    return 1 if len(operand) == 1 and not kernel.takes_part else 0


def divide_by_samples(kernel, operands, samples, count):
    """The Division of a launch into blocks of samples; None if it can't be divided so, or is not worth it."""
    if not _bytes(kernel, operands, samples, count):
        return None
    own, parts = kernel.is_of_samples, []
    count = _with_groups(kernel, operands, count)
    if kernel.takes_part:
        rows = [len(o) for o, is_own in zip(operands, own) if is_own][-1] // count
        parts = [(*operands, _part(0, block * rows, (block + 1) * rows)) for block in range(count)]
    else:
        for block in range(count):
            parts.append(tuple(_block(kernel, o, block, count) if is_own else o for o, is_own in zip(operands, own)))
    return Division(parts, [("samples", o.nbytes, count) if is_own else None for o, is_own in zip(operands, own)])


def _block(kernel, operand, block, count):
    axis = _axis(kernel, operand)
    n = operand.shape[axis] // count
    return _cut(operand, axis, block * n, (block + 1) * n)


# -------------------------------------------------------------------------------------------------------- the plan


def _division(kernel, operands, blocks):
    """How a launch of a Program is divided."""
    if blocks:
        found = divide_by_samples(kernel, operands, *blocks)
        if found:
            return found
    if kernel.cost is None:
        return Division([(*operands, *kernel.undivided)], [None] * len(operands))
    axis, parts = divide(kernel, operands, kernel.cost(*operands))
    shares = [
        (o.shape, axis, len(parts), kernel.grain, is_own) if axis is not None and is_own else None
        for o, is_own in zip(operands, kernel.is_own[axis or 0])
    ]
    return Division(parts, shares)


def _divisions(instructions):
    blocks = blocks_of(instructions)
    return [_division(kernel, operands, blocks) for kernel, operands, _ in instructions]


def _runs(launches):
    """The number of the run of each launch, on a single lane."""
    divided = zip(launches, _divisions(launches))
    return lanes.walks([(*one, found.shares, [0] * len(found.parts)) for one, found in divided], 1)[1]


class DividedPlan(Plan):
    """Each part of a launch is a row of the table. Threads run their own parts side by side, if that is faster."""

    def __init__(self, instructions):
        most = max((k.cost(*operands) for k, operands, _ in instructions if k.cost is not None), default=0)
        self.has_products, self.lanes, self.pace = most > SMALL, None, lanes.Pace()
        if most < DIVISIBLE and blocks_of(instructions) is None:  # nothing is divided
            super().__init__(instructions)
            return
        self.rows_of, self.rows, launches = [], [], []
        for (kernel, operands, flag), division in zip(instructions, _divisions(instructions)):
            self.rows_of.append(np.arange(len(self.rows), len(self.rows) + len(division.parts)))
            self.rows += [(kernel, part, flag) for part in division.parts]
            launches.append((kernel, operands, flag, division.shares, self.rows_of[-1].tolist()))
        (self.walk,), _ = lanes.walks(launches, 1)
        most = max(map(len, self.rows_of), default=1)
        count = min(threads(), most)
        if count > 1:
            walks, _ = lanes.walks(launches, count)
            self.counters = np.zeros((1 + count, 64), np.int64)  # each has cache lines of its own
            meeting = range(len(self.rows), len(self.rows) + count)
            self.rows += [(lanes.meet, operands, None) for operands in lanes.meetings(self.counters)]
            self.lanes = [np.where(walk < 0, m, walk) for m, walk in zip(meeting, walks)]

    @staticmethod
    def packed(launches):
        return pack(launches, _runs)

    def replay(self, run, table, steps):
        mine = [self.has_products]
        try:
            is_alone = enter(mine)
            if self.lanes is None or not is_alone or lanes.crew() is None:
                if here.turn is None or steps * len(self.walk) < LONG:
                    run(table, self.walk, steps)
                else:
                    out_of_turn(run, table, self.walk, steps)
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
