/* The launcher: first process of a sandbox, supervisor of its agent, server that starts its programs.
 *
 *   launcher serve [--socket PATH] [--listen [ADDRESS:]PORT --token-file FILE]
 *   launcher pipe --socket PATH
 *   ploinky-call AGENT.TOOL [JSON]   (the same program by another name)
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_SIGNALS 64

enum { USAGE = 64, SHORTEST_TOKEN = 16, LONGEST_TOKEN = 1024, MOST_FILES = 65536, CLOSE_UP_TO = 1024 };

struct options {
    const char *socket, *listen, *token_file;
};

static int usage(void)
{
    fputs("usage: launcher serve [--socket PATH] [--listen [ADDRESS:]PORT --token-file FILE]\n"
          "       launcher pipe --socket PATH\n", stderr);
    return USAGE;
}

static bool read_options(int argc, char **argv, struct options *out)
{
    for (int i = 2; i < argc; i += 2) {
        const char **value = strcmp(argv[i], "--socket") == 0       ? &out->socket
                             : strcmp(argv[i], "--listen") == 0     ? &out->listen
                             : strcmp(argv[i], "--token-file") == 0 ? &out->token_file
                                                                    : NULL;
        if (value == NULL || i + 1 == argc)
            return false;
        *value = argv[i + 1];
    }
    return true;
}

/* The first line of the file, without its end; NULL after a complaint. */
static const char *read_token(const char *path)
{
    static char token[LONGEST_TOKEN + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, token, LONGEST_TOKEN);
    if (fd >= 0)
        close(fd);
    if (size < 0) {
        fprintf(stderr, "launcher: cannot read the token %s: %s\n", path, strerror(errno));
        return NULL;
    }
    token[size] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    if (strlen(token) >= SHORTEST_TOKEN)
        return token;
    fprintf(stderr, "launcher: the token in %s has less than %d characters\n", path, SHORTEST_TOKEN);
    return NULL;
}

/* Descriptors of whoever started us must not reach the programs, and 0, 1 and 2 must be taken. */
static void tidy_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            fprintf(stderr, "launcher: no /dev/null\n");
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
        return;
#endif
    for (int fd = 3; fd < CLOSE_UP_TO; fd++)
        close(fd);
}

static int take_signals(void)
{
    sigset_t set;
    /* What our parent ignored must not be ignored by programs. Asked of the kernel itself, because a libc
     * keeps the first real-time signals to itself; all zero is SIG_DFL without flags on every machine. */
    const unsigned long by_default[8] = {0};
    for (int number = 1; number <= KERNEL_SIGNALS; number++)
        syscall(SYS_rt_sigaction, number, by_default, NULL, KERNEL_SIGNALS / 8);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigprocmask(SIG_SETMASK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* A program has three descriptors here, so the soft limit of 1024 that engines give would be felt. */
static void raise_file_limit(void)
{
    if (getrlimit(RLIMIT_NOFILE, &launcher.file_limit) < 0)
        return;
    struct rlimit raised = launcher.file_limit;
    raised.rlim_cur = raised.rlim_max < MOST_FILES ? raised.rlim_max : MOST_FILES;
    if (raised.rlim_cur > launcher.file_limit.rlim_cur)
        setrlimit(RLIMIT_NOFILE, &raised);
}

static int serve(const struct options *options)
{
    int unix_fd = -1, tcp_fd = -1;
    if ((options->socket == NULL && options->listen == NULL) || (options->listen != NULL) != (options->token_file != NULL))
        return usage();
    tidy_descriptors();
    setsid(); /* programs live in this session, and no terminal of whoever started us is theirs */
    launcher.first_process = getpid() == 1;
    if (launcher.first_process)
        confine_sockets();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    raise_file_limit();
    int signal_fd = take_signals();
    if (signal_fd < 0 || (options->token_file != NULL && (launcher.token = read_token(options->token_file)) == NULL))
        return 1;
    if (options->socket != NULL && (unix_fd = listen_unix(options->socket)) < 0)
        return 1;
    if (options->listen != NULL && (tcp_fd = listen_tcp(options->listen)) < 0)
        return 1;
    int code = launcher_run(signal_fd, unix_fd, tcp_fd);
    if (options->socket != NULL)
        unlink(options->socket);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {NULL, NULL, NULL};
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    if (argc > 0 && strcmp(slash != NULL ? slash + 1 : argv[0], "ploinky-call") == 0)
        return call_run(argc, argv);
    if (argc < 2 || !read_options(argc, argv, &options))
        return usage();
    if (strcmp(argv[1], "serve") == 0)
        return serve(&options);
    if (strcmp(argv[1], "pipe") == 0 && options.socket != NULL && options.listen == NULL)
        return pipe_run(options.socket);
    return usage();
}
