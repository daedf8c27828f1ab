"""A Plan: who carries out a launch that may be divided, and who walks the rows of a Program."""

import numpy as np


class Plan:
    """One thread does everything, the one that asks. `parallel` plugs in a plan for several threads, as `Plan.chosen`.

    Args:
        instructions: the launches of a Program, a list of (kernel, operands, flag).
    """

    def __init__(self, instructions):
        self.rows = [(kernel, (*operands, *kernel.undivided), flag) for kernel, operands, flag in instructions]
        self.rows_of = [np.array([i]) for i in range(len(instructions))]  # instruction -> its rows in the table
        self.walk = np.arange(len(self.rows))

    def replay(self, run, table, steps):
        """Carry out all rows of the table `steps` times; `run(table, walk, steps)` carries out those of a walk."""
        run(table, self.walk, steps)

    @staticmethod
    def launch(kernel, entry, operands):
        """Carry out one launch that costs more than SMALL."""
        entry(*operands, *kernel.undivided)


Plan.chosen = Plan
