/* SPDX-License-Identifier: MIT */
/*
 * Decodes a recording on standard input with the decoder of common/wire.h and prints one
 * line per record: its length and its JSON. Run by protocol_test.py alone, on the example
 * of docs/PROTOCOL.md; trusts nothing, as the decoder does. Never part of a program.
 */
#include "common/fd.h"
#include "common/wire_json.h"

#include <stdio.h>

/* Prints the record at *at and moves past it. Returns false at the end or at an error,
 * which is printed. */
static bool print_record(struct wire_reader *reader, const char *bytes, size_t size,
                         size_t *at)
{
    static struct wire_decoded record;
    autobuffer struct buffer why = BUFFER_INIT(1024), json = BUFFER_INIT(KIB(256));
    ssize_t length = wire_decode(reader, bytes + *at, size - *at, &record, &why);

    if (length <= 0) {
        (void)printf("%s\n", why.data != NULL ? why.data : "the last record is torn");
        return false;
    }
    wire_to_json(&record, &json);
    (void)printf("%zd %s\n", length, json.data);
    *at += (size_t)length;
    return *at < size;
}

int main(void)
{
    struct wire_reader reader = {0};
    autofree char *bytes = NULL;
    size_t size, at = 0;

    if (fd_read_all(0, MIB(1), &bytes, &size) < 0) {
        return 1;
    }
    while (print_record(&reader, bytes, size, &at)) {
    }
    return at == size ? 0 : 1;
}
