"""What goes on in a thread around a call: what layers were told, and what is asked in the middle of it."""

import contextlib
import functools
import os
import threading
import traceback

from minigrad.program import apart, is_interrupted, is_recording, surroundings
from minigrad.tensor import Tensor


class _Context(threading.local):
    training = None  # what the layer that is calling another one was told
    inside = False  # whether a layer is calling another one
    made_up = False  # whether what it is called on only has the right shape, and any number of rows


context = _Context()


@contextlib.contextmanager
def _outside():
    """Inside, it is as if no layer were calling another one."""
    before = context.training, context.inside
    try:
        context.training, context.inside = None, False
        yield
    finally:
        context.training, context.inside = before


surroundings.append(_outside)


def entry(method):
    """Decorator of what a model is asked from outside: it computes for real wherever it is called.

    In the middle of another model's step (in a layer, a loss, a metric or a signal handler) it knows nothing of that
    step. A tensor of a step that is being recorded has no values yet, so it is refused.
    """

    @functools.wraps(method)
    def ask(self, *args, **kwargs):
        if not context.inside and not is_interrupted():
            return method(self, *args, **kwargs)
        note = None
        if is_recording():
            for given in (*args, *kwargs.values()):
                for value in given if isinstance(given, (list, tuple)) else (given,):
                    if isinstance(value, Tensor):
                        value.numpy()  # raises
            note = (
                f"The step asks {type(self).__name__} {self.name!r} for {method.__name__}(), whose values would be "
                "frozen. Called as a function, model(x), it becomes a part of the step."
                f"{users_line(traceback.extract_stack())}"
            )
        with apart(note), self._keeping_losses(), _outside():
            return method(self, *args, **kwargs)

    return ask


def users_line(frames):
    """Which line of the user's code it was, of the frames of a stack or a traceback; "" if there is none."""
    home = os.path.dirname(os.path.dirname(__file__))
    for frame in reversed(frames):
        if not os.path.abspath(frame.filename).startswith(home) and "site-packages" not in frame.filename:
            return f" It was stopped by {frame.filename}, line {frame.lineno}: {frame.line}"
    return ""
