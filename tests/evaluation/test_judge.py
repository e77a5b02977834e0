"""What a judge is asked, and what it is shown."""

import pytest

from voxjax.errors import UserError
from voxjax.evaluation import judge


def test_prompts_are_normalised(tmp_path):
    captions = tmp_path / "captions.txt"
    captions.write_text("A red ball\n\na green ball.\na blue ball,\na grey ball\n")
    assert judge.normalise_prompt(" ,A Red, round Ball. \t") == "a red, round ball."
    assert judge.normalise_prompt("a  red\u00a0\n ball .") == "a red ball."
    assert judge.read_prompts(captions) == ["a red ball.", "a green ball.", "a blue ball.", "a grey ball."]
    (tmp_path / "empty.txt").write_text(" . \n\u00a0\n")
    for path, message in [("empty.txt", "no caption"), ("missing.txt", "cannot be read")]:
        with pytest.raises(UserError, match=message):
            judge.read_prompts(tmp_path / path)


def test_views_are_the_evaluation_view_and_its_turns():
    assert judge.eval_azimuths(4) == [30.0, 120.0, 210.0, 300.0]


def test_a_caption_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text("A red ball\n\na blue ball\n a RED  ball. \n")
    with pytest.raises(UserError, match=r"captions.txt: line 4 repeats line 1, 'a red ball\.'") as caught:
        judge.read_prompts(path)
    assert "\n" not in str(caught.value)
