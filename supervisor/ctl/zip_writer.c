/* SPDX-License-Identifier: MIT */
/* Writing ZIPs. Runs in the `paddock` command, on the user's own files. */
#include "supervisor/ctl/zip_writer.h"

#include <string.h>

/* CRC-32 as ZIP wants it (ISO 3309), four bits at a time. */
static uint32_t crc32_of(const char *bytes, size_t size)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* `count` numbers of `width` bytes each, little-endian. */
struct number {
    unsigned width;
    uint32_t value;
};

static void add_numbers(struct buffer *to, const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned byte = 0; byte < numbers[i].width; byte++) {
            buffer_add_char(to, (char)(numbers[i].value >> 8 * byte));
        }
    }
}

void zip_writer_add(struct zip_writer *zip, const char *name, const char *bytes,
                    size_t size)
{
    /* Version 2.0, UTF-8 names, stored, the first moment of DOS; the same in both
     * headers. */
    const struct number common[] = {{2, 20},
                                    {2, 0x0800},
                                    {2, 0},
                                    {2, 0},
                                    {2, 0x0021},
                                    {4, crc32_of(bytes, size)},
                                    {4, (uint32_t)size},
                                    {4, (uint32_t)size},
                                    {2, (uint32_t)strlen(name)},
                                    {2, 0}};
    const struct number local[] = {{4, 0x04034b50}};
    const struct number entry[] = {{4, 0x02014b50}, {2, 20}};
    const struct number place[] = {
        {2, 0}, {2, 0}, {2, 0}, {4, 0}, {4, (uint32_t)zip->data.size}};

    add_numbers(&zip->directory, entry, array_size(entry));
    add_numbers(&zip->directory, common, array_size(common));
    add_numbers(&zip->directory, place, array_size(place));
    buffer_add_text(&zip->directory, name);
    add_numbers(&zip->data, local, array_size(local));
    add_numbers(&zip->data, common, array_size(common));
    buffer_add_text(&zip->data, name);
    buffer_add(&zip->data, bytes, size);
    zip->count++;
}

int zip_writer_finish(struct zip_writer *zip, char **ret, size_t *ret_size)
{
    const struct number end[] = {{4, 0x06054b50},
                                 {2, 0},
                                 {2, 0},
                                 {2, zip->count},
                                 {2, zip->count},
                                 {4, (uint32_t)zip->directory.size},
                                 {4, (uint32_t)zip->data.size},
                                 {2, 0}};
    size_t size;

    buffer_add(&zip->data, zip->directory.data != NULL ? zip->directory.data : "",
               zip->directory.size);
    add_numbers(&zip->data, end, array_size(end));
    if (buffer_error(&zip->directory) < 0) {
        return buffer_error(&zip->directory);
    }
    size = zip->data.size;
    *ret = buffer_detach(&zip->data);
    *ret_size = size;
    return *ret != NULL ? 0 : buffer_error(&zip->data);
}

void zip_writer_done(struct zip_writer *zip)
{
    buffer_done(&zip->data);
    buffer_done(&zip->directory);
}
