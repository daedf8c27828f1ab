"""How losses and metrics make targets, outputs and sample weights fit each other; and the reductions."""

from minigrad import config, ops
from minigrad.tensor import Tensor, as_tensor, view


def tensors(y_true, y_pred, dtype=None):
    """Targets and outputs as tensors of one floating-point dtype, by default that of y_pred."""
    y_pred = y_pred if isinstance(y_pred, Tensor) else as_tensor(y_pred)
    own = y_pred._data.dtype
    dtype = dtype or (own if own.kind == "f" else config.floatx())
    y_true = y_true if isinstance(y_true, Tensor) else as_tensor(y_true, dtype)
    if dtype is own is y_true._data.dtype and type(y_true) is type(y_pred) is Tensor:
        return y_true, y_pred  # the usual case; a Variable is copied
    return ops.cast(y_true, dtype), ops.cast(y_pred, dtype)


def align(y_true, y_pred):
    """Both with equally many axes: a last axis of length 1 that only one has is dropped, or added to a flat partner."""
    if y_true._data.ndim == y_pred._data.ndim:
        return y_true, y_pred
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, column(y_pred)) if y_pred.ndim == 1 else (ops.squeeze(y_true, -1), y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (column(y_true), y_pred) if y_true.ndim == 1 else (y_true, ops.squeeze(y_pred, -1))
    return y_true, y_pred


def labelled(y_true, y_pred, axis=-1):
    """Labels and outputs as tensors. An axis of length 1 of the labels, where y_pred has its classes, is dropped."""
    y_true, y_pred = tensors(y_true, y_pred)
    has_axis = y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1
    return ops.squeeze(y_true, axis) if has_axis else y_true, y_pred


def counting(labels, ignore_class, dtype):
    """0 for rows with the label `ignore_class`, 1 for all others."""
    return ops.cast(ops.not_equal(labels, float(ignore_class)), dtype)


def column(y):
    """A flat tensor as a column."""
    return view(y, (y.size, 1))


def fitted(y_true, y_pred, dtype=None):
    """Both as tensors of one dtype with equally many axes. If y_pred gets a new shape, its logits are forgotten."""
    return align(*tensors(y_true, y_pred, dtype))


def paired(name, y_true, y_pred):
    """Both as tensors of one dtype and shape. Only the targets are reshaped, so y_pred keeps its logits."""
    y_true, y_pred = tensors(y_true, y_pred)
    if y_true._data.shape == y_pred._data.shape:
        return y_true, y_pred
    aligned, partner = align(y_true, y_pred)
    if aligned.shape != partner.shape:
        if y_pred.ndim > max(y_true.ndim, 2):
            raise ValueError(unflattened(name, y_true, y_pred))
        is_label = y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1
        hint = (
            "For integer class labels use 'sparse_categorical_crossentropy'."
            if is_label and y_pred.shape[-1] > 1
            else "The last layer must have as many units as the targets have columns."
        )
        raise ValueError(
            f"{name}: the targets have shape {y_true.shape} and the output has shape {y_pred.shape}; they must be "
            f"equal (nothing is broadcast here). {hint}"
        )
    return ops.reshape(aligned, y_pred.shape), y_pred


def unflattened(name, y_true, y_pred):
    """The error message for an output with more axes than the targets: probably a Flatten is missing."""
    return (
        f"{name}: the targets have shape {y_true.shape} and the output has shape {y_pred.shape}. Is a Flatten() "
        "missing in front of the first Dense? A Dense works on the last axis only and keeps the others."
    )


def masked(mask, sample_weight, dtype, is_mean=False):
    """The weights, 0 where the mask is false. `is_mean` scales them, so that a mean over all is one over the rest."""
    weights = ops.cast(mask, dtype)
    if is_mean:
        weights = weights * (float(weights.size) / ops.maximum(ops.sum(weights), config.epsilon()))
    if sample_weight is None:
        return weights
    weights, sample_weight = _beside(weights, sample_weight)
    return sample_weight * weights


def _beside(values, sample_weight):
    """Values and weights as tensors of one dtype. Weights with fewer axes than the values get more."""
    sample_weight = ops.cast(as_tensor(sample_weight, values.dtype), values.dtype)
    if sample_weight.ndim == values.ndim + 1 and sample_weight.shape[-1] == 1:
        values, sample_weight = align(values, sample_weight)
    while sample_weight.ndim < values.ndim:
        sample_weight = ops.expand_dims(sample_weight, -1)
    return values, sample_weight


def reduce_weighted(values, sample_weight, reduction, mask=None):
    """The values, weighted and reduced to one number. `Loss` tells what each reduction means."""
    if mask is not None:
        sample_weight = masked(mask, sample_weight, values.dtype, reduction in ("sum_over_batch_size", "mean"))
    if sample_weight is not None:
        values, sample_weight = _beside(values, sample_weight)
        # One loss for the whole batch fits weights of any shape: it becomes one value per weight.
        if values.ndim and (
            any(w not in (1, n) for w, n in zip(sample_weight.shape, values.shape, strict=False))
            or sample_weight.ndim > values.ndim
        ):
            raise ValueError(
                f"sample_weight of shape {sample_weight.shape} does not fit loss values of shape {values.shape}."
            )
        values = values * sample_weight
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        total = ops.sum(ops.broadcast_to(sample_weight, values.shape))
        return ops.where(ops.equal(total, 0.0), 0.0, ops.sum(values) / ops.where(ops.equal(total, 0.0), 1.0, total))
    return ops.mean_all(values)
