"""The progress of a run where nobody looks at a terminal."""

from voxjax.training.progress import Progress


def test_plain_lines_where_there_is_no_terminal(capsys):
    bar = Progress(5, 20, seconds_between_lines=0.0)
    bar.update(10, loss=-0.25, similarity=0.125)
    bar.say("a warning")
    bar.update(20, loss=-0.5, similarity=0.25)
    bar.close()
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "step 5/20  compiling"
    assert lines[0].startswith("step 10/20  loss -0.2500  CLIP 0.1250  ") and "steps/s" in lines[0]
    assert lines[1] == "a warning"
    assert lines[2].startswith("step 20/20") and lines[2].endswith("0:00 left")


def test_lines_are_not_too_many(capsys):
    bar = Progress(0, 20, seconds_between_lines=1000.0)
    for step in range(1, 21):
        bar.update(step, loss=0.0, similarity=0.0)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["0/20", "1/20", "20/20"]
