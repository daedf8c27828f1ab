"""`Progbar` against what Keras writes to a terminal (golden/make_text.py makes it), and where it departs."""
import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import frames

from minigrad.utils.progbar import Progbar

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("progbar.json").read_text(encoding="utf-8"))
BAR = "━" * 20


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    """Stands in for the module `time`."""
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("minigrad.utils.progbar.time", clock)
    monkeypatch.setenv("COLUMNS", "200")
    return clock


def terminal():
    return contextlib.redirect_stdout(Terminal())


def logfile():
    return contextlib.redirect_stdout(io.StringIO())


def new_text(stdout):
    """What was written since the last call."""
    text = stdout.getvalue()
    stdout.seek(0)
    stdout.truncate()
    return text


@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN)
def test_writes_what_keras_writes(case, clock):
    clock.now = 1e6
    with terminal() as stdout:
        bar = Progbar(**case["options"])
        for now, current, values, finalize, written in case["updates"]:
            clock.now = 1e6 + now
            bar.update(current, values, finalize)
            assert new_text(stdout) == written


@pytest.mark.parametrize("verbose, expected", [
    (0, ""),
    (1, f"25/25 {BAR} 4s 150ms/step - loss: 0.2500 - val_loss: 0.7500\n"),
    (2, "25/25 - 4s - 150ms/step - loss: 0.2500 - val_loss: 0.7500\n"),
])
def test_file_gets_the_final_line_only(clock, verbose, expected):
    with logfile() as stdout:
        bar = Progbar(25, verbose=verbose, stateless_metrics=())
        for step in range(25):
            clock.now += 0.15
            bar.update(step + 1, [("loss", 0.5)], finalize=False)
        bar.close()
        assert stdout.getvalue() == ""
        bar.update(25, [("loss", 0.25), ("val_loss", 0.75)], finalize=True)
        bar.close()
        assert stdout.getvalue() == expected


def test_file_and_unknown_length(clock):
    with logfile() as stdout:
        bar = Progbar(None)
        for step in range(3):
            clock.now += 2
            bar.update(step + 1)
        bar.update(3, finalize=True)
    assert stdout.getvalue() == "      3/Unknown 6s 2s/step\n"


def test_target_may_become_known(clock):
    with logfile() as stdout:
        bar = Progbar(None, verbose=2)
        bar.update(7)
        bar.target = 7
        bar.update(7, finalize=True)
    assert stdout.getvalue() == "7/7 - 0s - 0s/step\n"


def test_redraws_ten_times_a_second(clock):
    with terminal() as stdout:
        bar = Progbar(10**6)
        for step in range(1001):
            clock.now = step / 1000
            bar.update(step + 1, [("loss", 1.0)])
    assert stdout.getvalue().count("\r") in (10, 11)


def test_running_line_fits_the_window(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    values = [("a_metric_of_some_length", 0.5), ("loss", 0.25)]
    with terminal() as stdout:
        bar = Progbar(4)
        bar.update(1, values)
        plain = f" 1/4 {BAR} 0s 0s/step - a_metric_of_some_length: 0.5000"
        assert visible(new_text(stdout)) == plain[1:60]
        clock.now += 1
        bar.update(2, values)
        assert len(visible(new_text(stdout))) == 59
        bar.update(4, values)
        assert visible(new_text(stdout)).endswith("a_metric_of_some_length: 0.5000 - loss: 0.2500")


def visible(text):
    for code in (0, 1, 32, 37):
        text = text.replace(f"\x1b[{code}m", "")
    return text.strip("\b\r\n")


def test_close_ends_an_open_line_once(clock):
    with terminal() as stdout:
        bar = Progbar(4)
        bar.close()
        assert new_text(stdout) == ""
        bar.update(1)
        new_text(stdout)
        bar.close()
        bar.close()
        assert new_text(stdout) == "\n"
        clock.now += 1
        bar.update(2)
        assert new_text(stdout).startswith("\r")
        bar.update(4)
        new_text(stdout)
        bar.close()
        assert new_text(stdout) == ""


def test_interrupt_while_writing_leaves_the_line_to_close():
    class Interrupted(Terminal):
        def flush(self):
            if not self.getvalue().endswith("\n"):
                raise KeyboardInterrupt

    with contextlib.redirect_stdout(Interrupted()) as stdout:
        bar = Progbar(4)
        with pytest.raises(KeyboardInterrupt):
            bar.update(1)
        bar.close()
    assert stdout.getvalue().endswith("/step\n")


@pytest.mark.parametrize("encoding, bar, name", [
    ("ascii", "=" * 20, "pr?cision"), ("latin-1", "=" * 20, "précision"), ("utf-8", BAR, "précision")])
def test_narrow_encoding(encoding, bar, name):
    written = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(written, encoding=encoding, newline="")) as stdout:
        Progbar(1).update(1, [("précision", 0.5)])
        stdout.flush()
        assert written.getvalue().decode(encoding) == f"1/1 {bar} 0s 0s/step - {name}: 0.5000\n"


def test_no_stdout(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    bar = Progbar(1)
    bar.update(1)
    bar.close()


def shown(bar, stdout, *updates):
    for update in updates:
        bar.update(*update, finalize=False)
    bar.update(bar.target, finalize=True)
    return stdout.getvalue().split("/step")[-1]


def test_averages_weigh_by_steps():
    with logfile() as stdout:
        bar = Progbar(8)
        assert shown(bar, stdout, (1, [("loss", 1.0)]), (4, [("loss", 3.0)])) == " - loss: 2.5000\n"


def test_stateful_metrics_are_not_averaged():
    with logfile() as stdout:
        bar = Progbar(8, stateful_metrics=["lr"])
        text = shown(bar, stdout, (1, [("loss", 1.0), ("lr", 1.0)]), (2, [("loss", 3.0), ("lr", 3.0)]))
    assert text == " - loss: 2.0000 - lr: 3.0000\n"


def test_only_stateless_metrics_are_averaged():
    with logfile() as stdout:
        bar = Progbar(8, stateless_metrics=["loss"])
        text = shown(bar, stdout, (1, {"loss": 1.0, "lr": 1.0}), (2, {"loss": 3.0, "lr": 3.0}))
    assert text == " - loss: 2.0000 - lr: 3.0000\n"


def test_numbers_of_things_stay_integers():
    with logfile() as stdout:
        assert shown(Progbar(2, stateless_metrics=()), stdout, (2, {"failed": 3, "loss": 3.0})).endswith(" - failed: 3 - loss: 3.0000\n")


def test_both_kinds_are_refused():
    with pytest.raises(ValueError, match="stateful_metrics or stateless_metrics"):
        Progbar(8, stateful_metrics=["loss"], stateless_metrics=["mae"])


def test_values_may_be_numpy():
    values = [("a", np.float32(0.5)), ("b", np.array([1, 2])), ("c", 3), ("d", np.array(np.nan))]
    with logfile() as stdout:
        assert shown(Progbar(4), stdout, (1, values)) == " - a: 0.5000 - b: 1.5000 - c: 3.0000 - d: nan\n"


def test_add_counts_on():
    with logfile() as stdout:
        bar = Progbar(64, unit_name="sample")
        bar.add(32, [("loss", 1.0)])
        bar.add(32, [("loss", 2.0)])
    assert stdout.getvalue() == f"64/64 {BAR} 0s 0s/sample - loss: 2.0000\n"


@pytest.mark.parametrize("seconds, expected", [
    (0.9, "0s"), (60, "60s"), (61, "1:01"), (3600, "60:00"), (3600.5, "1:00:00"), (90061, "25:01:01")])
def test_time_left(clock, seconds, expected):
    with terminal() as stdout:
        bar = Progbar(2)
        clock.now = seconds
        bar.update(1)
    assert f"\x1b[1m{expected}\x1b[0m" in stdout.getvalue()


@pytest.mark.parametrize("seconds, expected", [
    (0, "0s/step"), (4e-6, "4us/step"), (1e-3, "1ms/step"), (0.9994, "999ms/step"), (1, "1s/step"),
    (70, "70s/step")])
def test_time_per_step(clock, seconds, expected):
    with logfile() as stdout:
        bar = Progbar(1)
        clock.now = seconds
        bar.update(1)
    assert stdout.getvalue().endswith(f" {expected}\n")


@pytest.mark.parametrize("out", [terminal, logfile])
@pytest.mark.parametrize("options, calls", [({"stateless_metrics": ()}, 2), ({}, 4)])
def test_update_is_cheap(monkeypatch, out, options, calls):
    """It runs once per batch, between two replays."""
    monkeypatch.undo()
    logs = {"accuracy": 0.5, "loss": 0.25}
    with out():
        bar = Progbar(10**9, interval=3600, **options)
        assert min(frames(lambda: bar.update(1, logs, False)) for _ in range(2)) <= calls  # drawn once


def test_a_notebook_gets_a_moving_bar_without_backspaces(clock):
    """Whose output says that it is no terminal."""
    output = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream", "encoding": "utf-8"})()
    with contextlib.redirect_stdout(output):
        bar = Progbar(2, stateless_metrics=())
        for step in (1, 2):
            clock.now += 1
            bar.update(step, [("loss", 0.5)])
    first, second = output.getvalue().split("\r")[1:]
    assert "1/2" in first and "2/2" in second and second.rstrip().endswith("loss: 0.5000")
    assert "\b" not in output.getvalue() and output.getvalue().count("\n") == 1
