/* SPDX-License-Identifier: MIT */
/*
 * The two chunks that hold the end of a long trace: which is the newer, what is kept, and
 * sizes that a hostile writer made up. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/chunk.h"
#include "common/cleanup.h"

#include <string.h>

static struct ring_shared shared;
static unsigned char copy[CHUNK_TAIL_MAX];

static int setup(void **state)
{
    memset(&shared, 0, sizeof(shared));
    memset(copy, '#', sizeof(copy));
    return 0;
}

static void none_has_no_room(void **state)
{
    assert_int_equal(chunk_room(&shared), 0);
    assert_false(chunk_append(&shared, "x", 1));
    assert_int_equal(chunk_tail(&shared, copy), 0);
}

static void one(void **state)
{
    const size_t room = sizeof(shared.chunks[0].data);

    chunk_begin(&shared);
    assert_int_equal(chunk_room(&shared), room);
    assert_true(chunk_append(&shared, "abc", 3));
    chunk_show(&shared);
    assert_true(chunk_append(&shared, "de", 2));
    assert_int_equal(chunk_room(&shared), room - 5);
    assert_int_equal(chunk_tail(&shared, copy), 5);
    assert_memory_equal(copy, "abcde#", 6);
}

/* Chunk after chunk, the last two are there: the older one first. */
static void the_last_two_are_kept(void **state)
{
    for (char i = 'a'; i <= 'z'; i++) {
        char record[2] = {i, i};

        chunk_begin(&shared);
        assert_true(chunk_append(&shared, record, sizeof(record)));
        chunk_show(&shared);
        if (i == 'a') {
            assert_int_equal(chunk_tail(&shared, copy), 2);
        } else {
            assert_int_equal(chunk_tail(&shared, copy), 4);
            assert_int_equal(copy[0], i - 1);
            assert_int_equal(copy[2], i);
        }
    }
}

/* A death before the beginning is complete leaves the other chunk alone. */
static void a_beginning_is_shown_at_once(void **state)
{
    chunk_begin(&shared);
    assert_true(chunk_append(&shared, "ab", 2));
    assert_true(chunk_append(&shared, "cd", 2));
    assert_int_equal(chunk_tail(&shared, copy), 0);
    chunk_show(&shared);
    assert_int_equal(chunk_tail(&shared, copy), 4);
    chunk_begin(&shared);
    assert_true(chunk_append(&shared, "ef", 2));
    assert_int_equal(chunk_room(&shared), sizeof(shared.chunks[0].data) - 2);
    assert_int_equal(chunk_tail(&shared, copy), 4);
    assert_memory_equal(copy, "abcd#", 5);
    chunk_show(&shared);
    assert_true(chunk_append(&shared, "g", 1));
    assert_int_equal(chunk_tail(&shared, copy), 7);
    assert_memory_equal(copy, "abcdefg#", 8);
}

static void full_to_the_last_byte(void **state)
{
    static unsigned char record[RING_CHUNK];
    const size_t room = sizeof(shared.chunks[0].data);

    memset(record, 'r', sizeof(record));
    for (int i = 0; i < 2; i++) {
        chunk_begin(&shared);
        assert_false(chunk_append(&shared, record, room + 1));
        assert_int_equal(chunk_room(&shared), room); /* nothing was written */
        assert_true(chunk_append(&shared, record, room - 1));
        chunk_show(&shared);
        assert_false(chunk_append(&shared, record, 2));
        assert_true(chunk_append(&shared, record, 1));
        assert_int_equal(chunk_room(&shared), 0);
        assert_false(chunk_append(&shared, record, 1));
    }
    assert_int_equal(chunk_tail(&shared, copy), 2 * room);
    assert_int_equal(copy[2 * room - 1], 'r');
    assert_int_equal(copy[2 * room], '#');
}

/* What is put into the ring, and what the tail is before and after each part. */
struct moving {
    char said[3][16];
    int count;
};

static void note_tail(struct moving *moving)
{
    size_t size = chunk_tail(&shared, copy);

    memcpy(moving->said[moving->count++], copy, size);
}

static void put(void *context, const void *records, size_t size)
{
    note_tail(context);
    shared.head += size;
    if (((struct moving *)context)->count == 2) {
        note_tail(context);
    }
}

/* At no time is a part in neither place, or in both. */
static void moved(void **state)
{
    struct moving moving = {.count = 0};

    shared.head = 1000;
    chunk_begin(&shared);
    assert_true(chunk_append(&shared, "abc", 3));
    chunk_show(&shared);
    chunk_begin(&shared);
    assert_true(chunk_append(&shared, "defg", 4));
    chunk_show(&shared);
    chunk_move(&shared, put, &moving);
    assert_string_equal(moving.said[0], "abcdefg");
    assert_string_equal(moving.said[1], "defg");
    assert_string_equal(moving.said[2], "");
    memset(copy, '#', sizeof(copy));
    none_has_no_room(state);
    one(state);
}

static void one_that_is_not_shown_is_not_moved(void **state)
{
    struct moving moving = {.count = 0};

    chunk_move(&shared, put, &moving);
    chunk_begin(&shared);
    assert_true(chunk_append(&shared, "abc", 3));
    chunk_move(&shared, put, &moving);
    assert_int_equal(moving.count, 0);
    none_has_no_room(state);
}

#define REPEAT_BYTES 4 /* kind, time, period, number */

/* Its record may have been written, in the ring or in a chunk, before it is closed. */
static void a_repeat_is_told_once(void **state)
{
    for (int in_chunk = 0; in_chunk < 2; in_chunk++) {
        size_t before = in_chunk ? 1 : 0;

        if (in_chunk) {
            chunk_begin(&shared);
            assert_true(chunk_append(&shared, "a", 1));
            chunk_show(&shared);
        }
        chunk_open_repeat(&shared, RING_REPEAT(2, 1));
        chunk_count_repeat(&shared, RING_REPEAT(2, 9));
        assert_int_equal(chunk_tail(&shared, copy), before + REPEAT_BYTES);
        assert_int_equal(copy[before + 3], 9);
        if (in_chunk) {
            assert_true(chunk_append(&shared, "r", 1));
        } else {
            shared.head += 1;
        }
        assert_int_equal(chunk_tail(&shared, copy), 2 * before);
        chunk_close_repeat(&shared);
        assert_int_equal(chunk_tail(&shared, copy), 2 * before);
    }
    chunk_open_repeat(&shared, RING_REPEAT(2, 1));
    chunk_begin(&shared); /* as another thread's beginning would */
    assert_int_equal(chunk_tail(&shared, copy), 2);
}

static void hostile_sizes_count_as_nothing(void **state)
{
    static const struct {
        uint64_t turns[2], sizes[2];
        size_t copied;
    } rows[] = {
        {{1, 2}, {RING_CHUNK, 3}, 3},
        {{1, 2}, {3, RING_CHUNK - 23}, 3},
        {{2, 1}, {UINT64_MAX, UINT64_MAX}, 0},
        {{UINT64_MAX, 0}, {RING_CHUNK - 24, RING_CHUNK - 24}, 2 * (RING_CHUNK - 24)},
        {{7, 7}, {1, 1}, 2},
        {{0, 0}, {1ull << 32, 5}, 5},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        for (size_t j = 0; j < 2; j++) {
            shared.chunks[j].turn = rows[i].turns[j];
            shared.chunks[j].size = rows[i].sizes[j];
        }
        assert_int_equal(chunk_tail(&shared, copy), rows[i].copied);
    }
}

static void what_would_be_said_next(void **state)
{
    static unsigned char said[RING_WILL], record[RING_WILL];
    const size_t room = sizeof(shared.will.data);

    assert_int_equal(chunk_will(&shared, said), 0);
    assert_int_equal(chunk_will_append(&shared, "ab", 2), 2);
    assert_int_equal(chunk_will_append(&shared, "cde", 3), 5);
    assert_int_equal(chunk_will(&shared, said), 5);
    chunk_will_strike(&shared, 2);
    assert_int_equal(chunk_will(&shared, said), 3);
    assert_memory_equal(said, "cde", 3);
    assert_int_equal(chunk_will_append(&shared, record, room - 4), 0);
    assert_int_equal(chunk_will_append(&shared, record, room - 5), room);
    assert_int_equal(chunk_will(&shared, said), room - 2);
    chunk_will_clear(&shared);
    assert_int_equal(chunk_will(&shared, said), 0);
    assert_int_equal(chunk_will_append(&shared, "fg", 2), 2);
    assert_int_equal(chunk_will(&shared, said), 2);
    /* Sizes that cannot be. */
    chunk_will_strike(&shared, room + 1);
    assert_int_equal(chunk_will(&shared, said), 0);
    chunk_will_strike(&shared, 0);
    shared.will.size = UINT64_MAX;
    assert_int_equal(chunk_will(&shared, said), 0);
}

#define with_chunks(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_chunks(none_has_no_room),
        with_chunks(one),
        with_chunks(the_last_two_are_kept),
        with_chunks(a_beginning_is_shown_at_once),
        with_chunks(full_to_the_last_byte),
        with_chunks(moved),
        with_chunks(one_that_is_not_shown_is_not_moved),
        with_chunks(a_repeat_is_told_once),
        with_chunks(hostile_sizes_count_as_nothing),
        with_chunks(what_would_be_said_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
