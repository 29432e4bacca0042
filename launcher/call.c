/* `ploinky-call`: one agent calls a tool of another, through the router, as itself.
 *
 * For programs in any image: it needs no interpreter and no library. Address and token come from the
 * environment that every agent has. It speaks the stateless revision of MCP: one request, one answer.
 */
#define _GNU_SOURCE
#include "json.h"
#include "launcher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { FAILED = 1, WRONG_USE = 2, LONGEST_NAME = 256, LONGEST_WAIT_S = 3600, READ_BYTES = 64 * 1024 };
static const size_t MOST_BYTES = 64u * 1024 * 1024;

struct address {
    char host[LONGEST_NAME], port[8];
};

static int complain(const char *what, const char *which)
{
    fprintf(stderr, "ploinky-call: %s%s\n", what, which);
    return FAILED;
}

static int usage_of_call(void)
{
    fputs("usage: ploinky-call AGENT.TOOL [JSON]   (a tool by its name at /mcp without AGENT; - reads JSON from stdin)\n",
          stderr);
    return WRONG_USE;
}

/* `http://HOST:PORT` or `http://[HOST]:PORT`. */
static bool read_url(const char *url, struct address *out)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    if (host == NULL)
        return false;
    bool bracketed = *host == '[';
    const char *host_end = strchr(host, bracketed ? ']' : ':');
    const char *colon = host_end == NULL || !bracketed ? host_end : host_end + 1;
    host += bracketed;
    if (colon == NULL || *colon != ':' || host_end == host || (size_t)(host_end - host) >= sizeof out->host)
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || (colon[1 + digits] != '\0' && colon[1 + digits] != '/'))
        return false;
    memcpy(out->host, host, (size_t)(host_end - host));
    out->host[host_end - host] = '\0';
    memcpy(out->port, colon + 1, digits);
    out->port[digits] = '\0';
    return true;
}

/* The address that /etc/hosts has for a name, in place of it. */
static void look_up(char host[LONGEST_NAME])
{
    char line[1024];
    FILE *file = fopen("/etc/hosts", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *rest = NULL;
        line[strcspn(line, "#\n")] = '\0';
        const char *found = strtok_r(line, " \t", &rest);
        for (const char *name = found; name != NULL; name = strtok_r(NULL, " \t", &rest))
            if (name != found && strcasecmp(name, host) == 0 && strlen(found) < LONGEST_NAME) {
                strcpy(host, found);
                fclose(file);
                return;
            }
    }
    if (file != NULL)
        fclose(file);
}

static int connected(int fd, const struct sockaddr *to, socklen_t size)
{
    const struct timeval patience = {.tv_sec = LONGEST_WAIT_S};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        return -1;
    return connect(fd, to, size) < 0 ? -1 : fd;
}

/* The router's door in an agent without a network. */
static int connect_to_door(const char *path)
{
    struct sockaddr_un door = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof door.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(door.sun_path, path);
    return connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (const struct sockaddr *)&door, sizeof door);
}

static int connect_to(const struct address *address)
{
    const char *door = getenv("PLOINKY_ROUTER_SOCKET");
    if (door != NULL && *door != '\0')
        return connect_to_door(door);
    char host[LONGEST_NAME];
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address->port))};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = four.sin_port};
    strcpy(host, address->host);
    if (inet_pton(AF_INET, host, &four.sin_addr) != 1 && inet_pton(AF_INET6, host, &six.sin6_addr) != 1)
        look_up(host);
    bool is_four = inet_pton(AF_INET, host, &four.sin_addr) == 1;
    if (!is_four && inet_pton(AF_INET6, host, &six.sin6_addr) != 1) {
        errno = EHOSTUNREACH;
        return -1;
    }
    int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *to = is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
    return connected(fd, to, is_four ? sizeof four : sizeof six);
}

static bool append_text(struct buffer *out, const char *text) { return buffer_append(out, text, strlen(text)); }

static bool append_all(struct buffer *out, const char *const *texts)
{
    while (*texts != NULL)
        if (!append_text(out, *texts++))
            return false;
    return true;
}

static bool read_all(int fd, struct buffer *out)
{
    for (;;) {
        uint8_t *room = buffer_reserve(out, READ_BYTES);
        if (room == NULL || buffer_size(out) > MOST_BYTES)
            return false;
        ssize_t got = read(fd, room, READ_BYTES);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            out->end += (size_t)got;
    }
}

static bool write_all(int fd, const struct buffer *data)
{
    const uint8_t *at = buffer_head(data);
    size_t left = buffer_size(data);
    while (left > 0) {
        ssize_t sent = send(fd, at, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            at += sent;
            left -= (size_t)sent;
        }
    }
    return true;
}

static bool request_of(const char *agent, const char *tool, struct json given, const struct address *address,
                       struct buffer *out)
{
    struct buffer body = {NULL, 0, 0, 0};
    const char *const head[] = {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"", tool,
                                "\",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
                                "\"io.modelcontextprotocol/clientCapabilities\":{}},\"arguments\":", NULL};
    bool done = append_all(&body, head) && buffer_append(&body, given.at, (size_t)(given.end - given.at)) &&
                append_text(&body, "}}");
    char length[32];
    snprintf(length, sizeof length, "%zu", buffer_size(&body));
    bool six = strchr(address->host, ':') != NULL;
    const char *trace = getenv("TRACEPARENT");
    bool traced = trace != NULL && strlen(trace) == 55 && strspn(trace, "0123456789abcdef-") == 55;
    const char *const lines[] = {"POST ", agent != NULL ? "/mcps/" : "", agent != NULL ? agent : "", "/mcp HTTP/1.1\r\nHost: ",
                                 six ? "[" : "", address->host, six ? "]:" : ":", address->port,
                                 "\r\nAuthorization: Bearer ", getenv("PLOINKY_AGENT_TOKEN"),
                                 "\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
                                 "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: ", tool,
                                 traced ? "\r\ntraceparent: " : "", traced ? trace : "",
                                 "\r\nConnection: close\r\nContent-Length: ", length, "\r\n\r\n", NULL};
    done = done && append_all(out, lines) && buffer_append(out, buffer_head(&body), buffer_size(&body));
    buffer_free(&body);
    return done;
}

/* What the tool said, to stdout, or to stderr if it failed; the exit code. */
static int show(struct json answer)
{
    struct json error = json_member(answer, "error"), result = json_member(answer, "result");
    if (error.at != NULL) {
        fputs("ploinky-call: ", stderr);
        if (!json_print(json_member(error, "message"), stderr))
            fputs("the router refused", stderr);
        fputc('\n', stderr);
        return FAILED;
    }
    bool failed = json_is(json_member(result, "isError"), "true");
    FILE *out = failed ? stderr : stdout;
    struct json blocks = json_member(result, "content"), block;
    if (blocks.at == NULL)
        return complain("the answer is none of a tool", "");
    for (size_t i = 0; (block = json_element(blocks, i)).at != NULL; i++) {
        if (!json_print(json_member(block, "text"), out))
            json_print_raw(block, out);
        fputc('\n', out);
    }
    return fflush(out) == 0 && !failed ? 0 : FAILED;
}

static int exchange(const struct address *address, const struct buffer *request)
{
    struct buffer answer = {NULL, 0, 0, 0};
    int fd = connect_to(address);
    if (fd < 0)
        return complain("the router cannot be reached: ", strerror(errno));
    /* A refusal may have come before the whole was sent. */
    bool sent = write_all(fd, request) || errno == EPIPE;
    if (!sent || !read_all(fd, &answer) || !append_text(&answer, "")) {
        close(fd);
        return complain("the router went away: ", strerror(errno));
    }
    close(fd);
    const char *head = (const char *)buffer_head(&answer);
    const char *end = head + buffer_size(&answer);
    const char *body = head == NULL ? NULL : memmem(head, (size_t)(end - head), "\r\n\r\n", 4);
    struct json text = {body == NULL ? NULL : body + 4, end};
    if (body == NULL || strncmp(head, "HTTP/1.1 ", 9) != 0 || !json_valid(text) || !json_is_object(text))
        return complain("the router's answer is not JSON", "");
    int code = show(text);
    buffer_free(&answer);
    return code;
}

static bool is_plain(const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || *p == '/' || *p == '%' || *p == '?' || *p == '#')
            return false;
    return *name != '\0' && strlen(name) < LONGEST_NAME;
}

int call_run(int argc, char **argv)
{
    struct buffer input = {NULL, 0, 0, 0}, request = {NULL, 0, 0, 0};
    struct address address;
    if (argc < 2 || argc > 3 || !is_plain(argv[1]))
        return usage_of_call();
    const char *url = getenv("PLOINKY_ROUTER_URL"), *token = getenv("PLOINKY_AGENT_TOKEN");
    if (url == NULL || token == NULL || *token == '\0' || strpbrk(token, "\r\n") != NULL || !read_url(url, &address))
        return complain("PLOINKY_ROUTER_URL and PLOINKY_AGENT_TOKEN must be as an agent has them", "");
    struct json given = {"{}", NULL};
    given.end = given.at + 2;
    if (argc == 3 && strcmp(argv[2], "-") == 0) {
        if (!read_all(STDIN_FILENO, &input))
            return complain("the input cannot be read", "");
        given = (struct json){(const char *)buffer_head(&input), (const char *)buffer_head(&input) + buffer_size(&input)};
    } else if (argc == 3) {
        given = (struct json){argv[2], argv[2] + strlen(argv[2])};
    }
    if (!json_valid(given) || !json_is_object(given))
        return complain("the arguments are not a JSON object", "");
    char *dot = strchr(argv[1], '.');
    if (dot != NULL)
        *dot = '\0';
    const char *tool = dot == NULL ? argv[1] : dot + 1;
    if (!is_plain(argv[1]) || !is_plain(tool))
        return usage_of_call();
    if (!request_of(dot == NULL ? NULL : argv[1], tool, given, &address, &request))
        return complain("memory is short", "");
    int code = exchange(&address, &request);
    buffer_free(&request);
    buffer_free(&input);
    return code;
}
