"""Random numbers. `state` is the row [seed, counter] of a stream; every draw moves the counter on.

Number k of a stream is a hash (the finaliser of SplitMix64) of the seed and k. So a stream does not repeat itself, and
does not depend on how often a step is recorded. A Program that replays a draw gets new numbers, as the eager step does.
"""

import math

import numpy as np

from minigrad.program import helper, kernel

STRIDE = np.uint64(0x9E3779B97F4A7C15)  # number k of a stream is the hash of seed + k STRIDE


@helper
def mixed(seed, k):
    """64 random bits: the hash of a seed and a number, both uint64."""
    return scrambled(seed + k * STRIDE)


@helper
def scrambled(z):
    """The hash itself."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
def hashed(state, k):
    """64 random bits: the k-th number (from 1) after the counter."""
    return mixed(state[0, 0], state[0, 1] + np.uint64(k))


@helper
def chance(bits, y):
    """The bits as a number in [0, 1) of the dtype of y, which has room for 24 or 53 of them."""
    unused = np.uint64(63 - np.finfo(y.dtype).nmant)
    return y.dtype.type(np.int64(bits >> unused)) * (np.finfo(y.dtype).eps * y.dtype.type(0.5))


@helper
def standard_normal(state, k, y):
    """A normal number from numbers k and k + 1 of the stream (Box and Muller 1958)."""
    u = y.dtype.type(1) - chance(hashed(state, k), y)  # in (0, 1]: it has a logarithm
    angle = y.dtype.type(2 * math.pi) * chance(hashed(state, k + 1), y)
    return math.sqrt(y.dtype.type(-2) * math.log(u)) * math.cos(angle)


@kernel
def dropout(x, settings, state: "uint64 out", mask: "out", y: "out"):
    """y = x mask, mask_ij = 1 / (1 - rate) with probability 1 - rate, else 0; settings = [rate]

    A random number has 24 bits in either precision, so that both drop the same elements. It is compared with the rate
    as an integer, which is faster. (`z` is what `mixed` hashes, one stride further for each element.)
    """
    rate, zero, one = settings[0, 0], x.dtype.type(0), x.dtype.type(1)
    keep = one / (one - rate) if rate < 1 else zero
    least = np.int64(math.ceil(rate * x.dtype.type(16777216.0)))
    z = state[0, 0] + state[0, 1] * STRIDE
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            z += STRIDE
            factor = keep if np.int64(scrambled(z) >> np.uint64(40)) >= least else zero
            mask[i, j] = factor
            y[i, j] = x[i, j] * factor
    state[0, 1] += np.uint64(x.size)


@kernel
def uniform(settings, state: "uint64 out", y: "out"):
    """y_ij equally likely anywhere in [low, high); settings = [low, high]"""
    low, high = settings[0, 0], settings[0, 1]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            v = low + (high - low) * chance(hashed(state, i * y.shape[1] + j + 1), y)
            y[i, j] = low if v >= high else v  # v may be rounded up to high
    state[0, 1] += np.uint64(y.size)


@kernel
def normal(settings, state: "uint64 out", y: "out"):
    """y_ij normal; settings = [mean, standard deviation]"""
    mean, deviation = settings[0, 0], settings[0, 1]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = mean + deviation * standard_normal(state, 2 * (i * y.shape[1] + j) + 1, y)
    state[0, 1] += np.uint64(2 * y.size)


@kernel
def truncated_normal(settings, state: "uint64 out", y: "out"):
    """y_ij normal, drawn again beyond two deviations; settings = [mean, standard deviation]"""
    mean, deviation = settings[0, 0], settings[0, 1]
    two = y.dtype.type(2)
    k = 1
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            z = standard_normal(state, k, y)
            k += 2
            while abs(z) > two:
                z = standard_normal(state, k, y)
                k += 2
            y[i, j] = mean + deviation * z
    state[0, 1] += np.uint64(k - 1)


@kernel
def whole_numbers(settings: "int64", state: "uint64 out", y: "int64 out"):
    """y_ij equally likely any of low, low + 1, ..., low + count - 1; settings = [low, count]"""
    low, count = settings[0, 0], np.uint64(settings[0, 1])
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = low + np.int64(hashed(state, i * y.shape[1] + j + 1) % count)
    state[0, 1] += np.uint64(y.size)


@kernel
def categories(x, state: "uint64 out", y: "int64 out"):
    """y_ij = k with probability e^x_ik / sum over l of e^x_il"""
    for i in range(x.shape[0]):
        top = x[i, 0]
        for k in range(x.shape[1]):
            top = max(top, x[i, k])
        total = x.dtype.type(0)
        for k in range(x.shape[1]):
            total += math.exp(x[i, k] - top)
        for j in range(y.shape[1]):
            left = total * chance(hashed(state, i * y.shape[1] + j + 1), x)
            y[i, j] = 0
            for k in range(x.shape[1]):
                share = math.exp(x[i, k] - top)
                if share > 0:  # rounding must not choose an impossible category
                    y[i, j] = k
                    if left < share:
                        break
                    left -= share
    state[0, 1] += np.uint64(y.size)


@kernel
def permutation(state: "uint64 out", order: "int64 out", inverse: "int64 out"):
    """order (a column) = 0, 1, 2, ... in random order (Fisher and Yates); inverse[order_i] = i"""
    n = order.shape[0]
    for i in range(n):
        order[i, 0] = i
    for i in range(n - 1, 0, -1):
        j = np.int64(hashed(state, n - i) % np.uint64(i + 1))
        last = order[i, 0]
        order[i, 0] = order[j, 0]
        order[j, 0] = last
    for i in range(n):
        inverse[order[i, 0], 0] = i
    state[0, 1] += np.uint64(n)


@kernel
def shuffle(seed: "uint64", block: "int64", order: "int64 out"):
    """order = 0 ... n - 1, in which each stretch of `block` numbers is shuffled for itself (Fisher and Yates)"""
    for i in range(order.shape[0]):
        order[i, 0] = i
    for i in range(order.shape[0] - 1, 0, -1):
        bits = mixed(seed[0, 0], np.uint64(i))
        below = i % block[0, 0]
        j = i - below + np.int64((bits >> np.uint64(32)) * np.uint64(below + 1) >> np.uint64(32))
        order[i, 0], order[j, 0] = order[j, 0], order[i, 0]
