"""What the command line prints cannot steer a terminal, whoever chose the names and values."""

import ast
import os
import sys
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import runstore.cli
from runstore.cli import main
from runstore.context import new_run

RED = "\x1b[31mred\x1b[0m"
TITLE = "\x1b]0;owned\x07"
BIDI = "\u202eevil\u2066"
BACK = "all good\r\x1b[2Kgone\x9b2J"
MARKUP = "[red]text[/red]"
EVIL = f"{RED}{TITLE}{BIDI}{BACK}"


class Evil:
    def __repr__(self):
        return EVIL


@pytest.fixture
def evil(disk):
    """Fill the store with what would steer a terminal, wherever a person chooses a text."""
    view = disk.at(namespace="n", run="r")
    view.put("pandas", pd.DataFrame({EVIL: [EVIL], MARKUP: [1]}), metadata={EVIL: EVIL})
    view.put("arrow", pa.table({EVIL: [EVIL]}))
    view.put("text", EVIL)
    view.put("bytes", EVIL.encode())
    view.put("json", {EVIL: [EVIL]})
    view.put("object", Evil())
    view.put("array", np.array([EVIL]))
    view.put(f"name{BIDI}", 1)
    run = new_run(f"w{EVIL}", namespace="n", name="failed", source=EVIL)
    disk.write_run(run.model_copy(update={"state": "failed", "error": EVIL, "result": [EVIL]}))
    (Path.cwd() / ".runstore/n/_runs/bad.json").write_text('{"uid": 1, "' + EVIL + '": 1}')
    (Path.cwd() / f".runstore/n/_runs/stray{RED}").write_text("x")
    return disk


@pytest.fixture
def terminal(monkeypatch):
    """Give a function that runs a command on a terminal and returns all that it was sent."""

    def call(*words: str) -> str:
        ours, theirs = os.openpty()
        sent = bytearray()

        def read() -> None:
            try:
                while data := os.read(ours, 1 << 16):
                    sent.extend(data)
            except OSError:  # nobody writes any more
                pass

        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patch:
            patch.setenv("TERM", "dumb")  # so that rich has no colours of its own
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            main(list(words))
        reader.join(300)
        os.close(ours)
        return sent.decode()

    return call


def steering(text: str) -> set[str]:
    """Return the characters that would do something else than to stand there."""
    return {
        char
        for char in text.replace("\r\n", "\n")
        if unicodedata.category(char)[0] == "C" and char not in "\n\t"
    }


COMMANDS = [
    "ls",
    "ls n",
    "ls n/r",
    "ls n/r --details",
    "ls n/failed",
    "runs",
    "runs --json",
    "du",
    "du n/r",
    "show n/r/pandas",
    "show n/r/arrow",
    "show n/r/text",
    "show n/r/bytes",
    "show n/r/json",
    "show n/r/object",
    "show n/r/object --load",
    "show n/r/array",
    "show n/r/pandas --json",
    "show n/failed",
    "show n/bad",
    "show n/_latest",
    f"show n/r/{BIDI}",
    f"show {RED}",
    "get n/r/text -o -",
    "get n/r/pandas -o -",
    "get n/r/json -o -",
    "--debug show n/bad",
    "rm n/bad",
]


@pytest.mark.parametrize("command", COMMANDS, ids=ascii)
def test_nothing_that_is_shown_steers_a_terminal(evil, terminal, command):
    """Column names, values, metadata, names, errors and warnings are written out."""
    shown = terminal(*command.split(" "))
    assert shown
    assert set() == steering(shown)


@pytest.mark.parametrize("command", [c for c in COMMANDS if " -o " not in c], ids=ascii)
def test_nothing_that_is_printed_steers_the_reader_of_a_log(evil, cli, command):
    """The same holds for what goes into a pipe or file, but for data that was asked for."""
    ended = cli(*command.split(" "))
    assert set() == steering(ended.out + ended.err)


def test_names_are_never_wrapped_or_cut(disk, terminal, monkeypatch):
    """On a narrow terminal columns are left out; a name that is wider is one line all the same."""
    monkeypatch.setenv("COLUMNS", "40")
    name, run = "n" * 90, "r" * 60
    disk.at(namespace="ns", run=run).put(name, 1)
    disk.write_run(new_run("w", namespace="ns", name=run))
    for command, long in ((f"ls ns/{run}", name), ("ls ns", run), ("runs", run), ("du ns", run)):
        shown = terminal(*command.split(" "))
        assert long in shown
        assert "…" not in shown
    assert "not shown, as the terminal is narrow: workflow, duration, source" in terminal("runs")


def test_markup_in_a_column_name_is_text(evil, terminal):
    """A name in brackets is no style of rich's."""
    assert MARKUP in terminal("show", "n/r/pandas")


def test_the_text_can_still_be_read(evil, terminal):
    """What was written out says what it was."""
    assert r"\x1b[31mred\x1b[0m" in terminal("show", "n/r/text")
    assert r"\u202eevil\u2066" in terminal("show", "n/r/text")


def test_what_is_piped_is_the_value_itself(evil, capfdbinary):
    """`get -o -` into a pipe changes nothing."""
    assert 0 == main(["get", "n/r/text", "-o", "-"])
    assert EVIL.encode() == capfdbinary.readouterr().out


def test_errors_of_stages_do_not_steer(terminal, tmp_path):
    """A failing stage's own message and traceback are written out, live and at the end."""
    (tmp_path / "steps.py").write_text(f"def fail():\n    raise ValueError({EVIL!r})\n")
    (tmp_path / "flow.yaml").write_text(
        "metadata: {name: w}\nspec: {stages: [{name: "
        '"s\\e[31m\\u202e", target: steps.fail, retries: 1}]}\n'
    )
    shown = terminal("run", str(tmp_path / "flow.yaml"))
    assert "ValueError" in shown
    shown = shown.replace("\x1b[?25l", "").replace("\x1b[?25h", "")  # rich hides its cursor
    shown = shown.replace("\x1b[1A", "").replace("\x1b[2K", "").replace("\r", "")
    assert set() == steering(shown)


def test_a_bad_record_is_warned_of_once_and_hides_nothing(evil, cli):
    """`runs` and `ls` name what cannot be read and show the rest; `rm -r` removes it."""
    for command in ("runs", "ls n"):
        ended = cli(*command.split(" "))
        assert (0, 1) == (ended.code, ended.err.count("n/_runs/bad.json"))
        assert "failed" in ended.out
    evil.at(namespace="n", run="bad").put("x", 1)
    assert 0 == cli("rm", "-r", "--yes", "n/bad").code
    assert "bad.json" not in cli("runs").err


def test_one_module_writes_to_the_terminal():
    """No other module of the command line prints, echoes, asks or makes a text of rich's."""
    writers = []
    folder = Path(runstore.cli.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = None
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            if name in ("Text", "print", "echo", "secho", "confirm", "prompt", "print_exc"):
                writers.append(f"{path.name}: {name}")
    assert {"_output.py"} == {writer.partition(":")[0] for writer in writers} - {"_progress.py"}
    assert [] == [writer for writer in writers if writer.startswith("_progress.py: Text")]
