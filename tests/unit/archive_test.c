/* SPDX-License-Identifier: MIT */
/*
 * ZIPs in memory: every archive of tests/importer/make_archives.py is opened and read to
 * its end, and must be taken, or refused in the words of its row. Then names, reading
 * under small limits, and where a program starts. Run by ctest, on files that are as
 * hostile as we could make them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/limits.h"
#include "importer/archive.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the corpus ---- */

/* clang-format off */
static const struct row {
    const char *name;
    const char *opening; /* part of the refusal; NULL: it is opened */
    const char *reading; /* part of the refusal of one member at least; NULL: all are read */
} rows[] = {
    {"good", NULL, NULL},
    {"good_folders", NULL, NULL},
    {"good_top_folder", NULL, NULL},
    {"good_package_is_no_top_folder", NULL, NULL},
    {"good_leavings", NULL, NULL},
    {"good_backslashes", NULL, NULL},
    {"good_comment", NULL, NULL},
    {"good_extra", NULL, NULL},
    {"good_data_descriptor", NULL, NULL},
    {"good_later_info_zip", NULL, NULL},
    {"good_later_macos", NULL, NULL},
    {"good_later_sizes_only", NULL, NULL},
    {"good_later_size_only", NULL, NULL},
    {"good_later_crc_only", NULL, NULL},
    {"good_utf8_names", NULL, NULL},
    {"good_empty_member", NULL, NULL},
    {"good_names", NULL, NULL},
    {"good_module_beside_package", NULL, NULL},
    {"good_nested_zip", NULL, NULL},
    {"good_zips_within_zips", NULL, NULL},
    {"good_twins", NULL, NULL},
    {"good_ten_thousand", NULL, NULL},
    {"good_zeros", NULL, NULL},
    {"good_deep", NULL, NULL},
    {"good_longest_name", NULL, NULL},
    {"good_compiled", NULL, NULL},
    {"good_prefix", NULL, NULL},

    {"h01_ratio", "\"zeros.bin\" in the ZIP unpacks to far more than its size", NULL},
    {"h01_huge_member", "\"zeros.bin\" in the ZIP is too large", NULL},
    {"h01_total", "unpacks to more than the 128 MB that are allowed", NULL},
    {"h02_full_overlap", "is damaged: its two descriptions differ", NULL},
    {"h02_same_name_overlap", "\"a.py\" and \"a.py\" overlap in the ZIP", NULL},
    {"h03_quoted_overlap", "\"q0.bin\" and \"q1.bin\" overlap in the ZIP", NULL},
    {"h03_overlaps_the_directory", "is damaged", NULL},
    {"h06_twice", "\"a.py\" is in the ZIP twice", NULL},
    {"h06_twice_by_backslash", "\"a/b.py\" is in the ZIP twice", NULL},
    {"h06_file_and_folder_twice", "\"a\" is", NULL},
    {"h06_file_that_is_a_folder", "\"a\" is both a file and a folder", NULL},
    {"h06_file_that_is_a_folder_apart", "\"a\" is both a file and a folder", NULL},
    {"h07_declared_too_small", NULL, "does not have the size that it claims"},
    {"h07_declared_too_large", NULL, "does not have the size that it claims"},
    {"h07_stored_sizes_differ", "its sizes differ", NULL},
    {"h07_stored_too_large", "is damaged", NULL},
    {"h08_declared_4_gb", "is too large", NULL},
    {"h08_declared_15_mb", "its size cannot be right", NULL},
    {"h09_bad_crc", NULL, "its checksum is wrong"},
    {"h10_zip64_extra", "zip64", NULL},
    {"h10_packed_4_gb", "zip64", NULL},
    {"h11_zip64_end", "zip64", NULL},
    {"h11_zip64_offset", "zip64", NULL},
    {"h11_zip64_record", "zip64", NULL},
    {"h12_too_many", "holds 10001 files; at most 10000 are allowed", NULL},
    {"h12_65534", "holds 65534 files", NULL},
    {"h13_count_too_large", "its list of files is too short", NULL},
    {"h13_count_too_small", "its list of files is too long", NULL},
    {"h13_count_of_none", "its list of files is too long", NULL},
    {"h13_two_counts", "one part of several", NULL},
    {"h14_directory_beyond_the_end", "damaged, or has other bytes in front", NULL},
    {"h14_truncated", "cut off", NULL},
    {"h14_truncated_end", "cut off", NULL},
    {"h14_prefix", "other bytes in front of it", NULL},
    {"h14_suffix", "other bytes behind its end", NULL},
    {"h14_gap_before_the_end", "damaged", NULL},
    {"h14_directory_too_long", "its list of files is too long", NULL},
    {"h14_name_beyond_the_directory", "its list of files cannot be read", NULL},
    {"h14_comment_beyond_the_directory", "its list of files cannot be read", NULL},
    {"h14_disk", "one part of several", NULL},
    {"h15_empty", "no bytes at all", NULL},
    {"h15_no_files", "holds no file", NULL},
    {"h15_only_leavings", "holds no file", NULL},
    {"h15_text", "This is a text, not a ZIP", NULL},
    {"h15_gzip", "gzip", NULL},
    {"h15_rar", "RAR", NULL},
    {"h15_7z", "7z", NULL},
    {"h15_noise", "This is not a ZIP", NULL},
    {"h16_second_in_the_comment", "hides a second ZIP", NULL},
    {"h16_end_in_the_comment", "hides a second ZIP", NULL},
    {"h17_local_name_differs", "its two descriptions differ", NULL},
    {"h17_local_name_longer", "its two descriptions differ", NULL},
    {"h17_local_method_differs", "its two descriptions differ", NULL},
    {"h17_local_size_differs", "is damaged: its two descriptions differ", NULL},
    {"h17_local_crc_differs", "is damaged: its two descriptions differ", NULL},
    {"h17_local_encrypted", "\"good.py\" in the ZIP is damaged: its two descriptions differ", NULL},
    {"h17_local_extra_cut_off", "\"good.py\" in the ZIP is damaged: its two descriptions differ", NULL},
    {"h17_extra_cut_off", "\"good.py\" in the ZIP is damaged: its extra fields cannot be read", NULL},
    {"h17_local_elsewhere", "it is not where the list says", NULL},
    {"h17_local_beyond", "it is not where the list says", NULL},
    {"h17_data_beyond", "is damaged", NULL},
    {"h18_up", "has . or .. in its name", NULL},
    {"h18_up_by_backslash", "has . or .. in its name", NULL},
    {"h18_absolute", "absolute name", NULL},
    {"h18_unc", "absolute name", NULL},
    {"h18_drive", "drive letter", NULL},
    {"h18_dots", "has . or .. in its name", NULL},
    {"h18_dot", "has . or .. in its name", NULL},
    {"h18_last_dots", "has . or .. in its name", NULL},
    {"h18_folder_of_dots", "has . or .. in its name", NULL},
    {"h18_no_name", "has no name", NULL},
    {"h18_slash", "has no name", NULL},
    {"h18_two_slashes", "empty part in its name", NULL},
    {"h18_file_by_its_end", "folder with contents of its own", NULL},
    {"h19_nul", "\"a.py?.txt\" in the ZIP has a control character in its name", NULL},
    {"h19_newline", "\"a?b.py\" in the ZIP has a control character in its name", NULL},
    {"h19_escape", "\"?[31m.py\" in the ZIP has a control character in its name", NULL},
    {"h19_delete", "has a control character in its name", NULL},
    {"h20_not_utf8", "\"??.py\" in the ZIP has a name that is not UTF-8", NULL},
    {"h20_not_utf8_without_the_flag", "not UTF-8", NULL},
    {"h20_too_long_utf8", "not UTF-8", NULL},
    {"h20_surrogate", "not UTF-8", NULL},
    {"h23_symlink", "is a link or a device", NULL},
    {"h23_symlink_of_darwin", "is a link or a device", NULL},
    {"h23_device", "is a link or a device", NULL},
    {"h24_encrypted", "is encrypted", NULL},
    {"h24_masked", "is encrypted", NULL},
    {"h25_method_1", "packed in a way that is not read here", NULL},
    {"h25_method_9", "packed in a way that is not read here", NULL},
    {"h25_method_12", "packed in a way that is not read here", NULL},
    {"h25_method_14", "packed in a way that is not read here", NULL},
    {"h25_method_93", "packed in a way that is not read here", NULL},
    {"h25_method_95", "packed in a way that is not read here", NULL},
    {"h25_method_99", "packed in a way that is not read here", NULL},
    {"h25_method_65535", "packed in a way that is not read here", NULL},
    {"h26_long_name", "a name of 256 bytes; at most 255 are allowed", NULL},
    {"h26_longest_name", "a name of 65003 bytes", NULL},
    {"h26_deep", "lies in too many folders", NULL},
    {"h27_folder_with_data", "folder with contents of its own", NULL},
    {"h28_bad_deflate", NULL, "is damaged: it cannot be unpacked"},
    {"h28_deflate_cut_off", NULL, "is damaged: it cannot be unpacked"},
    {"h28_more_behind_the_deflate", NULL, "it ends before its place does"},
    {"h28_deflate_empty", NULL, "is damaged: it cannot be unpacked"},
};
/* clang-format on */

struct file {
    char *data;
    size_t size;
};

/* An archive of the corpus; its bytes end where they end, so that the sanitizer sees a
 * read beyond. */
static struct file load(const char *name)
{
    struct file file = {0};
    autobuffer struct buffer path = BUFFER_INIT(4096);
    autofree char *data = NULL;

    buffer_printf(&path, "%s/%s.zip", getenv("PADDOCK_ARCHIVES"), name);
    if (fd_read_file(path.data, MIB(32), &data, &file.size) < 0) {
        fail_msg("no %s", path.data);
    }
    file.data = malloc(file.size > 0 ? file.size : 1);
    memcpy(file.data, data, file.size);
    return file;
}

static struct archive *open_good(const struct file *file)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct archive *archive = NULL;

    if (archive_open(file->data, file->size, &archive_limits_default, &archive, &why) <
        0) {
        fail_msg("%s", why.data);
    }
    return archive;
}

/* Reads every member; leaves the last refusal in `why`. */
static void read_all(struct archive *archive, struct buffer *why)
{
    for (size_t i = 0; i < archive_count(archive); i++) {
        autofree char *bytes = NULL;
        autobuffer struct buffer problem = BUFFER_INIT(1024);
        size_t size;

        if (archive_read(archive, i, &bytes, &size, &problem) == 0) {
            assert_int_equal(bytes[size], '\0');
        } else {
            assert_null(bytes);
            buffer_reset(why);
            buffer_add(why, problem.data, problem.size);
        }
    }
}

static void check(const char *name, const char *stage, const char *expected,
                  const struct buffer *why)
{
    const char *said = why->size > 0 ? why->data : NULL;

    if ((expected == NULL) != (said == NULL) ||
        (said != NULL && strstr(said, expected) == NULL)) {
        fail_msg("%s, %s: %s", name, stage, said != NULL ? said : "nothing was said");
    }
    if (said != NULL) { /* a student's sentence, on one line */
        assert_non_null(strchr(".?", said[why->size - 1]));
        assert_null(strpbrk(said, "\n\t\x1b"));
    }
}

/* Of what is wrong with one entry, not with the archive, the sentence begins with its
 * name.
 */
static void check_that_it_names(const char *row, const struct buffer *why)
{
    static const char *const others[] = {"h01_total", "h11_", "h12_", "h13_",
                                         "h14_",      "h15_", "h16_"};

    for (size_t i = 0; i < array_size(others); i++) {
        if (strncmp(row, others[i], strlen(others[i])) == 0) {
            return;
        }
    }
    if (why->size > 0 && (why->data[0] != '"' || strchr(why->data + 1, '"') == NULL)) {
        fail_msg("%s: no entry is named: %s", row, why->data);
    }
}

static void every_archive(void **state)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        struct file file = load(rows[i].name);
        autobuffer struct buffer why = BUFFER_INIT(1024), problem = BUFFER_INIT(1024);
        struct archive *archive = NULL;
        int result =
            archive_open(file.data, file.size, &archive_limits_default, &archive, &why);

        assert_int_equal(result, rows[i].opening == NULL ? 0 : -EINVAL);
        check(rows[i].name, "opening", rows[i].opening, &why);
        check_that_it_names(rows[i].name, &why);
        if (result == 0) {
            read_all(archive, &problem);
            check(rows[i].name, "reading", rows[i].reading, &problem);
            check_that_it_names(rows[i].name, &problem);
        } else {
            assert_null(archive);
        }
        archive_free(archive);
        free(file.data);
    }
}

static bool has_row(const char *file)
{
    for (size_t i = 0; i < array_size(rows); i++) {
        size_t size = strlen(rows[i].name);

        if (strncmp(file, rows[i].name, size) == 0 && strcmp(file + size, ".zip") == 0) {
            return true;
        }
    }
    return false;
}

static void every_archive_has_a_row(void **state)
{
    DIR *folder = opendir(getenv("PADDOCK_ARCHIVES"));
    struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' && !has_row(entry->d_name)) {
            fail_msg("no row for %s", entry->d_name);
        }
    }
    assert_int_equal(closedir(folder), 0);
}

/* Cut off anywhere, or with any one byte another one: an answer, and no crash. */
static void damaged_anywhere(void **state)
{
    struct file file = load("good");

    for (size_t i = 0; i < file.size * 9; i++) {
        size_t size = i < file.size ? i : file.size;
        autofree char *copy = malloc(size > 0 ? size : 1);
        autobuffer struct buffer why = BUFFER_INIT(1024);
        struct archive *archive = NULL;

        memcpy(copy, file.data, size);
        if (i >= file.size) {
            copy[i % file.size] ^= (char)(1 << (i / file.size - 1));
        }
        if (archive_open(copy, size, &archive_limits_default, &archive, &why) == 0) {
            assert_true(i >= file.size);
            read_all(archive, &why);
        } else {
            check("good", "damaged", "", &why);
        }
        archive_free(archive);
    }
    free(file.data);
}

/* ---- names ---- */

/* Of the archive as it is, or with its top folder taken off, if that is given. */
static void names(const char *name, const char *top, const char *expected)
{
    struct file file = load(name);
    struct archive *archive = open_good(&file);
    autobuffer struct buffer all = BUFFER_INIT(4096);

    if (top != NULL) {
        autofree char *found = archive_top_folder(archive);

        assert_string_equal(found != NULL ? found : "", top);
        archive_strip(archive);
    }
    for (size_t i = 0; i < archive_count(archive); i++) {
        buffer_printf(&all, "%s ", archive_name(archive, i));
        if (!archive_is_directory(archive, archive_name(archive, i))) {
            assert_int_equal(archive_find(archive, archive_name(archive, i)), i);
        }
    }
    assert_string_equal(all.data, expected);
    archive_free(archive);
    free(file.data);
}

static void names_as_they_are_given_out(void **state)
{
    names("good", NULL, "data/level.txt lib/__init__.py lib/part.py robot.py ");
    names("good", "", "data/level.txt lib/__init__.py lib/part.py robot.py ");
    names("good_folders", "", "a a/b robot.py ");
    names("good_top_folder", NULL, "project project/lib/part.py project/robot.py ");
    names("good_top_folder", "project", "lib/part.py robot.py ");
    names("good_package_is_no_top_folder", "", "robot/__init__.py robot/part.py ");
    names("good_leavings", "", "robot.py ");
    names("good_backslashes", "", "main.py user/robot.py ");
    names("good_twins", NULL,
          " a.py Robot.py a..py a.py a.py. a\u202eyp.py e\u0301.py robot.py \u00e9.py ");
    names("good_module_beside_package", "", "robot.py robot/__init__.py ");
}

static void finding(void **state)
{
    static const struct {
        const char *name;
        bool member, folder;
    } lookups[] = {
        {"", false, true},
        {"robot.py", true, false},
        {"robot", false, false},
        {"robot.py/", false, false},
        {"lib", false, true},
        {"lib/", false, false},
        {"li", false, false},
        {"lib/part.py", true, false},
        {"lib/part", false, false},
        {"data", false, true},
        {"data/level", false, false},
        {"/robot.py", false, false},
        {"../robot.py", false, false},
    };
    struct file file = load("good");
    struct archive *archive = open_good(&file);
    char monster[2000];

    for (size_t i = 0; i < array_size(lookups); i++) {
        assert_int_equal(archive_find(archive, lookups[i].name) >= 0, lookups[i].member);
        assert_int_equal(archive_is_directory(archive, lookups[i].name),
                         lookups[i].folder);
    }
    memset(monster, 'x', sizeof(monster) - 1);
    monster[sizeof(monster) - 1] = '\0';
    assert_false(archive_is_directory(archive, monster));
    assert_int_equal(archive_find(archive, monster), -1);
    archive_free(archive);
    free(file.data);
}

static void explicit_folders(void **state)
{
    struct file file = load("good_folders");
    struct archive *archive = open_good(&file);

    assert_true(archive_is_directory(archive, "a"));
    assert_true(archive_is_directory(archive, "a/b"));
    assert_int_equal(archive_find(archive, "a"), -1);
    archive_free(archive);
    free(file.data);
}

/* ---- reading ---- */

static void reading(void **state)
{
    struct file file = load("good");
    struct archive *archive = open_good(&file);
    autobuffer struct buffer why = BUFFER_INIT(1024);
    autofree char *text = NULL, *again = NULL, *empty = NULL;
    size_t size;

    assert_int_equal(archive_read(archive, (size_t)archive_find(archive, "robot.py"),
                                  &text, &size, &why),
                     0);
    assert_string_equal(text, "print('hello')\n");
    assert_int_equal(size, strlen(text));
    assert_int_equal(archive_read(archive, (size_t)archive_find(archive, "robot.py"),
                                  &again, &size, &why),
                     0);
    assert_string_equal(again, text);
    assert_int_equal(archive_read(archive, 1, &empty, &size, &why), 0);
    assert_int_equal(size, 0);
    archive_free(archive);
    free(file.data);
}

/* The cap is on what the archive holds: a program may read the same file all day. */
static void reading_again(void **state)
{
    struct file file = load("good_zeros");
    struct archive *archive = open_good(&file);
    autobuffer struct buffer why = BUFFER_INIT(1024);

    for (size_t i = 0; i < 2 * archive_limits_default.total / MIB(1); i++) {
        autofree char *bytes = NULL;
        size_t size;

        assert_int_equal(archive_read(archive, (size_t)archive_find(archive, "zeros.bin"),
                                      &bytes, &size, &why),
                         0);
        assert_int_equal(size, MIB(1));
    }
    archive_free(archive);
    free(file.data);
}

/* Each limit, just kept and just broken. */
static void limits_one_by_one(void **state)
{
    struct file file = load("good"); /* 4 members, longest name 15, depth 1, 27 bytes */
    const struct archive_limits kept = {.bytes = file.size,
                                        .entries = 4,
                                        .name = 15,
                                        .depth = 1,
                                        .member = 15,
                                        .total = 27,
                                        .ratio = 1};
    struct archive_limits broken[6];
    static const char *const said[] = {"bytes; at most",
                                       "4 files; at most 3",
                                       "15 bytes; at most 14",
                                       "too many folders",
                                       "\"robot.py\" in the ZIP is too large",
                                       "unpacks to more than"};
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct archive *archive = NULL;

    assert_int_equal(archive_open(file.data, file.size, &kept, &archive, &why), 0);
    archive_free(archive);
    for (size_t i = 0; i < array_size(broken); i++) {
        broken[i] = kept;
    }
    broken[0].bytes--;
    broken[1].entries--;
    broken[2].name--;
    broken[3].depth--;
    broken[4].member--;
    broken[5].total--;
    for (size_t i = 0; i < array_size(broken); i++) {
        buffer_reset(&why);
        assert_int_equal(archive_open(file.data, file.size, &broken[i], &archive, &why),
                         -EINVAL);
        check("good", said[i], said[i], &why);
    }
    free(file.data);
}

static void a_bare_source(void **state)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct archive_limits limits = archive_limits_default;
    struct archive *archive = NULL;
    autofree char *text = NULL;
    size_t size;

    assert_int_equal(
        archive_open_source("robot.py", "x = 1\n", 6, &limits, &archive, &why), 0);
    assert_int_equal(archive_count(archive), 1);
    assert_int_equal(archive_find(archive, "robot.py"), 0);
    assert_null(archive_top_folder(archive));
    assert_int_equal(archive_read(archive, 0, &text, &size, &why), 0);
    assert_string_equal(text, "x = 1\n");
    archive_free(archive);
    limits.member = 5;
    assert_int_equal(
        archive_open_source("robot.py", "x = 1\n", 6, &limits, &archive, &why), -EINVAL);
    assert_non_null(strstr(why.data, "has 6 bytes; at most 5 are allowed"));
    archive_free(NULL);
}

/* ---- where a program starts ---- */

/* clang-format off */
static const struct {
    const char *archive, *entry;
    const char *member, *module, *function, *folder;
    const char *why;
} entries[] = {
    {"good", "", "robot.py", "", "", "", NULL},
    {"good_top_folder", "", "robot.py", "", "", "", NULL},
    {"good_top_folder", "project/lib/part.py", "lib/part.py", "", "", "lib", NULL},
    {"good_top_folder", "lib/part.py", "lib/part.py", "", "", "lib", NULL},
    {"good_top_folder", "lib.part", "lib/part.py", "lib.part", "", "", NULL},
    {"good_top_folder", "project.lib.part:run", "", "project.lib.part", "run", "", NULL},
    {"good_top_folder", "project.lib.part", "project/lib/part.py", "project.lib.part", "", "", NULL},
    {"good_top_folder", "project", .why = "project is a package without a __main__.py"},
    {"good_top_folder", "project.nothing", .why = "There is no module project.nothing in the ZIP"},
    {"good_backslashes", "", "user/robot.py", "", "", "user", NULL},
    {"good_backslashes", "main.py", "main.py", "", "", "", NULL},
    {"good_backslashes", "main", "main.py", "main", "", "", NULL},
    {"good", "lib:run", "", "lib", "run", "", NULL},
    {"good", "lib.part", "lib/part.py", "lib.part", "", "", NULL},
    {"good", "lib", .why = "lib is a package without a __main__.py"},
    {"good", "lib.part:run", "", "lib.part", "run", "", NULL},
    {"good", "lib/part.py", "lib/part.py", "", "", "lib", NULL},
    {"good", "lib.nothing", .why = "There is no module lib.nothing in the ZIP"},
    {"good", "nothing.py", .why = "There is no file nothing.py in the ZIP"},
    {"good", "lib/", .why = "There is no file lib/ in the ZIP"},
    {"good", "../robot.py", .why = "There is no file ../robot.py"},
    {"good", ":run", .why = "is no entry"},
    {"good", "lib:", .why = "is no entry"},
    {"good", ".", .why = "There is no module"},
    {"good_package_is_no_top_folder", "", .why = "I found robot/__init__.py: is that it?"},
    {"good_nested_zip", "", .why = "another ZIP, inner.zip"},
};
/* clang-format on */

static void where_a_program_starts(void **state)
{
    for (size_t i = 0; i < array_size(entries); i++) {
        struct file file = load(entries[i].archive);
        struct archive *archive = open_good(&file);
        autobuffer struct buffer why = BUFFER_INIT(1024);
        struct archive_entry entry;
        int result = archive_find_entry(archive, entries[i].entry, &entry, &why);

        if (entries[i].why != NULL) {
            assert_int_equal(result, -ENOENT);
            check(entries[i].entry, "entry", entries[i].why, &why);
        } else {
            assert_int_equal(result, 0);
            assert_string_equal(entry.member, entries[i].member);
            assert_string_equal(entry.module, entries[i].module);
            assert_string_equal(entry.function, entries[i].function);
            assert_string_equal(entry.folder, entries[i].folder);
        }
        archive_free(archive);
        free(file.data);
    }
}

/* An entry of every length there can be fits its place, or is not found. */
static void long_entries(void **state)
{
    struct file file = load("good");
    struct archive *archive = open_good(&file);

    for (size_t size = 1; size < 5000; size += 7) {
        autofree char *entry = malloc(size + 10);
        autobuffer struct buffer why = BUFFER_INIT(16384);
        struct archive_entry found;

        memset(entry, 'm', size);
        memcpy(entry + size, "", 1);
        assert_int_equal(archive_find_entry(archive, entry, &found, &why), -ENOENT);
        entry[size / 2] = ':';
        assert_int_equal(archive_find_entry(archive, entry, &found, &why), -ENOENT);
        entry[size / 2] = '.';
        assert_int_equal(archive_find_entry(archive, entry, &found, &why), -ENOENT);
        entry[size / 2] = '/';
        assert_int_equal(archive_find_entry(archive, entry, &found, &why), -ENOENT);
    }
    archive_free(archive);
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_archive),
        cmocka_unit_test(every_archive_has_a_row),
        cmocka_unit_test(damaged_anywhere),
        cmocka_unit_test(names_as_they_are_given_out),
        cmocka_unit_test(finding),
        cmocka_unit_test(explicit_folders),
        cmocka_unit_test(reading),
        cmocka_unit_test(reading_again),
        cmocka_unit_test(limits_one_by_one),
        cmocka_unit_test(a_bare_source),
        cmocka_unit_test(where_a_program_starts),
        cmocka_unit_test(long_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
