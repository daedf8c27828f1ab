"""What Keras 1 and 2 called things: the tables, and how a word is looked up. Each word warns once per process.

A line of a table has old words on the left of `=` and what they are called today on its right. On the right, `:word`
is a function of `conversions`, and `-` says that the old word has no effect here.
"""

import importlib
import inspect
import threading
import types
import warnings

import minigrad
from minigrad import missing
from minigrad.compat import conversions
from minigrad.compat.tensorflow import tensorflow
from minigrad.older import UNKNOWN

# Under which dotted names Keras has ever lain as a whole. Below the private ones (in the second part) every module is
# taken: what minigrad has not is looked for in the module around it, `keras.src.callbacks.early_stopping` in callbacks.
ROOTS = "keras tensorflow.keras minigrad"
PRIVATE_ROOTS = """
    keras.api keras.api._v1.keras keras.api._v2.keras keras._tf_keras keras._tf_keras.keras keras.src keras.engine
    keras.legacy keras.experimental keras.optimizer_v1 keras.optimizer_v2 keras.layers.legacy keras.utils.legacy
    tensorflow.keras.api tensorflow.keras.engine tensorflow.keras.experimental tensorflow.keras.legacy
    tensorflow.compat.v1.keras tensorflow.compat.v1.keras.experimental tensorflow.compat.v2.keras
    tensorflow.contrib.keras tensorflow.contrib.keras.api.keras tensorflow.contrib.keras.python.keras
    tensorflow.python.keras tensorflow.python.keras.api tensorflow.python.keras.api._v1.keras
    tensorflow.python.keras.api._v2.keras tensorflow.python.keras.engine tensorflow.python.keras.optimizer_v2
    tensorflow.python.keras.experimental tensorflow.python.keras.legacy
"""
PRIVATE_TODAY = ("src", "_tf_keras", "_tf_keras.keras")  # below keras; these are not old, and no word is said

# Modules below those names, and below tensorflow ("tf."). Several on the right are searched one after the other.
MODULES = """
    layers.core layers.convolutional layers.normalization layers.advanced_activations layers.merge layers.recurrent
    layers.embeddings layers.noise layers.wrappers layers.pooling layers.local layers.cudnn_recurrent
    layers.convolutional_recurrent layers.merging layers.regularization layers.reshaping layers.attention layers.rnn
    layers.activation layers.experimental layers.experimental.preprocessing layers.preprocessing
    layers.normalization_v2 = layers
    layers.containers = models layers
    utils.np_utils utils.vis_utils utils.generic_utils utils.layer_utils utils.data_utils utils.visualize_util
    utils.all_utils utils.tf_utils utils.conv_utils utils.training_utils = utils
    utils.io_utils = utils
    callbacks.callbacks callbacks.tensorboard_v1 callbacks.tensorboard_v2 callbacks_v1 = callbacks
    optimizers.legacy optimizers.experimental optimizers.optimizer_v2 optimizers.adam_v2 optimizers.rmsprop_v2
    optimizers.gradient_descent_v2 optimizers.adagrad_v2 optimizers.adadelta_v2 optimizers.adamax_v2
    optimizers.nadam_v2 optimizers.optimizer_experimental optimizers.legacy.adam optimizers.legacy.sgd
    optimizers.legacy.rmsprop = optimizers
    optimizers.legacy.schedules optimizers.learning_rate_schedule
    optimizers.schedules.learning_rate_schedule = optimizers.schedules
    initializations initializers.initializers_v1 initializers.initializers_v2 = initializers
    objectives = losses
    saving.save saving.hdf5_format saving.model_config saving.saving_utils = saving models
    backend.tensorflow_backend backend.theano_backend backend.common backend.load_backend = backend
    saving.saving_lib = compat.saving_lib
    metrics.metrics = metrics
    wrappers wrappers.scikit_learn = compat.scikit_learn
    tf.logging = tf.compat.v1.logging
    tf.python tf.python.client tf.python.framework tf.python.util tf.contrib tf.compat.v2 = tf
    tf.python.client.device_lib tf.python.framework.ops = compat.devices
    tf.python.ops = tf tf.math
"""

# Functions and classes. They are also what the strings in `compile`, `Dense` and so on may say.
NAMES = """
    activations.ReLU = activations.relu
    activations.ELU = activations.elu
    activations.LeakyReLU = layers.LeakyReLU
    backend.tf = tf
    backend.batch_get_value = :batch_get_value
    backend.batch_set_value = :batch_set_value
    backend._get_available_gpus = :no_gpus
    backend.image_dim_ordering = backend.image_data_format
    backend.get_session tf.Session tf.InteractiveSession tf.get_default_session = :Session
    tf.Graph tf.get_default_graph backend.get_graph = :Graph
    tf.ConfigProto tf.GPUOptions tf.config.LogicalDeviceConfiguration = :Settings
    tf.config.experimental.VirtualDeviceConfiguration = :Settings
    tf.config.optimizer = :nothing
    tf.device tf.name_scope tf.variable_scope name_scope device backend.name_scope = :within
    callbacks.Callbacks = callbacks.CallbackList
    constraints.maxnorm = constraints.max_norm
    constraints.nonneg = constraints.non_neg
    constraints.unitnorm = constraints.unit_norm
    CosineDecay = optimizers.schedules.CosineDecay
    CosineDecayRestarts = optimizers.schedules.CosineDecayRestarts
    initializers.uniform = initializers.random_uniform
    initializers.normal = initializers.random_normal
    initializers.zero = initializers.zeros
    initializers.one = initializers.ones
    layers.BatchNormalizationV1 layers.BatchNormalizationV2 layers.SyncBatchNormalization = layers.BatchNormalization
    layers.SyncBatchNormalizationV1 = layers.BatchNormalization
    layers.ThresholdedReLU = :ThresholdedReLU
    losses.logcosh = losses.log_cosh
    losses.huber_loss = losses.huber
    losses.kullback_leibler_divergence = losses.kl_divergence
    losses.cosine losses.cosine_proximity = losses.cosine_similarity
    losses.bce losses.BCE = losses.binary_crossentropy
    metrics.kld metrics.KLD metrics.kullback_leibler_divergence = metrics.kl_divergence
    metrics.logcosh = metrics.LogCoshError
    metrics.huber_loss = metrics.huber
    metrics.cosine metrics.cosine_proximity = metrics.CosineSimilarity
    metrics.rmse = metrics.RootMeanSquaredError
    models.Input = Input
    models.Layer = Layer
    optimizers.sgd = optimizers.SGD
    optimizers.rmsprop = optimizers.RMSprop
    optimizers.adagrad = optimizers.Adagrad
    optimizers.adadelta = optimizers.Adadelta
    optimizers.adam = optimizers.Adam
    optimizers.adamax = optimizers.Adamax
    optimizers.nadam = optimizers.Nadam
    regularizers.l1l2 regularizers.WeightRegularizer regularizers.activity_l1l2 = regularizers.L1L2
    regularizers.activity_l1 = regularizers.L1
    regularizers.activity_l2 = regularizers.L2
    utils.categorical_probas_to_classes utils.probas_to_classes = :probas_to_classes
    utils.plot utils.visualize = utils.plot_model
    tf.set_random_seed tf.random.set_random_seed = tf.random.set_seed
    tf.random_uniform = tf.random.uniform
    tf.random_normal = tf.random.normal
    tf.truncated_normal = tf.random.truncated_normal
    tf.random_shuffle = tf.random.shuffle
    tf.to_float = :to_float
    tf.to_int32 tf.to_int64 = :to_int
    tf.div = tf.divide
    backend.set_session backend.set_learning_phase backend.learning_phase backend.manual_variable_initialization = -
    backend.set_image_dim_ordering backend.reset_uids = -
    tf.disable_eager_execution tf.enable_eager_execution tf.disable_v2_behavior tf.enable_v2_behavior = -
    tf.disable_v2_tensorshape tf.enable_resource_variables tf.reset_default_graph tf.global_variables_initializer = -
    tf.local_variables_initializer tf.tables_initializer tf.initialize_all_variables = -
    tf.config.set_soft_device_placement tf.config.experimental.set_visible_devices = -
    tf.config.experimental.set_virtual_device_configuration tf.config.set_logical_device_configuration = -
    tf.config.experimental.set_synchronous_execution tf.config.experimental_run_functions_eagerly = -
"""

# Arguments, by the class, the method or the function that takes them; "optimizers.rules" stands for all of that module.
ARGUMENTS = """
    Dense: output_dim=units init=kernel_initializer bias=use_bias W_regularizer=kernel_regularizer
    Dense: b_regularizer=bias_regularizer W_constraint=kernel_constraint b_constraint=bias_constraint
    Dense: activation=:activation
    Layer: batch_input_shape=:batch_input_shape input_dtype=dtype input_length=:input_length
    Layer: dynamic=- experimental_autocast=- implementation=- weights=:weights
    Embedding: init=embeddings_initializer W_regularizer=embeddings_regularizer W_constraint=embeddings_constraint
    Dropout: p=rate
    AlphaDropout: p=rate
    GaussianDropout: p=rate
    GaussianNoise: sigma=stddev
    ReLU: alpha=negative_slope theta=threshold
    PReLU: init=alpha_initializer
    Reshape: dims=target_shape
    BatchNormalization: mode=:mode beta_init=beta_initializer gamma_init=gamma_initializer fused=- virtual_batch_size=-
    BatchNormalization: adjustment=-
    optimizers.rules: lr=:lr nesterov=:flag amsgrad=:flag decay=:decay epsilon=:epsilon schedule_decay=- jit_compile=-
    optimizers.rules: is_legacy_optimizer=-
    L1: l=l1
    L2: l=l2
    MaxNorm: m=max_value
    MinMaxNorm: low=min_value high=max_value
    RandomUniform: scale=:scale lower=minval upper=maxval
    RandomNormal: scale=stddev
    ReduceLROnPlateau: epsilon=min_delta
    ModelCheckpoint: period=:period
    TensorBoard: batch_size=- write_grads=- embeddings_layer_names=- embeddings_data=-
    Model: input=inputs output=outputs
    Model.compile: metrics=:metrics loss_weights=:loss_weights class_mode=- sample_weight_mode=- target_tensors=-
    Model.compile: theano_mode=- experimental_run_tf_function=- distribute=- steps_per_execution=:steps_per_execution
    Model.fit: nb_epoch=epochs show_accuracy=:show_accuracy max_queue_size=- max_q_size=- workers=- nb_worker=-
    Model.fit: use_multiprocessing=- pickle_safe=- verbose=:verbose
    Model.evaluate: show_accuracy=:show_accuracy max_queue_size=- workers=- use_multiprocessing=- verbose=:verbose
    Model.predict: max_queue_size=- workers=- use_multiprocessing=- verbose=:verbose
    to_categorical: nb_classes=num_classes y=x
"""

# Attributes of objects, by their class: what they are called today; a function of `conversions` (:) that becomes their
# method; or what it makes of the object (()).
ATTRIBUTES = """
    Model: fit_generator=:fit_generator evaluate_generator=:evaluate_generator predict_generator=:predict_generator
    Model: predict_classes=:predict_classes predict_proba=:predict_proba reset_states=reset_metrics to_yaml=:to_yaml
    Model: compiled_loss=:compiled_loss compiled_metrics=()CompiledMetrics
    Optimizer: minimize=:minimize
    Dense: W=kernel b=bias output_dim=units init=kernel_initializer W_regularizer=kernel_regularizer
    Dropout: p=rate
    Metric: reset_states=reset_state
"""

# Keys of the logs and of History; each also with "val_" in front. Before 2.3, Keras called metrics=["accuracy"] "acc"
# there, and "mse" by the function's full name; since then a metric is called what the script calls it.
KEYS = """
    acc = accuracy
    accuracy = acc
    mean_squared_error = mse MSE
    mean_absolute_error = mae MAE
    mean_absolute_percentage_error = mape MAPE
    mean_squared_logarithmic_error = msle MSLE
    kullback_leibler_divergence = kld KLD
    cosine_proximity = cosine
    lr = learning_rate
"""


def _rows(table, sign="="):
    """{word on the left: the words on the right}; a line that does not hold the sign goes on in the next one."""
    found, left = {}, []
    for line in table.strip().splitlines():
        words, has_sign, right = line.partition(f" {sign} ")
        left += words.split()
        if has_sign:
            found.update(dict.fromkeys(left, right.split()))
            left = []
    return found


def _by_owner(table):
    """{owner: {word: what it means}}"""
    found = {}
    for line in table.strip().splitlines():
        owner, _, entries = line.strip().partition(": ")
        found.setdefault(owner, {}).update(entry.split("=", 1) for entry in entries.split())
    return found


_modules, _names, _keys = _rows(MODULES), {n: right[0] for n, right in _rows(NAMES).items()}, _rows(KEYS)
_arguments, _attributes = _by_owner(ARGUMENTS), _by_owner(ATTRIBUTES)
_private = [*PRIVATE_ROOTS.split(), *(f"minigrad.{r[6:]}" for r in PRIVATE_ROOTS.split() if r.startswith("keras."))]
_private.sort(key=len, reverse=True)
_roots = [*_private, *sorted(ROOTS.split(), key=len, reverse=True)]

_told, _telling = set(), threading.Lock()


def tell(old, text):
    """Warn that `old` is an old word, once per process; at the line outside of minigrad that says it."""
    with _telling:
        if old in _told:
            return
        _told.add(old)
    frame = missing.outside()
    names = frame.f_globals
    registry, module = names.setdefault("__warningregistry__", {}), names.get("__name__")
    warnings.warn_explicit(text, FutureWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def forget():
    """Let every word warn again."""
    _told.clear()


def _tell(old, new):
    today = f"{old} is what older Keras called it: today {new}."
    if new[0] in ":(":
        first = _first_line(new)
        today = f"{old} is what older Keras called it. {first}" if first.startswith("Today") else f"{old}: {first}"
    tell(old, f"{old} has no effect here: leave it out." if new == "-" else today)


def _first_line(new):
    return (inspect.getdoc(getattr(conversions, new.lstrip(":()"))) or "").partition("\n")[0]


def described():
    """Pairs of texts: old words, and what they are called today."""
    by_today = {}
    for old, targets in _modules.items():
        is_kept = targets[0].startswith("compat.")
        by_today.setdefault("as it was" if is_kept else f"today {' and '.join(targets)}", []).append(old)
    old_roots = [root for root in PRIVATE_ROOTS.split() if root.partition(".")[2] not in PRIVATE_TODAY]
    by_today["today keras, and what lies below it"] = old_roots
    for old, new in _names.items():
        by_today.setdefault(_meaning(new), []).append(old)
    for table, show in ((_arguments, "{}({}=)"), (_attributes, "{}.{}")):
        for owner, rules in table.items():
            for old, new in rules.items():
                whose = "any optimizer" if owner == "optimizers.rules" else owner
                by_today.setdefault(_meaning(new), []).append(show.format(whose, old))
    for old, new in _keys.items():
        by_today.setdefault(f"the key {' or '.join(new)} of logs and History", []).append(old)
    return [(", ".join(old), today) for today, old in by_today.items()]


def _meaning(new):
    if new == "-":
        return "no effect"
    return _first_line(new) if new[0] in ":(" else f"today {new}"


# ------------------------------------------------------------------------------------------------- dotted names


def _split(full):
    """(root, path below it) of a dotted name: ("keras", "layers.core"), or ("tf", "set_random_seed")."""
    for root in _roots:
        if full == root or full.startswith(f"{root}."):
            return root, full[len(root) + 1 :]
    return "tf", full.partition(".")[2].removeprefix("compat.v1.").removeprefix("compat.v2.")


def _today(path):
    """The object that a dotted name of today stands for: below minigrad, or after "tf" below its tensorflow."""
    first, *rest = path.split(".")
    if first == "compat":
        return importlib.import_module(f"minigrad.{path}")
    found, rest = (tensorflow(), rest) if first == "tf" else (minigrad, [first, *rest] if first else [])
    for part in rest:
        found = vars(found)[part]
    return found


def module(full):
    """The modules of today that an old module stands for, a list; UNKNOWN if there never was one of that name."""
    root, path = _split(full)
    key = f"tf.{path}" if root == "tf" else path
    if root in _private:
        targets = _below_private(path)
    elif key in _modules:
        targets = _modules[key]
    else:
        return UNKNOWN
    if root in _private:
        if root.partition(".")[2] not in PRIVATE_TODAY:
            tell(root, f"{root} is where older Keras kept it: today keras.")
    else:
        _tell_module(full, targets)
    return [_today(target) for target in targets]


def _tell_module(old, targets):
    today = " and ".join(f"keras.{target}".rstrip(".") for target in targets)
    if old.endswith("wrappers.scikit_learn"):
        today = "keras.wrappers.SKLearnClassifier and SKLearnRegressor"
    elif targets[0].startswith(("compat", "tf")):
        return
    tell(old, f"{old} is where older Keras kept it: today {today}.")


def _below_private(path):
    """The names of the modules that a path below a private root stands for: itself, or the nearest around it."""
    while path:
        if path in _modules:
            return _modules[path]
        try:
            if isinstance(_today(path), types.ModuleType):
                return [path]
        except KeyError:
            pass
        path = path.rpartition(".")[0]
    return ["", "layers", "models", "optimizers.schedules", "optimizers"]


def name(full):
    """What the dotted name `full` means today; UNKNOWN, if it is no old one."""
    root, path = _split(full)
    key = f"tf.{path}" if root == "tf" else path
    if key in _modules or full in _private:
        return importlib.import_module(full)
    if key in _names:
        return _named(full, _names[key])
    around, _, last = path.rpartition(".")
    if root == "tf" and f"tf.{around}" in _modules and f"tf.{last}" in _names:
        return _named(full, _names[f"tf.{last}"])
    for target in _modules.get(around, ()):  # a file of minigrad's that is called as an old module was
        if last in vars(_today(target)):
            _tell_module(full.rpartition(".")[0], [target])
            return _today(f"{target}.{last}")
    if full.startswith("tensorflow.compat.") and path in vars(tensorflow()):
        return _today(f"tf.{path}")
    return UNKNOWN


def _named(old, new):
    if new.startswith(":"):
        _tell(old, new)
        return getattr(conversions, new[1:])
    if new == "-":
        return _without_effect(old)
    _tell(old, new)
    return _today(new)


def _without_effect(old):
    def function(*args, **kwargs):
        _tell(old, "-")
        return conversions.Nothing()

    function.__name__ = old.rpartition(".")[2]
    function.__doc__ = "Accepted for older Keras; it changes nothing here."
    return function


def member(registry, word):
    """What a string means today in a Registry; UNKNOWN, if it is no old one.

    Raises:
        ValueError: a word that is gone, with the way out.
    """
    place = registry.module.removeprefix("keras.")
    new = _names.get(f"{place}.{word}")
    if new is None:
        way_out = missing.remedy(f"{place}.{word}")
        if way_out is not None:
            raise ValueError(f"{word!r} is a {registry.kind} of older Keras that minigrad does not have: {way_out}.")
        return UNKNOWN
    today = new.rpartition(".")[2]
    if new != f"{place}.{today}" or today not in registry.members:
        found = _named(f"{registry.kind} {word!r}", new)
        return found() if isinstance(found, type) and not registry.instantiate else found  # a layer as an activation
    _tell(f"{registry.kind} {word!r}", repr(today))
    return registry.members[today]


# --------------------------------------------------------------------------------- arguments, attributes and keys


def arguments(function, args, kwargs):
    """(args, kwargs) with today's words for `function`; None if there was no old one among them."""
    owner = function.__qualname__.removesuffix(".__init__")
    rules = {**_arguments.get(function.__module__.removeprefix("minigrad."), {}), **_arguments.get(owner, {})}
    parameters = inspect.signature(function).parameters
    own = [name for name in parameters if name == "self"]
    if len(args) > len(own) and any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return None
    given = {**dict(zip(list(parameters)[len(own) :], args[len(own) :])), **kwargs}
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    found, is_changed = dict(given), False
    for word in [w for w in rules if w in given]:
        new, value = rules[word], found.pop(word)
        better = {} if new == "-" else {new: value}
        if new.startswith(":"):
            better = getattr(conversions, new[1:])(value, found, defaults)
        if better is None:  # a value of today
            found[word] = value
            continue
        if better.keys() & found.keys():
            return None  # the old word and today's as well: the error says so
        found, is_changed = found | better, True
        who = type(args[0]).__name__ if own and "." not in owner else owner
        _tell_argument(f"{who}({word}={_brief(value)})", new, better)
    return (args[: len(own)], found) if is_changed else None


def _tell_argument(old, rule, better):
    if better:
        today = ", ".join(f"{name}={_brief(new)}" for name, new in better.items())
        text = f"{old} is what older Keras called it: today {today}."
    else:
        text = f"{old} has no effect here: leave it out."
        if rule[0] == ":" and getattr(conversions, rule[1:]).__doc__:
            text = f"{text} {_first_line(rule)}"
    tell(old.partition("=")[0], text)


def _brief(value):
    text = repr(value)
    return f"{type(value).__name__}(...)" if text[0] == "<" or len(text) > 100 else text


def attribute(owner, name):
    """The attribute `name` that an object had in older Keras; UNKNOWN, if there never was one."""
    for kind in type(owner).__mro__:
        new = _attributes.get(kind.__name__, {}).get(name)
        if new is not None and kind.__module__.startswith("minigrad."):
            return _attribute(owner, f"{kind.__name__}.{name}", new)
    return UNKNOWN


def _attribute(owner, old, new):
    """What is called `new` today; a method warns when it is called."""
    if new.startswith("()"):
        _tell(old, new)
        return getattr(conversions, new[2:])(owner)
    found = types.MethodType(getattr(conversions, new[1:]), owner) if new[0] == ":" else getattr(owner, new)
    if not inspect.ismethod(found):
        _tell(old, new)
        return found

    def method(*args, **kwargs):
        _tell(old, new)
        return found(*args, **kwargs)

    return method


def key(logs, old):
    """The key under which the logs hold what older Keras called `old`; None, if they do not."""
    if not isinstance(old, str):
        return None
    prefix = "val_" if old.startswith("val_") else ""
    old = old.removeprefix(prefix)
    for new in _keys.get(old, ()):
        if prefix + new in logs:
            tell(f"key {old}", f"{old!r} is what older Keras called {new!r} in logs and History.")
            return prefix + new
    return None
