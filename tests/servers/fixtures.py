"""Fixtures of the servers: each process of the test run starts those it needs, once.

Sharing one among the processes would save 150 MB and one second of a processor, and no waiting.
"""

import os
from collections.abc import Iterator

import pytest
from tests.servers.azure import AzureServer
from tests.servers.gcs import GcsServer
from tests.servers.process import tail
from tests.servers.server import Server
from tests.servers.sftp import SftpServer
from tests.servers.webdav import WebdavServer

# Else gcsfs asks by gRPC, for a minute, what kind of bucket it is; the emulator has no gRPC. It
# looks at this when it is imported, which any test may do first.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Server]:
    """Give a moto server."""
    from tests.servers.moto_ import moto

    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[Server]:
    """Give a SeaweedFS server, which counts its requests."""
    from tests.servers.seaweed import seaweed

    with seaweed() as server:
        yield server


@pytest.fixture(scope="session")
def rclone_server() -> Iterator[Server]:
    """Give an rclone server, which ignores conditions."""
    from tests.servers.rclone_ import rclone

    with rclone() as server:
        yield server


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[SftpServer]:
    """Give an SFTP server."""
    pytest.importorskip("sshfs")
    from tests.servers.sftp import sftp

    with sftp() as server:
        yield server


@pytest.fixture(scope="session")
def webdav_server() -> Iterator[WebdavServer]:
    """Give a WebDAV server."""
    pytest.importorskip("webdav4")
    from tests.servers.webdav import webdav

    with webdav() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    """Give a GCS emulator."""
    pytest.importorskip("gcsfs")
    from tests.servers.gcs import gcs

    with gcs() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_xml(gcs_server: GcsServer) -> Iterator[str]:
    """Give the address of the emulator's XML API."""
    pytest.importorskip("obstore")
    from tests.servers.gcs_xml import xml_front

    with xml_front(gcs_server.endpoint) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure_server() -> Iterator[AzureServer]:
    """Give Azurite, where `make test-places` has installed it."""
    pytest.importorskip("adlfs")
    from tests.servers.azure import PROGRAM, azure

    if not PROGRAM.exists():
        pytest.skip("`make test-places` installs Azurite, which needs node")
    with azure() as server:
        yield server


@pytest.fixture(scope="session", params=["moto", "seaweed"])
def s3_server(request: pytest.FixtureRequest) -> Server:
    """Give each server that keeps the promises of S3."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the log of each server that a failed test used."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, (Server, SftpServer, WebdavServer, GcsServer, AzureServer)):
                report.sections.append((f"{value.kind} log", tail(value.log)))
    return report
