"""The course: its experiments run, quickly, and what each claims is true; its pages show what is there.

The numbers on the pages, and in the docstrings of the scripts, are compared with what the whole scripts printed, which
is kept beside their figures (*.txt).
"""

import ast
import html
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from helpers import bare_environment, load_script

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


def test_they_are_numbered_from_one_to_fourteen():
    assert [int(path.stem[:2]) for path in EXPERIMENTS] == list(range(1, 15))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment(path, tmp_path, capsys):
    module = load_script(path)
    module.main(["--quick", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.startswith(module.__doc__.splitlines()[0])
    assert printed.count("  holds: ") >= 3
    figure = tmp_path / "batchnorm" / f"{path.stem}.svg"
    for folder in (".", "zh", "narrow", "zh/narrow"):
        svg = tmp_path / folder / "batchnorm" / f"{path.stem}.svg"
        xml.etree.ElementTree.parse(svg)
        assert 2_000 < svg.stat().st_size < 150_000
    assert untranslated(svg) == []
    assert printed.startswith(figure.with_suffix(".txt").read_text(encoding="utf-8"))


NAMES = {  # what Chinese figures leave in Latin letters, beside single letters
    "SGD", "Adam", "He", "Xavier", "BN", "LN", "NaN", "Dropout", "Dense", "conv", "bn", "relu", "sd", "nat",
    "ReLU", "tanh", "sigmoid", "snake", "gamma", "beta", "dc", "dh", "dv", "ds", "dx", "dy", "du", "gh", "minigrad", "NumPy",
    "matmul", "adam", "affine", "LSTM", "SimpleRNN", "ln",
}  # fmt: skip


def untranslated(svg):
    """The labels of a Chinese figure that have an English word, other than names, of kernels for example."""
    labels = map(html.unescape, re.findall(r">([^<>]+)</text>", svg.read_text(encoding="utf-8")))
    return [s for s in labels if set(re.findall(r"[A-Za-z]{2,}", re.sub(r"[a-z]+(_[a-z]+)+", "", s))) - NAMES]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_both_exercises_are_solved(path):
    solutions, number = load_script(EXAMPLES / "batchnorm" / "solutions.py"), path.stem[:2]
    for kind in ("predict", "code"):
        assert getattr(solutions, f"{kind}_{number}")()


def test_a_script_by_itself(tmp_path):
    """As a reader starts it: in a process of its own, with minigrad installed."""
    command = [sys.executable, EXPERIMENTS[0], "--quick", "--out", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, env=bare_environment(PYTHONPATH=str(EXAMPLES.parent)))
    assert result.returncode == 0, result.stderr
    assert "processor time" in result.stdout


def test_all_figures_again_tells_which_failed(tmp_path, monkeypatch, capfd):
    make = load_script(EXAMPLES / "make_figures.py")
    (good := tmp_path / "good.py").write_text("import sys; print(sys.argv[1:])")
    (bad := tmp_path / "bad.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(make, "scripts", lambda: ([bad, good], [good]))
    assert make.main(["--quick"]) == 1
    printed = capfd.readouterr()
    assert printed.out.split() == ["['--quick']"]  # the explorer's picture knows no options: it is left alone
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

    def test_only_a_whole_run_with_seed_0_writes_to_the_pages(self, course):
        for options, of_the_page in ([], True), (["--quick"], False), (["--seed", "1"], False):
            path = course.Script(EXAMPLES / "strand" / "07_name.py", "7. A title", options).path
            assert (course.FIGURES in path.parents) == of_the_page, options

    def test_labels_in_chinese(self, course):
        svg = "<text x='1'>training step</text><text>weights × 2</text><text>gamma</text><text>1.50</text>"
        chinese = "<text x='1'>训练步数</text><text>权重 × 2</text><text>gamma</text><text>1.50</text>"
        assert course.in_chinese(svg) == chinese
        lines = ('<text style="font-size: 8px" transform="translate(' + place + f')">{words}</text>'
                 for place, words in (("426.24 77.65", "8 layers"), ("429.68 87.25", "of tanh")))  # end together
        ends = re.findall(r'text-anchor: end" transform="translate\(([\d.]+) .*?\)">(?:8 层|tanh)<', course.in_chinese("".join(lines)))
        assert np.ptp(np.array(ends, float)) < 0.5 and len(ends) == 2

    def test_an_accuracy_of_0_is_a_cross(self, course, script):
        figure, ax = script.figure()
        course.accuracies(ax, [1, 2, 3], [[0.9, 0.1, 0.0], [0.8, 0.1, 0.0]], course.WITH)
        line, crosses = ax.lines
        assert line.get_markevery() == [0, 1]
        assert [list(v) for v in crosses.get_data()] == [[3], [0]]
        plt = pytest.importorskip("matplotlib.pyplot")
        plt.close(figure)

    def test_panels_for_a_phone_stand_below_each_other_and_keep_their_labels(self, course, script, tmp_path):
        figure, axes = script.figure(1, 3, sharey=True)
        for ax in axes:
            ax.plot([1, 2], [30, 50], label="with Batch Normalization")
        axes[0].set(ylabel="test accuracy (%)", yticks=[40])
        course.legend(figure)
        script.save(figure)
        wide, narrow = (
            xml.etree.ElementTree.parse(tmp_path / folder / "strand" / "07_name.svg").getroot() for folder in ("", "narrow")
        )
        once, thrice = ([text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")] for svg in (wide, narrow))
        assert [once.count(word) for word in ("test accuracy (%)", "40", "with Batch Normalization")] == [1, 1, 1]
        assert [thrice.count(word) for word in ("test accuracy (%)", "40", "with Batch Normalization")] == [3, 3, 1]
        assert float(narrow.get("width")[:-2]) < float(wide.get("width")[:-2]) / 2
        groups = [group[0].get("transform") for group in narrow.iter() if group.get("id", "").startswith("axes")]
        moves = [[float(number) for number in re.findall(r"-?[\d.]+", group)] for group in groups]
        high = float(wide.get("height")[:-2])
        assert [round((b[1] - a[1]) / high) for a, b in zip(moves, moves[1:])] == [1, 1]
        assert len({round(along) for along, _ in moves}) == 3  # each by another way, to the same left edge

    def test_one_panel_is_not_stacked(self, script, tmp_path):
        script.save(script.figure()[0])
        assert (tmp_path / "zh" / "strand" / "07_name.svg").exists() and not (tmp_path / "narrow").exists()

    def test_one_panel_is_drawn_anew_for_a_phone(self, course, script, tmp_path, monkeypatch):
        figures = [script.figure(size=size)[0] for size in ((8, 3), (4, 3))]
        figures[1].axes[0].set_title("weights × 2")
        script.save(*figures)
        narrow = tmp_path / "narrow" / "strand" / "07_name.svg"
        kept = narrow.read_text(encoding="utf-8")
        assert 'width="288pt"' in kept and "weights × 2" in kept
        in_chinese = tmp_path / "zh" / "narrow" / "strand" / "07_name.svg"
        assert "权重 × 2" in in_chinese.read_text(encoding="utf-8")
        in_chinese.unlink()  # what only translates and stacks translates it, too, and leaves it as it is
        make = load_script(EXAMPLES / "make_figures.py")
        monkeypatch.setattr(make.course, "FIGURES", tmp_path)
        make.again()
        assert "权重 × 2" in in_chinese.read_text(encoding="utf-8") and narrow.read_text(encoding="utf-8") == kept

    @pytest.mark.parametrize("record", [True, False])
    def test_what_is_printed_is_kept_unless_it_should_not_be(self, course, tmp_path, capsys, record):
        with course.Script(tmp_path / "strand" / "07_name.py", "7. A title", ["--out", str(tmp_path)], record=record):
            pass
        assert (tmp_path / "strand" / "07_name.txt").exists() == record

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
        links = re.findall(r"\]\(([^)#]+)[^)]*\)|src(?:set)?=\"([^\"]+)\"", PAGES[page])
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
        figures.remove("figures/source_map.svg")  # which README.md of the whole project shows
        of_this_page = {name for name in figures if ("/zh/" in name) == ("zh" in page)}
        narrow = {name for name in of_this_page if "/narrow/" in name}
        # A script writes all. This writes the others of the wide ones that are there: examples/make_figures.py --again
        assert of_this_page - narrow == set(re.findall(r"(?:src=\"|\]\()(figures/[\w/]+\.svg)", PAGES[page]))
        pairs = re.findall(r'srcset="(\S+)"><img alt="[^"]+" src="(\S+)">', PAGES[page])
        assert all(name.replace("narrow/", "") == wide for name, wide in pairs)
        assert narrow == {name for name, _ in pairs}

    @pytest.mark.parametrize("page", PAGES)
    def test_every_figure_has_its_number_and_a_caption(self, page):
        figure = r"^(?:!\[|<picture>).*[\"(]figures\S*/(\w)\w*/(\d\d)_\w+\.svg(?:\)|\"></picture>)\n\n(.*)$"
        after = re.findall(figure, PAGES[page], re.MULTILINE)
        assert len(after) > 15
        for strand, number, line in after:
            assert re.match(r"\*(Figure |图 )" + ("E" if strand == "e" else "") + rf"{int(number)}[.。]", line), line

    def test_every_chinese_figure_is_in_chinese(self):
        figures = sorted((EXAMPLES / "figures" / "zh").rglob("*.svg"))
        assert [(str(svg), labels) for svg in figures if (labels := untranslated(svg))] == []

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
        english, chinese = (re.sub("<source.*?>", "", page) for page in PAGES.values())
        chinese = chinese.replace("figures/zh/", "figures/")
        for pattern in (r"^#+", r"^(?:python|pip|marimo) .*$", r"figures/[\w/]+\.\w+", r'<a id="[^"]+">', r"https?://[^)\s]+"):
            assert re.findall(pattern, english, re.MULTILINE) == re.findall(pattern, chinese, re.MULTILINE), pattern
        def numbers(text):
            return sorted(re.findall(r"\d+\.\d+", text))

        assert numbers(english) == numbers(chinese)

    @pytest.mark.parametrize("page", PAGES)
    def test_the_answers_repeat_numbers_of_their_chapters(self, page):
        before, _, after = PAGES[page].partition('<a id="answers"></a>')
        stated = re.findall(r"\d+\.\d+|\d+%", after.partition("<a id=")[0].partition("python -m")[0])
        assert stated and not [number for number in stated if number not in before]


# Numbers on the pages and in docstrings that are not the scripts' own, but from the literature or of the library.
LITERATURE = {
    "01_what_it_computes": "2",
    "02_faster_convergence": "14 4.2 1",
    "03_gradients_over_depth": "1.211 1.21",
    "04_initialization": "0.00001",
    "05_larger_learning_rates": "3.3",
    "07_where_to_put_it": "0.499 0.474 0.99",
    "10_pictures": "110 3.2",
    "07_where_the_time_goes": "280000",  # 32 (20 64 + 64 32 + 32), twice as many back, but not for the inputs
}


class TestNumbers:
    """Each number that is stated is printed by the whole script, or one of its own settings."""

    SCRIPTS = sorted(EXAMPLES.glob("*/[0-9]*.py"))
    TOKEN = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)(?:(e[-+]\d+)| × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?( ?%)?")
    POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")

    @classmethod
    def numbers(cls, text):
        """(as written, value, smallest step that it tells apart) of each number in a text."""
        for match in cls.TOKEN.finditer(text):
            digits, power, superscript, percent = match.groups()
            exponent = int((power or "e0")[1:]) if not superscript else int(superscript.translate(cls.POWERS))
            step = 10.0 ** -len(digits.partition(".")[2])
            whole = digits.replace(",", "").rstrip(",")
            if step == 1 and len(whole) > 3:  # 61,000 stands for all that is rounded to it
                step = 10.0 ** (len(whole) - len(whole.rstrip("0")))
            scale = 10.0**exponent * (0.01 if percent else 1)
            yield match[0], float(whole) * scale, step * scale

    @classmethod
    def settings(cls, source):
        """The numbers that a script itself contains."""
        constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
        return [float(value) for value in constants if type(value) in (int, float)]

    @staticmethod
    def stated(text):
        """A text without numbers that state nothing: in code, links and identifiers, of years, figures and headings."""
        for pattern in (
            r"<source.*?>", r'src=".*?"', r"```.*?```", r"`[^`]*`", r"\]\([^)]*\)", r"arXiv:\d+\.\d+", r"\b(?:19|20)\d\d\b",
            r"(?:Figure|图) E?\d+", r"(?:[Ee]xperiment|[Ss]cript|实验|脚本) \d+", r"^#+ \d+", r"^\d+\.(?= )",
        ):  # fmt: skip
            text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
        return text

    def unknown(self, text, path):
        """The numbers of a text that the script neither printed nor contains."""
        record = EXAMPLES / "figures" / path.parent.name / f"{path.stem}.txt"
        assert record.exists(), f"run {path.name} without options: its printout is kept beside its figure"
        known = [value for _, value, _ in self.numbers(record.read_text(encoding="utf-8"))]
        known += self.settings(path.read_text(encoding="utf-8"))
        known += map(float, LITERATURE.get(path.stem, "").split())
        known = np.array(known)
        return [
            written for written, value, step in self.numbers(self.stated(text))
            if not np.any(np.abs(known - value) <= 0.5001 * step)
        ]  # fmt: skip

    @pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
    def test_on_the_pages(self, path):
        anchor = f'<a id="{"bn" if path.parent.name == "batchnorm" else "engine"}-{int(path.stem[:2])}"></a>'
        for name, page in PAGES.items():
            section = page.partition(anchor)[2].partition("<a id=")[0]
            assert self.unknown(section, path) == [], name

    @pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
    def test_in_docstrings(self, path):
        assert self.unknown(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path) == []

    def test_the_instructions_that_the_pages_show(self):
        record = (EXAMPLES / "figures" / "engine" / "06_program.txt").read_text(encoding="utf-8").splitlines()
        for page in PAGES.values():
            shown = re.search(r'<a id="engine-6">.*?```\n(.*?)```', page, re.DOTALL)[1].splitlines()
            assert len(shown) > 4 and set(shown) <= set(record)
