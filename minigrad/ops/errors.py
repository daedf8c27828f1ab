"""Errors: how far x is from its target, one value per row."""

from minigrad import kernels as K
from minigrad.program import launch
from minigrad.tensor import constant, op


def no_target_gradient(name, gtarget):
    """Raise a ValueError if a gradient of the targets is asked for."""
    if gtarget is not None:
        raise ValueError(f"{name} has no gradient with respect to the targets: detach() them.")


def _error(name, formula, forward, backward):
    """The operation of (target, x) with one value per row that these two kernels compute."""

    def function(y, target, x):
        launch(forward, target, x, y)

        def vjp(gy, gtarget, gx):
            no_target_gradient(name, gtarget)
            launch(backward, gy, target, x, gx)

        return vjp

    function.__name__, function.__doc__ = name, formula
    return op("(...,n), (...,n) -> (...)")(function)


squared_error = _error(
    "squared_error",
    "y = mean over the last axis of (x - t)^2;   dx = 2 dy (x - t) / n.",
    K.squared_error,
    K.squared_error_vjp,
)
absolute_error = _error(
    "absolute_error",
    "y = mean over the last axis of |x - t|;   dx = dy sign(x - t) / n.",
    K.absolute_error,
    K.absolute_error_vjp,
)
log_cosh_error = _error(
    "log_cosh_error",
    "y = mean over the last axis of ln cosh(x - t);   dx = dy tanh(x - t) / n.",
    K.log_cosh,
    K.log_cosh_vjp,
)


@op("(...,n), (...,n) -> (...)")
def huber_error(y, target, x, delta=1.0):
    """y = mean over the last axis of d^2 / 2 where |d| <= delta, else delta |d| - delta^2 / 2, for d = x - t;
    dx = dy d / n, d kept within [-delta, delta]."""
    delta = constant(x.dtype, delta)
    launch(K.huber, target, x, delta, y)

    def vjp(gy, gtarget, gx):
        no_target_gradient("huber_error", gtarget)
        launch(K.huber_vjp, gy, target, x, delta, gx)

    return vjp
