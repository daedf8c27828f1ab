"""compile: the optimizer, the loss and the metrics of a model."""


import numpy as np

from minigrad import optimizers
from minigrad.checks import is_int, is_number, warn
from minigrad.losses.base import as_loss
from minigrad.metrics import lookup
from minigrad.metrics.base import LossTracker, Metric
from minigrad.tensor import Tensor
from minigrad.trainer.arguments import check_loss, metric_list

# What Keras lets a subclass of Model define instead of its own.
_STEPS = ("train_step", "test_step", "predict_step", "make_train_function", "make_test_function")


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
            loss_weights: a number (or a list of one) the loss is multiplied by.
            metrics: a list of names ("accuracy" means binary, categorical or sparse by the shapes), Metrics or
                functions; weighted_metrics: those that take the sample weights into account.
            run_eagerly: run every step in Python instead of replaying a Program; same numbers to the bit.
            steps_per_execution: how many batches lie between two calls of a batch hook.
            jit_compile, auto_scale_loss: accepted for Keras; they change nothing here.

        Raises:
            ValueError: an unknown name, or metrics that are not in a list.
        """
        for name in _STEPS:
            if hasattr(type(self), name):
                raise ValueError(
                    f"{type(self).__name__} defines {name}, which minigrad does not call: it records the step itself. "
                    "Override compute_loss(x, y, y_pred, sample_weight), or write the loop: loss.backward(), then "
                    "optimizer.apply([v.grad for v in variables], variables)."
                )
        new_optimizer = optimizers.get(optimizer)
        new_loss = self.loss if loss is None else check_loss(loss)
        plain, weighted = metric_list("metrics", metrics), metric_list("weighted_metrics", weighted_metrics)
        if not is_int(steps_per_execution, 1):
            raise ValueError(f"steps_per_execution must be a positive int, got {steps_per_execution!r}.")
        if run_eagerly and jit_compile is True:
            warn("run_eagerly=True switches jit_compile off.")
        weight = list(loss_weights) if isinstance(loss_weights, (list, tuple)) else [loss_weights]
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

        They appear once the shapes of the data are known.
        """
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
        if self._has_metrics:
            return
        if y_shape is None:
            if self._metric_specs or self._weighted_specs:
                raise ValueError("The targets y are missing: the metrics compare the output with them.")
            y_shape = (None,)
        target, output = (None, *y_shape[1:]), tuple(self.output_shape)
        loss = self.loss
        if lookup.kind_by_shape(loss) == "crossentropy":
            loss = lookup.by_shape(target, output, "crossentropy")
        self._loss = None if loss is None else as_loss(loss)
        self._tracker = LossTracker("loss", self.dtype)
        self._plain = [lookup.as_metric(m, target, output) for m in self._metric_specs]
        self._weighted = [lookup.as_metric(m, target, output) for m in self._weighted_specs]
        given = [self._tracker, *self._plain, *self._weighted]
        self._every_metric = [*given, *(m for m in self._attached_metrics() if m not in given)]
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

    def _attached_metrics(self):
        """The metrics among the attributes of layers (and of a model) whose class is not minigrad's."""
        own = [layer for layer in self._all_layers() if not type(layer).__module__.startswith("minigrad.")]
        return list(dict.fromkeys(value for layer in own for value in layer._leaves() if isinstance(value, Metric)))

    def _values(self):
        """The value of each metric as a Python number (or list), in their order; of a dict, each of its values."""
        found = {}
        for name, metric in self._named_metrics():
            value = metric.result()
            if isinstance(value, dict):
                found.update((name, _plain_number(part)) for name, part in value.items())
            else:
                found[name] = _plain_number(value)
        return found

    def get_metrics_result(self):
        """The value of each metric so far, a dict."""
        return self._values()

    def _results(self):
        """The same with keys in alphabetical order."""
        return dict(sorted(self._values().items()))

    def _batch_results(self, as_dict):
        """The same of one batch, as a dict or as a list in the order of the metrics; one number if that is all."""
        return self._results() if as_dict else listed(self._values().values())

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


def listed(values):
    """A list of the values; the only one, if there is one."""
    values = list(values)
    return values[0] if len(values) == 1 else values


def _plain_number(value):
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    return array.item() if array.ndim == 0 else array.tolist()
