/* SPDX-License-Identifier: MIT */
/*
 * By which name a queue knows a pool: the same for the heir of one that was killed,
 * another one for any other; and whose data a pool has. In folders under /tmp. Run by
 * ctest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "supervisor/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char folder[32];
    struct config config; /* of a pool in a folder within */
    struct runtime runtime;
    char owner[RUNTIME_OWNER];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.folder = "/tmp/runtime_test_XXXXXX"};
    (void)snprintf(fixture.config.queue, sizeof(fixture.config.queue), "queue");
    *state = &fixture;
    return mkdtemp(fixture.folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    return rmdir(fixture->folder);
}

static void begin(struct fixture *fixture, const char *name)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);

    (void)snprintf(fixture->config.runtime_dir, sizeof(fixture->config.runtime_dir),
                   "%s/%s", fixture->folder, name);
    fixture->runtime = RUNTIME_INIT;
    assert_int_equal(runtime_open(&fixture->runtime, &fixture->config, &why), 0);
    runtime_owner(&fixture->runtime, &fixture->config, fixture->owner);
    assert_true(fixture->owner[0] != '\0');
}

/* As a supervisor ends that is killed: its files stay. */
static void be_killed(struct fixture *fixture)
{
    close_fd(&fixture->runtime.lock);
}

static void copy_lock(struct fixture *fixture, const char *from, const char *to)
{
    char text[128], path[128];
    size_t size;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s/lock", fixture->folder, from);
    file = fopen(path, "r");
    assert_non_null(file);
    size = fread(text, 1, sizeof(text), file);
    assert_true(size > 0 && fclose(file) == 0);
    (void)snprintf(path, sizeof(path), "%s/%s/lock", fixture->folder, to);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void the_heir_of_one_that_was_killed_has_its_name(void **state)
{
    struct fixture *fixture = *state;
    char first[RUNTIME_OWNER];

    begin(fixture, "a");
    memcpy(first, fixture->owner, sizeof(first));
    for (int i = 0; i < 3; i++) {
        be_killed(fixture);
        begin(fixture, "a");
        assert_string_equal(fixture->owner, first);
    }
    runtime_close(&fixture->runtime);
}

/* It has left nothing. */
static void who_follows_one_that_ended_has_a_new_one(void **state)
{
    struct fixture *fixture = *state;
    char first[RUNTIME_OWNER];

    begin(fixture, "a");
    memcpy(first, fixture->owner, sizeof(first));
    runtime_close(&fixture->runtime);
    begin(fixture, "a");
    assert_string_not_equal(fixture->owner, first);
    runtime_close(&fixture->runtime);
}

static void another_queue_is_served_by_another_name(void **state)
{
    struct fixture *fixture = *state;
    char first[RUNTIME_OWNER];

    begin(fixture, "a");
    memcpy(first, fixture->owner, sizeof(first));
    (void)snprintf(fixture->config.queue, sizeof(fixture->config.queue), "second");
    runtime_owner(&fixture->runtime, &fixture->config, fixture->owner);
    assert_string_not_equal(fixture->owner, first);
    runtime_close(&fixture->runtime);
}

/* As in a clone of a machine on which a pool was killed. */
static void a_copy_of_the_folder_is_another_pool(void **state)
{
    struct fixture *fixture = *state;
    struct runtime former;
    char first[RUNTIME_OWNER];

    begin(fixture, "a");
    former = fixture->runtime;
    former.path = "";
    memcpy(first, fixture->owner, sizeof(first));
    begin(fixture, "b");
    be_killed(fixture);
    copy_lock(fixture, "a", "b");
    begin(fixture, "b");
    assert_string_equal(fixture->runtime.name, former.name);
    assert_string_not_equal(fixture->owner, first);
    runtime_close(&fixture->runtime);
    close_fd(&former.lock);
    begin(fixture, "a");
    runtime_close(&fixture->runtime);
}

static void a_configured_name_is_kept(void **state)
{
    struct fixture *fixture = *state;

    (void)snprintf(fixture->config.owner, sizeof(fixture->config.owner), "lab");
    begin(fixture, "a");
    assert_string_equal(fixture->owner, "lab");
    runtime_close(&fixture->runtime);
}

/* Opens it and ends, as often as it goes, for some time; each time nobody else has it. */
static int come_and_go(struct fixture *fixture)
{
    int64_t end_ms = clock_now_ms() + 1000;
    char mark[64];

    (void)snprintf(mark, sizeof(mark), "%s/mark", fixture->folder);
    while (clock_now_ms() < end_ms) {
        autobuffer struct buffer why = BUFFER_INIT(1024);
        int error;

        fixture->runtime = RUNTIME_INIT;
        error = runtime_open(&fixture->runtime, &fixture->config, &why);
        if (error == -EBUSY) {
            continue;
        }
        if (error < 0 || mkdir(mark, 0700) != 0 || rmdir(mark) != 0) {
            return EXIT_FAILURE;
        }
        runtime_close(&fixture->runtime);
    }
    return EXIT_SUCCESS;
}

static void who_comes_while_another_ends_is_alone(void **state)
{
    struct fixture *fixture = *state;
    pid_t children[4];

    begin(fixture, "a");
    runtime_close(&fixture->runtime);
    for (size_t i = 0; i < array_size(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(come_and_go(fixture));
        }
        assert_true(children[i] > 0);
    }
    for (size_t i = 0; i < array_size(children); i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, EXIT_SUCCESS);
    }
    (void)rmdir(fixture->config.runtime_dir); /* who found it has left it there */
}

/* Whatever stands where its lock belongs: it is held, or refused by name. */
static void data_that_cannot_be_locked_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct runtime *runtime = &fixture->runtime;
    char path[64];

    (void)snprintf(fixture->config.data_dir, sizeof(fixture->config.data_dir), "%s",
                   fixture->folder);
    (void)snprintf(path, sizeof(path), "%s/paddock.lock", fixture->folder);
    for (int turn = 0; turn < 2; turn++) {
        autobuffer struct buffer why = BUFFER_INIT(1024);
        char said[128];
        int error = turn == 0 ? ELOOP : EISDIR;

        *runtime = RUNTIME_INIT;
        assert_int_equal(turn == 0 ? symlink("other", path) : mkdir(path, 0700), 0);
        assert_int_equal(runtime_hold_data(runtime, &fixture->config, &why), -error);
        (void)snprintf(said, sizeof(said), "unable to make %s: %s", path,
                       strerror(error));
        assert_string_equal(why.data, said);
        assert_int_equal(runtime->data, -1);
        assert_int_equal(remove(path), 0);
        buffer_reset(&why);
        assert_int_equal(runtime_hold_data(runtime, &fixture->config, &why), 0);
        assert_true(runtime->data >= 0);
        close_fd(&runtime->data);
        assert_int_equal(unlink(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_heir_of_one_that_was_killed_has_its_name,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_follows_one_that_ended_has_a_new_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_queue_is_served_by_another_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_copy_of_the_folder_is_another_pool, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_configured_name_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_comes_while_another_ends_is_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(data_that_cannot_be_locked_are_refused, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
