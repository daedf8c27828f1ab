"""What Keras and TensorFlow have and minigrad has not, with what to do instead: the text of errors.

The one list of its kind: the README's section "What it does not do" says the same in prose.
"""

import dis
import fnmatch
import importlib
import os
import sys
import types

from minigrad import older
from minigrad.names import public
from minigrad.spelling import did_you_mean, some_of

_LISTS = "The README (and python -m minigrad --differences) lists what minigrad does not do."
_MANY = 60  # more names than that are not listed

_KERAS = "use Keras itself for that"
_CONVOLUTION = f"minigrad has no convolutions, pooling or images: flatten small images and use Dense, or {_KERAS}"
_SEQUENCE = f"minigrad has no recurrence, attention or text: for tables of numbers use Dense, for sequences {_KERAS}"
_FUNCTIONAL = "make `Model(inputs, outputs)` of what Input and layers called on it return"
_MERGE = "it is gone from Keras, too: use Add, Multiply, Concatenate, Dot ... for each mode"
_MIXED = "minigrad computes in float32 or float64: leave the line out"
_GRADIENT = "compute inside `with minigrad.GradientTape() as tape:`, then call `tape.gradient(loss, variables)`"
_DATA = (
    "`fit` takes arrays, data frames, generators and iterables of batches: pass (x, y) with batch_size and shuffle "
    "instead"
)
_FILES = "load the data with scikit-learn, pandas or NumPy: minigrad downloads nothing"
_CATEGORIES = "encode columns with pandas or scikit-learn before `fit`"
_OWN_LAYER = "write a Layer with `build` and `call`"
_GRAPH = "graphs and sessions are those of TensorFlow 1: compute with tensors as they are, train with `fit`"
_DISTRIBUTE = "minigrad runs on one CPU: leave the line out"
_SCIKIT = "use `scikeras`, or `keras.wrappers.scikit_learn.KerasClassifier(build_fn=...)` as in Keras 2"

_NUMPY = "compute it with NumPy or SciPy, outside of the step that is trained"
_LINALG = "`numpy.linalg` and `scipy.linalg` have it, outside of the step that is trained"
_LOOP = "write the loop in Python: a step is recorded as it runs, and replayed without Python"
_RULE = "write its rule: subclass `optimizers.Optimizer` and define update_step(gradient, variable, learning_rate)"

# Dotted names below keras (or, after "tf.", below tensorflow) -> what to do. A name stands for all below it as well;
# "*" in it for any letters, "?" for one.
REMEDIES = {
    name: remedy
    for names, remedy in (
        (
            "*Conv?D* *Convolution?D* *Pool* ZeroPadding* Cropping* UpSampling* SpatialDropout* Rand* *Crop Resizing "
            "AugMix AutoContrast CutMix MixUp Equalization Solarization MaxNumBoundingBoxes Pipeline "
            "*HistogramEqualization",
            _CONVOLUTION,
        ),
        (
            "*LSTM* *GRU* *RNN* Bidirectional TimeDistributed ?*Embedding *Attention TextVectorization "
            "*Spectrogram",
            _SEQUENCE,
        ),
        ("Merge", _MERGE),
        ("TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer", _KERAS),
        ("TimeDistributedDense", "Dense takes inputs of any number of axes, and works on the last one"),
        ("MaxoutDense Highway DenseFeatures Locally*", f"minigrad does not have it: {_OWN_LAYER}"),
        ("GroupNormalization", "LayerNormalization normalizes each row, too, over all features instead of groups"),
        ("SpectralNormalization", "a kernel_constraint, such as constraints.MaxNorm(2), bounds the weights, too"),
        ("Linear", "it is called Dense here, Dense(units)"),
        ("CategoryEncoding StringLookup IntegerLookup Hashing HashedCrossing Discretization", _CATEGORIES),
    )
    for name in (f"layers.{n}" for n in names.split())
} | {
    f"ops.{name}": remedy
    for names, remedy in (
        (
            "*conv *conv_transpose *_pool depth_to_space space_to_depth image psnr extract_sequences fold unfold",
            _CONVOLUTION,
        ),
        ("*fft *fft2 *stft ctc_* dot_product_attention rearrange", _SEQUENCE),
        ("cholesky* det eig* inv linalg logdet lstsq lu_factor matrix_rank pinv qr slogdet solve* svd", _LINALG),
        ("cdist", _LINALG),
        ("vectorize jvp", _LOOP),
        ("unique bitwise_* *_shift gcd lcm nextafter view* correlate i0 erfinv", _NUMPY),
        ("angle conj* imag isreal polar real", "minigrad computes with real numbers"),
        ("sparse_categorical_crossentropy", "`losses.sparse_categorical_crossentropy` computes it"),
    )
    for name in names.split()
} | {
    "DTypePolicy": _MIXED,
    "FloatDTypePolicy": _MIXED,
    "Function": _FUNCTIONAL,
    "Operation": "write a Layer with a `call`, or a plain function of minigrad.ops",
    "Quantizer": f"minigrad does not quantize: {_KERAS}",
    "StatelessScope": "there is no compiler to be stateless for: call layers as they are",
    "SymbolicScope": _FUNCTIONAL,
    "applications": _CONVOLUTION,
    "distribution": _DISTRIBUTE,
    "dtype_policies": _MIXED,
    "export": "save weights, or write your own format with `model.get_weights()`",
    "RematScope": "minigrad keeps what `backward` needs: leave the line out",
    "backend.function": "call `Model(inputs, outputs)`, or its `predict`, on arrays: it gives the outputs",
    "backend.gradients": _GRADIENT,
    "backend.placeholder": "`Input(shape=...)` makes one",
    "callbacks.OrbaxCheckpoint": "use ModelCheckpoint, or BackupAndRestore",
    "callbacks.RemoteMonitor": "write a Callback that sends the logs",
    "config.*flash_attention*": _SEQUENCE,
    "config.*max_*": "pass epochs and steps_per_epoch to `fit`",
    "config.enable_unsafe_deserialization": "no code is ever read from a file: register what you define",
    "config.is_nnx_enabled": f"it is a setting of JAX: {_KERAS}",
    "distillation": f"minigrad has no ready-made distillation: override compute_loss, or {_KERAS}",
    "initializers.STFT*": _SEQUENCE,
    "initializers.stft": _SEQUENCE,
    "losses.CTC": _SEQUENCE,
    "metrics.f1score": "use metrics.F1Score()",
    "metrics.fbeta*": "use metrics.FBetaScore(beta=...)",
    "metrics.fmeasure": "use metrics.F1Score(), or Precision() and Recall()",
    "metrics.matthews_correlation": "compute it with scikit-learn from the predictions",
    "metrics.precision": "use metrics.Precision(), which counts over all batches",
    "metrics.recall": "use metrics.Recall(), which counts over all batches",
    "models.Graph": _FUNCTIONAL,
    "models.model_from_yaml": "it is gone from Keras, too: use `to_json` and `model_from_json`",
    "models.model_from_config": "use Sequential.from_config(config)",
    "losses.Circle": f"it compares embeddings: {_KERAS}",
    "losses.circle": f"it compares embeddings: {_KERAS}",
    "losses.ctc": _SEQUENCE,
    "mixed_precision": _MIXED,
    "nn": "layers are in `layers`, functions in `ops` and `activations`",
    "optim": "optimizers are in `optimizers`",
    "optimizers.Lamb": _RULE,
    "optimizers.LossScaleOptimizer": _MIXED,
    "optimizers.Mu*": _RULE,
    "optimizers.OptimizerMap": _RULE,
    "optimizers.ScheduleFreeAdamW": _RULE,
    "preprocessing": f"{_SEQUENCE}; for images, {_CONVOLUTION}",
    "random.*a": f"draw with NumPy: {_NUMPY}",
    "random.binomial": f"draw with NumPy: {_NUMPY}",
    "remat": "minigrad keeps what `backward` needs: leave the line out",
    "saving.KerasFileEditor": f"minigrad reads and writes files, and edits none: {_KERAS}",
    "tree": "lists and dicts are Python's own: use comprehensions",
    "utils.Config": "use a dict or a dataclass",
    "utils.HDF5Matrix": "pass h5py's data set itself: `fit` reads it by batches",
    "utils.bounding_boxes": _CONVOLUTION,
    "utils.get_source_inputs": _FUNCTIONAL,
    "utils.save_img": _CONVOLUTION,
    "utils.standardize_dtype": "dtypes are NumPy's: `str(x.dtype)`",
    "visualization": f"it draws boxes on images: {_KERAS}",
    "quantizers": f"minigrad does not quantize: {_KERAS}",
    "utils.FeatureSpace": _CATEGORIES,
    "utils.array_to_img": _CONVOLUTION,
    "utils.audio_dataset_from_directory": _SEQUENCE,
    "utils.image_dataset_from_directory": _CONVOLUTION,
    "utils.img_to_array": _CONVOLUTION,
    "utils.load_img": _CONVOLUTION,
    "utils.multi_gpu_model": _DISTRIBUTE,
    "utils.model_to_dot": "`utils.plot_model` draws the picture without graphviz",
    "utils.pad_sequences": _SEQUENCE,
    "utils.text_dataset_from_directory": _SEQUENCE,
    "utils.timeseries_dataset_from_array": "make the windows with `numpy.lib.stride_tricks.sliding_window_view`",
    "wrappers.SKLearn*": _SCIKIT,
    "tf.compat.v1.*": _GRAPH,
    "tf.data": _DATA,
    "tf.debugging.assert_shapes": "compare `x.shape`, a tuple, in an `assert`",
    "tf.app": "use Python's argparse",
    "tf.contrib": "it is gone from TensorFlow, too",
    "tf.distribute": _DISTRIBUTE,
    "tf.flags": "use Python's argparse",
    "tf.layers": "use keras.layers",
    "tf.estimator": "it is gone from TensorFlow, too: use Sequential",
    "tf.feature_column": _CATEGORIES,
    "tf.gradients": _GRADIENT,
    "tf.image": _CONVOLUTION,
    "tf.Module": "use keras.layers.Layer or keras.Model",
    "tf.TensorArray": "collect tensors in a list, then tf.stack(the_list)",
    "tf.foldl": "keras.ops.scan, or a loop, does it",
    "tf.group": "call the functions one after the other",
    "tf.scatter_nd": "keras.ops.scatter(indices, values, shape)",
    "tf.io": _FILES,
    "tf.placeholder": _GRAPH,
    "tf.saved_model": "save `.keras` or `.h5` files with `model.save`",
    "tf.summary": "the TensorBoard callback writes summaries",
    "tf.train": "optimizers are under `keras.optimizers`, checkpoints are the ModelCheckpoint callback's",
}

_GRADIENTS = (
    "`fit` does it; in a loop of your own, `loss.backward()`, then `optimizer.apply([v.grad for v in variables], "
    "variables)`, which makes room for the next ones"
)

# Attributes that users of PyTorch or scikit-learn, or of Keras, look for in models, layers, optimizers and tensors.
ATTRIBUTES = {
    name: what
    for names, what in (
        ("to cuda cpu", "minigrad runs on the CPU: leave the line out"),
        ("parameters named_parameters", "`trainable_variables` are what is trained, `variables` all there are"),
        ("forward", "call the object itself, model(x); a class of your own defines `call`"),
        ("zero_grad", _GRADIENTS),
        ("param_groups", "settings are attributes, such as optimizer.learning_rate"),
        ("eval train", "`fit` trains; `evaluate`, `predict` and model(x, training=False) run as in inference"),
        ("state_dict load_state_dict", "use get_weights() and set_weights(weights), or save_weights and load_weights"),
        ("requires_grad_", "freeze a layer by trainable=False; make a leaf by Tensor(data, requires_grad=True)"),
        ("modules named_modules children", "a model's layers are in `layers`"),
        ("export", "save a .keras file, and let Keras export it: keras.models.load_model(path).export(folder)"),
        ("score", "evaluate(x, y) returns the loss and the metrics"),
        ("partial_fit", "use train_on_batch(x, y)"),
        ("view", "use reshape(shape)"),
        ("get_shape", "use x.shape, a tuple"),
        ("unsqueeze", "use ops.expand_dims(x, axis)"),
        ("permute swapaxes", "use transpose(axes)"),
        ("astype long double half", "use ops.cast(x, dtype)"),
        ("tolist", "use numpy().tolist()"),
        ("add_metric", "give metrics to compile(metrics=[...]), as in Keras 3"),
        ("add_update", "assign to the variable in `call`"),
        ("get_input_at get_output_at", "`layer.input` and `layer.output` are what it got and what came out"),
        ("get_gradients get_updates", _GRADIENTS),
        ("stateless_call symbolic_call", "there is no compiler to be stateless for: call it as it is"),
        ("stateless_apply", "it keeps its state itself, so call apply (Keras needs the other for JAX)"),
        ("quantize quantized_call", f"minigrad does not quantize: {_KERAS}"),
        ("dtype_policy", "use `dtype`"),
    )
    for name in names.split()
}


class NoAttribute(AttributeError):
    """`owner`, in words, has no attribute `name`. `known`, a function, lists those that it has.

    The text is made when it is read: `hasattr` raises many of these and reads none.
    """

    def __init__(self, owner, name, known=list):
        super().__init__(owner, name)
        self.known = known

    def __str__(self):
        owner, name = self.args
        what = ATTRIBUTES.get(name)
        hint = f": {what}." if what is not None else "."
        if what is None and not name.startswith("_"):
            hint += did_you_mean(name, [n for n in self.known() if not n.startswith("_")])
        return f"{owner} has no attribute {name!r}{hint}"

    def __reduce__(self):
        return AttributeError, (str(self),)


def remedy(name):
    """What to do instead of the missing `name`, such as "layers.Conv2D" or "tf.data"; None if it is not listed."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        here = ".".join(parts[:length])
        for known, what in REMEDIES.items():
            if fnmatch.fnmatchcase(here, known):
                return what
    return None


def remedy_for(full):
    """The same for a name as a script says it, such as "tensorflow.keras.layers.Conv2D"."""
    parts = full.split(".")
    found = remedy(".".join(part for part in parts if part not in ("tensorflow", "keras", "minigrad")))
    return remedy(full.replace("tensorflow.", "tf.", 1)) if found is None and parts[0] == "tensorflow" else found


def offered(module):
    """What a module offers: its `__all__`, or else all that it does not merely import."""
    return list(module.__all__) if hasattr(module, "__all__") else public(vars(module))


def explanation(full, module):
    """Why `full`, such as "keras.layers.Conv2D", is not in the module: what to do instead, or which name is near."""
    place, _, name = full.rpartition(".")
    hint = remedy_for(full)
    if hint is not None:
        return f"minigrad has no {full.removeprefix('minigrad.')}: {hint}. {_LISTS}"
    known = offered(module)
    what = did_you_mean(name, known)
    has = some_of(known, name, _MANY)
    return f"minigrad has no {full.removeprefix('minigrad.')}.{what} {place} has {has}. {_LISTS}"


def explaining(module):
    """A `__getattr__` for a module of minigrad's that explains what it lacks."""

    def __getattr__(name):
        full = f"{module.__name__}.{name}"
        if name.startswith("_"):
            raise AttributeError(f"There is no {full}.")
        found = older.name(full)
        return absent(full, module) if found is older.UNKNOWN else found

    return __getattr__


# ------------------------------------------------------------------- names that scripts import and may never use


class Absent(types.ModuleType):
    """What `from keras.layers import Conv2D` gets: nothing may be done with it but to carry the name."""

    __path__ = []

    def __init__(self, full, module):
        super().__init__(full, "A name of Keras that minigrad does not have.")
        vars(self).update(_full=full, _module=module)

    def _refuse(self, *args, **kwargs):
        raise ImportError(explanation(self._full, self._module))

    __call__ = __mro_entries__ = __getitem__ = __or__ = _refuse

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return absent(f"{self._full}.{name}", self._module)

    def __instancecheck__(self, instance):
        return False

    def __repr__(self):
        return f"<{self._full}, which minigrad does not have>"


def absent(full, module):
    """An Absent, where a statement imports a name that has a remedy and no `try` asks whether it is there.

    Raises:
        AttributeError: in all other cases, with the explanation.
    """
    if statement() == ("IMPORT_FROM", False) and remedy_for(full) is not None:
        return Absent(full, module)
    raise AttributeError(explanation(full, module))


def statement():
    """The instruction, such as "IMPORT_FROM", with which code outside came here, and whether it stands in a `try`."""
    frame = outside()
    code, at = frame.f_code, frame.f_lasti
    if hasattr(code, "co_exceptiontable"):
        is_guarded = any(e.start <= at < e.end and not e.lasti for e in dis.Bytecode(code).exception_entries)
    else:
        known = {i.offset: i for i in dis.get_instructions(code)}  # Python 3.10; a handler begins with these two
        tries = (i for i in known.values() if i.opname == "SETUP_FINALLY" and i.offset < at < i.argval)
        is_guarded = any(known[i.argval].opname in ("DUP_TOP", "POP_TOP") for i in tries)
    return dis.opname[code.co_code[at]], is_guarded


def outside():
    """The nearest frame of code that is not minigrad's."""
    frame = sys._getframe()
    while frame.f_back is not None and is_inside(frame):
        frame = frame.f_back
    return frame


def is_inside(frame):
    """Whether a frame belongs to minigrad, or to Python's import."""
    return frame.f_code.co_filename.startswith(_INSIDE)


_INSIDE = (os.path.dirname(os.path.abspath(__file__)) + os.sep, "<frozen importlib", importlib.__file__)
