/* SPDX-License-Identifier: MIT */
/*
 * What host modules print as they are loaded, line by line in the log. Runs in the
 * supervisor; the modules are the operator's own and trusted, but what they print may be
 * anything.
 */
#include "supervisor/loading.h"

#include "common/buffer.h"
#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MOST KIB(64) /* of one module */

int loading_open(struct loading *loading)
{
    loading_close(loading);
    loading->words = memfd_create("paddock-words", MFD_CLOEXEC);
    return loading->words < 0 || fcntl(loading->words, F_SETFL, O_APPEND) != 0 ? -errno
                                                                               : 0;
}

/* ---- what they print ---- */

static void tell_line(const struct loading *loading, const char *line, size_t size)
{
    autobuffer struct buffer text = BUFFER_INIT(LIMIT_LOG_LINE);

    buffer_add_visible(&text, line, size);
    if (text.size > 0) {
        log_info("host module %s says: %s", loading->what, text.data);
    }
}

static void tell_lines(const struct loading *loading, const char *text, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t length = newline != NULL ? (size_t)(newline - text) : size;

        tell_line(loading, text, length);
        length += newline != NULL;
        text += length;
        size -= length;
    }
}

/* Up to an offset: that of the module which is being loaded. */
static void tell_words(struct loading *loading, uint64_t end)
{
    static char text[WORDS_MOST];
    uint64_t size = end > loading->told ? end - loading->told : 0;
    ssize_t read =
        pread(loading->words, text, size < sizeof(text) ? (size_t)size : sizeof(text),
              (off_t)loading->told);

    if (read > 0 && loading->what[0] != '\0') {
        tell_lines(loading, text, (size_t)read);
        if (size > (uint64_t)read) {
            log_info("host module %s says %" PRIu64 " bytes more", loading->what,
                     size - (uint64_t)read);
        }
    }
    loading->told += size;
}

static void tell_rest(struct loading *loading)
{
    struct stat status;

    if (loading->words >= 0 && fstat(loading->words, &status) == 0) {
        tell_words(loading, (uint64_t)status.st_size);
    }
}

/* ---- how it goes ---- */

void loading_note(struct loading *loading, const struct message_loading *message)
{
    if (loading->words >= 0) {
        tell_words(loading, message->said);
        (void)snprintf(loading->what, sizeof(loading->what), "%s", message->what);
    }
}

void loading_give_up(struct loading *loading)
{
    tell_rest(loading);
    log_error("the host module %s is not loaded after %d s: its zygote is killed",
              loading->what, LOADING_MS / 1000);
    loading->overdue = true;
}

bool loading_died(struct loading *loading, int status)
{
    bool was = loading->what[0] != '\0';

    tell_rest(loading);
    if (was && !loading->overdue && WIFSIGNALED(status)) {
        log_error("the host module %s ended the zygote as it was loaded: signal %d (%s)",
                  loading->what, WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (was && !loading->overdue) {
        log_error("the host module %s ended the zygote as it was loaded: exit code %d",
                  loading->what, WEXITSTATUS(status));
    }
    loading_close(loading);
    return was;
}

void loading_close(struct loading *loading)
{
    close_fd(&loading->words);
    *loading = (struct loading)LOADING_INIT;
}
