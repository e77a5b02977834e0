"""The panel of a shown run: what is seen of it, its course, and what can be taken away."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import viser
import viser.uplot

from voxjax.viewer.drawing import RESTING_PX
from voxjax.viewer.exhibit import Cut
from voxjax.viewer.feed import Feed, Progress, names_of
from voxjax.viewer.looks import MODES, Look
from voxjax.viewer.notices import relabel

if TYPE_CHECKING:
    from voxjax.viewer.session import Session

# One colour for each run, told apart also by the colour-blind (Okabe and Ito).
_SERIES = ("#2e7f8a", "#d55e00", "#7a5195", "#6b6f76")
_HEADER = "padding: 0.2em 0.9em 0.5em; line-height: 1.45"
_QUIET = "color: #6b6f76; font-size: 0.85em"


class RunPanel:
    """The controls of one browser while it looks at runs.

    Args:
      session: of the browser, which does what the controls say.
    """

    def __init__(self, session: Session):
        self._session, self._gui = session, session.client.gui
        self._told: dict[str, Any] = {}
        if session.has_start_page:
            self._button("All runs", viser.Icon.ARROW_LEFT, session.leave)
        self._headers = [self._gui.add_html("") for _ in session.feeds]
        self._bar = self._gui.add_progress_bar(0.0, animated=True, visible=False)
        self._stop = self._button("Stop training", viser.Icon.PLAYER_STOP, self._stop_training)
        self._go_on = self._button("Go on training", viser.Icon.PLAYER_PLAY, session.go_on)
        self._stop.visible = self._go_on.visible = False
        # On a phone the panel lies over the lower part of the window.
        room = session.client.camera.aspect >= 0.8
        with self._gui.add_folder("Show", expand_by_default=room):
            self._build_look()
        with self._gui.add_folder("Crop", expand_by_default=False):
            self._build_crop()
        self._course = self._gui.add_folder("Course", expand_by_default=room)
        with self._course:
            self._build_course()
        with self._gui.add_folder("Take away", expand_by_default=room):
            self._button("Picture", viser.Icon.CAMERA, session.take.picture)
            self._button("Mesh", viser.Icon.CUBE, session.take.mesh)
        with self._gui.add_folder("Camera path", expand_by_default=False):
            self._build_path()

    def update(self, progress: Sequence[Progress]) -> None:
        """Shows how far the runs are; only what changed is sent."""
        session = self._session
        for i, (feed, now) in enumerate(zip(session.feeds, progress, strict=True)):
            self._tell(f"header{i}", self._headers[i], "content", self._header(i, feed, now))
            self._offer_steps(i, session.steps[i])
        first, training = progress[0], session.trains_here
        unfinished = len(progress) == 1 and 0 <= first.step < first.steps
        self._tell("bar", self._bar, "visible", unfinished and training)
        self._tell("done", self._bar, "value", 100.0 * first.step / max(first.steps, 1))
        self._tell("stop", self._stop, "visible", training)
        self._tell("go on", self._go_on, "visible", unfinished and not training and bool(first.steps))
        self._plot_course(progress)

    def _stop_training(self) -> None:
        relabel(self._stop, "Stopping …", disabled=True)
        self._session.stop_training()
        relabel(self._stop, "Stop training")

    def _header(self, i: int, feed: Feed, now: Progress) -> str:
        config = feed.config
        what = [] if config is None else [config.field.name]
        if now.steps:
            what.append(f"step {now.step} of {now.steps}")
        else:
            what.append("starting" if self._session.trains_here else "not started")
        if now.similarity is not None:
            what.append(f"similarity {now.similarity:.3f}")
        shown = self._session.shown[i]
        if shown is not None and shown.run.step != now.step:
            what.append(f"shown: step {shown.run.step}")
        note = self._session.note(i)
        lines = [f"<b>{escape(feed.prompt)}</b>", f'<span style="{_QUIET}">{escape(" · ".join(what))}</span>']
        if len(self._session.feeds) > 1:
            mark = f'<span style="color: {_SERIES[i % len(_SERIES)]}">●</span> '
            lines[0] = mark + lines[0]
        if note:
            lines.append(f'<span style="color: #b3261e">{escape(note)}</span>')
        return f'<div style="{_HEADER}">{"<br>".join(lines)}</div>'

    def _build_look(self) -> None:
        gui, session = self._gui, self._session
        mode = gui.add_dropdown("Mode", MODES, initial_value=session.look.mode)
        largest = [f"{px} px" for px in RESTING_PX]
        size = gui.add_dropdown("Resolution", largest, initial_value=f"{session.full_px} px")
        size.hint = "Longer side of the picture once the camera rests"
        threshold = gui.add_slider("Threshold", 0.0, 0.99, 0.01, session.cut.alpha)
        threshold.hint = "Opacity of a sample below which it is left out"
        ground = gui.add_rgb("Background", tuple(round(255 * c) for c in session.look.background))
        cameras = gui.add_checkbox("Cameras", False, hint="Where training looks from")
        cameras.visible = len(session.feeds) == 1

        def look(_: Any) -> None:
            red, green, blue = (channel / 255.0 for channel in ground.value)
            session.change(look=Look(mode.value, (red, green, blue)))

        mode.on_update(look)
        ground.on_update(look)
        size.on_update(lambda _: session.change(full_px=int(size.value.split()[0])))
        threshold.on_update(lambda _: session.change(cut=Cut(float(threshold.value), session.cut.box)))
        cameras.on_update(lambda _: session.show_cameras(cameras.value))

    def _build_crop(self) -> None:
        gui, session = self._gui, self._session
        low, high = session.extent
        sliders = [
            gui.add_multi_slider(axis, *_rounded(low[k], high[k]), 0.01, _rounded(low[k], high[k]))
            for k, axis in enumerate("xyz")
        ]
        reset = self._gui.add_button("Whole object", icon=viser.Icon.MAXIMIZE)

        def crop(_: Any) -> None:
            ends = np.array([slider.value for slider in sliders])
            whole = all(slider.value[0] <= slider.min and slider.value[1] >= slider.max for slider in sliders)
            lower, upper = (tuple(map(float, ends[:, end])) for end in (0, 1))
            session.change(cut=Cut(session.cut.alpha, None if whole else (lower, upper)))  # type: ignore

        def forget(_: Any) -> None:
            for slider in sliders:
                slider.value = (slider.min, slider.max)
            session.change(cut=Cut(session.cut.alpha, None))

        for slider in sliders:
            slider.on_update(crop)
        reset.on_click(forget)

    def _build_course(self) -> None:
        self._sliders = []
        names = names_of(self._session.feeds)
        for i, name in enumerate(names):
            label = "Checkpoint" if len(names) == 1 else name
            slider = self._gui.add_slider(label, 0, 1, 1, 0, visible=False)
            slider.on_update(lambda event, i=i: self._choose(i, event))
            self._sliders.append(slider)
        self._plot: Any = None

    def _choose(self, i: int, event: Any) -> None:
        if event.client is not None:  # somebody moved it
            self._session.choose(i, int(event.target.value))

    def _offer_steps(self, i: int, steps: Sequence[int]) -> None:
        """Lets the slider run over the kept checkpoints."""
        slider, shown = self._sliders[i], self._session.shown[i]
        self._tell(f"slider{i}", slider, "visible", len(steps) > 1)
        if len(steps) > 1 and self._told.get(f"steps{i}") != tuple(steps):
            self._told[f"steps{i}"] = tuple(steps)
            slider.min, slider.max = steps[0], steps[-1]
            slider.step = math.gcd(*(int(step) - int(steps[0]) for step in steps[1:]))
            if shown is not None:
                slider.value = shown.run.step

    def _plot_course(self, progress: Sequence[Progress]) -> None:
        """Draws similarity over steps, one line for each run."""
        key = tuple(len(now.history) for now in progress)
        if self._told.get("plot") == key or max(key) < 2:
            return
        self._told["plot"] = key
        steps = np.unique(np.concatenate([[step for step, _ in now.history] for now in progress]))
        lines = []
        for now in progress:
            known = np.array(now.history, np.float64).reshape(-1, 2)
            line = np.full(len(steps), np.nan)
            if len(known):
                line = np.interp(steps, known[:, 0], known[:, 1], left=np.nan, right=np.nan)
            lines.append(line)
        data = (steps.astype(np.float64), *lines)
        if self._plot is None:
            with self._course:
                self._plot = self._make_plot(data)
        else:
            self._plot.data = data

    def _make_plot(self, data: tuple[np.ndarray, ...]) -> Any:
        series = [viser.uplot.Series(label="step")]
        for i in range(len(data) - 1):
            label = "similarity" if len(data) == 2 else f"similarity {i + 1}"
            series.append(viser.uplot.Series(label=label, stroke=_SERIES[i % len(_SERIES)], width=2))
        # Steps, or uplot takes them for seconds since 1970.
        scales = {"x": viser.uplot.Scale(time=False, auto=True)}
        return self._gui.add_uplot(data, tuple(series), scales=scales, aspect=1.8)

    def _build_path(self) -> None:
        gui, session = self._gui, self._session
        said = gui.add_html("")
        closed = gui.add_checkbox("Closed", True)
        seconds = gui.add_number("Seconds", 4.0, min=1.0, max=60.0, step=0.5)

        def tell() -> None:
            n = len(session.take.keys)
            words = f"{n} key poses" if n > 1 else f"{('No key pose yet', 'One key pose')[n]}: a full turn"
            said.content = f'<div style="{_QUIET}; padding: 0 0.9em">{words}</div>'
            session.show_path(closed.value)

        def add() -> None:
            session.take.add_key()
            tell()

        def clear() -> None:
            session.take.keys.clear()
            tell()

        tell()
        closed.on_update(lambda _: tell())
        self._button("Add key pose", viser.Icon.PLUS, add)
        self._button("Clear", viser.Icon.TRASH, clear)
        render = gui.add_button("Render video", icon=viser.Icon.MOVIE)
        label = functools.partial(relabel, render)
        render.on_click(lambda _: session.take.video(seconds.value, closed.value, telling_label=label))

    def _button(self, label: str, icon: Any, action: Any) -> Any:
        button = self._gui.add_button(label, icon=icon)
        button.on_click(lambda _: action())
        return button

    def _tell(self, key: str, handle: Any, name: str, value: Any) -> None:
        if self._told.get(key) != value:
            self._told[key] = value
            setattr(handle, name, value)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """The range outwards to whole hundredths, which the sliders step in."""
    return math.floor(low * 100.0 + 1e-3) / 100.0, math.ceil(high * 100.0 - 1e-3) / 100.0
