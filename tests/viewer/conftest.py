"""What the tests of the viewer share: small finished runs, opened once."""

import pytest
from helpers.small_runs import write_run


@pytest.fixture(scope="session")
def ball_run(tmp_path_factory):
    """Workdir of a red ball that is not in the middle, so that it looks different from every side."""
    folder = tmp_path_factory.mktemp("viewer") / "ball"
    return write_run(folder, "a red ball", (0.9, 0.1, 0.05), radius=0.5, centre=(0.45, 0.0, 0.1))


@pytest.fixture(scope="session")
def ball(ball_run):
    """The same, opened."""
    from voxjax.viewer.feed import Feed

    return Feed(ball_run).open_latest()
