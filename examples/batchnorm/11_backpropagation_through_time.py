"""11. Backpropagation through time: how far back does a recurrent network learn?

    python examples/batchnorm/11_backpropagation_through_time.py [--quick] [--seed 0] [--out FOLDER]

A recurrent network reads a sequence step by step and keeps a state: h_t = tanh(x_t W + h_t-1 V + b). Written out, it is
a network as deep as the sequence is long, whose layers share their weights. So everything that experiment 3 says about
depth is true of time: on its way back the gradient is multiplied by V^T and by the slope of tanh at every step.

An LSTM (Hochreiter and Schmidhuber 1997) has a way out. Its cell is a sum, c_t = f_t c_t-1 + i_t g_t, and along the
cell the gradient is multiplied by the forget gate f_t and by nothing else. How far back it reaches is therefore decided
by the bias of that gate: sigmoid(0) = 0.50 per step, sigmoid(1) = 0.73 (Keras' default, after Jozefowicz et al. 2015),
sigmoid(ln T) = T / (T + 1), which keeps a third over T steps (Tallec and Ollivier 2018, arXiv:1804.11188).

At last: where does normalization go in such a network? Layer Normalization goes into the step (Ba et al. 2016,
arXiv:1607.06450). Batch Normalization there has one moving mean and one moving variance for all steps, and where the
input depends on the step, they fit none of them.

The same formulas, as the engine computes them, are in minigrad/ops/recurrence.py and minigrad/kernels/recurrence.py.
"""

import math
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import accuracy, digits

import minigrad as keras
from minigrad import layers, ops

UNITS, PIXEL_ROWS = 32, 8  # of the recurrent layers; steps that a digit takes
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sigmoid(z):
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


def rnn_by_hand(x, w, v, b, g):
    """Through time and back in NumPy. x: (steps, n, features); the loss is the sum of g times the last h.

    h_t acts on the loss through z_t+1 only (the last one directly, by g). So with s_t = dL/dh_t:

        dz_t = s_t (1 - h_t^2),   s_t-1 = dz_t V^T,
        dV = sum_t h_t-1^T dz_t,   dW = sum_t x_t^T dz_t,   db = sum_t dz_t
    """
    h = [np.zeros((x.shape[1], len(v)))]
    for x_t in x:
        h.append(np.tanh(x_t @ w + h[-1] @ v + b))
    s, dx, dw, dv, db = g, np.empty_like(x), 0, 0, 0
    for t in reversed(range(len(x))):
        dz = s * (1 - h[t + 1] ** 2)
        dw, dv, db = dw + x[t].T @ dz, dv + h[t].T @ dz, db + dz.sum(0)
        dx[t], s = dz @ w.T, dz @ v.T
    return h[-1], dx, dw, dv, db


def lstm_by_hand(x, w, v, b, g):
    """The same with a cell: r_t = dL/dc_t = r_t+1 f_t+1 + s_t o_t (1 - tanh(c_t)^2). No product with V along r."""
    h = c = np.zeros((x.shape[1], len(v)))
    kept = []
    for x_t in x:
        i, f, a, o = np.split(x_t @ w + h @ v + b, 4, axis=1)
        i, f, a, o = sigmoid(i), sigmoid(f), np.tanh(a), sigmoid(o)
        kept.append((h, c, i, f, a, o))
        c = f * c + i * a
        h = o * np.tanh(c)
    s, r, dx, dw, dv, db = g, 0, np.empty_like(x), 0, 0, 0
    for t in reversed(range(len(x))):
        before, c_before, i, f, a, o = kept[t]
        tanh_c = np.tanh(f * c_before + i * a)
        r = r + s * o * (1 - tanh_c**2)
        dz = np.hstack([
            r * a * i * (1 - i), r * c_before * f * (1 - f), r * i * (1 - a**2), s * tanh_c * o * (1 - o)
        ])  # fmt: skip
        dw, dv, db = dw + x[t].T @ dz, dv + before.T @ dz, db + dz.sum(0)
        dx[t], s, r = dz @ w.T, dz @ v.T, r * f
    return h, dx, dw, dv, db


def check_by_hand(script):
    """Both derivations beside the layers, whose kernels walk through time."""
    random = np.random.default_rng(script.seed)
    x, g = random.normal(size=(12, 5, 3)), random.normal(size=(5, 4))  # 12 steps of 5 samples
    for by_hand, make in ((rnn_by_hand, layers.SimpleRNN), (lstm_by_hand, layers.LSTM)):
        layer = make(4, dtype="float64")
        inputs = keras.Tensor(x.swapaxes(0, 1), requires_grad=True)
        y = layer(inputs)
        y.backward(g)
        weights = layer.trainable_variables
        found = [y.numpy(), inputs.grad.swapaxes(0, 1), *(weight.grad for weight in weights)]
        expected = by_hand(x, *(weight.numpy() for weight in weights), g)
        error = max(np.abs(a - b).max() for a, b in zip(found, expected))
        script.claim(error < 1e-12, f"{make.__name__}: the gradients by hand are those of the layer, to {error:.0e}")


def lstm(forget_bias):
    """A function that makes an LSTM whose forget gates begin with this bias."""

    def bias(shape, dtype=None):
        return np.repeat([0, forget_bias, 0, 0], shape[0] // 4).astype(dtype)  # of i, f, g, o

    return lambda: layers.LSTM(UNITS, unit_forget_bias=False, bias_initializer=bias)


def recurrent_layers(steps):
    """What is compared over so many steps."""
    return {
        "SimpleRNN": lambda: layers.SimpleRNN(UNITS),
        "LSTM, forget bias 0": lstm(0),
        "LSTM, forget bias 1": lstm(1),
        "LSTM, forget bias ln T": lstm(math.log(steps)),
    }


STYLES = {
    "SimpleRNN": (course.INK, "-"),
    "LSTM, forget bias 0": (course.PINK, ":"),
    "LSTM, forget bias 1": (course.PINK, (0, (4, 1.5))),
    "LSTM, forget bias ln T": (course.PINK, "-"),
}


def gradients_over_time(make, steps, seed):
    """Before training: the size of the gradient that arrives at each step's input, the last step's taken as 1."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    x = keras.Tensor(random.normal(size=(64, steps, 8)).astype("float32"), requires_grad=True)
    y = make()(x)
    y.backward(random.normal(size=y.shape).astype("float32"))
    sizes = np.sqrt((x.grad.astype("float64") ** 2).sum((0, 2)))
    return sizes / sizes[-1]


def looking_back(script):
    """Gradients step by step, for all four layers; what is lost per step."""
    steps, seeds = 100, script.seeds(10, 2)
    found = {
        name: np.array([gradients_over_time(make, steps, seed) for seed in seeds])
        for name, make in recurrent_layers(steps).items()
    }
    medians = {name: np.median(runs, 0) for name, runs in found.items()}
    factors = {name: sizes[-81] ** (1 / 80) for name, sizes in medians.items()}
    back = (0, 10, 20, 50, 80, 99)
    script.table(
        ("steps back", *map(str, back), "factor per step"),
        [(name, *(sizes[-1 - k] for k in back), factors[name]) for name, sizes in medians.items()],
        title="Before training: gradient that arrives at an input so many steps back, the last one's = 1",
    )
    return found, factors


def sequences(after=0, clock=False):
    """Digits read row by row, with so many empty steps after: the answer is due at the end.

    With a `clock`, every step also has its time, -3.5 to 3.5, as a ninth feature.
    """
    times = np.arange(PIXEL_ROWS, dtype="float32")[:, None] - 3.5

    def as_steps(x, y):
        x = x.reshape(-1, PIXEL_ROWS, 8)
        if clock:
            x = np.concatenate([x, np.broadcast_to(times, (len(x), *times.shape))], axis=2)
        return np.pad(x, ((0, 0), (0, after), (0, 0))), y

    train, test = digits()
    return as_steps(*train), as_steps(*test)


def trained(make, data, seed, epochs):
    """Train a recurrent layer and a Dense one; the model."""
    keras.utils.set_random_seed(seed)
    (x, y), _ = data
    model = keras.Sequential([keras.Input(x.shape[1:]), make(), layers.Dense(10)])
    model.compile(keras.optimizers.Adam(0.005, clipnorm=1.0), LOSS)
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def remembering(script):
    """Train on digits that have to be kept for a while; accuracies by layer, seed, delay."""
    delays, epochs = ((40,), 8) if script.quick else ((0, 10, 20, 40, 80), 20)
    seeds, found = script.seeds(3, 1), {}
    for delay in delays:
        data = sequences(after=delay)
        for name, make in recurrent_layers(PIXEL_ROWS + delay).items():
            ends = [accuracy(trained(make, data, seed, epochs), *data[1]) for seed in seeds]
            found.setdefault(name, []).append(ends)
    found = {name: np.transpose(runs) for name, runs in found.items()}
    script.table(
        ("", *(f"{d} steps" for d in delays)),
        [(name, *np.median(runs, 0)) for name, runs in found.items()],
        title=f"Test accuracy where the answer is due so many steps after the digit ({20 * epochs} steps of Adam)",
    )
    return delays, found


class Cell(layers.Layer):
    """h_t = tanh(N(x_t W + h_t-1 V + b)), where N is a normalization or nothing: a cell for `keras.layers.RNN`.

    V begins as an orthogonal matrix times `factor`.
    """

    def __init__(self, normalization, factor=1.0):
        super().__init__()
        self.state_size, self.normalization, self.factor = UNITS, normalization, factor

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1], UNITS), "glorot_uniform", name="kernel")
        self.v = self.add_weight(
            (UNITS, UNITS), keras.initializers.Orthogonal(self.factor), name="recurrent_kernel"
        )
        self.b = self.add_weight((UNITS,), "zeros", name="bias")
        self.built = True

    def call(self, inputs, states, training=False):
        z = inputs @ self.w + states[0] @ self.v + self.b
        if self.normalization is not None:
            z = self.normalization(z, training=training)
        h = ops.tanh(z)
        return h, [h]


NORMALIZATIONS = {  # within the step: one layer sees all steps, so its moving statistics are averages over time, too
    "neither": lambda: None,
    "BatchNormalization": lambda: layers.BatchNormalization(momentum=0.999),
    "LayerNormalization": layers.LayerNormalization,
}
COLORS = dict(zip(NORMALIZATIONS, (course.WITHOUT, course.WITH, course.GREEN)))


def statistics_over_time(model, x):
    """Of a cell with Batch Normalization in training mode: means and variances of z over x, each (steps, units)."""
    cell, h = model.layers[0].cell, np.zeros((len(x), UNITS))
    w, v, b, gamma, beta = (one.numpy() for one in cell.trainable_variables)
    found = []
    for x_t in x.swapaxes(0, 1):
        z = x_t @ w + h @ v + b
        found.append((z.mean(0), z.var(0)))
        h = np.tanh(gamma * (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-3) + beta)
    return np.swapaxes(found, 0, 1)


def normalized_steps(script):
    """The three cells on sequences with a clock: accuracies in training mode, in inference, with settled statistics."""
    data, epochs = sequences(clock=True), 10 if script.quick else 30
    _, (x, y) = data
    ends = {name: [] for name in NORMALIZATIONS}
    for name, normalization in NORMALIZATIONS.items():
        for seed in script.seeds(5, 1):
            model = trained(lambda kind=normalization: layers.RNN(Cell(kind())), data, seed, epochs)
            in_training = np.mean(model(x, training=True).numpy().argmax(1) == y)
            end = accuracy(model, x, y)
            if name == "BatchNormalization":
                means, variances = statistics_over_time(model, data[0][0])
                settled, layer = (means.mean(0), variances.mean(0)), model.layers[0].cell.normalization
                layer.set_weights([*layer.get_weights()[:2], *settled])  # no lag of the moving ones any more
            ends[name].append((in_training, end, accuracy(model, x, y)))
    script.table(
        ("within the step", "training mode", "inference", "settled"),
        [(name, *np.median(found, 0)) for name, found in ends.items()],
        title=f"Test accuracy after {20 * epochs} steps of Adam, every step with its time",
    )
    shifts = (means - means.mean(0)) / np.sqrt(variances.mean(0))
    script.table(
        ("BatchNormalization", *(f"step {t + 1}" for t in range(PIXEL_ROWS))),
        [(f"unit {place} of {UNITS}", *shifts[:, unit]) for place, unit in middle_units(shifts).items()],
        title="Mean of z at each step, less that of all steps, in standard deviations (units by how much it varies)",
    )
    return {name: np.array(found) for name, found in ends.items()}, shifts


def middle_units(shifts):
    """Three units, by how much their mean varies over time: at a quarter, a half, three quarters of the order."""
    order = np.argsort(np.ptp(shifts, axis=0))
    return {place: order[place - 1] for place in (UNITS // 4, UNITS // 2, 3 * UNITS // 4)}


def recurrent_weights(script):
    """Accuracies over the size of the first recurrent weights, 8 empty steps after the digit."""
    factors, epochs = ((1, 3), 8) if script.quick else ((0.1, 0.3, 1, 2, 3, 5, 10), 20)
    data = sequences(after=8)

    def end(normalization, factor, seed):
        return accuracy(trained(lambda: layers.RNN(Cell(normalization(), factor)), data, seed, epochs), *data[1])

    found = {
        name: np.array([[end(normalization, factor, seed) for factor in factors] for seed in script.seeds(3, 1)])
        for name, normalization in NORMALIZATIONS.items()
    }
    script.table(
        ("recurrent weights", *(f"x {factor}" for factor in factors)),
        [(name, *np.median(runs, 0)) for name, runs in found.items()],
        title=f"Test accuracy after {20 * epochs} steps of Adam, 8 empty steps after the digit",
    )
    return factors, found


def main(argv=None):
    """By hand; gradients over time; training over time; normalization within a step."""
    with course.Script(__file__, __doc__, argv) as script:
        check_by_hand(script)
        print()
        gradients, factors = looking_back(script)
        delays, ends = remembering(script)
        modes, shifts = normalized_steps(script)
        weights = recurrent_weights(script)
        draw(script, gradients, (delays, ends), shifts, modes, weights)
        claims(script, factors, delays, ends, modes, weights)


def claims(script, factors, delays, ends, modes, weights):
    """What the page says."""
    simple, none, one, long = factors.values()
    script.claim(simple < 0.8, f"SimpleRNN: per step back {simple:.2f} of the gradient is left")
    script.claim(
        none < one - 0.15 < 0.75,
        f"LSTM: {none:.2f} with the forget bias 0, {one:.2f} with 1 (sigmoid: 0.50 and 0.73; the rest goes through h)",
    )
    script.claim(abs(long - 1) < 0.04, f"LSTM, forget bias ln T: {long:.2f}")
    last = {name: np.median(runs[:, -1]) for name, runs in ends.items()}
    script.claim(
        last["LSTM, forget bias ln T"] > last["LSTM, forget bias 1"] + 0.2,
        f"{delays[-1]} steps after the digit: {last['LSTM, forget bias ln T']:.0%} with the forget bias ln T, "
        f"{last['LSTM, forget bias 1']:.0%} with 1",
    )
    (in_training, inference, settled), (for_layer, after_layer, _) = (
        np.median(modes[name], 0) for name in ("BatchNormalization", "LayerNormalization")
    )
    script.claim(
        max(inference, settled) < min(in_training, for_layer) - 0.05 and for_layer == after_layer,
        f"within the step, with a clock: BatchNormalization {in_training:.0%} in training mode and {inference:.0%} in "
        f"inference ({settled:.0%} with settled statistics), LayerNormalization {for_layer:.0%} in both",
    )
    sizes, found = weights
    large = {name: np.median(runs[:, sizes.index(3)]) for name, runs in found.items()}
    script.claim(
        large["LayerNormalization"] > large["neither"] + 0.2,
        f"recurrent weights three times as large: {large['neither']:.0%} without, "
        f"{large['LayerNormalization']:.0%} with LayerNormalization",
    )


def draw(script, gradients, ends, shifts, modes, weights):
    """Above: gradients over time and what they are worth. Below: normalization within the step."""
    figure, axes = script.figure(size=(8.4, 6.4), mosaic="aaabbb;ccddee")
    delays, ends = ends
    for ax, found, x in ((axes["a"], gradients, np.arange(100)), (axes["b"], ends, delays)):
        for name, runs in found.items():
            color, style = STYLES[name]
            runs, dots = (runs[:, ::-1], {}) if ax is axes["a"] else (100 * runs, {"marker": "o", "markersize": 4})
            course.band(ax, x, runs, color, label=name, linestyle=style, **dots)
    axes["a"].set(xlabel="steps back from the end", ylabel="gradient (last step: 1)", yscale="log", xlim=(0, 100))
    axes["a"].legend(loc="lower left", handlelength=2.8, labelspacing=0.25)
    axes["a"].set_title("Before training: the gradient over time")
    axes["b"].set(xlabel="empty steps between digit and answer", ylabel="test accuracy (%)", ylim=(0, 135))
    axes["b"].set_yticks([0, 25, 50, 75, 100])
    axes["b"].legend(loc="upper left", handlelength=2.4, labelspacing=0.25, ncols=2, columnspacing=0.8)
    axes["b"].set_title("Trained: how long a digit is kept")

    ax = axes["c"]
    for unit, style in zip(middle_units(shifts).values(), (":", (0, (4, 1.5)), "-")):
        ax.plot(range(1, PIXEL_ROWS + 1), shifts[:, unit], color=course.WITH, linestyle=style, marker="o", markersize=4)
    ax.axhline(0, color=course.GREY, label="moving: in inference")
    ax.set(xlabel="step (a row of the digit)", xticks=range(1, PIXEL_ROWS + 1))
    ax.set(ylabel="mean over the samples (sd)", ylim=(-1.9, 1.9))
    ax.set_title("BN: one mean for all steps?")
    ax.legend(loc="upper left", labelspacing=0.25)

    ax = axes["d"]
    for i, (name, found) in enumerate(modes.items()):
        for shift, value, alpha in zip((-0.2, 0.2), np.median(found, 0), (0.45, 1)):
            ax.bar(i + shift, 100 * value, 0.36, color=COLORS[name], alpha=alpha)
            ax.annotate(f"{100 * value:.0f}", (i + shift, 100 * value + 1), ha="center", fontsize=8)
    for alpha, label in ((0.45, "training mode"), (1, "inference")):
        ax.bar(0, 0, color=course.GREY, alpha=alpha, label=label)
    ax.set_xticks(range(3), ["neither", "Batch", "Layer"])
    ax.set(ylabel="test accuracy (%)", xlabel="normalization", ylim=(0, 142), yticks=(0, 25, 50, 75, 100))
    ax.grid(axis="x", visible=False)
    ax.set_title("Every step with its time")
    ax.legend(loc="upper left", labelspacing=0.25)

    ax, (factors, found) = axes["e"], weights
    for name, runs in found.items():
        course.band(ax, factors, 100 * runs, COLORS[name], label=name, marker="o", markersize=4)
    course.log_scale(ax, x=(0.1, 1, 10) if len(factors) > 2 else factors)
    ax.set(xlabel="recurrent weights: times", ylabel="test accuracy (%)", ylim=(0, 142), yticks=(0, 25, 50, 75, 100))
    ax.set_title("Large weights")
    ax.legend(loc="upper left", labelspacing=0.25)
    script.save(figure)


if __name__ == "__main__":
    main()
