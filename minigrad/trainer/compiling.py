"""compile: the optimizer, the loss and the metrics of a model."""

from minigrad import optimizers
from minigrad.checks import is_int, warn
from minigrad.trainer.logs import has_own, place
from minigrad.trainer.objective import Objective

# What Keras lets a subclass of Model define instead of its own, and what only its back ends can use.
_STEPS = "make_train_function", "make_test_function", "make_predict_function"


def compile(
    model, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, run_eagerly=False,
    steps_per_execution=1, jit_compile="auto", auto_scale_loss=True,
):  # fmt: skip
    """Choose how to train.

    Args:
        optimizer: a name or an Optimizer. A name makes a new one; an instance keeps its state.
        loss: a name, a Loss, or a function (y_true, y_pred) that returns one value per row. A model with several
            outputs takes a list of losses, or a dict from the names of the outputs to losses; None stands for an
            output without a loss. One loss alone is used for each output.
        loss_weights: a number by which the loss is multiplied, or a list or dict of numbers. The weighted sum of the
            losses of all outputs is minimized.
        metrics: a list of names, Metrics or functions ("accuracy" means binary, categorical or sparse accuracy,
            depending on the shapes). A model with several outputs takes a list or dict of such lists.
        weighted_metrics: metrics that take the sample weights into account.
        run_eagerly: run every step in Python instead of replaying a Program; same numbers to the bit.
        steps_per_execution: how many batches lie between two calls of a batch hook.
        jit_compile, auto_scale_loss: Keras' arguments, without an effect here.

    Raises:
        ValueError: a name is unknown, metrics are not in a list, or an output that is named does not exist.

    >>> model = Model(x, {"price": Dense(1)(h), "sold": Dense(1, activation="sigmoid")(h)})
    >>> model.compile("adam", {"price": "mse", "sold": "binary_crossentropy"}, metrics={"sold": ["accuracy"]})
    """
    require_known_steps(model)
    new_optimizer = optimizers.get(optimizer)
    before = model._objective
    if loss is None:
        loss, loss_weights = before.loss, before.loss_weights if loss_weights is None else loss_weights
    if metrics is None and weighted_metrics is None:
        metrics, weighted_metrics = before.metrics, before.weighted_metrics
    objective = Objective(loss, loss_weights, metrics, weighted_metrics)
    if not is_int(steps_per_execution, 1):
        raise ValueError(f"steps_per_execution must be a positive int, got {steps_per_execution!r}.")
    if run_eagerly and jit_compile is True:
        warn("run_eagerly=True switches jit_compile off.")
    if model._graph is not None:
        place(model, objective)
    model.optimizer, model.loss, model._objective = new_optimizer, objective.loss, objective
    model.jit_compile = False if jit_compile == "auto" or run_eagerly else bool(jit_compile)
    model.steps_per_execution = steps_per_execution
    model.stop_training = False
    model.compiled = True
    model._eager_because = None
    model.run_eagerly = run_eagerly  # which makes the model forget its Programs


def require_known_steps(model):
    """Raise a ValueError if a subclass defines a function of Keras' back ends."""
    for name in _STEPS:
        if hasattr(type(model), name):
            raise ValueError(
                f"{type(model).__name__} defines {name}, which minigrad does not call: it records the step itself. "
                "Override train_step, test_step or predict_step."
            )


def require_compiled(model, method):
    """Raise a ValueError if a model is not compiled for what it is asked."""
    if not model.compiled:
        raise ValueError(f"Model {model.name!r} must be compiled before {method}(): call compile(optimizer, loss).")
    kind = "train" if method in ("fit", "train_on_batch") else "test"
    if model.loss is None and not may_have_another_loss(model, kind):
        raise ValueError(f"Model {model.name!r} was compiled without a loss, which {method}() needs.")


def may_have_another_loss(model, kind="train"):
    """Whether a loss may come from elsewhere than `compile`: a step of one's own, compute_loss, or a layer."""
    return has_own(model, f"{kind}_step") or has_own(model, "compute_loss") or any(
        layer.activity_regularizer is not None or not type(layer).__module__.startswith("minigrad.")
        for layer in model._all_layers()
    )
