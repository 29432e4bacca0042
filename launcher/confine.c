/* What namespaces do not confine: UNIX sockets with abstract names belong to the network, which a sandbox may
 * share with its host, and whoever listens there takes our user for the one who started us. */
#define _GNU_SOURCE
#include "launcher.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

enum { SCOPE_ABSTRACT_UNIX_SOCKET = 1 };

/* Kernels before 6.12 do not know this and refuse it, which changes nothing for the sandbox. A process that may
 * gain privileges is one of a container that was asked to be privileged. */
void confine_sockets(void)
{
    const struct {
        uint64_t files, network, scoped;
    } rules = {.scoped = SCOPE_ABSTRACT_UNIX_SOCKET};
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return;
    long fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0u);
    if (fd < 0)
        return;
    (void)!syscall(SYS_landlock_restrict_self, (int)fd, 0u);
    close((int)fd);
}
