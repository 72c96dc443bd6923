/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a recording from a hostile program, decoded record by record and turned
 * into JSON, as the command does it. Every record must also come out the same when its
 * bytes end right behind it, and must not come out when one is missing; and of its line
 * the same line must become again. Or one that is lines already. Run by libFuzzer.
 */
#include "common/wire_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* A record's bytes in memory of their own: a read beyond them is found. */
static ssize_t decode_alone(struct wire_reader reader, const uint8_t *data, size_t size)
{
    static struct wire_decoded record;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ssize_t result;

    memcpy(copy, data, size);
    result = wire_decode(&reader, copy, size, &record, NULL);
    free(copy);
    return result;
}

static void check_line(struct buffer *line)
{
    static struct wire_decoded again;
    autobuffer struct buffer copy = BUFFER_INIT(LIMIT_LINE);
    autobuffer struct buffer second = BUFFER_INIT(LIMIT_LINE);
    struct wire_reader reader = {
        .started = strncmp(line->data, "{\"kind\":\"header\"", 16) != 0};

    buffer_add(&copy, line->data, line->size);
    require(wire_decode_line(&reader, copy.data, copy.size, &again, NULL) ==
            (ssize_t)copy.size);
    wire_to_json(&again, &second);
    buffer_add_char(&second, '\n');
    require(second.size == line->size &&
            memcmp(second.data, line->data, line->size) == 0);
}

static void check_json(const struct wire_decoded *record)
{
    autobuffer struct buffer json = BUFFER_INIT(LIMIT_LINE);

    wire_to_json(record, &json);
    require(buffer_error(&json) == 0 && json.data[0] == '{' &&
            json.data[json.size - 1] == '}');
    for (size_t i = 0; i < json.size; i++) {
        require((unsigned char)json.data[i] >= 0x20);
    }
    buffer_add_char(&json, '\n');
    check_line(&json);
}

static void decode_lines(struct wire_reader reader, const uint8_t *data, size_t size)
{
    static struct wire_decoded record;
    autobuffer struct buffer bytes = BUFFER_INIT(MIB(1));
    size_t at = 0;

    buffer_add(&bytes, data, size);
    while (at < size) {
        autobuffer struct buffer why = BUFFER_INIT(1024);
        uint64_t before = reader.offset;
        ssize_t length =
            wire_decode_line(&reader, bytes.data + at, size - at, &record, &why);

        if (length <= 0) {
            require(length == 0 || why.size > 0);
            break;
        }
        require((size_t)length <= size - at && reader.offset == before + (size_t)length);
        check_json(&record);
        at += (size_t)length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_decoded record;
    /* The first byte says whether it begins with a header, and in which form it is. */
    struct wire_reader reader = {.started = size > 0 && (data[0] & 0x80) != 0};
    size_t at = size > 0;

    if (size > 0 && (data[0] & 0x40) != 0) {
        decode_lines(reader, data + 1, size - 1);
        return 0;
    }
    while (at < size) {
        const struct wire_reader before = reader;
        autobuffer struct buffer why = BUFFER_INIT(1024);
        ssize_t length = wire_decode(&reader, data + at, size - at, &record, &why);

        if (length <= 0) {
            require(length == 0 || why.size > 0);
            break;
        }
        require((size_t)length <= size - at &&
                reader.offset == before.offset + (size_t)length);
        check_json(&record);
        require(decode_alone(before, data + at, (size_t)length) == length);
        require(decode_alone(before, data + at, (size_t)length - 1) == 0);
        at += (size_t)length;
    }
    return 0;
}
