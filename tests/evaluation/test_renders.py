"""Renders beside the run: averaged down exactly, read instead of drawn, and drawn again when they must be."""

import numpy as np
import pytest
from helpers.small_runs import write_run
from PIL import Image

from voxjax.evaluation import renders
from voxjax.evaluation.renders import COLOUR, OPACITY, SHAPE, Renders, render_size, to_judge
from voxjax.run import load_run


@pytest.fixture
def drawn(monkeypatch):
    """What was rendered, one entry a picture."""
    entries = []
    real = renders.view_of

    def counted(run, *, textured=True):
        view = real(run, textured=textured)

        def draw(azimuth_deg, elevation_deg, size_px):
            entries.append((run.workdir.name, azimuth_deg, elevation_deg, size_px, textured))
            return view(azimuth_deg, elevation_deg, size_px)

        return draw

    monkeypatch.setattr(renders, "view_of", counted)
    return entries


@pytest.mark.parametrize("small", [8, 5])
def test_pictures_are_averaged_by_area(small):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    found = to_judge(pictures, small)
    # Every pixel cut into small x small pieces: each piece lies in exactly one pixel of the result.
    fine = np.repeat(np.repeat(pictures / 255.0, small, axis=1), small, axis=2)
    wanted = fine.reshape(2, small, 16, small, 16, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_judges_of_like_resolution_share_their_pictures():
    assert [render_size(px) for px in (48, 72, 224, 240, 288, 336, 448)] == [
        144,
        144,
        448,
        448,
        448,
        896,
        896,
    ]
    assert render_size(1000) == 2000


def test_a_second_look_renders_nothing(tmp_path, drawn):
    workdir = write_run(tmp_path / "a", "a red ball", (0.9, 0.05, 0.05))
    first = Renders(load_run(workdir)).pictures(COLOUR, [30.0, 120.0], 24)
    assert drawn == [("a", azimuth, 45.0, 24, True) for azimuth in (30.0, 120.0)]
    again = Renders(load_run(workdir))
    np.testing.assert_array_equal(again.pictures(COLOUR, [120.0, 30.0], 24), first[::-1])
    opacity = again.pictures(OPACITY, [30.0], 24)
    assert len(drawn) == 2 and opacity[0, 12, 12, 0] == 255 and opacity[0, 0, 0, 0] == 0
    # Another size, another angle or the bare shape is another picture.
    again.pictures(COLOUR, [30.0], 16)
    again.pictures(COLOUR, [31.0], 24)
    again.pictures(SHAPE, [30.0], 24)
    assert [entry[1:] for entry in drawn[2:]] == [
        (30.0, 45.0, 16, True),
        (31.0, 45.0, 24, True),
        (30.0, 45.0, 24, False),
    ]


def test_another_checkpoint_or_a_damaged_picture_is_rendered_anew(tmp_path, drawn):
    workdir = write_run(tmp_path / "a", "a red ball", (0.9, 0.05, 0.05))
    red = Renders(load_run(workdir)).pictures(COLOUR, [30.0], 24)
    file = next((workdir / "renders").glob("*/*colour.png"))
    file.write_bytes(file.read_bytes()[:60])
    np.testing.assert_array_equal(Renders(load_run(workdir)).pictures(COLOUR, [30.0], 24), red)
    assert len(drawn) == 2
    Image.new("RGB", (3, 3)).save(file)  # a picture, but not this one
    np.testing.assert_array_equal(Renders(load_run(workdir)).pictures(COLOUR, [30.0], 24), red)
    assert len(drawn) == 3
    # The same step of a run with another content, as after training anew.
    other = write_run(tmp_path / "b", "a red ball", (0.05, 0.05, 0.9))
    (other / "renders").symlink_to(workdir / "renders")
    blue = Renders(load_run(other)).pictures(COLOUR, [30.0], 24)
    assert len(drawn) == 4 and blue[0, 12, 12, 2] > 200 > blue[0, 12, 12, 0]


def test_a_run_where_nothing_can_be_written_is_rendered_all_the_same(tmp_path, drawn, capsys):
    workdir = write_run(tmp_path / "a", "a red ball", (0.9, 0.05, 0.05))
    (workdir / "renders").write_text("in the way")
    found = Renders(load_run(workdir)).pictures(COLOUR, [30.0, 120.0], 24)
    assert found.shape == (2, 24, 24, 3) and len(drawn) == 2
    assert capsys.readouterr().err.count("renders are not kept") == 1
