"""What else may lie in a folder: special files, links and folders in an object's place."""

import errno
import os
import socket
import stat
import warnings
from pathlib import Path

import pytest

from runstore import ObjectStore
from runstore.buffers import flat
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    BulkError,
    IndeterminateWriteError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    UnreadableWarning,
)
from runstore.places._local import LocalBackend

KEY = "n/r/a.arrow"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def backend(root):
    backend = LocalBackend(str(root))
    backend.put("n/r/good.arrow", [b"x"])
    return backend


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    os.chdir(path.parent)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)


def _device(path):
    path.symlink_to("/dev/zero")


def _loop(path):
    path.symlink_to(path.name)


FOREIGN = {
    "pipe": (_pipe, "named pipe"),
    "socket": (_socket, "socket"),
    "device": (_device, "device"),
    "loop": (_loop, "symbolic link"),
}


@pytest.fixture(params=FOREIGN)
def said(request, root, backend, monkeypatch):
    """Put something foreign into the place of an object, and give what is said of it."""
    monkeypatch.chdir(root)  # and back
    make, said = FOREIGN[request.param]
    make(root / KEY)
    return said


@pytest.mark.parametrize("verb", ["get", "head", "tail", "read", "delete"])
def test_what_is_no_file_is_named(backend, said, verb):
    """No verb waits for it, calls it missing, or removes it; the error says what it is."""
    more = {"tail": (10,), "read": (0, 1, "v")}.get(verb, ())
    with pytest.raises(StorageError, match=rf"a\.arrow.*{said}") as caught:
        getattr(backend, verb)(KEY, *more)
    assert type(caught.value) is StorageError
    assert os.path.lexists(backend.url.removeprefix("file://") + "/" + KEY)


def test_a_listing_goes_on(backend, said):
    """It costs a warning that names it, and not the rest."""
    with pytest.warns(UnreadableWarning, match=rf"a\.arrow is .*{said}"):
        assert ["n/r/good.arrow"] == [entry.key for entry in backend.list("")]


def test_the_verbs_of_a_store_go_on(root, said):
    """stat, copy and get name it; a run with it can be listed with details, and deleted."""
    store = ObjectStore(root)
    view = store.at(namespace="n", run="r")
    view.put("b", 1)
    for verb in (view.get, view.stat, view.exists, view.delete):
        with pytest.raises(StorageError, match=said):
            verb("a")
    with pytest.raises(StorageError, match=said):
        view.copy("a", to_name="c")
    with pytest.warns(UnreadableWarning):
        assert ["b", "good"] == [info.name for info in view.list(details=False)]
    view.delete("good")
    with pytest.warns(UnreadableWarning):
        assert ["b"] == [info.name for info in view.list(details=True)]
    with pytest.warns(UnreadableWarning):
        store.delete_run("r", namespace="n")
    assert not (root / "n/r/b.arrow").exists()


@pytest.mark.parametrize("kind", ["pipe", "device", "loop"])
def test_a_put_replaces_it(backend, root, kind):
    """An object can be put in its place: that touches nothing but the name."""
    FOREIGN[kind][0](root / KEY)
    backend.put(KEY, [b"new"])
    assert b"new" == bytes(flat(backend.get(KEY)[0]))


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_sweep_leaves_what_is_not_its_own(backend, root, kind, monkeypatch):
    """Special files and folders among the temporaries cost a warning; the orphan goes."""
    monkeypatch.chdir(root)
    FOREIGN[kind][0](root / ".runstore-tmp" / "foreign")
    (root / ".runstore-tmp" / "orphan").write_bytes(b"x")
    with pytest.warns(UnreadableWarning, match="foreign is a .*, not a temporary file"):
        assert 1 == backend.sweep(0)


def test_a_folder_among_the_temporaries_stays(backend, root):
    """So it is with a folder."""
    (root / ".runstore-tmp" / "foreign").mkdir()
    with pytest.warns(UnreadableWarning, match="foreign is a folder"):
        assert 0 == backend.sweep(0)


def test_a_folder_in_the_place_of_an_object(backend, root):
    """It is not found as an object, and a put there says what is in its way."""
    (root / KEY).mkdir()
    for verb in (backend.get, backend.head, backend.delete):
        with pytest.raises(ObjectNotFoundError):
            verb(KEY)
    with pytest.raises(StorageError, match="stands where a folder should be, or the reverse"):
        backend.put(KEY, [b"x"])
    assert ["n/r/good.arrow"] == [entry.key for entry in backend.list("")]
    assert [] == os.listdir(root / ".runstore-tmp")


def test_links_to_folders_are_followed_but_not_in_a_circle(backend, root, tmp_path):
    """A namespace may be a link to another disk; a link to a folder above is left out."""
    (tmp_path / "elsewhere/r").mkdir(parents=True)
    (tmp_path / "elsewhere/r/b.arrow").write_bytes(b"x")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "n/r/round").symlink_to(root / "n")
    with pytest.warns(UnreadableWarning, match="round is a symbolic link to a folder"):
        found = [entry.key for entry in backend.list("")]
    assert ["linked/r/b.arrow", "n/r/good.arrow"] == found


def test_a_link_to_nothing_is_a_miss(backend, root):
    """Nothing is stored there, and a listing does not show it."""
    (root / KEY).symlink_to(root / "gone")
    with pytest.raises(ObjectNotFoundError):
        backend.get(KEY)
    assert ["n/r/good.arrow"] == [entry.key for entry in backend.list("")]


def _as_file(root):
    root.write_bytes(b"no folder")


def _as_child_of_file(root):
    root.parent.rmdir()
    root.parent.write_bytes(b"no folder")


def _as_link_to_nothing(root):
    root.symlink_to(root.parent / "unmounted")


@pytest.mark.parametrize("make", [_as_file, _as_child_of_file, _as_link_to_nothing, _pipe])
def test_a_root_that_is_no_folder_is_an_error_of_every_verb(tmp_path, make):
    """None says that nothing is there; each names the root."""
    root = tmp_path / "parent" / "root"
    root.parent.mkdir()
    make(root)
    store = ObjectStore(root)
    view = store.at(namespace="n", run="r")
    verbs = [
        lambda: view.put("a", 1),
        lambda: view.put("a", 1, if_absent=True),
        lambda: view.put("a", 1, if_match="1-2-3"),
        lambda: view.get("a"),
        lambda: view.get("a", default=None),
        lambda: view.exists("a"),
        lambda: view.stat("a"),
        lambda: view.delete("a"),
        lambda: view.delete("a", missing_ok=True),
        lambda: view.copy("a", to_name="b"),
        view.list,
        store.namespaces,
        store.runs,
        lambda: store.runs("n"),
        lambda: store.runs_with_objects("n"),
        lambda: store.read_run("r", namespace="n"),
        lambda: store.delete_run("r", namespace="n"),
        lambda: store.sweep(0),
    ]
    for number, verb in enumerate(verbs):
        with pytest.raises(StorageError, match=r", not a folder\. Check the address") as caught:
            verb()
        assert (number, StorageError) == (number, type(caught.value))
    with pytest.raises(BulkError, match="not a folder"):
        view.delete_many(["a"], missing_ok=True)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, AccessDeniedError),
        (errno.EPERM, AccessDeniedError),
        (errno.EROFS, AccessDeniedError),
        (errno.EIO, BackendUnavailableError),
        (errno.ESTALE, BackendUnavailableError),
        (errno.ENOTCONN, BackendUnavailableError),
        (errno.EBUSY, StorageError),
    ],
)
@pytest.mark.parametrize("call", ["stat", "unlink"])
def test_a_delete_that_fails_is_no_miss(backend, monkeypatch, number, kind, call):
    """Whatever the disk says, delete reports that, also with missing_ok; the object stays."""
    view = ObjectStore(backend.url).at(namespace="n", run="r")
    view.put("a", 1)
    real = getattr(os, call)

    def failing(path, *args, **kwargs):
        if str(path).endswith("a.arrow"):
            raise OSError(number, os.strerror(number))
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        for missing_ok in (False, True):
            with pytest.raises(kind, match="cannot delete"):
                view.delete("a", missing_ok=missing_ok)
        with pytest.raises(BulkError, match="cannot delete"):
            view.delete_many(["a"], missing_ok=True)
        with pytest.raises(kind if call == "stat" else BulkError, match="cannot"):
            ObjectStore(backend.url).delete_run("r", namespace="n")
    assert 1 == view.get("a")


def test_a_run_whose_record_cannot_be_removed_is_not_deleted(root, monkeypatch):
    """delete_run reports it, whether its objects could be removed or there were none."""
    store = ObjectStore(root)
    stat_ = os.stat

    def denied(path, *args, **kwargs):
        if "/_runs/" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat_(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", denied)
    store.at(namespace="n", run="r").put("a", 1)
    for _ in range(2):
        with pytest.raises(AccessDeniedError, match="_runs/r"):
            store.delete_run("r", namespace="n")


class TestPublished:
    """What fails after an object is in place does not say that the old one is."""

    def test_closing_fails(self, backend, monkeypatch):
        """Errors that come with a close, as of NFS, come before the object is replaced."""
        backend.put(KEY, [b"old"])
        close, failed = os.close, []

        def full(fd):
            close(fd)
            if not failed:
                failed.append(fd)
                raise OSError(errno.EDQUOT, "Disk quota exceeded")

        with monkeypatch.context() as patch:
            patch.setattr(os, "close", full)
            with pytest.raises(StorageError, match="The old object is intact"):
                backend.put(KEY, [b"new"])
        assert b"old" == bytes(flat(backend.get(KEY)[0]))

    def test_closing_fails_afterwards(self, backend, monkeypatch):
        """What the last close says is of no account: the object is written."""
        close = os.close

        def failing(fd):
            published = Path(backend.url.removeprefix("file://"), KEY).exists()
            close(fd)
            if published:
                raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "close", failing)
            backend.put(KEY, [b"new"])
        assert b"new" == bytes(flat(backend.get(KEY)[0]))

    @pytest.mark.parametrize("how", [{}, {"if_absent": True}])
    def test_the_folder_is_not_confirmed(self, root, monkeypatch, how):
        """The object is in place and the disk does not confirm it: the error says just that."""
        backend, fsync = LocalBackend(str(root), durable=True), os.fsync

        def failing(fd):
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(errno.EIO, "Input/output error")
            fsync(fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(IndeterminateWriteError, match="is written, and every reader"):
                backend.put(KEY, [b"new"], **how)
            assert b"new" == bytes(flat(backend.get(KEY)[0]))
            with pytest.raises(IndeterminateWriteError, match="is deleted, and every reader"):
                backend.delete(KEY)
        assert [] == list(backend.list(""))
        assert [] == os.listdir(root / ".runstore-tmp")

    def test_the_temporary_name_cannot_be_removed(self, backend, root, monkeypatch):
        """An object that is created is created; the other name is swept later."""

        def failing(path):
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", failing)
            backend.put(KEY, [b"new"], if_absent=True)
        assert b"new" == bytes(flat(backend.get(KEY)[0]))
        assert 1 == backend.sweep(0)
        assert b"new" == bytes(flat(backend.get(KEY)[0]))

    @pytest.mark.parametrize(("how", "call"), [({}, "replace"), ({"if_absent": True}, "link")])
    def test_an_answer_is_lost(self, backend, monkeypatch, how, call):
        """NFS repeats a request whose answer was lost, and it then meets its own work."""
        real = getattr(os, call)
        error = FileNotFoundError if call == "replace" else FileExistsError

        def twice(one, other):
            real(one, other)
            raise error(errno.ENOENT, "asked twice")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, twice)
            entry = backend.put(KEY, [b"new"], **how)
        assert entry == backend.head(KEY)
        with pytest.raises(ObjectExistsError):
            backend.put(KEY, [b"newer"], if_absent=True)


def test_what_the_buffers_raise_is_not_the_disks(backend):
    """An OSError of a producer of buffers comes out as it is."""

    def failing():
        yield b"x"
        raise OSError(errno.ENOSPC, "of somebody else")

    with pytest.raises(OSError, match="of somebody else"):
        backend.put(KEY, failing())


def test_more_is_read_than_the_kernel_gives_at_once(backend, monkeypatch):
    """read() and tail() go on where the kernel stopped, as it does after 2 GiB."""
    data = bytes(range(256)) * 40
    version = backend.put(KEY, [data]).version
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, length, at: pread(fd, min(length, 1000), at))
    monkeypatch.setattr(os, "preadv", lambda fd, to, at: preadv(fd, [to[0][:1000]], at))
    assert data[100:9000] == bytes(flat(backend.read(KEY, 100, 8900, version)))
    assert data[-5000:] == bytes(flat(backend.tail(KEY, 5000)[0]))
    assert data == bytes(flat(backend.get(KEY)[0]))


@pytest.mark.slow
def test_more_than_2_gib_are_read(backend, root):
    """The same with a real file, which has no blocks on the disk but the last."""
    size = (2 << 30) + 5000
    with (root / KEY).open("wb") as file:
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"end")
    got = flat(backend.read(KEY, 10, size - 10, backend.head(KEY).version))
    assert (size - 10, b"end") == (got.nbytes, bytes(got[-3:]))


@pytest.mark.parametrize(
    "path",
    [b"n/r/caf\xe9.csv", b"n/r/\xff/x.arrow", b"n/\xff/x.arrow", b"\xff/r/x", b"n/_runs/\xff.json"],
)
def test_a_name_that_is_not_utf_8_ends_no_listing(root, path):
    """It costs a warning that names it, and not the rest; the run can be deleted."""
    store = ObjectStore(root)
    view = store.at(namespace="n", run="r")
    view.put("b", 1)
    file = root / os.fsdecode(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")

    def everything():
        with pytest.raises(ObjectNotFoundError, match="stored there: 'b'"):
            view.get("nope")
        assert (["n"], []) == (store.namespaces(), store.runs())
        return [info.name for info in view.list()], store.runs_with_objects("n")

    with pytest.warns(UnreadableWarning, match=r"\\x(e9|ff).* not UTF-8"):
        assert (["b"], ["r"]) == everything()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableWarning)
        store.delete_run("r", namespace="n")
        assert [] == [info.name for info in view.list()]
    assert file.exists()


@pytest.mark.parametrize("place", ["n/_runs", "n/r"])
def test_a_file_where_a_folder_should_be_is_named(root, place):
    """A listing of that folder is empty, and says why."""
    store = ObjectStore(root)
    (root / "n/_shared").mkdir(parents=True)
    (root / place).write_bytes(b"")
    with pytest.warns(UnreadableWarning, match=rf"{place} is a file, not a folder"):
        assert [] == store.runs("n") + store.at(namespace="n", run="r").list()
    (root / place).unlink()
    (root / place).symlink_to("nowhere")
    with pytest.warns(UnreadableWarning, match=rf"{place} is a symbolic link, not a folder"):
        assert [] == store.runs("n") + store.at(namespace="n", run="r").list()
