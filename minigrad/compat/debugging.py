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


def Assert(condition, data=None, summarize=None, name=None):
    """An error that shows `data` unless the condition holds everywhere."""
    if not np.all(np.asarray(condition)):
        raise ValueError(f"Assert does not hold: {data}")


def assert_near(x, y, rtol=None, atol=None, message=None, summarize=None, name=None):
    """An error unless |x - y| <= atol + rtol |y| everywhere; both are ten times the dtype's precision."""
    x, y = (ops.convert_to_tensor(v).numpy() for v in (x, y))
    rtol, atol = (10 * np.finfo(x.dtype).eps if tolerance is None else tolerance for tolerance in (rtol, atol))
    _assertion("near", lambda x, y: np.abs(x - y) <= atol + rtol * np.abs(y))(x, y, message)


def assert_all_finite(x, message="", name=None):
    """Return x; an error if it holds NaN or infinity."""
    if not np.isfinite(np.asarray(x)).all():
        raise ValueError(f"There are elements that are NaN or infinite: {message}")
    return ops.convert_to_tensor(x)


def assert_rank(x, rank, message=None, name=None):
    """An error unless x has `rank` axes."""
    if ops.ndim(x) != rank:
        raise ValueError(f"assert_rank: {rank} axes are wanted, but the shape is {ops.shape(x)}. {message or ''}")


def assert_type(tensor, tf_type, message=None, name=None):
    """An error unless the tensor has this dtype; all integer dtypes count as int64."""
    if tensor.dtype != ops.cast(0, tf_type).dtype:
        raise TypeError(f"assert_type: {tf_type} is wanted, but the dtype is {tensor.dtype}. {message or ''}")


def assert_scalar(tensor, message=None, name=None):
    """An error unless the tensor has no axes."""
    assert_rank(tensor, 0, message)


check_numerics = assert_all_finite
for _names, _make in ((_OF_TWO, _assertion), (_OF_SIGN, _assertion_of_sign)):
    for _entry in _names.split():
        _name, _, _relation = _entry.partition("=")
        globals()[f"assert_{_name}"] = _make(_name, getattr(np, _relation or _name))

_OpError = type("OpError", (Exception,), {"__doc__": "An error of TensorFlow's that nothing raises here."})
ERRORS = {"OpError": _OpError}  # the errors in `tf.errors`, by their names
for _entry in _ERRORS.split():
    _name, _, _own = _entry.partition("=")
    ERRORS[_name] = getattr(builtins, _own) if _own else type(_name, (_OpError,), {"__doc__": _OpError.__doc__})

_logger = logging.getLogger("tensorflow")
LOGGER = {  # the levels and functions in `tf.compat.v1.logging`, by their names
    **{name: getattr(logging, name) for name in ("DEBUG", "ERROR", "FATAL", "INFO", "WARN")},
    **{name: getattr(_logger, name) for name in ("debug", "error", "fatal", "info", "log", "warning")},
    "get_verbosity": _logger.getEffectiveLevel,
    "set_verbosity": _logger.setLevel,
    "warn": _logger.warning,
}
