"""What several test files share: a tiny CLIP on disk, and one cache of programs for all processes."""

import pytest


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """Folder of a random CLIP that knows `a red blue sphere cube on top of` and takes images of 20 px."""
    from helpers.clip_oracle import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("clip") / "tiny")[0]


@pytest.fixture(scope="session")
def compile_cache(tmp_path_factory):
    """Folder in which the training processes of the tests find each other's programs."""
    return tmp_path_factory.mktemp("programs")
