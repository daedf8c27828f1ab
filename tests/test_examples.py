"""The course: its experiments run, quickly, and what each claims is true; its pages show what is there."""

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from helpers import load_script

import minigrad as keras

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parents[1] / "examples"
EXPERIMENTS = sorted((EXAMPLES / "batchnorm").glob("[0-9]*.py"))
PAGES = {name: (EXAMPLES / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")}


@pytest.fixture(autouse=True)
def course_beside(monkeypatch):
    """The folder that the scripts put on the path themselves, for this test only."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_they_are_numbered_from_one_to_ten():
    assert [int(path.stem[:2]) for path in EXPERIMENTS] == list(range(1, 11))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment(path, tmp_path, capsys):
    module = load_script(path)
    module.main(["--quick", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.startswith(module.__doc__.splitlines()[0])
    assert printed.count("  holds: ") >= 3
    figure = tmp_path / "batchnorm" / f"{path.stem}.svg"
    xml.etree.ElementTree.parse(figure)
    assert 2_000 < figure.stat().st_size < 150_000


def test_a_script_by_itself(tmp_path):
    """As a reader starts it: in a process of its own, with minigrad installed."""
    command = [sys.executable, EXPERIMENTS[0], "--quick", "--out", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(EXAMPLES.parent)})
    assert result.returncode == 0, result.stderr
    assert "processor time" in result.stdout


def test_all_figures_again_tells_which_failed(tmp_path, monkeypatch, capfd):
    make = load_script(EXAMPLES / "make_figures.py")
    (good := tmp_path / "good.py").write_text("import sys; print(sys.argv[1:])")
    (bad := tmp_path / "bad.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(make, "scripts", lambda: ([bad, good], [good]))
    assert make.main(["--quick"]) == 1
    printed = capfd.readouterr()
    assert printed.out.split() == ["['--quick']", "[]"]
    assert printed.err == f"failed: {bad}\n"


class TestHelpers:
    @pytest.fixture
    def course(self):
        return load_script(EXAMPLES / "course.py")

    @pytest.fixture
    def script(self, course, tmp_path):
        return course.Script(tmp_path / "strand" / "07_name.py", "7. A title\n\nMore.", ["--out", str(tmp_path), "--seed", "2"])

    def test_a_claim_that_is_not_true_ends_the_script(self, script, capsys):
        script.claim(True, "one is one")
        assert capsys.readouterr().out == "  holds: one is one\n"
        with pytest.raises(AssertionError, match=r"7\. A title\nnot so: one is two"):
            script.claim(False, "one is two")

    def test_seeds_differ_between_runs(self, script):
        assert script.seeds(3, 1) == [2000, 2001, 2002]

    def test_table(self, script, capsys):
        script.table(("name", "value"), [("a", 0.123456), ("bcd", 12345678.0), ("e", 7), ("f", 120.0)], title="Title")
        assert capsys.readouterr().out.splitlines() == [
            "Title", "  name    value", "  ----  -------", "  a       0.123", "  bcd   1.2e+07", "  e           7",
            "  f         120", "",
        ]

    def test_a_figure_is_the_same_to_the_byte_and_its_words_are_untouched(self, course, script):
        files = []
        for _ in range(2):
            figure, ax = script.figure()
            course.band(ax, [1, 2, 3], np.array([[1, 2, 3], [2, 4, 8.0]]), course.WITH, label="0.123456")
            course.dots(ax, [1, 2], [2, 1], course.WITHOUT, 3)
            course.log_scale(ax, x=[1, 2, 3])
            ax.legend()
            script.save(figure)
            files.append(script.path.read_text())
        assert files[0] == files[1]
        assert ">0.123456<" in files[0]
        assert not re.search(r'd="[^"]*\.\d{3}', files[0])

    def test_threads_are_given_back(self, course, script):
        threadpoolctl = pytest.importorskip("threadpoolctl")
        before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
        with script:
            assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {1}
        assert [pool["num_threads"] for pool in threadpoolctl.threadpool_info()] == before


class TestNetworks:
    @pytest.fixture
    def networks(self):
        return load_script(EXAMPLES / "batchnorm" / "networks.py")

    def test_layers(self, networks):
        def names(model):
            return [type(layer).__name__ for layer in model.layers]

        plain = networks.network(2, 8, "tanh", networks.PLAIN, momentum=0.9)
        assert names(plain) == ["Dense", "Activation"] * 2 + ["Dense"]
        before = networks.network(2, 8, "tanh", networks.NORMALIZED, momentum=0.9)
        assert names(before) == ["Dense", "BatchNormalization", "Activation"] * 2 + ["Dense"]
        after = networks.network(1, 8, "tanh", networks.NORMALIZED, after=True)
        assert names(after) == ["Dense", "Activation", "BatchNormalization", "Dense"]
        assert [model.layers[0].use_bias for model in (plain, before, after)] == [True, False, True]
        assert before.layers[1].momentum == 0.9

    def test_digits(self, networks):
        (x, y), (x_test, y_test) = networks.digits()
        assert x.shape == (1280, 64) and x_test.shape == (517, 64) and len(y) == 1280 and len(y_test) == 517
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
        assert set(x.std(0).round(4)) == {0, 1}

    def test_what_is_not_finite_is_wrong(self, networks):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("linear")])
        x = np.array([[1, 0], [np.nan, 0], [0, np.inf], [0, 1]], "float32")
        assert networks.accuracy(model, x, np.array([0, 0, 1, 0])) == 0.25

    def test_untouched(self, networks):
        model = networks.network(1, 4, "relu", networks.NORMALIZED, inputs=3)
        before = model.get_weights()
        with networks.untouched(model):
            model(np.ones((5, 3), "float32"), training=True)
            assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


class TestPages:
    @pytest.mark.parametrize("page", PAGES)
    def test_what_they_link_to_is_there(self, page):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", PAGES[page])
        paths = [a or b for a, b in links if not (a or b).startswith("http")]
        assert len(paths) > 15
        missing = [path for path in paths if not (EXAMPLES / path).exists()]
        assert not missing

    @pytest.mark.parametrize("page", PAGES)
    def test_they_show_all_scripts_and_figures_in_their_order(self, page):
        scripts, _ = load_script(EXAMPLES / "make_figures.py").scripts()
        commands = re.findall(r"^python examples/(\S+\.py)", PAGES[page], re.MULTILINE)
        shown = [command for command in commands if re.search(r"/\d\d_", command)]
        assert sorted(shown) == [str(path.relative_to(EXAMPLES)) for path in scripts]
        assert shown == sorted(shown, key=lambda name: (name.startswith("engine") != shown[0].startswith("engine"), name))
        figures = {str(path.relative_to(EXAMPLES)) for path in (EXAMPLES / "figures").rglob("*.svg")}
        assert figures == set(re.findall(r"figures/[\w/]+\.svg", PAGES[page]))

    @pytest.mark.parametrize("page", PAGES)
    def test_links_within_a_page_lead_somewhere(self, page):
        anchors = set(re.findall(r'<a id="([^"]+)">', PAGES[page]))
        wanted = set(re.findall(r"\]\(#([^)]+)\)", PAGES[page]))
        assert wanted and wanted == anchors

    def test_the_first_network_trains(self, capsys):
        """What a reader pastes, in either language, works and reaches what the page says."""
        english, chinese = (re.search(r"```python\n(.*?)```", page, re.DOTALL)[1] for page in PAGES.values())
        assert ast.dump(ast.parse(english)) == ast.dump(ast.parse(chinese))
        names = {}
        exec(english, names)
        assert round(100 * names["accuracy"]) == 92
        assert f"it is a {names['y'][1500]}" in capsys.readouterr().out

    def test_both_say_the_same(self):
        """Same sections, commands, figures, links and numbers, in the same order."""
        english, chinese = PAGES.values()
        for pattern in (r"^#+", r"^(?:python|pip|marimo) .*$", r"figures/[\w/]+\.\w+", r'<a id="[^"]+">', r"https?://[^)\s]+"):
            assert re.findall(pattern, english, re.MULTILINE) == re.findall(pattern, chinese, re.MULTILINE), pattern
        def numbers(text):
            return sorted(re.findall(r"\d+\.\d+", text))

        assert numbers(english) == numbers(chinese)
