"""Which client a bucket is reached with: one for all stores of the same configuration.

Clients differ by engine, bucket, options, credentials and timeout, and not by prefix. Those
that take something from the environment are made anew when it changes.
"""

from importlib.util import find_spec

from runstore.errors import MissingExtraError, SettingsError
from runstore.lifetime import Shared
from runstore.places._cloud._wire import CloudClient
from runstore.places._s3._config import S3Config
from runstore.places._s3._environment import Environment

__all__ = ["ENGINES", "client_of", "engine_of", "forget_client"]

ENGINES = ("obstore", "s3fs")
"""In the order of preference."""


def engine_of(forced: str | None) -> str:
    """Return the engine that is used here.

    Raises:
        SettingsError: There is no such engine.
        MissingExtraError: It is not installed.
    """
    if forced is not None and forced not in ENGINES:
        raise SettingsError(f"engine={forced!r} is not one of {', '.join(ENGINES)}")
    for name in (forced,) if forced is not None else ENGINES:
        if find_spec(name) is not None:
            return name
    if forced == "obstore":
        raise MissingExtraError("engine='obstore' needs obstore: pip install 'runstore[s3-fast]'")
    raise MissingExtraError(
        "s3:// needs a client that is not installed: pip install 'runstore[s3]', or the faster "
        "pip install 'runstore[s3-fast]'"
    )


def client_of(
    engine: str, forced: bool, config: S3Config, timeout: float, given: Environment
) -> CloudClient:
    """Return a client, perhaps a shared one; it is closed with its last reference.

    Args:
        engine: ``obstore`` or ``s3fs``.
        forced: Whether no other engine will do.
        config: How to reach it.
        timeout: Seconds, the longest a request will ever be given.
        given: As it was before *config* was made.
    """
    if engine == "obstore":
        from runstore.places._s3._obstore import S3ObstoreClient, is_usable

        if is_usable(config) or forced or find_spec("s3fs") is None:
            return _clients.get(
                (engine, config, timeout, given), lambda: S3ObstoreClient(config, timeout)
            )
    from runstore.places._s3._s3fs import S3fsClient

    return _clients.get(("s3fs", config, timeout, given), lambda: S3fsClient(config, timeout))


def forget_client(client: CloudClient) -> None:
    """Stop sharing *client*, which found no credentials: the next client may find some."""
    _clients.drop(client)
    client.retire()


_clients: Shared[tuple[str, S3Config, float, Environment], CloudClient] = Shared()
