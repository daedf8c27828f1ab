"""What several processes gain that train one model (`keras.distribution`), and what their exchange costs.

    python benchmarks/processes.py [-n 2] [--seconds 5]

Starts itself under mpiexec. It prints the time of an all-reduce by size, the best of many; the latency of TCP within
this machine, half the time of the fastest message there and back, and its time per byte, from messages of a megabyte;
and the time of a training step in one process and in several, with one thread each, the best of many rounds. Batches
are as large as the table says for all processes together. From both times follows what S machines would take, with the
latency a and the time b per byte (--latency and --per-byte set those of another network), as Rabenseifner's all-reduce
needs them:

    step(S) = computing / S + 2 log2(S) a + 2 (S - 1) / S bytes b.
"""
import argparse
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time

SIZES = 4, 25_600, 102_400, 1_024_000  # bytes
NETWORKS = {  # units of the hidden layers, rows per batch
    "20-64-32-1, 32": ((20, 64, 32), 32),
    "20-64-32-1, 256": ((20, 64, 32), 256),
    "100-256-128-64-1, 512": ((100, 256, 128, 64), 512),
    "100-256-128-64-1, 4096": ((100, 256, 128, 64), 4096),
    "784-512-512-1, 2048": ((784, 512, 512), 2048),
}


def latencies(seconds):
    """{bytes: the fastest all-reduce in us}."""
    import numpy as np
    from mpi4py import MPI
    comm, found = MPI.COMM_WORLD, {}
    for size in SIZES:
        row, best, rounds = np.ones(size // 4, "float32"), math.inf, 0
        began = time.monotonic()
        while rounds < 50 or comm.bcast(time.monotonic() - began) < seconds / 5:
            rounds += 1
            start = time.perf_counter()
            comm.Allreduce(MPI.IN_PLACE, row)
            best = min(best, time.perf_counter() - start)
            row[:] = 1
        found[size] = round(best * 1e6, 1)
    return found if comm.rank == 0 else None


def network():
    """(us for a small message, us per byte) through TCP within this machine: the best of many."""
    listener = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        with socket.create_connection(listener.getsockname()) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := peer.recv(1 << 20):
                peer.sendall(data)
        os._exit(0)
    best = {}
    with listener.accept()[0] as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for size, rounds in ((4, 20_000), (1 << 20, 300)):
            message, best[size] = bytes(size), math.inf
            for _ in range(rounds):
                start, left = time.perf_counter(), size
                peer.sendall(message)
                while left:
                    left -= len(peer.recv(left))
                best[size] = min(best[size], (time.perf_counter() - start) / 2)
    os.wait()
    return best[4] * 1e6, (best[1 << 20] - best[4]) / (1 << 20) * 1e6


def steps(processes, seconds):
    """{network: us per training step}."""
    import numpy as np
    import minigrad as keras
    if processes > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    found = {}
    for name, ((inputs, *hidden), batch) in NETWORKS.items():
        dense = [keras.layers.Dense(n, "relu") for n in hidden]
        model = keras.Sequential([keras.Input((inputs,)), *dense, keras.layers.Dense(1)])
        model.compile("adam", "mse")
        x = np.random.default_rng(0).normal(size=(8 * batch, inputs)).astype("float32")
        y, best = x[:, :1].copy(), math.inf
        model.fit(x, y, batch_size=batch, verbose=0)
        program = model.train_program
        order, cursor = np.arange(len(x)).reshape(-1, 1), np.zeros((1, 1), np.int64)
        program.bind(x=x, y=y, order=order, cursor=cursor)
        replays = max(1, 65_536 // batch // 32)
        for _ in range(600 if batch < 1000 else 60):  # short rounds: some of them are not disturbed
            cursor[...] = 0
            start = time.perf_counter()
            program.replay(replays)
            best = min(best, (time.perf_counter() - start) / replays)
        found[name] = round(best * 1e6, 1), sum(w.size for w in model.get_weights()) * 4
    return found


def run(processes, what, seconds):
    """The answer of process 0."""
    mpiexec = [] if processes == 1 else [shutil.which("mpiexec"), "-n", str(processes)]
    done = subprocess.run(
        [*mpiexec, sys.executable, __file__, "--worker", what, str(processes), str(seconds)],
        capture_output=True, text=True, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=2, help="processes (2)")
    parser.add_argument("--seconds", type=float, default=5, help="for the all-reduces (5)")
    parser.add_argument("--latency", type=float, help="of the network, us (measured within this machine)")
    parser.add_argument("--per-byte", type=float, help="time of the network per byte, us (the same)")
    arguments = parser.parse_args()
    n = arguments.n
    shared = run(n, "latencies", arguments.seconds)
    print(f"| all-reduce of bytes, {n} processes | us |\n|---|---|")
    for size, took in shared.items():
        print(f"| {int(size):,} | {took} |")
    found = network()
    latency, per_byte = arguments.latency or found[0], arguments.per_byte or found[1]
    alone, together = run(1, "steps", 0), run(n, "steps", 0)
    print(f"\n| step, us | weights, kB | 1 process | {n} processes | times | 64 machines, computed | times |")
    print("|---|---|---|---|---|---|---|")
    for name, (one, size) in alone.items():
        many = one / 64 + 2 * math.log2(64) * latency + 2 * 63 / 64 * size * per_byte
        two = together[name][0]
        print(f"| {name} | {size / 1000:.0f} | {one} | {two} | {one / two:.2f} | {many:.0f} | {one / many:.1f} |")
    print(f"\nlatency {latency:.1f} us, {per_byte * 1e3:.2f} ns per byte; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        what, processes, seconds = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
        answer = latencies(seconds) if what == "latencies" else steps(processes, seconds)
        if answer:
            print(json.dumps(answer))
    else:
        main()
