"""Where minigrad differs from Keras on purpose: the one list, shown by `python -m minigrad --differences`."""

import textwrap

from minigrad.compat import old_names
from minigrad.missing import REMEDIES

# By topic: what it is about, what Keras 3 does, what minigrad does.
DEVIATIONS = {
    "In general": (
        ("back ends", "TensorFlow, JAX and PyTorch disagree in places", "what Keras on TensorFlow does"),
        ("keras.__version__, tf.__version__", "theirs", "minigrad's"),
        ("names of Keras 1 and 2, their arguments and methods", "an error", "are taken, and warn once each: see below"),
        ("from keras.layers import Conv2D, in no `try`", "the layer", "a name that raises when it is used"),
        ("history['acc'], monitor='val_acc' beside metrics=['accuracy']", "KeyError", "the accuracy, and a warning"),
        ("config.backend()", "'tensorflow', 'jax' or 'torch'", "'minigrad'"),
        ("dtypes of computation", "float16, bfloat16, integers too", "float32, float64; integers count and index"),
        ("x.shape of a tensor", "a TensorShape, with as_list()", "a tuple: list(x.shape)"),
        ("random numbers", "those of the back end", "others from the same seed; as reproducible"),
        ("bad values of arguments, unknown ones", "a TypeError or ValueError", "mostly a ValueError"),
        ("tf.errors", "classes of its own", "what is raised here: InvalidArgumentError is ValueError"),
        ("tf.print in a step of fit", "prints values in every step", "prints shapes, while the step is recorded"),
        ("tf.config.run_functions_eagerly", "runs a tf.function as Python", "changes nothing"),
        ("SGD(-0.1), Adam(beta_1=2.0), clipnorm=-1.0 and their like", "are taken", "a ValueError"),
    ),
    "Layers and models": (
        ("a bias before BatchNormalization in a Sequential", "gets rounding noise as gradient; Adam steps by it", "0"),
        ("layer.trainable, layer.rate, ... changed later", "no effect before compile", "from the next epoch, predict"),
        ("layer(x, training=True) in a model of inputs and outputs", "fit and predict override it", "it stays"),
        ("model.run_eagerly changed later", "no effect before compile", "from the next epoch or predict"),
        ("paths of variables", "sequential/dense/kernel", "dense/kernel"),
        ("AlphaDropout, GaussianDropout with rate 1", "ZeroDivisionError when called", "a ValueError when made"),
        ("LayerNormalization over axis 0, or an axis twice", "computes, or fails when called", "a ValueError"),
        ("LayerNormalization over (-1, 1)", "gamma has the axes in that order", "in the order of the input"),
        ("Normalization.adapt on flat data", "adapts; the call fails", "a ValueError: it needs axis=None"),
        ("Normalization.adapt, with a mean given", "an AttributeError", "a ValueError that says why"),
        ("Reshape to a length of 0; PReLU that shares axis 0", "taken", "a ValueError"),
        ("Dense(lora_rank=...), quantization, rms_scaling", "are there", "a ValueError"),
        ('add_weight("name", shape=...)', "a ValueError", "the older way to name a weight works"),
        ("from_config of one's own layer without **kwargs", "fails on name, trainable, dtype", "works"),
        ("the same layer twice in a Sequential; pop of an empty one", "taken; an IndexError", "a ValueError"),
        ("a layer with call(x, training), in a Sequential", "a ValueError", "is told whether it trains"),
        ("batch_size of an Input", "shown in summary", "not shown"),
        ("an initializer with a SeedGenerator as its seed", "the same values on each call", "new ones"),
        ("EinsumDense(equation, output_shape=(None, 4))", "of an unknown length", "of the length that the input tells"),
        ("Embedding: numbers that are no index of a row", "another row, 0 or an error (by back end)", "a ValueError"),
        ("Embedding: the same in the middle of a step", "the same", "a row of NaN"),
        ("a mask in a model of inputs and outputs", "is computed by calls of the graph", "goes beside the tensors"),
        ("a masked input of a model that keeps the mask inside", "a warning that the mask is lost", "no word"),
        ("sample weights (n,) beside masked steps (n, t)", "an error, or broadcast along the steps", "of the rows"),
        ("a Sequential with an Input, on rows of other lengths", "computes if the layers can", "a ValueError"),
        ("save_assets of one's own layer", "is called", "a ValueError: get_config can tell what is to be kept"),
        ("make_train_function, ...", "may be overridden", "refused; train_step, test_step and predict_step may"),
        ("train_step, a tf.function", "compiled by the back end (run_eagerly: run)", "recorded, or run if it can't be"),
        ("a gradient of a gradient, by two tapes", "is computed", "a NotImplementedError"),
        ("a GradientTape asked twice, persistent=False", "a RuntimeError", "answers"),
    ),
    "Losses and metrics": (
        ("unknown losses and metrics", "an error at the first fit", "an error at compile"),
        ("targets (n,) beside outputs (n, 1)", "a metric broadcasts them to (n, n)", "they become a column"),
        ("other shapes that differ", "are broadcast in places", "never: a ValueError"),
        ("class labels that are no class", "a loss of 0 (JAX), an error in a step (TensorFlow)", "a ValueError; NaN"),
        ("NaN in the output: AUC, Precision, Recall, counts, F1", "counts as negative, or not at all", "NaN"),
        ("R2Score", "float32 sums; no result before the first batch", "float64 sums; 0 before it"),
        ("R2Score(num_regressors) of several outputs", "n is rows times outputs", "n is the number of rows"),
        ("FBetaScore(beta=2, threshold=1)", "a ValueError: ints are no floats", "taken"),
        ("losses of float64 tensors", "are float32, with floatx", "float64"),
        ("SparseCategoricalCrossentropy(ignore_class) as a metric", "the mean divides by ignored rows", "it does not"),
        ("mean_with_sample_weight of sequences", "divides by the weights as given", "by the weights as broadcast"),
        ("F1Score, R2Score: targets (n,) beside outputs (n, 1)", "a ValueError", "the targets become a column"),
        ("IoU with weights", "cuts them to whole numbers", "takes them as they are"),
        ("BinaryFocalCrossentropy(from_logits), LogCosh near 0", "lose digits", "exact"),
        ("configs of losses", "leave out some arguments (Huber's delta)", "have all"),
        ("MeanMetricWrapper(fn)", "is named mean_metric_wrapper", "is named as the function"),
    ),
    "Optimizers": (
        ("staircases, cycles and restarts of schedules", "rounding can end them a step late", "end at their step"),
        ("a schedule of one's own", "gets an integer", "gets a floating-point tensor"),
        ("a number assigned over a function as learning rate", "an AttributeError", "a TypeError that says why"),
        ("settings changed after the first fit", "may have no effect", "count from the next fit"),
        ("exclude_from_weight_decay after build", "accepted", "a ValueError"),
        ("moving averages (use_ema)", "are zeros before the first step", "start as the weights"),
        ("assign overridden, so that a slot gets another value", "this step goes on from it", "the next one does"),
        ("a row of an Embedding used twice in a batch", "Adam squares each gradient alone (TensorFlow)", "their sum"),
        ("averages below 1e-30", "become denormal numbers, which are slow", "become 0"),
    ),
    "Training": (
        ("data that does not fit", "an error in some step; weights may have moved", "an error before anything changes"),
        ("empty data", "a warning, StopIteration or UnboundLocalError", "a ValueError"),
        ("Python lists as x or y", "a ValueError", "they are data"),
        ("NaN in the data to train on or to evaluate", "a loss of NaN, no word", "also a warning with the columns"),
        ("a generator that ends before the last epoch", "its first two batches come again", "a warning, and fit ends"),
        ("streams that yield lists; class_weight beside streams", "a ValueError for some", "taken"),
        ("PyDataset", "an on_epoch_end before the first epoch; processes", "none; the workers are threads"),
        ("progress bar in a file or pipe", "backspaces and colours as on a terminal", "one plain line an epoch"),
        ("a list with fewer losses than outputs", "the first outputs are trained", "a ValueError; None is no loss"),
        ("loss_weights by name beside losses in a list", "go by the sorted names", "by the names"),
        ("one loss, and a weight for each output", "a ValueError", "the loss of each output has its weight"),
        ("sample_weight as a dict or tuple beside y as a list", "a ValueError", "taken"),
        ("NAME_loss where the last batch is small", "batches count alike", "by rows: they add up to the loss"),
        ("two outputs of one layer, or without names, in logs", "one hides the other", "dense_loss and dense_loss_1"),
        ("model.metrics_names", "loss, compile_metrics", "the names in the logs"),
        ("evaluate with metrics of one name", "repeats the first one's value", "each has its own"),
        ("stop_training set in on_train_begin", "one batch is trained", "none"),
        ("the last batch of steps_per_execution=k", "the hook is told a batch that was not there", "the last one"),
    ),
    "Callbacks": (
        ("TerminateOnNaN", "stops after the batch", "names that batch, but trains on until fit pauses (50 ms)"),
        ("ModelCheckpoint(mode='auto')", "needs a metric that knows its direction", "only with save_best_only"),
        ("monitor='val_mse_1', a metric renamed", "direction unknown", "known"),
        ("LearningRateScheduler", "a TypeError in the schedule is hidden by a second call", "it shows"),
        ("LambdaCallback, ReduceLROnPlateau: unknown arguments", "ignored", "an error"),
        ("SwapEMAWeights after an early stop", "leaves the weights swapped", "does not"),
        ("BackupAndRestore", "begins the epoch anew", "goes on within it, to the bit; History has what came before"),
        ("TensorBoard", "graph, images, profile, embeddings", "scalars and histograms"),
    ),
    "Files": (
        ("safe_mode=False", "runs code from the file", "changes nothing: code is never read"),
        ("keras.datasets, utils.get_file", "downloads what is not there", "reads ~/.keras/datasets, or a path given"),
        ("overwrite=False, and the file exists", "asks on the terminal", "FileExistsError"),
        ("clone_model of a model with a loss function of one's own", "an error", "the clone is not compiled"),
        ("a lambda", "is written as byte code", "in compile: left out, with a warning; in a layer: a ValueError"),
        ("fit after load_model", "draws other random numbers", "those that the saved model would have drawn"),
        ("shards, bfloat16, checkpoints of Orbax and TensorFlow", "are read and written", "a ValueError"),
        ("save to a name without .keras or .h5", "a ValueError", "a folder, as in TensorFlow 2, and a warning"),
        ("save_weights to such a name, to .h5; ModelCheckpoint to .h5", "a ValueError", "as in Keras 2, and a warning"),
        ("training a model loaded from .h5", "an error of the optimizer", "goes on"),
        ("compiled .h5 files of Keras 2", "mostly an error", "are read, the optimizer's state included"),
    ),
    "ops and utils": (
        ("ops.cast to any integer dtype", "that dtype", "int64"),
        ("arithmetic on integers", "gives integers", "gives floating-point numbers"),
        ("ops.binary_crossentropy", "one value an element", "the mean over the last axis, as the loss needs it"),
        ("ops.categorical_crossentropy, ops.batch_normalization", "other arguments", "what losses and layers need"),
        ("ops.cond, while_loop, switch on values of tensors", "are compiled", "read them: such a step runs eagerly"),
        ("ops.while_loop: numbers among the variables", "become tensors at once", "at the end: the loop is unrolled"),
        ("ops.slice, slice_update beyond the end", "are moved inwards (by back end)", "a ValueError"),
        ("ops.empty; ops.argpartition", "what lay in memory; a part in order", "zeros; all in order"),
        ("ops.take_along_axis out of range", "an error, or what the back end makes of it", "NaN"),
        ("gradients of hypot of equals, celu at 0, sparsemax beside a tie", "another number", "that of the function"),
        ("gradients at 0 of sinc, cumprod, fmod", "NaN, 0, 0", "those of the function"),
        ("ops.slice_update", "has no gradient (TensorFlow)", "has one"),
        ("utils.to_categorical", "float64", "floatx, by default float32"),
        ("utils.split_dataset", "two tf.data.Dataset", "two arrays, or tuples or dicts of arrays, as they were given"),
        ("utils.plot_model", "needs graphviz", "needs matplotlib only; layers of a subclassed Model have no arrows"),
    ),
}


def report():
    """The tables of deviations, of what is missing and of old names, as text."""
    lines = ["Where minigrad differs from Keras 3"]
    for topic, rows in DEVIATIONS.items():
        lines += ["", topic.upper(), ""]
        for subject, theirs, ours in rows:
            lines += [subject, *_indented(f"Keras: {theirs}"), *_indented(f"minigrad: {ours}")]
    lines += ["", "What it does not have", ""]
    by_remedy = {}
    for name, remedy in REMEDIES.items():
        by_remedy.setdefault(remedy, []).append(name)
    for remedy, names in by_remedy.items():
        lines += [*textwrap.wrap(", ".join(names), 100), *_indented(remedy)]
    lines += ["", "What Keras 1 and 2 called things: taken, with one warning each", ""]
    for old, today in old_names.described():
        lines += [*textwrap.wrap(old, 100), *_indented(today)]
    return "\n".join(lines)


def _indented(text):
    return textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="        ")
