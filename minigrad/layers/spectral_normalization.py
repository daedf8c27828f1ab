"""Spectral Normalization: a layer whose kernel is kept at spectral norm 1."""

from minigrad import initializers, ops
from minigrad.layers import arguments
from minigrad.layers.wrapper import Wrapper


class SpectralNormalization(Wrapper):
    """Divide the kernel W of a layer by its largest singular value before each step (Miyato et al. 2018).

    Then the layer stretches no input by more than the factor 1, which keeps the critic of a GAN tame. The singular
    value comes from a power iteration, which the row u carries on from step to step. In each call in training:

        v = u W^T / |u W^T|,   u = v W / |v W|      (power_iterations times)
        W = W / (v W u^T)

    The kernel itself is changed, as in Keras; its gradient is that at the new kernel. One of zeros stays.

    Args:
        layer: a layer with a `kernel` or `embeddings`, such as Dense, Conv2D or Embedding.
        power_iterations: how many times u and v are computed in each call, at least 1.

    Raises:
        ValueError: the layer has no kernel.
    """

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(layer, **kwargs)
        self._keep(locals(), but=["layer"])
        arguments.whole(self, "power_iterations")

    def build(self, input_shape=None):
        super().build(input_shape)
        known = [name for name in ("kernel", "embeddings") if name in vars(self.layer)]
        if not known:
            raise ValueError(
                f"{self._owner}: layer {self.layer.name!r} ({type(self.layer).__name__}) has neither a kernel nor "
                "embeddings."
            )
        self.kernel = getattr(self.layer, known[0])
        self.vector_u = self.add_weight(
            shape=(1, self.kernel.shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
        )

    def call(self, inputs, training=False):
        if training:
            self._normalize()
        return self.layer(inputs)

    def _normalize(self):
        """One step of the power iteration, and the kernel divided."""
        kernel, u = self.kernel.value, self.vector_u.value
        w = ops.reshape(kernel, (-1, kernel.shape[-1]))
        is_zero = ops.all(ops.equal(w, 0.0))
        new = u
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(new, ops.transpose(w)), axis=-1)
            new = ops.normalize(ops.matmul(v, w), axis=-1)
        sigma = ops.where(is_zero, 1.0, ops.sum(ops.matmul(v, w) * new))
        self.vector_u.assign(ops.where(is_zero, u, new))
        self.kernel.assign(kernel / sigma)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)
