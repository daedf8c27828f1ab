"""2. What is a network, without layers? Three matrices, and a short loop that trains them.

    python examples/engine/02_network.py

Two half moons of points can't be told apart by a straight line. A network with two hidden layers bends the line: it
is a function of the point and of some numbers, and training is the search for numbers that make the loss small.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import make_moons

from minigrad import Tensor, no_grad, ops

WIDTHS = (2, 24, 24, 1)  # two coordinates, two hidden layers of 24 units, one number that says which moon


def parameters(seed):
    """The numbers that will be learned: a matrix and a row for each layer, random at first."""
    random, found = np.random.default_rng(seed), []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        scale = np.sqrt(1 / inputs)  # so that what comes out of a layer is about as large as what goes in
        found.append(Tensor(random.normal(0, scale, (inputs, outputs)), requires_grad=True, dtype="float32"))
        found.append(Tensor(np.zeros(outputs), requires_grad=True, dtype="float32"))
    return found


def network(x, numbers):
    """Each layer is a matrix product, a shift, and tanh; without tanh it would all be one matrix."""
    w1, b1, w2, b2, w3, b3 = numbers
    h = ops.tanh(x @ w1 + b1)
    h = ops.tanh(h @ w2 + b2)
    return h @ w3 + b3  # above 0: the network says that the point belongs to moon 1


def train(x, y, numbers, steps, rate=0.5):
    """Gradient descent, the whole of it; yields the step, and the loss before it."""
    x, y = Tensor(x, dtype="float32"), Tensor(y[:, None], dtype="float32")
    for step in range(steps):
        loss = ops.binary_crossentropy_logits(y, network(x, numbers)).mean()  # how surprised it is by the truth
        for w in numbers:
            w.grad = None
        loss.backward()  # now w.grad holds the slope of the loss along each number in w
        for w in numbers:
            w.numpy()[...] -= rate * w.grad  # a small step downhill
        yield step, loss.item()


def score(x, numbers):
    """What the network says of each point, as NumPy; nothing to differentiate here, so no tape."""
    with no_grad():
        return network(Tensor(x, dtype="float32"), numbers).numpy()[:, 0]


def draw(ax, x, y, numbers, title):
    """The plane as the network sees it, and the line where it can't decide."""
    across, up = np.meshgrid(np.linspace(-1.9, 2.9, 96), np.linspace(-1.4, 1.9, 66))
    z = score(np.stack([across.ravel(), up.ravel()], 1), numbers).reshape(across.shape)
    p = 1 / (1 + np.exp(-z))
    shades = LinearSegmentedColormap.from_list("moons", [course.PINK, "white", course.GREEN])
    area = (across.min(), across.max(), up.min(), up.max())
    ax.imshow(p, extent=area, origin="lower", aspect="auto", cmap=shades, alpha=0.4, interpolation="none")
    ax.contour(across, up, z, levels=[0], colors=course.INK, linewidths=1.2)
    for label, color, marker in ((0, course.PINK, "o"), (1, course.GREEN, "s")):
        ax.plot(*x[:200][y[:200] == label].T, marker, color=color, markersize=3, label=f"moon {label}")
    ax.set(title=title, xlabel="first coordinate", xticks=[-1, 0, 1, 2], yticks=[-1, 0, 1])
    ax.grid(visible=False)


def main(argv=None):
    """Train, look, count."""
    with course.Script(__file__, __doc__, argv) as script:
        x, y = make_moons(2400, noise=0.2, random_state=script.seed)
        x, y, x_new, y_new = x[:400], y[:400], x[400:], y[400:]
        steps = 1000 if script.quick else 2000
        numbers = parameters(script.seed)
        print(f"{sum(w.size for w in numbers)} numbers to learn, {len(x)} points to learn from, {steps} steps\n")

        figure, axes = script.figure(1, 3, size=(8.4, 3.1), sharey=True)
        axes[0].set_ylabel("second coordinate")
        looks, rows = dict(zip((0, 50, steps - 1), axes)), []
        for step, loss in train(x, y, numbers, steps):
            if step in looks:
                right = [np.mean((score(points, numbers) > 0) == labels) for points, labels in ((x, y), (x_new, y_new))]
                rows.append((f"{step + 1}", loss, right[0], right[1]))
                name = f"after {step + 1} steps" if step else "after one step"
                draw(looks[step], x, y, numbers, f"{name}: {right[1]:.0%} right")
        script.table(("step", "loss before it (nats)", "right, seen points", "right, new points"), rows)

        # A straight line, the best that there is, for comparison: least squares on the coordinates.
        line = np.linalg.lstsq(np.c_[x, np.ones(len(x))], 2 * y - 1, rcond=None)[0]
        straight = np.mean((np.c_[x_new, np.ones(len(x_new))] @ line > 0) == y_new)
        script.claim(right[1] > 0.94 and right[1] > straight + 0.05,
                     f"the network tells {right[1]:.1%} of the new points apart, a straight line {straight:.1%}")
        axes[0].plot([], [], color=course.INK, linewidth=1.2, label="where the network can't decide")
        course.legend(figure, axes[0])
        script.save(figure)


if __name__ == "__main__":
    main()
