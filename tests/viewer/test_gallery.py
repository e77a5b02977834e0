"""Where the pictures of the start page lie, and which of them a click meets."""

from types import SimpleNamespace

import numpy as np
import pytest

from voxjax.viewer.gallery import Gallery, Tile, draw_gallery, places

WINDOWS = [(1080, 900), (390, 844), (1400, 500), (120, 120)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 12, 60])
def test_pictures_lie_apart_inside_the_window(n, window):
    width, height = window
    boxes = places(n, width, height)
    assert len(boxes) == n or (n > 5 or window == (120, 120)) and len(boxes) < n
    taken = np.zeros((height + 100, width), int)
    for left, top, side in boxes:
        assert left >= 0 and top >= 0 and left + side <= width and side >= 60
        taken[top : top + side, left : left + side] += 1
    assert taken.max(initial=0) <= 1
    assert len({side for _, _, side in boxes}) <= 1


def test_few_pictures_are_larger_than_many():
    sides = [places(n, 1080, 900)[0][2] for n in (1, 6, 12, 20, 80)]
    assert sides == sorted(sides, reverse=True) and sides[0] > 2 * sides[-1]


def test_a_gallery_shows_pictures_and_their_names():
    red = np.full((50, 80, 3), (200, 10, 10), np.uint8)
    tiles = [(red, "a red ball", "finished"), (None, "a <b>blue</b> cube", "step 1 of 9")]
    sheet = draw_gallery(tiles, 600, 400)
    assert sheet.shape == (400, 600, 3)
    (left, top, side), (right, _, _) = places(2, 600, 400)
    np.testing.assert_array_equal(sheet[top + side // 2, left + side // 2], (200, 10, 10))
    assert sheet[top + 10 : top + side - 10, right + 10 : right + side - 10].min() < 160  # "no picture yet"
    for x in (left, right):
        assert sheet[top + side + 5 : top + side + 45, x : x + 100].min() < 120
    assert draw_gallery([], 600, 400).min() < 160  # says so


class Scene:
    def __init__(self):
        self.callback, self.pasted = None, []

    def on_click(self):
        def register(callback):
            self.callback = callback
            return callback

        return register

    def remove_click_callback(self, callback):
        assert callback == self.callback
        self.callback = None

    def set_background_image(self, image, format):
        self.pasted.append(image)


def test_a_click_opens_the_run_under_it():
    camera = SimpleNamespace(image_width=1000, image_height=600)
    client, chosen = SimpleNamespace(scene=Scene(), camera=camera), []
    gallery = Gallery(client, chosen.append)
    gallery.fill([])
    assert client.scene.pasted[-1].shape == (600, 1000, 3)
    tiles = [Tile(SimpleNamespace(prompt=f"run {i}"), None, "") for i in range(3)]
    gallery.fill(tiles)
    gallery.show()
    assert len(client.scene.pasted) == 2  # nothing new, nothing sent
    camera.image_width = 800
    gallery.show()
    assert client.scene.pasted[-1].shape == (600, 800, 3)
    for tile, (left, top, side) in zip(tiles, places(3, 800, 600), strict=True):
        client.scene.callback(SimpleNamespace(screen_pos=((left + side / 2) / 800, (top + 3) / 600)))
        assert chosen.pop() is tile.feed
        client.scene.callback(SimpleNamespace(screen_pos=((left - 4) / 800, (top + 3) / 600)))
        assert not chosen
    gallery.close()
    assert client.scene.callback is None
