"""One step as it stands: forward, loss, backward, optimizer, metrics. `programs` records it."""

import contextlib
import functools
import inspect

import numpy as np

from minigrad.data import pack_x_y_sample_weight, unpack_x_y_sample_weight
from minigrad.program import RecordingError, trace
from minigrad.tensor import Tensor, enable_grad, no_grad
from minigrad.trainer.logs import build_objective, compute_metrics, has_own
from minigrad.trainer.snapshot import build_optimizer
from minigrad.trees import leaves


def train_step(model, data):
    """One step of training on a batch, a tuple (x, y) or (x, y, sample_weight) of tensors, or x; the logs, a dict.

    Override it for a step of your own: compute with `minigrad.ops`, differentiate with a GradientTape, and return
    the logs, such as the results of metrics. The step is recorded into a Program, so its Python runs only a few times.
    A step that reads a value, such as `float(loss)`, can't be recorded and runs eagerly.

        class Smooth(keras.Model):
            def train_step(self, data):
                x, y = data
                with keras.GradientTape() as tape:
                    y_pred = self(x, training=True)
                    loss = self.compute_loss(x, y, y_pred) + 0.1 * keras.ops.mean(keras.ops.square(y_pred))
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply(gradients, self.trainable_variables)
                for metric in self.metrics:
                    metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
                return self.get_metrics_result()
    """
    build_optimizer(model, for_own_step=True)
    _train(model, *unpack_x_y_sample_weight(data), np.zeros((1, 1), np.int64))
    return model.get_metrics_result()


def test_step(model, data):
    """One step of evaluation on a batch; override it as `train_step`."""
    _test(model, *unpack_x_y_sample_weight(data), np.zeros((1, 1), np.int64))
    return model.get_metrics_result()


def predict_step(model, data):
    """The output for a batch in inference mode; override it as `train_step`."""
    return model(unpack_x_y_sample_weight(data)[0], training=False)


def compute_loss(model, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    """The loss of a batch, a tensor of one number: the compiled losses, weighted, plus all penalties in `losses`.

    Override it for a loss that needs more than y and y_pred. It becomes a part of the recorded step, so it must
    compute with minigrad.ops; `compile` needs no loss then, and `fit` no y.
    """
    penalties, objective = model.losses, model._objective
    if model.compiled and not objective.named:  # called by a loop of the user's, before any `fit`
        build_objective(model, y)
    loss = objective.total(y, y_pred, sample_weight)
    if loss is None and not penalties:
        raise ValueError(
            f"Model {model.name!r} was compiled without a loss, and no layer adds one: compile(optimizer, loss)."
        )
    for penalty in penalties:
        loss = penalty if loss is None else loss + penalty
    return loss


def step_on(model, kind):
    """The function of (x, y, w) that takes a step of a kind: "train", "test" or "predict"."""
    if has_own(model, f"{kind}_step"):
        return functools.partial(_take_own, model, kind)
    return functools.partial({"train": _train, "test": _test, "predict": _predict}[kind], model)


def check_step(model, kind, x, y, w):
    """Raise what a "train" or "test" step on such a batch would raise, while nothing is computed or changed."""
    if has_own(model, f"{kind}_step"):
        try_own(model, kind, x, y, w)
        return

    def run():
        training = kind == "train"
        y_pred = _forward(model, x, training)
        _observe(model, _total_loss(model, x, y, y_pred, w, training), x, y, y_pred, w)

    with contextlib.suppress(RecordingError), no_grad():
        trace(run)
    model._clear_losses()


def try_own(model, kind, x, y=None, w=None):
    """Let an overridden step make what it makes on its first run, such as weights, while nothing is computed."""
    with contextlib.suppress(RecordingError):
        trace(lambda: _take_own(model, kind, x, y, w))
    model.built = model.built or all(layer.built for layer in model._all_layers() if layer is not model)


def _take_own(model, kind, x, y=None, w=None):
    """One step as the class defines it: the logs, or of "predict" the output."""
    with enable_grad() if kind == "train" else no_grad():
        found = getattr(model, f"{kind}_step")(pack_x_y_sample_weight(x, y, w))
    if kind == "predict":
        return found
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{type(model).__name__}.{kind}_step must return the logs, a dict; it returned {found!r}.")
    model._objective.watch((found or {}).get("loss"))
    return found or {}


def _train(model, x, y, w, finite=None):
    """One step of training on a batch; see `_observe`."""
    with enable_grad():
        y_pred = _forward(model, x, training=True)
        loss = _total_loss(model, x, y, y_pred, w, training=True)
        trained = model.trainable_variables
        for variable in trained:
            variable._grad = None
        if trained and not loss.requires_grad:
            raise ValueError(
                f"The loss of model {model.name!r} does not depend on its weights: it must be computed from y_pred, by "
                "functions of minigrad.ops."
            )
        if trained:
            model.optimizer.scale_loss(loss).backward(inputs=trained)
    if trained:
        model.optimizer.step()
    return _observe(model, loss, x, y, y_pred, w, finite)


def _test(model, x, y, w, finite=None):
    """One step of evaluation on a batch; see `_observe`."""
    with no_grad():
        model._clear_losses()
        y_pred = _forward(model, x, training=False)
        return _observe(model, _total_loss(model, x, y, y_pred, w, training=False), x, y, y_pred, w, finite)


def _predict(model, x, y=None, w=None):
    with no_grad():
        return model._infer(x)


def _forward(model, x, training):
    y_pred = model(x, training=training)
    for output in () if type(y_pred) is Tensor else leaves(y_pred):
        if not isinstance(output, Tensor):
            raise ValueError(
                f"The call of model {model.name!r} returned a {type(output).__name__}, but what is trained must be a "
                "tensor, or a list or dict of tensors."
            )
    return y_pred


def _total_loss(model, x, y, y_pred, w, training):
    more = {"training": training} if _takes_training(type(model).compute_loss) else {}
    loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=w, **more)
    if not isinstance(loss, Tensor) or loss.size != 1:
        raise ValueError(
            f"The loss must be one number, a Tensor, got {getattr(loss, 'shape', loss)!r}: training needs a reduction "
            "other than 'none'."
        )
    return loss


def _observe(model, loss, x, y, y_pred, w, finite=None):
    """Let the metrics see a batch, which `finite` counts; the logs, if compute_metrics is overridden."""
    with no_grad():
        model._objective.track(loss, y_pred, finite)
        if type(model).compute_metrics is not compute_metrics:
            return model.compute_metrics(x, y, y_pred, w)
        model._objective.update(y, y_pred, w)
        return None


@functools.cache
def _takes_training(compute_loss):
    """Whether an overridden compute_loss has the argument, which Keras before 3.3 did not know."""
    return "training" in inspect.signature(compute_loss).parameters
