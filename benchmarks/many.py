"""Seconds for 200 networks by cross-validation of a table, on all cores, in minigrad and in two peers through joblib.

    python benchmarks/many.py [--networks 200] [--peers keras-tf torch] [--rounds 3] [--quick] [--json FILE]

40 settings of a network (layers, units, dropout, learning rate) times 5 folds of scikit-learn's breast cancer data (569
rows of 30 numbers), 30 epochs of batches of 32 rows each, and the accuracy on the rows that are left out. minigrad
trains them in threads of one process (`minigrad.many.run`), and then on one thread; the peers in one process per core
(`joblib.Parallel`), in each of which the library computes on one thread, and has trained a network before the clock
runs. The peers train a tenth of the networks, and are shown per network.
"""
import functools
import os
import sys
import time

from common import Worker, library, machine, number, options, parse, quiet, save, serve, table, version

SIDES = {"minigrad": "minigrad", "keras-tf": "Keras/TF, joblib", "torch": "PyTorch, joblib"}
GOALS = {"keras-tf": 60}  # the peer's time over minigrad's
EPOCHS, BATCH, FOLDS = 30, 32, 5
GRID = {"layers": [1, 2], "units": [16, 32, 48, 64, 96], "dropout": [0.0, 0.3], "rate": [1e-3, 1e-2]}


@functools.cache
def data():
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return ((x - x.mean(0)) / x.std(0)).astype("float32"), y.astype("float32").reshape(-1, 1)


def cases():
    """The settings times the folds, in an order of which each tenth has all kinds."""
    import numpy as np
    from sklearn.model_selection import KFold, ParameterGrid

    folds = list(KFold(FOLDS, shuffle=True, random_state=0).split(data()[0]))
    every = [(setting, *fold) for setting in ParameterGrid(GRID) for fold in folds]
    return [every[i] for i in np.random.default_rng(0).permutation(len(every))]


def in_keras(side, case):
    """The accuracy of one network on its fold."""
    keras = library(side)
    setting, train, test = case
    x, y = data()
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((x.shape[1],))])
    for _ in range(setting["layers"]):
        model.add(keras.layers.Dense(setting["units"], activation="relu"))
        if setting["dropout"]:
            model.add(keras.layers.Dropout(setting["dropout"]))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.Adam(setting["rate"]), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x[train], y[train], batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model.evaluate(x[test], y[test], verbose=0)[1]


def in_torch(case):
    """The same, with the ordinary loop of PyTorch."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    setting, train, test = case
    x, y = map(torch.from_numpy, data())
    layers, width = [], x.shape[1]
    for _ in range(setting["layers"]):
        layers += [nn.Linear(width, setting["units"]), nn.ReLU(), nn.Dropout(setting["dropout"])]
        width = setting["units"]
    net, criterion = nn.Sequential(*layers, nn.Linear(width, 1)), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), setting["rate"], eps=1e-7, fused=True)
    x_train, y_train = x[train], y[train]
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad()
            loss = criterion(net(x_train[rows]), y_train[rows])
            loss.backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        return ((net(x[test]) > 0) == (y[test] > 0.5)).float().mean().item()


def about(side):
    """What `version` says of a process in which the library is loaded already."""
    return version(side)


def trained(side, case):
    """A task of joblib's, in a process of its own."""
    return in_torch(case) if side == "torch" else in_keras(side, case)


def memory():
    """Megabytes that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def worker(side, networks):
    """Each request is a round: the time per network, also on one thread, and the mean accuracy."""
    import joblib

    cores, some = joblib.cpu_count(), cases()[: int(networks)]
    if side == "minigrad":
        minigrad = library(side)

        def train(some, n_jobs=-1):
            return minigrad.many.run(functools.partial(in_keras, side), some, seed=0, n_jobs=n_jobs, verbose=0)
    else:
        from many import about, trained  # not as functions of __main__, which is another module in joblib's processes

        parallel = joblib.Parallel(cores, batch_size=1)

        def train(some):
            return parallel(joblib.delayed(trained)(side, case) for case in some)

    train(some[: 2 * cores])
    answer = {"version": version(side) if side == "minigrad" else parallel([joblib.delayed(about)(side)])[0]}
    while True:
        yield answer
        began = time.perf_counter()
        scores = train(some)
        answer["ms"] = 1e3 * (time.perf_counter() - began) / len(some)
        answer["accuracy"] = sum(scores) / len(scores)
        answer["networks"] = len(some)
        if side == "minigrad":
            answer["memory"] = memory()
            began = time.perf_counter()
            train(some, 1)
            answer["alone"] = 1e3 * (time.perf_counter() - began) / len(some)


def main():
    parser = options(__doc__, rounds=3)
    parser.add_argument("--networks", type=int, default=200, help="how many minigrad trains (200); peers: a tenth")
    parser.add_argument("--peers", nargs="*", choices=list(SIDES)[1:], default=list(SIDES)[1:], metavar="PEER")
    arguments = parse(parser)
    total = 40 if arguments.quick else arguments.networks
    environment = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    where, found = machine(), {}
    for side in ("minigrad", *arguments.peers):  # one after the other: processes that wait still use the cores a little
        with Worker(__file__, side, total if side == "minigrad" else total // 10,
                    env=environment if side == "keras-tf" else {}) as one:
            found[side] = []
            for _ in range(arguments.rounds):
                quiet(arguments.patience)
                if answer := one.ask():
                    found[side].append(answer)
    best = {side: min(turns, key=lambda turn: turn["ms"]) for side, turns in found.items() if turns}
    rows = [["", *(SIDES[side] for side in best)]]
    rows.append(["ms per network", *(number(turn["ms"]) for turn in best.values())])
    rows.append([f"seconds for {total}", *(number(total * turn["ms"] / 1e3) for turn in best.values())])
    ours = best["minigrad"]["ms"]
    rows.append(["times minigrad's", *(number(turn["ms"] / ours) for turn in best.values())])
    rows.append(["networks trained", *(str(turn["networks"]) for turn in best.values())])
    rows.append(["mean accuracy", *(f"{turn['accuracy']:.4f}" for turn in best.values())])
    print(table(rows))
    alone = min(turn["alone"] for turn in found["minigrad"])
    print(f"\nminigrad on one thread: {number(alone)} ms per network, {number(alone / ours)} times as long")
    for side, goal in GOALS.items():
        if side in best:
            ratio = best[side]["ms"] / ours
            print(f"\ngoal: {goal} times as fast as {SIDES[side]}: {'reached' if ratio >= goal else 'MISSED'}")
    print(f"\n{where}; the best of {arguments.rounds} rounds")
    print(*(turn["version"] for turn in best.values()), sep="; ")
    save(arguments.json, machine=where, rounds=found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(worker(*sys.argv[2:]))
    else:
        main()
