"""compile: the optimizer, the loss and the metrics of a model."""

import operator

import numpy as np

from minigrad import optimizers
from minigrad.checks import is_int, warn
from minigrad.metrics import lookup
from minigrad.metrics.base import Pending
from minigrad.program import is_recording
from minigrad.tensor import Tensor, as_tensor, no_grad
from minigrad.trainer.objective import Objective, asked
from minigrad.trees import leaves

# What Keras lets a subclass of Model define instead of its own, and what only its back ends can use.
_STEPS = "make_train_function", "make_test_function", "make_predict_function"


class Compiling:
    """The part of a Model that is told how to train."""

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Choose how to train.

        Args:
            optimizer: a name or an Optimizer. A name makes a new one; an instance keeps its state.
            loss: a name, a Loss, or a function (y_true, y_pred) -> one value a row. Of several outputs each has its
                own, in a list or a dict by their names, where None stands for an output without a loss; or one loss
                is that of each.
            loss_weights: a number the loss is multiplied by, or a list or dict of numbers. What is minimized is the
                weighted sum of the losses of all outputs.
            metrics: a list of names ("accuracy" means binary, categorical or sparse by the shapes), Metrics or
                functions; of several outputs a list or dict of such lists. weighted_metrics: those that take the
                sample weights into account.
            run_eagerly: run every step in Python instead of replaying a Program; same numbers to the bit.
            steps_per_execution: how many batches lie between two calls of a batch hook.
            jit_compile, auto_scale_loss: accepted for Keras; they change nothing here.

        Raises:
            ValueError: an unknown name, metrics that are not in a list, or a loss, weight or metric for an output that
                does not exist.

        >>> model = Model(x, {"price": Dense(1)(h), "sold": Dense(1, activation="sigmoid")(h)})
        >>> model.compile("adam", {"price": "mse", "sold": "binary_crossentropy"}, metrics={"sold": ["accuracy"]})
        """
        self._require_known_steps()
        new_optimizer = optimizers.get(optimizer)
        before = self._objective
        objective = Objective(
            before.loss if loss is None else loss,
            before.loss_weights if loss is None and loss_weights is None else loss_weights,
            before.metrics if metrics is None else metrics,
            before.weighted_metrics if weighted_metrics is None else weighted_metrics,
        )
        if not is_int(steps_per_execution, 1):
            raise ValueError(f"steps_per_execution must be a positive int, got {steps_per_execution!r}.")
        if run_eagerly and jit_compile is True:
            warn("run_eagerly=True switches jit_compile off.")
        if self._graph is not None:
            self._place(objective)
        self.optimizer, self.loss, self._objective = new_optimizer, objective.loss, objective
        self.jit_compile = False if jit_compile == "auto" or run_eagerly else bool(jit_compile)
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self.compiled = True
        self._eager_because = None
        self.run_eagerly = run_eagerly  # which makes the model forget its Programs

    def _require_known_steps(self):
        """Raise a ValueError if a subclass defines a function of Keras' back ends."""
        for name in _STEPS:
            if hasattr(type(self), name):
                raise ValueError(
                    f"{type(self).__name__} defines {name}, which minigrad does not call: it records the step itself. "
                    "Override train_step, test_step or predict_step."
                )

    def _require_compiled(self, method):
        if not self.compiled:
            raise ValueError(f"Model {self.name!r} must be compiled before {method}(): call compile(optimizer, loss).")
        kind = "train" if method in ("fit", "train_on_batch") else "test"
        if self.loss is None and not self._may_have_another_loss(kind):
            raise ValueError(f"Model {self.name!r} was compiled without a loss, which {method}() needs.")

    @property
    def _has_own_loss(self):
        """Whether compute_loss is overridden."""
        return not type(self).compute_loss.__module__.startswith("minigrad.")

    def _may_have_another_loss(self, kind="train"):
        """Whether a loss may come from elsewhere than `compile`: a step of one's own, compute_loss, or a layer."""
        return self._has_own(kind) or self._has_own_loss or any(
            layer.activity_regularizer is not None or not type(layer).__module__.startswith("minigrad.")
            for layer in self._all_layers()
        )

    @property
    def metrics(self):
        """All metrics: the loss, those of `compile`, and those that layers of one's own keep as attributes.

        Where their kind depends on the shape of the targets, as that of "accuracy" does, they appear with the data.
        """
        objective = self._objective
        if not objective.named and self.compiled and self.built:
            every = (objective.loss, objective.metrics, objective.weighted_metrics)
            if all(lookup.kind_by_shape(one) is None for tree in every for one in asked(tree)):
                self._build_objective(None, early=True)
        return list(objective.named.values())

    @property
    def metrics_names(self):
        """What logs call the metrics: by their names, with "weighted_" before or a number behind one that is taken.

        Those of several outputs begin with the name of the output: NAME_loss, NAME_accuracy.
        """
        return [*map(operator.itemgetter(0), self._named_metrics())]

    def _named_metrics(self):
        """The pairs of names and metrics."""
        if type(self).metrics is not Compiling.metrics:  # a class of the user's tells others
            return [(m.name, m) for m in self.metrics]
        return self._objective.named.items()

    def _place(self, objective):
        """Bring what `compile` asks for to the outputs of the model, which is built."""
        has_names = getattr(self, "output_names", None) is not None
        objective.place(self.output_shape, [one.call.function.name for one in self.outputs] if has_names else None)

    def _build_objective(self, y, early=False):
        """Make the losses and the metrics for targets like y, a tree of arrays (None: there are no targets), once."""
        objective = self._objective
        if objective.named:
            objective.state = "built"
            return
        if objective.state is None and (objective.is_asked or not self._has_own("train")):
            self._place(objective)
        is_list = isinstance(y, list) and not any(hasattr(one, "shape") for one in leaves(y))
        objective.build(as_tensor(y) if is_list else y, self.dtype, super().metrics, early)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Let the metrics see a batch; their values so far, a dict.

        Override it to add to the logs: what it returns are those of the step. It becomes a part of the recorded step,
        so it must compute with minigrad.ops; a step that computes with the value of a metric runs eagerly.
        """
        self._build_objective(y)
        with no_grad():
            self._objective.update(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self):
        """The value of each metric so far, a dict. Override it to add to the logs what follows from the metrics."""
        found = {name: metric.result() for name, metric in self._named_metrics()}
        return found if is_recording() else _plain_logs(found)

    def _results(self, of_step=False):
        """The logs in alphabetical order."""
        return dict(sorted(self._logs(of_step).items()))

    def _logs(self, of_step):
        """`get_metrics_result()`, or what an overridden compute_metrics returned in the last step.

        Where both have the same keys, the metrics are right, unless the logs `of_step` are wanted, as in Keras.
        """
        found, step = self.get_metrics_result(), self._pool.logs
        if type(self).get_metrics_result is not Compiling.get_metrics_result:
            found = _plain_logs(found)
        if step is not None and self._has_own("train") and not self._objective.tracker.count.numpy():
            found.pop("loss", None)  # a step of one's own, which has not told the tracker
        if step is not None and (of_step or set(step) != set(found)):
            found = _plain_logs(step)
        return found

    def _batch_results(self, as_dict):
        """The logs of one batch, as a dict or as a list; one number if that is all."""
        return self._results(of_step=True) if as_dict else self._listed(self._logs(of_step=True))

    def _listed(self, logs):
        """The values of logs in the order of the metrics, then those with other names; one number if that is all."""
        names = self.metrics_names
        if names != [*logs]:
            logs = {name: logs[name] for name in [*names, *logs] if name in logs}
        values = [*logs.values()]
        return values[0] if len(values) == 1 else values

    def reset_metrics(self):
        """Forget all batches that the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def _restart_metrics(self, batches=0):
        self.reset_metrics()
        self._objective.restart(batches)

    @property
    def finite_batches(self):
        """How many batches of this epoch (or evaluation) came before the mean loss ceased to be finite."""
        return self._objective.finite.item(0)


def _plain_logs(values):
    """The values as Python numbers (or lists); of a dict among them, each of its values under its own name."""
    found = {}
    for name, value in values.items():
        value = value.read() if isinstance(value, Pending) else value
        if isinstance(value, dict):
            found |= _plain_logs(value)
        else:
            array = value._data if isinstance(value, Tensor) else np.asarray(value)
            found[name] = array.tolist()  # of an array without axes a number
    return found
