/* The agent's main command and its sidecar: started by LAUNCH, restarted by policy with a growing pause.
 *
 * The pause doubles with each end and begins anew after a run as long as the longest pause. A main command
 * that cannot be executed at LAUNCH is refused: the launcher waits for another LAUNCH. */
#define _GNU_SOURCE
#include "launcher.h"


enum { SHORTEST_GROWN_PAUSE_MS = 100 };
enum job_state { JOB_NONE, JOB_STARTING, JOB_RUNNING, JOB_BACKOFF, JOB_ENDED };

struct job {
    struct process process;
    enum job_state state;
    char **argv;
    uint64_t restarts, pause_ms;
    int last_code, last_signal;
    int64_t next_at;
    bool restart_asked;
};

static struct request spec;
static struct job main_job = {.last_code = -1, .last_signal = -1}, sidecar = {.last_code = -1, .last_signal = -1};
static bool launched; /* a LAUNCH was accepted (its main command may still be on its way to exec) */
static bool confirmed; /* ... and the main command was executed once, or there is none */

uint64_t supervise_grace_ms(void) { return launched ? spec.grace_ms : DEFAULT_GRACE_MS; }

int supervise_exit_code(void)
{
    if (main_job.state != JOB_ENDED)
        return 0;
    return main_job.last_signal > 0 ? 128 + main_job.last_signal : main_job.last_code > 0 ? main_job.last_code : 0;
}

static void answer(bool accepted)
{
    for (struct channel *c = launcher.channels; c != NULL; c = c->next) {
        if (c->kind != CHANNEL_LAUNCH || c->dead || c->connection == NULL)
            continue;
        if (accepted) {
            struct reply r = {.size = 0};
            launcher_report(&r);
            connection_send(c->connection, F_STATE, c->id, r.data, r.size);
            c->dead = true;
        } else {
            const struct process *p = &main_job.process;
            channel_error(c, process_error_code(p), p->error, process_error_text(p));
        }
    }
}

static void job_ended(struct job *job, int64_t now)
{
    const struct process *p = &job->process;
    bool failed = p->failed || p->code != 0;
    bool again = spec.policy == POLICY_ALWAYS || (spec.policy == POLICY_ON_FAILURE && failed) || job->restart_asked;
    job->last_code = p->failed ? 127 : p->code;
    job->last_signal = p->failed ? -1 : p->signal;
    job->restart_asked = false;
    if (launcher.stopping || !again) {
        job->state = JOB_ENDED;
    } else {
        if (now - p->started_at >= (int64_t)spec.backoff_max_ms)
            job->pause_ms = spec.backoff_first_ms;
        job->state = JOB_BACKOFF;
        job->next_at = after_ms(now, job->pause_ms);
        job->pause_ms = job->pause_ms < SHORTEST_GROWN_PAUSE_MS / 2 ? SHORTEST_GROWN_PAUSE_MS : job->pause_ms * 2;
        if (job->pause_ms > spec.backoff_max_ms)
            job->pause_ms = spec.backoff_max_ms;
    }
    launcher_state_changed();
}

static void job_start(struct job *job, int64_t now)
{
    struct request own = spec;
    struct stdio stdio = {.in = open_empty_input(), .out = 1, .err = 2};
    own.argv = job->argv;
    job->state = JOB_STARTING;
    if (!process_start(&job->process, &own, &stdio) && confirmed)
        job_ended(job, now);
    close_fd(&stdio.in);
}

/* The main command never ran: back to the state before LAUNCH. */
static void refuse(void)
{
    answer(false);
    if (main_job.process.pid > 0)
        process_bury(&main_job.process);
    main_job.state = JOB_NONE;
    request_free(&spec);
    launched = false;
    launcher_state_changed();
}

static void confirm(int64_t now)
{
    confirmed = true;
    main_job.state = spec.argc > 0 ? JOB_RUNNING : JOB_NONE;
    if (spec.sidecarc > 0)
        job_start(&sidecar, now);
    answer(true);
    launcher_state_changed();
}

void supervise_launch(struct request *wanted, struct channel *asker)
{
    if (launched) {
        request_free(wanted);
        channel_error(asker, E_LAUNCHED, 0, "the agent was launched already");
        return;
    }
    spec = *wanted;
    launched = true;
    confirmed = false;
    if (spec.backoff_max_ms < SHORTEST_GROWN_PAUSE_MS)
        spec.backoff_max_ms = SHORTEST_GROWN_PAUSE_MS;
    if (spec.backoff_first_ms > spec.backoff_max_ms)
        spec.backoff_first_ms = spec.backoff_max_ms;
    main_job.argv = spec.argv;
    sidecar.argv = spec.sidecar;
    main_job.pause_ms = sidecar.pause_ms = spec.backoff_first_ms;
    if (spec.argc > 0)
        job_start(&main_job, now_ms());
    else
        confirm(now_ms());
}

bool supervise_restart(void)
{
    if (!confirmed || spec.argc == 0 || launcher.stopping)
        return false;
    main_job.restart_asked = true;
    if (main_job.process.pid > 0)
        process_terminate(&main_job.process);
    else
        main_job.next_at = 0;
    if (main_job.state == JOB_ENDED)
        main_job.state = JOB_BACKOFF;
    return true;
}

static void job_step(struct job *job, int64_t now)
{
    struct process *p = &job->process;
    process_step(p, now);
    if (job->state == JOB_STARTING && p->pid > 0 && process_check_exec(p) && !p->failed) {
        job->state = JOB_RUNNING;
        launcher_state_changed();
    }
    if (p->pid > 0 && p->exited && process_check_exec(p)) {
        process_bury(p);
        job_ended(job, now);
    }
    if (job->state == JOB_BACKOFF && launcher.stopping)
        job->state = JOB_ENDED;
    if (job->state == JOB_BACKOFF && now >= job->next_at) {
        job->restarts++;
        job->restart_asked = false;
        job_start(job, now);
    }
}

void supervise_step(int64_t now)
{
    if (!launched)
        return;
    if (!confirmed) {
        struct process *p = &main_job.process;
        process_step(p, now);
        if (p->pid == 0 || (process_check_exec(p) && p->failed && p->exited))
            refuse();
        else if (p->exec_fd < 0 && !p->failed)
            confirm(now);
        if (!confirmed)
            return;
        /* It may have ended already, and nothing would wake the loop for that again. */
    }
    answer(true);
    job_step(&main_job, now);
    job_step(&sidecar, now);
}

static void on_poll(void *object, int fd, short events)
{
    (void)object;
    (void)fd;
    (void)events;
}

/* The end of the exec pipe only has to wake the loop: supervise_step reads it. */
void supervise_poll(void)
{
    if (main_job.process.exec_fd >= 0 && main_job.process.pid > 0)
        loop_watch(main_job.process.exec_fd, POLLIN, on_poll, NULL);
    if (sidecar.process.exec_fd >= 0 && sidecar.process.pid > 0)
        loop_watch(sidecar.process.exec_fd, POLLIN, on_poll, NULL);
}

static int64_t job_deadline(const struct job *job)
{
    int64_t kill_at = job->process.pid > 0 ? job->process.kill_at : NEVER;
    return job->state == JOB_BACKOFF ? earlier(job->next_at, kill_at) : kill_at;
}

int64_t supervise_deadline(void) { return earlier(job_deadline(&main_job), job_deadline(&sidecar)); }

static enum launcher_state job_report(const struct job *job)
{
    switch (job->state) {
    case JOB_RUNNING: return STATE_RUNNING;
    case JOB_ENDED: return STATE_ENDED;
    case JOB_BACKOFF: return STATE_BACKOFF;
    case JOB_STARTING: return job->restarts > 0 ? STATE_BACKOFF : STATE_WAITING;
    default: return STATE_WAITING;
    }
}

void supervise_report(struct reply *r, int64_t now)
{
    bool running = main_job.state == JOB_RUNNING;
    enum launcher_state state = confirmed && spec.argc == 0 ? STATE_SERVING : job_report(&main_job);
    if (!launched)
        state = STATE_WAITING;
    reply_integer(r, R_STATE, launcher.stopping ? STATE_STOPPING : state);
    reply_integer(r, R_RESTARTS, main_job.restarts);
    if (running) {
        reply_integer(r, R_PID, (uint64_t)main_job.process.pid);
        reply_integer(r, R_UPTIME_MS, (uint64_t)(now - main_job.process.started_at));
    }
    if (main_job.last_code >= 0)
        reply_integer(r, R_LAST_CODE, (uint64_t)main_job.last_code);
    if (main_job.last_signal >= 0)
        reply_integer(r, R_LAST_SIGNAL, (uint64_t)main_job.last_signal);
    if (main_job.state == JOB_BACKOFF)
        reply_integer(r, R_NEXT_RESTART_MS, main_job.next_at > now ? (uint64_t)(main_job.next_at - now) : 0);
    if (!launched || spec.sidecarc == 0)
        return;
    reply_integer(r, R_SIDECAR_STATE, job_report(&sidecar));
    reply_integer(r, R_SIDECAR_RESTARTS, sidecar.restarts);
    if (sidecar.state == JOB_RUNNING)
        reply_integer(r, R_SIDECAR_PID, (uint64_t)sidecar.process.pid);
}
