/* Payloads as repeated (u8 tag, u32 length, bytes), and the requests that are written in them. */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

enum { TLV_HEADER = 5 };

enum tlv_result tlv_next(const uint8_t **cursor, const uint8_t *end, struct tlv *out)
{
    size_t left = (size_t)(end - *cursor);
    if (left == 0)
        return TLV_END;
    if (left < TLV_HEADER)
        return TLV_BAD;
    out->tag = (*cursor)[0];
    out->size = get_u32(*cursor + 1);
    if (out->size > left - TLV_HEADER)
        return TLV_BAD;
    out->value = *cursor + TLV_HEADER;
    *cursor = out->value + out->size;
    return TLV_ENTRY;
}

bool tlv_integer(const struct tlv *entry, uint64_t *out)
{
    if (entry->size != 8)
        return false;
    *out = get_u64(entry->value);
    return true;
}

void reply_bytes(struct reply *r, uint8_t tag, const void *value, size_t size)
{
    if (size > sizeof r->data - TLV_HEADER || r->size > sizeof r->data - TLV_HEADER - size) {
        r->overflow = true;
        return;
    }
    r->data[r->size] = tag;
    put_u32(r->data + r->size + 1, (uint32_t)size);
    memcpy(r->data + r->size + TLV_HEADER, value, size);
    r->size += TLV_HEADER + size;
}

void reply_text(struct reply *r, uint8_t tag, const char *text) { reply_bytes(r, tag, text, strlen(text)); }

void reply_integer(struct reply *r, uint8_t tag, uint64_t value)
{
    uint8_t bytes[8];
    put_u32(bytes, (uint32_t)value);
    put_u32(bytes + 4, (uint32_t)(value >> 32));
    reply_bytes(r, tag, bytes, sizeof bytes);
}

/* Where a text entry goes: one of the vectors, or a single string. */
static char ***vector_of(struct request *r, uint8_t tag, size_t **count)
{
    switch (tag) {
    case T_ARGV: *count = &r->argc; return &r->argv;
    case T_ENV: *count = &r->envc; return &r->env;
    case T_SIDECAR: *count = &r->sidecarc; return &r->sidecar;
    default: return NULL;
    }
}

static const char **string_of(struct request *r, uint8_t tag)
{
    switch (tag) {
    case T_CWD: return &r->cwd;
    case T_PATH: return &r->path;
    case T_TOKEN: return &r->token;
    default: return NULL;
    }
}

static uint64_t *integer_of(struct request *r, uint8_t tag)
{
    switch (tag) {
    case T_FLAGS: return &r->flags;
    case T_TIMEOUT_MS: return &r->timeout_ms;
    case T_MAX_OUTPUT: return &r->max_output;
    case T_GRACE_MS: return &r->grace_ms;
    case T_ROWS: return &r->rows;
    case T_COLS: return &r->cols;
    case T_POLICY: return &r->policy;
    case T_BACKOFF_FIRST_MS: return &r->backoff_first_ms;
    case T_BACKOFF_MAX_MS: return &r->backoff_max_ms;
    case T_MAX_BYTES: return &r->max_bytes;
    case T_VERSION: return &r->version;
    default: return NULL;
    }
}

static const char *add_limit(struct request *r, const struct tlv *entry)
{
    if (entry->size != 24 || r->limitc == MAX_LIMITS)
        return "bad resource limit";
    struct limit *limit = &r->limits[r->limitc++];
    limit->which = get_u64(entry->value);
    limit->soft = get_u64(entry->value + 8);
    limit->hard = get_u64(entry->value + 16);
    return NULL;
}

/* First pass: check every entry, count vectors, sum the length of texts. */
static const char *measure(const uint8_t *cursor, const uint8_t *end, struct request *r, size_t *text)
{
    struct tlv entry;
    enum tlv_result result;
    while ((result = tlv_next(&cursor, end, &entry)) == TLV_ENTRY) {
        size_t *count;
        uint64_t *integer = integer_of(r, entry.tag);
        if (integer != NULL) {
            if (!tlv_integer(&entry, integer))
                return "an integer must have eight bytes";
        } else if (entry.tag == T_RLIMIT) {
            const char *fault = add_limit(r, &entry);
            if (fault != NULL)
                return fault;
        } else if (vector_of(r, entry.tag, &count) != NULL || string_of(r, entry.tag) != NULL) {
            if (memchr(entry.value, 0, entry.size) != NULL)
                return "a text contains a zero byte";
            if (vector_of(r, entry.tag, &count) != NULL)
                ++*count;
            *text += entry.size + 1;
        } else {
            return "unknown tag";
        }
    }
    return result == TLV_BAD ? "cut short" : NULL;
}

static void copy_texts(const uint8_t *cursor, const uint8_t *end, struct request *r, char *text)
{
    struct tlv entry;
    size_t filled[3] = {0, 0, 0};
    while (tlv_next(&cursor, end, &entry) == TLV_ENTRY) {
        size_t *count;
        char ***vector = vector_of(r, entry.tag, &count);
        const char **string = string_of(r, entry.tag);
        if (vector == NULL && string == NULL)
            continue;
        memcpy(text, entry.value, entry.size);
        text[entry.size] = '\0';
        if (vector != NULL)
            (*vector)[filled[vector == &r->argv ? 0 : vector == &r->env ? 1 : 2]++] = text;
        else
            *string = text;
        text += entry.size + 1;
    }
}

const char *request_parse(const uint8_t *payload, size_t size, struct request *out)
{
    size_t text = 0;
    memset(out, 0, sizeof *out);
    const char *fault = measure(payload, payload + size, out, &text);
    if (fault != NULL)
        return fault;
    size_t pointers = out->argc + out->envc + out->sidecarc + 3;
    out->arena = calloc(1, pointers * sizeof(char *) + text + 1);
    if (out->arena == NULL)
        return "out of memory";
    out->argv = out->arena;
    out->env = out->argv + out->argc + 1;
    out->sidecar = out->env + out->envc + 1;
    char *texts = (char *)(out->argv + pointers);
    out->cwd = "/";
    out->path = "";
    copy_texts(payload, payload + size, out, texts);
    return NULL;
}

void request_free(struct request *r)
{
    free(r->arena);
    memset(r, 0, sizeof *r);
}
