"""Training steps, predictions and memory of image networks, in minigrad and in three peers.

    python benchmarks/images.py [--networks mnist ...] [--peers keras-tf ...] [--rounds 5] [--quick] [--json FILE]

Per network (see pictures.py): the milliseconds of a training step in `fit()`, the images per second of `predict` for
many of them and the milliseconds for a single one, and the memory that the process needed at its peak, in megabytes
more than before the network was built. PyTorch shows its best: both memory formats and one thread or all are tried
first. The sides take turns, and each one's best round counts.

`limit` is the time that the multiply-adds of a step take at the rate of minigrad's matrix product on all cores.
"""
import resource
import sys
import time

import pictures
from common import STAR, library, machine, number, options, parse, save, serve, table, timing, verdict, version
from step import measure

GOALS = {  # the peer's time over minigrad's, for a training step; "limit": minigrad's over the limit, at most
    "mnist": {"keras-tf": 3.5, "keras-jax": 12, "torch": 3.5, "limit": 1.6},
    "residual": {"keras-tf": 9, "keras-jax": 3.5, "torch": 4.5, "limit": 2.2},
    "lenet": {"keras-tf": 3, "keras-jax": 3, "torch": 3},
    "resnet-20": {"keras-tf": 2, "keras-jax": 4, "torch": 2, "limit": 1.6},
    "separable": {"keras-tf": 2, "keras-jax": 3, "torch": 2},
    "sensors": {"keras-tf": 3, "keras-jax": 3, "torch": 3},
}
SIDES = {"minigrad": "minigrad", "keras-tf": "Keras/TF", "keras-jax": "Keras/JAX", "torch": "PyTorch"}
MANY = 10_000  # images to predict
SIZE = 2048  # of the square matrices whose product tells the rate of the machine


def megabytes():
    """The most memory that this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(side, name, seconds):
    network, seconds = pictures.NETWORKS[name], float(seconds)
    x, y = pictures.data(name)
    many = x[[i % len(x) for i in range(int(MANY * min(1, seconds)))]]
    before = megabytes()
    fit, predict, answer = (of_torch if side == "torch" else of_keras)(side, name, x, y)
    answer["loss"] = [fit(1), fit(1)]
    answer["megabytes"] = megabytes() - before
    answer["version"] = version(side)
    predict(many), predict(many[:1])
    epochs = max(1, round(seconds / timed(fit, 1)))
    while True:
        yield answer
        answer["ms"] = timed(fit, epochs) / epochs / network.steps * 1e3
        answer["per second"] = len(many) / timed(predict, many)
        answer["one"] = min(timed(predict, many[:1]) for _ in range(20)) * 1e3


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def of_keras(side, name, x, y):
    keras, batch = library(side), pictures.NETWORKS[name].batch
    model, answer = pictures.build(keras, name), {}
    if side == "minigrad":
        answer["limit"] = pictures.multiplications(model, batch) / rate() * 1e3

    def fit(epochs):
        return model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0).history["loss"][-1]

    return fit, lambda images: model.predict(images, batch_size=batch, verbose=0), answer


def rate():
    """Multiply-adds per second of a large matrix product on all cores."""
    import numpy as np
    from minigrad import Program, kernels, launch

    a, b = np.random.default_rng(0).random((2, SIZE, SIZE), dtype="float32")
    y = np.empty_like(a)
    product = Program(lambda: launch(kernels.matmul, a, b, y), title="product")
    return SIZE**3 / min(timed(product.replay, 2) / 2 for _ in range(6))


def of_torch(side, name, x, y):
    """The ordinary loop of PyTorch, whole epochs shuffled, in the fastest of its memory formats and thread counts."""
    import torch

    torch.manual_seed(0)
    batch, cores = pictures.NETWORKS[name].batch, torch.get_num_threads()
    y = torch.from_numpy(y).long()
    is_2d = x.ndim == 4

    def prepared(images, is_last):
        t = torch.from_numpy(images).movedim(-1, 1)
        return t.contiguous(memory_format=torch.channels_last) if is_last else t.contiguous()

    def trainer(is_last):
        net, inputs = pictures.build_torch(name), prepared(x, is_last)
        if is_last:
            net = net.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(net.parameters(), 1e-3, eps=1e-7, fused=True)
        criterion = torch.nn.CrossEntropyLoss()

        def fit(epochs):
            for _ in range(epochs):
                net.train()
                total, hits, order = torch.zeros(()), torch.zeros(()), torch.randperm(len(y))
                for rows in order.split(batch):
                    logits = net(inputs[rows])
                    loss = criterion(logits, y[rows])
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
                    with torch.no_grad():
                        total += loss
                        hits += (logits.argmax(1) == y[rows]).sum()
                found = total.item() / (len(y) // batch)
            return found

        @torch.inference_mode()
        def predict(images):
            net.eval()
            return torch.cat([net(part) for part in prepared(images, is_last).split(batch)]).numpy()

        return fit, predict

    found = []
    for is_last in (False, True) if is_2d else (False,):
        for threads in {1, cores}:
            torch.set_num_threads(threads)
            fit, predict = trainer(is_last)
            fit(1)
            found.append((timed(fit, 1), threads, fit, predict, is_last))
    _, threads, fit, predict, is_last = min(found, key=lambda one: one[0])
    torch.set_num_threads(threads)
    return fit, predict, {"threads": threads, "channels last": is_last}


def rows(name, found):
    """The table's lines for one network."""
    ours = found["minigrad"]["best"]
    lines = [[name, "ms per step"], ["", "times minigrad's"], ["", "goal"], ["", "predicted per second"],
             ["", "ms to predict one"], ["", "megabytes"], ["", "loss after 2 epochs"]]
    for side, one in found.items():
        theirs, goal = one["best"], GOALS[name].get(side)
        ratio = theirs["ms"] / ours["ms"] if theirs and ours and goal else None
        rounds = one["rounds"] or [{}]
        cells = [one["failed"] or timing(theirs, "ms"), number(ratio),
                 verdict(goal, ratio >= goal, theirs, ours) if ratio else number(goal),
                 number(max(turn.get("per second", 0) for turn in rounds)),
                 number(min(turn.get("one", 0) for turn in rounds)), number(one.get("megabytes")),
                 f"{one['loss'][1]:.3f}" if "loss" in one else ""]
        for line, cell in zip(lines, cells):
            line.append(cell)
    return lines


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
        ours, goal = found[name]["minigrad"], GOALS[name].get("limit")
        if ours["best"] and "limit" in ours:
            ratio = ours["best"]["ms"] / ours["limit"]
            said = verdict(goal, ratio <= goal, ours["best"]) if goal else "no goal"
            print(f"\n{name}: {pictures.NETWORKS[name].title}, batch {pictures.NETWORKS[name].batch}; "
                  f"{ratio:.2f} times the limit of {ours['limit']:.3g} ms: {said}")
        torch = found[name].get("torch", {})
        if "threads" in torch:
            print(f"PyTorch: {torch['threads']} threads, channels {'last' if torch['channels last'] else 'first'}")
    print(f"\n{where}\nBest of {arguments.rounds} rounds in turns.")
    print("PyTorch's loss is that after four epochs: two are trained to find its best settings.")
    print(*sorted({one["version"] for of in found.values() for one in of.values() if "version" in one}), sep="; ")
    print(STAR)
    save(arguments.json, machine=where, networks=found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(worker(*sys.argv[2:]))
    else:
        main()
