/* SPDX-License-Identifier: MIT */
/*
 * Lines of sources for whoever tells an error. Runs on hostile programs that have failed,
 * and asks Python for nothing: linecache, codecs and loaders may be the program's by now.
 */
#include "importer/encoding.h"
#include "importer/importer.h"
#include "importer/source.h"
#include "importer/types.h"

#include <stdlib.h>
#include <string.h>

static bool read_member(struct importer_source *source, const char *path)
{
    autobuffer struct buffer why = BUFFER_INIT(1024);
    const char *member;
    struct mount *mount = path != NULL ? mount_of(path, &member) : NULL;
    ssize_t index = mount != NULL ? archive_find(mount->archive, member) : -1;

    if (index < 0) {
        return false;
    }
    if (source->text != NULL && source->mount == mount && source->index == index) {
        return true;
    }
    free(source->text);
    *source = (struct importer_source){.mount = mount, .index = index};
    return archive_read(mount->archive, (size_t)index, &source->text, &source->size,
                        &why) == 0;
}

static PyObject *decode(const struct importer_source *source,
                        const struct source_line *line, bool guess)
{
    enum encoding_kind kind = encoding_of(source->text, source->size);
    Py_ssize_t size = (Py_ssize_t)line->size;

    while (size > 0 && (line->text[size - 1] == '\n' || line->text[size - 1] == '\r')) {
        size--;
    }
    return kind == ENCODING_LATIN1 ? PyUnicode_DecodeLatin1(line->text, size, NULL)
           : kind == ENCODING_UTF8 || guess
               ? PyUnicode_DecodeUTF8(line->text, size, "replace")
               : NULL;
}

PyObject *importer_source_line(struct importer_source *source, PyObject *path, int line,
                               bool guess)
{
    const char *place =
        path != NULL && PyUnicode_Check(path) ? importer_text(path) : NULL;
    struct source_line found;
    PyObject *text = NULL;
    size_t mark;

    if (read_member(source, place)) {
        mark = source->size >= 3 && memcmp(source->text, UTF8_MARK, 3) == 0 ? 3 : 0;
        if (source_find(source->text + mark, source->size - mark, line, &found)) {
            text = decode(source, &found, guess);
        }
    }
    PyErr_Clear();
    return text;
}
