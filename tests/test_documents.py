"""The documents: every link to a file leads to one."""

import re

import pytest
from helpers.small_training import ROOT

FOLDERS = ("docs", "voxjax", "configs", "launch", "benchmarks")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(file for name in FOLDERS for file in (ROOT / name).rglob("*.md"))])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [file for file in files if not (document.parent / file).exists()] == []


def test_the_cards_of_the_models_are_among_them():
    assert {ROOT / "voxjax" / world / "MODEL_CARD.md" for world in ("picturebook", "pocket")} <= set(
        DOCUMENTS
    )
