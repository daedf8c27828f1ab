"""What the explorer computes and draws, without a browser; tests/browser opens its page in one."""

import base64
import dataclasses
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import load_script

import minigrad as keras

pytest.importorskip("sklearn")

EXPLORER = Path(__file__).parents[1] / "examples" / "explorer"
with pytest.MonkeyPatch.context() as patch:
    for name in ("words", "training", "picture", "make_page"):  # in which order they import each other, by these names
        patch.setitem(sys.modules, name, load_script(EXPLORER / f"{name}.py"))
    words, training, picture, make_page = map(sys.modules.get, ("words", "training", "picture", "make_page"))
SMALL = training.Settings(depth=3, width=8, batch=16, steps=40)
ENDS = [  # between which accuracies the networks end with each of the settings that words.py suggests
    {"without": (0.0, 0.2), "with": (0.9, 1.0)},
    {"without": (0.9, 1.0), "with": (0.9, 1.0)},
    {"without": (0.0, 0.2), "with": (0.8, 1.0)},
    {"without": (0.0, 0.5), "with": (0.7, 1.0)},
    {"without": (0.0, 0.3), "with": (0.9, 1.0)},
    {"without": (0.7, 1.0), "with": (0.0, 0.75)},
    {},  # this one is about the gradients
    {"layer": (0.0, 0.3)},
    {"layer": (0.65, 1.0)},
    {"without": (0.0, 0.5), "with": (0.9, 1.0)},
    {"without": (0.85, 1.0), "with": (0.75, 0.95)},
]
SUGGESTED = [({k: v for k, v in t["set"].items() if k != "layer"}, ends) for t, ends in zip(words.TRIES, ENDS)]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def data():
    return training.digits()


@pytest.fixture(scope="module")
def runs(data):
    return {arm: training.train(SMALL, arm, data) for arm in training.ARMS}


@pytest.fixture(scope="module")
def diverged(data):
    settings = dataclasses.replace(SMALL, activation="relu", gain=30.0, rate=1000.0)
    return training.train(settings, "without", data)


class TestTraining:
    def test_what_a_run_holds(self, runs):
        for run in runs.values():
            assert run.losses.shape == (40,) and np.isfinite(run.losses).all() and run.diverged is None
            assert run.moments[0] == 0 and run.moments[-1] == 39 and len(run.moments) == training.FRAMES
            assert run.histograms.shape == (training.FRAMES, 3, training.BINS)
            np.testing.assert_allclose(run.histograms.sum(2), 1)
            assert run.gradients.shape == (training.FRAMES, 3) and (run.gradients > 0).all()
            assert 0 <= run.accuracy <= 1 and run.seconds > 0

    @pytest.mark.parametrize("arm, optimizer", [("without", "SGD"), ("with", "SGD"), ("layer", "Adam")])
    def test_the_replayed_steps_are_those_of_an_eager_loop_to_the_bit(self, data, arm, optimizer):
        settings = dataclasses.replace(SMALL, optimizer=optimizer)
        run = training.train(settings, arm, data)
        feed = training.batches(*data[0], SMALL.batch, SMALL.steps, SMALL.seed)
        network, optimizer = training.Network(settings, arm), getattr(keras.optimizers, optimizer)(SMALL.rate)
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
        plain, normalized = (training.train(settings, arm, data).gradients[0] for arm in ("without", "with"))
        assert 3 < (plain[-1] / plain[0]) ** (1 / 7) < 6
        assert np.ptp(np.log10(normalized)) < 0.5

    @pytest.mark.parametrize("chosen, ends", SUGGESTED)
    def test_what_the_page_suggests_to_try_is_worth_it(self, data, chosen, ends):
        """As medians of three seeds: it must not hang on luck, nor on a machine's rounding."""
        settings = [training.Settings(**chosen, seed=seed) for seed in range(3)]
        for arm, (least, most) in ends.items():
            assert least <= np.median([training.train(s, arm, data).accuracy for s in settings]) <= most, arm

    def test_with_relu_and_batch_normalization_gradients_grow_towards_the_data(self, data):
        settings = training.Settings(activation="relu", gain=1.4, depth=12, steps=1)
        norms = training.train(settings, "with", data).gradients[0]
        assert 1.1 < (norms[1] / norms[-1]) ** (1 / 10) < 1.35

    def test_a_run_that_diverges_is_seen_to(self, diverged):
        assert 0 < diverged.diverged < 10
        assert np.isnan(diverged.losses[-1]) and np.isnan(diverged.histograms[-1]).all()
        assert diverged.accuracy == 0

    def test_the_same_seed_gives_the_same_run(self, data, runs):
        again = training.train(SMALL, "with", data)
        other = training.train(dataclasses.replace(SMALL, seed=1), "with", data)
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


def beyond(root):
    """The triangles of values that are beyond an axis."""
    return root.findall(f".//{SVG}path[@class='beyond']")


class TestPicture:
    def test_it_plays_from_the_first_moment_to_the_last(self, runs):
        root = ElementTree.fromstring(picture.svg(runs, seconds=2))
        moving = [(parent, child) for parent in root.iter() for child in parent if child.tag == f"{SVG}animate"]
        assert len(moving) == 3 * 3 * 2 + 1  # a histogram and a gradient for each layer, and the curves
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

    def test_gradients_move_along_a_logarithmic_axis_and_are_triangles_beyond_it(self, runs):
        run = dataclasses.replace(runs["with"])
        run.gradients = np.full_like(run.gradients, 1e-2)
        run.gradients[0] = 1e-8, 1e-2, 1e4
        run.gradients[-1] = 1e-9, 1e-2, np.nan
        root = ElementTree.fromstring(picture.svg({"with": run}, 1))
        circles = root.findall(f".//{SVG}circle")
        moves = [[a.get("values").split(";") for a in circle] for circle in circles]
        left, middle, right = (float(places[0]) for places, *_ in moves)
        assert left < middle < right and middle == pytest.approx((left + right) / 2, abs=0.1)
        assert [circle.get("opacity") for circle in circles] == ["0", None, "0"]
        for (triangle, is_left), (_, fading) in zip(zip(beyond(root), (True, False)), (moves[0], moves[2])):
            assert fading == ["1"] * (training.FRAMES - 1) + ["0"]
            assert triangle[0].get("values").split(";") == ["0"] * (training.FRAMES - 1) + ["1"]
            assert float(re.match(r"M([\d.]+)", triangle.get("d"))[1]) == (left if is_left else right)

    def test_a_loss_beyond_its_axis_has_a_triangle(self, runs):
        run = dataclasses.replace(runs["with"], losses=np.full(SMALL.steps, 1.0))
        run.losses[0], run.losses[[20, -1]] = 50, 0
        root = ElementTree.fromstring(picture.svg({"with": run}, 0))
        above, below = (triangle.get("d") for triangle in beyond(root))
        assert above.count("M") == 1 and "-7z" in above
        assert below.count("M") == 2 and "7z" in below
        assert not beyond(ElementTree.fromstring(picture.svg({"with": runs["with"]}, 0)))

    @pytest.mark.parametrize("narrow", [False, True])
    def test_networks_stand_beside_each_other_or_on_a_phone_below_each_other(self, runs, narrow):
        root = ElementTree.fromstring(picture.svg(runs, 0, narrow=narrow))
        width, height = map(float, root.get("viewBox").split()[2:])
        assert width == (picture.NARROW if narrow else picture.WIDE)
        places = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
        assert len(places) == 3 * 3 and all(x < width and y < height for x, y in places)
        assert len({y for _, y in places}) == (9 if narrow else 3)
        one = ElementTree.fromstring(picture.svg({"with": runs["with"]}, 0, narrow=narrow))
        assert max(float(c.get("cx")) for c in one.iter(f"{SVG}circle")) > width / 2

    def test_what_diverged_says_so(self, diverged):
        drawn = picture.svg({"without": diverged}, 1)
        ElementTree.fromstring(drawn)
        assert "✕ diverged" in drawn and "nan" not in drawn
        assert picture.describe({"without": diverged}) == f"without: ✕ diverged by step {diverged.diverged + 1}"

    def test_in_words(self, runs):
        ending = r"loss [\d.]+, \d+% of new digits right"
        described = rf"without: {ending}; Batch Normalization: {ending}; Layer Normalization: {ending}"
        assert re.fullmatch(described, picture.describe(runs))
        assert re.match(r"不作标准化: 损失 [\d.]+，新数字认对 \d+%; ", picture.describe(runs, "zh-CN"))
        shown = "".join(ElementTree.fromstring(picture.svg(runs, 0, language="zh-CN")).itertext())
        assert not re.search("[a-z]{4}", shown)

    def test_the_running_mean(self):
        np.testing.assert_allclose(picture.smoothed(np.array([2.0, 2.0, 4.0]), share=0.5), [2, 2, 3])


class TestRecordedPage:
    HTML = make_page.PAGE.read_text(encoding="utf-8")
    FOUND = make_page.recorded(HTML)

    def look_up(self, **chosen):
        """What the page holds of these settings: (losses, gradients, accuracy), without and with."""
        settings = training.Settings(**chosen)
        same = [s for s in make_page.choices(self.FOUND["axes"]) if s.depth == settings.depth]
        runs = np.frombuffer(base64.b64decode(self.FOUND["runs"][str(settings.depth)]), np.uint8)
        runs = runs.reshape(len(same), 2, -1)[same.index(settings)]
        return [self.parts(run, settings.depth) for run in runs]

    def parts(self, run, depth):
        groups = training.Settings().steps // make_page.GROUP
        return run[:groups].astype(int), run[groups:-1].reshape(-1, depth).astype(int), run[-1] / 100

    def test_the_same_bytes_twice(self):
        axes = {name: [value] for name, value in self.FOUND["start"].items()} | {"depth": [1, 2], "width": [4]}
        one, two = (make_page.page(make_page.recordings(axes)) for _ in range(2))
        assert one == two
        assert make_page.recorded(one)["axes"] == axes

    def test_the_template_is_that_of_the_page(self):
        """If not: python examples/explorer/make_page.py --recorded"""
        assert make_page.page(self.FOUND) == self.HTML
        assert self.FOUND["axes"] == make_page.AXES

    def test_it_is_one_small_file_that_asks_for_nothing(self):
        assert len(self.HTML.encode()) < 1.5e6
        assert not re.search(r"src=|<link|@import|url\(|https?:|fetch\(|import\(", self.HTML)

    @pytest.mark.parametrize("arm", ["without", "with"])
    def test_it_holds_what_training_gives(self, data, arm):
        """Another machine rounds differently, which a training makes larger and larger."""
        chosen = {"activation": "tanh", "depth": 4}
        run = make_page.record(training.Settings(**chosen), arm, data)
        losses, gradients, accuracy = self.parts(np.frombuffer(run, np.uint8), 4)
        held_losses, held_gradients, held_accuracy = self.look_up(**chosen)[arm == "with"]
        np.testing.assert_allclose(held_losses[:10], losses[:10], atol=2)
        np.testing.assert_allclose(held_gradients[:4], gradients[:4], atol=2)
        assert held_losses[-10:].mean() == pytest.approx(losses[-10:].mean(), abs=8)
        assert held_accuracy == pytest.approx(accuracy, abs=0.03)

    def test_levels(self):
        found = make_page.levels(np.array([1e-3, 1e-2, 1.0, 1e2, 1e9, np.inf, np.nan]), 1e-2, 1e2)
        assert found.tolist() == [0, 0, 127, 254, 254, 255, 255]

    def test_what_it_suggests_to_try_is_worth_it(self):
        held = json.loads(re.search(r'id="words">(.*?)</script>', self.HTML)[1])
        assert held["tries"] == json.loads(json.dumps(words.TRIES[:7]))
        for chosen, ends in SUGGESTED[:7]:
            for (least, most), (_, _, accuracy) in zip(ends.values(), self.look_up(**chosen)):
                assert least <= accuracy <= most, chosen
        deep, _ = SUGGESTED[6]
        _, (_, gradients, _) = self.look_up(**deep)
        decades = (gradients[0, 1] - gradients[0, -1]) / 254 * np.log10(make_page.NORMS[1] / make_page.NORMS[0])
        assert 1.1 < 10 ** (decades / 10) < 1.35
