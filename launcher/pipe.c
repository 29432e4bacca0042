/* `launcher pipe`: carries frames between standard input and output and the socket, for engines through
 * which a socket cannot be mounted (one held-open `exec -i`). It understands nothing of what it carries. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct direction {
    int from, to;
    uint8_t data[CHUNK_BYTES];
    size_t start, end;
    bool ended;
};

static bool write_some(struct direction *d)
{
    ssize_t put = write(d->to, d->data + d->start, d->end - d->start);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR;
    d->start += (size_t)put;
    return true;
}

static bool move(struct direction *d)
{
    if (d->start < d->end)
        return write_some(d);
    ssize_t got = read(d->from, d->data, sizeof d->data);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    d->start = 0;
    d->end = (size_t)got;
    d->ended = got == 0;
    return true;
}

int pipe_run(const char *path)
{
    static struct direction in, out;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) < sizeof address.sun_path)
        strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        fprintf(stderr, "launcher: cannot reach %s: %s\n", path, strerror(errno));
        return 1;
    }
    set_nonblocking(fd);
    in = (struct direction){.from = 0, .to = fd};
    out = (struct direction){.from = fd, .to = 1};
    while (!out.ended) {
        struct direction *both[2] = {&in, &out};
        struct pollfd fds[2];
        for (int i = 0; i < 2; i++) {
            bool full = both[i]->start < both[i]->end;
            fds[i] = (struct pollfd){.fd = full ? both[i]->to : both[i]->from, .events = full ? POLLOUT : POLLIN};
            if (both[i]->ended)
                fds[i].fd = -1;
        }
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < 2; i++) {
            if (fds[i].revents == 0)
                continue;
            if (!move(both[i]))
                return 1;
            if (both[i] == &in && in.ended)
                shutdown(fd, SHUT_WR);
        }
    }
    return 0;
}
