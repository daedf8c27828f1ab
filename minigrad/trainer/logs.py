"""The metrics of a model, and the logs that tell their values."""

import functools
import operator

import numpy as np

from minigrad.layers.base import Layer
from minigrad.metrics import lookup
from minigrad.metrics.base import Pending
from minigrad.program import is_recording
from minigrad.tensor import Tensor, as_tensor, no_grad
from minigrad.trainer.objective import asked
from minigrad.trees import leaves


def has_own(model, name):
    """Whether a class of the user's, or the model itself, defines the method or property `name`."""
    return name in vars(model) or not _is_ours(getattr(type(model), name))


@functools.lru_cache(64)
def _is_ours(method):
    module = getattr(method, "fget", method).__module__  # None in code that `exec` runs without a name
    return module is not None and module.startswith("minigrad.")


def place(model, objective):
    """Bring the losses and metrics of `compile` to the outputs of a model that is built."""
    has_names = getattr(model, "output_names", None) is not None
    objective.place(model.output_shape, [one.call.function.name for one in model.outputs] if has_names else None)


def build_objective(model, y, early=False):
    """Make the losses and the metrics for targets like y, a tree of arrays (None: there are no targets), once."""
    objective = model._objective
    if objective.named:
        objective.state = "built"
        return
    if objective.state is None and (objective.is_asked or not has_own(model, "train_step")):
        place(model, objective)
    is_list = isinstance(y, list) and not any(hasattr(one, "shape") for one in leaves(y))
    objective.build(as_tensor(y) if is_list else y, model.dtype, Layer.metrics.fget(model), early)


@property
def metrics(model):
    """All metrics: the loss, those of `compile`, and those that layers keep as attributes.

    A metric whose kind depends on the shape of the targets, such as "accuracy", appears with the first data.
    """
    objective = model._objective
    if not objective.named and model.compiled and model.built:
        every = (objective.loss, objective.metrics, objective.weighted_metrics)
        if all(lookup.kind_by_shape(one) is None for tree in every for one in asked(tree)):
            build_objective(model, None, early=True)
    return list(objective.named.values())


@property
def metrics_names(model):
    """The names of the metrics in the logs. A name that is taken gets "weighted_" in front or a number behind it.

    Where there are several outputs, names begin with that of the output: NAME_loss, NAME_accuracy.
    """
    return [*map(operator.itemgetter(0), _named(model))]


def _named(model):
    """The pairs of names and metrics."""
    if type(model).metrics is not metrics:  # a class of the user's tells others
        return [(metric.name, metric) for metric in model.metrics]
    return model._objective.named.items()


def compute_metrics(model, x, y, y_pred, sample_weight=None):
    """Update the metrics with a batch, and return their values so far, a dict.

    Override it to add to the logs of the step, which are what it returns. It becomes a part of the recorded step, so it
    must compute with minigrad.ops; a step that computes with the value of a metric runs eagerly.
    """
    build_objective(model, y)
    with no_grad():
        model._objective.update(y, y_pred, sample_weight)
    return model.get_metrics_result()


def get_metrics_result(model):
    """The value of each metric so far, a dict. Override it to add values that follow from the metrics."""
    found = {name: metric.result() for name, metric in _named(model)}
    return found if is_recording() else _plain(found)


def reset_metrics(model):
    """Forget all batches that the metrics have seen."""
    for metric in model.metrics:
        metric.reset_state()


def restart(model, batches=0):
    """Let the metrics begin anew, and count the batches of an epoch, of which so many are done."""
    model.reset_metrics()
    model._objective.restart(batches)


def results(model, of_step=False):
    """The logs in alphabetical order."""
    return dict(sorted(_logs(model, of_step).items()))


def batch_results(model, as_dict):
    """The logs of one batch, as a dict or as a list; one number if that is all."""
    return results(model, of_step=True) if as_dict else listed(model, _logs(model, of_step=True))


def _logs(model, of_step):
    """`get_metrics_result()`, or what an overridden compute_metrics returned in the last step.

    Where both have the same keys, the metrics are right, unless the logs `of_step` are wanted, as in Keras.
    """
    found, step = model.get_metrics_result(), model._pool.logs
    if type(model).get_metrics_result is not get_metrics_result:
        found = _plain(found)
    if step is not None and has_own(model, "train_step") and not model._objective.tracker.count.numpy():
        found.pop("loss", None)  # a step of one's own, which has not told the tracker
    if step is not None and (of_step or set(step) != set(found)):
        found = _plain(step)
    return found


def listed(model, logs):
    """The values of logs in the order of the metrics, then those with other names; one number if that is all."""
    names = model.metrics_names
    if names != [*logs]:
        logs = {name: logs[name] for name in [*names, *logs] if name in logs}
    values = [*logs.values()]
    return values[0] if len(values) == 1 else values


def _plain(values):
    """The values as Python numbers (or lists); of a dict among them, each of its values under its own name."""
    found = {}
    for name, value in values.items():
        value = value.read() if isinstance(value, Pending) else value
        if isinstance(value, dict):
            found |= _plain(value)
        else:
            array = value._data if isinstance(value, Tensor) else np.asarray(value)
            found[name] = array.tolist()  # of an array without axes a number
    return found
