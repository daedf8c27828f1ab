"""compile, fit, evaluate, predict.

One step of training (forward, loss, backward, optimizer, metrics) is the method `_train`; run as it is it is the eager
step, recorded it is a Program that replays thousands of steps.
"""

import contextlib
import itertools
import math
import warnings

import numpy as np

from minigrad import kernels as K
from minigrad import losses, metrics, optimizers, saving
from minigrad.callbacks import CallbackList
from minigrad.data import Rows, as_rows, check_lengths, class_weights, is_array_like, split_batch
from minigrad.program import RecordingError, launch, trace
from minigrad.tensor import Structure, Tensor, as_tensor, constant, no_grad
from minigrad.trainer.arguments import check_loss, check_metric, kind_of, validation_epochs, verbosity, whole_number
from minigrad.trainer.sources import ArraySource, BatchSource, iterate
from minigrad.trainer.steps import Pool, Step, where


class Trainer:
    """The part of a Model that trains, evaluates and predicts."""

    def __init__(self):
        self.optimizer = self.loss = None
        self.compiled = False
        self.stop_training = False
        self.history = None
        self._metric_specs, self._weighted_specs = [], []
        self._metrics = None  # made when the shapes are known
        self._pool = Pool()
        self._eager_because = None
        self.run_eagerly = False

    # -------------------------------------------------------------------------------------------- compile

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
        new_optimizer = optimizers.get(optimizer)
        new_loss = self.loss if loss is None else check_loss(loss)
        specs = []
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if isinstance(given, dict) or (
                isinstance(given, (list, tuple)) and len(given) == 1 and isinstance(given[0], (list, tuple))
            ):
                (given,) = [*given.values()] if isinstance(given, dict) else given
                given = given if isinstance(given, (list, tuple)) else [given]
            if given is not None and not isinstance(given, (list, tuple)):
                raise ValueError(f"{what} must be a list, got {given!r} ({type(given).__name__}).")
            for one in given or ():
                check_metric(one)
            specs.append(None if given is None else list(given))
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"steps_per_execution must be a positive int, got {steps_per_execution!r}.")
        if run_eagerly and jit_compile is True:
            warnings.warn("run_eagerly=True switches jit_compile off.", stacklevel=2)
        weight = list(loss_weights) if isinstance(loss_weights, (list, tuple)) else [loss_weights]
        if len(weight) != 1 or not (weight[0] is None or isinstance(weight[0], (int, float))):
            raise ValueError(f"loss_weights must be a number, since there is one output; got {loss_weights!r}.")
        self.optimizer, self.loss = new_optimizer, new_loss
        self._loss_weight = weight[0]
        self._metric_specs = self._metric_specs if specs[0] is None else specs[0]
        self._weighted_specs = self._weighted_specs if specs[1] is None else specs[1]
        self._metrics = None
        self.run_eagerly = bool(run_eagerly)
        self.jit_compile = False if jit_compile == "auto" or run_eagerly else bool(jit_compile)
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self.compiled = True
        self._eager_because = None
        self._pool.clear()

    def _require_compiled(self, method):
        if not self.compiled:
            raise ValueError(f"Model {self.name!r} must be compiled before {method}(): call compile(optimizer, loss).")
        if self.loss is None:
            raise ValueError(f"Model {self.name!r} was compiled without a loss, which {method}() needs.")

    @property
    def metrics(self):
        """All metrics, the loss first; those of `compile` appear once the shapes of the data are known."""
        return [self._tracker, *self._plain, *self._weighted] if self._metrics is not None else []

    @property
    def metrics_names(self):
        """The names of the metrics."""
        return [m.name for m in self.metrics]

    def _make_metrics(self, y_shape):
        """Resolve the loss and the metrics for targets of this shape, once."""
        if self._metrics is not None:
            return
        target, output = (None, *y_shape[1:]), tuple(self.output_shape)
        loss = self.loss
        if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
            loss = metrics.by_shape(target, output, "crossentropy")
        self._loss = losses.as_loss(loss)
        self._tracker = metrics.LossTracker("loss", self.dtype)
        self._plain = [metrics.as_metric(m, target, output) for m in self._metric_specs]
        self._weighted = [metrics.as_metric(m, target, output) for m in self._weighted_specs]
        taken = {"loss"}
        for i, metric in enumerate([*self._plain, *self._weighted]):
            if i >= len(self._plain) and metric.name in taken:
                metric.name = f"weighted_{metric.name}"
            name, count = metric.name, 0
            while metric.name in taken:
                count += 1
                metric.name = f"{name}_{count}"
            taken.add(metric.name)
            for variable in metric.variables:
                variable.path = f"{metric.name}/{variable.name}"
        self._metrics = True

    def _results(self):
        """The value of each metric as a Python number (or list), keys in alphabetical order."""
        logs = {m.name: _plain_number(m.result()) for m in self.metrics}
        return dict(sorted(logs.items()))

    def reset_metrics(self):
        """Forget all batches that the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    # ------------------------------------------------------------------------------------------- one step

    def _train(self, x, y, w):
        """One step of training on a batch."""
        self._clear_losses()
        y_pred = self(x, training=True)
        loss = self._total_loss(y, y_pred, w)
        trained = self.trainable_variables
        for variable in trained:
            variable.grad = None
        if trained:
            factor = self.optimizer.loss_scale_factor
            (loss if factor is None else loss * float(factor)).backward()
            self.optimizer.step()
        self._track(loss, y, y_pred, w)

    def _test(self, x, y, w):
        """One step of evaluation on a batch."""
        with no_grad():
            self._clear_losses()
            y_pred = self(x, training=False)
            self._track(self._total_loss(y, y_pred, w), y, y_pred, w)

    def _infer(self, x):
        """The output in inference mode, launch by launch."""
        return self(x, training=False)

    def _total_loss(self, y, y_pred, w):
        loss = self._loss(y, y_pred, sample_weight=w) if w is not None else self._loss(y, y_pred)
        if self._loss_weight is not None:
            loss = loss * float(self._loss_weight)
        for penalty in self.losses:
            loss = loss + penalty
        if loss.size != 1:
            raise ValueError(
                f"The loss must be one number, got shape {loss.shape}: training needs a reduction other than 'none'."
            )
        return loss

    def _check_step(self, x, y, w, training):
        """Raise what a step on such a batch would raise, while nothing is computed or changed."""

        def run():
            y_pred = self(x, training=training)
            self._track(self._total_loss(y, y_pred, w), y, y_pred, w)

        with contextlib.suppress(RecordingError), no_grad():
            trace(run)
        self._clear_losses()

    def _track(self, loss, y, y_pred, w):
        with no_grad():
            self._tracker.update_state(loss, y_pred.shape[0])
            for metric in self._plain:
                metric.update_state(y, y_pred)
            for metric in self._weighted:
                metric.update_state(y, y_pred, sample_weight=w)

    # -------------------------------------------------------------------------------------------- programs

    def _homes(self):
        """Where the variables live and which are trained: a Program holds as long as neither changes."""
        return [(v._data, v.trainable) for v in self.weights], [layer.trainable for layer in self._all_layers()]

    def _is_valid(self, step):
        if step.version == Structure.version:
            return True
        version = Structure.version
        (places, flags), (now, now_flags) = step.homes, self._homes()
        is_same = len(places) == len(now) and all(
            a is b and t is s for (a, t), (b, s) in zip(places, now, strict=True)
        )
        if is_same and flags == now_flags:
            step.version = version  # the change was elsewhere
        return step.version == version

    def _build_step(self, run, inputs, title, result=None, names=()):
        """Record a step, or say once why it must run eagerly."""
        step = Step(run, inputs, self._homes(), result)
        if self.run_eagerly or self._eager_because is not None:
            return step
        try:
            step.record({**self._names(), **dict(names)}, title)
        except RecordingError as error:
            self._eager_because = f"{error}{where(error)}"
            warnings.warn(
                f"Model {self.name!r} runs eagerly, step by step in Python: {self._eager_because}", stacklevel=2
            )
        return step

    def _names(self):
        """What a listing of a Program calls the arrays of this model."""
        names = {}
        for v in self.weights:
            names[v.path] = v._data
            if v._gradient is not None:
                names[f"{v.path}/gradient"] = v._gradient
        if self.optimizer is not None and self.optimizer.built:
            names.update(self.optimizer.named_buffers())
        for metric in self.metrics:
            names.update({v.path: v._data for v in metric.variables})
        return names

    def _fit_step(self, rows, count):
        """The training step on the next `count` of `rows`, as something to borrow from the pool."""
        key = ("fit", count, tuple((k, a.shape[1:], rows.shapes[k]) for k, a in rows.arrays.items()))

        def build():
            def run():
                self._train(*rows.next_batch(count))
                launch(K.increment, constant(np.int64, count), rows.cursor)

            return self._build_step(run, rows.inputs, f"one training step of {self.name}, {count} rows")

        return self._pool.take(key, self._is_valid, build)

    def _staged_step(self, kind, x, y=None, w=None):
        """A step whose batch is copied into buffers of its own first."""
        given = {name: a for name, a in (("x", x), ("y", y), ("w", w)) if a is not None}
        key = (kind, tuple((name, a.shape) for name, a in given.items()))

        def build():
            stage = {name: np.zeros(a.shape, self.dtype) for name, a in given.items()}
            tensors = [as_tensor(stage[name]) if name in stage else None for name in ("x", "y", "w")]
            result = []

            def run():
                if kind == "train":
                    self._train(*tensors)
                elif kind == "test":
                    self._test(*tensors)
                else:
                    with no_grad():
                        result[:] = [self._infer(tensors[0])]

            step = self._build_step(run, {}, f"one {kind} step of {self.name}, {len(x)} rows", result, stage)
            self._pool.shown[kind] = step.program
            if step.program is None and kind != "predict":
                self._check_step(*tensors, training=kind == "train")  # recording would have done it
            step.stage = stage
            return step

        return self._pool.take(key, self._is_valid, build)

    def _run_staged(self, kind, x, y=None, w=None, reset=False):
        """Run one staged step on a batch of arrays; the output of "predict" and its logits, if any, copied.

        `reset` makes the metrics start anew, once it is known that the batch is fit for the model.
        """
        step = self._staged_step(kind, x, y, w)
        if reset:
            self.reset_metrics()
        step.stage["x"][...] = x
        if y is not None:
            step.stage["y"][...] = y
        if w is not None:
            step.stage["w"][...] = w
        step.replay()
        results = None
        if kind == "predict":
            y = step.result[0]
            results = y._data.copy(), None if y._logits is None else y._logits._data.copy()
        self._pool.give_back(step)
        return results

    @property
    def train_program(self):
        """The Program of the last training step (None before `fit`, or where the model runs eagerly): print it.

        `fit` lets go of the data at its end; `bind` arrays to it before you replay it yourself.
        """
        return self._last_program("fit", "train")

    @property
    def predict_program(self):
        """The Program of the last prediction step."""
        return self._last_program("predict")

    def _last_program(self, *kinds):
        return next((self._pool.shown[kind] for kind in kinds if kind in self._pool.shown), None)

    # ------------------------------------------------------------------------------------------------ data

    def _prepare_x(self, x):
        """x as rows that fit the model, which is built for them if it was not."""
        x = as_rows(x, "x", self.dtype)
        if self.built and x.ndim == 1 and tuple(self.input_shape) == (None, 1):
            x = x[:, None]
        self._ensure_built(x.shape)
        self._check_input(x.shape)
        return x

    def _prepare(self, x, y, w=None, class_weight=None):
        """x, y and sample weights as arrays that fit the model, checked before anything is changed."""
        if w is not None and class_weight is not None:
            raise ValueError("Give sample_weight or class_weight, not both.")
        if y is None:
            raise ValueError("The targets y are missing: the loss compares the output with them.")
        x = as_rows(x, "x", self.dtype)
        y = as_rows(y, "y", self.dtype)
        w = None if w is None else as_rows(w, "sample_weight", self.dtype)
        check_lengths(x=x, y=y, sample_weight=w)
        x = self._prepare_x(x)
        if class_weight is not None:
            w = class_weights(y, class_weight)
        self._make_metrics(y.shape)
        self._loss.check_targets(y, self.output_shape)
        return x, y, w

    # ------------------------------------------------------------------------------------------------- fit

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Train for `epochs` passes over the data; returns a History.

        Args:
            x, y: arrays, lists, data frames with a row a sample; or x alone: an iterable of batches (x, y) or
                (x, y, sample_weight), such as a generator.
            batch_size: rows a step, by default 32; the last batch may be smaller.
            epochs: the number of the last epoch; training begins at `initial_epoch`.
            verbose: 0 silent, 1 (or "auto") a progress bar, 2 one line an epoch.
            callbacks: a list of Callbacks.
            validation_split: the share of rows, taken from the end, that is only evaluated; or
            validation_data: (x, y) or (x, y, sample_weight); every `validation_freq` epochs.
            shuffle: True, False, or "batch" (within each batch).
            class_weight: a dict from class to weight; sample_weight: a weight a row.
            steps_per_epoch, validation_steps: batches an epoch, where it shall not be a whole pass.

        Raises:
            ValueError, TypeError: data or settings that make no sense, before anything is changed.
        """
        self._require_compiled("fit")
        epochs = whole_number("epochs", epochs, 0)
        initial_epoch = whole_number("initial_epoch", initial_epoch, 0)
        steps_per_epoch = whole_number("steps_per_epoch", steps_per_epoch, 1, optional=True)
        verbose = verbosity(verbose)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        is_array = is_array_like(x)
        validates = validation_epochs(validation_freq)
        validation_steps = whole_number("validation_steps", validation_steps, 1, optional=True)
        validation_batch_size = whole_number("validation_batch_size", validation_batch_size, 0, optional=True)
        if isinstance(validation_split, bool) or not isinstance(validation_split, (int, float)) or (
            not 0 <= validation_split < 1
        ):
            raise ValueError(f"validation_split must be in [0, 1), got {validation_split!r}.")
        if shuffle not in (True, False, "batch", 0, 1, None):
            raise ValueError(f"shuffle must be True, False or 'batch', got {shuffle!r}.")
        beside = any(value is not None for value in (y, sample_weight, class_weight)) or validation_split
        if not is_array and beside:
            raise ValueError(
                f"x is {kind_of(x)}: it must yield (x, y) or (x, y, sample_weight); y, sample_weight, class_weight "
                "and validation_split can't be given beside it."
            )
        with self._forgetting_after_an_error():
            if is_array:
                x, y, w, validation_data = self._fit_arrays(
                    x, y, sample_weight, class_weight, validation_split, validation_data
                )
                batch_size = batch_size or self._default_batch_size(len(x), steps_per_epoch)
                source = ArraySource(self, Rows(x, y, w), batch_size, shuffle, steps_per_epoch)
                source.check(x, y, w)
            else:
                source = BatchSource(self, x, steps_per_epoch)
                if epochs > initial_epoch:
                    source.begin()
            validation_batch_size = validation_batch_size or batch_size or 32
            validation_data = self._validation(validation_data, validation_batch_size, validation_steps)
            params = {"verbose": verbose, "epochs": epochs, "steps": source.steps}
            callbacks = CallbackList(callbacks, self, params, history=True, progress=verbose != 0)
        self.history = callbacks.history
        self.stop_training = False
        with self._pool.training:
            saving.state.go_on_with_random_numbers(self)
            try:
                logs = {}
                callbacks.call("on_train_begin", {})
                for epoch in range(initial_epoch, epochs):
                    if not source.begin():
                        warnings.warn(
                            f"The data ran out after {epoch - initial_epoch} epochs: a generator can't be started "
                            "again, so the training ends here.",
                            stacklevel=2,
                        )
                        break
                    self.reset_metrics()
                    callbacks.call("on_epoch_begin", epoch, {})
                    source.run_epoch(callbacks)
                    logs = self._results()
                    if validation_data is not None and validates(epoch):
                        values = self._evaluate(*validation_data, validation_batch_size, validation_steps, callbacks)
                        logs.update({f"val_{k}": v for k, v in values.items()})
                        logs = dict(sorted(logs.items()))
                    callbacks.call("on_epoch_end", epoch, logs)
                    if self.stop_training:
                        break
                if epochs > initial_epoch:
                    self.optimizer.finalize_variable_values(self.trainable_variables)
                callbacks.call("on_train_end", logs)
            except BaseException:
                callbacks.close()
                raise
            finally:
                source.release()
        return callbacks.history

    @contextlib.contextmanager
    def _forgetting_after_an_error(self):
        """Metrics and weights that were made for data which turned out to be bad are made anew for the next data."""
        were_made, unbuilt = self._metrics, [] if self.built else self._unbuilt()
        try:
            yield
        except Exception:
            self._restore(unbuilt)
            if were_made is None:
                self._metrics = None
                self._pool.clear()
            raise

    @staticmethod
    def _default_batch_size(rows, steps):
        return math.ceil(rows / steps) if steps else 32

    def _fit_arrays(self, x, y, w, class_weight, split, validation_data):
        """The checked arrays to train on and the validation data, which may be cut from their end."""
        x, y, w = self._prepare(x, y, w, class_weight)
        if not split or validation_data is not None:
            return x, y, w, validation_data
        kept = math.floor(len(x) * (1 - split))
        if kept in (0, len(x)):
            raise ValueError(f"validation_split={split} of {len(x)} rows leaves no rows to train on or to validate.")
        # class_weight never touches validation data
        held_w = None if w is None or class_weight is not None else w[kept:]
        validation_data = _Prepared((x[kept:], y[kept:], held_w))
        return x[:kept], y[:kept], None if w is None else w[:kept], validation_data

    def _validation(self, data, batch_size, steps):
        """validation_data as checked arrays, or as an iterable of batches; None if there is none."""
        if data is None:
            return None
        if not isinstance(data, (tuple, list)):
            if is_array_like(data):
                raise ValueError("validation_data must be (x, y) or (x, y, sample_weight); got one array.")
            batches = iterate(data)
            first = next(batches, None)
            if first is None:
                raise ValueError("validation_data is empty: the iterable yielded no batch.")
            self._check_batch("test", *self._prepare(*split_batch(first)))
            if batches is data:
                data = itertools.chain([first], batches)
                # What can be read only once must last for all epochs.
                data = list(data) if steps is None else data
            return data, None, None
        if not isinstance(data, _Prepared):
            if len(data) not in (2, 3):
                raise ValueError(f"validation_data must be (x, y) or (x, y, sample_weight); got {len(data)} elements.")
            data = self._prepare(*data)
        self._check_batch("test", *data, rows=batch_size)
        return data

    def _check_batch(self, kind, *arrays, rows=None):
        """Make the step for the first `rows` rows, which finds out shapes that do not fit, and do not take it yet."""
        self._pool.give_back(self._staged_step(kind, *(None if a is None else a[:rows] for a in arrays)))

    # -------------------------------------------------------------------------------------------- evaluate

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False,
    ):
        """The loss and the metrics on the data, in inference mode.

        Returns a float if there is only the loss, else a list [loss, metrics...]; with return_dict=True a dict.
        See `fit` for the arguments.
        """
        self._require_compiled("evaluate")
        verbose = verbosity(verbose)
        steps = whole_number("steps", steps, 1, optional=True)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        count = steps
        with self._forgetting_after_an_error():
            if is_array_like(x):
                x, y, sample_weight = self._prepare(x, y, sample_weight)
                batch_size = batch_size or self._default_batch_size(len(x), steps)
                count = min(math.ceil(len(x) / batch_size), steps or math.inf)
                self._check_batch("test", x, y, sample_weight, rows=batch_size)
            elif y is not None or sample_weight is not None:
                raise ValueError(
                    f"x is {kind_of(x)}: it must yield (x, y) or (x, y, sample_weight); y and sample_weight can't be "
                    "given beside it."
                )
            params = {"verbose": verbose, "epochs": 1, "steps": count}
            callbacks = CallbackList(callbacks, self, params, progress=verbose != 0)
        with self._pool.training, self._forgetting_after_an_error():
            try:
                logs = self._evaluate(x, y, sample_weight, batch_size, steps, callbacks)
            except BaseException:
                callbacks.close()
                raise
        return logs if return_dict else self._listed(logs)

    def _listed(self, logs):
        values = [logs[m.name] for m in self.metrics]
        return values[0] if len(values) == 1 else values

    def _evaluate(self, x, y, w, batch_size, steps, callbacks):
        """Evaluate checked arrays, or an iterable x of batches; the logs."""
        batches = self._batches(x, y, w, batch_size) if y is not None else self._checked(x)
        hooks = callbacks.has_batch_hooks("test")
        callbacks.call("on_test_begin", {})
        done = 0
        for batch in itertools.islice(batches, steps):
            if hooks:
                callbacks.call("on_test_batch_begin", done, {})
            self._run_staged("test", *batch, reset=done == 0)
            if hooks:
                callbacks.call("on_test_batch_end", done, self._results())
            done += 1
            if callbacks.progress is not None and callbacks.history is None:
                callbacks.advance(done, self._results)
        if done == 0:
            raise ValueError("The data is empty: there is no batch to evaluate.")
        logs = self._results()
        callbacks.call("on_test_end", logs)
        return logs

    @staticmethod
    def _batches(x, y, w, batch_size):
        for start in range(0, len(x), batch_size or 32):
            rows = slice(start, start + (batch_size or 32))
            yield x[rows], y[rows], None if w is None else w[rows]

    def _checked(self, iterable):
        """The batches of an iterable, each checked."""
        for batch in iterate(iterable):
            yield self._prepare(*split_batch(batch))

    # --------------------------------------------------------------------------------------------- predict

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The outputs for the rows of x as a NumPy array, in inference mode. Any number of threads may call it.

        A NaN or infinity in a row shows in that row only. See `fit` for the arguments.
        """
        verbose = verbosity(verbose)
        steps = whole_number("steps", steps, 1, optional=True)
        batch_size = whole_number("batch_size", batch_size, 0, optional=True)
        if not is_array_like(x):
            return self._predict_batches(x, steps, callbacks, verbose)
        x = self._prepare_x(x)
        batch_size = batch_size or self._default_batch_size(len(x), steps)
        n = len(x) if steps is None else min(len(x), steps * batch_size)
        params = {"verbose": verbose, "epochs": 1, "steps": math.ceil(n / batch_size)}
        quiet = callbacks is None and not verbose
        callbacks = None if quiet else CallbackList(callbacks, self, params, progress=verbose != 0)
        hooks = not quiet and callbacks.has_batch_hooks("predict")
        outputs = None
        try:
            if not quiet:
                callbacks.call("on_predict_begin", {})
            for i, start in enumerate(range(0, n, batch_size)):
                if hooks:
                    callbacks.call("on_predict_batch_begin", i, {})
                batch = x[start : min(start + batch_size, n)]
                result = self._run_staged("predict", batch)[0]
                if outputs is None:
                    outputs = result if len(result) == n else np.empty((n, *result.shape[1:]), result.dtype)
                if outputs is not result:
                    outputs[start : start + len(batch)] = result
                if hooks:
                    callbacks.call("on_predict_batch_end", i, {"outputs": outputs[start : start + len(batch)]})
                if not quiet:
                    callbacks.advance(i + 1, dict)
            if not quiet:
                callbacks.call("on_predict_end", {})
        except BaseException:
            if not quiet:
                callbacks.close()
            raise
        return outputs

    def _predict_batches(self, batches, steps, callbacks, verbose):
        params = {"verbose": verbose, "epochs": 1, "steps": steps}
        callbacks = CallbackList(callbacks, self, params, progress=verbose != 0)
        callbacks.call("on_predict_begin", {})
        outputs = []
        for i, batch in enumerate(itertools.islice(iterate(batches), steps)):
            callbacks.call("on_predict_batch_begin", i, {})
            outputs.append(self._run_staged("predict", self._prepare_x(split_batch(batch)[0]))[0])
            callbacks.call("on_predict_batch_end", i, {"outputs": outputs[-1]})
            callbacks.advance(i + 1, dict)
        callbacks.call("on_predict_end", {})
        if not outputs:
            raise ValueError("The data is empty: there is no batch to predict.")
        return np.concatenate(outputs)

    # ------------------------------------------------------------------------------------------- one batch

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step of training on a batch; the loss and metrics of the batch before the step."""
        self._require_compiled("train_on_batch")
        with self._pool.training, self._forgetting_after_an_error():
            batch = self._prepare(x, y, sample_weight, class_weight)
            self._build_optimizer()
            self._run_staged("train", *batch, reset=True)
            logs = self._results()
        return logs if return_dict else self._listed(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss and metrics of a batch, in inference mode."""
        self._require_compiled("test_on_batch")
        with self._pool.training, self._forgetting_after_an_error():
            batch = self._prepare(x, y, sample_weight)
            self._run_staged("test", *batch, reset=True)
            logs = self._results()
        return logs if return_dict else self._listed(logs)

    def predict_on_batch(self, x):
        """The outputs for one batch as a NumPy array, in inference mode."""
        return self._run_staged("predict", self._prepare_x(x))[0]

    def _build_optimizer(self):
        trainable = self.trainable_variables
        if not trainable:
            warnings.warn(f"Model {self.name!r} has no trainable weights: there is nothing to train.", stacklevel=3)
        self.optimizer.build(trainable)


class _Prepared(tuple):
    """(x, y, sample_weight) that need no more checks."""


def _plain_number(value):
    array = np.asarray(value.numpy() if isinstance(value, Tensor) else value)
    return array.item() if array.ndim == 0 else array.tolist()
