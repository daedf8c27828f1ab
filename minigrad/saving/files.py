"""Files: written whole or not at all; ZIP archives and JSON, read with suspicion. It knows nothing of models."""

import contextlib
import json
import os
import time
import zipfile

from minigrad.exchange import world

_LONGEST = 4000  # characters of a reason, which may quote names from the file
TEMPORARY = ".minigrad-"  # the names of unfinished files begin so
_MOST = 1032  # DEFLATE compresses at most so many bytes into one


def write(path, data):
    """Write `data`, bytes, to the file `path`. After a crash, a kill or a full disk it holds what it held before.

    The bytes go to a temporary file in the same folder, which takes the name `path` once it is on the disk. Temporary
    files that killed calls left there are deleted when they are an hour old. Of several processes that train together,
    the first one writes.
    """
    if world.is_on and world.rank:
        return
    path = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(path)
    beside = os.path.join(folder, f"{TEMPORARY}{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        error.filename = path  # the user does not know the temporary name
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.path.exists(path):
                os.chmod(beside, os.stat(path).st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    remove_unfinished(folder, age=3600)
    if hasattr(os, "O_DIRECTORY"):  # the new name must reach the disk, too
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder, age=0):
    """Delete the temporary files that killed calls of `write` left in a folder, if they are `age` seconds old.

    With age=0, nobody else may be writing to the folder.
    """
    for name in os.listdir(folder):
        if name.startswith(TEMPORARY):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if time.time() - os.stat(path).st_mtime >= age:
                    os.unlink(path)


@contextlib.contextmanager
def opened(path, beginning, what):
    """The file `path`, opened as binary. An error says that it is no `what` unless it begins with `beginning`.

    Nothing else is read yet: a file with holes may be far longer than the memory and the disk.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"it is no {what} but a folder or a device")
    with open(path, "rb") as file:
        found = file.read(len(beginning))
        if found != beginning:
            raise ValueError(f"it is no {what}" if found else "it is empty")
        yield file


@contextlib.contextmanager
def naming(path):
    """A context in which any error becomes a ValueError that names the file and the reason."""
    try:
        yield
    except (FileNotFoundError, Warning):
        raise
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} can't be read: {reason(error)}") from error


def reason(error):
    """What is wrong with a file, in words, according to an error of any kind."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, ValueError) and str(error):
        return str(error)[:_LONGEST]
    return f"it is damaged or foreign ({type(error).__name__}: {str(error)[:500]})"


class Archive:
    """The members of an opened ZipFile, read into memory: no more than its length allows, and than the caller asks for.

    The names of members are only labels: no member is ever written to a file.
    """

    def __init__(self, opened):
        self._zip = opened
        self._members = {}
        for member in self._zip.infolist():
            if member.filename in self._members:
                raise ValueError(f"it has two members named {member.filename!r}")
            self._members[member.filename] = member

    def __contains__(self, name):
        return name in self._members

    def size(self, name):
        """How many bytes the member has. A false size in the ZIP raises an error here or in `read`."""
        if name not in self._members:
            raise ValueError(f"it has no member {name!r}; it has {sorted(self._members)[:10]}")
        member = self._members[name]
        if member.flag_bits & 1:
            raise ValueError(f"its member {name!r} is encrypted")
        if member.compress_type == zipfile.ZIP_STORED:
            if member.file_size != member.compress_size:
                raise ValueError(f"its member {name!r} tells two sizes")
        elif member.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"its member {name!r} is compressed with a method other than DEFLATE")
        elif member.file_size > _MOST * member.compress_size:
            raise ValueError(f"its member {name!r} claims to be larger than it can be: a ZIP bomb")
        return member.file_size

    def packed(self, name):
        """How many bytes the member takes in the file."""
        self.size(name)
        return self._members[name].compress_size

    def read(self, name, limit):
        """The bytes of the member, at most `limit`."""
        size = self.size(name)
        if size > limit:
            raise ValueError(f"its member {name!r} would have {size:,} bytes, more than the {limit:,} that it can need")
        with self._open(name) as member:
            data = member.read(size)
            if len(data) != size or member.read(1):
                raise ValueError(f"its member {name!r} is not as long as it says")
        return data

    def _open(self, name):
        return self._zip.open(self._members[name])

    def json(self, name, limit):
        """The dict that the member holds as JSON."""
        return parse(self.read(name, limit))

class Folder(Archive):
    """The files in a folder, with the methods of an Archive."""

    def __init__(self, path):
        self._path = path

    def __contains__(self, name):
        return os.path.isfile(os.path.join(self._path, name))

    def packed(self, name):
        return self.size(name)

    def size(self, name):
        path = os.path.join(self._path, name)
        if not os.path.isfile(path):
            raise ValueError(f"it is a folder without a file {name!r}, so without a model")
        return os.path.getsize(path)

    def _open(self, name):
        return open(os.path.join(self._path, name), "rb")


def parse(text):
    """The dict in JSON text."""
    value = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise ValueError(f"JSON of a dict is expected, got that of a {type(value).__name__}")
    return value


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"JSON with a key twice among {[key for key, _ in pairs][:10]}")
    return found
