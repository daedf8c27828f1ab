"""The state of a training beyond the weights and the optimizer: random streams, and the state of callbacks.

It is kept in the group `minigrad` of a weights file, which Keras ignores.
"""

import json
import sys

import numpy as np

from minigrad import config
from minigrad.saving.files import parse

GROUP = "minigrad"
FORMAT = 1  # the version of this format; files of later versions are refused
_ARRAY, _TUPLE = "__array__", "__tuple__"


def pack(state):
    """A dict of arrays and of what JSON can hold, as datasets: "state" has the JSON; "0", "1", ... have the arrays."""
    arrays = []

    def plain(value):
        if isinstance(value, (np.ndarray, np.generic)):
            arrays.append(np.asarray(value))
            return {_ARRAY: len(arrays) - 1}
        if isinstance(value, dict):
            return {str(key): plain(inner) for key, inner in value.items()}
        if isinstance(value, tuple):
            return {_TUPLE: [plain(inner) for inner in value]}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    content = {"format": FORMAT, "version": sys.modules["minigrad"].__version__, "state": plain(state)}
    text = np.frombuffer(json.dumps(content).encode(), np.uint8)
    return {"state": text, **{str(i): array for i, array in enumerate(arrays)}}


def unpack(tree):
    """The dict that `pack` was given, from the Tree of a file; {} if the file has none."""
    if not tree.has(f"{GROUP}/state"):
        return {}
    content = parse(tree.array(f"{GROUP}/state").tobytes())
    if content["format"] > FORMAT:
        raise ValueError(
            f"its state has format {content['format']}, written by minigrad {content['version']}; this is minigrad "
            f"{sys.modules['minigrad'].__version__}, which knows format {FORMAT}"
        )

    def whole(value):
        if isinstance(value, dict):
            if set(value) == {_ARRAY}:
                return tree.array(f"{GROUP}/{int(value[_ARRAY])}")
            if set(value) == {_TUPLE}:
                return tuple(whole(inner) for inner in value[_TUPLE])
            return {key: whole(inner) for key, inner in value.items()}
        return [whole(inner) for inner in value] if isinstance(value, list) else value

    return whole(content["state"])


def keep_random_numbers(model, kept):
    """Let the first `fit` of a loaded model draw the random numbers that the saved model's next `fit` would have."""
    config.check_random_state(kept)
    model._random_numbers = config.generator(), kept


def go_on_with_random_numbers(model):
    """At the beginning of `fit`: do what `keep_random_numbers` has promised, unless a seed was set since then."""
    generator, kept = vars(model).pop("_random_numbers", (None, None))
    if generator is config.generator():
        config.set_random_state(kept)


def streams(layers):
    """The states of the layers' random streams, {path: [arrays]}; `layers` are pairs (path, layer)."""
    found = {path: [stream.copy() for stream in layer._own_streams()] for path, layer in layers}
    return {path: arrays for path, arrays in found.items() if arrays}


def matched_streams(layers, kept):
    """Pairs (a layer's stream, the state that `streams` kept of it), for the layers that `kept` knows."""
    known = [(layer._own_streams(), kept[path]) for path, layer in layers if path in kept]
    pairs = [pair for streams, arrays in known for pair in zip(streams, arrays, strict=True)]
    for stream, array in pairs:
        if stream.shape != array.shape or stream.dtype != array.dtype:
            raise ValueError("its random streams have another form than those of the model's layers")
    return pairs
