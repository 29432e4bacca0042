/* Channels without a program: tunnels to a port of the sandbox's loopback, and files read whole. */
#define _GNU_SOURCE
#include "launcher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Start to connect; false with errno if that failed at once. */
static bool dial(struct channel *c, int family)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(c->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(c->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct sockaddr *address = family == AF_INET ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
    int yes = 1;
    close_fd(&c->fd);
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return connect(c->fd, address, size) == 0 || errno == EINPROGRESS;
}

/* Servers that listen on "localhost" may have taken ::1 only. */
static void dial_failed(struct channel *c, int error)
{
    if (!c->second_family) {
        c->second_family = true;
        if (dial(c, AF_INET6))
            return;
    }
    close_fd(&c->fd);
    channel_error(c, E_CONNECT, error, "nothing answers on that port inside");
}

void tunnel_open(struct channel *c, uint16_t port)
{
    c->port = port;
    c->connecting = true;
    if (!dial(c, AF_INET))
        dial_failed(c, errno);
}

static void end_if_done(struct channel *c)
{
    if (!c->out_ended || !c->in_shut)
        return;
    close_fd(&c->fd);
    c->dead = true;
}

static void broke(struct channel *c, int error)
{
    close_fd(&c->fd);
    channel_error(c, E_TUNNEL, error, "the connection inside broke");
}

void tunnel_input(struct channel *c)
{
    if (c->connecting || c->in_shut)
        return;
    if (!channel_pass_input(c, c->fd)) {
        broke(c, errno);
    } else if (c->in_ended && buffer_size(&c->in) == 0) {
        c->in_shut = true;
        shutdown(c->fd, SHUT_WR);
        end_if_done(c);
    }
}

static void finish_connect(struct channel *c)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        dial_failed(c, error);
        return;
    }
    c->connecting = false;
    connection_send(c->connection, F_CONNECTED, c->id, NULL, 0);
    tunnel_input(c);
}

static void read_tunnel(struct channel *c)
{
    ssize_t got = channel_relay(c, c->fd, F_DATA, CHUNK_BYTES);
    if (got == 0) {
        c->out_ended = true;
        connection_send(c->connection, F_EOF, c->id, NULL, 0);
        end_if_done(c);
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
        broke(c, errno);
    }
}

static void on_poll(void *object, int fd, short events)
{
    struct channel *c = object;
    if (c->dead || fd != c->fd)
        return;
    if (c->connecting) {
        finish_connect(c);
        return;
    }
    if (events & (POLLOUT | POLLERR))
        tunnel_input(c);
    if (!c->dead && events & (POLLIN | POLLHUP | POLLERR) && !c->out_ended && channel_can_send(c))
        read_tunnel(c);
}

void tunnel_poll(struct channel *c)
{
    short events = 0;
    if (c->connecting || (buffer_size(&c->in) > 0 && !c->in_shut))
        events |= POLLOUT;
    if (!c->connecting && !c->out_ended && channel_can_send(c))
        events |= POLLIN;
    if (events != 0)
        loop_watch(c->fd, events, on_poll, c);
}

void file_open(struct channel *c, const struct request *spec)
{
    struct stat facts;
    c->fd = open(spec->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (c->fd < 0 || fstat(c->fd, &facts) < 0) {
        channel_error(c, errno == ENOENT || errno == ENOTDIR ? E_NO_FILE : E_FILE, errno, "cannot open the file");
        close_fd(&c->fd);
        return;
    }
    if (!S_ISREG(facts.st_mode)) {
        close_fd(&c->fd);
        channel_error(c, E_FILE, EINVAL, "not a regular file");
        return;
    }
    struct reply r = {.size = 0};
    reply_integer(&r, R_SIZE, (uint64_t)facts.st_size);
    reply_integer(&r, R_MTIME_NS, (uint64_t)facts.st_mtim.tv_sec * 1000000000u + (uint64_t)facts.st_mtim.tv_nsec);
    connection_send(c->connection, F_FILE, c->id, r.data, r.size);
    c->file_left = spec->max_bytes;
}

bool file_ready(const struct channel *c) { return c->fd >= 0 && channel_can_send(c); }

void file_step(struct channel *c)
{
    while (!c->dead && file_ready(c)) {
        size_t limit = c->file_left < CHUNK_BYTES ? (size_t)c->file_left : CHUNK_BYTES;
        ssize_t got = limit > 0 ? channel_relay(c, c->fd, F_DATA, limit) : 0;
        if (got < 0) {
            close_fd(&c->fd);
            channel_error(c, E_FILE, errno, "cannot read the file");
        } else if (got == 0) {
            connection_send(c->connection, F_EOF, c->id, NULL, 0);
            close_fd(&c->fd);
            c->dead = true;
        } else {
            c->file_left -= (uint64_t)got;
        }
    }
}
