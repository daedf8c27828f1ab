"""Where minigrad differs from Keras on purpose: the one list, shown by `python -m minigrad --differences`."""

import textwrap

from minigrad.compat.missing import REMEDIES

# What it is about, what Keras 3 does, what minigrad does.
DEVIATIONS = (
    ("back ends", "TensorFlow, JAX and PyTorch disagree in places", "what Keras on TensorFlow does"),
    ("unknown losses and metrics", "an error at the first fit", "an error at compile"),
    ("data that does not fit", "an error in some step; weights may have moved", "an error before anything changes"),
    ("class labels that are no class", "a loss of 0 (JAX), an error in some step (TensorFlow)", "a ValueError"),
    ("empty data", "a warning, StopIteration or UnboundLocalError", "a ValueError"),
    ("Python lists as x or y", "a ValueError", "they are data"),
    ("a bias before BatchNormalization", "gets rounding noise as gradient, of which Adam makes steps", "gradient 0"),
    ("layer.trainable changed after compile", "no effect until compile is called again", "counts from the next fit"),
    ("progress bar in a file or pipe", "the same backspaces and colours as on a terminal", "one plain line an epoch"),
    ("targets (n,) beside outputs (n, 1)", "a metric broadcasts them to (n, n)", "they become a column for everything"),
    ("IoU metrics with fractional weights", "the weights are cut off to whole numbers", "they count as they are"),
    ("dtypes of computation", "float16, bfloat16, integers too", "float32 and float64; integers only count and index"),
    ("ops.cast to any integer dtype", "that dtype", "int64"),
    ("ops.binary_crossentropy", "one value an element", "the mean over the last axis, as the loss needs it"),
    ("utils.split_dataset", "two tf.data.Dataset", "two arrays, or tuples or dicts of arrays, as they were given"),
    ("utils.plot_model", "needs graphviz", "needs matplotlib only; layers of a subclassed Model have no arrows"),
    ("model.inputs, model.outputs", "symbolic tensors that new models can be made of", "their shape, dtype and name"),
    ("config.backend()", "'tensorflow', 'jax' or 'torch'", "'minigrad'"),
    ("tf.function, run_functions_eagerly", "compile or do not", "accepted; fit records every step anyway"),
)


def report():
    """Both tables, of deviations and of what is missing, as text."""
    lines = ["Where minigrad differs from Keras 3:", ""]
    for subject, theirs, ours in DEVIATIONS:
        lines += [subject, *_indented(f"Keras: {theirs}"), *_indented(f"minigrad: {ours}")]
    lines += ["", "What it does not have:", ""]
    by_remedy = {}
    for name, remedy in REMEDIES.items():
        by_remedy.setdefault(remedy, []).append(name)
    for remedy, names in by_remedy.items():
        lines += [*textwrap.wrap(", ".join(names), 100), *_indented(remedy)]
    return "\n".join(lines)


def _indented(text):
    return textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="        ")
