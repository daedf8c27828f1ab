"""The one door: every piece of arithmetic is a kernel, and every kernel passes through `launch`.

Eager mode runs each launch at once. A `Program` writes down the launches of one step and replays them for thousands of
steps inside one call of compiled code. This package knows no kernel, no tensor, no layer and no thread: `parallel`
plugs in how several threads share a Program.
"""

from minigrad.names import public
from minigrad.program.compiling import GROUPS, WHOLE, Kernel, helper, kernel
from minigrad.program.launching import (
    DIVISIBLE,
    LINE,
    SMALL,
    Launches,
    Memory,
    Plan,
    RecordingError,
    address,
    aligned,
    apart,
    empty,
    empty_like,
    is_interrupted,
    is_recording,
    launch,
    memory_of,
    surroundings,
    trace,
    when,
)
from minigrad.program.recording import Program, compare
from minigrad.program.replaying import MAX_OPERANDS

__all__ = public(globals())
