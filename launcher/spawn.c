/* Children: fork and exec with a report of what failed, signals to the whole group, reaping. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_LINGERING = 256, MAX_PATHNAME = 4096 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static struct process *processes;

/* Groups whose leader is gone and whose members have until kill_at to follow. The group's id cannot be
 * given to others while a member lives; an empty group is noticed within LINGER_POLL_MS. */
static struct {
    pid_t group;
    int64_t kill_at;
} lingering[MAX_LINGERING];
static size_t lingering_count;

static const char *env_path(char **env)
{
    for (; *env != NULL; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return default_path;
}

/* Like execvpe, but with the PATH of the given environment, without its empty entries. Returns on failure. */
static void exec_search(char **argv, char **env)
{
    const char *name = argv[0];
    size_t name_size = strlen(name);
    int reason = ENOENT;
    char file[MAX_PATHNAME];
    if (strchr(name, '/') != NULL) {
        execve(name, argv, env);
        return;
    }
    for (const char *folder = env_path(env); name_size > 0 && *folder != '\0';) {
        size_t size = strcspn(folder, ":");
        if (size > 0 && size + name_size + 2 <= sizeof file) {
            memcpy(file, folder, size);
            file[size] = '/';
            memcpy(file + size + 1, name, name_size + 1);
            execve(file, argv, env);
            if (errno != ENOENT && errno != ENOTDIR)
                reason = errno;
            else if (errno == ENOENT && access(file, F_OK) == 0)
                reason = ENOEXEC;
            if (reason != ENOENT && reason != EACCES)
                break;
        }
        folder += size + (folder[size] == ':');
    }
    errno = reason;
}

static int kernel_limit(uint64_t which)
{
    switch (which) {
    case LIMIT_NOFILE: return RLIMIT_NOFILE;
    case LIMIT_NPROC: return RLIMIT_NPROC;
    case LIMIT_AS: return RLIMIT_AS;
    case LIMIT_CORE: return RLIMIT_CORE;
    case LIMIT_FSIZE: return RLIMIT_FSIZE;
    case LIMIT_CPU: return RLIMIT_CPU;
    default: return -1;
    }
}

static bool apply_limits(const struct request *spec)
{
    setrlimit(RLIMIT_NOFILE, &launcher.file_limit);
    for (size_t i = 0; i < spec->limitc; i++) {
        struct rlimit value = {.rlim_cur = spec->limits[i].soft, .rlim_max = spec->limits[i].hard};
        int which = kernel_limit(spec->limits[i].which);
        if (which < 0) {
            errno = EINVAL;
            return false;
        }
        if (setrlimit((__typeof__(RLIMIT_NOFILE))which, &value) < 0)
            return false;
    }
    return true;
}

/* A session only for a terminal, which needs one: Linux schedules each session as a group of its own
 * (autogroup), and of many sessions that live for a millisecond some wait most of a second for a CPU. */
static void lead_group(const struct stdio *stdio)
{
    if (stdio->terminal)
        setsid();
    else
        setpgid(0, 0);
}

static bool take_stdio(const struct stdio *stdio)
{
    if (stdio->terminal && ioctl(stdio->in, TIOCSCTTY, 0) < 0)
        return false;
    return dup2(stdio->in, 0) >= 0 && dup2(stdio->out, 1) >= 0 && dup2(stdio->err, 2) >= 0;
}

static _Noreturn void child(const struct request *spec, const struct stdio *stdio, int report, pid_t parent)
{
    int stage = STAGE_OTHER;
    sigset_t none;
    sigemptyset(&none);
    lead_group(stdio);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    if (take_stdio(stdio)) {
        stage = STAGE_CWD;
        if (chdir(spec->cwd) == 0) {
            stage = STAGE_LIMIT;
            if (apply_limits(spec)) {
                stage = STAGE_EXEC;
                signal(SIGPIPE, SIG_DFL);
                sigprocmask(SIG_SETMASK, &none, NULL);
                exec_search(spec->argv, spec->env);
                if (errno == ENOENT && strchr(spec->argv[0], '/') != NULL && access(spec->argv[0], F_OK) == 0)
                    errno = ENOEXEC; /* the file is there: its interpreter is not */
            }
        }
    }
    int why[2] = {stage, errno};
    ssize_t written = write(report, why, sizeof why);
    _exit(written == (ssize_t)sizeof why ? 127 : 126);
}

bool process_start(struct process *p, const struct request *spec, const struct stdio *stdio)
{
    int report[2];
    *p = (struct process){.exec_fd = -1, .code = -1, .signal = -1, .kill_at = NEVER, .grace_ms = spec->grace_ms};
    p->started_at = now_ms();
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) == 0) {
        pid_t parent = getpid();
        pid_t pid = fork();
        if (pid == 0)
            child(spec, stdio, report[1], parent);
        p->error = errno;
        close(report[1]);
        if (pid > 0) {
            p->pid = pid;
            p->exec_fd = report[0];
            p->next = processes;
            processes = p;
            return true;
        }
        close(report[0]);
        errno = p->error;
    }
    p->failed = true;
    p->stage = STAGE_OTHER;
    p->error = errno;
    return false;
}

bool process_check_exec(struct process *p)
{
    int why[2];
    if (p->exec_fd < 0)
        return true;
    ssize_t got = read(p->exec_fd, why, sizeof why);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got == (ssize_t)sizeof why) {
        p->failed = true;
        p->stage = why[0];
        p->error = why[1];
    }
    close_fd(&p->exec_fd);
    return true;
}

void process_signal(struct process *p, int number)
{
    /* Before the child has called lead_group there is no group of this number, only the child. */
    if (p->pid > 0 && kill(-p->pid, number) < 0 && errno == ESRCH && !p->exited)
        kill(p->pid, number);
}

void process_terminate(struct process *p)
{
    if (p->pid == 0 || p->terminated)
        return;
    p->terminated = true;
    p->kill_at = after_ms(now_ms(), p->grace_ms);
    process_signal(p, SIGTERM);
    process_signal(p, SIGCONT);
}

void process_step(struct process *p, int64_t now)
{
    if (p->pid > 0 && now >= p->kill_at) {
        p->kill_at = NEVER;
        process_signal(p, SIGKILL);
    }
}

void process_bury(struct process *p)
{
    if (p->terminated && p->kill_at != NEVER && lingering_count < MAX_LINGERING) {
        lingering[lingering_count].group = p->pid;
        lingering[lingering_count++].kill_at = p->kill_at;
    } else {
        kill(-p->pid, SIGKILL);
    }
    waitpid(p->pid, NULL, WNOHANG);
    close_fd(&p->exec_fd);
    for (struct process **at = &processes; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    p->pid = 0;
    launcher.reap_due = true;
}

void lingering_step(int64_t now)
{
    for (size_t i = 0; i < lingering_count;) {
        if (now >= lingering[i].kill_at)
            kill(-lingering[i].group, SIGKILL);
        if (now >= lingering[i].kill_at || (kill(-lingering[i].group, 0) < 0 && errno == ESRCH))
            lingering[i] = lingering[--lingering_count];
        else
            i++;
    }
}

bool lingering_any(void) { return lingering_count > 0; }

/* As the first process, TERM reaches daemons too that have left every group we know. */
void processes_stop(uint64_t grace_ms)
{
    for (struct process *p = processes; p != NULL; p = p->next) {
        bool asked = p->terminated;
        p->grace_ms = grace_ms;
        p->terminated = true; /* so that process_bury leaves the rest of its group the grace */
        p->kill_at = earlier(p->kill_at, after_ms(now_ms(), grace_ms));
        if (!launcher.first_process && !asked) {
            process_signal(p, SIGTERM);
            process_signal(p, SIGCONT);
        }
    }
    if (launcher.first_process) {
        kill(-1, SIGTERM);
        kill(-1, SIGCONT);
    }
}

void processes_kill(void)
{
    if (launcher.first_process)
        kill(-1, SIGKILL);
    for (struct process *p = processes; p != NULL; p = p->next)
        process_signal(p, SIGKILL);
    for (size_t i = 0; i < lingering_count; i++)
        kill(-lingering[i].group, SIGKILL);
    lingering_count = 0;
}

bool processes_gone(void)
{
    siginfo_t info;
    if (processes != NULL || lingering_count > 0)
        return false;
    return !launcher.first_process || waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0;
}

static struct process *find(pid_t pid)
{
    struct process *p = processes;
    while (p != NULL && p->pid != pid)
        p = p->next;
    return p;
}

static void note_end(struct process *p, const siginfo_t *info)
{
    p->exited = true;
    if (info->si_code == CLD_EXITED)
        p->code = info->si_status;
    else
        p->signal = info->si_status;
}

/* Orphans are reaped at once. A leader is only noted (WNOWAIT): its zombie keeps the group's number until
 * process_bury. Such a zombie can hide others from P_ALL, so leaders are asked one by one as well. */
void processes_reap(void)
{
    siginfo_t info;
    launcher.reap_due = false;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct process *p = find(info.si_pid);
        if (p == NULL)
            waitpid(info.si_pid, NULL, WNOHANG);
        else if (p->exited)
            break;
        else
            note_end(p, &info);
    }
    for (struct process *p = processes; p != NULL; p = p->next) {
        info.si_pid = 0;
        if (!p->exited && waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0)
            note_end(p, &info);
    }
}

enum error_code process_error_code(const struct process *p)
{
    if (p->stage == STAGE_CWD)
        return E_BAD_CWD;
    if (p->stage != STAGE_EXEC)
        return E_SPAWN;
    switch (p->error) {
    case ENOENT:
    case ENOTDIR: return E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case EISDIR:
    case ELOOP:
    case ETXTBSY: return E_NOT_EXECUTABLE;
    default: return E_SPAWN;
    }
}

const char *process_error_text(const struct process *p)
{
    switch (process_error_code(p)) {
    case E_BAD_CWD: return "cannot enter the working directory";
    case E_NOT_FOUND: return "no such program";
    case E_NOT_EXECUTABLE: return p->error == ENOEXEC ? "not a program, or its interpreter is missing" : "not executable";
    default: return p->stage == STAGE_LIMIT ? "a resource limit cannot be set" : "cannot start a process";
    }
}
