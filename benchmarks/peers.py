"""One training loop for each library, each written the way that library is fast.

A trainer takes a Model and its data and returns `fit(epochs)`, which goes on training where it stopped and
returns the last epoch's [loss, accuracy] (accuracy None where the library doesn't watch it).
All start from Glorot's weights, use Keras' constants, shuffle every epoch, and take the threads they like.
"""
from common import library
from networks import build, inputs_of

MOMENTUM, BN_EPSILON = 0.99, 1e-3  # Keras' defaults for BatchNormalization
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7  # Adam


def keras_api(side):
    def trainer(model, x, y):
        # No seed is set: Keras on TensorFlow would then show every epoch in the same order.
        net, x = build(library(side), model), inputs_of(model, x)

        def fit(epochs):
            history = net.fit(x, y, batch_size=model.batch, epochs=epochs, verbose=0).history
            return [history["loss"][-1], history["accuracy"][-1]]
        return fit
    return trainer


def pytorch(model, x, y):
    """The ordinary eager loop, without a sync per step.

    No DataLoader, which is several times slower; shuffling a whole epoch beats gathering each batch's rows.
    """
    import torch
    from torch import nn
    torch.manual_seed(0)

    def hidden(inputs, units):
        norm = nn.BatchNorm1d(units, BN_EPSILON, 1 - MOMENTUM)
        rest = [nn.ReLU(), norm, nn.Dropout(model.dropout)] if model.dropout else [norm, nn.ReLU()]
        return nn.Linear(inputs, units), *rest

    class Residual(nn.Module):
        def __init__(self, *layers):
            super().__init__()
            self.inner = nn.Sequential(*layers)

        def forward(self, x):
            return x + self.inner(x)

    class Embeddings(nn.Module):
        def __init__(self):
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(model.values, 8) for _ in range(model.columns))
            for table in self.tables:
                nn.init.uniform_(table.weight, -0.05, 0.05)

        def forward(self, categories, numbers):
            vectors = [table(column) for table, column in zip(self.tables, categories.unbind(1))]
            return torch.cat([*vectors, numbers], 1)

    widths, first = model.widths, None
    if model.kind == "residual":
        blocks = [Residual(*hidden(a, a), *hidden(a, b)) for a, b in zip(widths[2:-1:2], widths[3:-1:2])]
        layers = [nn.Linear(*widths[:2]), *blocks]
    elif model.kind == "embedding":
        first, sizes = Embeddings(), [8 * model.columns + widths[0] - model.columns, *model.hidden]
        layers = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    else:
        layers = [layer for a, b in zip(widths, model.hidden) for layer in hidden(a, b)]
    body = nn.Sequential(*layers, nn.Linear(*widths[-2:]))
    net = body if first is None else nn.ModuleList([first, body])
    for layer in body.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    x, y = [torch.from_numpy(part) for part in (x if model.columns else [x])], torch.from_numpy(y)
    y = y[:, None] if model.binary else y.long()
    optimizer = torch.optim.Adam(net.parameters(), RATE, (BETA_1, BETA_2), EPSILON, fused=True)
    criterion = nn.BCEWithLogitsLoss() if model.binary else nn.CrossEntropyLoss()

    def fit(epochs):
        for _ in range(epochs):
            net.train()
            total, hits = torch.zeros(()), torch.zeros(())
            order = torch.randperm(len(y))
            for *xb, yb in zip(*(part[order].split(model.batch) for part in (*x, y))):
                logits = body(*xb) if first is None else body(first(*xb))
                loss = criterion(logits, yb)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    total += loss
                    right = (logits > 0) == (yb > 0) if model.binary else logits.argmax(1) == yb
                    hits += right.sum()
            result = [total.item() / model.steps, hits.item() / len(y)]
        return result
    return fit


def jax_scan(model, x, y):
    """A whole epoch is one compiled call on donated state.

    NumPy draws the permutation: `jax.random.permutation` inside the compiled function sorts, which on a CPU
    costs the smallest model a third of its time. Gathering a whole epoch's rows is faster than gathering each
    batch's, and the variance as E[x^2] - E[x]^2 (Flax' default) faster than in two passes. Random numbers of
    the kind "rbg" are drawn faster than the default's.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np
    random = np.random.default_rng(0)
    weights, moving = [], []
    for inputs, units in zip(model.widths, model.widths[1:]):
        limit = (6 / (inputs + units)) ** 0.5
        kernel = jnp.asarray(random.uniform(-limit, limit, (inputs, units)), "float32")
        weights.append({"kernel": kernel, "bias": jnp.zeros(units)})
    for layer, units in zip(weights, model.hidden):
        layer.update(gamma=jnp.ones(units), beta=jnp.zeros(units))
        moving.append((jnp.zeros(units), jnp.ones(units)))

    keep = 1 - model.dropout

    def forward(weights, moving, x, key):
        moved = []
        for layer, (moving_mean, moving_variance) in zip(weights, moving):
            x = x @ layer["kernel"] + layer["bias"]
            x = jax.nn.relu(x) if model.dropout else x
            mean = x.mean(0)
            variance = jnp.maximum((x * x).mean(0) - mean * mean, 0)
            moved.append((moving_mean * MOMENTUM + mean * (1 - MOMENTUM),
                          moving_variance * MOMENTUM + variance * (1 - MOMENTUM)))
            x = (x - mean) * (jax.lax.rsqrt(variance + BN_EPSILON) * layer["gamma"]) + layer["beta"]
            if model.dropout:
                key, own = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(own, keep, x.shape), x / keep, 0)
            else:
                x = jax.nn.relu(x)
        return x @ weights[-1]["kernel"] + weights[-1]["bias"], moved

    def objective(weights, moving, x, y, key):
        logits, moved = forward(weights, moving, x, key)
        if model.binary:
            logits = logits[:, 0]
            loss = jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-abs(logits)))
            hits = (logits > 0) == (y > 0)
        else:
            loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)
            hits = logits.argmax(1) == y
        return loss.mean(), (moved, hits.mean())

    differentiate = jax.value_and_grad(objective, has_aux=True)

    def step(state, batch):
        weights, moving, m, s, t, sums = state
        key = jax.random.fold_in(jax.random.key(0, impl="rbg"), t.astype("int32"))  # unused without dropout
        (loss, (moving, accuracy)), gradient = differentiate(weights, moving, *batch, key)
        t = t + 1
        rate = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        m = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), m, gradient)
        s = jax.tree.map(lambda s, g: s + (g * g - s) * (1 - BETA_2), s, gradient)
        weights = jax.tree.map(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + EPSILON), weights, m, s)
        return (weights, moving, m, s, t, sums + jnp.stack([loss, accuracy])), None

    def epoch(state, order, x, y):
        order = order.reshape(model.steps, model.batch)
        state = jax.lax.scan(step, (*state, jnp.zeros(2)), (x[order], y[order]))[0]
        return state[:-1], state[-1] / model.steps

    epoch = jax.jit(epoch, donate_argnums=0)
    zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    state = (weights, moving, *zeros, jnp.float32(0))
    x, y = jnp.asarray(x), jnp.asarray(y)

    def fit(epochs):
        nonlocal state
        for _ in range(epochs):
            state, result = epoch(state, random.permutation(len(x)).astype("int32"), x, y)
        return jax.block_until_ready(result).tolist()
    return fit


def scikit_learn(model, x, y):
    """MLPClassifier: it has neither BatchNormalization nor Dropout, and watches the loss only."""
    import warnings

    from sklearn.neural_network import MLPClassifier
    warnings.simplefilter("ignore")  # that max_iter was reached before convergence is what we want
    net = MLPClassifier(
        model.hidden, batch_size=model.batch, learning_rate_init=RATE, epsilon=EPSILON, alpha=0,
        warm_start=True, n_iter_no_change=10**9, random_state=0,
    )

    def fit(epochs):
        net.set_params(max_iter=epochs).fit(x, y)
        return [float(net.loss_), None]
    return fit


TRAINERS = {
    "minigrad": keras_api("minigrad"), "keras-tf": keras_api("keras-tf"), "keras-jax": keras_api("keras-jax"),
    "torch": pytorch, "jax": jax_scan, "sklearn": scikit_learn,
}
