"""One step, eager or recorded: forward, loss, backward, optimizer, metrics.

Run as it is, `_train` is the eager step; recorded, it is a Program that replays thousands of steps.
"""

import contextlib
import functools
import inspect
import operator
import traceback

import numpy as np

from minigrad import kernels as K
from minigrad.checks import warn
from minigrad.data import (
    Several,
    batch_of,
    named_arrays,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from minigrad.layers.context import users_line
from minigrad.ops.masks import MASKS, mask_of
from minigrad.ops.shaping import constant_tensor
from minigrad.optimizers.memory import Memory
from minigrad.program import RecordingError, aligned, launch, trace
from minigrad.tensor import Structure, Tensor, constant, enable_grad, no_grad
from minigrad.trainer.compiling import Compiling
from minigrad.trainer.steps import Step
from minigrad.trees import leaves, mapped


class Programs:
    """The part of a Model that takes steps."""

    def train_step(self, data):
        """One step of training on a batch, a tuple (x, y) or (x, y, sample_weight) of tensors, or x; the logs, a dict.

        Override it for a step of your own: compute with `minigrad.ops`, differentiate with a GradientTape, and return
        what the logs shall hold, such as the results of metrics. It is recorded into a Program like the usual step, so
        its Python runs a few times only; where it reads a value, it runs eagerly.
        """
        self._build_optimizer(for_own_step=True)
        self._train(*unpack_x_y_sample_weight(data), np.zeros((1, 1), np.int64))
        return self.get_metrics_result()

    def test_step(self, data):
        """One step of evaluation on a batch; override it as `train_step`."""
        self._test(*unpack_x_y_sample_weight(data), np.zeros((1, 1), np.int64))
        return self.get_metrics_result()

    def predict_step(self, data):
        """The output for a batch in inference mode; override it as `train_step`."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def _has_own(self, kind):
        """Whether the class (or the instance) defines `train_step`, `test_step` or `predict_step` itself."""
        name = f"{kind}_step"
        return getattr(type(self), name) is not getattr(Programs, name) or name in vars(self)

    def _take_own(self, kind, x, y=None, w=None):
        """One step as the class defines it: the logs, or of "predict" the output."""
        with enable_grad() if kind == "train" else no_grad():
            found = getattr(self, f"{kind}_step")(pack_x_y_sample_weight(x, y, w))
        if kind == "predict":
            return found
        if found is not None and not isinstance(found, dict):
            raise ValueError(f"{type(self).__name__}.{kind}_step must return the logs, a dict; it returned {found!r}.")
        self._objective.watch((found or {}).get("loss"))
        return found or {}

    def _try_own(self, kind, x, y=None, w=None):
        """Let a step of one's own make what it makes on its first run (weights, an optimizer's memory), and no more."""
        with contextlib.suppress(RecordingError):
            trace(lambda: self._take_own(kind, x, y, w))
        self.built = self.built or all(layer.built for layer in self._all_layers() if layer is not self)

    def _train(self, x, y, w, finite=None):
        """One step of training on a batch; see `_observe`."""
        with enable_grad():
            y_pred = self._forward(x, training=True)
            loss = self._total_loss(x, y, y_pred, w, training=True)
            trained = self.trainable_variables
            for variable in trained:
                variable._grad = None
            if trained and not loss.requires_grad:
                raise ValueError(
                    f"The loss of model {self.name!r} does not depend on its weights: it must be computed from y_pred, "
                    "by functions of minigrad.ops."
                )
            if trained:
                self.optimizer.scale_loss(loss).backward(inputs=trained)
        if trained:
            self.optimizer.step()
        return self._observe(loss, x, y, y_pred, w, finite)

    def _test(self, x, y, w, finite=None):
        """One step of evaluation on a batch; see `_observe`."""
        with no_grad():
            self._clear_losses()
            y_pred = self._forward(x, training=False)
            return self._observe(self._total_loss(x, y, y_pred, w, training=False), x, y, y_pred, w, finite)

    def _step_on(self, kind):
        """The function of (x, y, w) that takes a step of a kind: "train", "test" or "predict"."""
        if self._has_own(kind):
            return functools.partial(self._take_own, kind)
        return {"train": self._train, "test": self._test, "predict": self._predict}[kind]

    def _predict(self, x, y=None, w=None):
        with no_grad():
            return self._infer(x)

    def _infer(self, x):
        """The output in inference mode, launch by launch, or a tree of several."""
        return self(x, training=False)

    def _forward(self, x, training):
        y_pred = self(x, training=training)
        for output in () if type(y_pred) is Tensor else leaves(y_pred):
            if not isinstance(output, Tensor):
                raise ValueError(
                    f"The call of model {self.name!r} returned a {type(output).__name__}, but what is trained must be "
                    "a tensor, or a list or dict of tensors."
                )
        return y_pred

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of a batch, a tensor of one number: the compiled losses, weighted, plus all penalties in `losses`.

        Override it for a loss that needs more than y and y_pred. It becomes a part of the recorded step, so it must
        compute with minigrad.ops; `compile` needs no loss then, and `fit` no y.
        """
        penalties, objective = self.losses, self._objective
        if self.compiled and not objective.named:  # called by a loop of the user's, before any `fit`
            self._build_objective(y)
        loss = objective.total(y, y_pred, sample_weight)
        if loss is None and not penalties:
            raise ValueError(
                f"Model {self.name!r} was compiled without a loss, and no layer adds one: compile(optimizer, loss)."
            )
        for penalty in penalties:
            loss = penalty if loss is None else loss + penalty
        return loss

    def _total_loss(self, x, y, y_pred, w, training):
        more = {"training": training} if _takes_training(type(self).compute_loss) else {}
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=w, **more)
        if not isinstance(loss, Tensor) or loss.size != 1:
            raise ValueError(
                f"The loss must be one number, a Tensor, got {getattr(loss, 'shape', loss)!r}: training needs a "
                "reduction other than 'none'."
            )
        return loss

    def _check_step(self, x, y, w, training):
        """Raise what a step on such a batch would raise, while nothing is computed or changed."""
        kind = "train" if training else "test"
        if self._has_own(kind):
            self._try_own(kind, x, y, w)
            return

        def run():
            y_pred = self._forward(x, training)
            self._observe(self._total_loss(x, y, y_pred, w, training), x, y, y_pred, w)

        with contextlib.suppress(RecordingError), no_grad():
            trace(run)
        self._clear_losses()

    def _observe(self, loss, x, y, y_pred, w, finite=None):
        """Let the metrics see a batch, which `finite` counts; the logs, if compute_metrics is overridden."""
        with no_grad():
            self._objective.track(loss, y_pred, finite)
            if type(self).compute_metrics is not Compiling.compute_metrics:
                return self.compute_metrics(x, y, y_pred, w)
            self._objective.update(y, y_pred, w)
            return None

    def _homes(self):
        """The layers, where variables live, what is trained, the settings: while all that stays, Programs hold."""
        places = [*self._all_layers(), *(v._data for v in self.weights)]
        flags = [(v.trainable, v.regularizer, v.constraint) for v in self.weights]
        moves = Memory.moves if self._has_own("train") else 0  # of its optimizers, which only the step knows
        return places, [flags, moves, [(layer.trainable, layer._revision) for layer in self._all_layers()]]

    def _is_valid(self, step):
        if step.version == Structure.version:
            return True
        version = Structure.version
        (places, flags), (now, now_flags) = step.homes, self._homes()
        is_same = len(places) == len(now) and all(map(operator.is_, places, now))
        # A step may also read variables of others, such as those of a teacher that its loss calls.
        is_up_to_date = step.program is None or not step.program.reads(Structure.left)
        if is_same and flags == now_flags and is_up_to_date:
            step.version = version  # the change was elsewhere
        return step.version == version

    def _build_step(self, run, inputs, title, result, stage=()):
        """Record a step, or say once why it must run eagerly."""
        self._require_known_steps()
        step = Step(run, inputs, self._homes(), result, stage)
        if self.run_eagerly or self._eager_because is not None:
            return step
        try:
            step.record({**self._names(), **step.stage}, title)
        except RecordingError as error:
            self._eager_because = f"{error}{users_line(traceback.extract_tb(error.__traceback__))}"
            warn(f"Model {self.name!r} runs eagerly, step by step in Python: {self._eager_because}")
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
        names["finite_batches"] = self._objective.finite
        for metric in self.metrics if self._objective.named else ():
            names.update({v.path: v._data for v in metric.variables})
        return names

    def _fit_step(self, rows, count):
        """The training step on the next `count` of `rows`, as something to borrow from the pool."""

        def build():
            result, take = [], self._step_on("train")

            def run():
                result[:] = [take(*rows.next_batch(count))]
                launch(K.increment, constant(np.int64, count), rows.cursor)

            return self._build_step(run, rows.inputs, f"one training step of {self.name}, {count} rows", result)

        return self._pool.take(_fit_key(rows, count), self._is_valid, build)

    def _has_fit_step(self, rows, count):
        """Whether there is a recorded training step for batches like these."""
        return self._pool.has(_fit_key(rows, count), self._is_valid)

    def _staged_step(self, kind, x, y=None, w=None):
        """A step whose batch is copied into buffers of its own first."""
        key = kind, x.shape, None if y is None else y.shape, None if w is None else w.shape

        def build():
            stage = {name: aligned(a.shape, a.dtype) for name, a in named_arrays(x, y, w).items()}
            tensors = batch_of({name: constant_tensor(array) for name, array in stage.items()}, x, y, w)
            result, take = [], self._step_on(kind)

            def run():
                found = take(*tensors)
                result[:] = [found]
                if kind == "predict":
                    result.append(mask_of(found))
                    for one in leaves(found) if MASKS else ():
                        one._keras_mask = None  # or there would be masks as long as the step is kept

            if self._has_own(kind):
                self._try_own(kind, *tensors)
            step = self._build_step(run, {}, f"one {kind} step of {self.name}, {len(x)} rows", result, stage)
            self._pool.shown[kind] = step.program
            if step.program is None and kind != "predict" and not self._has_own(kind):
                self._check_step(*tensors, training=kind == "train")  # recording would have done it
            return step

        return self._pool.take(key, self._is_valid, build)

    def _check_batch(self, kind, *arrays, rows=None):
        """Make the step for the first `rows` rows, which finds out shapes that do not fit, and do not take it yet."""
        self._pool.give_back(self._staged_step(kind, *(None if a is None else a[:rows] for a in arrays)))

    def _run_staged(self, kind, x, y=None, w=None, reset=False):
        """Run one staged step on a batch of arrays; of "predict" the output, its logits and its mask, if any, copied.

        `reset` makes the metrics start anew, once it is known that the batch is fit for the model.
        """
        step = self._staged_step(kind, x, y, w)
        if reset:
            self._restart_metrics()
        is_several = type(x) is Several or type(y) is Several or type(w) is Several
        given = named_arrays(x, y, w) if is_several else {"x": x, "y": y, "w": w}
        for name, buffer in step.stage.items():
            buffer[...] = given[name][:]  # of lazy rows this makes an array
        results = None
        if kind != "predict":
            self._take(step)
        else:
            step.replay()
            y, mask = step.result
            is_one = isinstance(y, Tensor)
            logits, only = (y._logits if is_one else None) or (None, None)
            found = y._data.copy() if is_one else mapped(lambda one: one._data.copy(), y)
            logits = None if logits is None else (logits._data.copy(), only)
            results = found, logits, None if mask is None else np.array(mask)
        self._pool.give_back(step)
        return results

    def _take(self, step, count=1):
        """Take a step of training or evaluation `count` times."""
        step.replay(count)
        self._pool.logs = step.result[0]

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


def _fit_key(rows, count):
    return "fit", count, tuple((name, rows.arrays[name].shape[1:], shape) for name, shape in rows.shapes.items())


@functools.cache
def _takes_training(compute_loss):
    """Whether an overridden compute_loss has the argument, which Keras before 3.3 did not know."""
    return "training" in inspect.signature(compute_loss).parameters
