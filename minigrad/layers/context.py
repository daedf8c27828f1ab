"""The context of a layer's call in its thread; and calls of a model in the middle of another one."""

import contextlib
import functools
import os
import threading
import traceback

from minigrad.program import apart, is_interrupted, is_recording, surroundings
from minigrad.tensor import Tensor
from minigrad.trees import leaves


class _Context(threading.local):
    training = None  # the argument `training` of the layer that is calling another one
    inside = False  # whether a layer is calling another one
    made_up = False  # whether layers are called to find out shapes only, for any number of rows


context = _Context()


@contextlib.contextmanager
def _outside():
    """Context manager: inside, it is as if no layer were calling another one."""
    before = context.training, context.inside
    try:
        context.training, context.inside = None, False
        yield
    finally:
        context.training, context.inside = before


surroundings.append(_outside)


def entry(method):
    """Decorate a method that users call from outside of a step, such as `predict`: it computes wherever it is called.

    Called in the middle of another model's step (in a layer, a loss, a metric or a signal handler), it is no part of
    that step. If that step is being recorded, its tensors have no values yet, and are refused as arguments.
    """

    @functools.wraps(method)
    def ask(self, *args, **kwargs):
        if not context.inside and not is_interrupted():
            return method(self, *args, **kwargs)
        note = None
        if is_recording():
            for value in leaves((args, kwargs)):
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
    """A sentence that tells the user's innermost line among the frames of a stack or traceback; "" if there is none."""
    home = os.path.dirname(os.path.dirname(__file__))
    for frame in reversed(frames):
        if not os.path.abspath(frame.filename).startswith(home) and "site-packages" not in frame.filename:
            return f" It was stopped by {frame.filename}, line {frame.lineno}: {frame.line}"
    return ""
