"""Normalizations of each row by itself, which makes training and inference the same."""

from minigrad import ops
from minigrad.layers import arguments
from minigrad.layers.base import SameShape, registry
from minigrad.tensor import view


class _ByRow(SameShape):
    """A layer that normalizes over `axis`, an int, or several taken as one."""

    def _axes(self, shape):
        """The axes to normalize over, counted from the first, in order."""
        rank = len(shape)
        axes = sorted(a % rank for a in arguments.integers(self, "axis") if -rank <= a < rank)
        if len(axes) < len(arguments.integers(self, "axis")) or len(set(axes)) < len(axes) or 0 in axes:
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}): axis {self.axis} must name different axes of the "
                f"input, and not the first one; got shape {tuple(shape)}."
            )
        return axes

    def _build_axes(self, input_shape):
        """The lengths of the axes. From then on the config has a list of axes, as in Keras."""
        axes = self._axes(input_shape)
        lengths = [input_shape[a] for a in axes]
        if None in lengths:
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}): the length of axis {self.axis} must be known; "
                f"got shape {tuple(input_shape)}."
            )
        self.axis = sorted(arguments.integers(self, "axis"))
        self.input_spec = arguments.InputSpec(axes={axis: input_shape[axis] for axis in self.axis})
        return lengths

    def compute_output_shape(self, input_shape):
        self._axes(input_shape)
        return tuple(input_shape)


@registry.register()
class LayerNormalization(_ByRow):
    """Zero-centre each row and scale it to unit variance, then shift and scale as learned (Ba et al. 2016).

    With mean u and biased variance v over `axis`:

        y = gamma (x - u) / sqrt(v + epsilon) + beta

    Its gradient, that of BatchNormalization with rows and columns exchanged, is derived in `ops.layer_normalization`.

    Args:
        axis: the axes to normalize over, an int or several. Gamma and beta have their lengths.
        epsilon: added to the variance.
        center, scale: whether there is a beta, and whether there is a gamma.
        *_initializer, *_regularizer, *_constraint: strings or objects for each variable.

    Raises:
        ValueError: an axis is that of the rows, or no axis of the input, or has another length than the layer was built
            for.
    """

    def __init__(
        self,
        axis=-1,
        epsilon=0.001,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        if rms_scaling:
            raise ValueError(
                f"LayerNormalization {self.name!r}: minigrad does not have rms_scaling=True, which Keras "
                "deprecates: use RMSNormalization."
            )
        self._keep(locals())
        arguments.integers(self, "axis")
        arguments.number(self, "epsilon")

    def build(self, input_shape):
        lengths = self._build_axes(input_shape)
        self.gamma = self._own_weight("gamma", lengths) if self.scale else None
        self.beta = self._own_weight("beta", lengths) if self.center else None
        self.built = True

    def get_config(self):
        return {**super().get_config(), "rms_scaling": False}

    def call(self, inputs):
        return ops.layer_normalization(inputs, self.gamma, self.beta, self._axes(inputs.shape), self.epsilon)


@registry.register()
class RMSNormalization(_ByRow):
    """y = scale x / sqrt(mean of x^2 over `axis` + epsilon), `scale` learned (Zhang and Sennrich 2019).

    Args:
        axis: the axes to normalize over, an int or several.
        epsilon: added to the mean square.

    Raises:
        ValueError: as LayerNormalization.
    """

    supports_masking = False

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        arguments.integers(self, "axis")
        arguments.number(self, "epsilon")

    def build(self, input_shape):
        self.scale = self.add_weight(shape=self._build_axes(input_shape), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs):
        axes = self._axes(inputs.shape)
        size = ops.mean(ops.square(inputs), axes, keepdims=True)
        scale = view(self.scale, [n if a in axes else 1 for a, n in enumerate(inputs.shape)])
        return inputs * (1.0 / ops.sqrt(size + self.epsilon)) * scale


@registry.register()
class UnitNormalization(_ByRow):
    """y = x / |x|, with the length |x| of the vectors along `axis` (an int or several). Zeros stay zeros."""

    _has_no_state = True

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self._keep(locals())
        arguments.integers(self, "axis")

    def call(self, inputs):
        return ops.normalize(inputs, self._axes(inputs.shape), epsilon=1e-12)
