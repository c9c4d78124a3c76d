"""How the program ends: one code per category of error, and never a traceback of ours."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import runstore.cli._app as program
from runstore import __version__, errors
from runstore.cli._exits import EXIT_CODES, MEANINGS, code_of

CODES = {
    name: code
    for code, names in {
        1: "RunStoreError WorkflowError StageError StageTimeoutError RunCancelledError",
        2: "NoRunContextError InvalidNameError InvalidRequestError SettingsError "
        "InvalidWorkflowError MissingInputError StoreClosedError",
        3: "ObjectNotFoundError",
        4: "ObjectExistsError NotModifiedError PreconditionFailedError RunActiveError "
        "StaleRunError",
        5: "StorageError AccessDeniedError StorageFullError BucketNotFoundError "
        "BackendUnavailableError IndeterminateWriteError BulkError ExecutorUnavailableError",
        6: "CorruptObjectError UnsupportedFormatError",
        7: "UnsupportedValueError UnsafePickleError MissingExtraError",
    }.items()
    for name in names.split()
}


def test_every_error_has_a_code():
    """No class of the public tree is without an exit code of its own in the table."""
    kinds = {getattr(errors, name) for name in errors.__all__}
    kinds = {kind for kind in kinds if not issubclass(kind, Warning)}
    assert kinds == set(EXIT_CODES)
    assert sorted(kind.__name__ for kind in kinds) == sorted(CODES)


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_the_code_is_the_category(name, code):
    """Each error ends the program with the code of what a caller can do about it."""
    assert code == code_of(getattr(errors, name)("message", "ref"))


def test_a_later_class_has_the_code_of_its_base():
    """An error class of a plug-in ends the program like the class it refines."""
    kind = type("LostTapeError", (errors.StorageError,), {})
    assert 5 == code_of(kind("gone"))


def test_bulk_errors_count_as_their_first_reason():
    """Several failures in one end the program as the first of them would alone."""
    reasons = {"a": errors.ObjectNotFoundError("no a"), "b": errors.StorageError("b")}
    assert 3 == code_of(errors.BulkError("2 of 2 failed", None, reasons))


def test_help_and_manual_have_the_same_table(cli):
    """What --help and docs/cli.md say of exit codes is what the program does."""
    ended = cli("--help")
    assert 0 == ended.code
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for code, says in MEANINGS.items():
        assert f"{code}  {says}" in ended.out
        assert f"| {code} | {says} |" in manual


def test_the_manual_has_every_command_and_option(cli):
    """Nothing can be typed that docs/cli.md does not mention."""
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for command in (
        "run",
        "demo",
        "runs",
        "ls",
        "show",
        "get",
        "cat",
        "head",
        "put",
        "rm",
        "du",
        "verify",
        "doctor",
        "config",
        "tree",
        "cp",
        "mv",
        "completion",
        "tail",
        "logs",
    ):
        assert f"## {command}\n" in manual
        section = manual.partition(f"## {command}\n")[2].partition("\n## ")[0]
        everywhere = manual.partition("## run\n")[0]
        for option in set(re.findall(r"--[a-z-]+", cli(command, "--help").out)):
            assert option in section + everywhere, f"{command} {option}"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ls", "--nonsense"], 2),
        (["nonsense"], 2),
        (["show"], 2),
        (["put", "a/b/c", "no-such-file.csv"], 2),
        (["show", "a//c"], 2),
        (["show", "_a/b/c"], 2),
        (["run", "no-such.yaml"], 2),
        (["runs", "--store", "carrier-pigeon://loft"], 2),
        (["show", "a/b/c"], 3),
        (["ls", "a"], 3),
        (["show", "a/_latest/c"], 3),
        (["rm", "a/b/c"], 3),
        (["rm", "-r", "-y", "a/b"], 3),
        (["du", "a/b"], 3),
    ],
)
def test_a_users_mistake_is_told_in_a_sentence(cli, words, code):
    """Wrong words and missing things end with their code, one error line and no traceback."""
    ended = cli(*words)
    assert (code, "") == (ended.code, ended.out)
    assert ended.err.startswith("error: ")
    assert "Traceback" not in ended.err


def test_debug_shows_the_traceback_of_any_error(cli):
    """With --debug, before the command or after it, a user's error has its traceback, too."""
    for words in (["--debug", "show", "a/b/c"], ["show", "a/b/c", "--debug"]):
        ended = cli(*words)
        assert 3 == ended.code
        assert "Traceback" in ended.err


def test_a_wrong_setting_is_a_users_error(cli, monkeypatch):
    """A setting that is not understood is named, and ends with the code of wrong usage."""
    monkeypatch.setenv("RUNSTORE_PICKLE", "perhaps")
    ended = cli("ls")
    assert 2 == ended.code
    assert "RUNSTORE_" in ended.err


def test_a_bug_shows_its_traceback(cli, monkeypatch):
    """An exception that nobody foresaw is shown whole, with a code of its own."""

    def broken(*args, **kwargs):
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(program, "app", broken)
    ended = cli("ls")
    assert 70 == ended.code
    assert "RuntimeError: not foreseen" in ended.err
    assert "bug" in ended.err


def test_an_unwritable_store_is_a_storage_error(cli, tmp_path):
    """A place that cannot take objects ends with the code of storage failures."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "value.txt").write_text("x")
    ended = cli("put", "ns/r/x", "value.txt", "--store", str(tmp_path / "file" / "store"))
    assert 5 == ended.code


def test_a_damaged_object_has_its_code(cli, disk):
    """Bytes that are not what was written end with the code of damage."""
    disk.at(namespace="ns", run="r").put("x", "text")
    path = Path(".runstore/ns/r/x.arrow")
    path.write_bytes(path.read_bytes()[:-20])
    assert 6 == cli("show", "ns/r/x").code
    assert 6 == cli("get", "ns/r/x", "-o", "-").code


@pytest.mark.extended
def test_a_reader_that_leaves_ends_it_quietly(disk):
    """``runstore ls | head`` is no error worth a message."""
    view = disk.at(namespace="ns", run="r")
    for i in range(50):
        view.put(f"{i}" * 60, i)
    view.put("wide", pa.table({"a": range(100_000)}))
    for command in ("ls ns/r --no-details", "ls ns/r --json", "get ns/r/wide -o -"):
        script = f"{sys.executable} -m runstore {command} | exec true; echo ${{PIPESTATUS[0]}}"
        ended = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=300, check=False
        )
        assert ("141", "") == (ended.stdout.strip(), ended.stderr)


@pytest.mark.extended
def test_a_full_disk_behind_stdout_is_a_storage_error(disk):
    """What cannot be printed is told in a sentence, and is no bug."""
    disk.at(namespace="ns", run="r").put("x", "text")
    for command in ("ls", "ls --json", "get ns/r/x -o -"):
        script = f"{sys.executable} -m runstore {command} > /dev/full; echo $?"
        ended = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=300, check=False
        )
        told = "error: cannot write to stdout: No space left on device\n"
        assert ("5", told) == (ended.stdout.strip(), ended.stderr)


@pytest.mark.extended
def test_closed_streams_are_no_bug(disk):
    """A closed stdout fails as a full one does; a closed stderr and stdin do not matter."""
    disk.at(namespace="ns", run="r").put("x", "text")
    told = "error: cannot write to stdout: Bad file descriptor\n"
    for how, code, err in ((">&-", 5, told), (">&- 2>&-", 5, ""), ("<&- 2>/dev/full", 0, "")):
        script = f"{sys.executable} -m runstore ls ns/r {how}; echo $? >&3"
        ended = subprocess.run(
            ["bash", "-c", f"{{ {script}; }} 3>code"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (f"{code}\n", err) == (Path("code").read_text(), ended.stderr)


def test_help_loads_nothing_heavy():
    """``--help`` and wrong usage answer at once: no table library is imported for them."""
    code = (
        "import sys; from runstore.cli import main; main(['--help']); main(['nonsense']);"
        "heavy = {'pandas', 'pyarrow', 'polars', 'numpy', 'yaml', 'fsspec'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert "[]" == ended.stdout.splitlines()[-1]


def test_python_m_runstore_is_the_same_program():
    """``python -m runstore`` works where no script is on the PATH."""
    ended = subprocess.run(
        [sys.executable, "-m", "runstore", "--version"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert f"runstore {__version__}\n" == ended.stdout


def test_an_empty_store_never_means_the_default(cli, disk):
    """`--store "$UNSET"` is refused, before or after the command."""
    disk.at(namespace="n", run="r").put("x", 1)
    for words in (("--store", "", "ls"), ("ls", "--store", "")):
        ended = cli(*words)
        assert (2, "") == (ended.code, ended.out)
        assert "address is empty" in ended.err


@pytest.mark.parametrize(("words", "usage"), [((), "runstore"), (("config",), "runstore config")])
def test_no_command_shows_the_help_alone(cli, words, usage):
    """It is shown once, and is no error."""
    ended = cli(*words)
    assert (2, "") == (ended.code, ended.out)
    assert ended.err.startswith(f"Usage: {usage} [OPTIONS] COMMAND")
    assert 1 == ended.err.count("Usage:")
