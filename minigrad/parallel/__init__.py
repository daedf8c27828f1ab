"""Several threads for one Program. `program` knows no threads; this package is plugged in: `Plan.chosen = DividedPlan`.

A large launch is divided into parts (`dividing`), threads walk through a Program side by side (`lanes`), and BLAS is
kept to one thread meanwhile (`threads`). The parts depend on shapes and on the number of threads only, not on which
thread computes them: so a result always has the same bits.
"""

from minigrad.parallel.dividing import DividedPlan
from minigrad.parallel.threads import in_turn, side_by_side

__all__ = ["DividedPlan", "in_turn", "side_by_side"]
