"""4. How do I write a layer and a loss of my own? A network that says how sure it is, in thirty lines.

    python examples/engine/04_new_layer.py

A network trained on the squared error answers with the middle of what is likely. Often the useful answer is a range:
between these two values, in four cases out of five. This takes a layer with three outputs that never cross, and the
"pinball" loss of quantile regression (Koenker and Bassett 1978), under which an output settles where a given share q
of the targets lies below it: being too low by e costs q e, being too high by e costs (1 - q) e.
"""

import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np

import minigrad as keras
from minigrad import ops
from minigrad.layers import Dense

SHARES = (0.1, 0.5, 0.9)


class Quantiles(keras.Layer):
    """Three numbers per row, in order: a middle, one that is lower and one that is higher.

    `build` is called once, with the shape of the first input, and makes the variables; `call` computes. That is all
    that a layer needs. The gradient comes from the operations that `call` uses.
    """

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 3), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((3,), "zeros", name="bias")

    def call(self, inputs):
        z = inputs @ self.kernel + self.bias
        middle = z[:, 1:2]
        lower = middle - ops.softplus(z[:, 0:1])  # softplus(z) = ln(1 + e^z) is always positive
        upper = middle + ops.softplus(z[:, 2:3])
        return ops.concatenate([lower, middle, upper], axis=1)


def pinball(y_true, y_pred):
    """One number per row: the mean over the three shares q of max(q e, (q - 1) e), e = y_true - y_pred."""
    e = y_true - y_pred  # (rows, 1) - (rows, 3)
    q = np.array(SHARES, e.dtype)
    return ops.mean(ops.maximum(e * q, e * (q - 1)), axis=-1)


def data(rows, seed):
    """A curve with noise that grows to the right, and a column of x, a column of y."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 4, (rows, 1))
    y = np.sin(2 * x) + random.normal(0, 0.05 + 0.2 * x)
    return x.astype("float32"), y.astype("float32")


def network(seed, **options):
    """The new layer at the end of a network, the new loss in `compile`."""
    keras.utils.set_random_seed(seed)
    keras.utils.clear_session()
    hidden = [Dense(32, activation="tanh") for _ in range(2)]
    model = keras.Sequential([keras.Input((1,)), *hidden, Quantiles()])
    model.compile(keras.optimizers.Adam(0.01), loss=pinball, **options)
    return model


def main(argv=None):
    """Train it, look at its Program, count how often it was right."""
    with course.Script(__file__, __doc__, argv) as script:
        x, y = data(3000, script.seed)
        x_new, y_new = data(4000, script.seed + 1)
        model = network(script.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a step that can't be recorded is announced by a warning
            for rate in (0.01, 0.001):  # small steps at the end, or the last batches have too much to say
                model.optimizer.learning_rate = rate
                model.fit(x, y, batch_size=100, epochs=20 if script.quick else 60, verbose=0)

        listing = str(model.train_program).splitlines()
        print(f"{listing[0]}. Of these, what the loss of ours does:")
        begin = next(i for i, line in enumerate(listing) if " concatenate" in line or "put_columns" in line)
        for line in listing[begin : begin + 12]:
            print(f"  {line[:110]}")
        script.claim(model.train_program is not None, "layer and loss were recorded, and replayed without Python")

        def outcome(**options):
            one = network(script.seed, **options)
            one.fit(x[:400], y[:400], batch_size=100, epochs=2, verbose=0)
            return np.concatenate([w.ravel() for w in one.get_weights()])

        script.claim(np.array_equal(outcome(), outcome(run_eagerly=True)),
                     "replayed or run in Python, the weights are the same to the bit")

        predicted = model.predict(x_new, verbose=0)
        below = [np.mean(y_new[:, 0] < predicted[:, k]) for k in range(3)]
        print()
        script.table(("share asked for", "share of new points below"), list(zip(map(str, SHARES), below)))
        script.claim(np.all(np.diff(predicted, axis=1) > 0), "the three never cross")
        script.claim(np.allclose(below, SHARES, atol=0.05), "each share is met within 0.05, on points it has not seen")
        widths = np.diff(predicted[:, [0, 2]], axis=1)[:, 0]
        left, right = widths[x_new[:, 0] < 1].mean(), widths[x_new[:, 0] > 3].mean()
        script.claim(right > 2.5 * left, f"it is {right / left:.1f} times less sure at the right than at the left")

        order = np.argsort(x_new[:, 0])[::10]
        inside = below[2] - below[0]
        script.claim(abs(inside - 0.8) < 0.05, f"{inside:.0%} of the new points lie inside the band")
        script.save(*(draw(script, size, x_new[order, 0], y_new[order, 0], *predicted[order].T, inside)
                      for size in ((8.4, 3), (3.9, 3.6))))  # fmt: skip


def draw(script, size, x, y, low, middle, high, inside):
    """New points and the band, in a figure of this size."""
    figure, ax = script.figure(size=size)
    ax.plot(x, y, ".", color=course.GREY, markersize=2.5, label="new points")
    label = "four out of five lie here, it says"
    ax.fill_between(x, low, high, color=course.GREEN, alpha=0.18, linewidth=0, label=label)
    ax.plot(x, middle, color=course.GREEN, label="half of them lie below")
    ax.set(title=f"{inside:.0%} of the new points lie inside the band", xlabel="x", ylabel="y")
    course.legend(figure, ncols=3 if size[0] > 5 else 1)
    return figure


if __name__ == "__main__":
    main()
