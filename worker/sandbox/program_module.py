# SPDX-License-Identifier: MIT
"""What a program can say to whoever runs it: import paddock.

Loaded in the zygote, run in sandboxes, on a program's own values: nothing of it is a boundary. What is `plain` leaves no frame
of ours in a program's traceback."""

__all__ = ["result", "save", "trace"]

_LEVELS = ("off", "calls", "lines", "steps")


@_host.plain
def trace(level):
    """trace("lines"): from here on so much of the program's own code is recorded, at most what the job asked for.

    What it returns has the `level` that is in force, and is a context manager: with its block ends what was asked for. Of what is
    asked for in several threads, tasks or blocks the last counts that has not ended."""
    if level not in _LEVELS:
        raise ValueError(f"a trace level is one of {', '.join(_LEVELS)}, not {level!r}")
    return _host.wish(_LEVELS.index(level))


def _json(value):
    try:
        return _dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:  # half a character: JSON can say it in ASCII alone
        return _dumps(value, allow_nan=False).encode("ascii")


@_host.plain
def result(obj):
    """Gives a value back to whoever runs the program: anything that can be JSON. May be called more than once."""
    _host.value(_json(obj))


@_host.plain
def save(name, data, media_type=None):
    """Gives a file back: `data` is bytes, a text, or a figure of matplotlib. A later one of the same name takes its place.

    Where its media type is not said it is guessed from the end of the name: of usual pictures, sounds and texts, .csv, .json, .pdf
    and .zip. Anything else is application/octet-stream."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a file is a text, not {type(name).__name__}")
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} is no name of a file: a file has a name without folders")
    if not name.isprintable():
        raise ValueError(f"{name!r} is no name of a file: a name has only characters that can be printed")
    if len(name.encode("utf-8")) > 255:
        raise ValueError(f"{name[:20] + '...'!r} is no name of a file: a name is at most 255 bytes long")
    if media_type is not None and not isinstance(media_type, str):
        raise TypeError(f"a media type is a text, not {type(media_type).__name__}")
    if media_type is not None and not (len(media_type) <= 255 and _is_media_type(media_type)):
        raise ValueError(f"{media_type!r} is no media type: one is written as image/png, or with parameters as text/plain;charset=utf-8")
    if hasattr(data, "savefig"):
        stream = _BytesIO()
        data.savefig(stream, format=name.rpartition(".")[2] if "." in name else "png")
        data = stream.getvalue()
    if isinstance(data, memoryview):
        data = data.tobytes()  # also of one that leaves bytes out
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
        media_type = media_type or _TEXT
    _host.saved(name, media_type or _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream"), data)


# As in RFC 2045: ASCII that can be seen, of which a token has no marks of punctuation, and a quoted value may have blanks.
_TOKEN = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
_is_media_type = _re.compile(rf'{_TOKEN}/{_TOKEN}( *; *{_TOKEN}=({_TOKEN}|"([ !#-\[\]-~]|\\[ -~])*"))*').fullmatch
_TEXT = "text/plain;charset=utf-8"
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml",
          "pdf": "application/pdf", "json": "application/json", "csv": "text/csv", "txt": "text/plain", "html": "text/html",
          "zip": "application/zip", "webp": "image/webp", "mp4": "video/mp4", "webm": "video/webm", "wav": "audio/wav", "mp3": "audio/mpeg",
          "md": "text/markdown", "xml": "text/xml", "gz": "application/gzip"}


def _returned(value, _print=print):
    """What the function of a job's entry returned."""
    if value is None:
        return
    why = "it cannot be JSON: {}: {}"
    try:
        text = _json(value)
        why = "{1}"  # there is no room for it
        _host.value(text)
    except BaseException as error:
        _print("What the program returned is not kept, because " + why.format(type(error).__name__, error), file=_sys.stderr)
