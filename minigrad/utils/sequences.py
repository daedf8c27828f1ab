"""Sequences of different lengths as rows of one array; windows of a long series; texts in folders of their classes."""

import numpy as np

from minigrad.spelling import explaining
from minigrad.texts import strings
from minigrad.utils.directories import labeled_files
from minigrad.utils.pipeline import Dataset, Passes


@explaining
def pad_sequences(sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0):
    """Sequences as the rows of one array: short ones are filled up with `value`, long ones are cut.

    Args:
        sequences: a list of lists or arrays. Their elements may be arrays themselves, all of one shape.
        maxlen: the length of the rows; by default that of the longest sequence.
        dtype: of the array; `object` for texts of any length.
        padding, truncating: whether values come, and elements go, at the beginning ("pre") or at the end ("post").
        value: what short sequences are filled up with.

    Raises:
        ValueError: elements of a sequence have another shape than those of the first one; or something is no sequence.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences expects a list of sequences, got {sequences!r} ({type(sequences).__name__}).")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"pad_sequences expects a list of sequences; element {i} is no sequence but {sequence!r}.")
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', got {side!r}.")
    if isinstance(value, str) and dtype is not object and np.dtype(dtype).kind not in "US":
        raise ValueError(f"pad_sequences: value {value!r} needs dtype=object (texts of any length), got {dtype!r}.")
    lengths = list(map(len, sequences))
    if maxlen is None and not lengths:
        raise ValueError("pad_sequences got no sequences, so it does not know their length: give maxlen.")
    length = max(lengths) if maxlen is None else int(maxlen)
    first = next((one for one in sequences if len(one)), [])
    shape = np.asarray(first).shape[1:]
    rows = np.full((len(lengths), length, *shape), value, dtype)
    for i, sequence in enumerate(sequences):
        if not len(sequence):
            continue
        kept = sequence[max(len(sequence) - length, 0) :] if truncating == "pre" else sequence[:length]
        kept = np.asarray(kept, dtype)
        if kept.shape[1:] != shape:
            raise ValueError(
                f"pad_sequences: elements of sequence {i} have shape {kept.shape[1:]}, and others have {shape}."
            )
        begin = length - len(kept) if padding == "pre" else 0
        rows[i, begin : begin + len(kept)] = kept
    return rows


def timeseries_dataset_from_array(
    data, targets, sequence_length, sequence_stride=1, sampling_rate=1, batch_size=128, shuffle=False, seed=None,
    start_index=None, end_index=None, format="tf",
):
    """A Dataset of batches of windows: row i of a batch is data[p], data[p + rate], ..., its target is targets[p].

    The windows begin at p = start_index + 0, stride, 2 stride, ... as long as they fit into the data (up to before
    end_index) and there is a target for them.

    Args:
        data, targets: arrays; a row per time step. targets=None: the batches are windows alone.
        sequence_length: the number of elements of a window.
        sequence_stride: how far it is from a window to the next one.
        sampling_rate: how far it is from an element to the next one within a window.
        batch_size: the number of windows in a batch; None: the elements are single windows.
        shuffle, seed: whether the windows come in a random order, a new one in each pass.

    Raises:
        ValueError: a start, an end or a step that the data does not have.

    >>> data = timeseries_dataset_from_array(series[:-10], series[10:], sequence_length=10)
    """
    steps = len(data)
    if start_index is not None and not 0 <= start_index < max(steps, 1):
        raise ValueError(f"start_index must be from 0 to {steps - 1}, the last step of the data; got {start_index!r}.")
    first = start_index or 0
    if end_index is not None and not first < end_index < steps:
        raise ValueError(f"end_index must be from {first + 1} (start_index + 1) to {steps - 1}, got {end_index!r}.")
    last = steps if end_index is None else end_index
    for name, step in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if not 0 < step < steps:
            raise ValueError(f"{name} must be above 0 and below {steps}, the length of the data; got {step!r}.")
    count = last - first - (sequence_length - 1) * sampling_rate
    count = count if targets is None else min(count, len(targets))
    begins = np.arange(0, count, sequence_stride)
    data = np.asarray(data)[first:last]
    targets = None if targets is None else np.asarray(targets)[first:last]
    if targets is not None and len(begins) and begins[-1] >= len(targets):
        raise ValueError(f"There are {len(targets)} targets from start_index on, fewer than windows: {begins[-1] + 1}.")
    offsets = np.arange(0, sequence_length * sampling_rate, sampling_rate)
    passes = [Passes(seed)] if shuffle else []
    size = batch_size or 1

    def batches():
        order = passes[0].begin().permutation(begins) if shuffle else begins
        for i in range(0, len(order), size):
            chosen = order[i : i + size] if batch_size else order[i]
            windows = data[np.add.outer(chosen, offsets)]
            yield windows if targets is None else (windows, targets[chosen])

    return Dataset(batches, -(-len(begins) // size), passes)


def text_dataset_from_directory(
    directory, labels="inferred", label_mode="int", class_names=None, batch_size=32, max_length=None, shuffle=True,
    seed=None, validation_split=None, subset=None, follow_links=False, format="tf", verbose=True,
):
    """A Dataset of batches (texts, labels) of the .txt files in a folder that has a folder for each class.

    Its attribute `class_names` lists the folders; the label of a text is the number of its folder. The files are read
    anew in each pass.

    Args:
        labels: "inferred", None (batches of texts alone), or a list with a label per file in the order of their paths.
        label_mode: "int", "binary" (a column of 0.0 and 1.0, of two classes), "categorical" (one-hot rows) or None.
        class_names: the folders, if they are to have another order than the alphabetical one.
        batch_size: None: the elements are single texts.
        max_length: at most so many bytes of a text are taken.
        shuffle, seed: whether texts come in a random order, a new one in each pass.
        validation_split, subset: a share in (0, 1), and which part is wanted: "training", "validation" or "both" (a
            list of two data sets).

    Raises:
        ValueError: no files, or arguments that do not fit each other.
    """
    class_names, seed, parts = labeled_files(
        directory, (".txt",), labels, label_mode, class_names, shuffle, seed, validation_split, subset, follow_links,
        verbose,
    )  # fmt: skip
    made = []
    for part, paths, rows in parts:
        data = Dataset.from_tensor_slices(np.arange(len(paths)))
        if shuffle and part != "validation":
            data = data.shuffle(len(paths), seed)
        data = data.map(_reader(paths, rows, max_length))
        data = data.batch(batch_size) if batch_size is not None else data
        data.class_names = class_names
        made.append(data)
    return made if subset == "both" else made[0]


def _reader(paths, labels, max_length):
    """A function from a number to the text of this file, with its label."""

    def read(i):
        i = int(i)
        with open(paths[i], "rb") as file:
            text = strings(file.read(-1 if max_length is None else max_length))
        return text if labels is None else (text, labels[i])

    return read
