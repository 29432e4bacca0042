/* Connections: greeting, incoming frames, one bounded output buffer each, and the channels they own. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GREETING_MS = 5000, GOODBYE_MS = 1000, READ_ROOM = 32 * 1024, FRAMES_PER_TURN = 256 };

void connection_open(int fd, bool needs_token)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL || launcher.connection_count >= MAX_CONNECTIONS) {
        free(c);
        close(fd);
        return;
    }
    c->fd = fd;
    c->needs_token = needs_token;
    c->close_at = after_ms(now_ms(), GREETING_MS);
    c->next = launcher.connections;
    launcher.connections = c;
    launcher.connection_count++;
}

static void drop_channel(struct channel *c)
{
    switch (c->kind) {
    case CHANNEL_PROGRAM:
        program_lost(c);
        c->dead = c->dead || c->process.pid == 0;
        break;
    default:
        c->connection = NULL;
        close_fd(&c->fd);
        c->dead = true;
    }
}

void connection_lose(struct connection *c)
{
    if (c->dead)
        return;
    c->dead = true;
    close_fd(&c->fd);
    for (struct channel *each = launcher.channels; each != NULL; each = each->next)
        if (each->connection == c)
            drop_channel(each);
}

void connection_send(struct connection *c, uint8_t type, uint32_t channel, const void *payload, size_t size)
{
    if (c == NULL || c->dead || c->closing) /* the error that closes a connection is its last word */
        return;
    if (!frame_append(&c->out, type, channel, payload, size))
        connection_lose(c);
}

static void send_error(struct connection *c, uint32_t id, enum error_code code, int error, const char *message)
{
    struct reply r = {.size = 0};
    reply_integer(&r, R_CODE, code);
    reply_integer(&r, R_ERRNO, (uint64_t)(error > 0 ? error : 0));
    reply_text(&r, R_MESSAGE, message);
    connection_send(c, F_ERROR, id, r.data, r.size);
}

void connection_fail(struct connection *c, enum error_code code, const char *message)
{
    if (c->closing || c->dead)
        return;
    send_error(c, 0, code, 0, message);
    c->closing = true;
    c->close_at = after_ms(now_ms(), GOODBYE_MS);
    buffer_free(&c->in);
}

void channel_error(struct channel *c, enum error_code code, int error, const char *message)
{
    send_error(c->connection, c->id, code, error, message);
    if (c->kind == CHANNEL_PROGRAM && c->process.pid > 0)
        program_lost(c);
    else
        drop_channel(c);
}

struct channel *channel_new(struct connection *c, uint32_t id, enum channel_kind kind)
{
    struct channel *channel = launcher.channel_count < MAX_CHANNELS ? calloc(1, sizeof *channel) : NULL;
    if (channel == NULL) {
        send_error(c, id, E_LIMIT, EAGAIN, "too many programs and tunnels at once");
        return NULL;
    }
    *channel = (struct channel){
        .next = launcher.channels, .connection = c, .id = id, .kind = kind,
        .credit = WINDOW_BYTES, .in_credit = WINDOW_BYTES,
        .process = {.exec_fd = -1, .kill_at = NEVER}, .in_fd = -1, .terminal_fd = -1, .fd = -1,
        .out = {{.fd = -1, .type = F_STDOUT}, {.fd = -1, .type = F_STDERR}},
        .timeout_at = NEVER, .drain_until = NEVER,
    };
    launcher.channels = channel;
    launcher.channel_count++;
    return channel;
}

bool channel_can_send(const struct channel *c)
{
    const struct connection *to = c->connection;
    return to != NULL && !to->dead && !to->closing && c->credit > 0 && buffer_size(&to->out) < OUT_DATA_LIMIT;
}

ssize_t channel_relay(struct channel *c, int fd, uint8_t type, size_t limit)
{
    struct buffer *out = &c->connection->out;
    if (limit > c->credit)
        limit = (size_t)c->credit;
    uint8_t *room = buffer_reserve(out, FRAME_HEADER + limit);
    if (room == NULL) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t got = read(fd, room + FRAME_HEADER, limit);
    if (got > 0) {
        frame_header(room, type, c->id, (size_t)got);
        out->end += FRAME_HEADER + (size_t)got;
        c->credit -= (uint64_t)got;
    }
    return got;
}

void channel_grant(struct channel *c, size_t size)
{
    c->in_passed += size;
    if (c->in_passed < WINDOW_BYTES / 2)
        return;
    uint8_t payload[4];
    put_u32(payload, (uint32_t)c->in_passed);
    connection_send(c->connection, F_WINDOW, c->id, payload, sizeof payload);
    c->in_credit += c->in_passed;
    c->in_passed = 0;
}

bool channel_pass_input(struct channel *c, int fd)
{
    while (buffer_size(&c->in) > 0) {
        ssize_t put = write(fd, buffer_head(&c->in), buffer_size(&c->in));
        if (put < 0)
            return errno == EAGAIN || errno == EINTR;
        buffer_consume(&c->in, (size_t)put);
        channel_grant(c, (size_t)put);
    }
    return true;
}

void connection_flush(struct connection *c)
{
    while (!c->dead && buffer_size(&c->out) > 0) {
        ssize_t put = send(c->fd, buffer_head(&c->out), buffer_size(&c->out), MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (put < 0)
            connection_lose(c);
        else
            buffer_consume(&c->out, (size_t)put);
    }
}

/* Frames that are complete; a bounded number, so that one client cannot keep the loop from the others.
 * True if there may be more: nothing is read until those are taken. */
static bool take_frames(struct connection *c)
{
    struct frame frame;
    for (int i = 0; i < FRAMES_PER_TURN; i++) {
        if (c->dead || c->closing || buffer_size(&c->out) >= OUT_HARD_LIMIT)
            return false;
        switch (frame_peek(&c->in, c->greeted ? MAX_PAYLOAD : MAX_HELLO_PAYLOAD, &frame)) {
        case FRAME_PARTIAL:
            return false;
        case FRAME_TOO_LARGE:
            connection_fail(c, E_PROTOCOL, "a frame is too large");
            return false;
        case FRAME_COMPLETE:
            connection_dispatch(c, &frame);
            if (!c->dead && !c->closing)
                buffer_consume(&c->in, FRAME_HEADER + frame.size);
        }
    }
    return buffer_size(&c->in) > 0;
}

static void read_frames(struct connection *c)
{
    uint8_t *room = buffer_reserve(&c->in, READ_ROOM);
    if (room == NULL) {
        connection_lose(c);
        return;
    }
    ssize_t got = recv(c->fd, room, READ_ROOM, 0);
    if (got > 0)
        c->in.end += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        connection_lose(c);
}

static void on_poll(void *object, int fd, short events)
{
    struct connection *c = object;
    if (c->dead || fd != c->fd)
        return;
    if (events & POLLOUT)
        connection_flush(c);
    if (c->dead || !(events & (POLLIN | POLLHUP | POLLERR)))
        return;
    if (c->closing) {
        connection_lose(c);
        return;
    }
    if (!c->backlog)
        read_frames(c);
    c->backlog = take_frames(c);
}

void connection_poll(struct connection *c)
{
    short events = 0;
    if (!c->closing && !c->backlog && buffer_size(&c->out) < OUT_HARD_LIMIT)
        events |= POLLIN;
    if (buffer_size(&c->out) > 0)
        events |= POLLOUT;
    loop_watch(c->fd, events, on_poll, c);
}

void connection_step(struct connection *c, int64_t now)
{
    if (c->dead)
        return;
    size_t waiting = buffer_size(&c->in);
    if (waiting > 0)
        c->backlog = take_frames(c);
    if (c->backlog || buffer_size(&c->in) != waiting)
        launcher.again = true; /* what the frames asked for was not looked at in this round */
    connection_flush(c);
    bool said_goodbye = c->closing && buffer_size(&c->out) == 0;
    if (!c->dead && (said_goodbye || ((c->closing || !c->greeted) && now >= c->close_at)))
        connection_lose(c);
}
