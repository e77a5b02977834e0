"""The cut surface of balls and boxes against their closed forms."""

import numpy as np
import pytest
import trimesh
from helpers.mesh_scenes import ball, grid_run

from voxjax.mesh import surface
from voxjax.mesh.lattice import sample_lattice

RADIUS = 0.8


def lattice_of(raw, **options):
    return sample_lattice(grid_run(raw, lambda p: np.full_like(p, 0.5), **options))


def cut(raw, **options):
    return surface.cut(lattice_of(raw, **options), 0.0)


def test_a_ball_has_the_volume_the_area_and_the_place_of_a_ball():
    centre = np.array([0.1, -0.2, 0.25])
    found = cut(ball(RADIUS, centre=centre), side=40)
    mesh = found.as_trimesh()
    assert mesh.is_watertight and mesh.is_winding_consistent
    np.testing.assert_allclose(mesh.volume, 4 / 3 * np.pi * RADIUS**3, rtol=0.01)
    np.testing.assert_allclose(mesh.area, 4 * np.pi * RADIUS**2, rtol=0.01)
    np.testing.assert_allclose(mesh.bounds, [centre - RADIUS, centre + RADIUS], atol=0.01)
    np.testing.assert_allclose(mesh.center_mass, centre, atol=0.005)
    # Normals look outward.
    outward = (mesh.triangles_center - centre) / RADIUS
    assert (np.einsum("nc,nc->n", mesh.face_normals, outward) > 0.9).all()


def test_what_runs_into_the_box_is_closed_at_its_faces():
    found = cut(lambda p: 40.0 * (0.31 - p[..., 2]))
    mesh = found.as_trimesh()
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.bounds, [[-1.2, -1.2, -1.2], [1.2, 1.2, 0.31]], atol=2e-3)
    np.testing.assert_allclose(mesh.volume, 2.4 * 2.4 * 1.51, rtol=2e-3)


def test_hollows_are_filled_and_bowls_are_not():
    shell = cut(lambda p: 60.0 * (0.2 - np.abs(np.linalg.norm(p, axis=-1) - 0.7)), side=32).as_trimesh()
    np.testing.assert_allclose(shell.volume, 4 / 3 * np.pi * 0.9**3, rtol=0.02)
    assert shell.is_watertight and shell.body_count == 1

    def bowl(p):
        thick = 0.2 - np.abs(np.linalg.norm(p, axis=-1) - 0.7)
        return 60.0 * np.minimum(thick, 0.3 - p[..., 2])

    open_above = cut(bowl, side=32).as_trimesh()
    assert open_above.is_watertight and open_above.volume < 0.75 * shell.volume


def test_nothing_above_the_level_is_no_triangle():
    found = cut(lambda p: np.full(p.shape[:-1], -3.0))
    assert found.faces.shape == (0, 3) and found.vertices.shape == (0, 3)
    assert surface.drop_parts(found, smallest=0.5)[1:] == (0.0, 0)
    assert len(surface.smooth(found, 3).faces) == 0


def test_an_outline_takes_away_what_is_outside_of_it():
    lattice = lattice_of(ball(RADIUS), side=32)
    axis = np.linspace(-1.2, 1.2, lattice.raw.shape[0])
    outline = np.broadcast_to((0.2 - axis)[:, None, None], lattice.raw.shape).astype(np.float32)
    mesh = surface.cut(lattice, 0.0, 60.0 * outline).as_trimesh()
    height = RADIUS - 0.2
    cap = np.pi * height**2 * (RADIUS - height / 3)
    np.testing.assert_allclose(mesh.volume, 4 / 3 * np.pi * RADIUS**3 - cap, rtol=0.02)
    np.testing.assert_allclose(mesh.bounds[1, 0], 0.2, atol=0.01)


def test_parts_are_dropped_by_their_share_of_the_largest():
    large, middle, crumb = (
        ball(0.6, centre=(-0.4, 0, 0)),
        ball(0.3, centre=(0.7, 0, 0)),
        ball(0.12, centre=(0.7, 0, 0.8)),
    )
    lattice = lattice_of(lambda p: np.maximum(np.maximum(large(p), middle(p)), crumb(p)), side=48)
    found = surface.cut(lattice, 0.0)
    sizes = np.array([0.6, 0.3, 0.12]) ** 3
    kept, share, n = surface.drop_parts(found, smallest=surface.CRUMB)
    assert n == 1 and kept.as_trimesh().body_count == 2
    np.testing.assert_allclose(share, sizes[2] / sizes.sum(), rtol=0.1)
    kept, share, n = surface.drop_parts(found, smallest=1.0)
    assert n == 2 and kept.as_trimesh().body_count == 1
    np.testing.assert_allclose(share, sizes[1:].sum() / sizes.sum(), rtol=0.03)
    np.testing.assert_allclose(kept.as_trimesh().center_mass, [-0.4, 0, 0], atol=0.01)
    # No vertex is left that no triangle has.
    assert set(np.unique(kept.faces)) == set(range(len(kept.vertices)))


def test_smoothing_takes_bumps_away_and_leaves_the_volume():
    found = cut(ball(RADIUS), side=32)
    rng = np.random.default_rng(1)
    rough = surface.Surface(
        found.vertices * (1 + 0.02 * rng.standard_normal((len(found.vertices), 1))), found.faces
    )

    def roughness(each):
        return np.linalg.norm(each.vertices, axis=-1).std()

    smoothed = surface.smooth(rough, 20)
    assert roughness(smoothed) < 0.4 * roughness(rough)
    np.testing.assert_allclose(smoothed.as_trimesh().volume, 4 / 3 * np.pi * RADIUS**3, rtol=0.02)
    assert smoothed.as_trimesh().is_watertight
    assert surface.smooth(rough, 0) is rough


@pytest.mark.parametrize("n_faces", [2000, 300])
def test_decimation_keeps_the_shape(n_faces):
    found = cut(ball(RADIUS), side=32)
    assert len(found.faces) > 4000
    few = surface.decimate(found, n_faces)
    assert 0.9 * n_faces <= len(few.faces) <= n_faces
    assert few.as_trimesh().is_watertight
    np.testing.assert_allclose(few.as_trimesh().volume, 4 / 3 * np.pi * RADIUS**3, rtol=0.03)
    assert surface.decimate(found, 10**6) is found


def test_a_decimation_that_opens_the_surface_is_done_again_more_gently(monkeypatch):
    found, tried = cut(ball(RADIUS), side=16), []
    simplify = trimesh.Trimesh.simplify_quadric_decimation

    def opens_at_first(self, *, face_count, aggression):
        tried.append(aggression)
        result = simplify(self, face_count=face_count, aggression=aggression)
        if len(tried) < 2:
            result.update_faces(np.arange(len(result.faces)) > 0)
        return result

    monkeypatch.setattr(trimesh.Trimesh, "simplify_quadric_decimation", opens_at_first)
    assert surface.decimate(found, 200).as_trimesh().is_watertight
    assert len(tried) == 2 and tried[0] > tried[1]
