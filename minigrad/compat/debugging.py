"""`tf.debugging`, `tf.errors` and `tf.compat.v1.logging`.

Assertions read values, so a step with an assertion runs eagerly (but not with one about shapes only).
"""

import builtins
import logging

import numpy as np

from minigrad import ops

# Assertions: the name behind "assert_", and NumPy's function of x and y, or (in the second line) of x and 0.
_OF_TWO = "equal none_equal=not_equal greater greater_equal less less_equal"
_OF_SIGN = "positive=greater negative=less non_negative=greater_equal non_positive=less_equal"
# Errors, and the class that minigrad raises in their place, so that `except` finds it. Others are never raised.
_ERRORS = """
    InvalidArgumentError=ValueError AlreadyExistsError=FileExistsError DeadlineExceededError=TimeoutError
    NotFoundError=FileNotFoundError PermissionDeniedError=PermissionError ResourceExhaustedError=MemoryError
    UnimplementedError=NotImplementedError AbortedError CancelledError DataLossError FailedPreconditionError
    InternalError OutOfRangeError UnauthenticatedError UnavailableError UnknownError
"""


def _assertion(name, relation):
    """assert_`name`(x, y): an error unless the relation holds for all elements."""

    def check(x, y, message=None, summarize=None, name=None):
        if not np.all(relation(np.asarray(x), np.asarray(y))):
            raise ValueError(f"{title} does not hold: {message or ''}\nx = {x}\ny = {y}")

    title = check.__name__ = f"assert_{name}"
    return check


def _assertion_of_sign(name, relation):
    """assert_`name`(x): an error unless the relation to 0 holds for all elements."""
    check = _assertion(name, relation)
    return lambda x, message=None, summarize=None, name=None: check(x, 0, message)


def _assert(condition, data=None, summarize=None, name=None):
    """An error that shows `data` unless the condition holds everywhere."""
    if not np.all(np.asarray(condition)):
        raise ValueError(f"Assert does not hold: {data}")


def _assert_near(x, y, rtol=None, atol=None, message=None, summarize=None, name=None):
    """An error unless |x - y| <= atol + rtol |y| everywhere; both are ten times the dtype's precision."""
    x, y = (ops.convert_to_tensor(v).numpy() for v in (x, y))
    rtol, atol = (10 * np.finfo(x.dtype).eps if tolerance is None else tolerance for tolerance in (rtol, atol))
    _assertion("near", lambda x, y: np.abs(x - y) <= atol + rtol * np.abs(y))(x, y, message)


def _assert_all_finite(x, message="", name=None):
    """Return x; an error if it holds NaN or infinity."""
    if not np.isfinite(np.asarray(x)).all():
        raise ValueError(f"There are elements that are NaN or infinite: {message}")
    return ops.convert_to_tensor(x)


def _assert_rank(x, rank, message=None, name=None):
    """An error unless x has `rank` axes."""
    if ops.ndim(x) != rank:
        raise ValueError(f"assert_rank: {rank} axes are wanted, but the shape is {ops.shape(x)}. {message or ''}")


def _assert_type(tensor, tf_type, message=None, name=None):
    """An error unless the tensor has this dtype; all integer dtypes count as int64."""
    if tensor.dtype != ops.cast(0, tf_type).dtype:
        raise TypeError(f"assert_type: {tf_type} is wanted, but the dtype is {tensor.dtype}. {message or ''}")


def functions():
    """The functions in `tf.debugging`, by their names."""
    found = {
        "Assert": _assert,
        "assert_all_finite": _assert_all_finite,
        "assert_near": _assert_near,
        "assert_rank": _assert_rank,
        "assert_scalar": lambda tensor, message=None, name=None: _assert_rank(tensor, 0, message),
        "assert_type": _assert_type,
        "check_numerics": _assert_all_finite,
    }
    for names, make in ((_OF_TWO, _assertion), (_OF_SIGN, _assertion_of_sign)):
        for entry in names.split():
            name, _, relation = entry.partition("=")
            found[f"assert_{name}"] = make(name, getattr(np, relation or name))
    return found


def errors():
    """The errors in `tf.errors`, by their names."""
    base = type("OpError", (Exception,), {"__doc__": "An error of TensorFlow's that nothing raises here."})
    found = {"OpError": base}
    for entry in _ERRORS.split():
        name, _, own = entry.partition("=")
        found[name] = getattr(builtins, own) if own else type(name, (base,), {"__doc__": base.__doc__})
    return found


def logger():
    """The levels and functions in `tf.compat.v1.logging`, by their names."""
    own = logging.getLogger("tensorflow")
    found = {name: getattr(logging, name) for name in ("DEBUG", "ERROR", "FATAL", "INFO", "WARN")}
    found |= {name: getattr(own, name) for name in ("debug", "error", "fatal", "info", "log", "warning")}
    return found | {
        "get_verbosity": own.getEffectiveLevel,
        "set_verbosity": own.setLevel,
        "warn": own.warning,
    }
