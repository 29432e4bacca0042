/* The launcher's objects. One thread, one poll loop: each round polls, dispatches, reaps, steps every
 * object, flushes and sweeps. Objects are freed only in the sweep, so a handler may mark anything dead. */
#ifndef PLOINKY_LAUNCHER_H
#define PLOINKY_LAUNCHER_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "frames.h"

enum {
    MAX_CONNECTIONS = 128,
    MAX_CHANNELS = 1024, /* of all connections together */
    OUT_DATA_LIMIT = 1024 * 1024, /* no more output is read for a connection with this much unsent */
    OUT_HARD_LIMIT = 2 * 1024 * 1024, /* nor are its requests */
    DRAIN_MS = 200,
    DEFAULT_GRACE_MS = 5000,
    LINGER_POLL_MS = 20,
};

#define NEVER INT64_MAX

/* --- processes: spawn.c ------------------------------------------------------------------------- */

enum spawn_stage { STAGE_EXEC = 1, STAGE_CWD = 2, STAGE_LIMIT = 3, STAGE_OTHER = 4 };

/* A child that leads its own group, and in a terminal its own session. It is not reaped before
 * process_bury, so its pid names nobody else until then. */
struct process {
    struct process *next;
    pid_t pid; /* 0: none */
    int exec_fd; /* becomes readable when exec failed, ends when it succeeded; -1 afterwards */
    bool failed, exited, terminated;
    int stage, error; /* why exec failed */
    int code, signal; /* how it ended; -1 if not so */
    int64_t started_at, kill_at;
    uint64_t grace_ms;
};

struct stdio {
    int in, out, err; /* given to the child as 0, 1, 2 */
    bool terminal; /* `in` is to become the controlling terminal */
};

bool process_start(struct process *p, const struct request *spec, const struct stdio *stdio);
bool process_check_exec(struct process *p); /* true once the outcome of exec is known */
void process_signal(struct process *p, int number); /* to the whole group */
void process_terminate(struct process *p); /* TERM now, KILL after the grace */
void process_step(struct process *p, int64_t now);
void process_bury(struct process *p); /* after `exited`: kill what is left of the group, reap */
void processes_reap(void);
void lingering_step(int64_t now);
bool lingering_any(void);
void processes_stop(uint64_t grace_ms);
void processes_kill(void);
bool processes_gone(void);
enum error_code process_error_code(const struct process *p);
const char *process_error_text(const struct process *p);

/* --- channels: program.c, tunnel.c, file.c, connection.c ----------------------------------------- */

enum channel_kind { CHANNEL_PROGRAM, CHANNEL_TUNNEL, CHANNEL_FILE, CHANNEL_WATCH, CHANNEL_LAUNCH };

struct output {
    int fd;
    uint8_t type; /* F_STDOUT or F_STDERR */
    size_t owed; /* bytes in the pipe when the program ended: always delivered */
};

struct channel {
    struct channel *next;
    struct connection *connection; /* NULL once it is lost */
    uint32_t id;
    enum channel_kind kind;
    bool dead;
    uint64_t credit; /* bytes the client can still take */
    struct buffer in; /* bytes from the client that were not passed on yet */
    uint64_t in_credit, in_passed;
    bool in_ended, in_shut;
    /* program */
    struct process process;
    int in_fd, terminal_fd;
    struct output out[2];
    bool announced, discard, terminal, timed_out, output_limited, line_open;
    uint64_t output_left;
    int64_t timeout_at, drain_until;
    /* tunnel, file */
    int fd;
    uint16_t port;
    bool connecting, second_family, out_ended;
    uint64_t file_left;
    bool watch_due;
};

bool program_open(struct channel *c, const struct request *spec);
void program_input(struct channel *c);
void program_resize(struct channel *c, uint16_t rows, uint16_t cols);
void program_lost(struct channel *c);
void program_poll(struct channel *c);
void program_step(struct channel *c, int64_t now);
void program_close(struct channel *c);
int64_t program_deadline(const struct channel *c, int64_t now);

void tunnel_open(struct channel *c, uint16_t port);
void tunnel_input(struct channel *c);
void tunnel_poll(struct channel *c);
void file_open(struct channel *c, const struct request *spec);
void file_step(struct channel *c);
bool file_ready(const struct channel *c);

/* --- connections: connection.c, requests.c -------------------------------------------------------- */

struct connection {
    struct connection *next;
    int fd;
    bool needs_token, greeted, dead, closing;
    bool backlog; /* complete frames wait in `in` */
    int64_t close_at; /* no greeting, or the goodbye was not taken, by then */
    struct buffer in, out;
};

void connection_open(int fd, bool needs_token);
void connection_poll(struct connection *c);
void connection_step(struct connection *c, int64_t now);
void connection_flush(struct connection *c);
void connection_lose(struct connection *c);
void connection_fail(struct connection *c, enum error_code code, const char *message);
void connection_send(struct connection *c, uint8_t type, uint32_t channel, const void *payload, size_t size);
void connection_dispatch(struct connection *c, const struct frame *frame);

struct channel *channel_new(struct connection *c, uint32_t id, enum channel_kind kind);
void channel_error(struct channel *c, enum error_code code, int error, const char *message); /* and ends it */
bool channel_can_send(const struct channel *c);
/* Read once from `fd` straight into a frame of the connection: the size, 0 at the end, -1 with errno. */
ssize_t channel_relay(struct channel *c, int fd, uint8_t type, size_t limit);
/* Write pending input to `fd` and grant the client as much again; false if the reader is gone. */
bool channel_pass_input(struct channel *c, int fd);
void channel_grant(struct channel *c, size_t size);

/* --- main command and sidecar: supervise.c --------------------------------------------------------- */

/* Takes `spec` over. The asker is answered with STATE once the main command runs, or with ERROR. */
void supervise_launch(struct request *spec, struct channel *asker);
bool supervise_restart(void);
void supervise_poll(void);
void supervise_step(int64_t now);
void supervise_stop(void);
int64_t supervise_deadline(void);
void supervise_report(struct reply *r, int64_t now);
uint64_t supervise_grace_ms(void);
int supervise_exit_code(void);

/* --- the loop: main.c, loop.c ------------------------------------------------------------------------ */

typedef void (*poll_handler)(void *object, int fd, short events);

struct launcher {
    struct connection *connections;
    struct channel *channels;
    size_t connection_count, channel_count;
    struct rlimit file_limit; /* as it was given to us; children get it back */
    bool first_process; /* pid 1: every process of the sandbox is ours to stop */
    bool reap_due, stopping, again; /* again: do not wait in the next poll */
    int exit_code;
    int64_t stop_kill_at, stop_give_up_at;
    const char *token;
};

extern struct launcher launcher;

int64_t now_ms(void);
int64_t earlier(int64_t a, int64_t b);
int64_t after_ms(int64_t now, uint64_t ms); /* saturates at NEVER */
void loop_watch(int fd, short events, poll_handler handler, void *object);
void close_fd(int *fd);
bool set_nonblocking(int fd);
int open_empty_input(void); /* at its end; -1 with errno */
void launcher_stop(uint64_t grace_ms);
void launcher_state_changed(void);
void launcher_report(struct reply *r);
int launcher_run(int signal_fd, int unix_fd, int tcp_fd);
/* call.c */
int call_run(int argc, char **argv);

int pipe_run(const char *socket_path);
int listen_unix(const char *path);
int listen_tcp(const char *address);
void confine_sockets(void); /* of us and all that we start */

#endif
