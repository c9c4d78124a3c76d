"""Raw files to await: read and written in threads, published as a whole, dropped when cancelled."""

import asyncio

import pytest

from runstore.aio import ObjectStore
from runstore.errors import InvalidRequestError


@pytest.fixture
def run(tmp_path):
    """Give a function that runs a coroutine function with a view on disk."""

    def run(work):
        async def main():
            async with ObjectStore(tmp_path / "store") as store:
                return await work(store.at(namespace="n", run="r"))

        return asyncio.run(main())

    return run


def test_files_go_in_and_out(run, tmp_path):
    """A local file is stored and comes back."""
    (tmp_path / "a").write_bytes(b"data")

    async def work(view):
        info = await view.put_file("x.bin", tmp_path / "a")
        path = await view.get_file("x.bin", tmp_path / "b")
        return info.size, path.read_bytes()

    assert (4, b"data") == run(work)


def test_files_are_read_and_written(run):
    """A file is written by pieces, and read by pieces, lines and ranges."""

    async def work(view):
        async with await view.open("notes.md", "w") as file:
            assert 4 == await file.write("one\n")
            await file.write("two\n")
            assert not await view.exists("notes.md")
        assert (8, "one\ntwo\n") == (file.info.size, await view.get("notes.md"))
        async with await view.open("notes.md", "r") as file:
            assert ["one\n", "two\n"] == [line async for line in file]
        async with await view.open("notes.md") as file:
            assert 4 == await file.seek(4)
            assert (b"two\n", 8) == (await file.read(), await file.tell())
            with pytest.raises(InvalidRequestError):
                await file.discard()

    run(work)


def test_a_cancelled_or_failed_block_stores_nothing(run):
    """What was written is dropped if the block ends by an error, a cancellation or a discard."""
    written = asyncio.Event()

    async def write(view, fail):
        async with await view.open("x.bin", "wb") as file:
            await file.write(b"half")
            written.set()
            await fail(file)

    async def broken(file):
        raise RuntimeError

    async def waiting(file):
        await asyncio.Event().wait()

    async def discarded(file):
        await file.discard()

    async def work(view):
        with pytest.raises(RuntimeError):
            await write(view, broken)
        written.clear()
        task = asyncio.ensure_future(write(view, waiting))
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await write(view, discarded)
        return await view.list()

    assert [] == run(work)
