/* What each frame asks for: one table, one handler per type. A malformed frame ends its connection. */
#define _GNU_SOURCE
#include "launcher.h"

#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH "x86_64"
#elif defined(__aarch64__)
#define ARCH "aarch64"
#else
#define ARCH "unknown"
#endif

typedef void (*handler)(struct connection *c, struct channel *channel, const struct frame *frame);

static struct channel *find(struct connection *c, uint32_t id)
{
    struct channel *channel = launcher.channels;
    while (channel != NULL && (channel->connection != c || channel->id != id || channel->dead))
        channel = channel->next;
    return channel;
}

/* Takes as long for a wrong token as for the right one; its length is no secret. */
static bool same_token(const char *given, const char *wanted)
{
    size_t size = strlen(wanted);
    volatile unsigned char difference = 0;
    if (given == NULL || strlen(given) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        difference = (unsigned char)(difference | ((unsigned char)given[i] ^ (unsigned char)wanted[i]));
    return difference == 0;
}

static void hello(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct request spec;
    (void)channel;
    const char *fault = request_parse(frame->payload, frame->size, &spec);
    if (fault != NULL) {
        connection_fail(c, E_PROTOCOL, fault);
        return;
    }
    bool version = spec.version == PROTOCOL_VERSION;
    bool token = !c->needs_token || (launcher.token != NULL && same_token(spec.token, launcher.token));
    request_free(&spec);
    if (!token) {
        connection_fail(c, E_TOKEN, "the token is wrong");
        return;
    }
    if (!version) {
        connection_fail(c, E_PROTOCOL, "this launcher speaks version 1");
        return;
    }
    struct reply r = {.size = 0};
    c->greeted = true;
    reply_integer(&r, R_VERSION, PROTOCOL_VERSION);
    reply_integer(&r, R_PID, (uint64_t)getpid());
    reply_text(&r, R_ARCH, ARCH);
    reply_integer(&r, R_WINDOW, WINDOW_BYTES);
    connection_send(c, F_HELLO_OK, frame->channel, r.data, r.size);
}

/* The channel and the parsed payload of a request, or NULL when it was refused. */
static struct channel *open_channel(struct connection *c, const struct frame *frame, enum channel_kind kind,
                                    struct request *spec)
{
    const char *fault = request_parse(frame->payload, frame->size, spec);
    if (fault != NULL) {
        connection_fail(c, E_PROTOCOL, fault);
        return NULL;
    }
    struct channel *channel = channel_new(c, frame->channel, kind);
    if (channel != NULL && launcher.stopping && kind != CHANNEL_WATCH) {
        channel_error(channel, E_STOPPING, 0, "the sandbox is stopping");
        channel = NULL;
    }
    if (channel == NULL)
        request_free(spec);
    return channel;
}

static void spawn(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct request spec;
    channel = open_channel(c, frame, CHANNEL_PROGRAM, &spec);
    if (channel == NULL)
        return;
    if (spec.argc == 0)
        connection_fail(c, E_PROTOCOL, "no program to start");
    else
        program_open(channel, &spec);
    channel->dead = channel->dead || channel->process.pid == 0;
    request_free(&spec);
}

static void launch(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct request spec;
    channel = open_channel(c, frame, CHANNEL_LAUNCH, &spec);
    if (channel == NULL)
        return;
    if (spec.policy > POLICY_NEVER) {
        request_free(&spec);
        connection_fail(c, E_PROTOCOL, "no such restart policy");
        return;
    }
    supervise_launch(&spec, channel);
}

static void read_file(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct request spec;
    channel = open_channel(c, frame, CHANNEL_FILE, &spec);
    if (channel == NULL)
        return;
    file_open(channel, &spec);
    request_free(&spec);
}

static void tunnel(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct request none;
    struct frame bare = *frame;
    if (frame->size != 2) {
        connection_fail(c, E_PROTOCOL, "a port has two bytes");
        return;
    }
    bare.size = 0;
    channel = open_channel(c, &bare, CHANNEL_TUNNEL, &none);
    if (channel == NULL)
        return;
    request_free(&none);
    tunnel_open(channel, get_u16(frame->payload));
}

static void status(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct reply r = {.size = 0};
    (void)channel;
    launcher_report(&r);
    connection_send(c, F_STATE, frame->channel, r.data, r.size);
}

static void watch(struct connection *c, struct channel *channel, const struct frame *frame)
{
    channel = channel_new(c, frame->channel, CHANNEL_WATCH);
    if (channel != NULL)
        channel->watch_due = true;
}

static void shut_down(struct connection *c, struct channel *channel, const struct frame *frame)
{
    struct request spec;
    const char *fault = request_parse(frame->payload, frame->size, &spec);
    if (fault != NULL) {
        connection_fail(c, E_PROTOCOL, fault);
        return;
    }
    launcher_stop(spec.grace_ms);
    request_free(&spec);
    status(c, channel, frame);
}

static void restart(struct connection *c, struct channel *channel, const struct frame *frame)
{
    channel = channel_new(c, frame->channel, CHANNEL_LAUNCH);
    if (channel == NULL)
        return;
    if (!supervise_restart()) {
        channel_error(channel, E_NOT_LAUNCHED, 0, "there is no main command to restart");
        return;
    }
    channel->dead = true;
    status(c, NULL, frame);
}

static void input(struct connection *c, struct channel *channel, const struct frame *frame)
{
    if (frame->size > channel->in_credit) {
        connection_fail(c, E_PROTOCOL, "more input than the window allows");
        return;
    }
    if (channel->in_ended) {
        connection_fail(c, E_PROTOCOL, "input after its end");
        return;
    }
    channel->in_credit -= frame->size;
    if (!buffer_append(&channel->in, frame->payload, frame->size)) {
        connection_lose(c);
        return;
    }
    if (channel->kind == CHANNEL_PROGRAM)
        program_input(channel);
    else
        tunnel_input(channel);
}

static void input_end(struct connection *c, struct channel *channel, const struct frame *frame)
{
    (void)c;
    (void)frame;
    channel->in_ended = true;
    if (channel->kind == CHANNEL_PROGRAM)
        program_input(channel);
    else
        tunnel_input(channel);
}

static void send_signal(struct connection *c, struct channel *channel, const struct frame *frame)
{
    if (frame->size != 1 || frame->payload[0] == 0 || frame->payload[0] > 64)
        connection_fail(c, E_PROTOCOL, "no such signal");
    else
        process_signal(&channel->process, frame->payload[0]);
}

static void resize(struct connection *c, struct channel *channel, const struct frame *frame)
{
    if (frame->size != 4)
        connection_fail(c, E_PROTOCOL, "a size has four bytes");
    else
        program_resize(channel, get_u16(frame->payload), get_u16(frame->payload + 2));
}

static void stop(struct connection *c, struct channel *channel, const struct frame *frame)
{
    if (frame->size > 1) {
        connection_fail(c, E_PROTOCOL, "bad flags");
        return;
    }
    if (channel->kind != CHANNEL_PROGRAM) {
        channel->connection = NULL;
        close_fd(&channel->fd);
        channel->dead = true;
        return;
    }
    channel->discard = channel->discard || (frame->size == 1 && frame->payload[0] & KILL_DISCARD);
    process_terminate(&channel->process);
}

static void window(struct connection *c, struct channel *channel, const struct frame *frame)
{
    if (frame->size != 4) {
        connection_fail(c, E_PROTOCOL, "a window has four bytes");
        return;
    }
    channel->credit += get_u32(frame->payload);
    if (channel->credit > MAX_PAYLOAD)
        channel->credit = MAX_PAYLOAD;
}

#define KIND(kind) (1u << CHANNEL_##kind)

/* `kinds`: 0 makes a new channel (its id must be free), else the kinds it applies to. A frame for a
 * channel that has just ended crosses its end on the wire and is no fault. */
static const struct {
    handler handle;
    unsigned kinds;
    bool bare; /* no channel needed */
} requests[] = {
    [F_HELLO] = {hello, 0, true},
    [F_SPAWN] = {spawn, 0, false},
    [F_STDIN] = {input, KIND(PROGRAM), false},
    [F_STDIN_EOF] = {input_end, KIND(PROGRAM), false},
    [F_SIGNAL] = {send_signal, KIND(PROGRAM), false},
    [F_RESIZE] = {resize, KIND(PROGRAM), false},
    [F_KILL] = {stop, KIND(PROGRAM) | KIND(TUNNEL) | KIND(FILE) | KIND(WATCH) | KIND(LAUNCH), false},
    [F_LAUNCH] = {launch, 0, false},
    [F_STATUS] = {status, 0, false},
    [F_WATCH] = {watch, 0, false},
    [F_SHUTDOWN] = {shut_down, 0, false},
    [F_READ_FILE] = {read_file, 0, false},
    [F_CONNECT] = {tunnel, 0, false},
    [F_DATA] = {input, KIND(TUNNEL), false},
    [F_EOF] = {input_end, KIND(TUNNEL), false},
    [F_WINDOW] = {window, KIND(PROGRAM) | KIND(TUNNEL) | KIND(FILE), false},
    [F_RESTART] = {restart, 0, false},
};

void connection_dispatch(struct connection *c, const struct frame *frame)
{
    size_t known = sizeof requests / sizeof requests[0];
    if (frame->type >= known || requests[frame->type].handle == NULL) {
        connection_fail(c, E_PROTOCOL, "unknown type of frame");
        return;
    }
    if (c->greeted == (frame->type == F_HELLO)) {
        connection_fail(c, E_PROTOCOL, "HELLO comes first, and once");
        return;
    }
    struct channel *channel = find(c, frame->channel);
    unsigned kinds = requests[frame->type].kinds;
    if (kinds == 0 && !requests[frame->type].bare && (channel != NULL || frame->channel == 0))
        connection_fail(c, E_PROTOCOL, "the channel is in use");
    else if (kinds != 0 && channel != NULL && !(kinds & (1u << channel->kind)))
        connection_fail(c, E_PROTOCOL, "the frame does not fit its channel");
    else if (kinds == 0 || channel != NULL)
        requests[frame->type].handle(c, channel, frame);
}
