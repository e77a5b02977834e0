"""What several test files share: a tiny CLIP on disk, one cache of programs, a browser if there is one."""

import signal

import pytest


def pytest_configure():
    """A shell's background jobs ignore Ctrl-C, and so would all processes that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """Folder of a random CLIP that knows `a red blue sphere cube on top of` and takes images of 20 px."""
    from helpers.clip_oracle import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("clip") / "tiny")[0]


@pytest.fixture(scope="session")
def compile_cache(tmp_path_factory):
    """Folder in which the training processes of the tests find each other's programs."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def page():
    """A page of headless Chromium, 1000 x 700 px, that collects its errors in `page.errors`."""
    from helpers.browser import open_page

    with open_page(width=1000, height=700) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter):
    """Says what was left out and why: a skip nobody reads is a hole in the suite."""
    left_out = [(report.nodeid, report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", [])]
    if left_out:
        terminalreporter.section("left out")
    for name, reason in left_out:
        terminalreporter.line(f"{name}: {reason}")
