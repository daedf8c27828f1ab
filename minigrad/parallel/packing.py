"""Memory for a recorded step: what one launch has done with gives its place to what a later one writes."""

import weakref

import numpy as np

from minigrad.program import LINE, Memory, address, memory_of

LEAST = 2**20  # bytes: less than this stays in the caches anyway


def pack(launches, runs_of):
    """Move the temporaries of recorded launches into one piece of memory.

    Returns the launches as they are then, and {id of an operand: its address before} for those that were moved.

    A temporary is what `empty` made while recording, what a launch writes before any reads it, and what nobody else
    holds. Its life is from its first run to its last. Two whose lives overlap get different places. The largest is
    placed first, each at the lowest place that is free during its life (Pisarchyk and Lee 2020, "Efficient memory
    management for deep neural net inference").

    Args:
        launches: a list of (kernel, operands, flag). It is emptied, so that it holds no temporary.
        runs_of: a function of the launches that gives the number of the run of each. The parts of a run are computed in
            any order, see `parallel`. For small steps it is not asked.
    """
    if sum(operand.nbytes for _, operands, _ in launches for operand in operands) < LEAST:
        return list(launches), {}
    lives = _lives(launches)
    if sum(life.nbytes for life in lives.values()) < LEAST:
        return list(launches), {}
    runs = runs_of(launches)
    for life in lives.values():
        life.begin, life.end = runs[life.begin], runs[life.end]
    described = [(kernel, _described((*operands, flag), lives)) for kernel, operands, flag in launches]
    launches.clear()
    lives = [life for life in lives.values() if life.memory() is None]
    arena = Memory(_place(lives) + LINE, np.uint8)
    first = -address(arena) % LINE
    packed, before = [], {}
    for kernel, told in described:
        *operands, flag = [one.moved(arena, first, before) if type(one) is _View else one for one in told]
        packed.append((kernel, tuple(operands), flag))
    return packed, before


class _Life:
    """The life of a temporary: its size, from when to when, and, when it is placed, where it begins in the arena."""

    def __init__(self, memory, launch):
        self.memory = weakref.ref(memory)
        self.nbytes = len(memory) - len(memory) % LINE
        self.begin = self.end = launch  # then their runs
        self.first = None


class _View:
    """An operand that is a part of a temporary, described without holding its memory."""

    def __init__(self, operand, life, memory):
        self.shape, self.dtype, self.life, self.before = operand.shape, operand.dtype, life, address(operand)
        self.place = self.before - address(memory)  # among the bytes of its memory
        self.skipped = -address(memory) % LINE  # of these, those before the first cache line

    def moved(self, arena, first, before):
        """The operand in the arena, or where it was, if others hold its memory."""
        memory = self.life.memory()
        if memory is not None:
            return np.ndarray(self.shape, self.dtype, memory, self.place)
        operand = np.ndarray(self.shape, self.dtype, arena, first + self.life.first + self.place - self.skipped)
        before[id(operand)] = self.before
        return operand


def _lives(launches):
    """{address of its Memory: its life}, of what a launch writes before any reads it."""
    lives, others = {}, set()
    for number, (kernel, operands, flag) in enumerate(launches):
        for operand, is_out in zip((*operands, flag), (*kernel.is_out, False)):
            memory = memory_of(operand)
            if memory is None or id(memory) in others:
                continue
            if id(memory) in lives:
                lives[id(memory)].end = number
            elif is_out and flag is None:
                lives[id(memory)] = _Life(memory, number)
            else:
                others.add(id(memory))
    return lives


def _described(operands, lives):
    """The operands; a _View in place of each that is a temporary."""
    found = []
    for operand in operands:
        memory = memory_of(operand)
        life = None if memory is None else lives.get(id(memory))
        found.append(operand if life is None else _View(operand, life, memory))
    return found


def _place(lives):
    """Give each life a place in the arena; the size of the arena."""
    placed = []
    for life in sorted(lives, key=lambda life: -life.nbytes):
        life.first = 0
        for other in placed:  # in the order of their places
            if other.begin <= life.end and life.begin <= other.end:
                if life.first + life.nbytes <= other.first:
                    break
                life.first = max(life.first, other.first + other.nbytes)
        placed.append(life)
        placed.sort(key=lambda one: one.first)
    return max((life.first + life.nbytes for life in lives), default=0)
