"""The drawing thread, with drawing that waits to be let on: no clock decides what these tests see."""

import queue
import threading

from voxjax.rendering.marching import GivenUp
from voxjax.viewer.painter import Painter

PATIENCE_S = 30


class Studio:
    """Notes what is drawn; each full picture goes on only when told, and then asks whether it is wanted."""

    def __init__(self, rest_s=0.0):
        self.told = queue.Queue()
        self.go_on = queue.Queue()
        self.painter = Painter(self.quick, self.full, self.failed, rest_s=rest_s)

    def quick(self, view):
        self.told.put(("quick", view))
        if view == "broken":
            raise RuntimeError("broken")

    def full(self, view, wanted):
        self.told.put(("full", view))
        self.go_on.get(timeout=PATIENCE_S)
        if not wanted():
            self.told.put(("given up", view))
            raise GivenUp
        self.told.put(("done", view))

    def failed(self, error):
        self.told.put(("failed", str(error)))

    def next(self):
        return self.told.get(timeout=PATIENCE_S)


def test_first_quickly_and_at_rest_in_full():
    studio = Studio()
    studio.painter.ask("a")
    assert studio.next() == ("quick", "a")
    assert studio.next() == ("full", "a")
    studio.go_on.put(None)
    assert studio.next() == ("done", "a")
    studio.painter.ask("b")
    assert studio.next() == ("quick", "b")
    studio.go_on.put(None)
    assert [studio.next(), studio.next()] == [("full", "b"), ("done", "b")]
    studio.painter.close()
    assert studio.told.empty()


def test_a_full_picture_is_given_up_when_the_camera_moves_on():
    studio = Studio()
    studio.painter.ask("a")
    assert [studio.next(), studio.next()] == [("quick", "a"), ("full", "a")]
    studio.painter.ask("b")
    studio.go_on.put(None)
    assert studio.next() == ("given up", "a")
    assert studio.next() == ("quick", "b")
    studio.go_on.put(None)
    assert [studio.next(), studio.next()] == [("full", "b"), ("done", "b")]
    studio.painter.close()


def test_only_the_newest_of_many_views_is_drawn():
    studio = Studio()
    studio.painter.ask("a")
    assert [studio.next(), studio.next()] == [("quick", "a"), ("full", "a")]
    for view in "bcde":
        studio.painter.ask(view)
    studio.go_on.put(None)
    studio.go_on.put(None)
    found = [studio.next() for _ in range(4)]
    assert found == [("given up", "a"), ("quick", "e"), ("full", "e"), ("done", "e")]
    studio.painter.close()


def test_while_it_moves_nothing_is_drawn_in_full():
    studio = Studio(rest_s=PATIENCE_S)
    for view in "abc":
        studio.painter.ask(view)
        assert studio.next() == ("quick", view)
    studio.painter.close()
    assert studio.told.empty()


def test_an_error_ends_nothing():
    studio = Studio()
    studio.painter.ask("broken")
    assert [studio.next(), studio.next()] == [("quick", "broken"), ("failed", "broken")]
    assert studio.next() == ("full", "broken")
    studio.go_on.put(None)
    assert studio.next() == ("done", "broken")
    studio.painter.ask("b")
    assert studio.next() == ("quick", "b")
    studio.go_on.put(None)
    studio.painter.close()


def test_closing_gives_up_what_is_being_drawn():
    studio = Studio()
    studio.painter.ask("a")
    assert [studio.next(), studio.next()] == [("quick", "a"), ("full", "a")]
    closing = threading.Thread(target=studio.painter.close)
    closing.start()
    while studio.painter._open:
        pass
    studio.go_on.put(None)
    closing.join(PATIENCE_S)
    assert not closing.is_alive() and studio.next() == ("given up", "a")
