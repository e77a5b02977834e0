"""The command `voxjax`: its list, its sub-commands, and what it refuses."""

import errno
import subprocess
import sys

import pytest
from helpers.small_training import ROOT, environment, run

from voxjax import __main__ as command
from voxjax import __version__
from voxjax.command import COMMANDS, Parser, run_command
from voxjax.errors import UserError


def test_help_lists_every_command_with_one_line(capsys):
    for arguments in ([], ["--help"], ["help"]):
        command.main(arguments)
        lines = capsys.readouterr().out.splitlines()
        for name, words in COMMANDS.items():
            assert sum(line.split()[:1] == [name] and line.endswith(words) for line in lines) == 1
    command.main(["--version"])
    assert capsys.readouterr().out == f"voxjax {__version__}\n"


def test_help_does_not_wait_for_jax():
    code = "import sys; from voxjax.__main__ import main; main([]); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment()).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_a_sub_command_is_the_module_of_its_name(name, capsys):
    with pytest.raises(SystemExit) as left:
        command.main([name, "--help"])
    assert left.value.code == 0
    by_command = capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", f"voxjax.{name}", "--help"],
        cwd=ROOT,
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.split() == by_command.split() and f"usage: voxjax {name}" in by_command


def test_a_wrong_name_is_one_line():
    with pytest.raises(UserError, match=r"trian: no such command; did you mean voxjax train\?"):
        command.main(["trian"])
    with pytest.raises(UserError, match="there is make, train"):
        command.main(["xyz"])


def test_a_tilde_behind_the_equals_sign_is_the_home_folder(monkeypatch):
    """Shells expand `--workdir ~/x` alone."""
    monkeypatch.setenv("HOME", "/home/somebody")
    parser = Parser("render")
    parser.add_argument("--workdir")
    parser.add_argument("--prompt")
    given = ["--workdir=~/my runs/x", "--prompt=~5 apples", "--config.cache_dir=~"]
    flags, rest = parser.parse_known_args(given)
    assert (flags.workdir, flags.prompt) == ("/home/somebody/my runs/x", "~5 apples")
    assert rest == ["--config.cache_dir=~"]


def test_a_full_disk_is_one_line_and_other_trouble_is_not_hidden(capsys):
    def fill(arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "run/mesh.glb")

    with pytest.raises(SystemExit) as left:
        run_command(fill, [])
    assert left.value.code == 2
    words = "voxjax: run/mesh.glb: No space left on device; make room and start again\n"
    assert capsys.readouterr().err == words

    def fail(arguments):
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input"):
        run_command(fail, [])


def test_a_path_that_the_terminal_has_no_letters_for_is_printed(tmp_path):
    code = "from voxjax.command import run_command; run_command(lambda _: print('runs/красный-шар'), [])"
    done = run([sys.executable, "-c", code], PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and done.stdout.startswith("runs/\\u043a"), done


def test_programs_from_the_cache_are_no_news(tmp_path):
    """The second process takes the first one's program, and neither says a word."""
    program = (
        "import voxjax, jax, sys; jax.config.update('jax_compilation_cache_dir', sys.argv[1]);"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0);"
        "print(jax.jit(lambda x: x[::2] * 2)(jax.numpy.arange(8.0)).sum())"
    )
    for _ in range(2):
        done = run([sys.executable, "-c", program, str(tmp_path)])
        assert (done.returncode, done.stdout, done.stderr) == (0, "24.0\n", "")
    assert list(tmp_path.iterdir())
