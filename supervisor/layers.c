/* SPDX-License-Identifier: MIT */
/* The table of layers. Runs in the supervisor, on what the zygote found out about its own
 * sandboxes. */
#include "supervisor/layers.h"

#include <string.h>

const struct layer_row layer_rows[] = {
    {LAYER_SECCOMP, "seccomp", "calls that no row of the policy names are denied"},
    {LAYER_RLIMITS, "rlimits",
     "no core, file, locked memory or queue; raising them is refused"},
    {LAYER_NO_NEW_PRIVS, "no_new_privs", "set, and cannot be taken back"},
    {LAYER_UNPRIVILEGED_UID, "unprivileged uid",
     "no capability; becoming root is refused"},
    {LAYER_CLOSED_FDS, "closed fds", "three file descriptors and no more"},
    {LAYER_NO_NETWORK, "no network", "no socket can be made"},
    {LAYER_NO_FILESYSTEM, "no filesystem", "nothing can be opened or made"},
    {LAYER_OWN_UID, "own uid", "an id of its own for each sandbox"},
    {LAYER_NOTIFY, "forbidden calls", "stopped, and reported by name"},
    {LAYER_USER_NS, "user namespace", "no id near a job has power outside"},
    {LAYER_PID_NS, "PID namespace", "other processes cannot be seen"},
    {LAYER_NET_NS, "network namespace",
     "no address can be reached, without the filter too"},
    {LAYER_MOUNT_NS, "mount namespace", "no mount of the machine is there"},
    {LAYER_IPC_NS, "IPC namespace", "made; not attacked"},
    {LAYER_UTS_NS, "UTS namespace", "made; not attacked"},
    {LAYER_EMPTY_ROOT, "empty root",
     "/etc and /proc do not exist, without the filter too"},
    {LAYER_LANDLOCK, "Landlock", "opening / is refused, without the filter too"},
    {LAYER_NOT_DUMPABLE, "not dumpable", "no core, no ptrace, no /proc/self/mem"},
};
const size_t layer_row_count = array_size(layer_rows);

static void print_text(const struct layer_row *row, bool holds, bool mandatory,
                       struct buffer *to)
{
    buffer_printf(to, "%-5s %-18s %s\n",
                  holds       ? "ok"
                  : mandatory ? "FAIL"
                              : "--",
                  row->name, row->attack);
}

static void print_json(const struct layer_row *row, bool holds, bool mandatory,
                       struct buffer *to)
{
    buffer_add_text(to, "{\"kind\":\"layer\",\"name\":");
    buffer_add_json_string(to, row->name, strlen(row->name));
    buffer_printf(to,
                  ",\"holds\":%s,\"mandatory\":%s,\"detail\":", holds ? "true" : "false",
                  mandatory ? "true" : "false");
    buffer_add_json_string(to, row->attack, strlen(row->attack));
    buffer_add_text(to, "}\n");
}

bool layers_print(const struct message_ready *sandbox, bool json, struct buffer *to)
{
    bool whole = true;

    for (size_t i = 0; i < layer_row_count; i++) {
        const struct layer_row *row = &layer_rows[i];
        bool holds = (sandbox->layers & row->bit) != 0;
        bool mandatory = (LAYERS_MANDATORY & row->bit) != 0;

        whole = whole && (holds || !mandatory);
        (json ? print_json : print_text)(row, holds, mandatory, to);
    }
    return whole;
}
