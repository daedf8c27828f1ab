"""Files that are there whole or not at all, and what may be taken from a ZIP. It knows nothing of models."""

import contextlib
import json
import os
import time
import zipfile

_LONGEST = 4000  # characters of a reason, in which a name of the file may stand
TEMPORARY = ".minigrad-"  # how the names of files begin that are not finished yet
_MOST = 1032  # DEFLATE makes a byte of at most so many


def write(path, data):
    """Let the file `path` hold `data`, bytes: all of it, or (after a crash, a kill, a full disk) what it held before.

    The bytes go into a file beside it, to the disk, and only then take its name. Such files that are left of killed
    calls are deleted once they are an hour old.
    """
    path = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(path)
    beside = os.path.join(folder, f"{TEMPORARY}{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        error.filename = path  # what was asked for
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
    """Delete what killed calls of `write` have left in a folder, as far as it is `age` seconds old.

    With 0, nobody else may write to the folder.
    """
    for name in os.listdir(folder):
        if name.startswith(TEMPORARY):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if time.time() - os.stat(path).st_mtime >= age:
                    os.unlink(path)


@contextlib.contextmanager
def opened(path, beginning, what):
    """The file `path`, opened as binary, which must begin with `beginning` to be `what`.

    It is read where it is needed, not as a whole: a file may have holes and be far longer than what the disk holds.
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
    """Inside, whatever goes wrong with what was read is a ValueError that names the file and the reason."""
    try:
        yield
    except (FileNotFoundError, Warning):
        raise
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} can't be read: {reason(error)}") from error


def reason(error):
    """What is wrong with a file, as far as an error of any kind tells."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, ValueError) and str(error):
        return str(error)[:_LONGEST]
    return f"it is damaged or foreign ({type(error).__name__}: {str(error)[:500]})"


class Archive:
    """The members of a ZIP, read into memory: never more than the file's length allows and the caller asks for.

    Names are labels: no member ever becomes a file.
    """

    def __init__(self, file):
        self._zip = zipfile.ZipFile(file)
        self._members = {}
        for member in self._zip.infolist():
            if member.filename in self._members:
                raise ValueError(f"it has two members named {member.filename!r}")
            self._members[member.filename] = member

    def __contains__(self, name):
        return name in self._members

    def size(self, name):
        """How many bytes the member has. A false figure is found out here or by `read`."""
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
    """The same of the files in a folder."""

    def __init__(self, path):
        self._path = path

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
