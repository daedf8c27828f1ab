"""7. Where does the time go? The article's training step in plain NumPy, run eagerly, and replayed.

    python examples/engine/07_where_the_time_goes.py

A step on 32 rows is some 280,000 multiplications, microseconds for a processor. What takes the rest? We write the
step in NumPy as one would, check that it computes what minigrad computes, and hold a clock to the parts of each.
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np

import minigrad as keras
from minigrad import Tensor
from minigrad.layers import Activation, BatchNormalization, Dense

ROWS = 32
PARTS = ("take a batch", "forward", "backward", "update", "metrics")
COLORS = (course.GREY, course.SKY, course.GREEN, course.PINK, course.YELLOW)


def article_network(seed):
    """The network of the article, and data made up for it."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        Dense(64, input_shape=(20,)), BatchNormalization(), Activation("relu"),
        Dense(32), BatchNormalization(), Activation("relu"),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(optimizer=keras.optimizers.Adam(), loss="binary_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(seed).standard_normal((1024, 20)).astype("float32")
    return model, x, (x[:, :5].sum(1, keepdims=True) > 0).astype("float32")


class InNumPy:
    """The same step by hand: each method is a part of it. (The biases before Batch Normalization are left out.)"""

    def __init__(self, weights):
        """`weights`: as model.get_weights() gives them."""
        w = [np.array(v) for v in weights]
        self.trained = {"w1": w[0], "gamma1": w[2], "beta1": w[3], "w2": w[6], "gamma2": w[8], "beta2": w[9],
                        "w3": w[12], "b3": w[13]}  # fmt: skip
        self.moving = [w[4], w[5], w[10], w[11]]
        self.m = {name: np.zeros_like(v) for name, v in self.trained.items()}
        self.v = {name: np.zeros_like(v) for name, v in self.trained.items()}
        self.t = self.right = self.seen = 0
        self.total = 0.0

    def batch(self, x, y, order):
        self.x, self.y = x[order], y[order]

    def normalize(self, z, gamma, beta, k):
        mean, variance = z.mean(0), z.var(0)
        self.moving[k] = 0.99 * self.moving[k] + 0.01 * mean
        self.moving[k + 1] = 0.99 * self.moving[k + 1] + 0.01 * variance
        inverse = 1 / np.sqrt(variance + np.float32(1e-3))
        h = (z - mean) * inverse
        return h, inverse, np.maximum(gamma * h + beta, 0)

    def forward(self):
        p = self.trained
        self.h1, self.i1, self.a1 = self.normalize(self.x @ p["w1"], p["gamma1"], p["beta1"], 0)
        self.h2, self.i2, self.a2 = self.normalize(self.a1 @ p["w2"], p["gamma2"], p["beta2"], 2)
        z = self.a2 @ p["w3"] + p["b3"]
        self.p = 1 / (1 + np.exp(-z))
        self.loss = (np.maximum(z, 0) - z * self.y + np.log1p(np.exp(-np.abs(z)))).mean()

    def normalize_back(self, g, a, h, inverse, gamma):
        g = g * (a > 0)
        dgamma, dbeta = (g * h).sum(0), g.sum(0)
        return gamma * inverse * (g - dbeta / len(g) - h * dgamma / len(g)), dgamma, dbeta

    def backward(self):
        p, d = self.trained, {}
        g = (self.p - self.y) / len(self.y)
        d["w3"], d["b3"] = self.a2.T @ g, g.sum(0)
        g, d["gamma2"], d["beta2"] = self.normalize_back(g @ p["w3"].T, self.a2, self.h2, self.i2, p["gamma2"])
        d["w2"] = self.a1.T @ g
        g, d["gamma1"], d["beta1"] = self.normalize_back(g @ p["w2"].T, self.a1, self.h1, self.i1, p["gamma1"])
        d["w1"] = self.x.T @ g
        self.gradients = d

    def update(self):
        self.t += 1
        rate = np.float32(0.001 * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t))
        for name, w in self.trained.items():
            g, m, v = self.gradients[name], self.m[name], self.v[name]
            m += (g - m) * np.float32(0.1)
            v += (g * g - v) * np.float32(0.001)
            w -= rate * m / (np.sqrt(v) + np.float32(1e-7))

    def books(self):
        self.total += float(self.loss) * len(self.y)
        self.right += int(((self.p > 0.5) == (self.y > 0.5)).sum())
        self.seen += len(self.y)


def time_parts(parts, steps, rounds):
    """Seconds that each part, a function of the number of the step, takes per step: the quickest of many short rounds.

    Whatever else the computer does only ever adds time, and not to all of them.
    """
    best = np.full(len(parts), np.inf)
    for _ in range(rounds):
        spent = np.zeros(len(parts))
        for step in range(steps):
            for i, part in enumerate(parts):
                began = time.perf_counter()
                part(step)
                spent[i] += time.perf_counter() - began
        best = np.minimum(best, spent / steps)
    return best


def in_numpy(model, x, y):
    """The parts of the step in NumPy, and the object that holds its state."""
    plain = InNumPy(model.get_weights())
    orders = np.arange(len(x)).reshape(-1, ROWS)
    take = lambda step: plain.batch(x, y, orders[step % len(orders)])
    rest = (plain.forward, plain.backward, plain.update, plain.books)
    return [take, *((lambda step, part=part: part()) for part in rest)], plain


def eagerly(model, x, y):
    """The parts of the step with minigrad's tensors, launch by launch: what `fit` records."""
    state, orders = {}, np.arange(len(x)).reshape(-1, ROWS)
    loss_of, optimizer = keras.losses.BinaryCrossentropy(), model.optimizer
    loss_mean, accuracy = keras.metrics.Mean(), keras.metrics.BinaryAccuracy()
    weights = model.trainable_variables

    def batch(step):
        order = orders[step % len(orders)]
        state.update(x=Tensor(x[order]), y=Tensor(y[order]))

    def forward(step):
        state["p"] = model(state["x"], training=True)
        state["loss"] = loss_of(state["y"], state["p"])

    def backward(step):
        for w in weights:
            w.grad = None
        state["loss"].backward()

    def update(step):
        optimizer.step()

    def books(step):
        with keras.no_grad():
            loss_mean.update_state(state["loss"])
            accuracy.update_state(state["y"], state["p"])

    return [batch, forward, backward, update, books]


def replayed(program, steps, rounds):
    """Seconds of each line of the Program repeated alone, and of a whole step replayed.

    A short epoch is replayed again and again: the order starts anew whenever it ends.
    """
    cursor, length = program.inputs["cursor"], len(program.inputs["order"]) // ROWS
    whole = np.inf
    for _ in range(rounds):
        spent = 0.0
        for _ in range(max(1, steps // length)):
            cursor[...] = 0
            began = time.perf_counter()
            program.replay(length)
            spent += time.perf_counter() - began
        whole = min(whole, spent / length / max(1, steps // length))
    cursor[...] = 0
    lines = np.min([[seconds for _, seconds in program.profile(10 * steps)] for _ in range(rounds)], axis=0)
    return lines, whole


def part_of_each(names):
    """Which of PARTS each line of the Program belongs to, by the kernels at which the next part begins."""
    begins = {"matmul": 1, "fill_scaled": 2, "adam": 3, "track_loss": 4}
    part, found = 0, []
    for name in names:
        part = max(part, begins.get(name, part))
        found.append(part)
    return np.array(found)


def main(argv=None):
    """Check that all compute the same, then hold the clock to them."""
    with course.Script(__file__, __doc__, argv) as script:
        steps, rounds = 20, 30 if script.quick else 300
        model, x, y = article_network(script.seed)
        parts, plain = in_numpy(model, x, y)
        history = model.fit(x, y, batch_size=ROWS, shuffle=False, verbose=0).history
        for step in range(len(x) // ROWS):
            for part in parts:
                part(step)
        script.claim(np.isclose(plain.total / plain.seen, history["loss"][0], rtol=1e-4)
                     and abs(plain.right / plain.seen - history["accuracy"][0]) < 0.01,
                     f"an epoch in NumPy ends with the same loss, {plain.total / plain.seen:.4f}")  # fmt: skip

        seconds = {"plain NumPy": time_parts(parts, steps, rounds)}
        model, x, y = article_network(script.seed)
        model.fit(x, y, batch_size=ROWS, verbose=0)
        seconds["minigrad, eagerly"] = time_parts(eagerly(model, x, y), steps, rounds)
        program = model.train_program
        program.bind(x=x, y=y, order=np.arange(len(x))[:, None], cursor=np.zeros((1, 1), np.int64))
        lines, whole = replayed(program, steps, rounds)
        names = [kernel.name for kernel, *_ in program.instructions]
        of = part_of_each(names)
        seconds["minigrad, replayed"] = np.array([lines[of == i].sum() for i in range(len(PARTS))])
        seconds["minigrad, replayed"] *= whole / seconds["minigrad, replayed"].sum()  # alone they are a little faster

        print()
        script.table(("microseconds per step", *PARTS, "together"), [
            (name, *(1e6 * parts), 1e6 * parts.sum()) for name, parts in seconds.items()
        ])  # fmt: skip
        totals = {name: parts.sum() for name, parts in seconds.items()}
        numpy, eager, replay = totals.values()
        script.claim(replay < eager and replay < numpy,
                     f"NumPy takes {numpy / replay:.0f} times as long as the replay, eagerly {eager / replay:.0f}")

        figure, (left, right) = script.figure(1, 2, size=(8.4, 3.2), width_ratios=(1.25, 1))
        for row, parts in enumerate(seconds.values()):
            begins = np.cumsum([0, *parts])
            for i, part in enumerate(PARTS):
                left.barh(row, 1e6 * parts[i], left=1e6 * begins[i], height=0.55, color=COLORS[i],
                          label=part if row == 0 else None)  # fmt: skip
            left.annotate(f"{1e6 * begins[-1]:.0f}", (1e6 * begins[-1], row), (4, 0), textcoords="offset points",
                          va="center")  # fmt: skip
        left.set(title="One training step on 32 rows", xlabel="microseconds", yticks=range(3), yticklabels=seconds,
                 xlim=(0, 1.12e6 * max(totals.values())))  # fmt: skip
        left.invert_yaxis()
        left.grid(axis="y", visible=False)
        left.legend(ncols=len(PARTS), loc="upper center", bbox_to_anchor=(0.4, -0.2), columnspacing=1, handlelength=0.8)

        by_kernel = {}
        for name, spent in zip(names, lines):
            by_kernel[name] = by_kernel.get(name, 0.0) + 1e6 * spent
        longest = sorted(by_kernel, key=by_kernel.get)[-9:]
        short = [name.replace("binary_crossentropy_logits", "crossentropy") for name in longest]
        right.barh(short, [by_kernel[name] for name in longest], height=0.6, color=course.GREY)
        right.set(title="The shortest bar, by kernel", xlabel="microseconds")
        right.tick_params(axis="y", labelsize=7.5)
        right.grid(axis="y", visible=False)
        script.save(figure)


if __name__ == "__main__":
    main()
