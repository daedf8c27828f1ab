"""The scripts of examples/engine run, quickly, and what each of them claims is true; the graphs that they draw."""

from pathlib import Path

import pytest
from helpers import load_script

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted((EXAMPLES / "engine").glob("[0-9]*.py"))


@pytest.fixture(autouse=True)
def course_beside(monkeypatch):
    """The folder that the scripts put on the path themselves, for this test only."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_there_are_seven_numbered_from_one():
    assert [int(path.stem[:2]) for path in SCRIPTS] == list(range(1, 8))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path, tmp_path, capsys):
    module = load_script(path)
    module.main(["--quick", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.startswith(module.__doc__.splitlines()[0])
    assert "holds:" in printed
    figure = tmp_path / "engine" / f"{path.stem}.svg"
    assert figure.exists() == ("script.save(" in path.read_text())
    assert not figure.exists() or 2_000 < figure.stat().st_size < 150_000
    assert printed.startswith(figure.with_suffix(".txt").read_text(encoding="utf-8"))


def test_a_false_claim_ends_a_script(tmp_path, monkeypatch):
    """The walk through the Program notices a line that it does not explain, and one whose explanation is wrong."""
    module = load_script(EXAMPLES / "engine" / "06_program.py")
    heading, steps = module.WALK[0]
    monkeypatch.setattr(module, "WALK", [(heading, steps[:1]), *module.WALK[1:]])
    with pytest.raises(AssertionError, match="the ones that are explained"):
        module.main(["--quick", "--out", str(tmp_path)])
    wrong = [*steps[:1], ("gather_rows", "", lambda y, order, cursor, *_: [y[: module.ROWS] + 1])]
    monkeypatch.setattr(module, "WALK", [(heading, wrong), *module.WALK[1:]])
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        module.main(["--quick", "--out", str(tmp_path)])


class TestDrawing:
    """a -> b -> c -> d, and a -> d beside it."""

    graph = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a", "a"]}

    @pytest.fixture
    def drawing(self):
        return load_script(EXAMPLES / "engine" / "drawing.py")

    def test_distances_are_the_longest_ways(self, drawing):
        assert drawing.distances("d", self.graph.get) == {"d": 0, "c": 1, "b": 2, "a": 3}

    def test_a_phone_gets_the_graph_from_the_top_to_the_bottom(self, drawing):
        figure, axes = drawing.course.plt.subplots(1, 2)
        for ax, down in zip(axes, (False, True)):
            drawing.draw(ax, "d", self.graph.get, lambda node: [node], down=down)
        wide, high = ({text.get_text(): text.get_position() for text in ax.texts} for ax in axes)
        assert [name for name, _ in sorted(wide.items(), key=lambda item: item[1][0])] == list("abcd")
        assert [name for name, _ in sorted(high.items(), key=lambda item: -item[1][1])] == list("abcd")
        drawing.course.plt.close(figure)

    def test_text(self, drawing):
        lines = drawing.text("d", self.graph.get, str.upper).splitlines()
        assert [line.split() for line in lines] == [
            ["1", "A"], ["2", "B", "from", "1"], ["3", "C", "from", "2"], ["4", "D", "from", "3,", "1,", "1"],
        ]  # fmt: skip
