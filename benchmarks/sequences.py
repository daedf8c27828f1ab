"""Training steps of recurrent networks, and predictions for one sequence, in minigrad and in three peers.

    python benchmarks/sequences.py [--networks prices ...] [--peers keras-tf ...] [--rounds 5] [--quick] [--json FILE]

Per network: the milliseconds of a training step in `fit()`, and of `predict` for one sequence. PyTorch shows its best
of one thread and of all. The sides take turns, and each one's best round counts.

`limit` is the time that the multiply-adds of a step take at the rate of minigrad's matrix product on all cores.
"""
import sys
from dataclasses import dataclass

from common import STAR, library, machine, number, options, parse, save, serve, table, timing, verdict, version
from images import rate, timed
from step import measure


@dataclass(frozen=True)
class Network:
    title: str
    shape: tuple  # of one sequence; of words just their number
    batch: int
    steps: int  # per epoch
    multiplications: int  # of the forward pass of one sequence, at each step those of one row with all kernels


def gates(steps, inputs, units, count):
    """Multiply-adds of a recurrent layer: the products of a step with both kernels."""
    return steps * (inputs + units) * units * count


NETWORKS = {
    "prices": Network("60 steps of 1; LSTM 50, LSTM 50, Dense 1", (60, 1), 32, 32,
                      gates(60, 1, 50, 4) + gates(60, 50, 50, 4)),
    "sensors": Network("128 steps of 9; LSTM 64, GRU 64, Dense 1", (128, 9), 64, 8,
                       gates(128, 9, 64, 4) + gates(128, 64, 64, 3)),
    "words": Network("100 of 10,000 words; Embedding 32, Bidirectional LSTM 32, Dense 1", (100,), 32, 32,
                     2 * gates(100, 32, 32, 4)),
    "average": Network("256 of 10,000 words; Embedding 16, average, Dense 16, Dense 1", (256,), 512, 8, 16 * 16),
}
WORDS = 10_000
GOALS = {  # the peer's time over minigrad's, for a training step; "limit": minigrad's over the limit, at most
    "prices": {"keras-tf": 5, "keras-jax": 2.5, "torch": 3, "limit": 2.5},
    "sensors": {"keras-tf": 3.5, "keras-jax": 4, "torch": 3, "limit": 2.5},
    "words": {"keras-tf": 5, "keras-jax": 2.2, "torch": 3},
    "average": {"keras-tf": 4, "keras-jax": 2.5, "torch": 4},
}
OF_ONE = {"prices": {"keras-tf": 1000, "keras-jax": 5}}  # the same for `predict` of one sequence
SIDES = {"minigrad": "minigrad", "keras-tf": "Keras/TF", "keras-jax": "Keras/JAX", "torch": "PyTorch"}


def data(name):
    """Noise; the target is the mean of the last half of a sequence."""
    import numpy as np

    network, random = NETWORKS[name], np.random.default_rng(0)
    rows = network.batch * network.steps
    if len(network.shape) == 1:
        x = random.integers(1, WORDS, (rows, *network.shape)).astype("int32")
        return x, (x.mean(1, keepdims=True) > WORDS / 2).astype("float32")
    x = random.random((rows, *network.shape), dtype="float32")
    return x, x[:, network.shape[0] // 2 :].mean((1, 2))[:, None]


def build(keras, name):
    layers, network = keras.layers, NETWORKS[name]
    dtype = "int32" if len(network.shape) == 1 else "float32"
    model = keras.Sequential([keras.Input(network.shape, dtype=dtype)])
    for layer in {
        "prices": lambda: [layers.LSTM(50, return_sequences=True), layers.LSTM(50), layers.Dense(1)],
        "sensors": lambda: [layers.LSTM(64, return_sequences=True), layers.GRU(64), layers.Dense(1)],
        "words": lambda: [layers.Embedding(WORDS, 32), layers.Bidirectional(layers.LSTM(32)),
                          layers.Dense(1, activation="sigmoid")],
        "average": lambda: [layers.Embedding(WORDS, 16), layers.GlobalAveragePooling1D(),
                            layers.Dense(16, activation="relu"), layers.Dense(1, activation="sigmoid")],
    }[name]():
        model.add(layer)
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy" if dtype == "int32" else "mse")
    return model


def build_torch(name):
    """The network in PyTorch, without the sigmoid: it belongs to the loss there."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            kinds = {"prices": [nn.LSTM(1, 50), nn.LSTM(50, 50)], "sensors": [nn.LSTM(9, 64), nn.GRU(64, 64)],
                     "words": [nn.LSTM(32, 32, bidirectional=True)], "average": []}
            for layer in kinds[name]:
                layer.batch_first = True
            self.recurrent = nn.ModuleList(kinds[name])
            self.table = nn.Embedding(WORDS, 32 if name == "words" else 16) if name in ("words", "average") else None
            self.between = nn.Linear(16, 16) if name == "average" else None
            self.head = nn.Linear({"prices": 50, "average": 16}.get(name, 64), 1)

        def forward(self, x):
            x = x if self.table is None else self.table(x)
            for layer in self.recurrent:
                x, states = layer(x)
            if name == "words":
                x = torch.cat([*states[0]], 1)
            else:
                x = x[:, -1] if self.between is None else self.between(x.mean(1)).relu()
            return self.head(x)

    return Net()


def worker(side, name, seconds):
    network, seconds, (x, y) = NETWORKS[name], float(seconds), data(name)
    fit, predict, answer = (of_torch if side == "torch" else of_keras)(side, name, x, y)
    answer["loss"] = [fit(1), fit(1)]
    answer["version"] = version(side)
    predict(x[:1])
    epochs = max(1, round(seconds / timed(fit, 1)))
    while True:
        yield answer
        answer["ms"] = timed(fit, epochs) / epochs / network.steps * 1e3
        answer["one"] = min(timed(predict, x[:1]) for _ in range(20)) * 1e3


def of_keras(side, name, x, y):
    keras, network = library(side), NETWORKS[name]
    model, answer = build(keras, name), {}
    if side == "minigrad":
        answer["limit"] = 3 * network.batch * network.multiplications / rate() * 1e3

    def fit(epochs):
        return model.fit(x, y, batch_size=network.batch, epochs=epochs, verbose=0).history["loss"][-1]

    return fit, lambda rows: model.predict(rows, verbose=0), answer


def of_torch(side, name, x, y):
    """The ordinary loop of PyTorch, whole epochs shuffled, on one thread or all, whichever is faster."""
    import torch

    torch.manual_seed(0)
    network, cores = NETWORKS[name], torch.get_num_threads()
    criterion = torch.nn.MSELoss() if x.ndim == 3 else torch.nn.BCEWithLogitsLoss()
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def trainer():
        net = build_torch(name)
        optimizer = torch.optim.Adam(net.parameters(), 1e-3, eps=1e-7, fused=True)

        def fit(epochs):
            for _ in range(epochs):
                net.train()
                total, order = torch.zeros(()), torch.randperm(len(y))
                for rows in order.split(network.batch):
                    loss = criterion(net(x[rows]), y[rows])
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
                    with torch.no_grad():
                        total += loss
                found = total.item() / network.steps
            return found

        @torch.inference_mode()
        def predict(rows):
            net.eval()
            return net(torch.from_numpy(rows)).numpy()

        return fit, predict

    found = []
    for threads in {1, cores}:
        torch.set_num_threads(threads)
        fit, predict = trainer()
        fit(1)
        found.append((timed(fit, 1), threads, fit, predict))
    _, threads, fit, predict = min(found, key=lambda one: one[0])
    torch.set_num_threads(threads)
    return fit, predict, {"threads": threads}


def rows(name, found):
    """The table's lines for one network."""
    ours, lines = found["minigrad"], []
    for what, key, goals in (("ms per step", "ms", GOALS[name]), ("ms to predict one", "one", OF_ONE.get(name, {}))):
        lines += [[name if key == "ms" else "", what], ["", "times minigrad's"], ["", "goal"]]
        mine = ours["best"] and {**ours["best"], key: least(ours, key)}
        for side, one in found.items():
            theirs, goal = one["best"] and {**one["best"], key: least(one, key)}, goals.get(side)
            ratio = theirs[key] / mine[key] if theirs and mine and side != "minigrad" else None
            cells = [one["failed"] or timing(theirs, key), number(ratio),
                     verdict(goal, ratio >= goal, theirs, mine) if ratio and goal else number(goal)]
            for line, cell in zip(lines[-3:], cells):
                line.append(cell)
    losses = (f"{one['loss'][1]:.3f}" if "loss" in one else "" for one in found.values())
    return [*lines, ["", "loss after 2 epochs", *losses]]


def least(one, key):
    return min(turn[key] for turn in one["rounds"])


def main():
    parser = options(__doc__, rounds=5)
    parser.add_argument("--networks", nargs="+", choices=GOALS, default=list(GOALS), metavar="NETWORK",
                        help=" ".join(GOALS))
    peers = [side for side in SIDES if side != "minigrad"]
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers, metavar="PEER", help=" ".join(peers))
    arguments = parse(parser)
    sides, where = ["minigrad", *arguments.peers], machine()
    settings = arguments.rounds, 0.2 if arguments.quick else 1.0, arguments.patience
    found = {name: measure(name, sides, *settings, script=__file__, key="ms") for name in arguments.networks}
    lines = [["network", "", *(SIDES[side] for side in sides)]]
    for name in arguments.networks:
        lines += rows(name, found[name])
    print(table(lines))
    for name in arguments.networks:
        ours, goal, network = found[name]["minigrad"], GOALS[name].get("limit"), NETWORKS[name]
        if ours["best"] and "limit" in ours:
            ratio = ours["best"]["ms"] / ours["limit"]
            said = verdict(goal, ratio <= goal, ours["best"]) if goal else "no goal"
            print(f"\n{name}: {network.title}, batch {network.batch}; "
                  f"{ratio:.2f} times the limit of {ours['limit']:.3g} ms: {said}")
    print(f"\n{where}\nBest of {arguments.rounds} rounds in turns.")
    print(*sorted({one["version"] for of in found.values() for one in of.values() if "version" in one}), sep="; ")
    print(STAR)
    save(arguments.json, machine=where, networks=found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(worker(*sys.argv[2:]))
    else:
        main()
