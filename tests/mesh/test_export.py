"""From a run to a mesh: figures by closed form, likeness of grids and fogs, errors that help."""

import numpy as np
import pytest
from helpers.mesh_scenes import ball, fog_run, grid_run

from voxjax.errors import UserError
from voxjax.mesh import export as room
from voxjax.mesh.export import ExportOptions, export_run

RADIUS = 0.75


def two_balls(p):
    return np.maximum(
        ball(RADIUS, centre=(-0.3, 0, 0), steepness=300)(p),
        ball(0.25, centre=(0.9, 0, 0.4), steepness=300)(p),
    )


@pytest.fixture(scope="module")
def balls():
    return grid_run(two_balls, lambda p: np.where(p[..., 2:] > 0, [0.9, 0.4, 0.1], [0.1, 0.5, 0.8]), side=26)


def test_a_grid_becomes_a_mesh_that_looks_like_it(balls, tmp_path):
    done = export_run(balls, [tmp_path / "a.glb", tmp_path / "deep" / "a.ply"], check=tmp_path / "check.png")
    assert done.paths == (tmp_path / "a.glb", tmp_path / "deep" / "a.ply")
    assert all(path.stat().st_size > 10_000 for path in (*done.paths, tmp_path / "check.png"))
    assert {path.name for path in tmp_path.iterdir()} == {"a.glb", "deep", "check.png"}
    assert done.silhouette_iou > 0.97 and done.colour_error < 0.03
    assert done.watertight and done.n_faces == len(done.mesh.faces) and done.removed == 0 == done.n_removed
    np.testing.assert_allclose(done.volume, 4 / 3 * np.pi * (RADIUS**3 + 0.25**3), rtol=0.03)
    np.testing.assert_allclose(done.bounds, [[-1.05, -0.75, -0.75], [1.15, 0.75, 0.75]], atol=0.02)
    up = done.mesh.vertices[:, 2] > 0.1
    np.testing.assert_allclose(done.mesh.colours[up].mean(axis=0), [0.9, 0.4, 0.1], atol=0.02)
    text = "\n".join(done.lines())
    assert f"faces       {done.n_faces}, watertight" in text
    assert f"silhouette IoU {done.silhouette_iou:.3f}" in text and "below" not in text
    assert "0 parts" in text and "z up" in text


def test_the_largest_part_alone_and_a_threshold_of_ones_own(balls):
    options = ExportOptions(keep_largest=True, threshold=0.4, cells=36)
    done = export_run(balls, [], options=options)
    assert done.threshold == 0.4 and done.n_removed == 1
    np.testing.assert_allclose(done.removed, 0.25**3 / (RADIUS**3 + 0.25**3), rtol=0.1)
    np.testing.assert_allclose(done.volume, 4 / 3 * np.pi * RADIUS**3, rtol=0.04)
    assert done.silhouette_iou < 0.97
    assert "1 part" in "\n".join(done.lines())


def test_smooth_few_and_textured(balls, tmp_path):
    options = ExportOptions(smooth=10, faces=900, texture_px=128)
    done = export_run(balls, [tmp_path / "a.glb", tmp_path / "a.vox"], options=options)
    assert 800 < done.n_faces <= 900 and done.watertight
    assert done.mesh.texture.shape == (128, 128, 3)
    assert done.silhouette_iou > 0.96 and done.colour_error < 0.04


def test_a_texture_asks_for_fewer_triangles_by_itself(balls, monkeypatch):
    monkeypatch.setattr(room, "TEXTURED_FACES", 500)
    done = export_run(balls, [], options=ExportOptions(texture_px=64, cells=20))
    assert done.n_faces <= 500


def test_a_fog_without_a_grid_has_its_outlines():
    done = export_run(fog_run(peak=4.0, spread=0.3), [])
    assert done.silhouette_iou > 0.96 and done.colour_error < 1e-3 and done.watertight
    # Where a line past the middle is half opaque.
    radius = 0.3 * np.sqrt(2 * np.log(4.0 * np.sqrt(2 * np.pi) * 0.3 / np.log(2)))
    np.testing.assert_allclose(done.bounds, [[-radius] * 3, [radius] * 3], atol=0.03)


def test_a_view_that_is_nowhere_half_opaque_names_opacity_and_threshold(tmp_path):
    run = fog_run(peak=0.4, spread=0.3, n_steps=32)
    largest = 1 - np.exp(-0.4 * run.stage.step_size)
    with pytest.raises(UserError) as raised:
        export_run(run, [tmp_path / "a.glb"])
    message = str(raised.value)
    assert "the surface is empty: no view of the field is anywhere half opaque" in message
    assert f"the largest opacity of a voxel is {largest:.3g}" in message
    assert message.endswith(f"try --threshold={largest / 2:.2g}")
    assert not list(tmp_path.iterdir())
    # The advice works.
    done = export_run(run, [tmp_path / "a.glb"], options=ExportOptions(threshold=float(f"{largest / 2:.2g}")))
    np.testing.assert_allclose(done.bounds[1], 0.3 * np.sqrt(2 * np.log(2)), atol=0.02)
    assert "below 0.95" in done.lines()[-1]


def test_a_threshold_above_everything_is_named():
    run = fog_run(peak=4.0, spread=0.3, n_steps=32)
    with pytest.raises(
        UserError, match=r"--threshold=0.9 lies above all of the field; .*, try --threshold=0\.11$"
    ):
        export_run(run, [], options=ExportOptions(threshold=0.9))


def test_nothing_at_all_is_told_to_train_further():
    run = grid_run(lambda p: np.full(p.shape[:-1], -40.0), lambda p: np.full_like(p, 0.5))
    with pytest.raises(UserError, match="there is nothing in it; train it further"):
        export_run(run, [])


def test_an_unknown_ending_stops_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "sample_lattice", lambda *a, **k: pytest.fail("work was begun"))
    with pytest.raises(UserError, match=r"--out=.*a\.fbx: no such format"):
        export_run(None, [tmp_path / "a.glb", tmp_path / "a.fbx"])
