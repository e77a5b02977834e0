"""Pictures against values worked out pixel by pixel, and the files of a whole object."""

import math

import numpy as np
import pytest
from helpers.reading import read_video
from PIL import Image, ImageDraw

from voxjax.files import atomic_path, write_text
from voxjax.pictures import contact_sheet as sheets
from voxjax.pictures import images, outputs
from voxjax.structs import Rendering


def rendering(colour, opacity, depth):
    """From plain colour [h, w, 3], opacity [h, w] and mean depth [h, w]."""
    colour, opacity, depth = (np.asarray(a, np.float32) for a in (colour, opacity, depth))
    return Rendering(
        colour=colour * opacity[..., None],
        transmittance=1 - opacity,
        depth=depth * opacity,
        overflow=np.zeros((), np.int32),
    )


def ball_view(azimuth_deg, elevation_deg, size_px):
    """A solid ball of radius 1 seen from distance 4: red is the azimuth, green the elevation."""
    axis = (np.arange(size_px) + 0.5) / size_px * 2.8 - 1.4
    x, y = np.meshgrid(axis, -axis)
    inside = x**2 + y**2 < 1
    depth = 4 - np.sqrt(np.where(inside, 1 - x**2 - y**2, 0))
    colour = np.broadcast_to([azimuth_deg / 360, elevation_deg / 90, 0.2], (size_px, size_px, 3))
    return rendering(colour, inside, depth)


def test_atomic_path_replaces_only_when_done(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "first")
    with atomic_path(path) as part:
        assert part.parent == path.parent and part.suffix == ".txt" and part.name.startswith(".")
        part.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    with pytest.raises(RuntimeError), atomic_path(path) as part:
        part.write_text("third")
        raise RuntimeError
    assert path.read_text() == "second"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_colour_and_opacity_pixel_by_pixel():
    rng = np.random.default_rng(0)
    view = rendering(rng.random((5, 6, 3)) * 1.3, rng.random((5, 6)), np.full((5, 6), 4.0))
    colour, opacity = images.colour_image(view, background=0.25), images.opacity_image(view)
    for row in range(5):
        for column in range(6):
            transmittance = float(view.transmittance[row, column])
            for channel in range(3):
                value = float(view.colour[row, column, channel]) + 0.25 * transmittance
                assert abs(int(colour[row, column, channel]) - 255 * min(value, 1.0)) <= 0.501
                assert abs(int(opacity[row, column, channel]) - 255 * (1 - transmittance)) <= 0.501
    assert colour.dtype == opacity.dtype == np.uint8


def test_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        images.to_uint8(np.array([0.1, np.nan]))


def test_mean_depth_divides_by_opacity():
    view = rendering(np.zeros((1, 3, 3)), [[1.0, 0.25, 0.0]], [[3.0, 4.5, 9.0]])
    np.testing.assert_allclose(images.mean_depth(view)[0, :2], [3.0, 4.5], rtol=1e-6)
    assert math.isnan(images.mean_depth(view)[0, 2])


def test_depth_range_counts_solid_pixels_of_all_views():
    depths = np.linspace(3.0, 4.0, 1000).reshape(1, -1)
    solid = rendering(np.zeros((1, 1000, 3)), np.full((1, 1000), 0.9), depths)
    fog = rendering(np.zeros((1, 1000, 3)), np.full((1, 1000), 0.3), depths + 5)
    near, far = images.depth_range([solid, fog], fallback=(0.0, 1.0))
    # 1st and 99th percentile are 3.01 and 3.99; a twentieth of their distance is added at both ends.
    assert near == pytest.approx(3.01 - 0.049, abs=1e-3)
    assert far == pytest.approx(3.99 + 0.049, abs=1e-3)
    assert images.depth_range([fog], fallback=(2.0, 6.0)) == (2.0, 6.0)
    flat = rendering(np.zeros((1, 2, 3)), np.ones((1, 2)), np.full((1, 2), 3.0))
    near, far = images.depth_range([flat], fallback=(0.0, 1.0))
    assert near < 3.0 < far


def test_depth_colours_rise_with_nearness():
    depths = np.linspace(3.0, 5.0, 50).reshape(1, -1)
    view = rendering(np.zeros((1, 50, 3)), np.ones((1, 50)), depths)
    image = images.depth_image(view, 3.0, 5.0).astype(float)
    np.testing.assert_array_equal(image[0, 0], [253, 231, 37])
    np.testing.assert_array_equal(image[0, -1], [68, 1, 84])
    lightness = image @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness[0]) < 0)
    empty = rendering(np.zeros((1, 1, 3)), np.zeros((1, 1)), np.zeros((1, 1)))
    np.testing.assert_array_equal(images.depth_image(empty, 3.0, 5.0)[0, 0], [255, 255, 255])
    with pytest.raises(ValueError, match="below"):
        images.depth_image(view, 5.0, 5.0)


def test_preview_has_a_row_each_and_views_in_order(tmp_path):
    options = outputs.PictureOptions(preview_px=40)
    near, far = outputs.write_preview(tmp_path / "preview.png", ball_view, options=options)
    assert 2.9 < near < 3.1 and 3.7 < far < 4.1
    image = np.asarray(Image.open(tmp_path / "preview.png"))
    height, width = image.shape[:2]
    top, left = height - 3 * 40, width - 8 * 40
    assert top > 0 and left > 0
    for k in range(8):
        column = left + 40 * k
        colour, depth, opacity = (image[top + 40 * row :][:40, column:][:, :40] for row in range(3))
        np.testing.assert_allclose(colour[20, 20], [255 * k / 8, 255 / 3, 51], atol=0.51)
        np.testing.assert_array_equal(colour[0, 0], [255, 255, 255])
        np.testing.assert_array_equal(opacity[20, 20], [255, 255, 255])
        np.testing.assert_array_equal(opacity[0, 0], [0, 0, 0])
        # The middle of the ball is near (yellow), its rim far (blue).
        assert depth[20, 20, 0] > 200 and depth[20, 20, 2] < 100
        assert depth[20, 7, 2] > depth[20, 7, 1]
    assert (image[:top] < 100).any() and (image[top:, :left] < 100).any()
    first = outputs.read_first_view(tmp_path / "preview.png")
    np.testing.assert_array_equal(first, image[top : top + 40, left : left + 40])


def test_all_pictures_of_an_object(tmp_path):
    seen = []
    options = outputs.PictureOptions(
        preview_px=16, eval_px=33, turntable_px=31, n_frames=6, fps=10, elevation_deg=36.0
    )
    paths = outputs.write_pictures(
        tmp_path, ball_view, options=options, progress=lambda done, total: seen.append((done, total))
    )
    names = ["preview.png", "eval.png", "turntable.mp4", "turntable_depth.mp4"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    assert seen == [(k, 6) for k in range(1, 7)]
    evaluation = np.asarray(Image.open(paths[1]))
    np.testing.assert_array_equal(evaluation, images.colour_image(ball_view(30.0, 45.0, 33)))
    colour, fps, _ = read_video(paths[2])
    assert colour.shape == (6, 32, 32, 3) and fps == 10
    # One turn in six steps of 60 degrees, at the elevation asked for.
    np.testing.assert_allclose(colour[:, 15, 15, 0], np.arange(6) / 6 * 255, atol=8)
    np.testing.assert_allclose(colour[:, 15, 15, 1], 0.4 * 255, atol=8)
    depth = read_video(paths[3])[0]
    assert depth.shape == (6, 32, 32, 3)
    assert np.all(depth[:, 15, 15, 0] > 200) and np.all(depth[:, 15, 15, 2] < 110)
    np.testing.assert_allclose(depth[:, 1, 1], 255, atol=8)


def test_failing_turntable_leaves_the_older_ones(tmp_path):
    def failing(azimuth_deg, elevation_deg, size_px):
        if azimuth_deg > 200:
            raise RuntimeError("lost")
        return ball_view(azimuth_deg, elevation_deg, size_px)

    names = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for name in names:
        name.write_bytes(b"older")
    options = outputs.PictureOptions(turntable_px=16, n_frames=4)
    with pytest.raises(RuntimeError, match="lost"):
        outputs.write_turntables(*names, failing, near=3.0, far=4.0, options=options)
    assert [name.read_bytes() for name in names] == [b"older"] * 2
    assert len(list(tmp_path.iterdir())) == 2


def test_contact_sheet_places_tiles_and_labels():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    images = [np.full((20, 20, 3), colour, np.uint8) for colour in colours]
    sheet = sheets.contact_sheet(images, ["one", "two", ""], columns=2, tile_px=60, gap_px=5, font_px=12)
    line = 15
    assert sheet.shape == (5 + 2 * (60 + 4 + 5) + line, 5 + 2 * 65, 3)
    second_row = 5 + 60 + 4 + line + 5
    for (top, left), colour in zip([(5, 5), (5, 70), (second_row, 5)], colours, strict=True):
        tile = sheet[top : top + 60, left : left + 60]
        np.testing.assert_array_equal(tile, np.broadcast_to(colour, (60, 60, 3)))
    assert np.all(sheet[second_row:, 70:] == 255)
    for left in (5, 70):
        assert sheet[69 : 69 + line, left : left + 60].min() < 60
    assert np.all(sheet[second_row + 61 :] == 255)
    plain = sheets.contact_sheet(images, ["one", "two", ""], columns=2, tile_px=60, font_px=11)
    titled = sheets.contact_sheet(
        images, ["one", "two", ""], columns=2, tile_px=60, font_px=11, title="gypsy"
    )
    head = titled.shape[0] - plain.shape[0]
    np.testing.assert_array_equal(titled[head + 7 :], plain[7:])
    ink = np.flatnonzero((titled[: head + 7] < 200).any(axis=(1, 2)))
    assert ink.size and ink[-1] < head + 4, "what hangs below the line stays clear of the first row"
    with pytest.raises(ValueError, match="3 pictures and 1 labels"):
        sheets.contact_sheet(images, ["one"], columns=2)


def test_wide_pictures_keep_their_shape():
    tile = sheets.fit_tile(np.zeros((10, 40, 3), np.uint8), 60)
    rows = np.flatnonzero((tile == 0).all(axis=(1, 2)))
    assert 13 <= len(rows) <= 15 and abs(rows.mean() - 29.5) <= 1


def test_labels_wrap_within_the_width():
    font = sheets.font_of(14)
    text = "a red sphere on a blue cube beside incomprehensibilitiesofoneword"
    lines = sheets.wrap(text, 90, font)
    draw = ImageDraw.Draw(Image.new("RGB", (400, 50)))
    assert all(draw.textbbox((0, 0), line, font=font)[2] <= 91 for line in lines)
    assert " ".join(lines).startswith("a red sphere on a blue cube beside incom")
    assert lines[-1].endswith("…")
    assert sheets.wrap("  ", 90, font) == []
    assert sheets.wrap("a b\nc", 90, font) == ["a b", "c"]
