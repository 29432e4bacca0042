/* Programs started by SPAWN: their input, output, limits and end.
 *
 * Output is read only when the client has credit for it and the connection is not clogged, so a program
 * that nobody listens to waits in its own write. EXIT follows the output: what was in the pipes when the
 * leader ended is always delivered, what others of the group write later only for DRAIN_MS. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void pipe_or_closed(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        ends[0] = ends[1] = -1;
}

static bool open_pipes(struct channel *c, uint64_t flags, struct stdio *stdio)
{
    int in[2], out[2], err[2] = {-1, -1};
    if (flags & SPAWN_NO_STDIN) {
        in[0] = open_empty_input();
        in[1] = -1;
    } else {
        pipe_or_closed(in);
    }
    pipe_or_closed(out);
    if (!(flags & SPAWN_MERGE))
        pipe_or_closed(err);
    *stdio = (struct stdio){.in = in[0], .out = out[1], .err = flags & SPAWN_MERGE ? out[1] : err[1]};
    c->in_fd = in[1];
    c->out[0].fd = out[0];
    c->out[1].fd = err[0];
    bool complete = stdio->in >= 0 && stdio->out >= 0 && stdio->err >= 0;
    return complete && set_nonblocking(c->in_fd) && set_nonblocking(out[0]) && set_nonblocking(err[0]);
}

/* The program's side is opened through the master, so that no file system of terminals is needed. */
static bool open_terminal(struct channel *c, const struct request *spec, struct stdio *stdio)
{
    int unlocked = 0;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    stdio->in = stdio->out = stdio->err = -1;
    stdio->terminal = true;
    if (master < 0)
        return false;
    c->terminal = true;
    c->out[0].fd = master;
    c->terminal_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    c->in_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    if (c->terminal_fd < 0 || c->in_fd < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return false;
    program_resize(c, (uint16_t)spec->rows, (uint16_t)spec->cols);
    stdio->in = stdio->out = stdio->err = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return stdio->in >= 0;
}

static void close_child_side(const struct stdio *stdio)
{
    if (stdio->in >= 0)
        close(stdio->in);
    if (stdio->out >= 0 && stdio->out != stdio->in)
        close(stdio->out);
    if (stdio->err >= 0 && stdio->err != stdio->out)
        close(stdio->err);
}

bool program_open(struct channel *c, const struct request *spec)
{
    struct stdio stdio = {.terminal = false};
    bool opened = spec->flags & SPAWN_PTY ? open_terminal(c, spec, &stdio) : open_pipes(c, spec->flags, &stdio);
    int error = errno;
    c->output_left = spec->max_output ? spec->max_output : UINT64_MAX;
    bool started = opened && process_start(&c->process, spec, &stdio);
    if (!started)
        error = opened ? c->process.error : error;
    close_child_side(&stdio);
    if (!started) {
        channel_error(c, E_SPAWN, error, opened ? "cannot start a process" : "cannot open its pipes or terminal");
        return false;
    }
    c->timeout_at = spec->timeout_ms ? after_ms(c->process.started_at, spec->timeout_ms) : NEVER;
    return true;
}

void program_resize(struct channel *c, uint16_t rows, uint16_t cols)
{
    struct winsize size = {.ws_row = rows, .ws_col = cols};
    if (c->terminal_fd >= 0)
        ioctl(c->terminal_fd, TIOCSWINSZ, &size);
}

/* A terminal has no end of its own: its program reads one when the line discipline sees VEOF, twice if a
 * line is open. In raw mode there is none; the program ends when it wants to. */
static void end_terminal_input(struct channel *c)
{
    struct termios modes;
    if (tcgetattr(c->terminal_fd, &modes) == 0 && modes.c_lflag & ICANON) {
        const uint8_t twice[2] = {modes.c_cc[VEOF], modes.c_cc[VEOF]};
        buffer_append(&c->in, twice, c->line_open ? 2 : 1);
    }
}

void program_input(struct channel *c)
{
    size_t size = buffer_size(&c->in);
    if (size > 0)
        c->line_open = buffer_head(&c->in)[size - 1] != '\n';
    if (c->in_ended && c->terminal && !c->in_shut) {
        c->in_shut = true;
        end_terminal_input(c);
    }
    if (c->in_fd >= 0 && !channel_pass_input(c, c->in_fd))
        close_fd(&c->in_fd);
    if (c->in_ended && !c->terminal && buffer_size(&c->in) == 0)
        close_fd(&c->in_fd);
    if (c->in_fd < 0) { /* nobody reads any more: the client need not know */
        channel_grant(c, buffer_size(&c->in));
        buffer_free(&c->in);
    }
}

void program_lost(struct channel *c)
{
    c->connection = NULL;
    c->discard = true;
    buffer_free(&c->in);
    close_fd(&c->in_fd);
    process_terminate(&c->process);
}

static bool wants_output(const struct channel *c, const struct output *out)
{
    return out->fd >= 0 && c->announced && (c->discard || channel_can_send(c));
}

/* Past the limit: say so once, end the program, drop the rest. */
static void read_excess(struct channel *c, struct output *out)
{
    uint8_t scratch[16 * 1024];
    ssize_t got = read(out->fd, scratch, sizeof scratch);
    if (got > 0 && !c->discard) {
        c->output_limited = c->discard = true;
        process_terminate(&c->process);
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&out->fd);
    if (got > 0)
        out->owed = out->owed > (size_t)got ? out->owed - (size_t)got : 0;
    else
        out->owed = 0;
}

static void read_some(struct channel *c, struct output *out, size_t most)
{
    if (c->discard || c->output_left == 0) {
        read_excess(c, out);
        return;
    }
    size_t limit = c->output_left < most ? (size_t)c->output_left : most;
    ssize_t got = channel_relay(c, out->fd, out->type, limit);
    if (got > 0) {
        c->output_left -= (uint64_t)got;
        out->owed = out->owed > (size_t)got ? out->owed - (size_t)got : 0;
    } else {
        out->owed = 0;
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            close_fd(&out->fd); /* EIO: the last program has left the terminal */
    }
}

static void read_output(struct channel *c, struct output *out) { read_some(c, out, CHUNK_BYTES); }

/* What a program says on stderr before it answers on stdout is sent before the answer: of stdout no more is
 * read than was there when stderr was looked at. */
static void read_answer(struct channel *c)
{
    int waiting = 0;
    size_t most = CHUNK_BYTES;
    if (ioctl(c->out[0].fd, FIONREAD, &waiting) == 0 && waiting > 0 && (size_t)waiting < most)
        most = (size_t)waiting;
    if (wants_output(c, &c->out[1]))
        read_output(c, &c->out[1]);
    if (wants_output(c, &c->out[0]))
        read_some(c, &c->out[0], most);
}

static void on_poll(void *object, int fd, short events)
{
    struct channel *c = object;
    (void)events;
    if (c->dead)
        return;
    if (fd == c->in_fd)
        program_input(c);
    if (fd == c->out[0].fd && wants_output(c, &c->out[0])) {
        read_answer(c);
        return;
    }
    for (int i = 0; i < 2; i++)
        if (fd == c->out[i].fd && wants_output(c, &c->out[i]))
            read_output(c, &c->out[i]);
}

void program_poll(struct channel *c)
{
    if (c->process.exec_fd >= 0)
        loop_watch(c->process.exec_fd, POLLIN, on_poll, c);
    if (c->in_fd >= 0 && buffer_size(&c->in) > 0)
        loop_watch(c->in_fd, POLLOUT, on_poll, c);
    for (int i = 0; i < 2; i++)
        if (wants_output(c, &c->out[i]))
            loop_watch(c->out[i].fd, POLLIN, on_poll, c);
}

static void announce(struct channel *c)
{
    if (c->announced || !process_check_exec(&c->process))
        return;
    c->announced = true;
    if (c->process.failed) {
        c->discard = true; /* the error is the last word; the child is only buried */
        if (c->connection != NULL)
            channel_error(c, process_error_code(&c->process), c->process.error, process_error_text(&c->process));
        return;
    }
    struct reply r = {.size = 0};
    reply_integer(&r, R_PID, (uint64_t)c->process.pid);
    connection_send(c->connection, F_STARTED, c->id, r.data, r.size);
}

static void begin_drain(struct channel *c, int64_t now)
{
    c->drain_until = after_ms(now, DRAIN_MS);
    for (int i = 0; i < 2; i++) {
        int waiting = 0;
        if (c->out[i].fd >= 0 && ioctl(c->out[i].fd, FIONREAD, &waiting) == 0 && waiting > 0)
            c->out[i].owed = (size_t)waiting;
    }
}

static bool drained(struct channel *c, int64_t now)
{
    bool done = true;
    for (int i = 0; i < 2; i++) {
        if (wants_output(c, &c->out[i]))
            read_output(c, &c->out[i]);
        if (c->out[i].fd >= 0 && (c->out[i].owed > 0 || now < c->drain_until) && c->connection != NULL)
            done = false;
    }
    return done;
}

static void finish(struct channel *c)
{
    uint64_t flags = (c->timed_out ? EXIT_TIMED_OUT : 0u) | (c->output_limited ? EXIT_OUTPUT_LIMITED : 0u);
    if (c->connection != NULL && !c->process.failed) {
        struct reply r = {.size = 0};
        if (c->process.code >= 0)
            reply_integer(&r, R_CODE, (uint64_t)c->process.code);
        if (c->process.signal >= 0)
            reply_integer(&r, R_SIGNAL, (uint64_t)c->process.signal);
        reply_integer(&r, R_FLAGS, flags);
        connection_send(c->connection, F_EXIT, c->id, r.data, r.size);
    }
    process_bury(&c->process);
    program_close(c);
    c->dead = true;
}

void program_step(struct channel *c, int64_t now)
{
    if (c->process.pid == 0)
        return;
    if (now >= c->timeout_at) {
        c->timeout_at = NEVER;
        c->timed_out = !c->process.exited;
        process_terminate(&c->process);
    }
    process_step(&c->process, now);
    announce(c);
    if (!c->process.exited || !c->announced)
        return;
    if (c->drain_until == NEVER)
        begin_drain(c, now);
    if (drained(c, now))
        finish(c);
}

void program_close(struct channel *c)
{
    close_fd(&c->in_fd);
    close_fd(&c->terminal_fd);
    close_fd(&c->out[0].fd);
    close_fd(&c->out[1].fd);
}

int64_t program_deadline(const struct channel *c, int64_t now)
{
    int64_t drain = c->drain_until > now ? c->drain_until : NEVER; /* later it waits for credit only */
    return earlier(drain, earlier(c->timeout_at, c->process.kill_at));
}
