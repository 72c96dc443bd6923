/* SPDX-License-Identifier: MIT */
/*
 * Decodes a recording on standard input with the decoder of common/wire.h and prints one
 * line per record: its length and its JSON; at the end why it cannot be read on, if so.
 * Run by protocol_test.py on the example of docs/PROTOCOL.md, and by recording_test.py on
 * the vectors; trusts nothing, as the decoder does. Never part of a program.
 */
#include "common/fd.h"
#include "common/wire_json.h"

#include <stdio.h>

/* Prints the record at *at and moves past it. Returns false where there is none. */
static bool print_record(struct wire_reader *reader, const char *bytes, size_t size,
                         size_t *at, struct buffer *why)
{
    static struct wire_decoded record;
    autobuffer struct buffer json = BUFFER_INIT(KIB(256));
    ssize_t length = wire_decode(reader, bytes + *at, size - *at, &record, why);

    if (length <= 0) {
        return false;
    }
    wire_to_json(&record, &json);
    (void)printf("%zd %s\n", length, json.data);
    *at += (size_t)length;
    return true;
}

int main(void)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    struct wire_reader reader = {0};
    autofree char *bytes = NULL;
    size_t size, at = 0;

    if (fd_read_all(0, MIB(1), &bytes, &size) < 0) {
        return 1;
    }
    while (print_record(&reader, bytes, size, &at, &why)) {
    }
    if (why.size > 0 || wire_end(&reader, size - at, &why) < 0) {
        (void)printf("%s\n", why.data);
        return 1;
    }
    return 0;
}
