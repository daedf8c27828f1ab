"""9. Does Batch Normalization work because it reduces internal covariate shift?

    python examples/batchnorm/09_internal_covariate_shift.py [--quick] [--seed 0] [--out FOLDER]

Internal covariate shift is the explanation in the title of the paper (Ioffe and Szegedy 2015). Each layer is like a
runner on a treadmill whose speed somebody else keeps changing: while it learns, the layers before it learn, too, and
its inputs shift. Batch Normalization, they said, holds the treadmill at one speed. Santurkar, Tsipras, Ilyas and Madry
(2018, arXiv:1805.11604) doubted it and tested it. Both of their tests are repeated here, small.

First, the shift can be measured: how much a layer's gradient changes when only the layers before it take their step.
And it can be made: "noisy" adds random shifts and scales after each Batch Normalization, new ones at every step. If the
explanation were right, less shift would mean better training.

Second, their own explanation: the loss is smoother, so that the gradient tells further ahead what a step will do. At
every tenth step we walk along the gradient and look at the losses and gradients on the way.

Test accuracies on the way use moving averages of momentum 0.9, which lag by some ten steps (experiment 8).

What is measured here agrees with them. That is no proof that smoothness is the cause, on these small networks or at
all: how much each effect of experiments 2 to 6 contributes is still argued about.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import course
from batchnorm.networks import accuracy, digits, untouched

import minigrad as keras
from minigrad.layers import Activation, BatchNormalization, Dense

BATCH = 64
ARMS = {"without": course.WITHOUT, "with": course.WITH, "noisy": course.PINK}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Noise(keras.Layer):
    """In training, x scale + shift, where `redraw` draws both: for each unit its own distribution of both."""

    def build(self, input_shape):
        shape = (BATCH, input_shape[-1])
        self.scale = self.add_weight(shape, "ones", trainable=False, name="scale")
        self.shift = self.add_weight(shape, "zeros", trainable=False, name="shift")

    def call(self, inputs, training=False):
        return inputs * self.scale + self.shift if training else inputs

    def redraw(self, rng):
        """New noise. It lives in variables, so that a step that was recorded once sees it."""
        rows, units = self.scale.shape
        self.scale.assign(np.tile(rng.uniform(1, 1.25, units), (rows, 1)))
        spread = rng.uniform(0, 0.5, units)
        self.shift.assign(rng.uniform(-0.5, 0.5, units) + spread * rng.standard_normal((rows, units)))


def build(arm, depth, activation, rate, initializer="glorot_uniform"):
    """A compiled network: "without", "with" or "noisy"."""
    model = keras.Sequential([keras.Input((64,))])
    for _ in range(depth):
        model.add(Dense(100, kernel_initializer=initializer))
        if arm != "without":
            model.add(BatchNormalization(momentum=0.9))
        if arm == "noisy":
            model.add(Noise())
        model.add(Activation(activation))
    model.add(Dense(10))
    model.compile(keras.optimizers.SGD(rate), LOSS)
    return model


def gradients(model, x, y):
    """The loss on a batch and its gradients."""
    for variable in model.trainable_variables:
        variable.grad = None
    loss = LOSS(y, model(x, training=True))
    loss.backward()
    return float(loss), [variable.grad.copy() for variable in model.trainable_variables]


def length(arrays):
    """The length of the vector that these arrays make together."""
    return np.sqrt(sum(np.square(a).sum() for a in arrays))


def covariate_shift(model, x, y, rate, redraw=lambda: None):
    """|change of a layer's gradient| / |gradient| after a step of the layers before it, mean of the hidden layers."""
    variables = model.trainable_variables
    with untouched(model):
        _, before = gradients(model, x, y)
        steps = [v.numpy() - rate * g for v, g in zip(variables, before)]
        redraw()
        changes = []
        for i, variable in enumerate(variables[:-2]):  # the last two are of the output layer
            if i > 0 and variable.name == "kernel":
                _, after = gradients(model, x, y)
                changes.append(length([after[i] - before[i]]) / length([before[i]]))
            variable.assign(steps[i])
        return np.mean(changes)


def walk(model, x, y, distances):
    """Losses, and relative changes of the gradient, at these distances along the gradient."""
    variables = model.trainable_variables
    with untouched(model):
        _, here = gradients(model, x, y)
        start = [v.numpy() for v in variables]
        losses, changes = [], []
        for distance in distances:
            for variable, w, g in zip(variables, start, here):
                variable.assign(w - distance * g)
            loss, there = gradients(model, x, y)
            losses.append(loss)
            changes.append(length([a - b for a, b in zip(there, here)]) / length(here))
    return losses, changes


class Probe(keras.callbacks.Callback):
    """Calls `measure(model, x, y)` on the coming batch's place in the data, at every so many steps; redraws noise."""

    def __init__(self, measure, data, every, rows, seed=0):
        super().__init__()
        self.measure, self.every, self.rows = measure, every, rows
        (self.x, self.y), self.test = data
        self.rng = np.random.default_rng(seed)
        self.step, self.found, self.accuracies = 0, [], []

    def redraw(self):
        """New noise for all layers of noise."""
        for layer in self.model.layers:
            if isinstance(layer, Noise):
                layer.redraw(self.rng)

    def on_train_batch_begin(self, batch, logs=None):
        self.redraw()
        if self.step % self.every == 0:
            rows = slice(start := self.step * self.rows % len(self.x), start + self.rows)
            self.accuracies.append(accuracy(self.model, *self.test))
            self.found.append(self.measure(self, self.x[rows], self.y[rows]))
        self.step += 1


def shift_and_learning(data, arm, depth, activation, rate, seed, epochs):
    """(test accuracies on the way, mean shift with the noise held, and with the noise of the next step)."""
    keras.utils.set_random_seed(seed)
    model = build(arm, depth, activation, rate)
    probe = Probe(
        lambda p, x, y: (covariate_shift(p.model, x, y, rate), covariate_shift(p.model, x, y, rate, p.redraw)),
        data, every=10, rows=BATCH, seed=seed,
    )
    model.fit(*data[0], batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[probe])
    return probe.accuracies, *np.mean(probe.found, axis=0)


def landscape(data, arm, seed, epochs):
    """(losses, changes of the gradient) along the gradient, at every tenth step; 8 layers of ReLU, He, SGD 0.1."""
    keras.utils.set_random_seed(seed)
    model = build(arm, 8, "relu", 0.1, "he_normal")
    probe = Probe(lambda p, x, y: walk(p.model, x, y, np.linspace(0.05, 0.4, 8)), data, every=10, rows=128)
    model.fit(*data[0], batch_size=128, epochs=epochs, verbose=0, callbacks=[probe])
    return probe.found


def main(argv=None):
    """Measure the shift, make more of it, and walk along gradients."""
    with course.Script(__file__, __doc__, argv) as script:
        data, seeds = digits(), script.seeds(5, 1)
        epochs = 5 if script.quick else 10
        cases = {"8 layers of tanh": (8, "tanh", 0.03), "5 layers of sigmoids": (5, "sigmoid", 0.1)}
        runs = {
            (case, arm): [shift_and_learning(data, arm, *setting, seed, epochs) for seed in seeds]
            for case, setting in cases.items()
            for arm in ARMS
        }
        curves = {key: np.array([run[0] for run in many]) for key, many in runs.items()}
        held, redrawn = ({key: np.array([run[i] for run in many]) for key, many in runs.items()} for i in (1, 2))
        script.table(
            ("network", "", "shift", "shift, new noise", "accuracy, step 50", f"step {20 * epochs - 10}"),
            [
                (*key, np.median(held[key]), np.median(redrawn[key]), *np.median(accuracies, 0)[[5, -1]])
                for key, accuracies in curves.items()
            ],
            title=f"Relative change of a layer's gradient by the layers before it, median of {len(seeds)} seeds",
        )

        # axes: seed, step, (losses, changes), distance
        along = {
            arm: np.array([landscape(data, arm, seed, 2 * epochs) for seed in seeds]) for arm in ("without", "with")
        }
        ranges = {arm: np.ptp(found[:, :, 0], axis=-1) for arm, found in along.items()}
        changes = {arm: found[:, :, 1].max(-1) for arm, found in along.items()}
        script.table(
            ("8 layers of ReLU, walks along the gradient", "largest", "median"),
            [(f"{what}, {arm}", table[arm].max(), np.median(table[arm]))
             for what, table in (("range of the loss (nats)", ranges), ("relative change of the gradient", changes))
             for arm in along],
        )
        draw(script, cases, curves, held, redrawn, along, changes)

        for case in cases:
            plain, normalized, noisy = (np.median(redrawn[case, arm]) for arm in ARMS)
            script.claim(
                plain < normalized < noisy,
                f"{case}: shift {plain:.2g} without, {normalized:.2g} with, {noisy:.2g} with and noise",
            )
            last = [np.median(curves[case, arm][:, -1]) for arm in ARMS]
            _, normal, disturbed = last
            script.claim(abs(normal - disturbed) < 0.05, f"{case}: accuracy {normal:.2f} with, {disturbed:.2f} noisy")
        last = [np.median(curves["5 layers of sigmoids", arm][:, -1]) for arm in ARMS]
        script.claim(last[0] < 0.3 and last[2] > 0.85, "sigmoids: the least shift does not learn, the most shift does")
        for what, table in (("losses", ranges), ("gradients", changes)):
            times = table["without"].max() / table["with"].max()
            script.claim(times > 2.5, f"with it the worst walk is smoother: {what} change {times:.0f} times less")


def draw(script, cases, curves, held, redrawn, along, changes):
    """Learning and shift above, the landscape below."""
    figure, axes = script.figure(size=(8.4, 5.8), mosaic="aabbcc;dddeee")
    names = {"without": "without", "with": "with Batch Normalization", "noisy": "with it and noise"}
    for key, case in zip("ab", cases):
        for arm, color in ARMS.items():
            runs = 100 * curves[case, arm]
            course.band(axes[key], 10 * np.arange(runs.shape[1]), runs, color, label=names[arm])
        axes[key].set(xlabel="training step", ylim=(0, 103), xlim=(0, None), xticks=(0, 50, 100, 150, 200))
        axes[key].set_title(case)
    axes["a"].set_ylabel("test accuracy (%)")
    course.legend(figure, axes["a"])

    ax = axes["c"]
    for j, case in enumerate(cases):
        for i, (arm, color) in enumerate(ARMS.items()):
            y = 4 * j + i
            ax.plot(np.median(redrawn[case, arm]), y, "o", color=color)
            if arm == "noisy":
                ax.plot(np.median(held[case, arm]), y, "s", color=color)
    course.log_scale(ax, x=[0.001, 0.01, 0.1, 1])
    ax.set_yticks([1, 5], [case.replace(" of", "\nof") for case in cases], fontsize=8)
    ax.set(ylim=(7.6, -0.7), xlabel="relative change of gradients", xlim=(0.0003, 3))
    ax.plot([], [], "s", color=ARMS["noisy"], label="its noise held still")
    ax.legend(loc="lower left", borderpad=0, handlelength=1)
    ax.grid(axis="y", visible=False)
    ax.set_title("Internal covariate shift")

    for arm, found in along.items():
        losses, color, steps = found[:, :, 0], ARMS[arm], 10 * np.arange(found.shape[1])
        low, high = losses.min(-1).min(0), losses.max(-1).max(0)
        alpha = 0.75 if arm == "with" else 0.35
        axes["d"].fill_between(steps, low, high, color=color, alpha=alpha, linewidth=0)
        course.band(axes["e"], steps, changes[arm], color)
    course.log_scale(axes["d"], y=[0.001, 0.01, 0.1, 1, 10])
    axes["d"].set(xlabel="training step", ylabel="losses on a walk (nats)", xlim=(0, None), ylim=(0.0005, 50))
    axes["d"].set_title("Losses met on a walk along the gradient")
    course.log_scale(axes["e"], y=[0.3, 1, 3, 10])
    axes["e"].set(xlabel="training step", ylabel="largest relative change", xlim=(0, None))
    axes["e"].set_title("Change of the gradient on the same walk")
    script.save(figure)


if __name__ == "__main__":
    main()
