/* The poll loop: who waits for what, how long, and in which order things are looked after. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STOP_GIVE_UP_MS = 2000, ACCEPT_PAUSE_MS = 100, LONGEST_WAIT_MS = 60 * 1000 };

struct launcher launcher;

static struct pollfd *poll_fds;
static struct {
    poll_handler handler;
    void *object;
} *poll_targets;
static size_t poll_count, poll_capacity;
static int64_t accept_paused_until;

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t after_ms(int64_t now, uint64_t ms) { return ms >= (uint64_t)(NEVER - now) ? NEVER : now + (int64_t)ms; }

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool set_nonblocking(int fd) { return fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0; }

int open_empty_input(void)
{
    int ends[2];
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 || pipe2(ends, O_CLOEXEC) < 0)
        return fd;
    close(ends[1]); /* an image without /dev/null */
    return ends[0];
}

static bool grow(void)
{
    size_t capacity = poll_capacity ? poll_capacity * 2 : 64;
    void *fds = realloc(poll_fds, capacity * sizeof *poll_fds);
    if (fds == NULL)
        return false;
    poll_fds = fds;
    void *targets = realloc(poll_targets, capacity * sizeof *poll_targets);
    if (targets == NULL)
        return false;
    poll_targets = targets;
    poll_capacity = capacity;
    return true;
}

void loop_watch(int fd, short events, poll_handler handler, void *object)
{
    if (poll_count == poll_capacity && !grow()) {
        launcher.again = true; /* memory is short: this one is looked at in a later round */
        return;
    }
    poll_fds[poll_count] = (struct pollfd){.fd = fd, .events = events};
    poll_targets[poll_count].handler = handler;
    poll_targets[poll_count++].object = object;
}

void launcher_stop(uint64_t grace_ms)
{
    int64_t now = now_ms();
    int64_t kill_at = after_ms(now, grace_ms);
    if (launcher.stopping) {
        launcher.stop_kill_at = earlier(launcher.stop_kill_at, kill_at);
        return;
    }
    launcher.exit_code = supervise_exit_code();
    launcher.stopping = true;
    launcher.stop_kill_at = kill_at;
    processes_stop(grace_ms);
    launcher_state_changed();
}

static void tell(struct channel *watcher)
{
    struct reply r = {.size = 0};
    launcher_report(&r);
    connection_send(watcher->connection, F_STATE, watcher->id, r.data, r.size);
    watcher->watch_due = false;
}

/* Watchers see every change; one that does not read gets the latest state when it reads again. */
void launcher_state_changed(void)
{
    for (struct channel *c = launcher.channels; c != NULL; c = c->next) {
        if (c->kind != CHANNEL_WATCH || c->dead)
            continue;
        if (!c->watch_due && channel_can_send(c))
            tell(c);
        else
            c->watch_due = true;
    }
}

void launcher_report(struct reply *r)
{
    uint64_t programs = 0;
    for (struct channel *c = launcher.channels; c != NULL; c = c->next)
        programs += c->kind == CHANNEL_PROGRAM && c->process.pid > 0;
    supervise_report(r, now_ms());
    reply_integer(r, R_PROGRAMS, programs);
}

static void on_signal(void *object, int fd, short events)
{
    struct signalfd_siginfo info;
    (void)object;
    (void)events;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            launcher.reap_due = true;
        else
            launcher_stop(supervise_grace_ms());
    }
}

static void keep_alive(int fd)
{
    int yes = 1, idle = 30, unanswered_ms = 60 * 1000;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void accept_one(int listener, bool tcp)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (tcp)
            keep_alive(fd);
        connection_open(fd, tcp);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        accept_paused_until = now_ms() + ACCEPT_PAUSE_MS; /* no descriptors left: do not spin */
    }
}

static void on_unix(void *object, int fd, short events)
{
    (void)object;
    (void)events;
    accept_one(fd, false);
}

static void on_tcp(void *object, int fd, short events)
{
    (void)object;
    (void)events;
    accept_one(fd, true);
}

static void watch_all(int signal_fd, int unix_fd, int tcp_fd, int64_t now)
{
    poll_count = 0;
    loop_watch(signal_fd, POLLIN, on_signal, NULL);
    if (unix_fd >= 0 && now >= accept_paused_until)
        loop_watch(unix_fd, POLLIN, on_unix, NULL);
    if (tcp_fd >= 0 && now >= accept_paused_until)
        loop_watch(tcp_fd, POLLIN, on_tcp, NULL);
    for (struct connection *c = launcher.connections; c != NULL; c = c->next)
        connection_poll(c);
    for (struct channel *c = launcher.channels; c != NULL; c = c->next) {
        if (c->kind == CHANNEL_PROGRAM)
            program_poll(c);
        else if (c->kind == CHANNEL_TUNNEL)
            tunnel_poll(c);
    }
    supervise_poll();
}

static int64_t next_deadline(int64_t now)
{
    int64_t at = earlier(supervise_deadline(), now < accept_paused_until ? accept_paused_until : NEVER);
    for (struct connection *c = launcher.connections; c != NULL; c = c->next)
        if (!c->greeted || c->closing)
            at = earlier(at, c->close_at);
    for (struct channel *c = launcher.channels; c != NULL; c = c->next) {
        if (c->kind == CHANNEL_PROGRAM)
            at = earlier(at, program_deadline(c, now));
        else if (c->kind == CHANNEL_FILE && file_ready(c))
            at = now;
    }
    if (lingering_any())
        at = earlier(at, now + LINGER_POLL_MS);
    if (launcher.stopping)
        at = earlier(at, launcher.stop_kill_at != NEVER ? launcher.stop_kill_at : launcher.stop_give_up_at);
    return launcher.again || launcher.reap_due ? now : at;
}

static void step_channels(int64_t now)
{
    for (struct channel *c = launcher.channels; c != NULL; c = c->next) {
        if (c->dead)
            continue;
        if (c->kind == CHANNEL_PROGRAM)
            program_step(c, now);
        else if (c->kind == CHANNEL_FILE)
            file_step(c);
        else if (c->kind == CHANNEL_WATCH && c->watch_due && channel_can_send(c))
            tell(c);
    }
}

static void step_stop(int64_t now)
{
    if (!launcher.stopping || now < launcher.stop_kill_at)
        return;
    launcher.stop_kill_at = NEVER;
    launcher.stop_give_up_at = after_ms(now, STOP_GIVE_UP_MS);
    processes_kill();
    for (struct channel *c = launcher.channels; c != NULL; c = c->next)
        c->discard = true;
}

static void sweep(void)
{
    for (struct channel **at = &launcher.channels; *at != NULL;) {
        struct channel *c = *at;
        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        program_close(c);
        close_fd(&c->fd);
        buffer_free(&c->in);
        free(c);
        launcher.channel_count--;
    }
    for (struct connection **at = &launcher.connections; *at != NULL;) {
        struct connection *c = *at;
        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        buffer_free(&c->in);
        buffer_free(&c->out);
        free(c);
        launcher.connection_count--;
    }
}

/* Each round starts with another channel, so that one that always has output cannot starve the rest. */
static void rotate(void)
{
    struct channel *first = launcher.channels;
    if (first == NULL || first->next == NULL)
        return;
    struct channel *last = first;
    while (last->next != NULL)
        last = last->next;
    launcher.channels = first->next;
    last->next = first;
    first->next = NULL;
}

static void look_after(int64_t now)
{
    if (launcher.reap_due)
        processes_reap();
    step_stop(now);
    step_channels(now);
    supervise_step(now);
    lingering_step(now);
    for (struct connection *c = launcher.connections; c != NULL; c = c->next)
        connection_step(c, now);
    sweep();
    rotate();
}

static bool finished(int64_t now)
{
    if (!launcher.stopping)
        return false;
    return processes_gone() || (launcher.stop_kill_at == NEVER && now >= launcher.stop_give_up_at);
}

int launcher_run(int signal_fd, int unix_fd, int tcp_fd)
{
    launcher.reap_due = true;
    for (;;) {
        int64_t now = now_ms();
        watch_all(signal_fd, unix_fd, tcp_fd, now);
        int64_t wait = next_deadline(now) - now;
        launcher.again = false;
        wait = wait < 0 ? 0 : earlier(wait, LONGEST_WAIT_MS);
        if (poll(poll_fds, (nfds_t)poll_count, (int)wait) > 0) {
            for (size_t i = 0; i < poll_count; i++)
                if (poll_fds[i].revents != 0)
                    poll_targets[i].handler(poll_targets[i].object, poll_fds[i].fd, poll_fds[i].revents);
        }
        now = now_ms();
        look_after(now);
        if (finished(now))
            return launcher.exit_code;
    }
}
