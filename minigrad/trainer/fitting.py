"""fit: training, and the validation after an epoch."""

import itertools
import math

import numpy as np

from minigrad import config, saving
from minigrad.callbacks import CallbackList
from minigrad.checks import is_number
from minigrad.data import is_array_like, part, split_batch
from minigrad.exchange import world
from minigrad.layers.context import entry
from minigrad.tables import column_names
from minigrad.trainer.arguments import kind_of, validation_epochs, verbosity, whole_number
from minigrad.trainer.compiling import require_compiled
from minigrad.trainer.evaluating import batches_of, checked, evaluate_batches
from minigrad.trainer.feed import default_batch_size, prepare
from minigrad.trainer.programs import Forgetting, check_batch
from minigrad.trainer.run import Run
from minigrad.trainer.sources import ArraySource, PickedSource, Stream, StreamSource, arrays_of
from minigrad.trees import mapped


@entry
def fit(
    model, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, validation_split=0.0,
    validation_data=None, shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0, steps_per_epoch=None,
    validation_steps=None, validation_batch_size=None, validation_freq=1,
):  # fmt: skip
    """Train for `epochs` passes over the data; returns a History.

    Args:
        x, y: arrays, lists, data frames or sparse matrices with one row per sample (a file mapped into memory is not
            read as a whole). Or x alone: an iterable of batches (x, y) or (x, y, sample_weight), such as a generator,
            a data loader or a `utils.PyDataset`.
        batch_size: rows per step, by default 32; the last batch may be smaller.
        epochs: the number of the last epoch; training begins at `initial_epoch`.
        verbose: 0 is silent, 1 (or "auto") shows a progress bar, 2 one line per epoch, 3 the number of each epoch.
        callbacks: a list of Callbacks.
        validation_split: the share of the rows, taken from the end, that the model does not train on: it is evaluated
            on them after every `validation_freq` epochs.
        validation_data: (x, y), (x, y, sample_weight) or an iterable of batches, instead of `validation_split`.
        shuffle: True, False, or "batch" (within each batch); of streams, only the order of a PyDataset.
        class_weight: a dict from classes to weights; sample_weight: one weight per row.
        steps_per_epoch, validation_steps: batches per epoch or validation, by default a whole pass over the data.
        validation_batch_size: rows per step of the validation, by default `batch_size`.

    Raises:
        ValueError, TypeError: data or settings make no sense. Nothing has been changed then.
    """
    require_compiled(model, "fit")
    epochs = whole_number("epochs", epochs, 0)
    initial_epoch = whole_number("initial_epoch", initial_epoch, 0)
    steps_per_epoch = whole_number("steps_per_epoch", steps_per_epoch, 1, optional=True)
    verbose = verbosity(verbose)
    batch_size = whole_number("batch_size", batch_size, 0, optional=True)
    is_array = is_array_like(x)
    validates = validation_epochs(validation_freq)
    validation_steps = whole_number("validation_steps", validation_steps, 1, optional=True)
    validation_batch_size = whole_number("validation_batch_size", validation_batch_size, 0, optional=True)
    if not is_number(validation_split) or not 0 <= validation_split < 1:
        raise ValueError(f"validation_split must be in [0, 1), got {validation_split!r}.")
    if shuffle not in (True, False, "batch", 0, 1, None):
        raise ValueError(f"shuffle must be True, False or 'batch', got {shuffle!r}.")
    beside = y is not None or sample_weight is not None or validation_split
    if not is_array and beside:
        raise ValueError(
            f"x is {kind_of(x)}: it must yield (x, y) or (x, y, sample_weight); y, sample_weight and "
            "validation_split can't be given beside it."
        )
    with model._pool.training, Forgetting(model):
        if is_array:
            columns = column_names(x)
            x, y, w, validation_data = _fit_arrays(
                model, x, y, sample_weight, class_weight, validation_split, validation_data
            )
            rows = batch_size or default_batch_size(len(x), steps_per_epoch)
            source = ArraySource(model, x, y, w, rows, shuffle, steps_per_epoch, columns)
        else:
            arrays = arrays_of(x)
            if arrays is None:
                source = StreamSource(model, x, shuffle, steps_per_epoch, class_weight)
            else:
                source = PickedSource(model, x, arrays, steps_per_epoch, class_weight)
            if epochs > initial_epoch:
                source.check()
        if world.size > 1:
            _join(model, source, rows if is_array else None, epochs)
        held, validation = _validation(
            model, validation_data, validation_batch_size or batch_size or 32, validation_steps
        )
        callbacks = CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0, model=model,
            verbose=verbose, epochs=epochs, steps=source.steps,
        )

    def validate(epoch):
        if not validates(epoch):
            return {}
        values = evaluate_batches(model, validation(), callbacks, validation_steps)
        return {f"val_{key}": value for key, value in values.items()}

    model.stop_training = False
    with model._pool.training:
        saving.state.go_on_with_random_numbers(model)
        try:
            model.fitting = Run(
                model, source, callbacks, None if validation is None else validate, epochs, initial_epoch, held
            )
            model.fitting.train()
        except BaseException:
            callbacks.abort()
            raise
        finally:
            model.fitting = None
            source.release()
    return callbacks.history


def _join(model, source, rows, epochs):
    """Let all processes begin with the weights and random numbers of process 0.

    Raises:
        ValueError: they do not train alike, or can't share the batches.
    """
    if rows is None:
        raise ValueError("Several processes share the batches of arrays; of a stream, give fit arrays, or train alone.")
    size, count = world.size, source.rows.size
    last = count % rows
    if min(rows, count) % size or last % size:
        raise ValueError(
            f"{size} processes can't share {count} rows in batches of {rows} and a last one of {last or rows}: choose "
            f"numbers of rows, and a batch_size, that {size} divides."
        )
    variables = [*model.variables, *(model.optimizer.variables if model.optimizer is not None else ())]
    plans = world.agree((count, rows, source.steps, epochs, [v.shape for v in variables]))
    if any(plan != plans[0] for plan in plans):
        raise ValueError(f"The processes train differently: (rows, batch_size, steps, epochs, shapes) are {plans}.")
    first = world.agree(([v.numpy() for v in variables], config.random_state()) if world.rank == 0 else None)[0]
    for variable, value in zip(variables, first[0], strict=True):
        variable.assign(value)
    config.set_random_state(first[1])


def _fit_arrays(model, x, y, w, class_weight, split, validation_data):
    """The checked arrays to train on and the validation data, which may be cut from their end."""
    x, y, w = prepare(model, x, y, w, class_weight, is_all=True)
    if not split or validation_data is not None:
        return x, y, w, validation_data
    kept = math.floor(len(x) * (1 - split))
    if kept in (0, len(x)):
        raise ValueError(f"validation_split={split} of {len(x)} rows leaves no rows to train on or to validate.")
    held_w = None if class_weight is not None else w  # class_weight never touches validation data
    validation_data = _Prepared(None if a is None else part(a, kept, len(a)) for a in (x, y, held_w))
    return *(None if a is None else part(a, 0, kept) for a in (x, y, w)), validation_data


def _validation(model, data, batch_size, steps):
    """The Stream of a validation, and a function that returns its checked batches; None for what there is not."""
    if data is None:
        return None, None
    if not isinstance(data, (tuple, list)):
        if is_array_like(data):
            kind = type(data).__name__
            raise ValueError(f"validation_data must be (x, y) or (x, y, sample_weight); got a {kind}.")
        stream = Stream(data)
        if stream.is_once:  # the same batches after every epoch, copied: it may fill one buffer again and again
            stream = Stream([_copied(model, batch) for batch in itertools.islice(data, steps)])
        first = stream.peek()
        if first is None:
            raise ValueError("validation_data is empty: the iterable yielded no batch.")
        check_batch(model, "test", *prepare(model, *first, kind="test"))
        return stream, lambda: checked(model, stream, steps)
    if not isinstance(data, _Prepared):
        if len(data) not in (2, 3):
            raise ValueError(f"validation_data must be (x, y) or (x, y, sample_weight); got {len(data)} elements.")
        data = prepare(model, *data, kind="test")
    check_batch(model, "test", *data, rows=batch_size)
    return None, lambda: batches_of(*data, batch_size, steps)


def _copied(model, batch):
    """A batch of a stream, checked, with memory of its own."""
    batch = [getattr(part, "tree", part) for part in prepare(model, *split_batch(batch), kind="test")]
    return mapped(lambda a: None if a is None else np.array(a[:]), tuple(batch))


class _Prepared(tuple):
    """(x, y, sample_weight) that need no more checks."""
