"""What the explorer computes and draws, without a browser; tests/browser opens its page in one."""

import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import load_script

import minigrad as keras

pytest.importorskip("sklearn")

EXPLORER = Path(__file__).parents[1] / "examples" / "explorer"
training, picture = load_script(EXPLORER / "training.py"), load_script(EXPLORER / "picture.py")
SMALL = training.Settings(depth=3, width=8, batch=16, steps=40)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def data():
    return training.digits()


@pytest.fixture(scope="module")
def runs(data):
    return {"without": training.train(SMALL, False, data), "with": training.train(SMALL, True, data)}


@pytest.fixture(scope="module")
def diverged(data):
    settings = dataclasses.replace(SMALL, activation="relu", gain=30.0, rate=1000.0)
    return training.train(settings, False, data)


class TestTraining:
    def test_what_a_run_holds(self, runs):
        for run in runs.values():
            assert run.losses.shape == (40,) and np.isfinite(run.losses).all() and run.diverged is None
            assert run.moments[0] == 0 and run.moments[-1] == 39 and len(run.moments) == training.FRAMES
            assert run.histograms.shape == (training.FRAMES, 3, training.BINS)
            np.testing.assert_allclose(run.histograms.sum(2), 1)
            assert run.gradients.shape == (training.FRAMES, 3) and (run.gradients > 0).all()
            assert 0 <= run.accuracy <= 1 and run.seconds > 0

    @pytest.mark.parametrize("normalized", [False, True])
    def test_the_replayed_steps_are_those_of_an_eager_loop_to_the_bit(self, data, normalized):
        run = training.train(SMALL, normalized, data)
        feed = training.batches(*data[0], SMALL.batch, SMALL.steps, SMALL.seed)
        network, optimizer = training.Network(SMALL, normalized), keras.optimizers.SGD(SMALL.rate)
        network(feed[0][0])
        optimizer.build(network.trained)
        frame = 0
        for k, (x, y) in enumerate(feed):
            outputs = network(keras.Tensor(x), training=True)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(keras.Tensor(y), outputs)
            for v in network.trained:
                v.grad = None
            loss.backward()
            assert loss.item() == run.losses[k]
            if k in run.moments:
                norms = [np.sqrt(np.square(d.kernel.grad, dtype="float64").sum()) for d in network.dense]
                np.testing.assert_allclose(run.gradients[frame], norms)
                counts = [np.histogram(o.numpy(), training.BINS, run.range)[0] / o.size for o in network.outputs]
                np.testing.assert_allclose(run.histograms[frame], counts, atol=2 / network.outputs[0].size)
                frame += 1
            optimizer.step()
        assert frame == training.FRAMES

    def test_gradients_vanish_without_batch_normalization(self, data):
        settings = training.Settings(steps=1)
        plain, normalized = (training.train(settings, choice, data).gradients[0] for choice in (False, True))
        assert 3 < (plain[-1] / plain[0]) ** (1 / 7) < 6
        assert np.ptp(np.log10(normalized)) < 0.5

    @pytest.mark.parametrize("chosen, plain, normalized", [
        ({}, (0.0, 0.2), (0.9, 1.0)),
        ({"activation": "tanh"}, (0.9, 1.0), (0.9, 1.0)),
        ({"activation": "tanh", "gain": 0.1}, (0.0, 0.2), (0.8, 1.0)),
        ({"activation": "tanh", "gain": 10.0}, (0.0, 0.5), (0.7, 1.0)),
        ({"activation": "relu", "gain": 1.4, "rate": 1.0}, (0.0, 0.3), (0.9, 1.0)),
        ({"activation": "tanh", "batch": 4}, (0.75, 1.0), (0.0, 0.75)),
    ])  # fmt: skip
    def test_what_the_page_suggests_to_try_is_worth_it(self, data, chosen, plain, normalized):
        """As medians of three seeds: it must not hang on luck, nor on a machine's rounding."""
        settings = [training.Settings(**chosen, seed=seed) for seed in range(3)]
        for (least, most), choice in ((plain, False), (normalized, True)):
            assert least <= np.median([training.train(s, choice, data).accuracy for s in settings]) <= most

    def test_with_relu_and_batch_normalization_gradients_grow_towards_the_data(self, data):
        settings = training.Settings(activation="relu", gain=1.4, depth=12, steps=1)
        norms = training.train(settings, True, data).gradients[0]
        assert 1.1 < (norms[1] / norms[-1]) ** (1 / 10) < 1.35

    def test_a_run_that_diverges_is_seen_to(self, diverged):
        assert 0 < diverged.diverged < 10
        assert np.isnan(diverged.losses[-1]) and np.isnan(diverged.histograms[-1]).all()
        assert diverged.accuracy == 0

    def test_the_same_seed_gives_the_same_run(self, data, runs):
        again = training.train(SMALL, True, data)
        other = training.train(dataclasses.replace(SMALL, seed=1), True, data)
        np.testing.assert_array_equal(again.losses, runs["with"].losses)
        assert (other.losses != again.losses).all()

    def test_every_pass_takes_every_row_once(self):
        x, y = np.arange(12.0)[:, None], np.arange(12.0)[:, None]
        feed = training.batches(x, y, 4, 7, seed=0)
        assert len(feed) == 7 and all(np.array_equal(a, b) for a, b in feed)
        taken = np.concatenate([a.ravel() for a, _ in feed])
        assert sorted(taken[:12]) == sorted(taken[12:24]) == list(range(12))
        assert list(taken[:12]) != list(taken[12:24])

    def test_histogram(self):
        found = training.histogram(np.array([[-9.0, 0.0], [0.999, 9.0]]), 0.0, 1.0)
        assert found[0] == 0.5 and found[-1] == 0.5 and found.sum() == 1
        assert np.isnan(training.histogram(np.array([0.0, np.inf]), 0.0, 1.0)).all()


class TestPicture:
    def test_it_plays_from_the_first_moment_to_the_last(self, runs):
        root = ElementTree.fromstring(picture.svg(runs, seconds=2))
        moving = [(parent, child) for parent in root.iter() for child in parent if child.tag == f"{SVG}animate"]
        assert len(moving) == 2 * 3 * 2 + 1  # a histogram and a gradient for each layer, and the curves
        for element, animation in moving:
            values = animation.get("values").split(";")
            assert element.get(animation.get("attributeName")) == values[-1]
            assert animation.get("dur") == "2s" and animation.get("fill") == "freeze"
            assert len(values) == training.FRAMES

    def test_at_rest_it_shows_the_end(self, runs):
        playing, still = (ElementTree.fromstring(picture.svg(runs, seconds)) for seconds in (2, 0))
        assert not list(still.iter(f"{SVG}animate"))
        for element in list(playing.iter()):
            for animation in element.findall(f"{SVG}animate"):
                element.remove(animation)
        assert ElementTree.tostring(playing) == ElementTree.tostring(still)

    def test_again_and_again(self, runs):
        root = ElementTree.fromstring(picture.svg(runs, seconds=3, again=True))
        for animation in root.iter(f"{SVG}animate"):
            values = animation.get("values").split(";")
            assert animation.get("repeatCount") == "indefinite" and animation.get("fill") is None
            assert len(values) == training.FRAMES * 4 / 3 and animation.get("dur") == "4s"
            assert set(values[training.FRAMES :]) == {values[training.FRAMES - 1]}

    def test_a_histogram_stands_on_its_line_and_is_as_high_as_its_shares(self, runs):
        heights = np.zeros((1, 4))
        heights[0] = 0.1, 0.4, 0.5, 0.0
        (path,) = picture._ridge(heights, 0, 100, 50, 10, "red", picture._Player(0, False))
        moves = [int(v) for v in re.findall(r"v(-?\d+)", path)]
        assert np.cumsum(moves).tolist() == [-50, -100, -100, 0, 0]

    def test_gradients_move_along_a_logarithmic_axis(self, runs):
        run = dataclasses.replace(runs["with"])
        places = []
        for norm in (1e-9, 1e-8, 1e-2, 1e4, np.nan):
            run.gradients = np.full_like(run.gradients, norm)
            root = ElementTree.fromstring(picture.svg({"with": run}, 0))
            places.append(float(root.find(f".//{SVG}circle").get("cx")))
        low, left, middle, right, missing = places
        assert low == left < right == missing and middle == pytest.approx((left + right) / 2)

    def test_one_network_fills_the_width(self, runs):
        def ends(runs):
            root = ElementTree.fromstring(picture.svg(runs, 0))
            return len(list(root.iter(f"{SVG}circle"))), max(float(c.get("cx")) for c in root.iter(f"{SVG}circle"))

        assert ends(runs)[0] == 6
        assert ends({"with": runs["with"]})[0] == 3

    def test_what_diverged_says_so(self, diverged):
        drawn = picture.svg({"without": diverged}, 1)
        ElementTree.fromstring(drawn)
        assert "✕ diverged" in drawn and "nan" not in drawn
        assert picture.describe({"without": diverged}) == (
            f"without Batch Normalization: diverged at step {diverged.diverged + 1}"
        )

    def test_in_words(self, runs):
        assert re.fullmatch(
            r"without Batch Normalization: loss [\d.]+, \d+% of new digits right; "
            r"with Batch Normalization: loss [\d.]+, \d+% of new digits right", picture.describe(runs),
        )  # fmt: skip

    def test_the_running_mean(self):
        np.testing.assert_allclose(picture.smoothed(np.array([2.0, 2.0, 4.0]), share=0.5), [2, 2, 3])
