/* SPDX-License-Identifier: MIT */
/*
 * Mutates a ZIP as a ZIP: bytes within a member, members' names and what members there
 * are, with headers and checksums that fit; every other time, and where the input is no
 * ZIP, just bytes. Run by libFuzzer (custom mutators, LLVM's libFuzzer manual); the
 * archives are hostile.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

#include "common/cleanup.h"

#define MEMBER_MAX 8192

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed);

/* Names that mean something to an importer. */
static const char *const names[] = {
    "robot.py",       "main.py",     "__main__.py",     "__init__.py",
    "a/__init__.py",  "a/b.py",      "a/b/__init__.py", "a/__main__.py",
    "user/robot.py",  "space/x.py",  "a.pyc",           "a/x.so",
    "data/level.txt", "top/sub/",    "random.py",       "x.dist-info/METADATA",
    "x\\y.py",        "..\\robot.py"};

/* The member's bytes, at most MEMBER_MAX of them; owned by the caller. */
static uint8_t *read_member(zip_t *zip, zip_uint64_t index, size_t *ret_size)
{
    uint8_t *bytes = malloc(MEMBER_MAX);
    zip_file_t *file = zip_fopen_index(zip, index, 0);
    zip_int64_t got = file != NULL ? zip_fread(file, bytes, MEMBER_MAX) : 0;

    if (file != NULL) {
        (void)zip_fclose(file);
    }
    *ret_size = got > 0 ? (size_t)got : 0;
    return bytes;
}

/* Takes the bytes over. */
static zip_source_t *source_of(zip_t *zip, uint8_t *bytes, size_t size)
{
    if (size == 0) {
        free(bytes); /* libzip would forget them */
        bytes = NULL;
    }
    return zip_source_buffer(zip, bytes, size, bytes != NULL);
}

static void change_bytes(zip_t *zip, zip_uint64_t index, unsigned seed)
{
    size_t size;
    uint8_t *bytes = read_member(zip, index, &size);
    zip_source_t *source;

    size = LLVMFuzzerMutate(bytes, size, MEMBER_MAX);
    source = source_of(zip, bytes, size);
    if (source != NULL && zip_file_replace(zip, index, source, 0) < 0) {
        zip_source_free(source);
    }
    (void)zip_set_file_compression(zip, index,
                                   seed % 4 == 0 ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
}

static void change_name(zip_t *zip, zip_uint64_t index, unsigned seed)
{
    char name[256] = "";
    const char *old = zip_get_name(zip, index, ZIP_FL_ENC_RAW);

    if (old != NULL && seed % 2 == 0) {
        size_t size = strnlen(old, sizeof(name) - 1);

        memcpy(name, old, size);
        size = LLVMFuzzerMutate((uint8_t *)name, size, sizeof(name) - 1);
        name[size] = '\0';
        old = name;
    } else {
        old = names[seed / 2 % array_size(names)];
    }
    (void)zip_file_rename(zip, index, old, ZIP_FL_ENC_UTF_8);
}

/* Under a name that means something, with the bytes of another member. */
static void add_member(zip_t *zip, zip_uint64_t index, unsigned seed)
{
    size_t size;
    uint8_t *bytes = read_member(zip, index, &size);
    zip_source_t *source = source_of(zip, bytes, size);
    zip_int64_t at =
        zip_file_add(zip, names[seed % array_size(names)], source, ZIP_FL_ENC_UTF_8);

    if (at < 0) {
        zip_source_free(source);
    } else {
        (void)zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0);
    }
}

static void remove_member(zip_t *zip, zip_uint64_t index, unsigned seed)
{
    (void)zip_delete(zip, index);
}

static void (*const changes[])(zip_t *zip, zip_uint64_t index, unsigned seed) = {
    change_bytes, change_bytes, change_bytes, change_name, add_member, remove_member};

/* Reads a written archive back. Returns its size, or 0. */
static size_t take(zip_source_t *source, uint8_t *data, size_t max_size)
{
    zip_int64_t size = -1;

    if (zip_source_open(source) == 0) {
        size = zip_source_read(source, data, max_size);
        if (size > 0 && (size_t)size == max_size) {
            size = 0; /* there may be more */
        }
        (void)zip_source_close(source);
    }
    return size > 0 ? (size_t)size : 0;
}

/* Returns the new size, or 0 if it is no ZIP, or would be too large. */
static size_t mutate_zip(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint8_t *copy = malloc(size + 1);
    zip_source_t *source;
    zip_t *zip;
    zip_int64_t count;
    size_t written = 0;

    memcpy(copy, data, size);
    source = zip_source_buffer_create(copy, size, 1, NULL);
    if (source == NULL) {
        free(copy);
        return 0;
    }
    zip_source_keep(source);
    zip = zip_open_from_source(source, 0, NULL);
    if (zip == NULL) {
        zip_source_free(source);
        zip_source_free(source);
        return 0;
    }
    count = zip_get_num_entries(zip, 0);
    if (count > 0) {
        changes[seed / 7 % array_size(changes)](
            zip, (zip_uint64_t)(seed / 42) % (zip_uint64_t)count, seed / 997);
    }
    if (count > 0 && zip_close(zip) == 0) {
        written = take(source, data, max_size);
    } else {
        zip_discard(zip);
    }
    zip_source_free(source);
    return written;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t written = seed % 7 < 4 ? mutate_zip(data, size, max_size, seed) : 0;

    return written > 0 ? written : LLVMFuzzerMutate(data, size, max_size);
}
