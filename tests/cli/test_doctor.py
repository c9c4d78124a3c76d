"""`doctor` names the fault and its cure, on real servers, disks and clocks."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.places.s3_ import environment
from tests.servers.recorder import Recorder
from tests.servers.seaweed import READER

import runstore
from runstore.secret_names import shown_address


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_")) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def doctor(cli, monkeypatch):
    """Give a function that runs `doctor` and returns what it found, by check."""

    def call(url=None, server=None, **variables):
        for name, value in ({} if server is None else environment(server)).items():
            monkeypatch.setenv(name, value)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        ended = cli("doctor", "--json", *([] if url is None else ["--store", url]))
        return found_in(ended.code, ended.out)

    return call


def found_in(code, out):
    document = json.loads(out)
    assert code == (1 if document["faults"] else 0)
    assert "secret" not in out.lower().replace("aws_secret_access_key", "").replace("secret=", "")
    found = {}
    for one in document["findings"]:
        if one["state"] != "ok" or one["check"] not in found:
            found[one["check"]] = one
    return found


def faults(found):
    return [check for check, one in found.items() if one["state"] == "fault"]


def test_a_store_that_works_has_no_fault(doctor, moto_server):
    """Every check is made, and nothing of it stays."""
    bucket = moto_server.new_bucket()
    found = doctor(f"s3://{bucket}/p", moto_server)
    assert {
        *("versions", "store", "settings", "endpoint", "credentials", "permissions", "clock"),
        *("conditional writes", "guarantees", "speed", "cache"),
    } == found.keys()
    assert {"ok"} == {one["state"] for one in found.values()}
    assert "AWS_ACCESS_KEY_ID" in found["credentials"]["told"]
    assert "Contents" not in moto_server.client().list_objects_v2(Bucket=bucket)


def test_a_store_on_disk_has_no_fault(doctor):
    """The default store works; asking leaves no object and no run."""
    found = doctor()
    assert [] == faults(found)
    assert {"space", "folder"} <= found.keys()
    assert [] == runstore.ObjectStore().namespaces()


def test_a_wrong_endpoint(doctor, moto_server):
    """A port where nobody listens is named, and nothing else is tried."""
    found = doctor("s3://b/p", moto_server, AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")
    assert ["place"] == faults(found)
    assert "nothing listens there" in found["place"]["told"]
    assert "Is the server running" in found["place"]["cure"]
    assert "unknown" == found["permissions"]["state"]


@pytest.mark.extended
def test_a_wrong_key(doctor, seaweed_server):
    """A secret that the server does not accept is named as a matter of credentials."""
    url = f"s3://{seaweed_server.new_bucket()}"
    found = doctor(url, seaweed_server, AWS_SECRET_ACCESS_KEY="other")
    assert ["credentials"] == faults(found)
    assert "SignatureDoesNotMatch" in found["credentials"]["told"]
    assert "credentials" in found["credentials"]["cure"]


def test_no_key(doctor, moto_server):
    """Where there is nothing to sign with, it is said how to give it."""
    found = doctor("s3://b", moto_server, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert ["credentials"] == faults(found)
    assert "AWS_ACCESS_KEY_ID" in found["credentials"]["cure"]


def test_a_missing_bucket(doctor, moto_server):
    """A bucket that is not there is named."""
    found = doctor("s3://not-there", moto_server)
    assert ["place"] == faults(found)
    assert "no such bucket" in found["place"]["told"]
    assert found["place"]["cure"].startswith("Create it")


@pytest.mark.extended
def test_no_write_permission(doctor, seaweed_server):
    """A user who may only read is told which permissions are missing."""
    url = f"s3://{seaweed_server.new_bucket()}"
    found = doctor(url, seaweed_server, AWS_ACCESS_KEY_ID=READER)
    assert ["permissions"] == faults(found)
    assert "may list; may not write" in found["permissions"]["told"]
    assert "s3:PutObject" in found["permissions"]["cure"]


@pytest.mark.extended
def test_a_server_that_ignores_conditions(doctor, rclone_server):
    """It is named, with what that means."""
    found = doctor(f"s3://{rclone_server.new_bucket()}", rclone_server)
    assert ["conditional writes"] == faults(found)
    assert "if_absent and if_match cannot be kept" in found["conditional writes"]["told"]
    assert "ignores conditional writes" in found["conditional writes"]["told"]
    assert "Use a place" in found["conditional writes"]["cure"]


def test_an_untrusted_certificate(doctor, tmp_path, moto_server):
    """It is named, with the variable that makes it trusted."""
    with Recorder(tmp_path) as server:
        variables = {"AWS_ENDPOINT_URL_S3": "https://s3.test", "HTTPS_PROXY": server.endpoint}
        found = doctor("s3://b/p", moto_server, **variables)
        server.authority_serves = True
        own = doctor("s3://b/p", moto_server, **variables)
    assert [["place"], ["place"]] == [faults(found), faults(own)]
    assert "certificate is not trusted" in found["place"]["told"]
    assert "certificate is self-signed" in own["place"]["told"]
    assert "AWS_CA_BUNDLE" in found["place"]["cure"]
    assert "CA:FALSE" in own["place"]["cure"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(doctor, cli, tmp_path):
    """A disk that is full, and one that has room for small objects only, are both named."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        found = doctor(str(disk / "store"))
        assert ["space"] == faults(found)
        assert "Free some space" in found["space"]["cure"]
        (disk / "filler").write_bytes(bytes((1 << 20) - 8192))
        assert "space" in faults(doctor(str(disk / "store")))
        told = json.loads(cli("doctor", "--json", "--store", str(disk / "store")).out)["findings"]
        assert 1 == len([one for one in told if (one["check"], one["state"]) == ("space", "fault")])
    finally:
        subprocess.run([shutil.which("umount"), disk], check=True)


@pytest.fixture
def open_folder():
    """Give a folder that everybody may enter; those of pytest are closed whenever one begins."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def doctor_of_nobody(root):
    """Run `doctor` as a user without rights; what it needs is loaded before."""
    script = (
        "import os, sys; from runstore.cli import main\n"
        "main(['doctor', '--store', sys.argv[1]])\n"
        "print('-----'); os.chdir('/'); os.setuid(65534)\n"
        "sys.exit(main(['doctor', '--json', '--store', sys.argv[2]]))"
    )
    with tempfile.TemporaryDirectory() as other:
        done = subprocess.run(
            [sys.executable, "-c", script, other, str(root)],
            env={**os.environ, "PYTHONPATH": str(Path(runstore.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
    told = done.stdout.partition("-----")[2]
    assert told.strip(), (done.returncode, done.stdout, done.stderr)
    return found_in(done.returncode, told)


@pytest.mark.extended
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody to be denied")
def test_a_folder_that_may_not_be_written(open_folder):
    """On a disk the user that was refused is told."""
    found = doctor_of_nobody(open_folder)
    assert ["permissions"] == faults(found)
    assert "may list; may not write" in found["permissions"]["told"]


@pytest.mark.extended
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody to be denied")
def test_a_folder_that_may_not_be_entered(open_folder):
    """Also then there are findings, and no bug."""
    (open_folder / "closed").mkdir(mode=0o700)
    (open_folder / "closed/store").mkdir()
    found = doctor_of_nobody(open_folder / "closed/store")
    assert ["credentials"] == faults(found)
    assert "Permission denied" in found["folder"]["told"]


@pytest.mark.extended
@pytest.mark.parametrize(("by", "state"), [("+10m", "fault"), ("-2h", "fault"), ("+20", "warning")])
def test_a_skewed_clock(by, state, moto_server):
    """A clock that differs from that of the server is told, by how much and which way."""
    fake = pytest.importorskip("libfaketime")
    library = Path(fake.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"
    url = f"s3://{moto_server.new_bucket()}"
    done = subprocess.run(
        [sys.executable, "-m", "runstore", "doctor", "--json", "--no-speed", "--store", url],
        env={
            **os.environ,
            **environment(moto_server),
            "LD_PRELOAD": str(library),
            "FAKETIME": by,
            "DONT_FAKE_MONOTONIC": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    found = found_in(done.returncode, done.stdout)
    assert state == found["clock"]["state"]
    assert ("ahead of" if by[0] == "+" else "behind") in found["clock"]["told"]
    assert "NTP" in found["clock"]["cure"]


def test_a_clock_that_the_server_refuses(doctor, tmp_path, moto_server):
    """Where every request is refused for the time, the clock is named and not the credentials."""
    body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>"
    answer = (403, {"Content-Type": "application/xml"}, body)
    with Recorder(tmp_path, lambda method, path: answer) as server:
        found = doctor("s3://b/p", moto_server, AWS_ENDPOINT_URL_S3=server.endpoint)
    assert ["clock"] == faults(found)
    assert "clock of this machine" in found["clock"]["cure"]


def test_settings_that_are_not_understood(doctor, cli):
    """A setting that is none is named; nothing else is tried."""
    assert ["settings"] == faults(doctor(RUNSTORE_PICKEL="deny"))


def test_signing_without_a_key(doctor):
    """The policy that signs needs a key."""
    found = doctor(RUNSTORE_PICKLE="signed")
    assert ["settings"] == faults(found)
    assert "RUNSTORE_SIGNING_KEY" in found["settings"]["cure"]


def test_a_missing_client(doctor, monkeypatch):
    """What has to be installed for a URL is named."""
    found = doctor("carrier-pigeon://loft")
    assert ["store"] == faults(found)


def test_what_people_see(cli, monkeypatch):
    """Each check is a line, each cure one below it, and a summary goes to stderr."""
    monkeypatch.setenv("RUNSTORE_PICKLE", "signed")
    ended = cli("doctor", "--no-speed")
    assert 1 == ended.code
    lines = ended.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("fault    settings"))
    assert lines[at + 1].split()[:2] == ["cure", "Set"]
    assert "1 fault, 0 warnings\n" == ended.err


def test_a_wrong_setting_hides_no_other(cli, tmp_path):
    """`config show` and `doctor` mark it, say what is wrong, and show what else is set."""
    (tmp_path / "runstore.toml").write_text('timeout = "a"\nnamespace = "team"\n')
    wrong = f'timeout = "a" in {tmp_path}/runstore.toml: it must be a number'
    shown = cli("config", "show")
    assert (0, True) == (shown.code, wrong in shown.err)
    lines = {line.split()[0]: line.split()[1] for line in shown.out.splitlines()}
    assert ("(wrong)", "team") == (lines["timeout"], lines["namespace"])
    found = json.loads(cli("doctor", "--json").out)
    assert [wrong] == [one["told"] for one in found["findings"] if one["state"] == "fault"]
    assert any("namespace=team" in one["told"] for one in found["findings"])
    refused = cli("ls")
    assert (2, True) == (refused.code, wrong in refused.err)


def test_config_show_names_the_source_of_each_setting(cli, monkeypatch, tmp_path):
    """The environment, runstore.toml, pyproject.toml or the default; secrets do not show."""
    (tmp_path / "runstore.toml").write_text('namespace = "team"\n[storage_options.s3]\nanon=true\n')
    (tmp_path / "pyproject.toml").write_text('[tool.runstore]\nnamespace = "other"\ntimeout = 5\n')
    monkeypatch.setenv("RUNSTORE_URL", "sftp://me:hidden@host/x")
    monkeypatch.setenv("RUNSTORE_RUN_STORES", "x sftp://me:hidden@host/y s3://b/z?token=hidden")
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "hidden-key")
    ended = cli("config", "show", "--json")
    found = {
        one["name"]: (one["value"], one["source"]) for one in json.loads(ended.out)["settings"]
    }
    assert ("sftp://…@host/x", "RUNSTORE_URL") == found["url"]
    assert "x sftp://…@host/y s3://b/z?token=…" == found["run_stores"][0]
    assert ("team", str(tmp_path / "runstore.toml")) == found["namespace"]
    assert ("5", f"[tool.runstore] in {tmp_path / 'pyproject.toml'}") == found["timeout"]
    assert ("allow", "default") == found["pickle"]
    assert ("1000; 100 where the writer is not trusted", "default") == found["max_decoded"]
    assert "RUNSTORE_SIGNING_KEY" == found["signing_key"][1]
    assert "hidden" not in ended.out + cli("config", "show").out


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://u:pw@h/x?token=HUNTER&a=b", "sftp://…@h/x?token=…&a=…"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url, shown):
    """Neither user and password nor what a query says."""
    assert shown == shown_address(url)
