"""Sequences: windows of a time series, and pairs of words that stand near each other."""

import json
import random

import numpy as np

from minigrad.spelling import explaining
from minigrad.utils.dataset import PyDataset
from minigrad.utils.sequences import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series, for `fit`: the window before step i, and the target of step i.

    Args:
        data, targets: lists or arrays of equal lengths, an element per step.
        length: how many steps a window reaches back.
        sampling_rate: how far it is from an element to the next one within a window.
        stride: how far it is from a window to the next one.
        start_index, end_index: the first and the last step that may be used; by default all.
        shuffle: whether a batch holds windows that are drawn at random.
        reverse: whether the last step of a window comes first.
        batch_size: the number of windows in a batch.

    Raises:
        ValueError: data and targets differ in length, or no window fits.
    """

    def __init__(
        self, data, targets, length, sampling_rate=1, stride=1, start_index=0, end_index=None, shuffle=False,
        reverse=False, batch_size=128, **kwargs,
    ):
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(f"TimeseriesGenerator: data has {len(data)} steps, and targets have {len(targets)}.")
        self.data, self.targets, self.length = data, targets, length
        self.sampling_rate, self.stride = sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"TimeseriesGenerator: the first step behind a whole window is {self.start_index} (start_index + "
                f"length), and the last step is {self.end_index}: there is no window."
            )

    def __len__(self):
        return -(-(self.end_index - self.start_index + 1) // (self.batch_size * self.stride))

    def __getitem__(self, index):
        if self.shuffle:
            steps = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            width = self.batch_size * self.stride
            first = self.start_index + width * index
            steps = range(first, min(first + width, self.end_index + 1), self.stride)
        windows = np.array([self.data[i - self.length : i : self.sampling_rate] for i in steps])
        targets = np.array([self.targets[i] for i in steps])
        return (windows[:, ::-1] if self.reverse else windows), targets

    def get_config(self):
        """The arguments, as Keras writes them: data and targets are JSON texts in it."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle", "reverse", "batch_size")
        arrays = {name: json.dumps(np.asarray(getattr(self, name)).tolist()) for name in ("data", "targets")}
        return arrays | {name: getattr(self, name) for name in names}

    def to_json(self, **kwargs):
        """The arguments as JSON; kwargs: of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


@explaining
def make_sampling_table(size, sampling_factor=1e-5):
    """The probability to keep the word of each rank, for `skipgrams`: min(1, sqrt(t / f)), with t = sampling_factor.

    The frequency of rank r follows Zipf's law: 1 / f = r (ln r + 0.577) + 1/2 - 1 / (12 r). Rank 0 counts as 1.
    """
    rank = np.arange(size)
    rank[:1] = 1
    ratio = sampling_factor * (rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank))
    return np.minimum(1.0, ratio / np.sqrt(ratio))


@explaining
def skipgrams(
    sequence, vocabulary_size, window_size=4, negative_samples=1.0, shuffle=True, categorical=False,
    sampling_table=None, seed=None,
):
    """(pairs, labels) of words: pairs of near words have label 1, pairs of a word and a random one have label 0.

    Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", arXiv:1301.3781.

    Args:
        sequence: a list of numbers of words; 0 is no word and is left out.
        vocabulary_size: the largest number plus one.
        window_size: how far apart near words may be.
        negative_samples: how many pairs with random words there are for each pair of near ones.
        shuffle, seed: whether the pairs come in random order, and how that is drawn.
        categorical: whether labels are [0, 1] and [1, 0] instead of 1 and 0.
        sampling_table: the probability to keep each word, from `make_sampling_table`.

    The draws are those of Python's `random`, as in Keras.
    """
    near, far = ([0, 1], [1, 0]) if categorical else (1, 0)
    pairs = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        window = range(max(0, i - window_size), min(len(sequence), i + window_size + 1))
        pairs += [[word, sequence[j]] for j in window if j != i and sequence[j]]
    labels = [near] * len(pairs)
    if negative_samples > 0:
        count, words = int(len(labels) * negative_samples), [word for word, _ in pairs]
        random.shuffle(words)
        pairs += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels = labels + [far] * count
    if shuffle:
        seed = random.randint(0, 10**7) if seed is None else seed
        for one in (pairs, labels):
            random.seed(seed)
            random.shuffle(one)
    return pairs, labels
