"""Learning rates as functions of the step, for a row of steps. `settings` are the schedule's arguments, in order."""

import math

import numpy as np

from minigrad.program import helper, kernel


@helper
def whole(step, length, one):
    """How many whole lengths `step` holds. At the end of a length the rounded quotient may be wrong: it is corrected"""
    count = np.floor(step / length)
    if (count + one) * length <= step:
        count += one
    return count - one if count * length > step else count


@kernel
def exponential_decay(step, settings, rate: "out"):
    """rate = r d^p, p = step / length, or its integer part;  settings = [r, length, d, staircase]"""
    one = rate.dtype.type(1)
    for j in range(rate.shape[1]):
        p = step[0, j] / settings[0, 1]
        if settings[0, 3] != 0:
            p = whole(step[0, j], settings[0, 1], one)
        rate[0, j] = settings[0, 0] * settings[0, 2] ** p


@kernel
def inverse_time_decay(step, settings, rate: "out"):
    """rate = r / (1 + d p), p = step / length, or its integer part;  settings = [r, length, d, staircase]"""
    one = rate.dtype.type(1)
    for j in range(rate.shape[1]):
        p = step[0, j] / settings[0, 1]
        if settings[0, 3] != 0:
            p = whole(step[0, j], settings[0, 1], one)
        rate[0, j] = settings[0, 0] / (one + settings[0, 2] * p)


@kernel
def piecewise_constant(step, boundaries, values, rate: "out"):
    """rate = values_i, where i is the number of boundaries that are less than the step"""
    for j in range(rate.shape[1]):
        i = 0
        while i < boundaries.shape[1] and step[0, j] > boundaries[0, i]:
            i += 1
        rate[0, j] = values[0, i]


@kernel
def polynomial_decay(step, settings, rate: "out"):
    """rate = (r - end)(1 - p)^power + end, p = step / length, at most 1;  settings = [r, length, end, power, cycle]

    With cycle, length is replaced by its least multiple that the step does not exceed
    """
    one = rate.dtype.type(1)
    for j in range(rate.shape[1]):
        t, length = step[0, j], settings[0, 1]
        if settings[0, 4] != 0 and t > length:
            count = whole(t, length, one)
            length *= count if count * length == t else count + one
        p = t / length if t < length else one
        rate[0, j] = (settings[0, 0] - settings[0, 2]) * (one - p) ** settings[0, 3] + settings[0, 2]


@kernel
def cosine_decay(step, settings, rate: "out"):
    """rate = r + (top - r) step / warmup until the warm-up is over, then top ((1 - alpha)(1 + cos pi p) / 2 + alpha)

    p = (step - warmup) / length, at most 1;  settings = [r, length, alpha, top, warmup]
    """
    one, half, pi = rate.dtype.type(1), rate.dtype.type(0.5), rate.dtype.type(math.pi)
    start, length, alpha = settings[0, 0], settings[0, 1], settings[0, 2]
    top, warmup = settings[0, 3], settings[0, 4]
    for j in range(rate.shape[1]):
        t = step[0, j]
        if t < warmup:
            rate[0, j] = start + (top - start) * (t / warmup)
        else:
            p = (t - warmup) / length if t - warmup < length else one
            rate[0, j] = top * ((one - alpha) * half * (one + math.cos(pi * p)) + alpha)


@kernel
def cosine_restarts(step, settings, rate: "out"):
    """rate = r ((1 - alpha) m^i (1 + cos pi p) / 2 + alpha), p = the share of period i that is over

    Period i has length t^i steps, so it begins at step length (t^i - 1) / (t - 1);  settings = [r, length, t, m, alpha]
    """
    one, half, pi = rate.dtype.type(1), rate.dtype.type(0.5), rate.dtype.type(math.pi)
    length, t, m, alpha = settings[0, 1], settings[0, 2], settings[0, 3], settings[0, 4]
    for j in range(rate.shape[1]):
        if t == one:
            i = whole(step[0, j], length, one)
            p = step[0, j] / length - i
        else:
            i = np.floor(math.log(one + step[0, j] / length * (t - one)) / math.log(t))
            if length * (t ** (i + one) - one) / (t - one) <= step[0, j]:
                i += one
            if length * (t**i - one) / (t - one) > step[0, j]:
                i -= one
            p = (step[0, j] - length * (t**i - one) / (t - one)) / (length * t**i)
        rate[0, j] = settings[0, 0] * ((one - alpha) * half * m**i * (one + math.cos(pi * p)) + alpha)
