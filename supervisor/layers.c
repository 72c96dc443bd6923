/* SPDX-License-Identifier: MIT */
/* The table of layers. Runs in the supervisor, on what the zygote found out about its own
 * sandboxes. */
#include "supervisor/layers.h"

#include <string.h>

const struct layer_row layer_rows[] = {
    {LAYER_SECCOMP, "seccomp", "calls that no row of the policy names are denied"},
    {LAYER_RLIMITS, "rlimits", "each as its row says; raising any is refused"},
    {LAYER_NO_NEW_PRIVS, "no_new_privs", "set, and cannot be taken back"},
    {LAYER_UNPRIVILEGED_UID, "unprivileged uid",
     "no capability; becoming root is refused"},
    {LAYER_CLOSED_FDS, "closed fds", "three file descriptors and no more"},
    {LAYER_NO_NETWORK, "no network", "no socket can be made"},
    {LAYER_NO_FILESYSTEM, "no filesystem", "nothing can be opened or made"},
    {LAYER_CPU_LIMIT, "CPU limit",
     "computing beyond it, deaf to signals: stopped by the zygote's timer"},
    {LAYER_WALL_LIMIT, "wall limit", "sleeping, deaf to signals: stopped when told to"},
    {LAYER_OWN_UID, "own uid", "an id of its own for each sandbox"},
    {LAYER_NOTIFY, "forbidden calls", "stopped, and reported by name"},
    {LAYER_USER_NS, "user namespace",
     "all that the zygote may do loads no module into the kernel"},
    {LAYER_PID_NS, "PID namespace", "other processes cannot be seen"},
    {LAYER_NET_NS, "network namespace",
     "no address can be reached, without the filter too"},
    {LAYER_MOUNT_NS, "mount namespace", "no mount of the machine is there"},
    {LAYER_IPC_NS, "IPC namespace", "shared memory of the supervisor's is not found"},
    {LAYER_UTS_NS, "UTS namespace", "the name changes, and the machine's does not"},
    {LAYER_CGROUP_NS, "cgroup namespace", "it is not the one that the supervisor is in"},
    {LAYER_EMPTY_ROOT, "empty root",
     "/etc and /proc do not exist, without the filter too"},
    {LAYER_LANDLOCK, "Landlock",
     "opening /, TCP ports, abstract sockets: refused, without the filter too"},
    {LAYER_NOT_DUMPABLE, "not dumpable", "no core, no ptrace, no /proc/self/mem"},
    {LAYER_PARENT_DEATH, "parent's death", "killed with the zygote, whatever ends it"},
    {LAYER_MDWE, "no new code",
     "writable memory cannot be made executable, without the filter too"},
    {LAYER_MEMORY_GROUP, "memory group",
     "filled beyond its limit: killed, and the kernel says why"},
    {LAYER_PIDS_GROUP, "tasks group", "a task beyond its limit is refused"},
};
const size_t layer_row_count = array_size(layer_rows);

struct finding {
    const char *name, *detail;
    bool holds, mandatory, granted;
};

static bool failed(const struct finding *finding)
{
    return !finding->holds && (finding->mandatory || finding->granted);
}

static void print_text(const struct finding *finding, struct buffer *to)
{
    const char *word = finding->holds ? "ok" : failed(finding) ? "FAIL" : "--";

    buffer_printf(to, "%-5s %-18s %s\n", word, finding->name, finding->detail);
}

static void print_json(const struct finding *finding, struct buffer *to)
{
    static const char *const words[] = {"false", "true"};

    buffer_add_text(to, "{\"kind\":\"layer\",\"name\":");
    buffer_add_json_string(to, finding->name, strlen(finding->name));
    buffer_printf(to, ",\"holds\":%s,\"mandatory\":%s,\"granted\":%s,\"detail\":",
                  words[finding->holds], words[finding->mandatory],
                  words[finding->granted]);
    buffer_add_json_string(to, finding->detail, strlen(finding->detail));
    buffer_add_text(to, "}\n");
}

/* What its groups do is put to the test by the rows before: this is where they are. */
static void print_cgroup(const struct cgroup *cgroup, bool json, struct buffer *to)
{
    autobuffer struct buffer text = BUFFER_INIT(2 * LIMIT_PATH);
    struct finding finding = {.name = "control groups",
                              .holds = cgroup->version != 0,
                              .granted = cgroup->version != 0};

    cgroup_say(cgroup, &text);
    finding.detail = text.data != NULL ? text.data : "";
    (json ? print_json : print_text)(&finding, to);
}

bool layers_print(const struct message_ready *sandbox, const struct cgroup *cgroup,
                  bool json, struct buffer *to)
{
    bool whole = true;

    for (size_t i = 0; i < layer_row_count; i++) {
        const struct layer_row *row = &layer_rows[i];
        const struct finding finding = {
            .name = row->name,
            .detail = row->attack,
            .holds = (sandbox->layers & row->bit) != 0,
            .mandatory = (LAYERS_MANDATORY & row->bit) != 0,
            .granted = (sandbox->granted & row->bit) != 0,
        };

        whole = whole && !failed(&finding);
        (json ? print_json : print_text)(&finding, to);
    }
    print_cgroup(cgroup, json, to);
    return whole;
}
