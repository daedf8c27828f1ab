"""Sums over all rows of many images, in groups of samples: each group is summed while it is in the cache.

The order of a sum does not depend on threads, since the groups do not.
"""

import math

from minigrad import kernels as K
from minigrad.program import GROUPS, launch

LEAST = 256  # rows of a group


def groups_of(samples, rows):
    """Into how many groups of samples so many rows are divided: equal ones, or one if there are few rows."""
    most = math.gcd(samples, GROUPS)
    return most if rows >= LEAST * most else 1


def sum_groups(parts, y):
    """y = the sum of the groups' results, which stand in `parts` one below the other."""
    launch(K.sum_rows, parts.reshape(-1, y.size), y.reshape(1, -1))
