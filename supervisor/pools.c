/* SPDX-License-Identifier: MIT */
/* The configuration of several pools. Runs in the supervisor, on what the operator
 * wrote. */
#include "supervisor/pools.h"

#include "common/role.h"
#include "supervisor/listening.h"
#include "supervisor/spawn.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct config *pools_find(const struct pools *pools, const char *name)
{
    for (uint32_t i = 0; i < pools->count; i++) {
        if (strcmp(pools->each[i].pool, name) == 0) {
            return &pools->each[i];
        }
    }
    return NULL;
}

bool pools_need_redis(const struct pools *pools)
{
    for (uint32_t i = 0; i < pools->count; i++) {
        if (pools->each[i].redis[0] == '\0') {
            return true;
        }
    }
    return false;
}

/* ---- what no single pool shows ---- */

/* A text that is set, in two of them. Returns whether there is none. */
static bool check_apart(const struct pools *pools, const struct option_row *row,
                        struct buffer *why)
{
    for (uint32_t i = 0; i < pools->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const char *value = (const char *)&pools->each[i] + row->offset;

            if (*value != '\0' && option_same(row, &pools->each[i], &pools->each[j])) {
                buffer_printf(why,
                              "%s = %s: the pools %s and %s cannot have the same one%s",
                              row->name, value, pools->each[j].pool, pools->each[i].pool,
                              option_same(row, &pools->common, &pools->each[i])
                                  ? "; say it in their sections, or not at all"
                                  : "");
                return false;
            }
        }
    }
    return true;
}

/* However it is written: 127.1:9464 is 127.0.0.1:9464, and 0.0.0.0:9464 is there, too. A
 * name may lead anywhere, and who knows that may not answer: the keeper waits for nobody.
 */
static bool check_ports(const struct pools *pools, struct buffer *why)
{
    for (uint32_t i = 0; i < pools->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const struct config *one = &pools->each[j], *other = &pools->each[i];

            if (listening_clash(one->metrics, other->metrics)) {
                buffer_printf(
                    why,
                    "metrics = %s: the pools %s and %s cannot have the same one, and %s "
                    "is the same, or takes it in",
                    other->metrics, one->pool, other->pool, one->metrics);
                return false;
            }
        }
    }
    return true;
}

/* Each gets SPAWN_IDS of them, and a reload may bring as many pools as there can be. */
static bool check_ids(const struct pools *pools, struct buffer *why)
{
    const struct option_row *row = option_find(&config_table, "uid_first");
    int64_t most = row->max - (LIMIT_POOLS - 1) * (int64_t)SPAWN_IDS;

    if (pools->common.uid_first > most) {
        buffer_printf(
            why, "uid_first = %" PRId64 ": with several pools it is at most %" PRId64,
            pools->common.uid_first, most);
        return false;
    }
    return true;
}

int pools_check(const struct pools *pools, struct buffer *why)
{
    bool good = check_ids(pools, why);

    for (size_t i = 0; i < config_table.count && good; i++) {
        good = config_table.rows[i].scope != OPTION_APART ||
               check_apart(pools, &config_table.rows[i], why);
    }
    good = good && check_ports(pools, why);
    return good ? ROLE_EXIT_OK : ROLE_EXIT_CONFIG;
}

/* A sentence that names no line is of one of them. */
static int read_one(const struct command_line *line, const char *name,
                    struct config *config, struct buffer *why)
{
    autobuffer struct buffer sentence = BUFFER_INIT(4096);
    int code = command_line_read_again(line, name, config, NULL, &sentence);

    if (code != ROLE_EXIT_OK) {
        buffer_printf(why, "pool %s: %s", name,
                      sentence.data != NULL ? sentence.data : "");
    }
    return code;
}

static int read_all(const struct command_line *line, struct pools *pools,
                    struct buffer *why)
{
    static struct option_parts parts;
    int code = command_line_read_again(line, NULL, &pools->common, &parts, why);

    for (uint32_t i = 0; i < parts.count && code == ROLE_EXIT_OK; i++) {
        code = read_one(line, parts.names[i], &pools->each[pools->count++], why);
    }
    if (code == ROLE_EXIT_OK && pools->count > 0 && !pools_need_redis(pools) &&
        config_check_redis(&pools->common, line->config_file, &parts, why) < 0) {
        return ROLE_EXIT_CONFIG;
    }
    return code == ROLE_EXIT_OK && pools->count > 0 ? pools_check(pools, why) : code;
}

int pools_read(const struct command_line *line, struct pools **ret, struct buffer *why)
{
    struct pools *pools = calloc(1, sizeof(*pools));
    int code = ROLE_EXIT_SYSTEM;

    if (pools == NULL) {
        buffer_add_text(why, "no memory is left to read the configuration");
    } else {
        code = read_all(line, pools, why);
    }
    if (code != ROLE_EXIT_OK) {
        free(pools);
    } else {
        *ret = pools;
    }
    return code;
}
