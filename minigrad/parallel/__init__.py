"""Several threads for one Program. It is plugged into `program`, which knows no thread: `Plan.chosen = DividedPlan`.

A large launch is divided into parts (`dividing`), threads walk a Program side by side (`lanes`), and BLAS is kept to
one thread meanwhile (`threads`). The parts depend on shapes and on the number of threads, never on who computes them: a
result has the same bits in any case.
"""

from minigrad.parallel.dividing import DividedPlan

__all__ = ["DividedPlan"]
