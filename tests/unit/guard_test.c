/* SPDX-License-Identifier: MIT */
/*
 * The recorder's lock: one thread at a time, what handlers of signals print meanwhile,
 * and both at once. Run by ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/sandbox/guard.h"

#include "common/cleanup.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#define ROUNDS  20000
#define THREADS 4

static struct guard guard;

/* Whatever is kept, joined; it ends with a NUL. */
static void take_all(char *to, size_t room)
{
    enum wire_kind kind;
    size_t size;

    while ((size = guard_take(&guard, &kind, to, room)) > 0) {
        to += size;
    }
    *to = '\0';
    assert_false(guard_keeps(&guard));
}

static void who_is_here_is_known(void **state)
{
    assert_true(guard_enter(&guard, 1));
    assert_false(guard_enter(&guard, 1));
    guard_leave(&guard);
    assert_true(guard_enter(&guard, 2));
    guard_leave(&guard);
}

static void pieces_come_in_order(void **state)
{
    enum wire_kind kind;
    char bytes[8];

    guard_keep(&guard, WIRE_OUT, "one", 3);
    guard_keep(&guard, WIRE_ERR, "", 0);
    guard_keep(&guard, WIRE_ERR, "and two", 7);
    assert_true(guard_keeps(&guard));
    assert_int_equal(guard_take(&guard, &kind, bytes, sizeof(bytes)), 3);
    assert_int_equal(kind, WIRE_OUT);
    assert_memory_equal(bytes, "one", 3);
    assert_int_equal(guard_take(&guard, &kind, bytes, 4), 4);
    assert_int_equal(kind, WIRE_ERR);
    assert_memory_equal(bytes, "and ", 4);
    assert_int_equal(guard_take(&guard, &kind, bytes, 4), 3);
    assert_memory_equal(bytes, "two", 3);
    assert_int_equal(guard_take(&guard, &kind, bytes, 4), 0);
    assert_false(guard_keeps(&guard));
}

/* What there is no room for is left out, and nothing else is harmed. */
static void a_full_store(void **state)
{
    static char bytes[sizeof(guard.kept) / 3], all[sizeof(guard.kept) + 1];

    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < 5; i++) {
        guard_keep(&guard, WIRE_OUT, bytes, sizeof(bytes));
    }
    take_all(all, 100);
    assert_in_range(strlen(all), sizeof(guard.kept) - 64, sizeof(guard.kept));
    guard_keep(&guard, WIRE_OUT, "again", 5);
    take_all(all, 100);
    assert_string_equal(all, "again");
}

/* ---- threads and signals at once ---- */

static struct {
    uint64_t count;           /* under the guard */
    _Atomic uint64_t printed; /* by handlers, bytes */
    uint64_t told;            /* under the guard */
} sums;

static _Thread_local uint32_t number;

static void tell(void)
{
    char bytes[16];
    enum wire_kind kind;
    size_t size;

    while ((size = guard_take(&guard, &kind, bytes, sizeof(bytes))) > 0) {
        sums.told += size;
    }
}

static void leave(void)
{
    do {
        if (guard_keeps(&guard)) {
            tell();
        }
        guard_leave(&guard);
    } while (guard_keeps(&guard) && guard_enter(&guard, number));
}

static void on_signal(int signo)
{
    if (number == 0) { /* the thread does not know its number yet */
        return;
    }
    sums.printed += 3;
    if (guard_enter(&guard, number)) {
        sums.told += 3;
        leave();
    } else {
        guard_keep(&guard, WIRE_ERR, "abc", 3);
    }
}

static void *work(void *context)
{
    number = (uint32_t)(uintptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(guard_enter(&guard, number));
        sums.count++;
        leave();
        if (i % 16 == 0) {
            (void)raise(SIGUSR1);
        }
    }
    return NULL;
}

static void one_at_a_time(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t threads[THREADS];

    (void)sigfillset(&action.sa_mask);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    for (size_t i = 0; i < array_size(threads); i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        (void)pthread_kill(threads[(size_t)i % array_size(threads)], SIGUSR1);
    }
    for (size_t i = 0; i < array_size(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(sums.count, (uint64_t)THREADS * ROUNDS);
    assert_int_equal(sums.told, sums.printed);
    assert_int_equal(guard.holder, 0);
    assert_false(guard_keeps(&guard));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_here_is_known),
        cmocka_unit_test(pieces_come_in_order),
        cmocka_unit_test(a_full_store),
        cmocka_unit_test(one_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
