"""Group Normalization."""

from minigrad import ops
from minigrad.checks import is_int
from minigrad.layers.arguments import EPSILON, InputSpec, of_weights
from minigrad.layers.row_normalization import ByRow


class GroupNormalization(ByRow):
    """Normalize each sample by itself, in groups of channels (Wu and He 2018, arXiv:1803.08494).

    The c channels are `groups` groups of c / groups neighbors. With mean u and biased variance v of all m numbers that
    a sample has in the channels of one group (in images: m = h w c / groups):

        h = (x - u) / sqrt(v + epsilon),   y = gamma h + beta,     gamma and beta of each channel

    So there is no difference between training and inference, and the size of a batch does not matter. One group
    normalizes over all of a sample, as many groups as channels over the pixels of each channel (groups=-1, "instance
    normalization").

    The gradient: with g = gamma dL/dy and s = sqrt(v + epsilon), x_i acts on the loss through h_i itself (g_i / s),
    through the mean (each h_k falls by 1 / (m s)), and through the variance (each h_k falls by h_k h_i / (m s)):

        dL/dx_i = (g_i - (1/m) sum_k g_k - h_i (1/m) sum_k g_k h_k) / s

    with sums over the group; dL/dgamma and dL/dbeta are the sums of dL/dy h and of dL/dy over samples and pixels.

    Args:
        groups: a divisor of the number of channels; -1: as many as channels.
        axis: that of the channels.
        epsilon: added to the variance.
        center, scale: whether there is a beta, and whether there is a gamma.
        the initializers, regularizers and constraints: strings or objects for each variable.

    Raises:
        ValueError: the channels can't be divided into the groups, or are not those the layer was built for.
    """

    arguments = {
        "groups": 32, "axis": -1, "epsilon": EPSILON, "center": True, "scale": True,
        **of_weights(beta="zeros", gamma="ones"),
    }  # fmt: skip

    def _settle(self):
        groups, axis = self.groups, self.axis
        if not is_int(groups, 1) and not (is_int(groups) and groups == -1):
            raise ValueError(f"{self._owner}: groups must be a positive int or -1, got {groups!r}.")
        if not is_int(axis):
            raise ValueError(f"{self._owner}: axis must be an integer, got {axis!r}.")

    def build(self, input_shape):
        (axis,), n = self._axes(input_shape), input_shape[self.axis]
        if n is None:
            raise ValueError(
                f"{self._title}: the number of channels, along axis {self.axis}, must be known; got shape "
                f"{tuple(input_shape)}."
            )
        groups = n if self.groups == -1 else self.groups
        if n % groups:
            raise ValueError(
                f"{self._title}: {n} channels can't be divided into {groups} groups. Choose a divisor, such as "
                "groups=1 or groups=-1."
            )
        self.groups = groups
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: n})
        self.gamma = self._own_weight("gamma", n) if self.scale else None
        self.beta = self._own_weight("beta", n) if self.center else None

    def call(self, inputs):
        (axis,) = self._axes(inputs.shape)
        return ops.group_normalization(inputs, self.groups, self.gamma, self.beta, axis, self.epsilon)
