"""Devices, sessions and graphs of TensorFlow 1. Scripts for Keras mention them; here they have no effect."""

import contextlib
import types

from minigrad.compat.missing import remedy


class Nothing:
    """It has no effect here: leave it out."""  # anything may be asked of it or set on it

    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __setattr__(self, name, value):
        pass

    def __call__(self, *args, **kwargs):
        return self

    def __bool__(self):
        return False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


class Settings(Nothing):
    """It configures devices, and has no effect here: leave it out."""


class Graph(Nothing):
    """There are no graphs here: leave it out."""


class Session(Nothing):
    """There are no sessions here: leave it out."""

    def run(self, fetches, feed_dict=None, **options):
        """None, if the fetched objects have no effect; an error for tensors."""
        if isinstance(fetches, Nothing) or (isinstance(fetches, (list, tuple)) and not fetches):
            return None
        raise NotImplementedError(f"minigrad has no Session.run: {remedy('tf.placeholder')}.")


@contextlib.contextmanager
def within(*args, **kwargs):
    """It has no effect here: leave it out."""
    yield


def list_local_devices(session_config=None):
    """One CPU."""
    return [types.SimpleNamespace(name="/device:CPU:0", device_type="CPU", memory_limit=0, physical_device_desc="")]


def reset_default_graph():
    """There is no graph to reset."""


__all__ = ["list_local_devices", "reset_default_graph"]
