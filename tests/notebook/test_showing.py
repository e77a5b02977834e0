"""What cells show: whole, escaped, and one line where it is not there."""

import base64
import html
import re
import sys
import types

import pytest

from voxjax.notebook import showing
from voxjax.notebook.words import CellError


@pytest.fixture
def shown(monkeypatch):
    seen = []
    monkeypatch.setattr(showing.Spot, "show", lambda self, text: seen.append(text))
    return seen


def contents(text):
    """(type, bytes) of every address in a text that holds its data."""
    return [
        (kind, base64.b64decode(data, validate=True))
        for kind, data in re.findall(r'(?:src|href)="data:([^;"]+);base64,([^"]*)"', text)
    ]


def test_turntables_are_videos_that_are_in_the_cell(shown, tmp_path):
    (tmp_path / "turntable.mp4").write_bytes(b"colour")
    (tmp_path / "turntable_depth.mp4").write_bytes(b"depth")
    showing.show_turntable(tmp_path)
    assert contents(shown[0]) == [("video/mp4", b"colour"), ("video/mp4", b"depth")]
    assert shown[0].count("<video controls autoplay loop muted playsinline") == 2


def test_a_page_is_framed_and_stays_what_it_was(shown, tmp_path):
    page = '<!doctype html><p title="a">"quoted" & <b>bold</b></p><script>alert("x")</script>'
    (tmp_path / "index.html").write_text(page)
    showing.show_page(tmp_path / "index.html")
    (inside,) = re.findall(r'srcdoc="([^"]*)"', shown[0])
    assert html.unescape(inside) == page and not shown[0].startswith("<iframe")


def test_without_colab_a_file_is_a_link(shown, tmp_path):
    file = tmp_path / "a.glb"
    file.write_bytes(b"mesh")
    showing.download(file)
    assert contents(shown[0]) == [("model/gltf-binary", b"mesh")] and 'download="a.glb"' in shown[0]


def test_on_colab_a_file_goes_to_the_browser(shown, tmp_path, monkeypatch):
    sent = []
    files = types.SimpleNamespace(download=sent.append)
    for name, module in {"google": {}, "google.colab": {"files": files}}.items():
        fake = types.ModuleType(name)
        fake.__dict__.update(module)
        monkeypatch.setitem(sys.modules, name, fake)
    (tmp_path / "mesh.glb").write_bytes(b"mesh")
    showing.download(tmp_path)
    assert sent == [str(tmp_path / "mesh.glb")] and shown == []


@pytest.mark.parametrize(
    ("show", "name"),
    [
        (showing.show_turntable, "turntable.mp4"),
        (lambda folder: showing.show_page(folder / "index.html"), "index.html"),
        (lambda folder: showing.download(folder / "a.glb"), "a.glb"),
    ],
)
def test_what_is_not_there_is_one_line(shown, tmp_path, show, name):
    with pytest.raises(CellError, match=f"{name}: no such file; train first"):
        show(tmp_path)
    assert shown == []
