"""Tab completes what is stored, in real shells."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runstore.cli import main

_BASH = r"""
eval "$(runstore completion bash)"
COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}
_runstore_completion runstore
printf '%s\n' "${COMPREPLY[@]}"
"""
_ZSH = r"""
autoload -U compinit; compinit -D
eval "$(runstore completion zsh)"
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- "$@" }
words=(${=1}); [[ $1 == *' ' ]] && words+=(''); CURRENT=$#words
_runstore
"""
_FISH = r"""
runstore completion fish | source
complete -C $argv[1] | string split -f1 \t
"""
_SHELLS = {
    "bash": ["bash", "--norc", "-c", _BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", _ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", _FISH],
}


@pytest.mark.extended
@pytest.mark.parametrize(
    "shell",
    [
        "bash",
        pytest.param("zsh", marks=pytest.mark.slow),
        pytest.param("fish", marks=pytest.mark.slow),
    ],
)
def test_real_shells_complete_references(shell, disk, tmp_path):
    """Namespaces, runs and names are offered, also those with a colon."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    disk.at(namespace="team", run="nightly:1").put("train/x", 1)
    disk.at(namespace="team", run="nightly:1").put("test", 1)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["HOME"] = str(tmp_path)

    def offered(line):
        done = subprocess.run(
            [*_SHELLS[shell], line], env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout.split()

    found = offered("runstore show team/nightly:1/t")
    if shell == "bash":  # which takes the part before the colon for another word
        assert ["1/test", "1/train/"] == found
    else:
        assert ["team/nightly:1/test", "team/nightly:1/train/"] == sorted(found)
    assert ["team/"] == offered("runstore ls te")


@pytest.fixture
def offered(monkeypatch, capsys):
    """Give a function that returns what is offered for a line, as the scripts ask for it."""

    def call(line):
        monkeypatch.setenv("COLUMNS", "30")
        monkeypatch.setenv("TERMINAL_WIDTH", "30")
        monkeypatch.setenv("_RUNSTORE_COMPLETE", "complete_fish")
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        with pytest.raises(SystemExit):
            main([])
        monkeypatch.delenv("_RUNSTORE_COMPLETE")
        return [word.partition("\t")[0] for word in capsys.readouterr().out.splitlines()]

    return call


def test_each_level_is_offered(offered, disk, tmp_path):
    """First namespaces, then runs and the two special words, then names up to a slash."""
    view = disk.at(namespace="a", run="r1")
    view.put("x/1", 1)
    view.put("x/2", 1)
    view.put("y", 1)
    view.put("shared", 1, scope="namespace")
    disk.at(namespace="b", run="r2").put("z", 1)
    assert ["a/", "b/"] == offered("runstore ls ")
    assert ["a/r1/", "a/_shared/", "a/_latest/"] == offered("runstore tree a/")
    assert ["a/r1/x/", "a/r1/y"] == offered("runstore show a/r1/")
    assert ["a/r1/x/1", "a/r1/x/2"] == offered("runstore cat a/r1/x/")
    assert ["a/_shared/shared"] == offered("runstore show a/_shared/s")
    assert ["a"] == offered("runstore runs --namespace a")
    (tmp_path / "file.csv").write_text("a\n1\n")
    assert ["file.csv"] == offered("runstore put a/r1/z fi")


def test_only_commands_and_options_are_candidates(offered):
    """A help text is never one, in however many lines it would be on a narrow terminal."""
    commands = offered("runstore ")
    assert {"run", "show", "completion"} < set(commands)
    assert all(re.fullmatch("[a-z]+", command) for command in commands)
    for command in commands:
        options = offered(f"runstore {command} --")
        assert "--help" in options
        assert [] == [one for one in options if not re.fullmatch("--[a-z-]+", one)], command


def test_the_store_of_the_line_is_asked(offered, tmp_path):
    """`--store` counts, before the command and after it; a bad one offers nothing."""
    from runstore import ObjectStore

    ObjectStore(tmp_path / "other").at(namespace="there", run="r").put("x", 1)
    assert ["there/"] == offered(f"runstore --store {tmp_path}/other ls ")
    assert ["there/"] == offered(f"runstore ls --store {tmp_path}/other ")
    assert [] == [one for one in offered("runstore --store pigeon://loft ls ") if one]


def test_a_missing_shell_is_told_in_a_line(cli):
    """With all that may be given."""
    ended = cli("completion")
    assert 2 == ended.code
    assert "error: Missing argument 'shell'. Choose from: bash, zsh, fish" in ended.err.splitlines()
