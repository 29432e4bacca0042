/* Where the launcher is reached: a UNIX socket of its owner only, or a TCP port with a token. */
#define _GNU_SOURCE
#include "launcher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static int complain(const char *what, const char *subject)
{
    fprintf(stderr, "launcher: %s %s: %s\n", what, subject, strerror(errno));
    return -1;
}

/* A socket left by an earlier life is replaced; anything else of that name is not ours. */
int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat facts;
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "launcher: the path of a socket has at most %zu bytes: %s\n", sizeof address.sun_path - 1, path);
        return -1;
    }
    strcpy(address.sun_path, path);
    if (lstat(path, &facts) == 0) {
        if (!S_ISSOCK(facts.st_mode)) {
            fprintf(stderr, "launcher: %s is in the way\n", path);
            return -1;
        }
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177);
    int bound = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(before);
    if (bound < 0 || listen(fd, BACKLOG) < 0) {
        complain("cannot listen on", path);
        close_fd(&fd);
    }
    return fd;
}

/* `PORT` (every address, both families) or `ADDRESS:PORT` with a numeric IPv4 address. */
int listen_tcp(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    const char *colon = strrchr(text, ':');
    const char *digits = colon ? colon + 1 : text;
    char host[INET_ADDRSTRLEN] = "0.0.0.0", *end;
    unsigned long port = strtoul(digits, &end, 10);
    int yes = 1, no = 0, fd = -1;
    errno = EINVAL;
    if (end == digits || *end != '\0' || port == 0 || port > 65535 || (colon && (size_t)(colon - text) >= sizeof host))
        return complain("cannot listen on", text);
    if (colon) {
        memcpy(host, text, (size_t)(colon - text));
        host[colon - text] = '\0';
    }
    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return complain("cannot listen on", text);
    v4.sin_port = v6.sin6_port = htons((uint16_t)port);
    if (!colon)
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool six = fd >= 0;
    if (!six)
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return complain("cannot listen on", text);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (six)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    const struct sockaddr *address = six ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    if (bind(fd, address, six ? sizeof v6 : sizeof v4) < 0 || listen(fd, BACKLOG) < 0) {
        complain("cannot listen on", text);
        close_fd(&fd);
    }
    return fd;
}
