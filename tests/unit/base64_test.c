/* SPDX-License-Identifier: MIT */
/*
 * Base64: the vectors of RFC 4648, every length there and back, and what is none. Run by
 * ctest; trusts nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base64.h"

#include <errno.h>
#include <string.h>

static void vectors(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        autobuffer struct buffer text = BUFFER_INIT(64);
        char bytes[16];

        base64_add(&text, rows[i].bytes, strlen(rows[i].bytes));
        assert_string_equal(text.data != NULL ? text.data : "", rows[i].text);
        memcpy(bytes, rows[i].text, strlen(rows[i].text));
        assert_int_equal(base64_decode(bytes, strlen(rows[i].text)),
                         strlen(rows[i].bytes));
        assert_memory_equal(bytes, rows[i].bytes, strlen(rows[i].bytes));
    }
}

static void every_length(void **state)
{
    unsigned char bytes[256];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 7 + 3);
    }
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        autobuffer struct buffer text = BUFFER_INIT(1024);

        base64_add(&text, bytes, size);
        assert_int_equal(text.size, (size + 2) / 3 * 4);
        assert_int_equal(base64_decode(text.data, text.size), size);
        assert_memory_equal(text.data != NULL ? text.data : "", bytes, size);
    }
}

static void none(void **state)
{
    static const char *const texts[] = {
        "A",    "AA",   "AAA",  "=AAA", "A===",
        "====", "AA=A", "AA-A", "AA A", "\xff\xff\xff\xff"};

    for (size_t i = 0; i < array_size(texts); i++) {
        char bytes[16];

        memcpy(bytes, texts[i], strlen(texts[i]) + 1);
        if (base64_decode(bytes, strlen(texts[i])) != -EBADMSG) {
            fail_msg("%s", texts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_length),
        cmocka_unit_test(none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
