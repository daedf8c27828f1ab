"""Normalizations of each row by itself, which makes training and inference the same."""

from minigrad import ops
from minigrad.layers import arguments
from minigrad.layers.arguments import AXES, EPSILON, checked, number, of_weights
from minigrad.layers.base import SameShape
from minigrad.tensor import view


class ByRow(SameShape, is_member=False):
    """A layer that normalizes each row by itself, and has an argument `axis`, an int, or several taken as one."""

    def _axes(self, shape):
        """The axes that `axis` names, counted from the first, in order."""
        rank = len(shape)
        axes = sorted(a % rank for a in arguments.integers(self, "axis") if -rank <= a < rank)
        if len(axes) < len(arguments.integers(self, "axis")) or len(set(axes)) < len(axes) or 0 in axes:
            raise ValueError(
                f"{self._title}: axis {self.axis} must name an axis of the input, or different ones, and not the first "
                f"one; got shape {tuple(shape)}."
            )
        return axes

    def _build_axes(self, input_shape):
        """The lengths of the axes. From then on the config has a list of axes, as in Keras."""
        axes = self._axes(input_shape)
        lengths = [input_shape[a] for a in axes]
        if None in lengths:
            raise ValueError(
                f"{self._title}: the length of axis {self.axis} must be known; got shape {tuple(input_shape)}."
            )
        self.axis = sorted(arguments.integers(self, "axis"))
        self.input_spec = arguments.InputSpec(axes={axis: input_shape[axis] for axis in self.axis})
        return lengths

    def compute_output_shape(self, input_shape):
        self._axes(input_shape)
        return tuple(input_shape)


class LayerNormalization(ByRow):
    """Zero-center each row and scale it to unit variance, then shift and scale as learned (Ba et al. 2016).

    With mean u and biased variance v over `axis`:

        y = gamma (x - u) / sqrt(v + epsilon) + beta

    Its gradient, that of BatchNormalization with rows and columns exchanged, is derived in `ops.layer_normalization`.

    Args:
        axis: the axes to normalize over, an int or several. Gamma and beta have their lengths.
        epsilon: added to the variance.
        center, scale: whether there is a beta, and whether there is a gamma.
        the initializers, regularizers and constraints: strings or objects for each variable.

    Raises:
        ValueError: an axis is that of the rows, or no axis of the input, or has another length than the layer was built
            for.
    """

    rms_scaling = False
    arguments = {
        "axis": AXES, "epsilon": EPSILON, "center": True, "scale": True, **of_weights(beta="zeros", gamma="ones"),
    }  # fmt: skip

    def _set_up(self, given):
        rms_scaling = given["kwargs"].pop("rms_scaling", False)
        super()._set_up(given)
        if rms_scaling:
            raise ValueError(
                f"{self._owner}: minigrad does not have rms_scaling=True, which Keras deprecates: use RMSNormalization."
            )

    def build(self, input_shape):
        lengths = self._build_axes(input_shape)
        self.gamma = self._own_weight("gamma", lengths) if self.scale else None
        self.beta = self._own_weight("beta", lengths) if self.center else None

    def get_config(self):
        return {**super().get_config(), "rms_scaling": False}

    def call(self, inputs):
        return ops.layer_normalization(inputs, self.gamma, self.beta, self._axes(inputs.shape), self.epsilon)


class RMSNormalization(ByRow):
    """y = scale x / sqrt(mean of x^2 over `axis` + epsilon), `scale` learned (Zhang and Sennrich 2019).

    Args:
        axis: the axes to normalize over, an int or several.
        epsilon: added to the mean square.

    Raises:
        ValueError: as LayerNormalization.
    """

    supports_masking = False

    arguments = {"axis": AXES, "epsilon": checked(number, 1e-6)}

    def build(self, input_shape):
        self.scale = self.add_weight(shape=self._build_axes(input_shape), initializer="ones", name="scale")

    def call(self, inputs):
        axes = self._axes(inputs.shape)
        size = ops.mean(ops.square(inputs), axes, keepdims=True)
        scale = view(self.scale, [n if a in axes else 1 for a, n in enumerate(inputs.shape)])
        return inputs * (1.0 / ops.sqrt(size + self.epsilon)) * scale


class UnitNormalization(ByRow):
    """y = x / |x|, with the length |x| of the vectors along `axis` (an int or several). Zeros stay zeros."""

    _has_no_state = True

    arguments = {"axis": AXES}

    def call(self, inputs):
        return ops.normalize(inputs, self._axes(inputs.shape), epsilon=1e-12)
