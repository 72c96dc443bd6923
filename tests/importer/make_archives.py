# SPDX-License-Identifier: MIT
"""Writes the corpus of ZIPs, good and hostile, into the folder given as argument: the same bytes every time.

Each archive is put together from its parts by hand, because no library writes what an attacker writes.
tests/unit/archive_test.c has a row for each, with what the importer must say to it."""

import os
import struct
import sys
import zlib

STORED, DEFLATED = 0, 8
ARCHIVES = {}


def archive(function):
    """Registers a function that returns the bytes of the archive of its name."""
    ARCHIVES[function.__name__] = function
    return function


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


class Entry:
    """One member; every field of its two headers can be made to lie."""

    def __init__(self, name, data=b"", method=DEFLATED, **lies):
        self.name = name.encode() if isinstance(name, str) else name
        self.packed = lies.pop("packed", deflate(data) if method == DEFLATED else data)
        self.method = method
        self.crc = lies.pop("crc", zlib.crc32(data))
        self.size = lies.pop("size", len(data))
        self.packed_size = lies.pop("packed_size", len(self.packed))
        self.flags = lies.pop("flags", 0x800)
        self.mode = lies.pop("mode", 0o100644)
        self.system = lies.pop("system", 3)
        self.extra = lies.pop("extra", b"")
        self.comment = lies.pop("comment", b"")
        self.local_name = lies.pop("local_name", self.name)
        self.local_method = lies.pop("local_method", method)
        self.local_flags = lies.pop("local_flags", self.flags)
        self.local_extra = lies.pop("local_extra", b"")
        self.local_size = lies.pop("local_size", self.size)
        self.local_packed_size = lies.pop("local_packed_size", self.packed_size)
        self.local_crc = lies.pop("local_crc", self.crc)
        self.body = lies.pop("body", None)      # bytes behind the local header, instead of the packed ones
        self.offset = lies.pop("offset", None)  # where the directory says that it is
        self.no_local = lies.pop("no_local", False)
        assert not lies, lies

    def local(self):
        body = self.packed if self.body is None else self.body
        return struct.pack("<4s5H3I2H", b"PK\3\4", 20, self.local_flags, self.local_method, 0, 33, self.local_crc,
                           self.local_packed_size, self.local_size, len(self.local_name),
                           len(self.local_extra)) + self.local_name + self.local_extra + body

    def central(self, offset):
        offset = offset if self.offset is None else self.offset
        return struct.pack("<4s2B5H3I5H2I", b"PK\1\2", 20, self.system, 20, self.flags, self.method, 0, 33,
                           self.crc, self.packed_size, self.size, len(self.name), len(self.extra),
                           len(self.comment), 0, 0, self.mode << 16, offset) + self.name + self.extra + self.comment


def make(*entries, prefix=b"", comment=b"", count=None, here=None, disk=0, offset=None, length=None, suffix=b"",
         before_end=b""):
    out, central = bytearray(prefix), b""
    for entry in entries:
        central += entry.central(len(out))
        if not entry.no_local:
            out += entry.local()
    start = len(out)
    count = len(entries) if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\5\6", disk, disk, count if here is None else here, count,
                      len(central) if length is None else length, start if offset is None else offset,
                      len(comment))
    return bytes(out) + central + before_end + end + comment + suffix



HELLO = b"print('hello')\n"

# ---- good ----


@archive
def good():
    return make(Entry("robot.py", HELLO), Entry("lib/__init__.py", b""), Entry("lib/part.py", b"x = 1\n"),
                Entry("data/level.txt", b"level\n", STORED))


@archive
def good_folders():
    return make(Entry("a/", b"", STORED, mode=0o40755), Entry("a/b/", b"", STORED, mode=0o40755),
                Entry("robot.py", HELLO))


@archive
def good_top_folder():
    return make(Entry("project/", b"", STORED, mode=0o40755), Entry("project/robot.py", HELLO),
                Entry("project/lib/part.py", b""))


@archive
def good_package_is_no_top_folder():
    return make(Entry("robot/__init__.py", b""), Entry("robot/part.py", b""))


@archive
def good_leavings():
    return make(Entry("robot.py", HELLO), Entry("__MACOSX/._robot.py", b"x"), Entry("._robot.py", b"x"),
                Entry(".git/config", b"x"), Entry("sub/.DS_Store", b"x"), Entry("sub/__pycache__/a.pyc", b"x"))


@archive
def good_backslashes():
    return make(Entry("user\\robot.py", HELLO, system=0, mode=0), Entry("main.py", HELLO, system=0, mode=0))


@archive
def good_comment():
    return make(Entry("robot.py", HELLO, comment=b"of the file"), comment=b"of the archive")


@archive
def good_extra():
    return make(Entry("robot.py", HELLO, extra=struct.pack("<HHI", 0x5455, 4, 0)))


@archive
def good_data_descriptor():
    data = deflate(HELLO)
    tail = struct.pack("<4sIII", b"PK\7\10", zlib.crc32(HELLO), len(data), len(HELLO))
    return make(Entry("robot.py", HELLO, flags=0x808, body=data + tail))


# What writers that do not know the sizes yet put into a local header: Info-ZIP 3.0 into a pipe and by -fd, libarchive 3.6
# (bsdtar -a), macOS' "Compress", and all that could be between.
for _writer, _lies in {
    "info_zip": {"local_size": 0, "local_packed_size": 0, "local_crc": 0},
    "macos": {"local_size": 0, "local_crc": 0},
    "sizes_only": {"local_crc": 0},
    "size_only": {"local_packed_size": 0, "local_crc": 0},
    "crc_only": {"local_size": 0, "local_packed_size": 0},
}.items():
    def _later(lies=_lies):
        data = deflate(HELLO)
        tail = struct.pack("<4sIII", b"PK\7\10", zlib.crc32(HELLO), len(data), len(HELLO))
        return make(Entry("robot.py", HELLO, flags=0x808, body=data + tail, **lies))

    ARCHIVES[f"good_later_{_writer}"] = _later


@archive
def good_utf8_names():
    return make(Entry("robot.py", HELLO), Entry("\u00e4\u00f6\u00fc.py", b""), Entry("\U0001f916.txt", b""))


@archive
def good_empty_member():
    return make(Entry("robot.py", b"", STORED), Entry("other.py", b""))


@archive
def good_names():
    """Odd, and not wrong: twins of other bytes (H21, H32), spaces, dots."""
    return make(Entry("robot.py", HELLO), Entry("Robot.py", b""), Entry("e\u0301.py", b""), Entry("\u00e9.py", b""),
                Entry("a..py", b""), Entry("a.py.", b""), Entry("with space.py", b""), Entry("..c/...py", b""))


@archive
def good_module_beside_package():
    return make(Entry("robot.py", b"x = 'module'\n"), Entry("robot/__init__.py", b"x = 'package'\n"))


@archive
def good_nested_zip():
    inner = make(Entry("robot.py", HELLO))
    return make(Entry("inner.zip", inner, STORED))


@archive
def good_zips_within_zips():
    """H4, H5: whatever an inner ZIP holds, and be it itself, it is a file like others."""
    inner = make(Entry("robot.py", HELLO))
    for _ in range(20):
        inner = make(Entry("inner.zip", inner))
    return make(Entry("robot.py", HELLO), Entry("inner.zip", inner))


@archive
def good_twins():
    """H21, H32: names that look alike are different names, as they are on Linux."""
    return make(*[Entry(name, HELLO) for name in ("Robot.py", "robot.py", "\u00e9.py", "e\u0301.py", "a\u202eyp.py", "a.py",
                                                  "a..py", "a.py.", " a.py")])


@archive
def good_ten_thousand():
    return make(*[Entry(f"m{i:05}.py", b"", STORED) for i in range(10000)])


@archive
def good_zeros():
    return make(Entry("robot.py", HELLO), Entry("zeros.bin", bytes(1 << 20)))


@archive
def good_deep():
    return make(Entry("robot.py", HELLO), Entry("d/" * 32 + "a.py", b""))


@archive
def good_longest_name():
    return make(Entry("robot.py", HELLO), Entry("n" * 252 + ".py", b""))


@archive
def good_compiled():
    return make(Entry("robot.py", HELLO), Entry("only.pyc", b"\x6f\r\r\n"), Entry("native.so", b"\x7fELF"))


@archive
def good_prefix():
    """Bytes in front, and every offset right: nothing lies, and nothing reads what is there."""
    return make(Entry("robot.py", HELLO), prefix=b"#!/bin/sh\nexit\n")


# ---- H1 to H5: too much ----


@archive
def h01_ratio():
    return make(Entry("robot.py", HELLO), Entry("zeros.bin", bytes(15 << 20)))


@archive
def h01_huge_member():
    return make(Entry("zeros.bin", bytes(17 << 20)))


@archive
def h01_total():
    part = bytes(1 << 20)
    return make(*[Entry(f"zeros{i:03}.bin", part) for i in range(129)])


@archive
def h02_full_overlap():
    body = Entry("a000.py", bytes(100000))
    return make(body, *[Entry(f"a{i:03}.py", bytes(100000), local_name=b"a000.py", offset=0, no_local=True)
                        for i in range(1, 200)])


@archive
def h02_same_name_overlap():
    first = Entry("a.py", HELLO)
    return make(first, Entry("a.py", HELLO, offset=0, no_local=True))


@archive
def h03_quoted_overlap():
    """Fifield's: each member's data begins with a stored block that quotes the next local header."""
    kernel = deflate(bytes(100000))
    members, size, crc_data = [], 100000, bytes(100000)
    tail = b""
    last = Entry("q9.bin", b"", packed=kernel, size=size, crc=zlib.crc32(crc_data))
    tail = last.local()
    offsets = {"q9.bin": 0}
    members.append(last)
    for i in range(8, -1, -1):
        name = f"q{i}.bin"
        header = tail[:30 + len("q9.bin")]
        quote = b"\0" + struct.pack("<HH", len(header), len(header) ^ 0xffff) + header
        crc_data = header + crc_data
        packed = quote + members[0].packed
        members.insert(0, Entry(name, b"", packed=packed, size=len(crc_data), crc=zlib.crc32(crc_data)))
        local = members[0].local()[:30 + len(name)]
        for known in offsets:
            offsets[known] += len(local) + 5
        offsets[name] = 0
        tail = local + quote[:5] + tail
    central = b"".join(member.central(offsets[member.name.decode()]) for member in members)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(central), len(tail), 0)
    return tail + central + end


@archive
def h03_overlaps_the_directory():
    return make(Entry("robot.py", HELLO, STORED, packed_size=40, size=40))


# ---- H6 to H10: lies about a member ----


@archive
def h06_twice():
    return make(Entry("a.py", b"x = 1\n"), Entry("a.py", b"x = 2\n"))


@archive
def h06_twice_by_backslash():
    return make(Entry("a/b.py", b"x = 1\n"), Entry("a\\b.py", b"x = 2\n"))


@archive
def h06_file_and_folder_twice():
    return make(Entry("a", b"x"), Entry("a/", b"", STORED, mode=0o40755))


@archive
def h06_file_that_is_a_folder():
    return make(Entry("a", b"x"), Entry("a/b.py", b""))


@archive
def h06_file_that_is_a_folder_apart():
    """Sorted by bytes, a-b.py stands between the two."""
    return make(Entry("a", b"x"), Entry("a-b.py", b""), Entry("a/b.py", b""))


@archive
def h07_declared_too_small():
    return make(Entry("robot.py", bytes(100000), size=10, local_size=10))


@archive
def h07_declared_too_large():
    return make(Entry("robot.py", HELLO, size=100, local_size=100))


@archive
def h07_stored_sizes_differ():
    return make(Entry("robot.py", HELLO, STORED, size=3))


@archive
def h07_stored_too_large():
    return make(Entry("robot.py", HELLO, STORED, size=10000, packed_size=10000))


@archive
def h08_declared_4_gb():
    return make(Entry("robot.py", HELLO, size=0xfffffffe))


@archive
def h08_declared_15_mb():
    return make(Entry("robot.py", HELLO, size=15 << 20))


@archive
def h09_bad_crc():
    return make(Entry("robot.py", HELLO, crc=1))


@archive
def h10_zip64_extra():
    extra = struct.pack("<HHQQ", 1, 16, (1 << 64) - 1, (1 << 64) - 1)
    return make(Entry("robot.py", HELLO, size=0xffffffff, extra=extra))


@archive
def h10_packed_4_gb():
    """As the other size, and one more than it wraps to zero."""
    return make(Entry("robot.py", HELLO, size=2 << 20, packed_size=0xffffffff))


# ---- H11 to H16: lies about the archive ----


@archive
def h11_zip64_end():
    return make(Entry("robot.py", HELLO), count=0xffff)


@archive
def h11_zip64_offset():
    return make(Entry("robot.py", HELLO), offset=0xffffffff)


@archive
def h11_zip64_record():
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 46, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
    return make(Entry("robot.py", HELLO), before_end=record + locator)


@archive
def h12_too_many():
    return make(*[Entry(f"{i:05}", b"", STORED) for i in range(10001)])


@archive
def h12_65534():
    return make(*[Entry(f"{i:05}", b"", STORED) for i in range(65534)])


@archive
def h13_count_too_large():
    return make(Entry("robot.py", HELLO), count=5000)


@archive
def h13_count_too_small():
    return make(Entry("robot.py", HELLO), Entry("b.py", HELLO), count=1)


@archive
def h13_count_of_none():
    return make(Entry("robot.py", HELLO), count=0)


@archive
def h13_two_counts():
    return make(Entry("robot.py", HELLO), here=2)


@archive
def h14_directory_beyond_the_end():
    return make(Entry("robot.py", HELLO), offset=1 << 30)


@archive
def h14_truncated():
    whole = make(Entry("robot.py", HELLO), Entry("b.py", HELLO))
    return whole[:len(whole) - 30]


@archive
def h14_truncated_end():
    return good()[:-1]


@archive
def h14_prefix():
    whole = make(Entry("robot.py", HELLO))
    return b"#!/bin/sh\nexit\n" + whole


@archive
def h14_suffix():
    return make(Entry("robot.py", HELLO), suffix=b"more")


@archive
def h14_gap_before_the_end():
    return make(Entry("robot.py", HELLO), before_end=b"gap!")


@archive
def h14_directory_too_long():
    central = Entry("robot.py", HELLO).central(0)
    return make(Entry("robot.py", HELLO), before_end=b"\0" * 50, length=len(central) + 50)


@archive
def h14_name_beyond_the_directory():
    entry = Entry("robot.py", HELLO)
    whole = bytearray(make(entry))
    at = whole.index(b"PK\1\2") + 28
    whole[at:at + 2] = struct.pack("<H", 200)
    return bytes(whole)


@archive
def h14_comment_beyond_the_directory():
    whole = bytearray(make(Entry("robot.py", HELLO)))
    at = whole.index(b"PK\1\2") + 32
    whole[at:at + 2] = struct.pack("<H", 0xffff)
    return bytes(whole)


@archive
def h14_disk():
    return make(Entry("robot.py", HELLO), disk=1)


@archive
def h15_empty():
    return b""


@archive
def h15_no_files():
    return make()


@archive
def h15_only_leavings():
    return make(Entry("__MACOSX/._robot.py", b"x"))


@archive
def h15_text():
    return b"print('I am no ZIP')\n"


@archive
def h15_gzip():
    return b"\x1f\x8b\x08\0" + bytes(40)


@archive
def h15_rar():
    return b"Rar!\x1a\x07\0" + bytes(40) + b"\xff"


@archive
def h15_7z():
    return b"7z\xbc\xaf\x27\x1c" + bytes(40)


@archive
def h15_noise():
    return b"\x80\xff" * 100


@archive
def h16_second_in_the_comment():
    return make(Entry("good.py", HELLO), comment=make(Entry("evil.py", HELLO)))


@archive
def h16_end_in_the_comment():
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    return make(Entry("good.py", HELLO), comment=end + b"more")


# ---- H17 to H28: names, kinds, data ----


@archive
def h17_local_name_differs():
    return make(Entry("good.py", HELLO, local_name=b"evil.py"))


@archive
def h17_local_name_longer():
    return make(Entry("good.py", HELLO, local_name=b"good.py.py"))


@archive
def h17_local_method_differs():
    return make(Entry("good.py", HELLO, local_method=STORED))


@archive
def h17_local_size_differs():
    return make(Entry("good.py", HELLO, local_size=3))


@archive
def h17_local_crc_differs():
    return make(Entry("good.py", HELLO, local_crc=3))


@archive
def h17_local_encrypted():
    return make(Entry("good.py", HELLO, local_flags=0x801))


@archive
def h17_local_extra_cut_off():
    return make(Entry("good.py", HELLO, local_extra=struct.pack("<HH", 0x5455, 9) + b"12345"))


@archive
def h17_extra_cut_off():
    return make(Entry("good.py", HELLO, extra=struct.pack("<HH", 0x5455, 9) + b"12345"))


@archive
def h17_local_elsewhere():
    return make(Entry("good.py", HELLO, offset=3))


@archive
def h17_local_beyond():
    return make(Entry("good.py", HELLO, offset=0xfffffff0))


@archive
def h17_data_beyond():
    return make(Entry("good.py", HELLO, packed_size=100000))


BAD_NAMES = {
    "h18_up": b"../../x", "h18_absolute": b"/abs.py", "h18_drive": b"C:\\x.py", "h18_up_by_backslash": b"a\\..\\b.py",
    "h18_dots": b"..", "h18_no_name": b"", "h18_slash": b"/", "h18_two_slashes": b"a//b.py", "h18_dot": b"a/./b.py",
    "h18_unc": b"\\\\host\\share", "h18_last_dots": b"a/..", "h18_folder_of_dots": b"a/../",
    "h19_nul": b"a.py\0.txt", "h19_newline": b"a\nb.py", "h19_escape": b"\x1b[31m.py", "h19_delete": b"a\x7f.py",
    "h20_not_utf8": b"\xff\xfe.py", "h20_too_long_utf8": b"\xc0\xaf.py", "h20_surrogate": b"\xed\xa0\x80.py",
    "h26_long_name": b"n" * 256, "h26_longest_name": b"n" * 65003, "h26_deep": b"d/" * 33 + b"a.py",
}
for _name, _bytes in BAD_NAMES.items():
    ARCHIVES[_name] = lambda name=_bytes: make(Entry("robot.py", HELLO), Entry(name, b"", STORED))


@archive
def h18_file_by_its_end():
    return make(Entry("robot.py", HELLO), Entry("a.py/", HELLO))


@archive
def h20_not_utf8_without_the_flag():
    return make(Entry("robot.py", HELLO), Entry(b"\x84.py", b"", flags=0))


@archive
def h23_symlink():
    return make(Entry("robot.py", b"/etc/passwd", STORED, mode=0o120777))


@archive
def h23_symlink_of_darwin():
    return make(Entry("robot.py", b"/etc/passwd", STORED, mode=0o120777, system=19))


@archive
def h23_device():
    return make(Entry("robot.py", b"", STORED, mode=0o20666))


@archive
def h24_encrypted():
    return make(Entry("robot.py", HELLO, flags=0x801))


@archive
def h24_masked():
    return make(Entry("robot.py", HELLO, flags=0x2800))


for _method in (1, 9, 12, 14, 93, 95, 99, 0xffff):
    ARCHIVES[f"h25_method_{_method}"] = lambda method=_method: make(Entry("robot.py", HELLO, method))


@archive
def h27_folder_with_data():
    return make(Entry("robot.py", HELLO), Entry("a/", b"twelve bytes", STORED, mode=0o40755))


@archive
def h28_bad_deflate():
    return make(Entry("robot.py", HELLO, packed=b"\xff" * 20))


@archive
def h28_deflate_cut_off():
    return make(Entry("robot.py", HELLO, packed=deflate(HELLO)[:-3]))


@archive
def h28_more_behind_the_deflate():
    return make(Entry("robot.py", HELLO, packed=deflate(HELLO) + b"more"))


@archive
def h28_deflate_empty():
    return make(Entry("robot.py", HELLO, packed=b""))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, function in ARCHIVES.items():
        with open(os.path.join(folder, name + ".zip"), "wb") as file:
            file.write(function())


if __name__ == "__main__":
    main()
