"""The three places where progress is shown, the notebook's in a kernel of its own."""

import io
import os
import pty
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from helpers.small_training import ROOT, environment
from nbclient import NotebookClient
from rich.console import Console

from voxjax.training import displays
from voxjax.training.displays import Notebook, Terminal, choose_display, notebook_page

RUN = """
from voxjax.training.progress import Progress
bar = Progress(0, 50, opening="a <b>bold</b> plan")
for step in (10, 50):
    bar.update(step, loss=-0.5, similarity=0.25)
bar.say("a warning")
bar.close()
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """Outputs of three cells: the bar in the kernel, in a process with a pipe, in one with `!`."""
    script = tmp_path_factory.mktemp("notebook") / "run.py"
    script.write_text(RUN)
    start = f"import subprocess, sys\nrun = [sys.executable, {str(script)!r}]\n"
    piped = start + "print(subprocess.run(run, capture_output=True, text=True).stderr)"
    cells = [RUN, piped, f"!{{sys.executable}} {script}"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": ROOT}})
    client.execute(env=environment())
    return [cell.outputs for cell in book.cells]


def test_a_cell_has_one_bar_that_was_drawn_anew(notebook):
    (output,) = notebook[0]
    page = output["data"]["text/html"]
    assert '<progress value="50" max="50"' in page and "50/50  loss -0.5000  CLIP 0.2500" in page
    assert "a warning" in page and "a &lt;b&gt;bold&lt;/b&gt; plan" in page and "<b>" not in page


@pytest.mark.parametrize("cell", [1, 2])
def test_what_a_kernel_starts_writes_plain_lines(notebook, cell):
    (output,) = notebook[cell]
    lines = output["text"].replace("\r\n", "\n").strip().splitlines()
    assert lines[:2] == ["a <b>bold</b> plan", "step 0/50  compiling"]
    assert [line.split()[1] for line in lines if line.startswith("step")] == ["0/50", "10/50", "50/50"]
    assert "\x1b" not in output["text"] and "\r" not in "".join(lines)


def test_a_notebook_is_not_drawn_too_often(monkeypatch):
    now, pages = [0.0], []
    handle = SimpleNamespace(update=pages.append)
    show = SimpleNamespace(HTML=str, display=lambda page, display_id: pages.append(page) or handle)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=show))
    display = Notebook(100, clock=lambda: now[0])
    for step in range(0, 101, 10):
        display.show(step, "", "")
        now[0] += 0.1
    drawn = [int(re.search(r'value="(\d+)"', page)[1]) for page in pages]
    assert drawn == [0, 30, 60, 90, 100]  # every 0.25 s, and the last step


def test_a_page_escapes_everything():
    page = notebook_page(10, 5, "<script>", "<i>", ["&"])
    assert "<script>" not in page and "<i>" not in page and "<div>&amp;</div>" in page
    assert page.count("<div") == page.count("</div>")


def test_a_terminal_shows_bar_and_lines():
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    display = Terminal(200, console=console)
    display.say("[bold] is no markup")
    display.show(50, "loss 0.1", "1:23")
    display.close()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())
    assert "[bold] is no markup" in plain and "50/200" in plain and "loss 0.1  1:23 left" in plain
    assert "━" in plain


CHOICE = (
    "from voxjax.training.displays import choose_display as c; d = c(5); d.close(); print(type(d).__name__)"
)


@pytest.mark.parametrize(
    ("changes", "on_terminal", "name"),
    [
        ({}, True, "Terminal"),
        ({"JPY_PARENT_PID": "1"}, True, "Lines"),
        ({"TERM": "dumb"}, True, "Lines"),
        ({}, False, "Lines"),
        # What a kernel tells its children, and rich takes for a terminal.
        ({"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, False, "Lines"),
    ],
)
def test_the_display_fits_the_place(changes, on_terminal, name):
    ours, theirs = pty.openpty()
    surroundings = {k: v for k, v in environment(TERM="xterm").items() if k != "JPY_PARENT_PID"}
    stderr = theirs if on_terminal else subprocess.PIPE
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHOICE], cwd=ROOT, env=surroundings | changes, stderr=stderr,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0 and done.stdout.split() == [name]


def test_a_kernel_is_found_without_importing_anything(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not displays.in_notebook()  # IPython was imported by somebody, and no shell runs
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: object()))
    assert not displays.in_notebook()  # the shell of a terminal
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert displays.in_notebook() and isinstance(choose_display(5), Notebook)
    monkeypatch.delitem(sys.modules, "IPython")
    assert not displays.in_notebook()
