"""CallbackList: the callbacks of one `fit`, `evaluate` or `predict`, called as one."""

import numpy as np

from minigrad.callbacks.base import BATCH_HOOKS, HOOKS, Callback
from minigrad.callbacks.reporting import History, ProgbarLogger
from minigrad.checks import is_number
from minigrad.exchange import world


class CallbackList:
    """Calls callbacks in order: the user's, History, ProgbarLogger, and at the end those with `runs_last`.

    It has every hook of a Callback, for training loops of one's own: `callbacks.on_epoch_begin(0)`.

    Args:
        callbacks: a Callback or a list of them.
        add_history, add_progbar: whether to add a History and a ProgbarLogger, if there is none.
        model: the model of the callbacks. params: their `params` (verbose, epochs, steps).

    Raises:
        ValueError: something that is not an instance of a Callback.
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        if isinstance(callbacks, CallbackList):
            callbacks = callbacks.callbacks
        callbacks = [] if callbacks is None else _flat(callbacks)
        for callback in callbacks:
            if isinstance(callback, type) or not (
                hasattr(callback, "set_model") and hasattr(callback, "on_epoch_end")
            ):
                call = f": make one, {callback.__name__}(...)" if isinstance(callback, type) else ""
                raise ValueError(f"callbacks must be a list of Callback instances; got {callback!r}{call}.")
        if world.is_on and world.rank:  # process 0 writes
            callbacks = [callback for callback in callbacks if not getattr(callback, "only_writes", False)]
        self.history = self._one(callbacks, History, add_history)
        self._one(callbacks, ProgbarLogger, add_progbar)
        self.callbacks = sorted(callbacks, key=lambda callback: getattr(callback, "runs_last", False))
        self._strides = None
        self.set_model(model)
        self.set_params(params)

    @staticmethod
    def _one(callbacks, kind, is_wanted):
        """The callback of this kind, which is added if it is wanted and missing; None if there is none."""
        found = [callback for callback in callbacks if isinstance(callback, kind)]
        if is_wanted and not found:
            found.append(kind())
            callbacks.append(found[0])
        return found[0] if found else None

    def append(self, callback):
        """Add a callback at the end."""
        self.callbacks.append(callback)
        self._strides = None

    def set_params(self, params):
        """Give all callbacks the parameters."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model):
        """Give all callbacks the model, and the model its history."""
        self.model = model
        if model is None:
            return
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def batch_stride(self, kind, batch):
        """The smallest `batch_stride` of the callbacks; None if none wants the batch hooks of this kind."""
        if not self.callbacks:
            return None
        if self._strides is None:  # computed once, because every batch asks for it
            moving = [c for c in self.callbacks if _stride_of(c) not in (None, Callback.batch_stride)]
            others = [c for c in self.callbacks if c not in moving]
            self._strides = moving, {
                kind: any(c.has_batch_hooks(kind) if _stride_of(c) else True for c in others) for kind in BATCH_HOOKS
            }
        moving, is_wanted = self._strides
        if is_wanted[kind]:
            return 1
        strides = [callback.batch_stride(kind, batch) for callback in moving]
        return min((stride for stride in strides if stride is not None), default=None)

    def abort(self):
        """An error ends the training: let all callbacks close what they hold open."""
        for callback in self.callbacks:
            if hasattr(callback, "abort"):
                callback.abort()

    def get_state(self):
        """The state of each callback, with the name of its class: a list of dicts."""
        return [
            {"class_name": type(callback).__name__, "state": callback.get_state()}
            for callback in self.callbacks
            if hasattr(callback, "get_state")
        ]

    def set_state(self, states):
        """Give each callback the state of the callback of its class; several of one class go in order."""
        kept = list(states)
        for callback in self.callbacks:
            name = type(callback).__name__
            place = next((i for i, entry in enumerate(kept) if entry["class_name"] == name), None)
            if place is not None and hasattr(callback, "set_state"):
                state, now = kept.pop(place)["state"], callback.get_state()
                wrong = {key: value for key, value in state.items() if not _is_like(value, now.get(key))}
                if wrong:
                    raise ValueError(f"the state of the callback {name} makes no sense: {str(wrong)[:200]}")
                callback.set_state(state)


def _is_like(value, now):
    """Whether a value from a file may take the place of `now`, what a callback holds."""
    if value is None or now is None:
        return True
    if is_number(now):
        return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiub"
    return not isinstance(now, (list, dict, str)) or isinstance(value, type(now))


def _stride_of(callback):
    return getattr(type(callback), "batch_stride", None)  # None: a callback of Keras itself, which wants every batch


def _flat(callbacks):
    if not isinstance(callbacks, (list, tuple)):
        return [callbacks]
    return [inner for callback in callbacks for inner in _flat(callback)]


def _forwarding(hook):
    def call_all(self, *args):
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    if "epoch" in hook or "batch" in hook:

        def call(self, index, logs=None):
            call_all(self, index, {} if logs is None else logs)
    else:

        def call(self, logs=None):
            call_all(self, {} if logs is None else logs)

    call.__name__, call.__doc__ = hook, getattr(Callback, hook).__doc__
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, _forwarding(_hook))
