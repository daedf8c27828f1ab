"""compile: the optimizer, the loss and the metrics of a model."""


import numpy as np

from minigrad import optimizers
from minigrad.checks import is_int, is_number, warn
from minigrad.losses.base import as_loss
from minigrad.metrics import lookup
from minigrad.metrics.base import LossTracker, Pending
from minigrad.program import is_recording
from minigrad.tensor import Tensor, as_tensor, no_grad
from minigrad.trainer.arguments import check_loss, metric_list

# What Keras lets a subclass of Model define instead of its own.
_STEPS = (
    "train_step", "test_step", "predict_step", "make_train_function", "make_test_function", "make_predict_function"
)


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
            loss: a name, a Loss, or a function (y_true, y_pred) -> one value a row.
            loss_weights: a number (or a list or dict of one) the loss is multiplied by.
            metrics: a list of names ("accuracy" means binary, categorical or sparse by the shapes), Metrics or
                functions; weighted_metrics: those that take the sample weights into account.
            run_eagerly: run every step in Python instead of replaying a Program; same numbers to the bit.
            steps_per_execution: how many batches lie between two calls of a batch hook.
            jit_compile, auto_scale_loss: accepted for Keras; they change nothing here.

        Raises:
            ValueError: an unknown name, or metrics that are not in a list.
        """
        self._require_own_steps()
        new_optimizer = optimizers.get(optimizer)
        new_loss = self.loss if loss is None else check_loss(loss)
        plain, weighted = metric_list("metrics", metrics), metric_list("weighted_metrics", weighted_metrics)
        if not is_int(steps_per_execution, 1):
            raise ValueError(f"steps_per_execution must be a positive int, got {steps_per_execution!r}.")
        if run_eagerly and jit_compile is True:
            warn("run_eagerly=True switches jit_compile off.")
        weight = list(loss_weights.values()) if isinstance(loss_weights, dict) else loss_weights
        weight = list(weight) if isinstance(weight, (list, tuple)) else [weight]
        if len(weight) != 1 or not (weight[0] is None or is_number(weight[0])):
            raise ValueError(
                f"loss_weights must be a number, since there is one output; got {loss_weights!r}. (It is the third "
                "argument of compile, metrics the fourth: give them by name, metrics=[...].)"
            )
        self.optimizer, self.loss = new_optimizer, new_loss
        self._loss_weight = weight[0]
        self._metric_specs = self._metric_specs if plain is None else plain
        self._weighted_specs = self._weighted_specs if weighted is None else weighted
        self._has_metrics = False
        self.jit_compile = False if jit_compile == "auto" or run_eagerly else bool(jit_compile)
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self.compiled = True
        self._eager_because = None
        self.run_eagerly = run_eagerly  # which makes the model forget its Programs

    def _require_own_steps(self):
        """Raise a ValueError if a subclass defines what Keras would call instead of its own step."""
        for name in _STEPS:
            if hasattr(type(self), name):
                raise ValueError(
                    f"{type(self).__name__} defines {name}, which minigrad does not call: it records the step itself. "
                    "Override call, compute_loss(x, y, y_pred, sample_weight) or compute_metrics, or write the loop: "
                    "loss.backward(), then optimizer.apply([v.grad for v in variables], variables)."
                )

    def _require_compiled(self, method):
        if not self.compiled:
            raise ValueError(f"Model {self.name!r} must be compiled before {method}(): call compile(optimizer, loss).")
        if self.loss is None and not self._may_have_another_loss():
            raise ValueError(f"Model {self.name!r} was compiled without a loss, which {method}() needs.")

    def _may_have_another_loss(self):
        """Whether a loss may come from elsewhere than `compile`: compute_loss is overridden, or a layer adds one."""
        return not type(self).compute_loss.__module__.startswith("minigrad.") or any(
            layer.activity_regularizer is not None or not type(layer).__module__.startswith("minigrad.")
            for layer in self._all_layers()
        )

    @property
    def metrics(self):
        """All metrics, the loss first, those of `compile`, and those that layers of one's own keep as attributes.

        Where their kind depends on the shape of the targets, as that of "accuracy" does, they appear with the data.
        """
        if not self._has_metrics and self.compiled and self.built:
            names = [self.loss, *self._metric_specs, *self._weighted_specs]
            if all(lookup.kind_by_shape(name) is None for name in names):
                self._make_metrics(self.output_shape)
                self._has_metrics = "early"
        return self._every_metric[:] if self._has_metrics else []

    @property
    def metrics_names(self):
        """What logs call the metrics: by their names, with "weighted_" before or a number behind one that is taken."""
        return [name for name, _ in self._named_metrics()]

    def _named_metrics(self):
        """The pairs of names and metrics."""
        if type(self).metrics is not Compiling.metrics:  # a class of the user's tells others
            return [(m.name, m) for m in self.metrics]
        return zip(self._metric_keys, self._every_metric) if self._has_metrics else []

    def _make_metrics(self, y_shape):
        """Resolve the loss and the metrics for targets of this shape (None: there are no targets), once."""
        if y_shape is None and (self._metric_specs or self._weighted_specs):
            raise ValueError("The targets y are missing: the metrics compare the output with them.")
        if self._has_metrics:
            self._has_metrics = True
            return
        target, output = (None, *(y_shape or ())[1:]), tuple(self.output_shape)
        loss = self.loss
        if lookup.kind_by_shape(loss) == "crossentropy":
            loss = lookup.by_shape(target, output, "crossentropy")
        self._loss = None if loss is None else as_loss(loss)
        self._tracker = LossTracker("loss", self.dtype)
        self._plain = [lookup.as_metric(m, target, output) for m in self._metric_specs]
        self._weighted = [lookup.as_metric(m, target, output) for m in self._weighted_specs]
        given = [self._tracker, *self._plain, *self._weighted]
        self._every_metric = [*given, *(m for m in super().metrics if m not in given)]
        self._metric_keys = ["loss"]
        for metric in self._every_metric[1:]:
            is_double = metric in self._weighted and metric.name in self._metric_keys
            name = f"weighted_{metric.name}" if is_double else metric.name
            key, count = name, 0
            while key in self._metric_keys:
                count += 1
                key = f"{name}_{count}"
            self._metric_keys.append(key)
            for variable in metric.variables:
                variable.path = f"{key}/{variable.name}"
        self._has_metrics = True

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Let the metrics see a batch; their values so far, a dict.

        Override it to add to the logs: what it returns are those of the step. It becomes a part of the recorded step,
        so it must compute with minigrad.ops; a step that computes with the value of a metric runs eagerly.
        """
        self._make_metrics(None if y is None else as_tensor(y).shape)
        with no_grad():
            self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_metrics(self, y, y_pred, w):
        for metric in self._plain:
            metric.update_state(y, y_pred)
        for metric in self._weighted:
            metric.update_state(y, y_pred, sample_weight=w)

    def get_metrics_result(self):
        """The value of each metric so far, a dict. Override it to add to the logs what follows from the metrics."""
        found = {name: metric.result() for name, metric in self._named_metrics()}
        return found if is_recording() else _plain_logs(found)

    def _results(self, of_step=False):
        """The logs: `get_metrics_result()`, or what an overridden compute_metrics returned in the last step.

        Where both have the same keys, the metrics are right, unless the logs `of_step` are wanted, as in Keras.
        """
        found, step = _plain_logs(self.get_metrics_result()), self._pool.logs
        if step is not None and (of_step or set(step) != set(found)):
            found = _plain_logs(step)
        return dict(sorted(found.items()))

    def _batch_results(self, as_dict):
        """The logs of one batch, as a dict or as a list; one number if that is all."""
        logs = self._results(of_step=True)
        return logs if as_dict else self._listed(logs)

    def _listed(self, logs):
        """The values of logs in the order of the metrics, then those with other names; one number if that is all."""
        names = [name for name in self.metrics_names if name in logs]
        values = [logs[name] for name in dict.fromkeys([*names, *logs])]
        return values[0] if len(values) == 1 else values

    def reset_metrics(self):
        """Forget all batches that the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def _restart_metrics(self, batches=0):
        self.reset_metrics()
        self._finite[...] = batches

    @property
    def finite_batches(self):
        """How many batches of this epoch (or evaluation) came before the mean loss ceased to be finite."""
        return int(self._finite[0, 0])


def _plain_logs(values):
    """The values as Python numbers (or lists); of a dict among them, each of its values under its own name."""
    found = {}
    for name, value in values.items():
        value = value.read() if isinstance(value, Pending) else value
        found |= _plain_logs(value) if isinstance(value, dict) else {name: _plain_number(value)}
    return found


def _plain_number(value):
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    return array.item() if array.ndim == 0 else array.tolist()
