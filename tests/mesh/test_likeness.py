"""Likeness against closed forms: a sphere's own outline, circles in circles, colours off by a constant."""

import numpy as np
import trimesh
from PIL import Image

from voxjax.cameras import focal_px, orbit_pose
from voxjax.mesh.likeness import compare, write_check
from voxjax.mesh.model import ColouredMesh, look_up
from voxjax.mesh.views import N_VIEWS, Views

SIZE, RADIUS = 96, 0.7
COLOUR = np.array([0.6, 0.3, 0.2])


def sphere_mesh(*, radius=RADIUS, scale=(1, 1, 1), colour=COLOUR):
    shape = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    normals = np.asarray(shape.vertices) / radius
    vertices = np.asarray(shape.vertices) * scale
    return ColouredMesh(vertices, np.asarray(shape.faces), normals, np.tile(colour, (len(vertices), 1)))


def sphere_views(*, radius=RADIUS):
    """Of a solid sphere, by formula: the circle of the rays that pass its middle closer than its radius."""
    poses = np.stack([np.asarray(orbit_pose(45.0 * k, 30.0, 4.0), np.float64) for k in range(N_VIEWS)])
    focal = focal_px(SIZE)
    pixel = (np.arange(SIZE) + 0.5 - SIZE / 2) / focal
    tangent2 = pixel[:, None] ** 2 + pixel**2
    inside = 4.0 * np.sqrt(tangent2 / (1 + tangent2)) < radius
    opacity = np.broadcast_to(inside.astype(float), (N_VIEWS, SIZE, SIZE))
    return Views(poses, focal, opacity[..., None] * COLOUR, opacity)


def test_a_sphere_looks_like_itself():
    found = compare(sphere_mesh(), sphere_views())
    assert found.silhouette_iou > 0.985
    assert found.colour_error < 1e-6
    assert found.masks.shape == (N_VIEWS, SIZE, SIZE)
    np.testing.assert_allclose(found.pictures[:, SIZE // 2, SIZE // 2], np.tile(COLOUR, (N_VIEWS, 1)))
    np.testing.assert_array_equal(found.pictures[:, 0, 0], 1.0)


def test_a_smaller_sphere_fills_its_share_of_the_outline():
    found = compare(sphere_mesh(radius=0.5), sphere_views())

    def area(radius):
        return radius**2 / (16 - radius**2)

    np.testing.assert_allclose(found.silhouette_iou, area(0.5) / area(RADIUS), atol=0.02)


def test_the_error_is_that_of_the_colour_inside_both_outlines():
    off = COLOUR + [0.1, -0.2, 0.03]
    for mesh in (
        sphere_mesh(colour=off),
        sphere_mesh(colour=off, radius=0.4),
        sphere_mesh(colour=off, radius=0.9),
    ):
        np.testing.assert_allclose(compare(mesh, sphere_views()).colour_error, 0.11, atol=1e-6)


def test_nothing_in_common_is_no_likeness():
    far = sphere_mesh(radius=0.2)
    far = ColouredMesh(far.vertices + [0, 0, 1.4], far.faces, far.normals, far.colours)
    found = compare(far, sphere_views(radius=0.2))
    assert found.silhouette_iou == 0.0 and np.isnan(found.colour_error)


def test_a_texture_is_read_between_its_texels():
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[:, :, 0] = np.array([0, 50, 100, 150])  # rises with u
    texture[:, :, 1] = np.array([150, 100, 50, 0])[:, None]  # rises with v
    uv = np.array([[0.125, 0.125], [0.5, 0.5], [0.25, 0.875], [0.0, 1.0]])
    expected = np.array([[0, 0], [75, 75], [25, 150], [0, 150]]) / 255
    np.testing.assert_allclose(look_up(texture, uv)[:, :2], expected, atol=1e-2)


def test_the_check_shows_field_mesh_and_what_only_one_of_them_has(tmp_path):
    views = sphere_views()
    found = compare(sphere_mesh(scale=(1, 1, 0.6), colour=np.array([0.1, 0.2, 0.9])), views)
    write_check(tmp_path / "check.png", found, views)
    image = np.asarray(Image.open(tmp_path / "check.png")).astype(int)
    left, top = image.shape[1] - N_VIEWS * SIZE, image.shape[0] - 3 * SIZE
    field, mesh, outline = (
        image[top + k * SIZE : top + (k + 1) * SIZE, left : left + SIZE] for k in range(3)
    )
    middle = SIZE // 2
    np.testing.assert_allclose(field[middle, middle], np.rint(255 * COLOUR), atol=1)
    np.testing.assert_allclose(mesh[middle, middle], np.rint(255 * np.array([0.1, 0.2, 0.9])), atol=1)
    only_field = views.masks[0] & ~found.masks[0]
    assert only_field.sum() > 100
    # Blue where only the field is, grey where both are, white elsewhere.
    assert (outline[only_field][:, 2] > outline[only_field][:, 0] + 100).all()
    assert (np.ptp(outline[views.masks[0] & found.masks[0]], axis=-1) == 0).all()
    assert (outline[~views.masks[0] & ~found.masks[0]] == 255).all()
