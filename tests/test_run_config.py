"""A run's config that cannot be read is an error in words."""

from pathlib import Path

import pytest

from voxjax.errors import UserError
from voxjax.run_config import read_config


def test_a_config_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError) as caught:
        read_config(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'config.json'}: cannot be read (Permission denied)"
