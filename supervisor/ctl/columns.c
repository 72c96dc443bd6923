/* SPDX-License-Identifier: MIT */
/*
 * The width of characters. Runs in the `paddock` command, on texts that may be a hostile
 * program's; libc knows what is wide and what takes no room, whatever language the user
 * has set.
 */
#include "supervisor/ctl/columns.h"

#include "common/utf8.h"

#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define USUAL_COLUMNS 80

size_t columns_of_terminal(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
               ? size.ws_col
               : USUAL_COLUMNS;
}

/* What libc does not know may be wide. */
static size_t width_of(uint32_t code)
{
    int width = wcwidth((wchar_t)code);

    return width >= 0 ? (size_t)width : 2;
}

size_t columns_fit(const char *text, size_t columns)
{
    static locale_t unicode;
    size_t size = strlen(text), at = 0, taken = 0;
    locale_t before;

    if (unicode == (locale_t)0) {
        unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    }
    before = uselocale(unicode); /* 0, where there is none, only asks */
    while (at < size) {
        int length = utf8_sequence(text + at, size - at);
        size_t width = length > 0 ? width_of(utf8_decode(text + at, (size_t)length)) : 1;

        if (taken + width > columns) {
            break;
        }
        taken += width;
        at += length > 0 ? (size_t)length : 1;
    }
    (void)uselocale(before);
    return at;
}
