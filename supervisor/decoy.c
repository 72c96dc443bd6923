/* SPDX-License-Identifier: MIT */
/* What a zygote must not see. Runs in the supervisor; trusts nothing that the zygote says
 * of it but that it was not found. */
#include "supervisor/decoy.h"

#include "common/message.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

static void drop(struct decoy *decoy)
{
    if (decoy->segment >= 0) {
        (void)shmdt(decoy->mapping);
        decoy->segment = -1;
    }
}

void decoy_set(struct decoy *decoy)
{
    drop(decoy); /* of one that never was ready */
    (void)uname(&decoy->machine);
    memset(decoy->cgroup_ns, 0, sizeof(decoy->cgroup_ns));
    if (readlinkat(AT_FDCWD, "/proc/self/ns/cgroup", decoy->cgroup_ns,
                   sizeof(decoy->cgroup_ns) - 1) < 0) {
        decoy->cgroup_ns[0] = '\0'; /* the zygote does not find its own either */
    }
    decoy->segment = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0444);
    if (decoy->segment < 0) {
        return;
    }
    decoy->mapping = shmat(decoy->segment, NULL, SHM_RDONLY);
    /* It stays as long as it is mapped, and no longer, whatever becomes of us. */
    (void)shmctl(decoy->segment, IPC_RMID, NULL);
    if (decoy->mapping == (void *)-1) {
        decoy->segment = -1;
    }
}

uint32_t decoy_take(struct decoy *decoy, uint32_t layers)
{
    struct utsname now;

    drop(decoy);
    return uname(&now) == 0 && strcmp(now.nodename, decoy->machine.nodename) == 0
               ? layers
               : layers & ~(uint32_t)LAYER_UTS_NS;
}
