"""The viewer in headless Chromium: it turns, shows depth, hands out files, and follows a run that grows."""

import io
import os
import time
from contextlib import contextmanager

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.reading import read_video
from helpers.small_runs import write_run
from helpers.small_training import ROOT, SMALL
from PIL import Image

from voxjax.cameras import orbit_pose
from voxjax.checkpoint import Checkpoints
from voxjax.run import CHECKPOINTS, load_run
from voxjax.viewer import downloads, jobs
from voxjax.viewer.camera import of_client
from voxjax.viewer.feed import Feed
from voxjax.viewer.house import House, open_house
from voxjax.viewer.server import serving

PATIENCE_S = 120
CENTRE = np.array([0.45, 0.0, 0.1])


@contextmanager
def visiting(page, house):
    """The page of a house; yields its session."""
    page.set_default_timeout(1000 * PATIENCE_S)
    with serving(house, host="127.0.0.1", port=0) as address:
        page.goto(address)
        # viser complains about software WebGL in a corner of the canvas.
        page.add_style_tag(content=".mantine-Notifications-root { visibility: hidden }")
        until(lambda: house.sessions and next(iter(house.sessions.values()))._page is not None)
        yield next(iter(house.sessions.values()))
        assert page.errors == []
        page.goto("about:blank")


def until(condition):
    """Waits for something to be so, and returns it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if isinstance(found, np.ndarray) or found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not so within {PATIENCE_S} s")


def seen(page):
    """[height, width, 3]: what the canvas shows."""
    box = page.locator("canvas").first.bounding_box()
    with Image.open(io.BytesIO(page.screenshot())) as image:
        whole = np.asarray(image.convert("RGB")).astype(int)
    return whole[: int(box["height"]), : int(box["width"])]


def mask_of(image, channel):
    """Where one channel stands out."""
    others = np.delete(image, channel, axis=-1).max(axis=-1)
    return image[..., channel] > others + 30


def shows(page, channel, *, least=2000):
    """The mask of a colour once there is enough of it and two looks agree."""
    before = mask_of(seen(page), channel)
    after = mask_of(seen(page), channel)
    return after if after.sum() > least and (before == after).all() else None


def middle(mask):
    return np.argwhere(mask).mean(axis=0)


def choose(page, name, option):
    page.get_by_role("combobox", name=name, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_it_turns_and_shows_depth(page, ball_run):
    with visiting(page, open_house([str(ball_run)], "runs")) as session:
        ours = until(lambda: shows(page, 0))
        # The browser looks from where our own pictures look from ...
        expected = np.asarray(orbit_pose(30.0, 30.0, 4.0))
        until(lambda: np.allclose(of_client(session.client.camera).pose, expected, atol=1e-3))
        # ... and viser draws a ball of this place and size where we do, a smaller one behind our surface.
        inner = session.client.scene.add_icosphere(
            "/inner", radius=0.3, color=(0, 255, 0), position=CENTRE, subdivisions=4
        )
        time.sleep(2.0)
        until(lambda: mask_of(seen(page), 1).sum() == 0)
        inner.position = CENTRE + 0.4 * expected[:, 2]
        until(lambda: mask_of(seen(page), 1).sum() > 1000)
        inner.remove()
        outer = session.client.scene.add_icosphere(
            "/outer", radius=0.5, color=(0, 255, 0), position=CENTRE, subdivisions=4
        )
        session.client.scene.set_background_image(None)
        theirs = until(lambda: shows(page, 1))
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9
        outer.remove()
        session.screen._asked = None
        session.change(full_px=256)
        before = until(lambda: shows(page, 0))

        page.mouse.move(300, 350)
        page.mouse.down()
        page.mouse.move(420, 350, steps=8)
        page.mouse.up()
        until(lambda: np.linalg.norm(middle(mask_of(seen(page), 0)) - middle(before)) > 20)

        choose(page, "Mode", "depth")
        until(lambda: mask_of(seen(page), 0).sum() == 0)
        near = until(lambda: (m := seen(page))[..., 1].max() - m[..., 0].min() > 60 and m)
        assert (np.ptp(near.reshape(-1, 3), axis=0) > 50).all()  # a scale of colours


def test_it_hands_out_files_and_follows_the_run(page, tmp_path, monkeypatch):
    workdir = write_run(tmp_path / "run", "a red ball", (0.9, 0.05, 0.05), steps_done=50)
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "stand_in_export.py").write_text(
        "import sys\nnames = dict(a.split('=', 1) for a in sys.argv[1:])\n"
        "open(names['--out'], 'wb').write(('glTF of ' + names['--workdir']).encode())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setattr(downloads, "EXPORT", "stand_in_export")
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    with visiting(page, open_house([str(workdir)], "runs")):
        until(lambda: shows(page, 0))
        choose(page, "Resolution", "256 px")
        with page.expect_download() as download:
            page.get_by_role("button", name="Picture", exact=True).click()
        assert download.value.suggested_filename == "a-red-ball.png"
        with Image.open(download.value.path()) as picture:
            image = np.asarray(picture).astype(int)
        assert max(image.shape) == 256 and mask_of(image, 0).sum() > 1000
        with page.expect_download() as download:
            page.get_by_role("button", name="Mesh", exact=True).click()
        assert download.value.suggested_filename == "a-red-ball.glb"
        assert download.value.path().read_text() == f"glTF of {workdir}"
        page.get_by_text("Camera path").click()
        page.get_by_label("Seconds").fill("1")
        page.get_by_role("button", name="Add key pose").click()
        page.get_by_text("One key pose: a full turn").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Render video").click()
        assert download.value.suggested_filename == "a-red-ball-path.mp4"
        frames, _, _ = read_video(download.value.path())
        assert frames.shape[0] == 20 and max(frames.shape[1:]) == 256
        monkeypatch.setattr(downloads, "EXPORT", "no_such_export")
        page.get_by_role("button", name="Mesh", exact=True).click()
        page.get_by_text("No module named no_such_export").wait_for(state="attached")
        assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before

        # Another process saves its next checkpoint, in which the ball has become green.
        state = load_run(workdir).state
        grid = state.params["grid"].at[..., 1:].set(jnp.array([-3.0, 2.0, -3.0]))
        checkpoints = Checkpoints(workdir / CHECKPOINTS)
        checkpoints.save(
            state.replace(step=jnp.int32(100), params={"grid": grid}, opt_state={"moment": jnp.zeros(2)})
        )
        checkpoints.close()
        until(lambda: shows(page, 1))
        page.get_by_text("step 100 of 150").wait_for()
        # And back on the slider.
        slider = page.get_by_role("slider").last
        slider.focus()
        slider.press("Home")
        until(lambda: shows(page, 0))
        page.get_by_text("shown: step 50").wait_for()


@pytest.fixture
def tiny_preset(tmp_path, tiny_clip, compile_cache):
    """A config that trains for long, and saves often."""
    settings = {**SMALL, "steps": 5000, "checkpoint.every": 2, "clip.model": tiny_clip}
    settings |= {"cache_dir": compile_cache, "prompt": "", "progressive.boundaries": ()}
    plain = (tuple, int, float)
    texts = {key: value if isinstance(value, plain) else str(value) for key, value in settings.items()}
    body = "\n".join(f"    c.{key} = {value!r}" for key, value in texts.items())
    file = tmp_path / "tiny.py"
    file.write_text(
        f"from configs import base\n\n\ndef get_config():\n    c = base.get_config()\n{body}\n    return c\n"
    )
    return str(file)


def test_the_start_page_lists_runs_and_starts_one(page, tmp_path, tiny_preset, monkeypatch):
    runs = tmp_path / "runs"
    (tmp_path / "stand_in_refusal.py").write_text("import sys; sys.exit('voxjax: no token for <b>zebra</b>')")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    write_run(runs / "demo/ball", "a red ball <script>alert(1)</script>", (0.9, 0.05, 0.05))
    Image.new("RGB", (40, 40), (20, 40, 220)).save(runs / "demo/ball/eval.png")
    house = House([], runs, full_px=256)
    house._presets = [tiny_preset]
    with visiting(page, house):
        tile = until(lambda: shows(page, 2))  # its picture is blue
        y, x = middle(tile)
        page.mouse.click(x, y)
        until(lambda: shows(page, 0))  # the ball itself is red
        page.get_by_text("a red ball <script>alert(1)</script>").first.wait_for()
        page.get_by_role("button", name="All runs").click()

        with monkeypatch.context() as patched:
            patched.setattr(jobs, "TRAIN", "stand_in_refusal")
            page.locator("form input").first.fill("a zebra")
            page.get_by_role("button", name="Start training").click()
            page.get_by_text("no token for <b>zebra</b>").wait_for()
        page.get_by_role("button", name="All runs").click()

        page.locator("form input").first.fill("a red sphere")
        page.get_by_role("button", name="Start training").click()
        feed = until(lambda: next((f for f in house.find_runs() if f.prompt == "a red sphere"), None))
        assert isinstance(feed, Feed) and feed.workdir == runs / "tiny/a-red-sphere"
        until(lambda: len(feed.steps()) > 1)
        page.get_by_text("of 5000").first.wait_for()
        page.get_by_role("button", name="Stop training").click()
        until(lambda: not house.trainings.of(feed.workdir).running)
        page.get_by_role("button", name="Go on training").click()
        until(lambda: house.trainings.of(feed.workdir).running)
        page.get_by_role("button", name="Stop training").wait_for()
    assert not house.trainings.of(feed.workdir).running  # it ends with the viewer
