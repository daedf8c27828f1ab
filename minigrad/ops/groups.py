"""Sums over all rows of many images, in groups of samples: each group is summed while it is in the cache.

The order of a sum does not depend on threads, since the groups do not.
"""

import math

from minigrad import kernels as K
from minigrad.program import GROUPS, empty, launch

LEAST = 256  # rows of a group


def groups_of(samples, rows):
    """Into how many groups of samples so many rows are divided: equal ones, none of which has few rows."""
    groups = math.gcd(samples, GROUPS)
    while groups > 1 and rows < LEAST * groups:
        groups //= 2
    return groups


def sum_rows(x, groups, y):
    """y = the sum over the rows of x."""
    parts = empty((groups, x.shape[1]), x.dtype)
    launch(K.sum_rows_in_groups, x, parts)
    sum_groups(parts, y)


def sum_groups(parts, y):
    """y = the sum of the groups' results, which are the rows of `parts`."""
    launch(K.sum_rows, parts, y.reshape(1, -1))
