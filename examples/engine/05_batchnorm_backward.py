"""5. What is the gradient of Batch Normalization? Derived in nine small steps, each checked against numbers.

    python examples/engine/05_batchnorm_backward.py

Batch Normalization is one line to compute, but every output depends on every input of its column, through the mean
and through the variance. Taken apart into steps with one slope each, it becomes easy. With m rows, for each column:

    u = mean of x         c = x - u         v = mean of c^2         s = sqrt(v + epsilon)
    h = c / s             y = gamma h + beta                        loss = sum of g y, for any numbers g

Let dz stand for d loss / d z. We walk from y back to x, and compare each step with finite differences.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np
from engine import drawing

from minigrad import Program, Tensor, ops

EPSILON = 1e-3


def forward(x, gamma, beta):
    """All steps by name, in NumPy."""
    u = x.mean(0)
    c = x - u
    v = (c**2).mean(0)
    s = np.sqrt(v + EPSILON)
    h = c / s
    return {"x": x, "u": u, "c": c, "v": v, "s": s, "h": h, "gamma": gamma, "beta": beta, "y": gamma * h + beta}


def backward(z, g):
    """The gradient of each step, the last first. `z` holds the values of `forward`."""
    m = len(z["x"])
    dy = g
    dbeta = dy.sum(0)  # beta was added to every row
    dgamma = (dy * z["h"]).sum(0)
    dh = dy * z["gamma"]
    ds = (dh * -z["c"] / z["s"] ** 2).sum(0)  # one s divides all rows of a column
    dv = ds / (2 * z["s"])
    dc = dh / z["s"] + dv * 2 * z["c"] / m  # c is used twice: in h, and in v
    du = -dc.sum(0)
    dx = dc + du / m  # x is used twice: in c, and in u
    return {"y": dy, "beta": dbeta, "gamma": dgamma, "h": dh, "s": ds, "v": dv, "c": dc, "u": du, "x": dx}


FORMULAS = {
    "y": "g",
    "beta": "sum of dy",
    "gamma": "sum of dy h",
    "h": "dy gamma",
    "s": "-sum of dh c / s^2",
    "v": "ds / (2 s)",
    "c": "dh / s + dv 2 c / m",
    "u": "-sum of dc",
    "x": "dc + du / m",
}
IN_ONE_LINE = "dx = γ / s · (g - mean(g) - h · mean(g h))"


def loss_from(name, value, z, g):
    """The loss if the step `name` had this value, and all before it the values of `z`."""
    z = {**z, name: value}
    for step, rule in (
        ("u", lambda: z["x"].mean(0)),
        ("c", lambda: z["x"] - z["u"]),
        ("v", lambda: (z["c"] ** 2).mean(0)),
        ("s", lambda: np.sqrt(z["v"] + EPSILON)),
        ("h", lambda: z["c"] / z["s"]),
        ("y", lambda: z["gamma"] * z["h"] + z["beta"]),
    ):
        if step != name:
            z[step] = rule()
    return (g * z["y"]).sum()


def by_differences(name, z, g, step=1e-6):
    """d loss / d z[name] by finite differences: change one element a little, and see what the loss does."""
    slopes = np.empty_like(z[name])
    for place in np.ndindex(slopes.shape):
        losses = []
        for sign in (1, -1):
            value = z[name].copy()
            value[place] += sign * step
            losses.append(loss_from(name, value, z, g))
        slopes[place] = (losses[0] - losses[1]) / (2 * step)
    return slopes


def step_by_step(script, z, g):
    """Nine gradients, each compared."""
    derived, rows = backward(z, g), []
    for name, gradient in derived.items():
        error = np.abs(gradient - by_differences(name, z, g)).max()
        assert error < 1e-7, name
        rows.append((f"d{name}", FORMULAS[name], str(gradient.shape), error))
    script.table(("gradient", "formula", "shape", "error"), rows)
    return derived


def in_one_line(script, z, g, derived):
    """Put the steps into each other and m, u, v cancel to the closed form that minigrad's kernel computes.

    ds / (2 s) 2 c / m = -(1/m) h sum(dh h) / s. The column sum of dc is that of dh / s, since c sums to zero. So

        dx = gamma / s (g - (1/m) sum g - h (1/m) sum g h)

    In words: the gradient, without its mean, and without the part of it that points along h.
    """
    m, h = len(g), z["h"]
    dx = z["gamma"] / z["s"] * (g - g.sum(0) / m - h * (g * h).sum(0) / m)
    script.claim(np.allclose(dx, derived["x"], rtol=0, atol=1e-14), "the closed form is the nine steps in one line")

    x, gamma, beta = (Tensor(z[name], requires_grad=True) for name in ("x", "gamma", "beta"))

    def chain():
        c = x - ops.mean(x, axis=0)
        s = ops.sqrt(ops.mean(ops.square(c), axis=0) + EPSILON)
        return gamma * (c / s) + beta

    def one_operation():
        moving = {"moving_mean": np.zeros((1, x.shape[1])), "moving_variance": np.ones((1, x.shape[1]))}
        return ops.batch_normalization(
            x, np.zeros(x.shape[1]), gamma, beta, **moving, momentum=0.99, epsilon=EPSILON
        )

    lengths = []
    for normalize in (chain, one_operation):
        x.grad = gamma.grad = beta.grad = None
        normalize().backward(g)
        for tensor, name in ((x, "x"), (gamma, "gamma"), (beta, "beta")):
            assert np.allclose(tensor.grad, derived[name], rtol=0, atol=1e-13), name

        def step(normalize=normalize):
            x.grad = gamma.grad = beta.grad = None
            normalize().backward(g)

        lengths.append(len(Program(step)))
    script.claim(True, "minigrad agrees with both, as a chain of small operations and as one")
    script.claim(lengths[1] < lengths[0] / 5,
                 f"there and back the chain takes {lengths[0]} launches, the closed form {lengths[1]}")


def consequences(script):
    """What the last formula implies for the Dense layer before: x = inputs W + b."""
    random = np.random.default_rng(script.seed)
    inputs, g = random.normal(size=(32, 8)), random.normal(size=(32, 5))
    start = random.normal(size=(8, 5))

    def gradients(weights, epsilon):
        """The loss, and its slopes along W and b."""
        w, b = Tensor(weights, requires_grad=True), Tensor(np.full(5, 0.3), requires_grad=True)
        z = Tensor(inputs) @ w + b
        c = z - ops.mean(z, axis=0)
        y = c / ops.sqrt(ops.mean(ops.square(c), axis=0) + epsilon)
        loss = ops.sum(y * g)
        loss.backward()
        return loss.item(), w.grad, b.grad

    rows = []
    for epsilon in (0.0, EPSILON):
        loss, dw, db = gradients(start, epsilon)
        loss_10, dw_10, _ = gradients(10 * start, epsilon)
        along = np.abs((start * dw).sum(0)).max()
        rows.append((str(epsilon), np.abs(db).max(), along, abs(loss_10 - loss), np.abs(10 * dw_10 - dw).max()))
    print()
    script.table(("epsilon", "|dL/db|", "|<w, dL/dw>|", "|L(10 W) - L(W)|", "|10 dL/d(10 W) - dL/dW|"), rows)
    exact, kept = np.array([row[1:] for row in rows])
    script.claim(exact[0] < 1e-12 and kept[0] < 1e-12, "a bias before the layer gets no gradient: leave it out")
    script.claim(exact[1] < 1e-12, "without epsilon the gradient stands at right angles to each unit's weights")
    script.claim(exact[2] < 1e-12 and exact[3] < 1e-12,
                 "then weights ten times as large give the same loss, and gradients a tenth as large")  # fmt: skip
    script.claim(kept[1:].min() > 1e-6 and kept[1:].max() < 0.1, "epsilon breaks the last two a little")


class Step:
    """A box of the picture."""

    def __init__(self, name, formula, gradient, *parents):
        self.lines, self.parents = (name, formula, gradient), list(parents)


def draw(script):
    """The steps as a graph; where two arrows leave a box, two gradients come back and are added."""
    x = Step("x", "inputs", "dc + du/m")
    u = Step("u", "mean x", "-Σ dc", x)
    c = Step("c", "x - u", "dh/s + 2c dv/m", x, u)
    v = Step("v", "mean c²", "ds / 2s", c)
    s = Step("s", "√(v + ε)", "-Σ dh c/s²", v)
    h = Step("h", "c / s", "γ dy", c, s)
    gamma, beta = Step("γ", "gamma", "Σ dy h"), Step("β", "beta", "Σ dy")
    y = Step("y", "γ h + β", "dy = g", h, gamma, beta)
    graph = y, lambda step: step.parents, lambda step: step.lines
    notes = ("The nine gradients in one line:", 9), (IN_ONE_LINE, 11)
    title = "Values (green) and gradients (pink)"
    script.save(*drawing.figures(script, (8.4, 2.9), title, *graph, notes=notes))


def main(argv=None):
    """Derive, shorten, conclude."""
    with course.Script(__file__, __doc__, argv) as script:
        random = np.random.default_rng(script.seed)
        z = forward(random.normal(2, 3, (6, 3)), random.uniform(0.5, 2, 3), random.normal(size=3))
        g = random.normal(size=(6, 3))
        derived = step_by_step(script, z, g)
        in_one_line(script, z, g, derived)
        consequences(script)
        draw(script)


if __name__ == "__main__":
    main()
