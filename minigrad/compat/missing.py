"""What Keras and TensorFlow have and minigrad has not, with what to do instead: the text of errors.

The one list of its kind: the README's section "What it does not do" says the same in prose.
"""

import fnmatch

_KERAS = "use Keras itself for that"
_CONVOLUTION = f"minigrad has no convolutions, pooling or images: flatten small images and use Dense, or {_KERAS}"
_SEQUENCE = f"minigrad has no recurrence, attention or text: for tables of numbers use Dense, for sequences {_KERAS}"
_FUNCTIONAL = (
    "minigrad has no functional API: use Sequential, or subclass Model and write a `call` that uses layers kept as "
    "attributes"
)
_MERGE = f"it merges several inputs, and {_FUNCTIONAL}, where `ops.concatenate` or `+` do the same"
_MIXED = "minigrad computes in float32 or float64: leave the line out"
_GRADIENT = (
    "there is no tape to open: set `requires_grad=True` on a Tensor, compute, and call `loss.backward()`; `fit` needs "
    "neither"
)
_DATA = (
    "`fit` takes arrays, data frames, generators and iterables of batches: pass (x, y) with batch_size and shuffle "
    "instead"
)
_FILES = "load the data with scikit-learn, pandas or NumPy: minigrad downloads nothing"
_CATEGORIES = "encode columns with pandas or scikit-learn before `fit`"
_GRAPH = "graphs and sessions are those of TensorFlow 1: compute with tensors as they are, train with `fit`"
_LAMBDA = "write a function's few lines as a Layer with a `call`: a Lambda holds code that no file can be trusted with"
_DISTRIBUTE = "minigrad runs on one CPU: leave the line out"
_SCIKIT = "wrap the model in a class with fit and predict, or use `scikeras` with Keras itself"

# Dotted names below keras (or, after "tf.", below tensorflow) -> what to do. A name stands for all below it as well;
# "*" in it for any letters, "?" for one.
REMEDIES = {
    name: remedy
    for names, remedy in (
        (
            "*Conv?D* *Convolution?D* *Pool* ZeroPadding* Cropping* UpSampling* SpatialDropout* Rand* *Crop Resizing "
            "AugMix AutoContrast CutMix MixUp Equalization Solarization MaxNumBoundingBoxes Pipeline "
            "*HistogramEqualization GroupNormalization SpectralNormalization",
            _CONVOLUTION,
        ),
        (
            "*LSTM* GRU* *RNN* Bidirectional TimeDistributed Masking *Embedding *Attention TextVectorization "
            "*Spectrogram EinsumDense",
            _SEQUENCE,
        ),
        ("Concatenate Add Subtract Multiply Average Maximum Minimum Dot", _MERGE),
        ("concatenate add subtract multiply average maximum minimum dot", _MERGE),
        ("TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer", _KERAS),
        ("Lambda", _LAMBDA),
        ("CategoryEncoding StringLookup IntegerLookup Hashing HashedCrossing Discretization", _CATEGORIES),
        ("experimental", _CATEGORIES),
    )
    for name in (f"layers.{n}" for n in names.split())
} | {
    "DTypePolicy": _MIXED,
    "FloatDTypePolicy": _MIXED,
    "Function": _FUNCTIONAL,
    "KerasTensor": _FUNCTIONAL,
    "Operation": "write a Layer with a `call`, or a plain function of minigrad.ops",
    "Quantizer": f"minigrad does not quantize: {_KERAS}",
    "StatelessScope": "there is no compiler to be stateless for: call layers as they are",
    "SymbolicScope": _FUNCTIONAL,
    "applications": _CONVOLUTION,
    "datasets": _FILES,
    "device": _DISTRIBUTE,
    "distribution": _DISTRIBUTE,
    "dtype_policies": _MIXED,
    "export": "save weights, or write your own format with `model.get_weights()`",
    "layers.Wrapper": "subclass Layer and keep the wrapped one as an attribute",
    "losses.CTC": _SEQUENCE,
    "losses.Circle": f"it compares embeddings: {_KERAS}",
    "losses.ctc": _SEQUENCE,
    "mixed_precision": _MIXED,
    "name_scope": "names of layers are enough: leave the line out",
    "optimizers.LossScaleOptimizer": _MIXED,
    "optimizers.legacy": "the optimizers under `optimizers` are the same",
    "preprocessing": f"{_SEQUENCE}; for images, {_CONVOLUTION}",
    "quantizers": f"minigrad does not quantize: {_KERAS}",
    "utils.FeatureSpace": _CATEGORIES,
    "utils.array_to_img": _CONVOLUTION,
    "utils.audio_dataset_from_directory": _SEQUENCE,
    "utils.get_file": _FILES,
    "utils.image_dataset_from_directory": _CONVOLUTION,
    "utils.img_to_array": _CONVOLUTION,
    "utils.load_img": _CONVOLUTION,
    "utils.model_to_dot": "`utils.plot_model` draws the picture without graphviz",
    "utils.np_utils": "Keras 3 calls it `utils.to_categorical`",
    "utils.pad_sequences": _SEQUENCE,
    "utils.text_dataset_from_directory": _SEQUENCE,
    "utils.timeseries_dataset_from_array": "make the windows with `numpy.lib.stride_tricks.sliding_window_view`",
    "wrappers": _SCIKIT,
    "tf.GradientTape": _GRADIENT,
    "tf.Session": _GRAPH,
    "tf.compat.v1.*": _GRAPH,
    "tf.data": _DATA,
    "tf.debugging.assert_shapes": "compare `x.shape`, a tuple, in an `assert`",
    "tf.device": _DISTRIBUTE,
    "tf.distribute": _DISTRIBUTE,
    "tf.estimator": "it is gone from TensorFlow, too: use Sequential",
    "tf.feature_column": _CATEGORIES,
    "tf.gradients": _GRADIENT,
    "tf.image": _CONVOLUTION,
    "tf.io": _FILES,
    "tf.logging": "it is gone from TensorFlow, too: use `tf.get_logger()` or Python's `logging`",
    "tf.placeholder": _GRAPH,
    "tf.py_function": "a layer, loss or metric that reads values (`.numpy()`) is run eagerly as it is",
    "tf.saved_model": "save `.keras` files with `model.save`",
    "tf.summary": "the TensorBoard callback writes summaries",
    "tf.train": "optimizers are under `keras.optimizers`, checkpoints are the ModelCheckpoint callback's",
}


def remedy(name):
    """What to do instead of the missing `name`, such as "layers.Conv2D" or "tf.data"; None if it is not listed."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        here = ".".join(parts[:length])
        for known, what in REMEDIES.items():
            if fnmatch.fnmatchcase(here, known):
                return what
    return None
